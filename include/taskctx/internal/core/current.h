// SPDX-License-Identifier: Apache-2.0
//
// Switching the current context, and the guards that do it for a block: Installed for what runs in
// a node, Hidden for what waits, AtWork for what runs in a pool and in no context.
//
//   const Installed context(node);  // until the end of the block; what it writes dies with it

#ifndef TASKCTX_INTERNAL_CORE_CURRENT_H_
#define TASKCTX_INTERNAL_CORE_CURRENT_H_

#include <atomic>
#include <string_view>

#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/key_list.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/unguarded.h"
#include "taskctx/internal/core/watch.h"
#include "taskctx/internal/core/workplace.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Makes the words current, and notifies watchers.
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
// from it, and don't change what is current when they end.

// Puts back what was current before `ending`, which is not current. `what` says what it is, for
// "cannot leave <what>".
void leave_crossed(Activation& ending, std::string_view what) noexcept;
// Puts back what was current before `ending`, and notifies watchers.
[[gnu::always_inline]] inline void leave(Activation& ending, std::string_view what) noexcept {
  if (is_current(&ending)) [[likely]] {
    switch_to(ending.outer_node, ending.outer);
  } else {
    leave_crossed(ending, what);
  }
}
// Tells whether `inner` is `outer`, or has begun inside it and not ended.
bool is_within(const Activation* inner, const Activation* outer) noexcept;
// Returns the activation that `inner` has begun in: its code can't continue before `inner` has
// ended. nullptr if there is none. The stack must not change meanwhile.
const Activation* activation_around(const Activation* inner) noexcept;
// Cuts off what has begun inside `outer`, and not ended: `outer` is current then.
void end_inner(Activation& outer) noexcept;

// For a forked child, where no other thread looks at guards.
void forget_lookers() noexcept;

// Destroys what a guard's activation has written, after it was left: the values' destructors run
// where it was, in its pool and job, and see what is current.
void drop_written(Activation& ended) noexcept;

// A guard that runs its block in `node`, which must outlive it: the caller owns or pins it. What
// the block writes ends with it.
class Installed {
 public:
  // Begins where the enclosing code runs: in the same pool and job.
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

  // Makes the block's end put these in place, not what was current before.
  void end_in(Node* node, Activation* activation) noexcept {
    mine_.outer_node = node;
    mine_.outer = activation;
  }

  // Ends what has begun inside and not ended; reports nothing.
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
        release_written(written);
      }
    }
  }

 private:
  Activation mine_;
};

// A guard for a block that is at work in a pool, in no job and in no context: the ends of jobs,
// where user's code runs, too. It holds the pool.
class AtWork {
 public:
  explicit AtWork(Executor* executor) noexcept
      : executor_(executor), installed_(&empty_node, Origin::pool(executor)) {}

 private:
  const ExecutorRef executor_;
  const Installed installed_;
};

// A guard that hides the current context for a block that waits: foreign tasks, which taskctx did
// not create, see an empty one. The block's end puts the context back, on any thread. The context
// must outlive the block.
class Hidden {
 public:
  Hidden() noexcept
      : caller_{.origin = current_activation()->origin.innermost(),
                .base = nullptr,
                .scopes = 0,
                .is_spread = false,
                .is_inherited = false,
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

  // Returns the origin of tasks that work for the block, on any thread: they are in its pool and
  // job.
  [[nodiscard]] Origin origin() const noexcept { return Origin(&caller_); }
  // Likewise of those that are in a group which is cancelled with the caller's link.
  [[nodiscard]] Origin origin_in_group() const noexcept { return Origin::in_group(&caller_); }
  // Returns the pool that the block is at work in, or nullptr.
  [[nodiscard]] Executor* executor() const noexcept { return caller_.origin.executor(); }

 private:
  // Ends where something else is current: what foreign code has written meanwhile, or what is
  // current on the thread on which the block ends.
  void end_elsewhere() noexcept;

  Activation caller_;  // Stands for the caller's: other threads can't read that one.
  const void* const thread_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_CURRENT_H_
