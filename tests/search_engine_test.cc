// SPDX-License-Identifier: Apache-2.0
//
// Which lines the text search finds: in every kind of file, with every size of block.

#include "tools/text_search/engine.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "taskctx/job_pool.h"
#include "tests/search_fixture.h"

namespace {

using namespace taskctx_test;

namespace fs = std::filesystem;

using text_search::list_files;
using text_search::SearchOptions;
using text_search::SearchResult;

// Counts the lines in a file of that content. Small blocks make the file a large one.
std::uint64_t count(const std::string& content, const std::string& text,
                    std::size_t block_bytes = SearchOptions().block_bytes,
                    std::size_t window_blocks = 3) {
  const FileTree tree;
  tree.write("file", content);
  return search_below(tree.root(), {text},
                      {.block_bytes = block_bytes, .window_blocks = window_blocks})
      .queries[0]
      .lines;
}

struct Example {
  const char* what;
  std::string content;
  std::string text;
  std::uint64_t lines;
};

const std::vector<Example>& examples() {
  static const std::vector<Example> all = {
      {"an empty file", "", "a", 0},
      {"only a newline", "\n", "a", 0},
      {"only the string", "abc", "abc", 1},
      {"nearly the string", "abab", "abc", 0},
      {"no newline at the end", "x\nabc", "abc", 1},
      {"empty lines at the end", "abc\n\n\n", "abc", 1},
      {"the string twice in a line", "abc abc\nabc\n", "abc", 2},
      {"a string that overlaps itself", "aaaaaaa\naa\naaa", "aaa", 2},
      {"a string torn by a newline", "ab\nc\nabc\n", "abc", 1},
      {"CRLF", "abc\r\nabd\r\nabc\r\n", "abc", 2},
      {"a carriage return in the string", "abc\r\nabc\n", "c\r", 1},
      {"bytes that are no UTF-8", "\xff\xfe\xc3\n\xc3\n", "\xc3", 2},
      {"a line over many blocks", std::string(500, 'x') + "abc" + std::string(500, 'x') + "\nabc",
       "abc", 2},
      {"a string longer than blocks", std::string(90, 'y') + "\n" + std::string(101, 'y') + "\n",
       std::string(100, 'y'), 1},
      {"each line", "a\na\na\na\na\na\na\na\na\na\na\na\na\na\na\na\na\na\n", "a", 18},
  };
  return all;
}

TEST(SearchEngine, CountsLinesOfFilesInOnePiece) {
  for (const Example& example : examples()) {
    EXPECT_EQ(count(example.content, example.text), example.lines) << example.what;
  }
}

TEST(SearchEngine, CountsTheSameWithBlocksOfAnySize) {
  for (const Example& example : examples()) {
    for (std::size_t block_bytes = 1; block_bytes <= 64; ++block_bytes) {
      ASSERT_EQ(count(example.content, example.text, block_bytes), example.lines)
          << example.what << " in blocks of " << block_bytes << " bytes";
    }
  }
}

TEST(SearchEngine, CountsTheSameWithWindowsOfAnySize) {
  for (const Example& example : examples()) {
    for (const std::size_t window_blocks : {1U, 2U, 100U}) {
      ASSERT_EQ(count(example.content, example.text, 7, window_blocks), example.lines)
          << example.what << " in windows of " << window_blocks << " blocks";
    }
  }
}

TEST(SearchEngine, FindsTheStringOnEveryBorderOfBlocks) {
  for (std::size_t before = 0; before < 30; ++before) {
    EXPECT_EQ(count(std::string(before, '.') + "needle" + std::string(20, '.'), "needle", 7), 1U)
        << before;
    EXPECT_EQ(count(std::string(before, '\n') + "needle\n", "needle", 7), 1U) << before;
  }
}

TEST(SearchEngine, AgreesWithANaiveCounterOnRandomTrees) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&random](std::size_t end) { return random() % end; };
  for (int round = 0; round < 20; ++round) {
    const FileTree tree;
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < 4; ++i) {
      texts.emplace_back(1 + below(4), 'a');
      texts.back().back() = "ab"[below(2)];
      texts.back() += std::to_string(i).substr(0, below(2));
    }
    std::vector<std::uint64_t> expected(texts.size());
    for (std::size_t file = below(30); file-- > 0;) {
      std::string content(below(400), 'a');
      for (char& c : content) {
        c = "aaaab01\n"[below(8)];
      }
      tree.write("folder" + std::to_string(below(3)) + "/" + std::to_string(file), content);
      for (std::size_t i = 0; i < texts.size(); ++i) {
        expected[i] += count_naively(content, texts[i]);
      }
    }
    const SearchResult result = search_below(
        tree.root(), texts, {.block_bytes = 1 + below(64), .window_blocks = 1 + below(5)});
    for (std::size_t i = 0; i < texts.size(); ++i) {
      ASSERT_EQ(result.queries[i].lines, expected[i]) << texts[i] << " in round " << round;
    }
  }
}

TEST(SearchEngine, SkipsFilesWithANulByteWhereverItIs) {
  for (const std::size_t place : {0U, 6U, 7U, 50U, 99U}) {
    std::string content(100, 'a');
    content[place] = '\0';
    const FileTree tree;
    tree.write("binary", content);
    tree.write("text", "a");
    for (const std::size_t block_bytes : {7U, 1000U}) {
      const SearchResult result =
          search_below(tree.root(), {"a"}, {.block_bytes = block_bytes, .window_blocks = 2});
      EXPECT_EQ(result.queries[0].lines, 1U) << place << " in blocks of " << block_bytes;
      EXPECT_EQ(result.files_binary, 1U);
      EXPECT_EQ(result.files_searched, 1U);
    }
  }
}

