// SPDX-License-Identifier: Apache-2.0
//
// The results of a search, for people and for programs.
//
//   const Report report{command, tree, result, totals, /*stopped=*/"timeout"};
//   out.write(format_table(report, /*colour=*/false));

#ifndef TOOLS_TEXT_SEARCH_REPORT_H_
#define TOOLS_TEXT_SEARCH_REPORT_H_

#include <string>

#include "taskctx/attribution.h"
#include "tools/text_search/command_line.h"
#include "tools/text_search/engine.h"
#include "tools/text_search/files.h"

namespace text_search {

using Account = taskctx::Attribution<std::string>::Totals;

struct Report {
  const CommandLine& command;
  const SourceTree& tree;
  const SearchResult& result;
  const Account& account;  // Shown if the command asks for it.
  std::string stopped;     // Why all of it ended early, in a word; empty if it did not.
};

// Returns an aligned table with a footer. With `colour`, what the carrier got wrong is red.
std::string format_table(const Report& report, bool colour);

// Returns one JSON object, as --help describes it, with a newline behind it.
std::string format_json(const Report& report);

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_REPORT_H_
