// SPDX-License-Identifier: Apache-2.0
//
// What the program writes while it searches: lines on stdout, and how far it is on stderr.
//
//   Output out(STDOUT_FILENO);
//   MatchPrinter printer(out);
//   MatchLog log(printer);         // one for each query
//   log.add(path, line, request);  // in leaves
//   log.print();                   // between two parallel loops: "request<TAB>path:text"
//   out.flush();                   // std::system_error if the disk is full

#ifndef TOOLS_TEXT_SEARCH_OUTPUT_H_
#define TOOLS_TEXT_SEARCH_OUTPUT_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace text_search {

// A buffered stream to a file descriptor that never loses an error. Threads: one at a time.
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

// The one place where the lines of all queries go, whole lines only.
struct MatchPrinter {
  explicit MatchPrinter(Output& output) : out(output) {}

  std::mutex mutex;  // Guards `out`.
  Output& out;
};

// Collects the places of one query's matching lines, in whatever order the leaves find them, and
// prints the lines in the order of the files.
//
// It keeps where lines are, not what is in them; the texts are read again for printing, piece by
// piece. So its size is bounded by the number of lines between two calls of print().
//
// Threads: all calls are thread-safe.
class MatchLog {
 public:
  explicit MatchLog(MatchPrinter& printer) : printer_(printer) {}

  // Adds the line that begins at byte `line` of the file at `path`. `request` is nullptr if nobody
  // knows whose it is. Both strings must live until they are printed.
  void add(const std::string& path, std::uint64_t line, const std::string* request);

  // Prints what was added since the last call. Throws std::system_error if it cannot be written.
  void print();

 private:
  struct Entry {
    const std::string* path;
    std::uint64_t line;
    const std::string* request;
  };

  std::mutex mutex_;  // Comes before the printer's.
  std::vector<Entry> entries_;
  MatchPrinter& printer_;
};

// A line on the terminal that says how far the search is.
//
//   std::atomic<std::uint64_t> done{0};
//   const Progress progress(done, total, /*visible=*/isatty(STDERR_FILENO));
//   ...  // counts in `done`
//
// Plain text on stderr, redrawn a few times per second by a thread of its own, and wiped out in the
// end. Does nothing if it is not visible. Lifetime: `done` outlives it.
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

#endif  // TOOLS_TEXT_SEARCH_OUTPUT_H_
