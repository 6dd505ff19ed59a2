// SPDX-License-Identifier: Apache-2.0
//
// Ctrl-C: the first one calls a function, which asks for an early end; the second one is the end.
//
//   taskctx::CancelScope scope;
//   const OnInterrupt on_interrupt([&scope] { scope.cancel("interrupted"); });
//
// The function runs on a thread that waits for SIGINT, not in a signal handler: it may do anything.

#ifndef TOOLS_TEXT_SEARCH_INTERRUPT_H_
#define TOOLS_TEXT_SEARCH_INTERRUPT_H_

#include <csignal>

#include <atomic>
#include <functional>
#include <thread>

namespace text_search {

// Calls a function at the first SIGINT, if one comes while this lives. From then on SIGINT does
// what it does by default, whatever the function and all other threads are at. Does nothing where
// SIGINT is ignored, as under nohup. To be made before all threads that are started meanwhile: they
// inherit that it is blocked. Throws std::system_error if there can be no thread.
class OnInterrupt {
 public:
  explicit OnInterrupt(std::function<void()> function);
  OnInterrupt(const OnInterrupt&) = delete;
  OnInterrupt& operator=(const OnInterrupt&) = delete;
  ~OnInterrupt();

 private:
  enum class State { waiting, interrupted, over };

  void run();

  const std::function<void()> function_;
  sigset_t old_mask_ = {};
  std::atomic<State> state_{State::waiting};
  std::thread thread_;
};

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_INTERRUPT_H_
