// SPDX-License-Identifier: Apache-2.0

#include "tools/text_search/engine.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "taskctx/cancel.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "tools/text_search/carrier.h"
#include "tools/text_search/files.h"
#include "tools/text_search/ledger.h"
#include "tools/text_search/output.h"
#include "tools/text_search/query_job.h"
#include "tools/text_search/request_context.h"

namespace text_search {
namespace {

std::size_t longest_text(const std::vector<Query>& queries) {
  std::size_t longest = 1;
  for (const Query& query : queries) {
    longest = std::max(longest, query.text.size());
  }
  return longest;
}

using Turns = std::counting_semaphore<>;

struct GiveBack {
  void operator()(Turns* turns) const noexcept { turns->release(); }
};
// A job's turn. It belongs to the job's function, and so ends with it, also if that is never
// called.
using Turn = std::unique_ptr<Turns, GiveBack>;

Turn next_turn(Turns& turns) {
  turns.acquire();
  return Turn(&turns);
}

// Returns the result of a job, which has none if it was cancelled before it began.
QueryResult result_of(taskctx::Job<QueryResult>& job, const Query& query) {
  try {
    return job.get();
  } catch (const taskctx::Cancelled& cancelled) {
    return {.request = query.request, .user = query.user, .stopped = word_for(cancelled.status())};
  }
}

// Submits one job per query, each from a context of its own, and waits for all of them. Half as
// many are in work at once as there are threads: with as many as that, each thread would be busy
// with a job of its own, and all would end last. This way jobs get help, and the first end early.
template <typename Carrier>
std::vector<QueryResult> run_jobs(taskctx::JobPool& pool, const std::vector<Query>& queries,
                                  const SharedState& shared, MatchPrinter* printer) {
  Turns turns(std::max(1, pool.concurrency() / 2));
  std::vector<taskctx::Job<QueryResult>> jobs;
  jobs.reserve(queries.size());  // A job that has started always has its handle.
  // They refer to what is on this stack: none may go on when an exception leaves it.
  const absl::Cleanup wait_for_all = [&jobs] {
    const taskctx::Shield shield;
    for (const taskctx::Job<QueryResult>& job : jobs) {
      if (job.valid()) {
        job.wait();
      }
    }
  };
  for (std::size_t index = 0; index < queries.size(); ++index) {
    const Query& query = queries[index];
    const auto budget =
        std::make_shared<MatchBudget>(std::min(shared.options.budget, shared.options.max_matches));
    const taskctx::Scope scope{request_id, query.request, user, query.user, match_budget, budget};
    jobs.push_back(pool.submit([turn = next_turn(turns), &shared, &query, index, printer] {
      std::optional<MatchLog> log;
      if (printer != nullptr) {
        log.emplace(*printer);
      }
      const taskctx::Scope logged{match_log, log ? &*log : nullptr};
      return QueryJob<Carrier>(shared, query, index).run();
    }));
  }
  // Waits for cancelled jobs, too: they have found something.
  const taskctx::Shield shield;
  std::vector<QueryResult> results;
  results.reserve(jobs.size());
  for (std::size_t index = 0; index < jobs.size(); ++index) {
    results.push_back(result_of(jobs[index], queries[index]));
  }
  return results;
}

std::vector<QueryResult> run_jobs(taskctx::JobPool& pool, const std::vector<Query>& queries,
                                  const SharedState& shared, MatchPrinter* printer) {
  switch (shared.options.carrier) {
    case Carrier::context:
      return run_jobs<ContextCarrier>(pool, queries, shared, printer);
    case Carrier::thread_local_variable:
      return run_jobs<ThreadLocalCarrier>(pool, queries, shared, printer);
    case Carrier::parameter:
      return run_jobs<ParameterCarrier>(pool, queries, shared, printer);
  }
  return {};
}

}  // namespace

std::string word_for(const absl::Status& reason) {
  return absl::IsDeadlineExceeded(reason) ? "timeout" : std::string(reason.message());
}

SearchResult search(taskctx::JobPool& pool, const SourceTree& tree,
                    const std::vector<Query>& queries, const SearchOptions& options) {
  BufferPool buffers(options.block_bytes + longest_text(queries));
  Ledger ledger(queries);
  FileStates states(tree.files.size());
  const SharedState shared{tree, options, buffers, ledger, states};
  std::optional<MatchPrinter> printer;
  if (options.matches != nullptr) {
    printer.emplace(*options.matches);
  }

  SearchResult result;
  result.queries = run_jobs(pool, queries, shared, printer ? &*printer : nullptr);
  result.files_searched = states.count(FileState::text);
  result.files_binary = states.count(FileState::binary);
  result.unreadable_files = states.unreadable();
  return result;
}

}  // namespace text_search
