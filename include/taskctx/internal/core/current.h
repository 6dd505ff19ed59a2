// SPDX-License-Identifier: Apache-2.0
//
// The thread's current context: two thread-local words, and the only code that touches them.
//
//   now         the node that look-ups read; never null
//   activation  who runs here: owns what is written, and is what tokens are matched by
//
// A guard (Installed) puts a captured node in place with a fresh activation. The activation owns
// nothing at first, so the first write copies the node; from then on it owns the copy and writes in
// place while nobody else holds it. The guard's end puts both words back and drops what the
// activation owns: references belong to guards, never to threads. A Context brings its own
// activation, which owns its node all the time, so that what is written in Context::run stays
// there.
//
// A suspended task may go on on another thread, in the middle of a function. A compiler takes the
// thread for fixed there, and may keep the words' address over the call that suspends: g++ does
// with -fPIC in its default TLS model, clang 16 in every model. So the words have no name in C++:
// on x86-64 each access is one instruction relative to the thread register, and elsewhere a call
// that is never inlined.

#ifndef TASKCTX_INTERNAL_CORE_CURRENT_H_
#define TASKCTX_INTERNAL_CORE_CURRENT_H_

#include <atomic>
#include <cstdint>
#include <string_view>

#include "taskctx/errors.h"
#include "taskctx/internal/core/key_list.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/origin.h"
#include "taskctx/internal/core/variable.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

struct Activation {
  Node* node = nullptr;  // The current node, if this activation owns it; id is not 0 then.
  std::uint64_t id = 0;  // Never used twice in a process; 0 until it is needed.
  Origin origin = {};
  // Not set before they are needed, because a switch shall set little.
  Node* base;            // Where there is a node of a guard's: what the guard has installed.
  std::uint32_t scopes;  // Where there is an id: how many scopes are open here.
  // What was current before, and is to be so again, of all that end; nullptr of the others.
  Node* outer_node;
  Activation* outer;
};

// Returns an activation that is around no other, all of it set.
constexpr Activation outermost_activation(Node* node = nullptr) noexcept {
  return {.node = node, .base = nullptr, .scopes = 0, .outer_node = nullptr, .outer = nullptr};
}

// Is the activation of a thread that no guard has touched and that has written nothing yet.
extern Activation no_activation;

#if defined(__x86_64__) && defined(__LP64__) && defined(__ELF__)

// Returns where the words are, relative to the thread register: the same for all threads, so it may
// be kept.
inline std::uintptr_t current_offset() noexcept {
  std::uintptr_t offset;
  asm("movq taskctx_v1_current@GOTTPOFF(%%rip), %0" : "=r"(offset));  // initial-exec
  return offset;
}
inline Node* current_node() noexcept {
  Node* node;
  asm volatile("movq %%fs:(%1), %0" : "=r"(node) : "r"(current_offset()));
  return node;
}
inline Activation* current_activation() noexcept {
  Activation* activation;
  asm volatile("movq %%fs:8(%1), %0" : "=r"(activation) : "r"(current_offset()));
  return activation;
}
inline bool is_current(const Activation* activation) noexcept {
  bool is_it;
  asm volatile("cmpq %%fs:8(%1), %2" : "=@cce"(is_it) : "r"(current_offset()), "r"(activation));
  return is_it;
}
inline void set_current(Node* node, Activation* activation) noexcept {
  const std::uintptr_t offset = current_offset();
  asm volatile("movq %1, %%fs:(%0)" : : "r"(offset), "r"(node));
  asm volatile("movq %1, %%fs:8(%0)" : : "r"(offset), "r"(activation));
}

#else

Node* current_node() noexcept;
Activation* current_activation() noexcept;
inline bool is_current(const Activation* activation) noexcept {
  return activation == current_activation();
}
void set_current(Node* node, Activation* activation) noexcept;

#endif

// Returns what no two threads have in common at the same time.
const void* this_thread() noexcept;

// Returns a number that no activation and no version has had before; not 0.
std::uint64_t draw_id() noexcept;

// Returns the current activation, which has an id then: one that another thread may stand in for.
// Throws std::bad_alloc.
Activation* identified_activation();

// How many there are that want to know of each switch: observers, and variables with on_change.
extern std::atomic<std::uint32_t> switch_watchers;

// Tells on_change of what happens in its block to the variable with this record, if anything does;
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

// Says that this thread notifies, or no longer; returns what it was. What watchers switch
// themselves is not told to them.
bool set_notifying(bool notifying) noexcept;

// Tells all of those that `from` was current here and `to` is now. Both are alive.
void notify_switch(Node* from, Node* to) noexcept;

// For a fork: takes and gives back the lock of the list of observers.
void lock_observers() noexcept;
void unlock_observers() noexcept;
// Tells only the variables with on_change that are bound differently.
void notify_of_changes(Node* from, Node* to, bool by_switch) noexcept;

