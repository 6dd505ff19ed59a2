// SPDX-License-Identifier: Apache-2.0
//
// ContextExecutor: an executor of another library, or of your own, that takes the context along:
// what is given to it runs in the context in which it was given, as if each call said bind().
//
//   const taskctx::ContextExecutor executor{io.get_executor()};  // Asio's
//   asio::post(executor, [] { log(request_id.get()); });         // in the context here
//   const taskctx::ContextExecutor workers{std::ref(pool)};      // any pool with one of the members
//   std::future<int> result = workers.submit([] { return 42; });
//   const taskctx::ContextExecutor start{[](auto f) { std::thread(std::move(f)).detach(); }};
//   start([] { work(); });                                       // whatever takes a callable
//
// Threads:  as safe as the executor.
// Lifetime: holds a copy of the executor, or a std::ref() or pointer to one that must live as long.
//           A std::shared_ptr keeps it alive. What is given keeps its context alive, as bind() does.
// Errors:   passes on what the executor throws. Where bind() would throw, this does, too, and the
//           executor is given nothing.
//
// It goes around an executor, never into one: ContextExecutor{asio::make_strand(io)} is right. A
// strand around a ContextExecutor runs what it has collected in the context of the first of it.

#ifndef TASKCTX_CONTEXT_EXECUTOR_H_
#define TASKCTX_CONTEXT_EXECUTOR_H_

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

#include "taskctx/bind.h"
#include "taskctx/internal/bind/executor_calls.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/refused.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// What a function becomes that is given to an executor.
template <typename F>
using BoundOf = Bound<std::decay_t<F>>;
// Whether it can be given to one.
template <typename F>
concept Work = MayBeCallable<std::decay_t<F>> && std::constructible_from<std::decay_t<F>, F>;

template <typename E, typename B>
concept TakesWork = Takes<Execute, E&, B> || Takes<Post, E&, B> || Takes<Add, E&, B> ||
                    Takes<Enqueue, E&, B> || Takes<Submit, E&, B> || Takes<Invoke, E&, B>;
// Whether it is an executor: of callables that take and return anything, or of those that take and
// return nothing.
template <typename E>
concept IsExecutor = TakesWork<E, Bound<Refused>> || TakesWork<E, Bound<void (*)()>>;

// Returns the executor that is called: what was given, or what that points to.
template <typename E>
const E& executor_of(const E& given) noexcept {
  return given;
}
template <typename E>
  requires(!IsExecutor<const E> &&
           IsExecutor<std::remove_reference_t<decltype(*std::declval<const E&>())>>)
auto& executor_of(const E& given) noexcept {
  return *given;
}
template <typename E>
E& executor_of(const std::reference_wrapper<E>& given) noexcept {
  return given;
}
template <typename E>
using ExecutorOf = std::remove_reference_t<decltype(executor_of(std::declval<const E&>()))>;

// Where the context comes from: from each call ...
struct FromCall {
  Inherited operator()() const { return {capture(), capture_link()}; }
  friend bool operator==(const FromCall&, const FromCall&) = default;
};
// ... or from the place where something was begun that has not ended.
struct FromBegin {
  const Inherited& operator()() const noexcept { return inherited; }
  friend bool operator==(const FromBegin& a, const FromBegin& b) noexcept {
    return a.inherited.node.get() == b.inherited.node.get() &&
           a.inherited.link.bits() == b.inherited.link.bits();
  }

  Inherited inherited;
};

// Whether a property of Asio's is outstanding_work.tracked, or prefer_only of it: so it comes out
// of an asio::any_io_executor.
template <typename Property>
concept IsTracked =
    std::same_as<std::remove_cvref_t<decltype(Property::polymorphic_query_result_type::tracked)>,
                 Property>;
template <typename Property>
concept TracksWork =
    IsTracked<Property> || IsTracked<std::remove_cvref_t<decltype(Property::property)>>;

}  // namespace internal

// Has those of the members below that E has for the callable, and is an executor for Asio if E is.
// Copyable as E is, and equal if the Es are. (From is for what Asio makes of it, see prefer().)
template <typename E, typename From = internal::FromCall>
class ContextExecutor {
  using Target = internal::ExecutorOf<E>;

  static_assert(internal::IsExecutor<Target> || internal::IsExecutor<E>,
                "this is no executor: it has none of execute(f), post(f), add(f), enqueue(f) and "
                "submit(f) for a bound callable, and can't be called with one");
  static_assert(internal::IsExecutor<Target> || !internal::IsExecutor<E>,
                "the functions of this executor are not const: give it by std::ref(executor), or "
                "by a pointer");
  static_assert(std::move_constructible<E>,
                "this executor can't be moved: give it by std::ref(executor), or by a pointer");

