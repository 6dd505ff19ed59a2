// SPDX-License-Identifier: Apache-2.0
//
// Carried: a value with the context of whoever has made it, for queues and channels of any kind.
//
//   oneapi::tbb::concurrent_queue<taskctx::Carried<Page>> queue;
//   queue.push(page);                                    // with the context here
//   if (taskctx::Carried<Page> item; queue.try_pop(item)) {
//     item.run([](Page& page) { index(page); });         // in that context, on any thread
//   }
//
// It carries what a bound callable does (bind.h): the values that are set, and the cancellation and
// the deadline of the job or scope that it was made in. A batch has all contexts: run each item.
//
// Threads:  as safe as a T. Several threads may run functions of a const T at once.
// Lifetime: keeps the snapshot's values alive. Takes 16 bytes beside the T, and no allocation. The
//           T is copied, compared and destroyed in the context of the code that does it, as a bound
//           callable is; by then the snapshot's values are still there.
// Errors:   passes on what the T and the function throw. Where a copy or move of the T throws, each
//           object still has the context that it had.

#ifndef TASKCTX_CARRIED_H_
#define TASKCTX_CARRIED_H_

#include <compare>
#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

#include "taskctx/context.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/refused.h"

namespace taskctx {
inline namespace v1 {

template <typename T>
class Carried;

namespace internal {

struct CarriedAccess;

// What a T in a Carried can be made from; without asking T about Carried itself.
template <typename T, typename U>
concept CarriedFrom =
    !std::is_base_of_v<Carried<T>, std::remove_cvref_t<U>> &&
    !std::same_as<std::remove_cvref_t<U>, std::in_place_t> && std::constructible_from<T, U>;

// Whether the call f(value, args...) can be run: it is possible, and makes no coroutine.
template <typename F, typename... Args>
concept RunsWith = std::invocable<F, Args...> && !kCallMakesTask<F, Args...>;

// What has an order, if only by operator<.
template <typename T>
concept Ordered = std::three_way_comparable<T> || requires(const T& a, const T& b) {
  { a < b } -> std::convertible_to<bool>;
};

}  // namespace internal

// Copyable, movable and assignable as T is, and noexcept where T is. A T that was moved from leaves
// an empty context, and no cancellation.
template <typename T>
class Carried {
  static_assert(std::is_object_v<T> && !std::is_array_v<T>,
                "Carried<T> has a T of its own: take a pointer, or std::reference_wrapper, for a "
                "reference, and a Context, or bind(), for nothing but a context");
  static constexpr bool kMovesSafely = std::is_nothrow_move_constructible_v<T>;

 public:
  using value_type = T;

  // Makes a T() in an empty context, without cancellation: something to assign to.
  Carried() noexcept(std::is_nothrow_default_constructible_v<T>)
    requires std::default_initializable<T>
      : value_() {}

  // Makes a T of `value`, with a snapshot of the current context: so queue.push(value) is enough.
  // Explicit only where T's constructor is. O(1) beside the T: an atomic increment, and another one
  // in a job or cancel scope (the first time in a job, an allocation). Throws std::bad_alloc, and
  // what copying a value with policy::copy throws: `value` is as it was then.
  template <typename U = T>
    requires internal::CarriedFrom<T, U>
  explicit(!std::convertible_to<U, T>) Carried(U&& value)  // NOLINT(*-forwarding-reference-*)
      : maker_(here()), value_(std::forward<U>(value)) {}
  // Makes a T(args...), likewise: queue.emplace(std::in_place, args...).
  template <typename... Args>
    requires std::constructible_from<T, Args...>
  explicit Carried(std::in_place_t /*tag*/, Args&&... args)
      : maker_(here()), value_(std::forward<Args>(args)...) {}

  // Make one with a copy of `context`, as it is now, even if it is entered. The cancellation is
  // that of the code that calls, as with bind(context, f). O(1), too.
  template <typename U = T>
    requires internal::CarriedFrom<T, U>
  explicit(!std::convertible_to<U, T>) Carried(const Context& context, U&& value)
      : maker_(in(context)), value_(std::forward<U>(value)) {}
  template <typename... Args>
    requires std::constructible_from<T, Args...>
  explicit Carried(const Context& context, std::in_place_t /*tag*/, Args&&... args)
      : maker_(in(context)), value_(std::forward<Args>(args)...) {}

  Carried(const Carried& other) = default;
  // (If the T's move throws, the context has to stay where it is: then it is taken last.)
  Carried(Carried&& other) noexcept(kMovesSafely)
    requires std::move_constructible<T>
      : maker_(kMovesSafely ? std::move(other.maker_) : internal::Inherited()),
        value_(std::move(other.value_)) {
    if constexpr (!kMovesSafely) {
      maker_ = std::move(other.maker_);
    }
  }

  // Assign the T, and then the context. What the old context alone has kept alive ends last.
  Carried& operator=(const Carried& other) noexcept(std::is_nothrow_copy_assignable_v<T>)
    requires std::is_copy_assignable_v<T>
  {
    internal::Inherited maker = other.maker_;
    value_ = other.value_;
    std::swap(maker_, maker);
    return *this;
  }
  Carried& operator=(Carried&& other) noexcept(std::is_nothrow_move_assignable_v<T>)
    requires std::is_move_assignable_v<T>
  {
    value_ = std::move(other.value_);
    internal::Inherited maker = std::move(other.maker_);
    std::swap(maker_, maker);
    return *this;
  }
  ~Carried() = default;

  friend void swap(Carried& a, Carried& b) noexcept(std::is_nothrow_swappable_v<T>)
    requires std::is_swappable_v<T>
  {
    using std::swap;
    swap(a.value_, b.value_);
    swap(a.maker_, b.maker_);
  }

  // Returns the T; valid as long as this object. O(1).
  [[nodiscard]] T& value() & noexcept { return value_; }
  [[nodiscard]] const T& value() const& noexcept { return value_; }
  [[nodiscard]] T&& value() && noexcept { return std::move(value_); }
  [[nodiscard]] const T&& value() const&& noexcept { return std::move(value_); }

  // Returns a copy of the context: {.context = item.context()} hands it to a job. It has the values
  // only. O(1), one atomic increment.
  [[nodiscard]] Context context() const noexcept {
    return internal::ContextAccess::make(maker_.node);
  }

  // Calls `f(value, args...)` in the context, with the producer's cancellation and deadline, and
  // returns what it returns. `f` may be a member's pointer, and gets the T as value() returns it.
  // Each run starts from the same snapshot: what `f` sets ends with the run, and goes along with
  // what `f` makes, such as another Carried. `f` may move, assign or destroy this object. O(1)
  // beside the call: a reference to the context is counted, and it is installed.
  //
  //   auto text = item.run([](Page& page) { return taskctx::Carried(text_of(page)); });
  template <typename F, typename... Args>
    requires internal::RunsWith<F, T&, Args...>
  decltype(auto) run(F&& f, Args&&... args) & {
    return run_as(maker_, std::forward<F>(f), value_, std::forward<Args>(args)...);
  }
  template <typename F, typename... Args>
    requires internal::RunsWith<F, const T&, Args...>
  decltype(auto) run(F&& f, Args&&... args) const& {
    return run_as(maker_, std::forward<F>(f), value_, std::forward<Args>(args)...);
  }
  // Gives the T to `f` as an rvalue, and the context up: it is empty afterwards. Counts nothing.
  template <typename F, typename... Args>
    requires internal::RunsWith<F, T, Args...>
  decltype(auto) run(F&& f, Args&&... args) && {
    return run_as(std::move(maker_), std::forward<F>(f), std::move(value_),
                  std::forward<Args>(args)...);
  }
  // Refused: what can't be called so, and coroutines.
  template <typename F, typename... Args>
    requires(!internal::RunsWith<F, const T&, Args...> &&
             !internal::kCallMakesTask<F, const T&, Args...>)
  __attribute__((unavailable(
      "run(f, args...) calls f(value, args...), with the value as value() returns it: that is not "
      "possible here"))) internal::Refused
  run(F&& /*f*/, Args&&... /*args*/) const& {
    return {};
  }
  template <typename F, typename... Args>
    requires internal::kCallMakesTask<F, const T&, Args...>
  __attribute__((
      unavailable("a Task runs in its awaiter's context: pool.spawn({.context = "
                  "item.context()}, task)"))) internal::Refused
  run(F&& /*f*/, Args&&... /*args*/) const& {
    return {};
  }

  // Compare the values only: so priority queues order by them.
  [[nodiscard]] friend bool operator==(const Carried& a, const Carried& b)
    requires std::equality_comparable<T>
  {
    return a.value_ == b.value_;
  }
  [[nodiscard]] friend auto operator<=>(const Carried& a, const Carried& b)
    requires internal::Ordered<T>
  {
    if constexpr (std::three_way_comparable<T>) {
      return a.value_ <=> b.value_;
    } else {
      return a.value_ < b.value_   ? std::weak_ordering::less
             : b.value_ < a.value_ ? std::weak_ordering::greater
                                   : std::weak_ordering::equivalent;
    }
  }

 private:
  friend struct internal::CarriedAccess;

  template <typename... Args>
  explicit Carried(internal::Inherited&& maker, Args&&... args)
      : maker_(std::move(maker)), value_(std::forward<Args>(args)...) {}

  static internal::Inherited here() { return {internal::capture(), internal::capture_link()}; }
  static internal::Inherited in(const Context& context) {
    return {internal::ContextAccess::node(context), internal::capture_link()};
  }

  // (`maker` is a copy: this object may end meanwhile.)
  template <typename F, typename... Args>
  static decltype(auto) run_as(internal::Inherited maker, F&& f, Args&&... args) {
    const internal::Frame frame{internal::Origin(internal::current_activation()),
                                internal::Origin::link(maker.link)};
    const internal::Installed context(maker.node.get(), internal::Origin::frame(&frame));
    return std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
  }

  internal::Inherited maker_;
  T value_;  // The last one: it is destroyed before the values that it may refer to.
};

template <typename T>
Carried(T) -> Carried<T>;
template <typename T>
Carried(const Context&, T) -> Carried<T>;

namespace internal {

// Makes such values of what a message has, and takes them apart, for the floors above.
struct CarriedAccess {
  template <typename T>
  static const Inherited& maker(const Carried<T>& carried) noexcept {
    return carried.maker_;
  }
  // Gives it the context of a message whose value it has been given.
  template <typename T>
  static void set_maker(Carried<T>& carried, Inherited maker) noexcept {
    std::swap(carried.maker_, maker);
  }
};

}  // namespace internal

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_CARRIED_H_