TEST(SearchEngine, CountsFilesWithMatchesOncePerQuery) {
  const FileTree tree;
  tree.write("large", "a\na\nb\na\na\na\na\na\na\n");
  tree.write("small", "a\na");
  tree.write("other", "b");
  const SearchResult result = search_below(tree.root(), {"a", "b", "c"}, {.block_bytes = 4});
  EXPECT_EQ(result.queries[0].files, 2U);
  EXPECT_EQ(result.queries[1].files, 2U);
  EXPECT_EQ(result.queries[2].files, 0U);
  EXPECT_EQ(result.files_searched, 3U);
}

TEST(SearchEngine, FollowsNoLinkButTheRoot) {
  const FileTree tree;
  tree.write("folder/file", "a");
  fs::create_symlink(tree.root() / "folder/file", tree.root() / "folder/link_to_file");
  fs::create_directory_symlink(tree.root() / "folder", tree.root() / "folder/loop");
  fs::create_symlink("nowhere", tree.root() / "folder/dangling");
  fs::create_directory_symlink(tree.root() / "folder", tree.root() / "link_to_folder");
  for (const char* root : {"folder", "link_to_folder", "folder/link_to_file", "folder/file"}) {
    EXPECT_EQ(search_below(tree.root() / root, {"a"}).queries[0].lines, 1U) << root;
  }
}

TEST(SearchEngine, SkipsWhatIsNoRegularFile) {
  const FileTree tree;
  tree.write("file", "a");
  ASSERT_EQ(::mkfifo((tree.root() / "pipe").c_str(), 0600), 0);
  const SearchResult result = search_below(tree.root(), {"a"});
  EXPECT_EQ(result.queries[0].lines, 1U);
  EXPECT_EQ(result.unreadable_files.count, 0U);
  EXPECT_FALSE(list_files((tree.root() / "pipe").native()).ok());
  EXPECT_FALSE(list_files((tree.root() / "nothing").native()).ok());
}

TEST(SearchEngine, ListsFilesSortedWithPathsAsGrepJoinsThem) {
  const FileTree tree;
  for (const char* name : {"b", "a/z", "a.c", "a/b/c"}) {
    tree.write(name, "");
  }
  const std::string root = tree.root().native();
  const auto listed = list_files(root + "//");
  ASSERT_TRUE(listed.ok());
  std::vector<std::string> paths;
  for (const text_search::SourceFile& file : listed->files) {
    paths.push_back(file.path);
  }
  EXPECT_EQ(paths,
            (std::vector<std::string>{root + "/a.c", root + "/a/b/c", root + "/a/z", root + "/b"}));
}

TEST(SearchEngine, ReportsFilesThatHaveGone) {
  const FileTree tree;
  tree.write("file", "a");
  tree.write("gone", "a");
  const auto listed = list_files(tree.root().native());
  ASSERT_TRUE(listed.ok());
  fs::remove(tree.root() / "gone");
  taskctx::JobPool pool{{.concurrency = 2}};
  const SearchResult result = text_search::search(pool, *listed, queries_for({"a", "b"}), {});
  EXPECT_EQ(result.queries[0].lines, 1U);
  EXPECT_EQ(result.unreadable_files.count, 1U);  // Once, not for each query.
  EXPECT_EQ(result.unreadable_files.examples[0],
            (tree.root() / "gone").native() + ": No such file or directory");
}

TEST(SearchEngine, CountsUnreadableFilesAndFolders) {
  if (::geteuid() == 0) {
    GTEST_SKIP() << "root may read everything";
  }
  const FileTree tree;
  tree.write("file", "a");
  tree.write("folder/file", "a");
  fs::permissions(tree.root() / "file", fs::perms::none);
  fs::permissions(tree.root() / "folder", fs::perms::none);
  const auto listed = list_files(tree.root().native());
  ASSERT_TRUE(listed.ok());
  EXPECT_EQ(listed->unreadable_folders.count, 1U);
  EXPECT_EQ(search_below(tree.root(), {"a"}).unreadable_files.count, 1U);
  fs::permissions(tree.root() / "folder", fs::perms::owner_all);
}

TEST(SearchBudget, LimitsTheLinesOfEachQueryByItself) {
  const FileTree tree;
  for (int i = 0; i < 20; ++i) {
    tree.write(std::to_string(i), "a\nb\na\n");
  }
  const SearchResult result = search_below(tree.root(), {"a", "b"}, {.budget = 20});
  EXPECT_EQ(result.queries[0].lines, 20U);
  EXPECT_EQ(result.queries[0].stopped, "budget");
  EXPECT_EQ(result.queries[1].lines, 20U);
  EXPECT_EQ(result.queries[1].stopped, "");  // Just enough.
}

TEST(SearchBudget, EndsTheSearchEarly) {
  const FileTree tree;
  for (int i = 0; i < 500; ++i) {
    tree.write(std::to_string(i), "a\na\n");
  }
  const auto listed = list_files(tree.root().native());
  ASSERT_TRUE(listed.ok());
  taskctx::JobPool pool{{.concurrency = 1}};
  const SearchResult result = text_search::search(pool, *listed, queries_for({"a"}), {.budget = 1});
  EXPECT_EQ(result.queries[0].lines, 1U);
  EXPECT_EQ(result.queries[0].leaves, 1U);
}

}  // namespace