// Makes the words current, and tells who wants to know.
[[gnu::always_inline]] inline void switch_to(Node* node, Activation* activation) noexcept {
  if (switch_watchers.load(std::memory_order_relaxed) == 0) [[likely]] {
    set_current(node, activation);
  } else {
    Node* from = current_node();
    set_current(node, activation);
    notify_switch(from, node);
  }
}

// Guards end in the opposite order of their beginnings, as what is on one stack does. If the thread
// has switched to another stack in between (a fiber, a coroutine that knows nothing of contexts)
// two of them may cross: the one that ends is not the current one. That is reported as a misuse,
// and nothing that has ended becomes current again: the guards inside the one that ends are cut off
// from it, and leave what is current alone when they end.

// Puts back what was current before `ending`, which is not current. `what` says what it is, for
// "cannot leave <what>".
void leave_crossed(Activation& ending, std::string_view what) noexcept;
// Puts back what was current before `ending`, and tells who wants to know.
[[gnu::always_inline]] inline void leave(Activation& ending, std::string_view what) noexcept {
  if (is_current(&ending)) [[likely]] {
    switch_to(ending.outer_node, ending.outer);
  } else {
    leave_crossed(ending, what);
  }
}
// Tells whether `inner` is `outer`, or has begun inside it and not ended.
bool is_within(const Activation* inner, const Activation* outer) noexcept;
// Tells whether what is current there is at work for this job, or on a stack with what is, which
// can't go on before. The stack must stay as it is meanwhile.
bool is_at_work_for(const Workplace* job, const Activation* inner) noexcept;
// Tells whether this is a Context's. Those of other kinds know what they have begun with, once they
// have a node.
bool is_context(const Activation* activation) noexcept;
// Tells whether this is what is current on this thread while no guard is there, and it does not
// wait within one.
bool is_outermost(const Activation* activation) noexcept;
// Cuts off what has begun inside `outer`, and not ended: `outer` is current then.
void end_inner(Activation& outer) noexcept;

// Destroys what a guard's activation has written, once that was left: the values' destructors are
// at work where it was, and see what is current.
void drop_written(Activation& ended) noexcept;

// Captures what a task that is created here starts with: the current bindings, but for those that
// have another policy. Throws what copying a value throws, and std::bad_alloc.
NodeRef capture_by_policy();
inline NodeRef capture() {
  return propagated_keys.empty() ? NodeRef::share(current_node()) : capture_by_policy();
}

// Runs the enclosing block in `node`, which must outlive it: the caller owns or pins it. What the
// block writes dies with it.
class Installed {
 public:
  // Goes on where the enclosing code runs.
  explicit Installed(Node* node) noexcept : Installed(node, Origin(current_activation())) {}
  Installed(Node* node, Origin origin) noexcept {
    mine_.origin = origin;
    mine_.outer_node = current_node();
    mine_.outer = current_activation();
    switch_to(node, &mine_);
  }
  Installed(const Installed&) = delete;
  Installed& operator=(const Installed&) = delete;
  ~Installed() {
    leave(mine_, "task or bound call");
    if (mine_.node != nullptr) [[unlikely]] {
      drop_written(mine_);
    }
  }

  // Has the block's end make these current, not what was current before.
  void end_in(Node* node, Activation* activation) noexcept {
    mine_.outer_node = node;
    mine_.outer = activation;
  }

  // Ends, without a word, what has begun inside and not ended.
  void end_inner() noexcept { internal::end_inner(mine_); }

  // Begins anew in `node`, as another Installed would after this one's end. Costs a load and a test
  // if nothing has been written.
  void renew(Node* node) noexcept {
    if (mine_.id != 0) [[unlikely]] {  // Whatever is written draws an id.
      Node* written = mine_.node;
      mine_.node = nullptr;
      mine_.id = 0;
      switch_to(node, &mine_);
      if (written != nullptr) {
        release(written);
      }
    }
  }

 private:
  Activation mine_;
};

// Has the enclosing block count as at work in a pool, which it holds, in no job and in no context:
// the ends of jobs, where user's code runs, too.
class AtWork {
 public:
  explicit AtWork(Executor* executor) noexcept
      : executor_(executor), installed_(&empty_node, Origin::pool(executor)) {}

 private:
  const ExecutorRef executor_;
  const Installed installed_;
};

// Is the activation of a thread that waits, and runs whatever comes along meanwhile. Immortal, as
// no_activation is: where tasks suspend, a thread may leave the stack that waits, and what it runs
// next must not find a pointer into that stack.
extern Activation hidden_activation;

