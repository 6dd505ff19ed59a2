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

#include "taskctx/internal/node.h"
#include "taskctx/internal/value.h"

namespace taskctx {
inline namespace v1 {

template <typename T>
class ContextVar;

template <typename T>
class Token {
 public:
  // Takes over what `other` can undo; `other` counts as used afterwards.
  Token(Token&& other) noexcept
      : variable_(other.variable_),
        id_(other.id_),
        old_(other.old_),
        had_old_(other.had_old_),
        used_(other.spend()) {}
  Token& operator=(Token&& other) noexcept {
    std::swap(variable_, other.variable_);
    std::swap(id_, other.id_);
    std::swap(old_, other.old_);
    std::swap(had_old_, other.had_old_);
    std::swap(used_, other.used_);
    return *this;
  }
  ~Token() {
    if (!used_ && had_old_) {
      internal::release(old_);
    }
  }

  // Returns the variable whose set() made the token. The reference is valid as long as that
  // variable.
  [[nodiscard]] const ContextVar<T>& var() const noexcept { return *variable_; }

  // Borrows the value that was set before, or returns nullptr if there was none or the token is
  // used. Valid until the token is used, moved or destroyed.
  [[nodiscard]] const T* old_value() const noexcept {
    return used_ || !had_old_ ? nullptr : internal::value_of<T>(old_);
  }

  // Tells whether the token has been spent or moved from.
  [[nodiscard]] bool used() const noexcept { return used_; }

 private:
  friend class ContextVar<T>;

  Token(const ContextVar<T>* variable, std::uint64_t key, std::uint64_t id,
        internal::Entry old) noexcept
      : variable_(variable), id_(id), old_(old), had_old_(old.key != 0) {
    old_.key = key;
  }

  // Marks the token used; who calls this takes over what old_ owns.
  bool spend() noexcept { return std::exchange(used_, true); }

  const ContextVar<T>* variable_;
  std::uint64_t id_;     // Of the activation in which set() was called.
  internal::Entry old_;  // The variable's key, and what was set before: owns its box while the
                         // token is not used.
  bool had_old_;
  bool used_ = false;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TOKEN_H_
