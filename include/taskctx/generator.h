// SPDX-License-Identifier: Apache-2.0
//
// Generator, AsyncGenerator: coroutines that yield values, with a context of their own.
//
//   taskctx::Generator<int> numbers() {
//     taskctx::Scope scope{verbosity, 0};       // only here, also between two values
//     for (int i = 0; i < 3; ++i) co_yield i;
//   }
//   for (int i : numbers()) use(i);
//
// The consumer never sees what a generator sets; scopes and tokens work across co_yield. For all
// other variables there is a choice of what a generator reads:
//
//   GeneratorReads::consumer  what its consumer has at that moment, as a function that is called for
//                             each value would. If both have set a variable, the generator's value
//                             wins. A value equal to the consumer's at a co_yield counts as not set
//                             by the generator. An unset() lasts until the next co_yield only.
//   GeneratorReads::creator   a snapshot, taken where the generator was made, as in a spawned task.
//
// Threads:  one at a time may use a generator. Each value may be asked for on another thread.
// Lifetime: destroying a generator destroys its coroutine's variables, in the coroutine's context.
//           A value is valid until the next one is asked for.
// Errors:   the call that asks for the next value throws what the coroutine throws, and
//           std::bad_alloc if the coroutine has set something.

#ifndef TASKCTX_GENERATOR_H_
#define TASKCTX_GENERATOR_H_

#include <coroutine>
#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>

#include "taskctx/context_promise.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/coro/flow.h"
#include "taskctx/internal/coro/owned_coroutine.h"

namespace taskctx {
inline namespace v1 {

enum class GeneratorReads { consumer, creator };

namespace internal {

class GeneratorFlow final : public PromiseFlow {
 public:
  explicit GeneratorFlow(GeneratorReads reads);
  GeneratorFlow(const GeneratorFlow&) = delete;
  GeneratorFlow& operator=(const GeneratorFlow&) = delete;
  ~GeneratorFlow() override {  // What it has written may have borrowed from what it has seen.
    if (is_entered()) {
      leave();
    }
    forget();
  }

  // Prepares the context for the next value, for a consumer whose context is `consumer`. Throws
  // std::bad_alloc, and changes nothing then.
  void see(Node* consumer);
  // Makes the coroutine part of its consumer's job, and below the scopes that are open there: the
  // caller is the consumer. Until keep().
  void work_for(Flow* consumer) noexcept {
    home_ = consumer != nullptr ? consumer->home() : Home();
    frame_.whose = consumer != nullptr ? Origin(current_activation()) : Origin::as_outer();
  }
  [[nodiscard]] Home home() noexcept override { return home_; }
  // Keeps what the generator has set, for its next turn. After leave(). Throws std::bad_alloc.
  void keep();

 private:
  // Lets it see the context of the code that destroys it, unless it is at work on a value.
  void prepare_to_end() noexcept override;

  const GeneratorReads reads_;
  bool is_at_work_ = false;  // On its next value.
  Home home_;                // Its consumer's, meanwhile.
  NodeRef seen_;             // The consumer's context that its own was made from.
  NodeRef writes_;           // What the generator has set, if it reads its consumer's context.
};

// Suspends an AsyncGenerator, and resumes its consumer.
struct HandOver {
  using KnowsFlow = void;

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> generator) const noexcept {
    generator.promise().hand_over();
  }
  void await_resume() const noexcept {}
};

// The part that the promises of both kinds share. `Yield` suspends them with a value.
template <typename T, GeneratorReads kReads, typename Yield>
class GeneratorPromise : public OwnedPromise {
 public:
  using Value = std::remove_reference_t<T>;

  GeneratorPromise() : own_flow_(kReads), special_here_{.flow = &own_flow_} {
    set_flow(&own_flow_);
    special_ = &special_here_;
  }

  std::suspend_always initial_suspend() noexcept { return {}; }
  Yield final_suspend() noexcept {
    value_ = nullptr;
    return {};
  }
  Yield yield_value(Value& value) noexcept {
    value_ = std::addressof(value);
    return {};
  }
  Yield yield_value(Value&& value) noexcept {
    value_ = std::addressof(value);
    return {};
  }
  // Copies a constant: the consumer may move from the value that it gets.
  auto yield_value(const Value& value)
    requires(!std::is_reference_v<T> && !std::is_const_v<T> && std::is_copy_constructible_v<T>)
  {
    return YieldCopy(value);
  }
  void return_void() noexcept {}
  void unhandled_exception() noexcept { error_ = std::current_exception(); }

  [[nodiscard]] GeneratorFlow& own_flow() noexcept { return own_flow_; }
  // Returns the last value, or nullptr at the end. Throws what the coroutine has thrown.
  Value* result() {
    if (error_ != nullptr) {
      std::rethrow_exception(std::exchange(error_, nullptr));
    }
    return value_;
  }

 protected:
  ~GeneratorPromise() = default;

 private:
  // Yields a copy, which lives until the coroutine is resumed.
  struct YieldCopy : Yield {
    explicit YieldCopy(const Value& original) : value(original) {}
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> generator) noexcept {
      generator.promise().value_ = std::addressof(value);
      Yield::await_suspend(generator);
    }
    Value value;
  };

  GeneratorFlow own_flow_;
  Special special_here_;
  Value* value_ = nullptr;
  std::exception_ptr error_;
};

}  // namespace internal

