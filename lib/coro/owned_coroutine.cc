// SPDX-License-Identifier: Apache-2.0
//
// How coroutines that await each other are destroyed, the innermost first, without recursion.

#include "taskctx/internal/coro/owned_coroutine.h"

#include <utility>

#include "taskctx/internal/coro/flow.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Returns a coroutine that must be destroyed before this one, or nullptr.
OwnedPromise* OwnedPromise::inner() noexcept {
  if (awaited_ != nullptr) {
    return awaited_;
  }
  if (special_ != nullptr && special_->given != nullptr) {
    for (const Given* given = special_->given; given->frame != nullptr; ++given) {
      if (OwnedPromise* const promise = given->promise(*given->frame)) {
        return promise;
      }
    }
  }
  return nullptr;
}

// The flow's destructor leaves it.
void OwnedPromise::enter() noexcept {
  if (special_ != nullptr && special_->flow != nullptr && !special_->flow->is_entered()) {
    if (!owner_->handle_.done()) {
      special_->flow->prepare_to_end();
    }
    special_->flow->enter();
  }
}

void OwnedPromise::destroy() noexcept {
  if (outer_ != this) {
    ended();  // Its awaiter will never be resumed.
  }
  enter();
  // Goes down to the innermost one, and back up along `outer_`.
  OwnedPromise* each = this;
  while (true) {
    if (OwnedPromise* const inner = each->inner()) {
      inner->ended();
      inner->outer_ = each;
      inner->enter();
      each = inner;
      continue;
    }
    OwnedPromise* const outer = each->outer_;
    const bool is_last = each == this;
    std::exchange(each->owner_->handle_, nullptr).destroy();
    if (is_last) {
      return;
    }
    each = outer;
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
