// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the text search need: a tree of files that lives as long as the test, and a
// search of it in one call.

#ifndef TASKCTX_TESTS_SEARCH_FIXTURE_H_
#define TASKCTX_TESTS_SEARCH_FIXTURE_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "taskctx/job_pool.h"
#include "tools/text_search/engine.h"
#include "tools/text_search/files.h"
#include "tools/text_search/request_context.h"

namespace taskctx_test {

// A folder of its own for each test.
class FileTree {
 public:
  FileTree() {
    std::string pattern = ::testing::TempDir() + "/search.XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  FileTree(const FileTree&) = delete;
  FileTree& operator=(const FileTree&) = delete;
  ~FileTree() { std::filesystem::remove_all(root_); }

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }

  // Writes a file, and the folders above it.
  void write(const std::string& name, std::string_view content) const {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream file(root_ / name, std::ios::binary);
    file << content;
    ASSERT_TRUE(file.good()) << name;
  }

  [[nodiscard]] std::string read(const std::string& name) const {
    std::ostringstream content;
    content << std::ifstream(root_ / name, std::ios::binary).rdbuf();
    return content.str();
  }

 private:
  std::filesystem::path root_;
};

// Makes queries with the ids "user/0", "user/1" and so on.
inline std::vector<text_search::Query> queries_for(const std::vector<std::string>& texts) {
  std::vector<text_search::Query> queries;
  queries.reserve(texts.size());
  for (const std::string& text : texts) {
    queries.push_back({"user/" + std::to_string(queries.size()), "user", text});
  }
  return queries;
}

// Searches the files below `root`, on 4 threads.
inline text_search::SearchResult search_below(const std::filesystem::path& root,
                                              const std::vector<std::string>& texts,
                                              const text_search::SearchOptions& options = {}) {
  const auto tree = text_search::list_files(root.native());
  EXPECT_TRUE(tree.ok()) << tree.status();
  taskctx::JobPool pool{{.concurrency = 4}};
  return text_search::search(pool, *tree, queries_for(texts), options);
}

// Counts the lines of `content` that contain `text`, the obvious way.
inline std::uint64_t count_naively(const std::string& content, const std::string& text) {
  std::istringstream lines(content);
  std::uint64_t count = 0;
  for (std::string line; std::getline(lines, line);) {
    count += line.find(text) != std::string::npos ? 1 : 0;
  }
  return count;
}

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_SEARCH_FIXTURE_H_
