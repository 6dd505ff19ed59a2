// SPDX-License-Identifier: Apache-2.0
//
// Cancellation and deadlines that follow each task, as its context does: who stops, why, and when.
//
//   taskctx::CancelScope scope{{.timeout = absl::Milliseconds(200)}};
//   auto pages = pool.submit_bulk(urls, fetch);     // all that starts here is below the scope,
//   taskctx::tbb::parallel_for(0, n, work);         // on whichever thread it runs
//   pages.get();                                    // throws Cancelled when the time is over
//
//   while (!taskctx::cancelled()) search_a_little();   // in any of those
//
// Where it comes from: values come from the context; cancellation comes from where the work was
// created. A job, continuation, timer, coroutine, leaf, task of a group, and bound callable have
// their creator's, also with a context of their own (JobOptions::context, ContextFactory,
// Context::run, bind(context, ...), SuppressPropagation). Only Shield, and JobOptions::detached,
// cut it. A generator's body has that of its consumer.
//
// A CancelScope is level-triggered: from cancel() on, until it is left, all waits and algorithms
// below it end early, by throwing Cancelled, each time. What must be done nevertheless is done
// under a Shield. Job::cancel() does the same to what the job has created, and to the job; but a
// coroutine is told once, by its next wait, and goes on as usual if it catches that.
//
// So a destructor that waits for jobs, or runs loops, does that under a Shield: what it threw would
// end the program. (Destructors of a job's callable, arguments and values are shielded anyway.)
// And what a job is to give back, such as a place in a queue of yours, belongs to
// its callable, not to its body: of a job that never runs only the callable is destroyed.
//
//   what                          cancelled before it begins        cancelled while it is at work
//   ----------------------------  --------------------------------  --------------------------------
//   job, continuation             never runs, its callable is       cancelled() is true in it
//                                 destroyed; get() throws
//   ... that waits for its time   ends soon, likewise               -
//   bulk                          never runs, likewise              leaves out elements not begun
//   coroutine                     never runs, likewise              its next wait throws, or the
//                                                                   one that it is in
//   get(), wait(), co_await       throws                            throws; the handle stays valid
//   submit() to a full queue      throws; there is no job           throws; there is no job
//   algorithm of taskctx::tbb     throws, calls no body             throws, as soon as the bodies
//                                                                   that have begun return
//   task_group, a task of it      is left out                       cancelled() is true in it
//   ... wait()                    throws, when the tasks have ended, in both cases
//   arena: execute(), isolate()   throws                            as the code in it does
//   arena: enqueued task          is left out                       cancelled() is true in it
//   task::suspend()               as usual                          as usual: resume() resumes it
//   bound callable                runs: cancelled() is true in it   the same
//   Generator                     runs, as a call of its consumer   the same
//
// Threads:  all calls are thread-safe, and answer for the code that calls them. A CancelScope ends
//           in the context in which it began, on any thread.
// Fork:     scopes work in a forked process. There a deadline that was set before the fork is still
//           told, but cancels nothing; and callbacks that other threads were about to call, or in
//           the middle of, come to no end. Nothing waits for these.
// Cost:     where nothing was ever cancelled, cancelled() is five instructions. See each call.
// Errors:   Cancelled, as said above. To end a scope or Shield elsewhere than it began is a misuse
//           (errors.h): what began there is still below it.

#ifndef TASKCTX_CANCEL_H_
#define TASKCTX_CANCEL_H_

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "taskctx/cancelled.h"
#include "taskctx/deadline.h"
#include "taskctx/internal/cancel/callback_listener.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/cancel/open_scope.h"
#include "taskctx/internal/cancel/stopping.h"

