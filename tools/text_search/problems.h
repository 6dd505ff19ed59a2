// SPDX-License-Identifier: Apache-2.0
//
// Problems: what could not be read: how often, and the first few times why.
//
//   problems.add("/srv/x", EACCES);
//   problems.count;     // 1
//   problems.examples;  // {"/srv/x: Permission denied"}

#ifndef TOOLS_TEXT_SEARCH_PROBLEMS_H_
#define TOOLS_TEXT_SEARCH_PROBLEMS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

namespace text_search {

struct Problems {
  static constexpr std::size_t kMaxExamples = 10;

  std::uint64_t count = 0;
  std::vector<std::string> examples;

  // Counts one more, for the reason that `error`, an errno, stands for.
  void add(const std::string& path, int error) {
    ++count;
    if (examples.size() < kMaxExamples) {
      examples.push_back(path + ": " + std::generic_category().message(error));
    }
  }
};

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_PROBLEMS_H_
