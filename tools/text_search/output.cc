// SPDX-License-Identifier: Apache-2.0

#include "tools/text_search/output.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "tools/text_search/files.h"

namespace text_search {
namespace {

using std::chrono_literals::operator""ms;

constexpr std::size_t kBufferSize = std::size_t{64} << 10;

// Stands for the request of lines that nobody knows the request of.
constexpr std::string_view kNoRequest = "?";

// Reads lines of one file, in ascending order, a piece at a time.
class LineReader {
 public:
  explicit LineReader(const std::string& path) : file_(path), buffer_(kPieceSize, '\0') {}

  // Writes the line that begins at `offset`, with its newline. A file that has been cut off
  // meanwhile gives shorter lines.
  void copy_line(std::uint64_t offset, Output& out) {
    for (std::string_view piece = at(offset); !piece.empty(); piece = at(offset)) {
      const std::string_view line = piece.substr(0, piece.find('\n'));
      out.write(line);
      if (line.size() < piece.size()) {
        break;
      }
      offset += piece.size();
    }
    out.write("\n");
  }

 private:
  static constexpr std::size_t kPieceSize = std::size_t{64} << 10;

  // Returns some of what is in the file from `offset` on, nothing at its end.
  std::string_view at(std::uint64_t offset) {
    if (offset < begin_ || offset >= begin_ + size_) {
      begin_ = offset;
      size_ = file_.is_open() ? file_.read(offset, buffer_.data(), buffer_.size()).value_or(0) : 0;
    }
    return std::string_view(buffer_.data(), size_).substr(offset - begin_);
  }

  InputFile file_;
  std::string buffer_;  // Holds `size_` bytes of the file from `begin_` on.
  std::uint64_t begin_ = 0;
  std::size_t size_ = 0;
};

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

void MatchLog::add(const std::string& path, std::uint64_t line, const std::string* request) {
  const std::lock_guard lock(mutex_);
  entries_.push_back({&path, line, request});
}

void MatchLog::print() {
  const std::lock_guard lock(mutex_);
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    const int order = a.path == b.path ? 0 : a.path->compare(*b.path);
    return order != 0 ? order < 0 : a.line < b.line;
  });

  const std::lock_guard printing(printer_.mutex);
  const std::string* open_path = nullptr;
  std::optional<LineReader> reader;
  for (const Entry& entry : entries_) {
    if (entry.path != open_path) {
      reader.emplace(*entry.path);
      open_path = entry.path;
    }
    printer_.out.write(entry.request != nullptr ? std::string_view(*entry.request) : kNoRequest);
    printer_.out.write("\t");
    printer_.out.write(*entry.path);
    printer_.out.write(":");
    reader->copy_line(entry.line, printer_.out);
  }
  entries_.clear();  // Keeps its memory: it will be needed again.
}

Progress::Progress(const std::atomic<std::uint64_t>& done, std::uint64_t total, bool visible)
    : done_(done), total_(total) {
  if (visible) {
    thread_ = std::thread([this] { run(); });
  }
}

Progress::~Progress() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
}

void Progress::run() {
  std::string line;
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, 200ms, [this] { return is_over_; })) {
    line = "files: " + std::to_string(done_.load(std::memory_order_relaxed)) + "/" +
           std::to_string(total_);
    std::fprintf(stderr, "\r%s", line.c_str());
  }
  if (!line.empty()) {
    std::fprintf(stderr, "\r%s\r", std::string(line.size(), ' ').c_str());
  }
}

}  // namespace text_search
