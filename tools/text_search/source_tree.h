// SPDX-License-Identifier: Apache-2.0
//
// SourceTree: the files to search, listed once before the jobs start.
//
//   absl::StatusOr<SourceTree> tree = list_files("/usr/include");
//   tree->files[0].path;  // "/usr/include/aio.h"
//
// As in grep -r: paths are what was asked for plus what was found below; a symbolic link is
// followed if it is the root itself, and not if it is met on the way; devices, pipes and sockets
// are skipped.

#ifndef TOOLS_TEXT_SEARCH_SOURCE_TREE_H_
#define TOOLS_TEXT_SEARCH_SOURCE_TREE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/text_search/problems.h"

namespace text_search {

struct SourceFile {
  std::string path;
  std::uint64_t bytes = 0;  // When it was listed; a hint.
};

struct SourceTree {
  std::vector<SourceFile> files;  // Sorted by path.
  Problems unreadable_folders;
};

// Lists the regular files in and below `root`, which may also be a single file. Fails if `root`
// cannot be read; what cannot be read below it is listed among the problems.
absl::StatusOr<SourceTree> list_files(const std::string& root);

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_SOURCE_TREE_H_
