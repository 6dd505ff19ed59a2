// SPDX-License-Identifier: Apache-2.0
//
// Token: the way back from one ContextVar::set().
//
//   taskctx::Token<int> token = retries.set(5);
//   token.old_value();                // const int*: what was set before, or nullptr
//   retries.reset(std::move(token));  // as before the set()
//
// Threads:  as safe as std::string. It may be used on another thread than the one that made it, in
//           the same context.
// Lifetime: keeps the old value alive (PEP 567). It may be dropped: the destructor resets nothing;
//           a Scope does.
// Errors:   reported by ContextVar::reset() and by Scope.

#ifndef TASKCTX_TOKEN_H_
#define TASKCTX_TOKEN_H_

#include <cstdint>
#include <utility>

#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/value.h"

namespace taskctx {
inline namespace v1 {

template <typename T>
class ContextVar;

namespace internal {

template <typename T>
class ScopedBinding;

// The value that one set() has replaced, and where.
struct Undo {
  std::uint64_t key;  // The variable's.
  std::uint64_t id;   // Of the activation in which set() was called.
  Entry old;          // Without a key if nothing was set.
};

}  // namespace internal

template <typename T>
class Token {
 public:
  // Takes over what `other` can undo; `other` counts as used afterwards.
  Token(Token&& other) noexcept
      : variable_(other.variable_), undo_(other.undo_), used_(std::exchange(other.used_, true)) {}
  Token(const Token&) = delete;  // It is used up once: std::move(token).
  Token& operator=(const Token&) = delete;
  Token& operator=(Token&& other) noexcept {
    std::swap(variable_, other.variable_);
    std::swap(undo_, other.undo_);
    std::swap(used_, other.used_);
    return *this;
  }
  ~Token() {
    if (!used_) {
      internal::release(undo_.old);
    }
  }

  // Returns the variable whose set() made the token. The reference is valid as long as that
  // variable.
  [[nodiscard]] const ContextVar<T>& var() const noexcept { return *variable_; }

  // Borrows the value that was set before, or returns nullptr if there was none or the token is
  // used. Valid until the token is used, moved or destroyed. (Python's token keeps it. Here reset()
  // moves it back: to keep it, each reset() would have to count one more reference.)
  [[nodiscard]] const T* old_value() const noexcept {
    return used_ || undo_.old.key == 0 ? nullptr : internal::value_of<T>(undo_.old);
  }

  // Tells whether the token has been spent or moved from.
  [[nodiscard]] bool used() const noexcept { return used_; }

 private:
  friend class ContextVar<T>;
  friend class internal::ScopedBinding<T>;

  Token(const ContextVar<T>* variable, const internal::Undo& undo) noexcept
      : variable_(variable), undo_(undo) {}

  const ContextVar<T>* variable_;
  internal::Undo undo_;  // Owns the box in it while the token is not used.
  bool used_ = false;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TOKEN_H_
