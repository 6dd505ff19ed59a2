// SPDX-License-Identifier: Apache-2.0
//
// A query, and what the context of its job holds.
//
//   taskctx::Scope scope{request_id, "carol/q7", user, "carol", match_budget, budget};
//   pool.submit([] { ... });  // reads them wherever it gets to, on whichever thread
//
// Nothing between the place where a job is submitted and the place where a match is recorded knows
// of these.

#ifndef TOOLS_TEXT_SEARCH_REQUEST_CONTEXT_H_
#define TOOLS_TEXT_SEARCH_REQUEST_CONTEXT_H_

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "taskctx/context_var.h"

namespace text_search {

class MatchLog;

// What one user looks for. On the command line: carol/q7=#include <vector>
struct Query {
  std::string request;  // Names the query; not empty, free of control characters.
  std::string user;     // The part of `request` before the first '/', or else "anonymous".
  std::string text;     // A fixed string; not empty, all in one line.
};

// How many lines a query may still find. All leaves of a job share one. Thread-safe.
class MatchBudget {
 public:
  static constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

  explicit MatchBudget(std::uint64_t lines) : left_(lines) {}

  // Takes one line; false if none is left.
  bool take() noexcept {
    std::uint64_t left = left_.load(std::memory_order_relaxed);
    while (left != 0) {
      if (left == kUnlimited ||
          left_.compare_exchange_weak(left, left - 1, std::memory_order_relaxed)) {
        return true;
      }
    }
    is_hit_.store(true, std::memory_order_relaxed);
    return false;
  }

  // Tells whether none is left.
  [[nodiscard]] bool is_used_up() const noexcept {
    return left_.load(std::memory_order_relaxed) == 0;
  }

  // Tells whether a line was refused.
  [[nodiscard]] bool is_hit() const noexcept { return is_hit_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> left_;
  std::atomic<bool> is_hit_{false};
};

inline taskctx::ContextVar<std::string> request_id{"request_id"};
inline taskctx::ContextVar<std::string> user{"user"};
inline taskctx::ContextVar<std::shared_ptr<MatchBudget>> match_budget{"match_budget"};

// Where the lines themselves go; nullptr if they are only counted.
inline taskctx::ContextVar<MatchLog*> match_log{"match_log", nullptr};

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_REQUEST_CONTEXT_H_