namespace taskctx {
inline namespace v1 {

// Tells whether this code is to stop: its scope was cancelled, or its job, or one of those around
// them, or the time is over. Five instructions as long as nothing was ever cancelled in the
// process; then a few loads, and after each cancellation once O(scopes and jobs around).
//
//   for (const Row& row : rows) { if (taskctx::cancelled()) break; ... }
[[nodiscard]] inline bool cancelled() noexcept {
  const std::uint64_t count = internal::cancel_count();
  return count != 0 && internal::is_stopping(count);
}

// Throws Cancelled, with the reason, if cancelled(). Costs as much.
//
//   taskctx::check_cancelled();
inline void check_cancelled() {
  if (cancelled()) [[unlikely]] {
    internal::throw_cancelled("go on");
  }
}

// Returns why this code is to stop: OK if it is not; CANCELLED, or DEADLINE_EXCEEDED, with what the
// nearest scope or job says that was cancelled. O(scopes and jobs around).
//
//   log("given up: ", taskctx::cancel_reason());
[[nodiscard]] absl::Status cancel_reason();

// Return until when this code may run, or how long still: of the deadlines of the scopes around,
// the one that comes first; infinite if there is none. A deadline on the monotonic clock is told by
// the wall clock's time of now. The time that is left is never less than zero. Cost a look at the
// clock.
//
//   rpc.set_timeout(taskctx::remaining());
[[nodiscard]] absl::Time deadline();
[[nodiscard]] absl::Duration remaining();

// Returns a token for code that wants one: a stop is requested when this code is to stop, on the
// thread that cancels. Outside of all scopes and jobs it can never be. Allocates, once for each
// scope and job. Throws std::bad_alloc.
//
//   std::condition_variable_any::wait(lock, taskctx::stop_token(), is_ready);
[[nodiscard]] std::stop_token stop_token();

// What limits a scope. All of them may be given; none has to be.
struct CancelScopeOptions {
  // How long it may last from now on, by the monotonic clock; and until when (deadline.h). The
  // scopes around count, too: an inner one can only shorten the time.
  Timeout timeout = Timeout::never();
  Deadline deadline = {};

  // Cancels the scope when a stop is requested there.
  std::stop_token stop_token = {};

  // What is said when the time is over. Default: "the time is over".
  std::string reason = {};
};

// A block that can be cancelled, with all that is started in it, wherever that runs, and however
// long after the scope's own end. Scopes nest, and end in the opposite order. Costs one allocation,
// and O(guards around in this task); with a deadline some 100 ns more. The constructor throws
// std::bad_alloc, and std::system_error if there can be no thread for deadlines.
//
//   taskctx::CancelScope scope;
//   on_disconnect([&] { scope.cancel("the user went away"); });
class [[nodiscard]] CancelScope {
 public:
  explicit CancelScope(CancelScopeOptions options = {});
  CancelScope(const CancelScope&) = delete;
  CancelScope& operator=(const CancelScope&) = delete;
  ~CancelScope();

  // Cancels what is below the scope, and calls the callbacks that are registered there (on this
  // thread). Returns false if the scope was cancelled before. From any thread. O(what waits, runs
  // loops, or has a callback below it). Without memory for the reason, it is cancelled without one.
  bool cancel(std::string_view reason = {}) noexcept;

  // Tells whether it is cancelled, itself or from outside, or its time is over. Costs as
  // cancelled().
  [[nodiscard]] bool is_cancelled() const noexcept { return scope_.is_cancelled(); }

 private:
  struct Stop {
    internal::CancelLink& link;
    void operator()() const noexcept;
  };

  internal::OpenScope scope_;
  std::optional<std::stop_callback<Stop>> stop_;
};

// A block that cancellation from outside does not reach: neither deadlines nor any scope or job
// around. Values stay as they are, and so does this_job, as long as there is memory. For clean-up:
// never throws. Costs as a CancelScope.
//
//   ~Connection() { taskctx::Shield shield; say_goodbye(); }
class [[nodiscard]] Shield {
 public:
  Shield() noexcept : scope_(internal::OpenScope::Shielding()) {}
  Shield(const Shield&) = delete;
  Shield& operator=(const Shield&) = delete;
  ~Shield() = default;

 private:
  internal::OpenScope scope_;
};

// A function that is called once, when the code that registers it is to stop, or never: on the
// thread that cancels; or, if a deadline has passed, on a thread that runs only such callbacks; or
// right in the constructor, if it is so already. It runs in the context of its registration. What
// it throws goes to the misuse handler. It may block: other deadlines are not delayed by that, but
// the thread that cancels is, and callbacks that this thread has yet to call. The destructor waits
// while another thread runs it. Costs some ten nanoseconds, in a job at first an allocation; throws
// std::bad_alloc, and what moving the function throws.
//
//   taskctx::CancelCallback abort{[&] { socket.shutdown(); }};
template <std::invocable F>
class [[nodiscard]] CancelCallback : private internal::CallbackListener {
 public:
  explicit CancelCallback(F function) : function_(std::move(function)) { start(); }
  ~CancelCallback() override { stop(); }

 private:
  void call() override { std::invoke(function_); }

  F function_;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_CANCEL_H_
