// SPDX-License-Identifier: Apache-2.0
//
// Fibers that take turns on one thread, each with its own values: each has a Context, which is
// entered when the fiber is resumed, and left when it pauses.
//
//   context_.run([this] { swapcontext(&resumer_, &self_); });
//
// Boost.Context, or any other way to switch stacks, works the same. What a fiber sets, also for a
// block (Scope), is still there when it is resumed. A fiber must not pause inside a call that has
// entered another context, such as Context::run() or a callable of bind().

#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/scope.h"

inline taskctx::ContextVar<std::string> user{"user", "nobody"};

class Fiber {
 public:
  // Begins with a snapshot of the current context.
  explicit Fiber(std::function<void()> code)
      : code_(std::move(code)), stack_(std::size_t{64} * 1024) {
    getcontext(&self_);
    self_.uc_stack = {.ss_sp = stack_.data(), .ss_flags = 0, .ss_size = stack_.size()};
    self_.uc_link = &resumer_;
    const auto address = reinterpret_cast<std::uintptr_t>(this);
    makecontext(&self_, reinterpret_cast<void (*)()>(&Fiber::begin), 2,
                static_cast<unsigned>(address >> 32U), static_cast<unsigned>(address));
  }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Runs the code until it pauses, or ends.
  void go_on() {
    running = this;
    context_.run([this] { swapcontext(&resumer_, &self_); });
  }
  static void pause() { swapcontext(&running->self_, &running->resumer_); }

 private:
  // makecontext() can pass only ints.
  static void begin(unsigned high, unsigned low) {
    const auto address = (std::uint64_t{high} << 32U) | low;
    reinterpret_cast<Fiber*>(static_cast<std::uintptr_t>(address))->code_();
  }

  static inline Fiber* running = nullptr;
  const std::function<void()> code_;
  taskctx::Context context_ = taskctx::copy_context();
  std::vector<char> stack_;
  ucontext_t self_{};
  ucontext_t resumer_{};
};

void serve(const std::string& name) {
  const taskctx::Scope scope{user, name};
  for (int step = 1; step <= 2; ++step) {
    std::cout << name << "'s step " << step << " is " << user.get() << "'s\n";
    Fiber::pause();
  }
}

int main() {
  Fiber first([] { serve("ada"); });
  Fiber second([] { serve("bob"); });
  for (int round = 1; round <= 3; ++round) {
    first.go_on();
    second.go_on();
    std::cout << "between the rounds it is " << user.get() << "\n";
  }
}
