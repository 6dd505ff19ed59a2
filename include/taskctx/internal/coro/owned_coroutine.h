// SPDX-License-Identifier: Apache-2.0
//
// OwnedCoroutine: what a Task or a generator has: a coroutine that goes with it, suspended or not.
//
// A coroutine may be suspended because it awaits another one, and that a third, a million levels
// deep. They are destroyed one after the other, the innermost first: it may refer to what those
// around it hold, and its scopes were opened last. So each promise knows which one its coroutine
// awaits, and who owns it: that owner is empty then, when it is destroyed with the frame that it is
// in. The same goes for tasks that were given to a coroutine by value.

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

// The part of an OwnedCoroutine that does not depend on its kind.
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
  // Says that the coroutine of `awaiter` waits for this one, until ended().
  template <typename Promise>
  void set_awaited_by(Promise& awaiter) noexcept {
    if constexpr (std::is_base_of_v<OwnedPromise, Promise>) {
      outer_ = &awaiter;
      outer_->awaited_ = this;
    }
  }
  // It awaits nothing any more, so this is right for one without awaiter, too.
  void ended() noexcept { outer_->awaited_ = nullptr; }

  void set_owner(OwnedFrame* owner) noexcept { owner_ = owner; }

  // Destroys the coroutine, and first those that it awaits, or was given: each in its context.
  // Constant stack.
  void destroy() noexcept;
  // Tells whether the coroutine neither has a context of its own, nor was given others.
  [[nodiscard]] bool is_plain() const noexcept { return special_ == nullptr; }

 protected:
  // A parameter that owns a coroutine, as long as nobody has moved that away.
  struct Given {
    OwnedFrame* frame = nullptr;
    OwnedPromise* (*promise)(OwnedFrame&) noexcept = nullptr;
  };
  // What few coroutines have.
  struct Special {
    PromiseFlow* flow = nullptr;   // Ends with the promise.
    const Given* given = nullptr;  // The last one has no frame.
  };

  OwnedPromise() = default;
  ~OwnedPromise() = default;

  Special* special_ = nullptr;

 private:
  OwnedPromise* inner() noexcept;
  void enter() noexcept;

  OwnedPromise* outer_ = this;  // Who waits for it, if that has an owner, too.
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
