// SPDX-License-Identifier: Apache-2.0

#include "tools/text_search/output.h"

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <string_view>
#include <system_error>

namespace text_search {
namespace {

constexpr std::size_t kBufferSize = std::size_t{64} << 10;

}  // namespace

void Output::write(std::string_view text) {
  buffer_ += text;
  if (buffer_.size() >= kBufferSize) {
    flush();
  }
}

void Output::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      const int error = errno;
      buffer_.clear();
      throw std::system_error(error, std::generic_category(), "cannot write results");
    }
  }
  buffer_.clear();
}

}  // namespace text_search
