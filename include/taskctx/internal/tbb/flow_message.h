// SPDX-License-Identifier: Apache-2.0
//
// Message: a flow graph's message as oneTBB moves it from node to node: a value, and the context in
// which it was put. MessageContext: the guard of a body that gets one.
//
//   receiver.try_put(Message<T>::lend(value));           // with the context here
//   const MessageContext context(message.maker(), place, false);  // around a body's call
//   return Message<U>::make([&] { return body(message.value()); },  // with what the body has set
//                           [&] { return MessageMaker::made_from(message.maker()); });

#ifndef TASKCTX_INTERNAL_TBB_FLOW_MESSAGE_H_
#define TASKCTX_INTERNAL_TBB_FLOW_MESSAGE_H_

#include <concepts>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/key_list.h"
#include "taskctx/internal/core/node.h"
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
  // (If this throws nothing, oneTBB may take a body for one that throws nothing.)
  MessageValue() noexcept(std::is_nothrow_default_constructible_v<T>)
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
    if (this != &other) {
      value() = other.value();
    }
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
  MessageValue() noexcept(std::is_nothrow_default_constructible_v<T>) : value_() {}
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

// The context of a message, and whose work it is: two words. oneTBB copies a message from node to
// node, and each copy counts one reference. A message that ends in the call that makes it need not
// count: its first copy takes over what was counted for it, or it has been lent what others keep.
class MessageMaker {
 public:
  MessageMaker() = default;
  // Takes both.
  explicit MessageMaker(Inherited maker) noexcept : MessageMaker(std::move(maker), kOwned) {}
  // Makes that of a message which is put here, and ends with the call that puts it.
  static MessageMaker here() {
    Inherited maker{capture(), capture_link()};
    // The caller keeps what is current: so it may give the reference away, and be copied again. If
    // a variable's policy has made another node, nobody else keeps that.
    const bool is_kept = maker.node.get() == current_node();
    return {std::move(maker), is_kept ? kGiving : kOwned};
  }
  // Makes that of a message which a body has made, to be called in the body's context: `of` is that
  // of the body's own message, which outlives this and its copying.
  static MessageMaker made_from(const MessageMaker& of) {
    if (current_node() == of.node() && propagated_keys.empty()) [[likely]] {
      return {(of.node_ & ~kGiving) | kBorrowed, of.link_};
    }
    return MessageMaker({capture(), LinkRef::share(of.link())});
  }
  MessageMaker(const MessageMaker& other) noexcept {
    if ((other.node_ & kGiving) != 0) {
      node_ = other.node_ & ~kGiving;
      other.node_ = node_ | kBorrowed;
      link_ = other.link_;
    } else {
      take({NodeRef::share(other.node()), LinkRef::share(other.link())}, kOwned);
    }
  }
  MessageMaker(MessageMaker&& other) noexcept
      : node_(std::exchange(other.node_, nothing())), link_(std::exchange(other.link_, 0)) {}
  MessageMaker& operator=(MessageMaker other) noexcept {
    std::swap(node_, other.node_);
    std::swap(link_, other.link_);
    return *this;
  }
  ~MessageMaker() {
    if ((node_ & kBorrowed) == 0) {
      static_cast<void>(give());
    }
  }

  [[nodiscard]] Node* node() const noexcept { return reinterpret_cast<Node*>(node_ & ~kBits); }
  [[nodiscard]] Link* link() const noexcept {
    return link_ != 0 ? reinterpret_cast<Link*>(link_ - LinkRef::kTag) : nullptr;
  }
  // Returns both, with references of their own.
  [[nodiscard]] Inherited get() const { return {NodeRef::share(node()), LinkRef::share(link())}; }

 private:
  static constexpr std::uintptr_t kSpread = 1;    // The reference is a spread one (ref_count.h).
  static constexpr std::uintptr_t kGiving = 2;    // The first copy takes it over.
  static constexpr std::uintptr_t kBorrowed = 4;  // It has none, and others keep the node.
  static constexpr std::uintptr_t kOwned = 0;
  static constexpr std::uintptr_t kBits = 7;
  static_assert(alignof(Node) > kBits);
  static std::uintptr_t nothing() noexcept { return reinterpret_cast<std::uintptr_t>(&empty_node); }

  MessageMaker(std::uintptr_t node, std::uintptr_t link) noexcept : node_(node), link_(link) {}
  MessageMaker(Inherited maker, std::uintptr_t state) noexcept { take(std::move(maker), state); }

  void take(Inherited maker, std::uintptr_t state) noexcept {
    const std::uintptr_t spread = maker.node.is_spread() ? kSpread : 0;
    node_ = reinterpret_cast<std::uintptr_t>(maker.node.detach()) | spread | state;
    link_ = maker.link.bits();
    static_cast<void>(maker.link.detach());
  }
  // Gives up the references.
  [[nodiscard]] Inherited give() noexcept {
    return {NodeRef::adopt(node(), (node_ & kSpread) != 0), LinkRef::adopt(link())};
  }

  mutable std::uintptr_t node_ = nothing();
  std::uintptr_t link_ = 0;  // LinkRef::bits().
};

template <typename T>
class Message : public MessageValue<T> {
 public:
  Message() = default;

  // Makes one to be put: it stands for `value`, which must outlive it, in the context here.
  static Message lend(const T& value) { return Message(Lent<T>{value}, MessageMaker::here()); }
  // Likewise, in another context.
  static Message lend(const T& value, const MessageMaker& maker) {
    return Message(Lent<T>{value}, MessageMaker(maker));
  }
  static Message lend(const T& value, const Inherited& maker) {
    return Message(Lent<T>{value}, MessageMaker(maker));
  }
  // Makes one to be assigned to: what it gets is in `target` after deliver(target).
  static Message want(T& target) { return Message(Wanted<T>{target}, MessageMaker()); }
  // Makes one of what `make()` returns, and of the context that `make_maker()` returns after that.
  template <typename Make, typename MakeMaker>
  static Message make(const Make& make, const MakeMaker& make_maker) {
    return Message(MadeBy<const Make>{make}, make_maker);
  }

  [[nodiscard]] const MessageMaker& maker() const noexcept { return maker_; }
  [[nodiscard]] MessageMaker& maker() noexcept { return maker_; }

 private:
  template <typename Begin>
  Message(Begin begin, MessageMaker&& maker) : MessageValue<T>(begin), maker_(std::move(maker)) {}
  template <typename Begin, typename MakeMaker>
  Message(Begin begin, const MakeMaker& make_maker)
      : MessageValue<T>(begin), maker_(make_maker()) {}

  MessageMaker maker_;
};

// Return the key of a message for a join_node that asks the message itself (where oneTBB has such
// joins): by a function of the user's with this name, or by its member `key()`.
template <typename Key, typename T>
Key key_from_message(const T& value) {
  return value.key();
}
template <typename Key, typename T>
Key key_from_message(const Message<T>& message) {
  return key_from_message<Key>(message.value());
}

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
  MessageContext(const MessageMaker& of, const GraphPlace& place, bool is_inline) noexcept
      : frame_{is_inline ? Origin(current_activation()) : Origin::pool(place.executor),
               Origin::link(of.link(), !is_inline && of.link() == place.link)},
        context_(of.node(), frame_.outer.is_nowhere() && of.link() == nullptr
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
