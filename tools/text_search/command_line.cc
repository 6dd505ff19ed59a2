// SPDX-License-Identifier: Apache-2.0

#include "tools/text_search/command_line.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/text_search/carrier.h"
#include "tools/text_search/flag_types.h"
#include "tools/text_search/query.h"
#include "tools/text_search/request_context.h"

ABSL_FLAG(text_search::SmallCount, threads, text_search::SmallCount{8}, "threads of the pool");
ABSL_FLAG(text_search::SmallCount, repeat, text_search::SmallCount{1}, "how often to search");
ABSL_FLAG(text_search::LineCount, budget,
          text_search::LineCount{text_search::MatchBudget::kUnlimited}, "lines per query");
ABSL_FLAG(text_search::Carrier, carrier, text_search::Carrier::context, "what carries the id");
ABSL_FLAG(text_search::Format, format, text_search::Format::table, "of the results");
ABSL_FLAG(bool, matches, false, "print the lines");
ABSL_FLAG(bool, account, false, "show who used the pool");
ABSL_FLAG(std::string, queries, "", "a file with queries");

namespace text_search {
namespace {

constexpr std::array<std::string_view, 2> kSwitches = {"matches", "account"};  // Need no value.
constexpr std::array<std::string_view, 6> kFlags = {"threads", "repeat", "budget",
                                                    "carrier", "format", "queries"};

template <typename Names>
bool is_in(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

absl::Status invalid(const std::string& message) { return absl::InvalidArgumentError(message); }

// Goes through the words of a command line.
class Reader {
 public:
  explicit Reader(std::vector<std::string_view> words) : words_(std::move(words)) {}

  // Tells whether a word is among those that may be options.
  [[nodiscard]] bool has(std::string_view word) const {
    const auto end = std::find(words_.begin(), words_.end(), "--");
    return std::find(words_.begin(), end, word) != end;
  }

  // Sets the flags, and returns the words that are not options.
  absl::StatusOr<std::vector<std::string_view>> read() {
    std::vector<std::string_view> operands;
    while (next_ < words_.size()) {
      const std::string_view word = words_[next_++];
      if (word == "--") {
        operands.insert(operands.end(), words_.begin() + static_cast<std::ptrdiff_t>(next_),
                        words_.end());
        break;
      }
      if (word.size() < 2 || word[0] != '-') {
        operands.push_back(word);
      } else if (absl::Status status = read_flag(word); !status.ok()) {
        return status;
      }
    }
    return operands;
  }

 private:
  // Sets the flag in `word`: -name=value or --name=value, or its value is the next word.
  absl::Status read_flag(std::string_view word) {
    std::string_view name = word.substr(word[1] == '-' ? 2 : 1);
    const std::size_t equals = name.find('=');
    const bool has_value = equals != std::string_view::npos;
    std::string value(has_value ? name.substr(equals + 1) : std::string_view());
    name = name.substr(0, equals);

    if (!has_value && name.substr(0, 2) == "no" && is_in(kSwitches, name.substr(2))) {
      name = name.substr(2);
      value = "false";
    } else if (!is_in(kFlags, name) && !is_in(kSwitches, name)) {
      return invalid("unknown option '" + std::string(word) + "'");
    } else if (!has_value && is_in(kSwitches, name)) {
      value = "true";
    } else if (!has_value) {
      if (next_ == words_.size()) {
        return invalid("option '" + std::string(word) + "' needs a value");
      }
      value = words_[next_++];
    }

    std::string error;
    absl::CommandLineFlag* flag =
        absl::FindCommandLineFlag(absl::string_view(name.data(), name.size()));
    return flag->ParseFrom(value, &error) ? absl::OkStatus() : invalid(error);
  }

  std::vector<std::string_view> words_;
  std::size_t next_ = 0;
};

// Takes over the values of the flags.
CommandLine with_flags() {
  CommandLine command;
  command.carrier = absl::GetFlag(FLAGS_carrier);
  command.format = absl::GetFlag(FLAGS_format);
  command.matches = absl::GetFlag(FLAGS_matches);
  command.account = absl::GetFlag(FLAGS_account);
  command.threads = absl::GetFlag(FLAGS_threads).value;
  command.repeat = absl::GetFlag(FLAGS_repeat).value;
  command.budget = absl::GetFlag(FLAGS_budget).value;
  return command;
}

// Takes root and queries.
absl::Status take(const std::vector<std::string_view>& operands, CommandLine& command) {
  if (operands.empty()) {
    return invalid("there is no ROOT to search");
  }
  command.root = operands[0];
  for (std::size_t i = 1; i < operands.size(); ++i) {
    absl::StatusOr<Query> query = parse_query(operands[i]);
    if (!query.ok()) {
      return query.status();
    }
    command.queries.push_back(*std::move(query));
  }
  if (const std::string file = absl::GetFlag(FLAGS_queries); !file.empty()) {
    if (absl::Status status = read_queries(file, command.queries); !status.ok()) {
      return status;
    }
  }
  if (command.queries.empty()) {
    return invalid("there is no QUERY to search for");
  }
  return check_distinct(command.queries);
}

}  // namespace

absl::StatusOr<CommandLine> parse_command_line(int argc, const char* const* argv) {
  Reader reader(std::vector<std::string_view>(argv + std::min(argc, 1), argv + argc));
  if (reader.has("-h") || reader.has("--help")) {
    return CommandLine{.action = Action::show_help};
  }
  if (reader.has("--version")) {
    return CommandLine{.action = Action::show_version};
  }
  const absl::StatusOr<std::vector<std::string_view>> operands = reader.read();
  if (!operands.ok()) {
    return operands.status();
  }
  CommandLine command = with_flags();
  if (absl::Status status = take(*operands, command); !status.ok()) {
    return status;
  }
  if (command.matches && command.format == Format::json) {
    return invalid("--matches prints lines, not JSON: leave out --format=json");
  }
  return command;
}

}  // namespace text_search
