// SPDX-License-Identifier: Apache-2.0

#include "tools/text_search/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace text_search {

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

}  // namespace text_search
