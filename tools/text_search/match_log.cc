// SPDX-License-Identifier: Apache-2.0

#include "tools/text_search/match_log.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/text_search/input_file.h"
#include "tools/text_search/output.h"

namespace text_search {
namespace {

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

}  // namespace text_search
