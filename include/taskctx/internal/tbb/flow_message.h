// SPDX-License-Identifier: Apache-2.0
//
// Message: a flow graph's message as oneTBB moves it from node to node: a value, and the context in
// which it was put. MessageContext: the guard of a body that gets one.
//
//   receiver.try_put(Message<T>::lend(value));           // with the context here
//   const MessageContext context(message.maker(), place, false);  // around a body's call
//   return Message<U>::make([&] { return body(message.value()); });  // with what the body has set

#ifndef TASKCTX_INTERNAL_TBB_FLOW_MESSAGE_H_
#define TASKCTX_INTERNAL_TBB_FLOW_MESSAGE_H_

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/internal/tbb/blocking_call.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// How a message's value begins.
template <typename T>
struct Lent {
  const T& value;
};
template <typename T>
struct Wanted {
  T& target;
};
template <typename Make>
struct MadeBy {
  Make& make;
};

// A small plain type: copies of it cost nothing.
template <typename T>
concept PlainMessage = std::is_trivially_copyable_v<T> && std::default_initializable<T> &&
                       std::is_copy_assignable_v<T> && sizeof(T) <= 2 * sizeof(void*);

// The value of a message. That of a call which puts a message, or gets one, is the caller's own:
// what oneTBB copies from this, and assigns to it, is copied from there, and assigned there. So a
// value is copied as often as in plain oneTBB.
template <typename T>
class MessageValue {
 public:
  MessageValue()
    requires std::default_initializable<T>
      : outside_(nullptr), value_() {}
  explicit MessageValue(Lent<T> lent) noexcept
      : outside_(const_cast<T*>(std::addressof(lent.value))) {}  // Only copied from.
  explicit MessageValue(Wanted<T> wanted) noexcept : outside_(std::addressof(wanted.target)) {}
  template <typename Make>
  explicit MessageValue(MadeBy<Make> made) : outside_(nullptr), value_(made.make()) {}
  MessageValue(const MessageValue& other) : outside_(nullptr), value_(other.value()) {}
  MessageValue& operator=(const MessageValue& other)
    requires std::is_copy_assignable_v<T>
  {
    value() = other.value();
    return *this;
  }
  ~MessageValue() {
    if (outside_ == nullptr) {
      value_.~T();
    }
  }

  [[nodiscard]] const T& value() const noexcept { return outside_ == nullptr ? value_ : *outside_; }
  [[nodiscard]] T& value() noexcept { return outside_ == nullptr ? value_ : *outside_; }
  // Brings what was assigned to where it is wanted.
  void deliver(T& /*target*/) noexcept {}

 private:
  T* outside_;
  union {  // Alive if `outside_` is nullptr.
    T value_;
  };
};

template <PlainMessage T>
class MessageValue<T> {
 public:
  MessageValue() : value_() {}
  explicit MessageValue(Lent<T> lent) noexcept : value_(lent.value) {}
  explicit MessageValue(Wanted<T> /*wanted*/) : value_() {}
  template <typename Make>
  explicit MessageValue(MadeBy<Make> made) : value_(made.make()) {}

  [[nodiscard]] const T& value() const noexcept { return value_; }
  [[nodiscard]] T& value() noexcept { return value_; }
  void deliver(T& target) noexcept { target = value_; }

 private:
  T value_;
};

template <typename T>
class Message : public MessageValue<T> {
 public:
  Message() = default;

  // Makes one to be put: it stands for `value`, which must outlive it, in the context here.
  static Message lend(const T& value) { return Message(Lent<T>{value}, here()); }
  // Likewise, in the context `maker`.
  static Message lend(const T& value, Inherited maker) {
    return Message(Lent<T>{value}, std::move(maker));
  }
  // Makes one to be assigned to: what it gets is in `target` after deliver(target).
  static Message want(T& target) { return Message(Wanted<T>{target}, Inherited()); }
  // Makes one of what `make()` returns, in the context that this leaves.
  template <typename Make>
  static Message make(const Make& make) {
    return Message(MadeBy<const Make>{make});
  }
  template <typename Make>
  static Message make(const Make& make, Inherited maker) {
    return Message(MadeBy<const Make>{make}, std::move(maker));
  }

  [[nodiscard]] const Inherited& maker() const noexcept { return maker_; }
  [[nodiscard]] Inherited& maker() noexcept { return maker_; }

 private:
  template <typename Begin>
  Message(Begin begin, Inherited maker)
      : MessageValue<T>(begin), maker_(std::move(maker)) {}
  template <typename Begin>
  explicit Message(Begin begin) : MessageValue<T>(begin), maker_(here()) {}

  static Inherited here() { return {capture(), capture_link()}; }

  Inherited maker_;  // After the value, which a body makes first.
};

// Where the bodies of a graph are at work: in the pool in which the graph was made, if that was in
// one. `link` is that of the code that has made it, and cancels the graph.
struct GraphPlace {
  Executor* executor = nullptr;
  const Link* link = nullptr;
};

// Runs the enclosing block in the context of a message, which must outlive it.
class MessageContext {
 public:
  // `is_inline`: the block is a part of the call that puts the message.
  MessageContext(const Inherited& of, const GraphPlace& place, bool is_inline) noexcept
      : frame_{is_inline ? Origin(current_activation()) : Origin::pool(place.executor),
               Origin::link(of.link.get(), !is_inline && of.link.get() == place.link)},
        context_(of.node.get(), frame_.outer.is_nowhere() && of.link.is_nothing()
                                    ? Origin()
                                    : Origin::frame(&frame_)) {}

 private:
  const Frame frame_;
  const LeafContext context_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_TBB_FLOW_MESSAGE_H_
