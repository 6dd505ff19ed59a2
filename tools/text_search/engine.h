// SPDX-License-Identifier: Apache-2.0
//
// The engine: many users' queries at once over one source tree, on one pool.
//
//   taskctx::JobPool pool{{.concurrency = 8}};
//   SearchResult result = search(pool, *list_files("/usr/include"), queries, {});
//   result.queries[0].lines;  // as grep -rIcF would count them
//
// Each query is a job of the pool, whose context holds its request_id, user and match_budget. It
// goes through the files in a parallel loop, and through the blocks of large files in one within
// that. What it finds is recorded several calls down, on whichever thread has stolen that leaf.
//
// Cancelled, by a CancelScope around search() or by its own limit, a query ends early, with what it
// has found until then as its result.
//
// Memory: a few blocks per thread, whatever the size of a file or a line.
// Errors: std::system_error if matches cannot be written, std::bad_alloc. Files that cannot be read
// are counted.

#ifndef TOOLS_TEXT_SEARCH_ENGINE_H_
#define TOOLS_TEXT_SEARCH_ENGINE_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "taskctx/job_pool.h"
#include "tools/text_search/carrier.h"
#include "tools/text_search/files.h"
#include "tools/text_search/output.h"
#include "tools/text_search/request_context.h"

namespace text_search {

// Returns the reason of a cancel in a word: "timeout", or what was given to cancel().
std::string word_for(const absl::Status& reason);

struct SearchOptions {
  Carrier carrier = Carrier::context;

  // How many lines each query may find.
  std::uint64_t budget = MatchBudget::kUnlimited;

  // After how many lines a query ends, at once, while the others go on. With the budget it goes on
  // until it finds one line more.
  std::uint64_t max_matches = MatchBudget::kUnlimited;

  // Where the matching lines go, as "request<TAB>path:line"; nullptr if they are only counted.
  Output* matches = nullptr;

  // Counts the files that are done, once per query; may be nullptr.
  std::atomic<std::uint64_t>* files_done = nullptr;

  // Files of more bytes are searched in parallel blocks of that size.
  std::size_t block_bytes = std::size_t{256} << 10;

  // How many blocks of one file are in work at a time.
  std::size_t window_blocks = 8;

  // Is called at the beginning of each leaf, on its thread, with the index of its query.
  std::function<void(std::size_t query)> on_leaf = {};
};

struct QueryResult {
  std::string request = {};  // As the job's context has it; and so has the user.
  std::string user = {};
  std::uint64_t files = 0;          // In which there is at least one matching line.
  std::uint64_t lines = 0;          // That contain the string; those that follow are some of them.
  std::uint64_t wrong = 0;          // Credited to another request.
  std::uint64_t lost = 0;           // Credited to none.
  std::string stopped = {};         // Why it ended early, in a word; empty if it is whole.
  std::chrono::nanoseconds cpu{0};  // Used in leaves.
  std::uint64_t leaves = 0;         // Pieces of work.
  std::uint64_t leaves_elsewhere = 0;  // Of those, how many ran on another thread than the job.
};

struct SearchResult {
  std::vector<QueryResult> queries;  // As the queries were given.
  std::uint64_t files_searched = 0;
  std::uint64_t files_binary = 0;  // Skipped: they contain a NUL byte.
  Problems unreadable_files;
};

// Searches all files of `tree` for all queries, whose requests differ, and waits: not to be called
// in a job of that pool. `stopped` is "max-matches", "budget", "timeout" if a deadline has passed,
// or what was given to the cancel() of a scope around; a query that had not begun has no lines
// then.
SearchResult search(taskctx::JobPool& pool, const SourceTree& tree,
                    const std::vector<Query>& queries, const SearchOptions& options);

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_ENGINE_H_
