// SPDX-License-Identifier: Apache-2.0
//
// Ledger: one row per request, to which matches are credited, and the audit that knows better.
//
//   ledger.record_match(path, line, carrier, Truth{query});  // deep in the search
//   ledger.row(query).lines();                               // when the job is done
//
// Threads: all calls are thread-safe.

#ifndef TOOLS_TEXT_SEARCH_LEDGER_H_
#define TOOLS_TEXT_SEARCH_LEDGER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "tools/text_search/output.h"
#include "tools/text_search/request_context.h"

namespace text_search {

// Handed along beside a match for the audit: the index of the query that it really belongs to.
struct Truth {
  std::size_t query;
};

class Ledger {
 public:
  // The lines that one query has found, by what became of them. Rows don't share cache lines.
  struct alignas(64) Row {
    std::atomic<std::uint64_t> right{0};  // Credited to this request.
    std::atomic<std::uint64_t> wrong{0};  // Credited to another request.
    std::atomic<std::uint64_t> lost{0};   // Credited to none: there was no request.

    [[nodiscard]] std::uint64_t lines() const noexcept { return right + wrong + lost; }
  };

  explicit Ledger(const std::vector<Query>& queries) : rows_(queries.size()) {
    for (std::size_t query = 0; query < queries.size(); ++query) {
      by_request_.emplace(queries[query].request, &rows_[query]);
    }
  }

  // Credits a matching line of the file at `path`, which must live until the job's match_log is
  // printed, to the request that the carrier names. False if the budget is used up: nothing is
  // recorded then.
  template <typename Carrier>
  bool record_match(const std::string& path, std::uint64_t line, Carrier carrier, Truth truth) {
    if (!match_budget.get()->take()) {
      return false;
    }
    const std::string* request = carrier.request();
    if (MatchLog* log = match_log.get()) {
      log->add(path, line, request);
    }
    Row* row = find(request);
    Row& true_row = rows_[truth.query];
    std::atomic<std::uint64_t>& count = row == &true_row ? row->right
                                        : row != nullptr ? true_row.wrong
                                                         : true_row.lost;
    count.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

  [[nodiscard]] const Row& row(std::size_t query) const { return rows_[query]; }

 private:
  // Returns the row of a request, nullptr if there is none.
  Row* find(const std::string* request) {
    if (request == nullptr) {
      return nullptr;
    }
    const auto found = by_request_.find(*request);
    return found != by_request_.end() ? found->second : nullptr;
  }

  std::vector<Row> rows_;
  std::unordered_map<std::string, Row*> by_request_;
};

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_LEDGER_H_
