// SPDX-License-Identifier: Apache-2.0

#include "tools/text_search/command_line.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tools/text_search/carrier.h"
#include "tools/text_search/request_context.h"

namespace text_search {

// Types of flags that admit only what makes sense, with messages that say what does.
struct SmallCount {
  int value = 1;  // From 1 to 1000.
};

struct LineCount {
  std::uint64_t value = 1;  // From 1, or MatchBudget::kUnlimited: "unlimited" on the command line.
};

struct TimeLimit {
  absl::Duration value = absl::InfiniteDuration();  // Positive; infinite only if none is given.
};

// As ABSL_FLAG wants them.
std::string AbslUnparseFlag(const SmallCount& count) { return std::to_string(count.value); }

std::string AbslUnparseFlag(const LineCount& count) {
  return count.value == MatchBudget::kUnlimited ? "unlimited" : std::to_string(count.value);
}

std::string AbslUnparseFlag(const TimeLimit& limit) { return absl::FormatDuration(limit.value); }

std::string AbslUnparseFlag(Carrier carrier) { return std::string(carrier_name(carrier)); }

std::string AbslUnparseFlag(Format format) { return format == Format::table ? "table" : "json"; }

bool AbslParseFlag(absl::string_view text, SmallCount* count, std::string* error) {
  if (absl::SimpleAtoi(text, &count->value) && count->value >= 1 && count->value <= 1000) {
    return true;
  }
  *error = "it is a whole number from 1 to 1000";
  return false;
}

bool AbslParseFlag(absl::string_view text, LineCount* count, std::string* error) {
  if (text == "unlimited") {
    count->value = MatchBudget::kUnlimited;
    return true;
  }
  if (absl::SimpleAtoi(text, &count->value) && count->value >= 1) {
    return true;
  }
  *error = "it is a whole number from 1, or 'unlimited'";
  return false;
}

bool AbslParseFlag(absl::string_view text, TimeLimit* limit, std::string* error) {
  if (absl::ParseDuration(text, &limit->value) && limit->value > absl::ZeroDuration() &&
      limit->value < absl::InfiniteDuration()) {
    return true;
  }
  *error = "it is a time longer than 0 with its unit, such as 200ms, 5s or 1m30s";
  return false;
}

bool AbslParseFlag(absl::string_view text, Carrier* carrier, std::string* error) {
  for (const Carrier each :
       {Carrier::context, Carrier::thread_local_variable, Carrier::parameter}) {
    if (text == AbslUnparseFlag(each)) {
      *carrier = each;
      return true;
    }
  }
  *error = "it is 'context', 'thread_local' or 'parameter'";
  return false;
}

bool AbslParseFlag(absl::string_view text, Format* format, std::string* error) {
  for (const Format each : {Format::table, Format::json}) {
    if (text == AbslUnparseFlag(each)) {
      *format = each;
      return true;
    }
  }
  *error = "it is 'table' or 'json'";
  return false;
}

}  // namespace text_search

ABSL_FLAG(text_search::SmallCount, threads, text_search::SmallCount{8}, "threads of the pool");
ABSL_FLAG(text_search::SmallCount, repeat, text_search::SmallCount{1}, "how often to search");
ABSL_FLAG(text_search::LineCount, budget,
          text_search::LineCount{text_search::MatchBudget::kUnlimited}, "lines per query");
ABSL_FLAG(text_search::LineCount, max_matches,
          text_search::LineCount{text_search::MatchBudget::kUnlimited}, "lines that end a query");
ABSL_FLAG(text_search::TimeLimit, timeout, text_search::TimeLimit{}, "for all of it");
ABSL_FLAG(text_search::Carrier, carrier, text_search::Carrier::context, "what carries the id");
ABSL_FLAG(text_search::Format, format, text_search::Format::table, "of the results");
ABSL_FLAG(bool, matches, false, "print the lines");
ABSL_FLAG(bool, account, false, "show who used the pool");
ABSL_FLAG(std::string, queries, "", "a file with queries");

namespace text_search {
namespace {

constexpr std::array<std::string_view, 2> kSwitches = {"matches", "account"};  // Need no value.
constexpr std::array<std::string_view, 8> kFlags = {"threads", "repeat",  "budget", "max-matches",
                                                    "timeout", "carrier", "format", "queries"};

template <typename Names>
bool is_in(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string quoted(std::string_view word) { return "'" + std::string(word) + "'"; }

absl::Status invalid(const std::string& message) { return absl::InvalidArgumentError(message); }

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// Reads "id=fixed string". The first '=' ends the id.
absl::StatusOr<Query> parse_query(std::string_view argument) {
  const std::string name = "query " + quoted(argument);
  const std::size_t equals = argument.find('=');
  if (equals == std::string_view::npos) {
    return invalid(name + " is not of the form id=string");
  }
  Query query;
  query.request = argument.substr(0, equals);
  query.text = argument.substr(equals + 1);
  if (query.request.empty()) {
    return invalid(name + " has no id");
  }
  if (std::any_of(query.request.begin(), query.request.end(), is_control)) {
    return invalid("the id of " + name + " has a control character");
  }
  if (query.text.empty()) {
    return invalid(name + " has nothing to look for");
  }
  if (query.text.find('\n') != std::string::npos) {
    return invalid("the string of query '" + query.request + "' has more than one line");
  }
  const std::size_t slash = query.request.find('/');
  query.user =
      slash == std::string::npos || slash == 0 ? "anonymous" : query.request.substr(0, slash);
  return query;
}

// Reads one query per line of the file and appends them to `queries`.
absl::Status read_queries(const std::string& path, std::vector<Query>& queries) {
  std::ifstream file(path);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    absl::StatusOr<Query> query = parse_query(line);
    if (!query.ok()) {
      return invalid(path + ":" + std::to_string(number) + ": " +
                     std::string(query.status().message()));
    }
    queries.push_back(*std::move(query));
  }
  if (!file.eof() || file.bad()) {
    return invalid("cannot read queries from " + path + ": " + std::strerror(errno));
  }
  return absl::OkStatus();
}

// Finds out whether two queries share a name.
absl::Status check_distinct(const std::vector<Query>& queries) {
  std::set<std::string_view> seen;
  for (const Query& query : queries) {
    if (!seen.insert(query.request).second) {
      return invalid("two queries have the id '" + query.request + "'");
    }
  }
  return absl::OkStatus();
}

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

