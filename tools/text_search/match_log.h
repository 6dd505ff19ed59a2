// SPDX-License-Identifier: Apache-2.0
//
// MatchLog: collects the places of one query's matching lines, in whatever order the leaves find
// them, and prints the lines in the order of the files.
//
//   MatchLog log(printer);
//   log.add(path, line, request);  // in leaves
//   log.print();                   // between two parallel loops: "request<TAB>path:text"
//
// It keeps where lines are, not what is in them; the texts are read again for printing, piece by
// piece. So its size is bounded by the number of lines between two calls of print().
//
// Threads: all calls are thread-safe.

#ifndef TOOLS_TEXT_SEARCH_MATCH_LOG_H_
#define TOOLS_TEXT_SEARCH_MATCH_LOG_H_

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "tools/text_search/output.h"

namespace text_search {

// The one place where the lines of all queries go, whole lines only.
struct MatchPrinter {
  explicit MatchPrinter(Output& output) : out(output) {}

  std::mutex mutex;  // Guards `out`.
  Output& out;
};

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

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_MATCH_LOG_H_
