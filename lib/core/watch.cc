// SPDX-License-Identifier: Apache-2.0
//
// The list of observers, and how watchers are called.

#include "taskctx/internal/core/watch.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "taskctx/errors.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/key_list.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/record.h"
#include "taskctx/internal/core/variable.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

using Observers = std::vector<std::shared_ptr<const Observer>>;

constinit thread_local bool is_notifying = false;

// The observers that are registered, or nullptr. A change makes a new list, so that nobody calls
// under the lock; and nothing is allocated or freed under it, as operator new may be observed.
class ObserverList {
 public:
  // Is never destroyed: there are switches after main.
  static ObserverList& get() noexcept {
    alignas(ObserverList) static std::byte memory[sizeof(ObserverList)];
    static auto* const list = ::new (static_cast<void*>(memory)) ObserverList;
    return *list;
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
      if (observers_ == before) {  // Else another thread has changed them meanwhile.
        observers_.swap(after);
        return;
      }
    }
  }

  std::mutex mutex_;
  std::shared_ptr<const Observers> observers_;
};

// Calls the variable's on_change, without what it does itself being observed.
void notify(const VariableRecord& record, const Entry& before, const Entry& after,
            bool by_switch) noexcept {
  const bool was_notifying = set_notifying(true);
  try {
    record.ops->notify(&record, before, after, by_switch);
  } catch (...) {
    report_exception("call on_change of variable", record.name);
  }
  set_notifying(was_notifying);
}

void notify_observers(Node* from, Node* to) {
  const std::shared_ptr<const Observers> observers = ObserverList::get().all();
  if (observers == nullptr) {
    return;
  }
  for (const auto& observer : *observers) {
    // Pairs with the release in ~SwitchObserver(): a thread that sees `false` sees what came
    // before.
    if (observer->is_registered.load(std::memory_order_acquire)) {
      try {
        observer->notify(from, to);
      } catch (...) {
        report_exception("call observer of switches", {});
      }
    }
  }
}

}  // namespace

void add_observer(const std::shared_ptr<const Observer>& observer) {
  ObserverList::get().add(observer);
}
void remove_observer(const std::shared_ptr<const Observer>& observer) {
  ObserverList::get().remove(observer);
}
void lock_observers() noexcept { ObserverList::get().lock(); }
void unlock_observers() noexcept { ObserverList::get().unlock(); }

bool set_notifying(bool notifying) noexcept { return std::exchange(is_notifying, notifying); }

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
    const NodeRef after = NodeRef::share(current_node());  // Keeps it, whatever on_change does.
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
  // An observer may set variables. The nodes are pinned, so that later observers still get the
  // contexts of the switch itself.
  const NodeRef old_node = NodeRef::share(from);
  const NodeRef new_node = NodeRef::share(to);
  notify_of_changes(from, to, /*by_switch=*/true);
  notify_observers(from, to);
  set_notifying(false);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
