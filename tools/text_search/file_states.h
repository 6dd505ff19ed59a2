// SPDX-License-Identifier: Apache-2.0
//
// FileStates: what became of each file, whichever queries have looked into it.
//
//   states.note(file, FileState::binary);            // by each job
//   states.note_unreadable(file, path, EACCES);      // likewise
//   states.count(FileState::binary);                 // at the end: files, not visits
//
// Threads: the note functions are thread-safe; the others are for the time after the jobs.

#ifndef TOOLS_TEXT_SEARCH_FILE_STATES_H_
#define TOOLS_TEXT_SEARCH_FILE_STATES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "tools/text_search/problems.h"

namespace text_search {

// In ascending order of what counts, should queries disagree because a file has changed.
enum class FileState : std::uint8_t { unvisited, text, binary, unreadable };

class FileStates {
 public:
  explicit FileStates(std::size_t files) : states_(files) {}

  // Returns whether this is news.
  bool note(std::size_t file, FileState state) noexcept {
    FileState known = states_[file].load(std::memory_order_relaxed);
    while (known < state) {
      if (states_[file].compare_exchange_weak(known, state, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

  // `error` is an errno.
  void note_unreadable(std::size_t file, const std::string& path, int error) {
    if (note(file, FileState::unreadable)) {
      const std::lock_guard lock(mutex_);
      unreadable_.add(path, error);
    }
  }

  [[nodiscard]] std::uint64_t count(FileState state) const {
    std::uint64_t count = 0;
    for (const std::atomic<FileState>& each : states_) {
      count += each.load(std::memory_order_relaxed) == state ? 1 : 0;
    }
    return count;
  }

  [[nodiscard]] const Problems& unreadable() const noexcept { return unreadable_; }

 private:
  std::vector<std::atomic<FileState>> states_;
  std::mutex mutex_;
  Problems unreadable_;
};

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_FILE_STATES_H_
