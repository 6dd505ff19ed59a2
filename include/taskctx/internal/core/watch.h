// SPDX-License-Identifier: Apache-2.0
//
// Watchers: observers of switches, and on_change of variables. They are called on the thread that
// switches, or writes, and without a lock.
//
//   if (switch_watchers.load(std::memory_order_relaxed) != 0) {  // key_list.h
//     notify_switch(from, to);
//   }

#ifndef TASKCTX_INTERNAL_CORE_WATCH_H_
#define TASKCTX_INTERNAL_CORE_WATCH_H_

#include <atomic>
#include <memory>

#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/record.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// What a SwitchObserver registers.
struct Observer {
  Observer() = default;
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;
  virtual ~Observer() = default;
  // May throw.
  virtual void notify(Node* from, Node* to) const = 0;

  // Whether it is still to be notified: it may be in a list that a switch has taken.
  std::atomic<bool> is_registered{true};
};

// Register the observer, and remove it. Throw std::bad_alloc; nothing has changed
// then.
void add_observer(const std::shared_ptr<const Observer>& observer);
void remove_observer(const std::shared_ptr<const Observer>& observer);

// Tells all watchers that `from` was current here and `to` is now. Both are alive.
void notify_switch(Node* from, Node* to) noexcept;

// Tells only the variables with on_change that are bound differently.
void notify_of_changes(Node* from, Node* to, bool by_switch) noexcept;

// Tells on_change what happens in its block to the variable with this record, if anything does;
// nothing for nullptr.
class WatchedChange {
 public:
  explicit WatchedChange(VariableRecord* record) noexcept;
  WatchedChange(const WatchedChange&) = delete;
  WatchedChange& operator=(const WatchedChange&) = delete;
  ~WatchedChange();

 private:
  VariableRecord* const record_;
  NodeRef before_;
};

// Notes whether this thread notifies; returns what it was. Switches that watchers make themselves
// are told to nobody.
bool set_notifying(bool notifying) noexcept;

// Take and give back the lock of the list of observers, around a fork.
void lock_observers() noexcept;
void unlock_observers() noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_WATCH_H_
