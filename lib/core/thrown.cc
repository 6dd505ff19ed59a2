// SPDX-License-Identifier: Apache-2.0
//
// The exceptions of bodies that calls still wait for, and those that each thread knows.

#include "taskctx/internal/core/thrown.h"

#include <cxxabi.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/modules.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/unguarded.h"

// This library or program, for __cxa_thread_atexit.
extern "C" void* __dso_handle;  // NOLINT: the ABI's name

namespace taskctx {
inline namespace v1 {
namespace internal {

constinit std::atomic<std::uint32_t> thrown_count{0};

namespace {

// An exception, and the context of the body that has thrown it.
struct Thrown {
  Thrown() noexcept { thrown_count.fetch_add(1, std::memory_order_relaxed); }
  Thrown(const Thrown&) = delete;
  Thrown& operator=(const Thrown&) = delete;
  ~Thrown() { thrown_count.fetch_sub(1, std::memory_order_relaxed); }

  std::exception_ptr error;
  NodeRef node;
  const void* call = nullptr;  // On its way to this one; then known to a thread:
  // The body in which the thread got to know it: body_here(). Only that body is told of it, as
  // others on this thread may throw the same exception object.
  std::uint64_t body = 0;
  // How many exceptions unwound the stack then: if they are fewer, this one was caught. 0: none
  // did.
  int level = 0;
  Thrown* next = nullptr;
};

// Owns a list of them.
class List {
 public:
  List() = default;
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  ~List() {
    while (first_ != nullptr) {
      delete std::exchange(first_, first_->next);
    }
  }

  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  void push(Thrown* thrown) noexcept { thrown->next = std::exchange(first_, thrown); }
  [[nodiscard]] Thrown* pop() noexcept {
    Thrown* const popped = first_;
    if (popped != nullptr) {
      first_ = popped->next;
    }
    return popped;
  }

 private:
  Thrown* first_ = nullptr;
};

// Moves what `matches` from the list that begins with `first` to the front of `to`, one by one.
template <typename Matches>
void move_matching(Thrown*& first, List& to, const Matches& matches) noexcept {
  for (Thrown** link = &first; *link != nullptr;) {
    Thrown* const thrown = *link;
    if (matches(*thrown)) {
      *link = thrown->next;
      to.push(thrown);
    } else {
      link = &thrown->next;
    }
  }
}

// What is on its way, by the address that stands for the call. Nothing is allocated or freed with
// the mutex. Trivially destructible, so there to the very end.
struct OnTheirWay {
  static constexpr std::size_t kLists = 64;

  std::mutex mutex;
  std::array<std::atomic<Thrown*>, kLists> lists{};  // Changed with the mutex only.

  std::atomic<Thrown*>& list_of(const void* call) noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(call);
    return lists[(address >> 4U ^ address >> 12U) % kLists];
  }
};
constinit OnTheirWay on_their_way;

void send(Thrown* thrown, const void* call) noexcept {
  thrown->call = call;
  std::atomic<Thrown*>& list = on_their_way.list_of(call);
  const std::lock_guard lock(on_their_way.mutex);
  thrown->next = list.load(std::memory_order_relaxed);
  list.store(thrown, std::memory_order_relaxed);
}

// Moves what was sent to `call` to `to`; the first one that was sent is in front then.
void receive(const void* call, List& to) noexcept {
  std::atomic<Thrown*>& list = on_their_way.list_of(call);
  // Relaxed: what was sent to `call` was there before the bodies ended that the caller has waited
  // for.
  if (list.load(std::memory_order_relaxed) == nullptr) {
    return;
  }
  const std::lock_guard lock(on_their_way.mutex);
  Thrown* first = list.load(std::memory_order_relaxed);
  move_matching(first, to, [call](const Thrown& thrown) { return thrown.call == call; });
  list.store(first, std::memory_order_relaxed);
}

// Returns the id of the body, task or job that runs here, inside all guards that it has itself; 0
// in none.
std::uint64_t body_here() noexcept {
  Activation* here = current_activation();
  // A task does not begin where the code around its guard runs.
  while (!is_unguarded(here) && here->origin.outer() == here->outer) {
    here = here->outer;
  }
  return is_unguarded(here) ? 0 : identify(here)->id;
}

// What this thread knows. Without a constructor or destructor, so that it works before the thread's
// first and after its last thread_local object. No function that uses it runs code of the user's
// before that: such code may suspend, and resume on another thread.
struct Known {
  Thrown* first;
  bool is_registered;  // Whether end_thread() will be called.
};
constinit thread_local Known known{};

// Runs at the thread's end. What is destroyed then may let bodies throw again: so the thread may
// get another call of this function.
void end_thread(void* /*unused*/) noexcept {
  known.is_registered = false;
  List gone;
  move_matching(known.first, gone, [](const Thrown& /*thrown*/) { return true; });
}

// Moves what is in `list` to the front of what this thread knows. What it can't forget at its end
// stays.
void learn(List& list) noexcept {
  if (!known.is_registered) {
    known.is_registered = abi::__cxa_thread_atexit(&end_thread, nullptr, &__dso_handle) == 0;
  }
  if (known.is_registered) {
    const std::uint64_t body = body_here();
    const int level = std::uncaught_exceptions();
    Thrown** end = &known.first;
    while (Thrown* const thrown = list.pop()) {
      thrown->body = body;
      thrown->level = level;
      thrown->next = std::exchange(*end, thrown);
      end = &thrown->next;
    }
  }
}

// Returns the place of what the running body may know of `error`, or of the list's end.
Thrown** find_known(const std::exception_ptr& error) noexcept {
  Thrown** link = &known.first;
  if (*link != nullptr) {
    const std::uint64_t body = body_here();
    while (*link != nullptr && ((*link)->error != error || (*link)->body != body)) {
      link = &(*link)->next;
    }
  }
  return link;
}

// Takes it.
Thrown* take_known(const std::exception_ptr& error) noexcept {
  Thrown** const link = find_known(error);
  return *link != nullptr ? std::exchange(*link, (*link)->next) : nullptr;
}

// Notes the exception that is being handled. Without memory it returns nullptr.
Thrown* make_thrown(NodeRef node) noexcept {
  const std::exception_ptr error = std::current_exception();
  // Its destructor must be there as long as somebody knows it.
  keep_loaded(abi::__cxa_current_exception_type());
  try {
    auto made = std::make_unique<Thrown>();
    made->error = error;
    made->node = std::move(node);
    return made.release();
  } catch (...) {
    return nullptr;
  }
}

}  // namespace

void remember_thrown(const void* call) noexcept {
  const std::exception_ptr error = std::current_exception();
  if (error == nullptr) {
    return;  // The thread is being cancelled, or the exception is another language's.
  }
  Thrown* thrown = take_known(error);
  if (thrown == nullptr) {
    thrown = make_thrown(NodeRef::share(current_node()));
  }
  if (thrown != nullptr) {
    send(thrown, call);
  }
}

void pass_on_thrown(const void* call) noexcept {
  if (Thrown* const thrown = take_known(std::current_exception()); thrown != nullptr) {
    send(thrown, call);
  }
}

bool hand_over_thrown(const void* call) noexcept {
  List received;
  receive(call, received);
  const bool is_any = !received.empty();
  if (is_any) {
    learn(received);
  }
  return is_any;
}

void know_thrown(const std::exception_ptr& error, NodeRef node) noexcept {
  List one;
  try {
    std::rethrow_exception(error);
  } catch (...) {
    if (Thrown* const thrown = make_thrown(std::move(node)); thrown != nullptr) {
      one.push(thrown);
    }
  }
  learn(one);
}

void forget_thrown(const void* call) noexcept {
  List gone;
  receive(call, gone);
}

void forget_what_was_thrown() noexcept {
  List gone;
  if (known.first != nullptr) {
    const std::exception_ptr handled = std::current_exception();
    const int level = std::uncaught_exceptions();
    move_matching(known.first, gone, [&](const Thrown& thrown) {
      return thrown.error != handled && (thrown.level == 0 || thrown.level > level);
    });
  }
}

NodeRef node_of_thrown(const std::exception_ptr& error) noexcept {
  const Thrown* const thrown = *find_known(error);
  return thrown != nullptr ? thrown->node : NodeRef();
}

void lock_thrown() noexcept { on_their_way.mutex.lock(); }
void unlock_thrown() noexcept { on_their_way.mutex.unlock(); }

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
