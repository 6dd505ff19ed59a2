// SPDX-License-Identifier: Apache-2.0
//
// SwitchObserver: registers a function of contexts as an Observer, which knows nodes (watch.h).

#include "taskctx/observer.h"

#include <atomic>
#include <memory>
#include <new>
#include <utility>

#include "lib/core/forking.h"
#include "taskctx/context.h"
#include "taskctx/internal/core/key_list.h"
#include "taskctx/internal/core/modules.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/watch.h"

namespace taskctx {
inline namespace v1 {
namespace {

using internal::Node;
using internal::NodeRef;

struct ContextObserver final : internal::Observer {
  explicit ContextObserver(SwitchObserver::Function called) : function(std::move(called)) {}

  void notify(Node* from, Node* to) const override {
    const Context old_context = internal::ContextAccess::make(NodeRef::share(from));
    const Context new_context = internal::ContextAccess::make(NodeRef::share(to));
    function(old_context, new_context);
  }

  const SwitchObserver::Function function;
};

// In a program that sets no variable, too (see write.cc).
[[maybe_unused]] const bool forks_are_handled = internal::handle_forks();

}  // namespace

[[gnu::noinline]] SwitchObserver::SwitchObserver(Function function)  // Its caller counts.
    : observer_(std::make_shared<ContextObserver>(std::move(function))) {
  // Another thread may still be in the function, or destroy it, when this object is gone.
  internal::keep_loaded(__builtin_return_address(0));
  internal::add_observer(observer_);
  internal::switch_watchers.fetch_add(1, std::memory_order_relaxed);
}

SwitchObserver::~SwitchObserver() {
  // Pairs with the acquire in notify_observers() (watch.cc).
  observer_->is_registered.store(false, std::memory_order_release);
  internal::switch_watchers.fetch_sub(1, std::memory_order_relaxed);
  try {
    internal::remove_observer(observer_);
  } catch (const std::bad_alloc&) {  // It stays in the list, and is not called any more.
  }
}

}  // namespace v1
}  // namespace taskctx
