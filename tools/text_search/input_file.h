// SPDX-License-Identifier: Apache-2.0
//
// InputFile: an open file that any number of threads read from at once.
//
//   const InputFile file("/etc/hosts");
//   if (!file.is_open()) { report(file.error()); }
//   file.read(/*offset=*/0, buffer, sizeof(buffer));  // how many bytes there were
//
// Read with pread, never mapped: a file that shrinks meanwhile must not end the program.

#ifndef TOOLS_TEXT_SEARCH_INPUT_FILE_H_
#define TOOLS_TEXT_SEARCH_INPUT_FILE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace text_search {

class InputFile {
 public:
  // Opens a regular file. Never waits, whatever is behind the path.
  explicit InputFile(const std::string& path);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }

  // Returns why the file could not be opened or read, as an errno; 0 if nothing went wrong.
  [[nodiscard]] int error() const noexcept { return error_.load(std::memory_order_relaxed); }

  // Returns how large the file was when it was opened. Files of /proc say 0.
  [[nodiscard]] std::uint64_t size_hint() const noexcept { return size_hint_; }

  // Fills `buffer` with what is at `offset` and returns how many bytes that were: fewer than
  // `capacity` only at the end of the file. nullopt if it cannot be read.
  std::optional<std::size_t> read(std::uint64_t offset, char* buffer, std::size_t capacity) const;

 private:
  int descriptor_ = -1;
  std::uint64_t size_hint_ = 0;
  mutable std::atomic<int> error_{0};
};

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_INPUT_FILE_H_
