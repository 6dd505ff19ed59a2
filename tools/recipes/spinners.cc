// SPDX-License-Identifier: Apache-2.0
//
// Four spinners at once, each with its own symbol: with a global variable, and with a context
// variable.
//
//   taskctx::Scope scope{symbol, 'a'};
//   pool.post(spin);  // prints a's, also after `symbol` has changed here
//
// The global is whatever was set last, so all four print the same. The job's snapshot was taken
// when it was posted.

#include <atomic>
#include <iostream>

#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"

constexpr int kSpinners = 4;
constexpr int kRounds = 10;
constexpr char kSymbols[] = "0abc";

char global_symbol = '.';
inline taskctx::ContextVar<char> symbol{"symbol", '.'};

// Lets the spinners print one after the other, so that the output is always the same.
class Turns {
 public:
  // Calls `print` when it is turn number `turn`.
  template <typename F>
  void take(int turn, F print) {
    for (int now = now_; now != turn; now = now_) {
      now_.wait(now);
    }
    print();
    ++now_;
    now_.notify_all();
  }

 private:
  std::atomic<int> now_{-1};
};

// Starts a spinner for each symbol. Each prints what `read` returns there.
template <typename F>
void run_spinners(F read) {
  Turns turns;
  taskctx::JobPool pool{{.concurrency = kSpinners}};  // All of them wait for their turns at once.
  for (int spinner = 0; spinner < kSpinners; ++spinner) {
    global_symbol = kSymbols[spinner];
    taskctx::Scope scope{symbol, kSymbols[spinner]};
    pool.post([&turns, spinner, read] {
      for (int round = 0; round < kRounds; ++round) {
        turns.take(round * kSpinners + spinner, [read] { std::cout << read(); });
      }
    });
  }
  turns.take(-1, [] {});  // All have been started: now the first one has its turn.
  turns.take(kRounds * kSpinners, [] { std::cout << '\n'; });
}

int main() {
  run_spinners([] { return global_symbol; });
  run_spinners([] { return symbol.get(); });
}
