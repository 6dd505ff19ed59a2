// SPDX-License-Identifier: Apache-2.0
//
// Output: a buffered stream to a file descriptor that never loses an error.
//
//   Output out(STDOUT_FILENO);
//   out.write("text");
//   out.flush();  // std::system_error if the disk is full
//
// Threads: one at a time.

#ifndef TOOLS_TEXT_SEARCH_OUTPUT_H_
#define TOOLS_TEXT_SEARCH_OUTPUT_H_

#include <string>
#include <string_view>

namespace text_search {

class Output {
 public:
  explicit Output(int descriptor) : descriptor_(descriptor) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() = default;  // What was not flushed is dropped: there is no way left to report an error.

  // Appends `text`. Throws std::system_error if it cannot be written.
  void write(std::string_view text);

  // Writes out what is still in the buffer. Throws likewise.
  void flush();

 private:
  int descriptor_;
  std::string buffer_;
};

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_OUTPUT_H_