    // Abseil's names have no dashes.
    const std::string known_name = absl::StrReplaceAll({name.data(), name.size()}, {{"-", "_"}});
    std::string error;
    if (!absl::FindCommandLineFlag(known_name)->ParseFrom(value, &error)) {
      return invalid(absl::StrReplaceAll(error, {{"'" + known_name + "'", quoted(name)}}));
    }
    return absl::OkStatus();
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
  command.max_matches = absl::GetFlag(FLAGS_max_matches).value;
  command.timeout = absl::GetFlag(FLAGS_timeout).value;
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

std::string_view help_text() {
  return R"(Usage: search [options] ROOT QUERY...

Searches the files below ROOT for the fixed strings of many users at once, on one pool of threads,
and counts the matching lines of each query, as LC_ALL=C grep -rIcF does.

ROOT is a folder, or a single file. Symbolic links that are met on the way are not followed; files
with a NUL byte are binary and skipped; so are devices, pipes and sockets.

QUERY is id=string. The id names the request in the results; what is before its first '/', if it
has one, names the user, who is otherwise "anonymous". The string is all that is behind the first
'='; it is one line and not empty.

Options:
  --queries=FILE   also take queries from FILE, one per line
  --matches        print the matching lines, as request<TAB>path:line, in the order of the files;
                   the table goes to stderr then
  --account        show which request used the pool: how long its jobs were queued, and their CPU time
  --max-matches=N  end a query as soon as it has found N lines, whichever come first; the others go on
  --budget=N       likewise, but look for one line more first: if there is none, the query is whole.
                   Both are unlimited by default.
  --timeout=TIME   end all queries when TIME has passed, such as 200ms, 5s or 1m30s, and print what
                   they have found. It counts for the whole run, with listing and --repeat.
  --threads=N      threads of the pool (default: 8)
  --repeat=N       search N times. Files and lines are those of one time, and must agree; all else
                   in the results is the sum. --matches prints the lines of the first time.
  --format=FORMAT  table (default), or json: an object for programs
  --carrier=NAME   how a request's id reaches the function that records a match:
                     context       in the job's context, which follows it to other threads (default)
                     thread_local  in a thread_local variable that is set where the job starts
                     parameter     as a parameter of each function in between
  -h, --help       print this
  --version        print the version
  --               end of the options

The table has, for each query:
  files            files with at least one matching line
  lines            matching lines; with a '+' the query ended early, and there may be more
  CPU ms           CPU time in the leaves of the job's parallel loops
  wrong            lines that the carrier credited to another request than the query's
  lost             lines that it credited to none. With --matches their request is shown as '?'.
An audit, to which the true query is handed along beside the carrier, counts the last two. They are
0 unless the carrier is thread_local: a leaf that another thread has stolen does not see it. At most
half as many jobs as there are threads are in work at once, so that each has threads to help it.
If a query ended early, there is one more column:
  stopped          why: max-matches, budget, timeout or interrupted

Ctrl-C (SIGINT) ends all queries, and what they have found is printed. The second one ends the program
at once.

The JSON object has root, carrier, threads, repeat, files_searched, files_binary, files_unreadable,
folders_unreadable, leaves, leaves_elsewhere (on another thread than their job's), and queries: a
list of objects with request, user, text, files, lines, truncated, cpu_ms, wrong, lost, leaves and
leaves_elsewhere. A query that ended early is truncated and has also stopped: why, as in the table.
So has the whole object if the timeout or Ctrl-C has ended it. With --account there is also account,
a list of objects with request, jobs, queue_ms and cpu_ms. The account's CPU time is that of the jobs'
own threads, what other threads do for their loops is not in it. Bytes that are not UTF-8 are shown
as U+FFFD there.

Exit status: 0 if a line matches, 1 if none does, 2 for a bad command line, an unreadable ROOT, or
results that cannot be written. Unreadable files are counted and reported; they do not change it.
124 if the timeout ended it, 130 if Ctrl-C did: the results are partial then, and say so.

Examples:
  search /usr/include carol/q1=size_t dave/q2=noexcept
  search --matches --max-matches=3 --timeout=5s . 'loops=parallel_for('
)";
}

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
