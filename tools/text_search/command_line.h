// SPDX-License-Identifier: Apache-2.0
//
// The command line of the program `search`, read and checked.
//
//   absl::StatusOr<CommandLine> command = parse_command_line(argc, argv);
//   if (!command.ok()) { return usage_error(command.status().message()); }

#ifndef TOOLS_TEXT_SEARCH_COMMAND_LINE_H_
#define TOOLS_TEXT_SEARCH_COMMAND_LINE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tools/text_search/carrier.h"
#include "tools/text_search/request_context.h"

namespace text_search {

enum class Format { table, json };
enum class Action { search, show_help, show_version };

struct CommandLine {
  Action action = Action::search;

  // All below is for Action::search only.
  std::string root = {};
  std::vector<Query> queries = {};
  Carrier carrier = Carrier::context;
  Format format = Format::table;
  bool matches = false;
  bool account = false;
  int threads = 0;
  int repeat = 0;
  std::uint64_t budget = 0;
  std::uint64_t max_matches = 0;
  absl::Duration timeout = absl::InfiniteDuration();
};

// Returns what --help prints.
std::string_view help_text();

// Reads flags, root and queries, with those of --queries. The flags are Abseil's, but their values
// are taken from here alone: nothing of Abseil's own acts on the command line. Errors are one
// sentence that names the culprit.
absl::StatusOr<CommandLine> parse_command_line(int argc, const char* const* argv);

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_COMMAND_LINE_H_
