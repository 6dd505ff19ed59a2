// SPDX-License-Identifier: Apache-2.0

#include "tools/text_search/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "taskctx/cancel.h"

namespace text_search {
namespace {

namespace fs = std::filesystem;

absl::Status cannot_read(const std::string& root, const std::string& reason) {
  return absl::InvalidArgumentError("cannot read " + root + ": " + reason);
}

std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  return path;
}

void add_file(const fs::directory_entry& entry, SourceTree& tree) {
  std::error_code ignored;  // A file that has gone meanwhile is found out when it is opened.
  const std::uintmax_t bytes = entry.file_size(ignored);
  tree.files.push_back({.path = entry.path().native(), .bytes = ignored ? 0 : bytes});
}

// Sorts what is in `folder` into the tree's files and the folders that are still to be listed.
std::error_code list_folder(const fs::path& folder, SourceTree& tree,
                            std::vector<fs::path>& folders) {
  std::error_code error;
  for (fs::directory_iterator entries(folder, error), end; !error && entries != end;
       entries.increment(error)) {
    std::error_code unknown;
    switch (entries->symlink_status(unknown).type()) {
      case fs::file_type::regular:
        add_file(*entries, tree);
        break;
      case fs::file_type::directory:
        folders.push_back(entries->path());
        break;
      default:
        break;
    }
  }
  return error;
}

}  // namespace

InputFile::InputFile(const std::string& path) {
  // It was a regular file when it was listed. Should it be a pipe by now, opening must not block.
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat status = {};
  if (descriptor_ < 0 || ::fstat(descriptor_, &status) != 0) {
    error_ = errno;
  } else if (!S_ISREG(status.st_mode)) {
    error_ = EINVAL;
  } else {
    size_hint_ = static_cast<std::uint64_t>(status.st_size);
    return;
  }
  if (descriptor_ >= 0) {
    ::close(descriptor_);
    descriptor_ = -1;
  }
}

InputFile::~InputFile() {
  if (is_open()) {
    ::close(descriptor_);
  }
}

std::optional<std::size_t> InputFile::read(std::uint64_t offset, char* buffer,
                                           std::size_t capacity) const {
  std::size_t size = 0;
  while (size < capacity) {
    const ssize_t got =
        ::pread(descriptor_, buffer + size, capacity - size, static_cast<off_t>(offset + size));
    if (got > 0) {
      size += static_cast<std::size_t>(got);
    } else if (got == 0) {
      break;
    } else if (errno != EINTR) {
      error_.store(errno, std::memory_order_relaxed);
      return std::nullopt;
    }
  }
  return size;
}

absl::StatusOr<SourceTree> list_files(const std::string& root) {
  SourceTree tree;
  std::error_code error;
  const fs::directory_entry entry(root, error);
  if (error || !entry.exists(error)) {
    return cannot_read(root, error ? error.message() : "it does not exist");
  }
  if (entry.is_regular_file(error)) {
    if (const InputFile file(root); !file.is_open()) {
      return cannot_read(root, std::generic_category().message(file.error()));
    }
    add_file(entry, tree);
    return tree;
  }
  if (!entry.is_directory(error)) {
    return cannot_read(root, "it is neither a folder nor a regular file");
  }

  std::vector<fs::path> folders;
  error = list_folder(without_trailing_slashes(root), tree, folders);
  if (error) {
    return cannot_read(root, error.message());
  }
  while (!folders.empty() && !taskctx::cancelled()) {
    const fs::path folder = std::move(folders.back());
    folders.pop_back();
    error = list_folder(folder, tree, folders);
    if (error) {
      tree.unreadable_folders.add(folder.native(), error.value());
    }
  }
  std::sort(tree.files.begin(), tree.files.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return tree;
}

}  // namespace text_search
