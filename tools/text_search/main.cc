// SPDX-License-Identifier: Apache-2.0
//
// The program `search`: help_text() in command_line.cc says what it does.

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "taskctx/attribution.h"
#include "taskctx/cancel.h"
#include "taskctx/job_pool.h"
#include "taskctx/version.h"
#include "tools/text_search/command_line.h"
#include "tools/text_search/engine.h"
#include "tools/text_search/files.h"
#include "tools/text_search/interrupt.h"
#include "tools/text_search/output.h"
#include "tools/text_search/report.h"
#include "tools/text_search/request_context.h"

namespace text_search {
namespace {

constexpr int kMatches = 0;
constexpr int kNoMatches = 1;
constexpr int kTrouble = 2;
constexpr int kTimeout = 124;      // As timeout(1) says it.
constexpr int kInterrupted = 130;  // As a shell says it.

int trouble(std::string_view message, std::string_view hint = "") {
  std::fprintf(stderr, "search: %.*s%.*s\n", static_cast<int>(message.size()), message.data(),
               static_cast<int>(hint.size()), hint.data());
  return kTrouble;
}

std::string_view message_of(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

// Tells whether a line that is drawn over and over makes sense there.
bool is_terminal(int descriptor) {
  const char* terminal = std::getenv("TERM");
  return ::isatty(descriptor) != 0 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

bool wants_colour(int descriptor) { return is_terminal(descriptor) && !is_set("NO_COLOR"); }

void report_problems(const Problems& problems, const char* what) {
  for (const std::string& example : problems.examples) {
    std::fprintf(stderr, "search: cannot read %s %s\n", what, example.c_str());
  }
  if (problems.count > problems.examples.size()) {
    std::fprintf(stderr, "search: cannot read %s: %llu more\n", what,
                 static_cast<unsigned long long>(problems.count - problems.examples.size()));
  }
}

// Adds another run's results. False if the runs have not found the same.
bool add(const SearchResult& run, SearchResult& total) {
  bool agrees = true;
  for (std::size_t i = 0; i < run.queries.size(); ++i) {
    const QueryResult& query = run.queries[i];
    QueryResult& sum = total.queries[i];
    // A query that was cut short has found enough lines, in whichever files.
    agrees = agrees && query.lines == sum.lines && query.stopped == sum.stopped &&
             (!query.stopped.empty() || query.files == sum.files);
    sum.wrong += query.wrong;
    sum.lost += query.lost;
    sum.cpu += query.cpu;
    sum.leaves += query.leaves;
    sum.leaves_elsewhere += query.leaves_elsewhere;
  }
  return agrees;
}

// Ends all that is below `scope`. For Ctrl-C.
void interrupt(taskctx::CancelScope& scope) {
  scope.cancel("interrupted");
  std::fprintf(stderr, "%ssearch: interrupted; Ctrl-C again ends it at once\n",
               is_terminal(STDERR_FILENO) ? "\r" : "");
}

int search_and_report(const CommandLine& command) {
  taskctx::CancelScope scope{{.timeout = command.timeout}};
  std::optional<OnInterrupt> on_interrupt(std::in_place, [&scope] { interrupt(scope); });
  absl::StatusOr<SourceTree> tree = list_files(command.root);
  if (!tree.ok()) {
    return trouble(message_of(tree.status()));
  }

  Output out(STDOUT_FILENO);
  std::atomic<std::uint64_t> files_done{0};
  SearchOptions options{.carrier = command.carrier,
                        .budget = command.budget,
                        .max_matches = command.max_matches,
                        .matches = command.matches ? &out : nullptr,
                        .files_done = &files_done};
  const taskctx::Attribution<std::string> account{request_id};
  SearchResult result;
  bool agrees = true;
  {
    const std::uint64_t visits = tree->files.size() * command.queries.size();
    const bool shows_lines_there = command.matches && ::isatty(STDOUT_FILENO) != 0;
    const Progress progress(files_done, visits * static_cast<std::uint64_t>(command.repeat),
                            is_terminal(STDERR_FILENO) && !shows_lines_there);
    taskctx::JobPoolOptions pool_options{.concurrency = command.threads};
    if (command.account) {
      pool_options.attribution = account;
    }
    taskctx::JobPool pool(pool_options);
    result = search(pool, *tree, command.queries, options);
    options.matches = nullptr;
    for (int run = 1; run < command.repeat && !taskctx::cancelled(); ++run) {
      const SearchResult again = search(pool, *tree, command.queries, options);
      agrees = (add(again, result) || taskctx::cancelled()) && agrees;
    }
  }
  on_interrupt.reset();  // From here on, Ctrl-C ends the program.
  const absl::Status stopped = taskctx::cancel_reason();
  out.flush();

  report_problems(tree->unreadable_folders, "folder");
  report_problems(result.unreadable_files, "file");
  const Account totals = account.totals();
  const Report report{command, *tree, result, totals, stopped.ok() ? "" : word_for(stopped)};
  if (command.format == Format::json) {
    out.write(format_json(report));
  } else if (command.matches) {
    std::fputs(format_table(report, wants_colour(STDERR_FILENO)).c_str(), stderr);
  } else {
    out.write(format_table(report, wants_colour(STDOUT_FILENO)));
  }
  out.flush();
  if (!stopped.ok()) {
    return absl::IsDeadlineExceeded(stopped) ? kTimeout : kInterrupted;
  }
  if (!agrees) {
    return trouble("the runs have found different lines: were files changed meanwhile?");
  }
  for (const QueryResult& query : result.queries) {
    if (query.lines != 0) {
      return kMatches;
    }
  }
  return kNoMatches;
}

int print(std::string_view text) {
  Output out(STDOUT_FILENO);
  out.write(text);
  out.flush();
  return 0;
}

int run(int argc, char** argv) {
  // Else the first file that is opened would be taken for it.
  if (::fcntl(STDOUT_FILENO, F_GETFD) < 0) {
    return trouble("cannot write results: stdout is closed");
  }
  const absl::StatusOr<CommandLine> command = parse_command_line(argc, argv);
  if (!command.ok()) {
    return trouble(message_of(command.status()), "; try --help");
  }
  switch (command->action) {
    case Action::show_help:
      return print(help_text());
    case Action::show_version:
      return print("search (taskctx) " + std::string(taskctx::version()) + "\n");
    case Action::search:
      break;
  }
  return search_and_report(*command);
}

}  // namespace
}  // namespace text_search

int main(int argc, char** argv) {
  try {
    return text_search::run(argc, argv);
  } catch (const std::exception& error) {
    return text_search::trouble(error.what());
  }
}
