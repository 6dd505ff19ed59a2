// SPDX-License-Identifier: Apache-2.0
//
// Carriers: three ways in which a request's id reaches the function that records a match.
//
//   template <typename Carrier>
//   void job(const std::string& id) {
//     const typename Carrier::JobGuard guard(id);  // at the job's start
//     leaf(Carrier(id));                           // down through all the calls
//   }
//   carrier.request();  // in the leaf: the id, or nullptr
//
// All of them go down the same functions. Two are empty objects there: their id comes another way.

#ifndef TOOLS_TEXT_SEARCH_CARRIER_H_
#define TOOLS_TEXT_SEARCH_CARRIER_H_

#include <string>
#include <string_view>
#include <utility>

#include "tools/text_search/request_context.h"

namespace text_search {

enum class Carrier { context, thread_local_variable, parameter };

// Returns what the carrier is called on the command line and in reports.
constexpr std::string_view carrier_name(Carrier carrier) noexcept {
  switch (carrier) {
    case Carrier::context:
      return "context";
    case Carrier::thread_local_variable:
      return "thread_local";
    case Carrier::parameter:
      return "parameter";
  }
  return "";
}

// The context follows the job into every leaf, whichever thread runs it.
class ContextCarrier {
 public:
  struct JobGuard {
    explicit JobGuard(const std::string& /*id*/) {}  // The context is in place already.
  };

  explicit ContextCarrier(const std::string& /*id*/) {}
  [[nodiscard]] const std::string* request() const noexcept { return request_id.find(); }
};

// A thread_local variable, set where the job starts and restored where it ends: right for as long
// as a job stays on its thread.
class ThreadLocalCarrier {
 public:
  class JobGuard {
   public:
    explicit JobGuard(const std::string& id) : outer_(std::exchange(current_, &id)) {}
    JobGuard(const JobGuard&) = delete;
    JobGuard& operator=(const JobGuard&) = delete;
    ~JobGuard() { current_ = outer_; }

   private:
    const std::string* outer_;
  };

  explicit ThreadLocalCarrier(const std::string& /*id*/) {}
  [[nodiscard]] const std::string* request() const noexcept { return current_; }

 private:
  static inline thread_local const std::string* current_ = nullptr;
};

// A parameter of each function on the way.
class ParameterCarrier {
 public:
  struct JobGuard {
    explicit JobGuard(const std::string& /*id*/) {}
  };

  explicit ParameterCarrier(const std::string& id) : request_(&id) {}
  [[nodiscard]] const std::string* request() const noexcept { return request_; }

 private:
  const std::string* request_;
};

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_CARRIER_H_
