// SPDX-License-Identifier: Apache-2.0
//
// Finds the lines that contain a string, block by block, so that a file of any size with lines of
// any length takes bounded memory, and so that its blocks can be scanned in parallel.
//
//   file:     aaa \n bbbbbbbb \n cc \n ddddddddd ...
//   block:           [  bbbb \n cc \n ddd  ]
//                      head    inner   tail
//
// A match counts for the block in which it starts, so each block is scanned with the first bytes of
// the next one behind it. A block's inner lines are its own. Its head belongs to a line that began
// in an earlier block, and the line of its tail ends in a later one: a LineJoiner, which gets the
// blocks in order, puts those together. Without a newline in it, a block is all head.
//
//   auto print = [](std::uint64_t line) { std::cout << "line at byte " << line << '\n'; };
//   LineJoiner joiner;
//   joiner.add(scan_block("ab\ncab", 6, 0, "ab", print), print);
//   joiner.finish(print);  // lines at byte 0 and 3
//
// A line is named by the offset of its first byte. The string must contain no newline.

#ifndef TOOLS_TEXT_SEARCH_LINE_SCANNER_H_
#define TOOLS_TEXT_SEARCH_LINE_SCANNER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace text_search {

// What a LineJoiner needs to know of a block.
struct BlockEdges {
  bool head_matches = false;
  bool has_newline = false;
  bool tail_matches = false;     // This and the next are about blocks with a newline.
  std::uint64_t tail_begin = 0;  // Where the line of the tail begins.
};

// Returns where `needle` is in [begin, end), or nullptr.
inline const char* find_text(const char* begin, const char* end, std::string_view needle) {
  return static_cast<const char*>(
      ::memmem(begin, static_cast<std::size_t>(end - begin), needle.data(), needle.size()));
}

// Calls `on_line(offset)` for each inner line that contains `needle`, in order. `text` is the
// block, which is at `offset` in its file and `block_size` bytes long, and then up to needle.size()
// - 1 bytes more.
template <typename OnLine>
BlockEdges scan_block(std::string_view text, std::size_t block_size, std::uint64_t offset,
                      std::string_view needle, const OnLine& on_line) {
  const char* const begin = text.data();
  const char* const text_end = begin + text.size();

  BlockEdges edges;
  const auto* const first = static_cast<const char*>(std::memchr(begin, '\n', block_size));
  if (first == nullptr) {
    edges.head_matches = find_text(begin, text_end, needle) != nullptr;
    return edges;
  }
  const char* const tail = static_cast<const char*>(::memrchr(begin, '\n', block_size)) + 1;
  edges.head_matches = find_text(begin, first, needle) != nullptr;
  edges.has_newline = true;
  edges.tail_matches = find_text(tail, text_end, needle) != nullptr;
  edges.tail_begin = offset + static_cast<std::uint64_t>(tail - begin);

  const char* rest = first + 1;
  while (const char* match = find_text(rest, tail, needle)) {
    const void* before = ::memrchr(rest, '\n', static_cast<std::size_t>(match - rest));
    const char* line = before != nullptr ? static_cast<const char*>(before) + 1 : rest;
    on_line(offset + static_cast<std::uint64_t>(line - begin));
    // There is one: tail[-1] is a newline.
    rest =
        static_cast<const char*>(std::memchr(match, '\n', static_cast<std::size_t>(tail - match))) +
        1;
  }
  return edges;
}

// Puts the lines together that cross the borders of blocks.
class LineJoiner {
 public:
  // Takes the next block, and calls `on_line(offset)` if a line ends in it that began before it and
  // contains the string.
  template <typename OnLine>
  void add(const BlockEdges& block, const OnLine& on_line) {
    matches_ = matches_ || block.head_matches;
    if (block.has_newline) {
      finish(on_line);
      begin_ = block.tail_begin;
      matches_ = block.tail_matches;
    }
  }

  // Ends the last line, which may lack its newline.
  template <typename OnLine>
  void finish(const OnLine& on_line) {
    if (matches_) {
      on_line(begin_);
      matches_ = false;
    }
  }

 private:
  std::uint64_t begin_ = 0;
  bool matches_ = false;
};

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_LINE_SCANNER_H_
