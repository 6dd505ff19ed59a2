// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's parallel_for_each, with the caller's context in the body.
//
//   taskctx::tbb::parallel_for_each(files, [&](const File& file) { search(file); });
//
// Isolation: each call of the body, with one item, starts with the caller's values; so do the calls
//            for items that a feeder has added.
// Covered:   calls of the body. Not covered: iterators, and the copies of items that oneTBB makes.
// Errors:    iterators may throw (plain oneTBB hangs then). Moves of items that input iterators
//            give must not throw: oneTBB hangs. After an error oneTBB may lose some of those items.
// Threads, blocking: see taskctx/tbb.h.

#ifndef TASKCTX_TBB_PARALLEL_FOR_EACH_H_
#define TASKCTX_TBB_PARALLEL_FOR_EACH_H_

#include <oneapi/tbb/parallel_for_each.h>

#include <concepts>
#include <functional>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

#include "taskctx/internal/tbb/blocking_call.h"
#include "taskctx/tbb/parallel_for.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// The return type of oneTBB's own overload for these arguments.
template <typename... Args>
using ParallelForEach = decltype(onetbb::parallel_for_each(std::declval<Args>()...));

// The caller's body, callable with the same arguments.
template <typename Body>
class ItemBody {
 public:
  ItemBody(const BlockingCall& call, const Body& body) : call_(call), body_(body) {}

  template <typename Item>
    requires std::invocable<const Body&, Item>
  void operator()(Item&& item) const {
    run_body(call_, [&] { std::invoke(body_, std::forward<Item>(item)); });
  }
  template <typename Item, typename T>
    requires std::invocable<const Body&, Item, onetbb::feeder<T>&>
  void operator()(Item&& item, onetbb::feeder<T>& feeder) const {
    run_body(call_, [&] { std::invoke(body_, std::forward<Item>(item), feeder); });
  }

 private:
  const BlockingCall& call_;
  const Body& body_;
};

// Likewise with one signature. oneTBB reads the type of the items from the signature of a body that
// takes a feeder, so a template won't do.
template <typename Body, typename Item, typename T>
class FedBody {
 public:
  FedBody(const BlockingCall& call, const Body& body) : call_(call), body_(body) {}

  void operator()(Item item, onetbb::feeder<T>& feeder) const {
    run_body(call_, [&] { body_(std::forward<Item>(item), feeder); });
  }

 private:
  const BlockingCall& call_;
  const Body& body_;
};

template <typename Body, typename Signature>
struct ForEachBodyOf {
  using type = ItemBody<Body>;
};
template <typename Body, typename Item, typename T>
struct ForEachBodyOf<Body, void (Body::*)(Item, onetbb::feeder<T>&) const> {
  using type = FedBody<Body, Item, T>;
};

template <typename Body>
struct ForEachBody : ForEachBodyOf<Body, void> {};
template <typename Body>
  requires requires { &Body::operator(); }
struct ForEachBody<Body> : ForEachBodyOf<Body, decltype(&Body::operator())> {};

// oneTBB hangs if an iterator throws while it collects items. So the two kinds of iterators below
// don't throw: they keep the error, which counts as the end of the items.

// Wraps a forward iterator.
template <typename Iterator>
class ForwardIterator {
  using Traits = std::iterator_traits<Iterator>;

 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = typename Traits::value_type;
  using difference_type = typename Traits::difference_type;
  using pointer = typename Traits::pointer;
  using reference = typename Traits::reference;

  ForwardIterator() = default;
  ForwardIterator(const Iterator& iterator, FirstError& error)
      : iterator_(iterator), error_(&error) {}
  ForwardIterator(const ForwardIterator& other) noexcept : error_(other.error_) { take(other); }
  ForwardIterator& operator=(const ForwardIterator& other) noexcept {
    if (this != &other) {
      iterator_.reset();
      error_ = other.error_;
      take(other);
    }
    return *this;
  }
  ~ForwardIterator() = default;

  reference operator*() const { return *iterator_.value(); }  // Here it may throw.
  ForwardIterator& operator++() noexcept {
    if (iterator_ && !error_->guard([&] { ++*iterator_; })) {
      iterator_.reset();
    }
    return *this;
  }
  ForwardIterator operator++(int) noexcept {
    ForwardIterator before(*this);
    ++*this;
    return before;
  }
  friend bool operator==(const ForwardIterator& a, const ForwardIterator& b) noexcept {
    bool is_equal = true;
    if (a.iterator_ && b.iterator_) {
      (void)a.error_->guard([&] { is_equal = static_cast<bool>(*a.iterator_ == *b.iterator_); });
    }
    return is_equal;
  }

 private:
  void take(const ForwardIterator& other) noexcept {
    if (other.iterator_) {
      (void)error_->guard([&] { iterator_.emplace(*other.iterator_); });
    }
  }

  std::optional<Iterator> iterator_;
  FirstError* error_ = nullptr;
};