// A coroutine that computes a sequence, value by value, as it is iterated over. T may be a
// reference, or move-only. The body can't co_await anything.
template <typename T, GeneratorReads kReads = GeneratorReads::consumer>
class [[nodiscard]] Generator {
 public:
  class promise_type;
  class iterator;

  Generator(Generator&& other) noexcept = default;
  Generator& operator=(Generator&& other) noexcept = default;
  ~Generator() = default;

  // Computes the first value. Once only.
  iterator begin() {
    iterator first(coroutine_.handle());
    ++first;
    return first;
  }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return std::default_sentinel; }

 private:
  using Handle = std::coroutine_handle<promise_type>;

  explicit Generator(Handle coroutine) noexcept : coroutine_(coroutine) {}

  internal::OwnedCoroutine<promise_type> coroutine_;
};

template <typename T, GeneratorReads kReads>
class Generator<T, kReads>::promise_type
    : public internal::GeneratorPromise<T, kReads, std::suspend_always> {
 public:
  Generator get_return_object() noexcept { return Generator(Handle::from_promise(*this)); }
  void await_transform() = delete;
};

// An input iterator.
template <typename T, GeneratorReads kReads>
class Generator<T, kReads>::iterator {
 public:
  using iterator_concept = std::input_iterator_tag;
  using value_type = std::remove_cvref_t<T>;
  using difference_type = std::ptrdiff_t;

  [[nodiscard]] T& operator*() const noexcept { return *value_; }
  iterator& operator++() {
    internal::GeneratorFlow& flow = coroutine_.promise().own_flow();
    flow.see(internal::current_node());
    flow.enter();
    coroutine_.resume();
    flow.leave();
    flow.keep();
    value_ = coroutine_.promise().result();
    return *this;
  }
  void operator++(int) { ++*this; }
  [[nodiscard]] friend bool operator==(const iterator& it, std::default_sentinel_t /*end*/) {
    return it.value_ == nullptr;
  }

 private:
  friend class Generator;
  explicit iterator(Handle coroutine) noexcept : coroutine_(coroutine) {}

  Handle coroutine_;
  std::remove_reference_t<T>* value_ = nullptr;
};

// Like Generator, but the body may co_await (coro.h), and the consumer gets each value by
// `co_await next()`.
template <typename T, GeneratorReads kReads = GeneratorReads::consumer>
class [[nodiscard]] AsyncGenerator {
 public:
  class promise_type;

  AsyncGenerator(AsyncGenerator&& other) noexcept = default;
  AsyncGenerator& operator=(AsyncGenerator&& other) noexcept = default;
  // Not while a coroutine that will be resumed awaits a value.
  ~AsyncGenerator() = default;

  // When awaited, resumes the coroutine until its next value, and gives a pointer to that value; or
  // nullptr, from the end on.
  //
  //   while (const Row* row = co_await rows.next()) print(*row);
  [[nodiscard]] auto next() noexcept { return Next{coroutine_.handle()}; }

 private:
  using Handle = std::coroutine_handle<promise_type>;

  struct Next {
    using KnowsFlow = void;

    [[nodiscard]] bool await_ready() const noexcept { return coroutine.done(); }
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> consumer) {
      internal::GeneratorFlow& flow = coroutine.promise().own_flow();
      internal::Flow* consumers_flow = nullptr;
      if constexpr (std::is_base_of_v<internal::FlowPromise, Promise>) {
        consumers_flow = consumer.promise().flow();
      }
      flow.see(internal::current_node());
      flow.work_for(consumers_flow);
      coroutine.promise().set_consumer(consumer, consumers_flow);
      if constexpr (std::is_base_of_v<internal::FlowPromise, Promise>) {
        coroutine.promise().set_awaited_by(consumer.promise());
      }
      if (consumers_flow != nullptr) {
        consumers_flow->hand_over(flow, coroutine);
      } else {
        flow.enter();
        flow.go_on(coroutine);
      }
    }
    auto await_resume() {
      coroutine.promise().own_flow().keep();
      return coroutine.promise().result();
    }

    Handle coroutine;
  };

  explicit AsyncGenerator(Handle coroutine) noexcept : coroutine_(coroutine) {}

  internal::OwnedCoroutine<promise_type> coroutine_;
};

template <typename T, GeneratorReads kReads>
class AsyncGenerator<T, kReads>::promise_type
    : public internal::GeneratorPromise<T, kReads, internal::HandOver> {
 public:
  AsyncGenerator get_return_object() noexcept {
    return AsyncGenerator(Handle::from_promise(*this));
  }

  void set_consumer(std::coroutine_handle<> consumer, internal::Flow* flow) noexcept {
    consumer_ = consumer;
    consumers_flow_ = flow;
  }

  // Resumes the consumer, which takes the value.
  void hand_over() noexcept {
    this->ended();
    if (consumers_flow_ != nullptr) {
      this->own_flow().hand_over(*consumers_flow_, consumer_);
    } else {
      this->own_flow().hand_over(consumer_);
    }
  }

 private:
  std::coroutine_handle<> consumer_;
  internal::Flow* consumers_flow_ = nullptr;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_GENERATOR_H_