// Hides the current context for the enclosing block, which waits: tasks that are not ours see an
// empty one. The block's end puts the context back, on whichever thread that is. The context must
// outlive the block.
class Hidden {
 public:
  Hidden() noexcept
      : caller_{.origin = current_activation()->origin.innermost(),
                .base = nullptr,
                .scopes = 0,
                .outer_node = current_node(),
                .outer = current_activation()},
        thread_(this_thread()) {
    switch_to(&empty_node, &hidden_activation);
  }
  Hidden(const Hidden&) = delete;
  Hidden& operator=(const Hidden&) = delete;
  ~Hidden() {
    if (is_current(&hidden_activation)) [[likely]] {
      switch_to(caller_.outer_node, caller_.outer);
    } else {
      end_elsewhere();
    }
  }

  // Says that tasks are at work where the block is, for the same pool and job, on any thread.
  [[nodiscard]] Origin origin() const noexcept { return Origin(&caller_); }
  // Returns the pool that the block is at work in, or nullptr.
  [[nodiscard]] Executor* executor() const noexcept { return caller_.origin.executor(); }

 private:
  // Where something else is current: what code of no task of ours has written meanwhile, or what
  // there is on the thread that the block has come to.
  void end_elsewhere() noexcept;

  Activation caller_;  // Stands for the caller's, which other threads can't look at.
  const void* const thread_;
};

// Puts `fresh` in the place of what is set under `key` in the current context, and returns that. An
// entry without key stands for "unset", both ways. References to boxes change hands, they are not
// counted. Gives the activation its id if it has none. Throws std::bad_alloc, changing nothing.
Entry exchange(std::uint64_t key, Entry fresh);

// The place of a read, which nobody gives: the caller's own.
struct ReadPlace {
  constexpr ReadPlace(  // NOLINT(google-explicit-constructor)
      SourcePlace location = SourcePlace::current()) noexcept
      : place(location) {}

  SourcePlace place;
};

// Is asked about each read that finds nothing set, where somebody looks for such mistakes.
using MissCheck = void (*)(std::string_view variable, const SourcePlace& place);
extern std::atomic<MissCheck> miss_check;
inline void note_miss(std::string_view variable, const ReadPlace& read) noexcept {
  if (const MissCheck check = miss_check.load(std::memory_order_relaxed)) [[unlikely]] {
    check(variable, read.place);
  }
}

// Tells whether the current activation has begun with this entry, which is set here.
bool is_inherited(const Entry& entry) noexcept;

// Binds everything that is set in `bindings`, which the caller pins, here as well. Throws
// std::bad_alloc, changing nothing.
void bind_all(Node* bindings);

// Returns the place of a variable if `activation`, the current one, may write it in place; no leaf
// if not.
template <bool kBoxed>
[[gnu::always_inline]] inline Place writable_place(const Variable& variable, std::uint64_t key,
                                                   const Activation* activation) {
  Node* node = current_node();
  // Nobody else can take a reference to a node that only this activation holds, so a count of 1
  // stays 1; the acquire pairs with release(): what others read in the node happened before we
  // write. The same goes for a leaf below it.
  if (activation->node == node && node->refs.load(std::memory_order_acquire) == 1) [[likely]] {
    const Place place = place_of<kBoxed>(node, variable, key);
    if (place.leaf == node || place.leaf->refs.load(std::memory_order_acquire) == 1) [[likely]] {
      node->version.store(0, std::memory_order_relaxed);
      return place;
    }
  }
  return {nullptr, nullptr};
}

// The two halves of exchange(), short where nothing has to be copied. `activation` is the current
// one, before and after: the first write of a thread changes it.
template <bool kBoxed>
[[gnu::always_inline]] inline Entry set_entry(const Variable& variable, std::uint64_t key,
                                              std::uint64_t word, Activation*& activation) {
  if (const Place place = writable_place<kBoxed>(variable, key, activation); place.leaf != nullptr)
      [[likely]] {
    if (place.entry->key == key) {
      const std::uint64_t old = place.entry->word;
      place.entry->word = word;
      return {key, old};
    }
    if (place.entry->key == 0 && !is_deep(key)) {  // A deep slot's place is elsewhere.
      place.entry->key = key;
      place.entry->word = word;
      place.leaf->boxes += static_cast<std::uint32_t>(kBoxed);
      return {};
    }
  }
  const Entry old = exchange(key, {key, word});
  activation = current_activation();
  return old;
}
template <bool kBoxed>
[[gnu::always_inline]] inline Entry unset_entry(const Variable& variable, std::uint64_t key,
                                                Activation*& activation) {
  const Place place = writable_place<kBoxed>(variable, key, activation);
  if (place.leaf != nullptr && place.entry->key == key) [[likely]] {
    place.entry->key = 0;
    place.leaf->boxes -= static_cast<std::uint32_t>(kBoxed);
    return {key, place.entry->word};
  }
  const Entry old = exchange(key, {});
  activation = current_activation();
  return old;
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_CURRENT_H_