// Wraps two input iterators. Fetches one item ahead, on one thread at a time.
template <typename Iterator>
class InputItems {
  using Traits = std::iterator_traits<Iterator>;

 public:
  InputItems(Iterator first, Iterator last, FirstError& error)
      : next_(std::move(first)), last_(std::move(last)), error_(error) {
    fetch();
  }

  // All copies are at the same position; nullptr is the end.
  class Position {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = typename Traits::value_type;
    using difference_type = typename Traits::difference_type;
    using pointer = typename Traits::pointer;
    using reference = typename Traits::reference;

    Position() = default;
    explicit Position(InputItems* items) noexcept : items_(items) {}

    value_type&& operator*() const noexcept { return std::move(*items_->item_); }
    Position& operator++() noexcept {
      items_->advance();
      return *this;
    }
    void operator++(int) noexcept { items_->advance(); }
    friend bool operator==(const Position& a, const Position& b) noexcept {
      return a.is_end() == b.is_end();
    }

   private:
    [[nodiscard]] bool is_end() const noexcept { return items_ == nullptr || !items_->item_; }

    InputItems* items_ = nullptr;
  };

 private:
  void fetch() {
    if (!(next_ == last_)) {
      item_.emplace(*next_);
    }
  }
  void advance() noexcept {
    item_.reset();
    (void)error_.guard([this] {
      ++next_;
      fetch();
    });
  }

  Iterator next_;
  const Iterator last_;
  FirstError& error_;
  std::optional<typename Traits::value_type> item_;
};

// True if a body takes items and no feeder, from random-access iterators: parallel_for does that.
template <typename Body, typename Iterator>
inline constexpr bool kTakesNoFeeder =
    std::is_convertible_v<typename std::iterator_traits<Iterator>::iterator_category,
                          std::random_access_iterator_tag> &&
    std::invocable<const Body&, typename std::iterator_traits<Iterator>::reference> &&
    !std::invocable<const Body&, typename std::iterator_traits<Iterator>::reference,
                    onetbb::feeder<typename std::iterator_traits<Iterator>::value_type>&>;

// Lets oneTBB call `body` for the items of [first, last).
template <typename Iterator, typename Body, typename... Context>
  requires(kTakesNoFeeder<Body, Iterator>)
void for_each(Iterator first, Iterator last, const Body& body, Context&&... context) {
  using Difference = typename std::iterator_traits<Iterator>::difference_type;
  tbb::parallel_for(
      Difference{0}, last - first,
      [&first, &body](Difference i) { std::invoke(body, *std::next(first, i)); },
      std::forward<Context>(context)...);
}
template <typename Iterator, typename Body, typename... Context>
void for_each(Iterator first, Iterator last, const Body& body, Context&&... context) {
  using Category = typename std::iterator_traits<Iterator>::iterator_category;
  AlgorithmCall call;
  const typename ForEachBody<Body>::type ours(call, body);
  if constexpr (std::is_convertible_v<Category, std::random_access_iterator_tag>) {
    call.run([&] { onetbb::parallel_for_each(first, last, ours, context...); }, context...);
  } else {
    FirstError error(onetbb::task::current_context());
    if constexpr (std::is_convertible_v<Category, std::forward_iterator_tag>) {
      using Guarded = ForwardIterator<Iterator>;
      call.run(
          [&] {
            onetbb::parallel_for_each(Guarded(first, error), Guarded(last, error), ours,
                                      context...);
          },
          context...);
    } else {
      InputItems<Iterator> items(std::move(first), std::move(last), error);
      using Position = typename InputItems<Iterator>::Position;
      call.run([&] { onetbb::parallel_for_each(Position(&items), Position(), ours, context...); },
               context...);
    }
    error.rethrow();
  }
}

}  // namespace internal

namespace tbb {

// Calls `body(item)`, or `body(item, feeder)`, for each item of [first, last) and for each item
// that is added to the feeder, in parallel, and waits. `context`: a task_group_context, or none.
// Each call runs in the caller's context. Costs oneTBB's parallel_for_each, a guard of two words
// per call, and one atomic increment.
template <typename Iterator, typename Body, internal::AlgorithmOption... Context>
internal::ParallelForEach<Iterator, Iterator, const Body&, Context...> parallel_for_each(
    Iterator first, Iterator last, const Body& body, Context&&... context) {
  internal::for_each(std::move(first), std::move(last), body, std::forward<Context>(context)...);
}

// Does the same for the items of `range`, from std::begin() to std::end().
template <typename Range, typename Body, internal::AlgorithmOption... Context>
internal::ParallelForEach<Range, const Body&, Context...> parallel_for_each(Range&& range,
                                                                            const Body& body,
                                                                            Context&&... context) {
  using Items = std::conditional_t<std::is_lvalue_reference_v<Range>, Range, const Range&>;
  Items items = range;
  internal::for_each(std::begin(items), std::end(items), body, std::forward<Context>(context)...);
}

using oneapi::tbb::feeder;

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_PARALLEL_FOR_EACH_H_
