// SPDX-License-Identifier: Apache-2.0
//
// Ends of guards that are not the current one: guards that crossed, and waits that end on another
// thread.

#include "taskctx/internal/core/current.h"

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "taskctx/errors.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/unguarded.h"
#include "taskctx/internal/core/workplace.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// Returns the activation around `inner`, or nullptr. If that one waits, it is hidden, and the
// origin of `inner` leads to what stands for it (Hidden).
template <typename A>
A* around(A* inner) noexcept {
  return inner->outer == &hidden_activation ? const_cast<A*>(inner->origin.outer()) : inner->outer;
}

// Cuts off those from `inner` up to `outer`, which is around them: they forget what is around them,
// so that it does not become current again.
void cut_off(Activation* inner, const Activation* outer) noexcept {
  while (inner != outer) {
    Activation* const next = around(inner);
    inner->origin = Origin::lost();
    inner->outer_node = &empty_node;
    inner->outer = &no_activation;
    inner = next;
  }
}

// Whether a task has ended on another thread than it began: oneTBB's own suspend leaves a thread
// with what was current there, and that may have ended elsewhere. From then on nobody follows the
// chain of activations in a pool; threads that follow one already (`lookers`) are waited for. All
// accesses to both are seq_cst, that is, in one order: note_moved() sees a looker, or the looker
// sees `has_moved`.
constinit std::atomic<bool> has_moved{false};
constinit std::atomic<int> lookers{0};

void note_moved() noexcept {
  // Pair with try_cut_off().
  has_moved.store(true, std::memory_order_seq_cst);
  while (lookers.load(std::memory_order_seq_cst) != 0) {
    std::this_thread::yield();
  }
}

// Cuts off what has begun inside `outer` and not ended, from `inner`, which is current: if that is
// inside, and it is safe to look. Returns whether it has done so.
bool try_cut_off(Activation* inner, const Activation& outer, bool is_in_pool) noexcept {
  // All three pair with note_moved().
  lookers.fetch_add(1, std::memory_order_seq_cst);
  const bool is_inside =
      (!is_in_pool || !has_moved.load(std::memory_order_seq_cst)) && is_within(inner, &outer);
  if (is_inside) {
    cut_off(inner, &outer);
  }
  // What was read in the chain happens before note_moved() returns.
  lookers.fetch_sub(1, std::memory_order_seq_cst);
  return is_inside;
}

constexpr std::string_view kCrossed =
    "it is not the innermost one that was entered here: one around it has ended, or one inside has "
    "not, or a fiber, or a coroutine of another library, was switched inside it";

}  // namespace

bool is_within(const Activation* inner, const Activation* outer) noexcept {
  while (inner != outer && inner != nullptr) {
    inner = around(inner);
  }
  return inner == outer;
}

const Activation* activation_around(const Activation* inner) noexcept { return around(inner); }

void forget_lookers() noexcept { lookers.store(0, std::memory_order_relaxed); }

void end_inner(Activation& outer) noexcept {
  if (Activation* const inner = current_activation(); inner != &outer) {
    if (is_within(inner, &outer)) {
      cut_off(inner, &outer);
    }
    set_current(current_node(), &outer);
  }
}

void leave_crossed(Activation& ending, std::string_view what) noexcept {
  Activation* const inner = current_activation();
  if (ending.origin.is_lost()) {
    // It was cut off: what is current stays so.
  } else if (ending.origin.outer() != ending.outer) {
    // It is a task's: what was current before is on the same stack, or immortal.
    if (!try_cut_off(inner, ending, /*is_in_pool=*/true)) {
      note_moved();
    }
    if (!is_unguarded(inner) || !is_unguarded(ending.outer)) {
      switch_to(ending.outer_node, ending.outer);
    }
  } else if (try_cut_off(inner, ending, ending.origin.executor() != nullptr)) {
    switch_to(ending.outer_node, ending.outer);
  }
  std::string leaving("leave ");
  report_misuse(leaving.append(what), kCrossed, {}, {});
}

void drop_written(Activation& ended) noexcept {
  Node* const node = current_node();
  Activation* const activation = current_activation();
  Node* written = std::exchange(ended.node, nullptr);
  ended.id = 0;
  set_current(node, &ended);
  release_written(written);
  set_current(node, activation);
  if (ended.node != nullptr) {  // Set by destructors.
    release_written(ended.node);
  }
}

// A thread that waits may have run tasks that were suspended elsewhere, and then has what was
// current there. But its own root is current only if other code has left what is hidden here: a
// misuse. What was cut off does not come back: it may be gone.
void Hidden::end_elsewhere() noexcept {
  Activation* const now = current_activation();
  if (caller_.origin.is_lost() || (is_root(now) && this_thread() == thread_)) {
    report_misuse("come back to context after waiting", kCrossed, {}, {});
    return;
  }
  // Dropped last: destructors and operator delete may set variables, and have the caller's context
  // for that.
  const std::unique_ptr<Foreign> written = take_foreign(now);
  switch_to(caller_.outer_node, caller_.outer);
  if (written != nullptr && written->node != nullptr) {
    drop_written(*written);
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
