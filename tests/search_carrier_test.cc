// SPDX-License-Identifier: Apache-2.0
//
// To whom the text search credits what it finds, when leaves are stolen. A latch in the search's
// own hook forces at least one steal per query: the first leaf that a query begins goes on only
// when another thread has begun a second one.

#include "tools/text_search/carrier.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tests/search_fixture.h"
#include "tests/support.h"
#include "tools/text_search/engine.h"
#include "tools/text_search/ledger.h"
#include "tools/text_search/output.h"
#include "tools/text_search/request_context.h"

namespace {

using namespace taskctx_test;

using text_search::Carrier;
using text_search::QueryResult;
using text_search::SearchOptions;
using text_search::SearchResult;

// Holds each query's leaves until two threads are in leaves of that query.
class StealLatch {
 public:
  explicit StealLatch(std::size_t queries) : threads_(queries) {}

  void arrive(std::size_t query) {
    std::unique_lock lock(mutex_);
    threads_[query].insert(std::this_thread::get_id());
    arrived_.notify_all();
    arrived_.wait(lock, [&] { return threads_[query].size() >= 2; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<std::set<std::thread::id>> threads_;
};

// Searches 64 files, each of which has one line for each of `queries` queries, with a steal in
// each.
std::vector<QueryResult> search_with_steals(Carrier carrier, std::size_t queries,
                                            SearchOptions options = {}) {
  const Watchdog watchdog("a search whose leaves wait for a thief");
  const FileTree tree;
  for (int i = 0; i < 64; ++i) {
    tree.write(std::to_string(i), "a line for everybody\n");
  }
  StealLatch latch(queries);
  options.carrier = carrier;
  options.on_leaf = [&latch](std::size_t query) { latch.arrive(query); };
  const auto listed = text_search::list_files(tree.root().native());
  // One thread per job, and one thief that is always free.
  taskctx::JobPool pool{{.concurrency = static_cast<int>(queries) + 1}};
  return text_search::search(pool, *listed,
                             queries_for(std::vector<std::string>(queries, "line for")), options)
      .queries;
}

class AnyCarrier : public ::testing::TestWithParam<Carrier> {};

TEST_P(AnyCarrier, FindsAllLinesAndSeesThatLeavesWereStolen) {
  for (const QueryResult& query : search_with_steals(GetParam(), 3)) {
    EXPECT_EQ(query.lines, 64U);
    EXPECT_EQ(query.files, 64U);
    EXPECT_EQ(query.leaves, 64U);
    EXPECT_GE(query.leaves_elsewhere, 1U);
    EXPECT_LE(query.leaves_elsewhere, 64U);
  }
}

INSTANTIATE_TEST_SUITE_P(AllOfThem, AnyCarrier,
                         ::testing::Values(Carrier::context, Carrier::thread_local_variable,
                                           Carrier::parameter),
                         [](const ::testing::TestParamInfo<Carrier>& carrier) {
                           return std::string(text_search::carrier_name(carrier.param));
                         });

TEST(ThreadLocalCarrier, LosesMatchesOfLeavesThatWereStolen) {
  for (const QueryResult& query : search_with_steals(Carrier::thread_local_variable, 3)) {
    EXPECT_GT(query.wrong + query.lost, 0U);
    EXPECT_EQ(query.wrong + query.lost, query.leaves_elsewhere);  // Each leaf has one match.
  }
}

TEST(ContextCarrier, CreditsEveryMatchOfStolenLeavesRightly) {
  for (int round = 0; round < 20; ++round) {
    for (const QueryResult& query : search_with_steals(Carrier::context, 4)) {
      EXPECT_EQ(query.wrong, 0U);
      EXPECT_EQ(query.lost, 0U);
    }
  }
}

TEST(ContextCarrier, CreditsRightlyInStolenBlocksOfLargeFiles) {
  for (const QueryResult& query : search_with_steals(Carrier::context, 3, {.block_bytes = 5})) {
    EXPECT_EQ(query.lines, 64U);
    EXPECT_EQ(query.wrong, 0U);
    EXPECT_EQ(query.lost, 0U);
  }
}

TEST(ContextCarrier, SharesOneBudgetBetweenStolenLeaves) {
  for (const QueryResult& query : search_with_steals(Carrier::context, 3, {.budget = 10})) {
    EXPECT_EQ(query.lines, 10U);
    EXPECT_EQ(query.stopped, "budget");
  }
}

TEST(ParameterCarrier, CreditsEveryMatchOfStolenLeavesRightly) {
  for (const QueryResult& query : search_with_steals(Carrier::parameter, 3)) {
    EXPECT_EQ(query.wrong, 0U);
    EXPECT_EQ(query.lost, 0U);
  }
}

// An audit that found nothing wrong ever would prove nothing.
TEST(Audit, TellsMatchesOfTheWrongRequestFromThoseOfNone) {
  const taskctx::Scope scope{text_search::match_budget,
                             std::make_shared<text_search::MatchBudget>(3)};
  text_search::Ledger ledger(queries_for({"a", "b"}));
  for (const std::string request : {"user/0", "user/1", "nobody"}) {
    ledger.record_match("path", 0, text_search::ParameterCarrier(request), text_search::Truth{0});
  }
  EXPECT_EQ(ledger.row(0).right, 1U);
  EXPECT_EQ(ledger.row(0).wrong, 1U);
  EXPECT_EQ(ledger.row(0).lost, 1U);
  EXPECT_EQ(ledger.row(0).lines(), 3U);
  EXPECT_EQ(ledger.row(1).lines(), 0U);
}

TEST(Search, LeavesTheCallersOwnContextAlone) {
  const FileTree tree;
  tree.write("file", "a");
  const taskctx::Scope scope{text_search::request_id, "the caller's"};
  const SearchResult result = taskctx_test::search_below(tree.root(), {"a"});
  EXPECT_EQ(result.queries[0].wrong, 0U);
  EXPECT_EQ(text_search::request_id.get(), "the caller's");
  EXPECT_EQ(text_search::user.find(), nullptr);
}

// Returns what a search of `root` prints.
std::string printed(const FileTree& tree, const std::vector<std::string>& texts,
                    SearchOptions options) {
  const std::string place = ::testing::TempDir() + "/printed";
  std::FILE* file = std::fopen(place.c_str(), "w+");
  EXPECT_NE(file, nullptr);
  text_search::Output out(::fileno(file));
  options.matches = &out;
  taskctx_test::search_below(tree.root(), texts, options);
  out.flush();
  std::string text(static_cast<std::size_t>(::lseek(::fileno(file), 0, SEEK_END)), '\0');
  EXPECT_EQ(::pread(::fileno(file), text.data(), text.size(), 0),
            static_cast<ssize_t>(text.size()));
  std::fclose(file);
  return text;
}

TEST(PrintedMatches, AreInTheOrderOfFilesAndLinesWhateverTheBlocks) {
  const FileTree tree;
  std::string expected;
  for (const char* name : {"a", "b", "c/d", "e"}) {
    std::string content;
    for (int i = 0; i < 30; ++i) {
      const std::string line = (i % 3 == 0 ? "match " : "other ") + std::to_string(i);
      content += line + (i < 29 ? "\n" : "");
      expected += i % 3 == 0 ? "user/0\t" + (tree.root() / name).native() + ":" + line + "\n" : "";
    }
    tree.write(name, content);
  }
  for (const std::size_t block_bytes : {1U, 7U, 64U, 100000U}) {
    EXPECT_EQ(printed(tree, {"match"}, {.block_bytes = block_bytes, .window_blocks = 2}), expected)
        << block_bytes;
  }
}

TEST(PrintedMatches, EndWithANewlineEvenIfTheFileDoesNot) {
  const FileTree tree;
  tree.write("file", "x");
  EXPECT_EQ(printed(tree, {"x"}, {}), "user/0\t" + (tree.root() / "file").native() + ":x\n");
}

}  // namespace
