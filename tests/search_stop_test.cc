// SPDX-License-Identifier: Apache-2.0
//
// How searches end early: one query at its limit, all of them by a scope around, or by its time.

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "taskctx/cancel.h"
#include "taskctx/job_pool.h"
#include "tests/search_fixture.h"
#include "tools/text_search/engine.h"
#include "tools/text_search/files.h"

namespace {

using namespace taskctx_test;

using text_search::QueryResult;
using text_search::SearchOptions;
using text_search::SearchResult;
using text_search::SourceTree;

constexpr int kThreads[] = {1, 2, 4, 8};

// Files with one line "a" and one line "b" each.
SourceTree make_files(const FileTree& tree, int files) {
  for (int i = 0; i < files; ++i) {
    tree.write(std::to_string(i), "a\nb\n");
  }
  return *text_search::list_files(tree.root().native());
}

SearchResult search_on(int threads, const SourceTree& tree, const std::vector<std::string>& texts,
                       const SearchOptions& options) {
  taskctx::JobPool pool{{.concurrency = threads}};
  return text_search::search(pool, tree, queries_for(texts), options);
}

TEST(SearchMaxMatches, EndsThatQueryOnly) {
  const FileTree tree;
  const SourceTree listed = make_files(tree, 300);
  for (const int threads : kThreads) {
    const SearchResult result = search_on(threads, listed, {"a", "c", "b"}, {.max_matches = 299});
    EXPECT_EQ(result.queries[0].lines, 299U);
    EXPECT_EQ(result.queries[0].files, 299U);
    EXPECT_EQ(result.queries[0].stopped, "max-matches");
    EXPECT_EQ(result.queries[1].stopped, "");
    EXPECT_EQ(result.queries[1].leaves, 300U);
    EXPECT_EQ(result.queries[2].lines, 299U);
  }
}

TEST(SearchMaxMatches, EndsAtTheLastLineWithoutLookingForAnother) {
  const FileTree tree;
  const SourceTree listed = make_files(tree, 300);
  const SearchResult result = search_on(1, listed, {"a"}, {.max_matches = 1});
  EXPECT_EQ(result.queries[0].lines, 1U);
  EXPECT_EQ(result.queries[0].leaves, 1U);
}

TEST(SearchMaxMatches, EndsInTheMiddleOfALargeFile) {
  const FileTree tree;
  std::string content;
  for (int i = 0; i < 1000; ++i) {
    content += "a\n";
  }
  tree.write("large", content);
  for (const int threads : kThreads) {
    const SearchResult result =
        search_on(threads, *text_search::list_files(tree.root().native()), {"a"},
                  {.max_matches = 50, .block_bytes = 16, .window_blocks = 4});
    EXPECT_EQ(result.queries[0].lines, 50U);
    EXPECT_EQ(result.queries[0].files, 1U);
    EXPECT_EQ(result.files_searched, 1U);
  }
}

TEST(SearchStop, KeepsWhatWasFoundUntilAScopeAroundIsCancelled) {
  const FileTree tree;
  const SourceTree listed = make_files(tree, 1000);
  for (const int threads : kThreads) {
    taskctx::CancelScope scope;
    std::atomic<int> leaves{0};
    const SearchResult result =
        search_on(threads, listed, {"a"}, {.on_leaf = [&](std::size_t /*query*/) {
                    if (++leaves == 100) {
                      scope.cancel("enough");
                    }
                  }});
    const QueryResult& query = result.queries[0];
    EXPECT_EQ(query.stopped, "enough");
    // Leaves that were at work then record nothing more. All others have.
    EXPECT_GE(query.lines, 100U - static_cast<unsigned>(threads));
    EXPECT_LE(query.lines, query.leaves);
    EXPECT_LT(query.leaves, 1000U);
  }
}

// More queries than are in work at once: those that never begin pass on their turns.
TEST(SearchStop, NamesTheQueriesThatHadNotBegun) {
  const FileTree tree;
  const SourceTree listed = make_files(tree, 1000);
  for (const int threads : kThreads) {
    taskctx::CancelScope scope;
    const SearchResult result =
        search_on(threads, listed, std::vector<std::string>(50, "a"),
                  {.on_leaf = [&](std::size_t /*query*/) { scope.cancel("enough"); }});
    const QueryResult& last = result.queries.back();
    EXPECT_EQ(last.request, "user/49");
    EXPECT_EQ(last.user, "user");
    EXPECT_EQ(last.stopped, "enough");
    EXPECT_EQ(last.leaves, 0U);
  }
}

TEST(SearchStop, FindsNothingInAScopeThatIsCancelledAlready) {
  const FileTree tree;
  const SourceTree listed = make_files(tree, 10);
  taskctx::CancelScope scope;
  scope.cancel("too late");
  const SearchResult result = search_on(4, listed, {"a", "b"}, {});
  for (const QueryResult& query : result.queries) {
    EXPECT_EQ(query.stopped, "too late");
    EXPECT_EQ(query.leaves, 0U);
  }
}

TEST(SearchStop, SaysThatItWasTheTimeout) {
  const FileTree tree;
  const SourceTree listed = make_files(tree, 1000);
  const taskctx::CancelScope scope{{.timeout = absl::Milliseconds(1)}};
  const SearchResult result = search_on(2, listed, {"a", "b"}, {.on_leaf = [](std::size_t) {
                                          while (!taskctx::cancelled()) {
                                          }
                                        }});
  for (const QueryResult& query : result.queries) {
    EXPECT_EQ(query.stopped, "timeout");
    EXPECT_EQ(query.lines, 0U);
  }
}

TEST(SearchStop, EndsTheListingOfFolders) {
  const FileTree tree;
  tree.write("file", "a");
  tree.write("folder/file", "a");
  taskctx::CancelScope scope;
  scope.cancel();
  const auto listed = text_search::list_files(tree.root().native());
  ASSERT_TRUE(listed.ok());
  EXPECT_EQ(listed->files.size(), 1U);
}

}  // namespace
