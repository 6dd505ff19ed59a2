// SPDX-License-Identifier: Apache-2.0

#include "tools/text_search/interrupt.h"

#include <pthread.h>
#include <csignal>

#include <functional>
#include <thread>
#include <utility>

namespace text_search {
namespace {

sigset_t only_sigint() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGINT);
  return signals;
}

bool is_ignored() {
  struct sigaction action = {};
  return ::sigaction(SIGINT, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

OnInterrupt::OnInterrupt(std::function<void()> function) : function_(std::move(function)) {
  if (is_ignored()) {
    return;
  }
  const sigset_t signals = only_sigint();
  ::pthread_sigmask(SIG_BLOCK, &signals, &old_mask_);
  try {
    thread_ = std::thread([this] { run(); });
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr);
    throw;
  }
}

OnInterrupt::~OnInterrupt() {
  if (!thread_.joinable()) {
    return;
  }
  // The thread has not taken a signal, and waits for one: this one. Or it waits for the end.
  if (state_.exchange(State::over) == State::waiting) {
    ::pthread_kill(thread_.native_handle(), SIGINT);
  }
  state_.notify_one();
  thread_.join();
  ::pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr);
}

void OnInterrupt::run() {
  const sigset_t signals = only_sigint();
  int signal = 0;
  ::sigwait(&signals, &signal);
  State state = State::waiting;
  if (!state_.compare_exchange_strong(state, State::interrupted)) {
    return;
  }
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // The next one ends the program.
  function_();
  state_.wait(State::interrupted);
}

}  // namespace text_search
