// SPDX-License-Identifier: Apache-2.0
//
// Who is told of switches and changes.

#include "taskctx/observer.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/errors.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/key_list.h"
#include "taskctx/internal/core/modules.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/value.h"
#include "taskctx/internal/core/variable.h"

namespace taskctx {
inline namespace v1 {

struct internal::Observer {
  explicit Observer(SwitchObserver::Function called) : function(std::move(called)) {}

  const SwitchObserver::Function function;
  std::atomic<bool> is_registered{true};
};

namespace {

using internal::Observer;
using Observers = std::vector<std::shared_ptr<const Observer>>;

// The observers that are registered, or nullptr. A change makes a new list, so that nobody calls
// under the lock; and nothing is allocated or freed under it, as operator new may be observed.
class Registry {
 public:
  // Is never destroyed: there are switches after main.
  static Registry& get() noexcept {
    alignas(Registry) static std::byte place[sizeof(Registry)];
    static auto* const registry = ::new (static_cast<void*>(place)) Registry;
    return *registry;
  }

  [[nodiscard]] std::shared_ptr<const Observers> all() noexcept {
    const std::lock_guard lock(mutex_);
    return observers_;
  }
  void add(const std::shared_ptr<const Observer>& observer) {
    change([&observer](Observers& observers) { observers.push_back(observer); });
  }
  void remove(const std::shared_ptr<const Observer>& observer) {
    change([&observer](Observers& observers) { std::erase(observers, observer); });
  }

  // For a fork: so that the child finds nothing half done.
  void lock() noexcept { mutex_.lock(); }
  void unlock() noexcept { mutex_.unlock(); }

 private:
  template <typename F>
  void change(F make) {
    while (true) {
      const std::shared_ptr<const Observers> before = all();
      std::shared_ptr<const Observers> after;
      if (Observers changed = before != nullptr ? *before : Observers();
          make(changed), !changed.empty()) {
        after = std::make_shared<const Observers>(std::move(changed));
      }
      const std::lock_guard lock(mutex_);
      if (observers_ == before) {  // Else somebody else has changed them meanwhile.
        observers_.swap(after);
        return;
      }
    }
  }

  std::mutex mutex_;
  std::shared_ptr<const Observers> observers_;
};

// Calls the variable's on_change, without what it does itself being observed.
void notify(const internal::VariableRecord& record, const internal::Entry& before,
            const internal::Entry& after, bool by_switch) noexcept {
  const bool was_notifying = internal::set_notifying(true);
  try {
    record.ops->notify(&record, before, after, by_switch);
  } catch (...) {
    internal::report_exception("call on_change of variable", record.name);
  }
  internal::set_notifying(was_notifying);
}

void notify_observers(internal::Node* from, internal::Node* to) {
  const std::shared_ptr<const Observers> observers = Registry::get().all();
  if (observers == nullptr) {
    return;
  }
  const Context old_context = internal::ContextAccess::make(internal::NodeRef::share(from));
  const Context new_context = internal::ContextAccess::make(internal::NodeRef::share(to));
  for (const auto& observer : *observers) {
    if (observer->is_registered.load(std::memory_order_acquire)) {
      try {
        observer->function(old_context, new_context);
      } catch (...) {
        internal::report_exception("call observer of switches", {});
      }
    }
  }
}

}  // namespace

namespace internal {

void lock_observers() noexcept { Registry::get().lock(); }
void unlock_observers() noexcept { Registry::get().unlock(); }

void notify_of_changes(Node* from, Node* to, bool by_switch) noexcept {
  watched_keys.for_each([&](std::uint64_t key) {
    const Entry before = entry_or_none(from, key);
    const Entry after = entry_or_none(to, key);
    if (before != after) {
      if (const RecordRef record{find_record(key)}) {
        notify(*record, before, after, by_switch);
      }
    }
  });
}

WatchedChange::WatchedChange(VariableRecord* record) noexcept : record_(record) {
  if (record != nullptr) {
    before_ = NodeRef::share(current_node());
  }
}

WatchedChange::~WatchedChange() {
  if (record_ != nullptr) {
    const NodeRef after = NodeRef::share(current_node());  // Whatever on_change does.
    const Entry old_entry = entry_or_none(before_.get(), record_->key);
    const Entry new_entry = entry_or_none(after.get(), record_->key);
    if (old_entry != new_entry) {
      notify(*record_, old_entry, new_entry, /*by_switch=*/false);
    }
  }
}

void notify_switch(Node* from, Node* to) noexcept {
  if (set_notifying(true)) {
    return;
  }
  // Who is told may write, but not to what the others are told of.
  const NodeRef old_node = NodeRef::share(from);
  const NodeRef new_node = NodeRef::share(to);
  notify_of_changes(from, to, /*by_switch=*/true);
  notify_observers(from, to);
  set_notifying(false);
}

}  // namespace internal

[[gnu::noinline]] SwitchObserver::SwitchObserver(Function function)  // Its caller counts.
    : observer_(std::make_shared<Observer>(std::move(function))) {
  // Another thread may still be in the function, or destroy it, when this object is gone.
  internal::keep_loaded(__builtin_return_address(0));
  Registry::get().add(observer_);
  internal::switch_watchers.fetch_add(1, std::memory_order_relaxed);
}

SwitchObserver::~SwitchObserver() {
  observer_->is_registered.store(false, std::memory_order_release);
  internal::switch_watchers.fetch_sub(1, std::memory_order_relaxed);
  try {
    Registry::get().remove(observer_);
  } catch (const std::bad_alloc&) {  // It stays in the list, and is not called any more.
  }
}

}  // namespace v1
}  // namespace taskctx
