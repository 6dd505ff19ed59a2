// SPDX-License-Identifier: Apache-2.0
//
// Progress: a line on the terminal that says how far the search is.
//
//   std::atomic<std::uint64_t> done{0};
//   const Progress progress(done, total, /*visible=*/isatty(STDERR_FILENO));
//   ...  // counts in `done`
//
// Plain text on stderr, redrawn a few times per second by a thread of its own, and wiped out in the
// end. Does nothing if it is not visible.
//
// Lifetime: `done` outlives it.

#ifndef TOOLS_TEXT_SEARCH_PROGRESS_H_
#define TOOLS_TEXT_SEARCH_PROGRESS_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace text_search {

class Progress {
 public:
  Progress(const std::atomic<std::uint64_t>& done, std::uint64_t total, bool visible);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

 private:
  void run();

  const std::atomic<std::uint64_t>& done_;
  const std::uint64_t total_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_over_ = false;
  std::thread thread_;
};

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_PROGRESS_H_
