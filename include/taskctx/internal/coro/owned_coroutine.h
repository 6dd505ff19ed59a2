// SPDX-License-Identifier: Apache-2.0
//
// OwnedCoroutine: the coroutine of a Task or a generator, which destroys it, suspended or not.
//
// A suspended coroutine may await another one, and that a third, a million levels deep. They are
// destroyed one after the other, the innermost first: it may refer to variables of those around it,
// and its scopes were opened last. So each promise knows the coroutine that it awaits, and its own
// owner. An owner whose coroutine was destroyed that way is empty when its own turn comes. The same
// holds for tasks that a coroutine got as arguments by value.

#ifndef TASKCTX_INTERNAL_CORO_OWNED_COROUTINE_H_
#define TASKCTX_INTERNAL_CORO_OWNED_COROUTINE_H_

#include <coroutine>
#include <type_traits>
#include <utility>

#include "taskctx/internal/coro/flow.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class OwnedPromise;

// The part of an OwnedCoroutine that does not depend on the promise's type.
class OwnedFrame {
 public:
  OwnedFrame(const OwnedFrame&) = delete;
  OwnedFrame& operator=(const OwnedFrame&) = delete;

 protected:
  explicit OwnedFrame(std::coroutine_handle<> handle) noexcept : handle_(handle) {}
  ~OwnedFrame() = default;

  std::coroutine_handle<> handle_;  // nullptr if there is none.

 private:
  friend class OwnedPromise;
};

class OwnedPromise : public FlowPromise {
 public:
  // Notes that the coroutine of `awaiter` waits for this one, until ended().
  template <typename Promise>
  void set_awaited_by(Promise& awaiter) noexcept {
    if constexpr (std::is_base_of_v<OwnedPromise, Promise>) {
      outer_ = &awaiter;
      outer_->awaited_ = this;
    }
  }
  // Forgets the awaiter, which may be gone before this coroutine is destroyed. Without one `outer_`
  // is this promise itself, which awaits nothing any more.
  void ended() noexcept { std::exchange(outer_, this)->awaited_ = nullptr; }

  void set_owner(OwnedFrame* owner) noexcept { owner_ = owner; }

  // Destroys the coroutine, after those that it awaits or got as arguments, each in its context.
  // Constant stack.
  void destroy() noexcept;
  // Tells whether the coroutine has neither a context of its own nor tasks among its arguments.
  [[nodiscard]] bool is_plain() const noexcept { return special_ == nullptr; }

 protected:
  // A parameter that owns a coroutine, unless that was moved away.
  struct Given {
    OwnedFrame* frame = nullptr;
    OwnedPromise* (*promise)(OwnedFrame&) noexcept = nullptr;
  };
  // The parts that few coroutines have.
  struct Special {
    PromiseFlow* flow = nullptr;   // Ends with the promise.
    const Given* given = nullptr;  // An array that ends with one without a frame.
  };

  OwnedPromise() = default;
  ~OwnedPromise() = default;

  Special* special_ = nullptr;

 private:
  OwnedPromise* inner() noexcept;
  void enter() noexcept;

  OwnedPromise* outer_ = this;  // The awaiter's promise, if that is owned, too.
  OwnedPromise* awaited_ = nullptr;
  OwnedFrame* owner_ = nullptr;
};

template <typename Promise>
class OwnedCoroutine : public OwnedFrame {
 public:
  using Handle = std::coroutine_handle<Promise>;

  OwnedCoroutine() noexcept : OwnedFrame(nullptr) {}
  explicit OwnedCoroutine(Handle handle) noexcept : OwnedFrame(handle) {
    handle.promise().set_owner(this);
  }
  OwnedCoroutine(OwnedCoroutine&& other) noexcept
      : OwnedFrame(std::exchange(other.handle_, nullptr)) {
    own();
  }
  OwnedCoroutine& operator=(OwnedCoroutine&& other) noexcept {
    OwnedCoroutine moved(std::move(other));
    std::swap(handle_, moved.handle_);
    own();
    moved.own();
    return *this;
  }
  ~OwnedCoroutine() {
    if (handle_ != nullptr) {
      if (handle_.done() && handle().promise().is_plain()) [[likely]] {
        handle_.destroy();
      } else {
        handle().promise().destroy();
      }
    }
  }

  // Destroys the coroutine, if there is one.
  void reset() noexcept { const OwnedCoroutine taken(std::move(*this)); }

  [[nodiscard]] Handle handle() const noexcept { return Handle::from_address(handle_.address()); }
  [[nodiscard]] Promise* promise() const noexcept {
    return handle_ != nullptr ? &handle().promise() : nullptr;
  }
  static OwnedPromise* promise_of(OwnedFrame& frame) noexcept {
    return static_cast<OwnedCoroutine&>(frame).promise();
  }

 private:
  void own() noexcept {
    if (handle_ != nullptr) {
      handle().promise().set_owner(this);
    }
  }
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORO_OWNED_COROUTINE_H_