 public:
  // Holds a copy of `executor`, which may be a std::ref() or a pointer.
  template <typename Given>
    requires(!std::is_base_of_v<ContextExecutor, std::remove_cvref_t<Given>> &&
             std::constructible_from<E, Given>)
  explicit ContextExecutor(Given&& executor)  // NOLINT(*-forwarding-reference-*): constrained
      : executor_(std::forward<Given>(executor)) {}

  // Each calls the executor's function of this name with bind(f), and the other arguments, if there
  // are any, and returns what it returns. `f` needs a copy only if the executor wants one. O(1)
  // beside that, as bind().
  template <internal::Work F, typename... Args>
    requires internal::Takes<internal::Execute, Target&, internal::BoundOf<F>, Args...>
  decltype(auto) execute(F&& f, Args&&... args) const {
    return call<internal::Execute>(std::forward<F>(f), std::forward<Args>(args)...);
  }
  template <internal::Work F, typename... Args>
    requires internal::Takes<internal::Post, Target&, internal::BoundOf<F>, Args...>
  decltype(auto) post(F&& f, Args&&... args) const {
    return call<internal::Post>(std::forward<F>(f), std::forward<Args>(args)...);
  }
  template <internal::Work F, typename... Args>
    requires internal::Takes<internal::Add, Target&, internal::BoundOf<F>, Args...>
  decltype(auto) add(F&& f, Args&&... args) const {
    return call<internal::Add>(std::forward<F>(f), std::forward<Args>(args)...);
  }
  template <internal::Work F, typename... Args>
    requires internal::Takes<internal::Enqueue, Target&, internal::BoundOf<F>, Args...>
  decltype(auto) enqueue(F&& f, Args&&... args) const {
    return call<internal::Enqueue>(std::forward<F>(f), std::forward<Args>(args)...);
  }
  template <internal::Work F, typename... Args>
    requires internal::Takes<internal::Submit, Target&, internal::BoundOf<F>, Args...>
  decltype(auto) submit(F&& f, Args&&... args) const {
    return call<internal::Submit>(std::forward<F>(f), std::forward<Args>(args)...);
  }
  // Does the same with an executor that is itself called.
  template <internal::Work F, typename... Args>
    requires internal::Takes<internal::Invoke, Target&, internal::BoundOf<F>, Args...>
  decltype(auto) operator()(F&& f, Args&&... args) const {
    return call<internal::Invoke>(std::forward<F>(f), std::forward<Args>(args)...);
  }

  // Asio asks for these, and finds them if the executor has them. What ends later than it begins (a
  // timer's wait, a read, each co_await of a coroutine) ends in the context in which it was begun:
  // at the beginning Asio makes an executor with outstanding_work.tracked, by which it ends; that
  // one carries the context in which it was made. Asio lets nothing be thrown there: where
  // capturing throws, the program ends.
  //
  // So what a coroutine has set stays with it over its waits. But each part between two waits has a
  // context of its own: a Scope must not be open across a co_await (//tools/recipes:asio_coroutines
  // has an executor for that).
  template <typename Property>
    requires internal::Takes<internal::Query, Target&, const Property&>
  decltype(auto) query(const Property& property) const {
    return internal::Query()(target(), property);
  }
  template <typename Property>
    requires internal::Takes<internal::Require, Target&, const Property&>
  auto require(const Property& property) const {
    return around<Property>(internal::Require()(target(), property));
  }
  template <typename Property>
    requires internal::Takes<internal::Prefer, Target&, const Property&>
  auto prefer(const Property& property) const {
    return around<Property>(internal::Prefer()(target(), property));
  }

  [[nodiscard]] friend bool operator==(const ContextExecutor&, const ContextExecutor&) = default;

 private:
  template <typename, typename>
  friend class ContextExecutor;

  ContextExecutor(E executor, From from) : executor_(std::move(executor)), from_(std::move(from)) {}

  [[nodiscard]] Target& target() const noexcept { return internal::executor_of(executor_); }

  template <typename Function, typename F, typename... Args>
  decltype(auto) call(F&& f, Args&&... args) const {
    static_assert(!internal::kCallMakesTask<std::decay_t<F>&, std::decay_t<Args>&...>,
                  "a Task runs in its awaiter's context: spawn it");
    internal::Inherited inherited = from_();  // First: what throws here has not moved f.
    return Function()(target(),
                      internal::BoundMaker::make(std::move(inherited), std::forward<F>(f)),
                      std::forward<Args>(args)...);
  }

  // Makes one around what the executor has made of itself when it was asked for the property.
  template <typename Property, typename Other>
  [[nodiscard]] auto around(Other executor) const {
    if constexpr (internal::TracksWork<Property>) {
      return ContextExecutor<Other, internal::FromBegin>(std::move(executor), {from_()});
    } else {
      return ContextExecutor<Other, From>(std::move(executor), from_);
    }
  }

  E executor_;
  [[no_unique_address]] From from_;
};

template <typename E>
ContextExecutor(E) -> ContextExecutor<E>;

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_CONTEXT_EXECUTOR_H_
