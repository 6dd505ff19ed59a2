// SPDX-License-Identifier: Apache-2.0
//
// The owner of the two thread-local words, of the activations' ids, and of what a thread writes
// outside any guard.

#include "taskctx/internal/core/current.h"

#include <cxxabi.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "lib/core/node_memory.h"
#include "taskctx/errors.h"
#include "taskctx/internal/core/copies.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/value.h"
#include "taskctx/internal/core/variable.h"

// This library or program, for __cxa_thread_atexit.
extern "C" void* __dso_handle;  // NOLINT: the ABI's name

namespace taskctx {
inline namespace v1 {
namespace internal {

constinit Activation no_activation = outermost_activation();
constinit Activation hidden_activation = outermost_activation();
constinit std::atomic<std::uint32_t> switch_watchers{0};
constinit std::atomic<MissCheck> miss_check{nullptr};

Origin Origin::innermost() const noexcept {
  Origin origin = *this;
  while (origin.bits_ != 0 && (origin.bits_ & (kPool | kJob)) == 0) {
    origin = reinterpret_cast<const Activation*>(origin.bits_)->origin;
  }
  return origin.is_lost() ? Origin() : origin;
}

// The two words. taskctx_v1_current is the name that current.h uses.
struct Current {
  Node* now;
  Activation* activation;
};
extern constinit thread_local Current current asm("taskctx_v1_current");
constinit thread_local Current current{.now = &empty_node, .activation = &no_activation};

#if !(defined(__x86_64__) && defined(__LP64__) && defined(__ELF__))
// The empty asm makes the functions impure: else their result might be kept over a suspension.
[[gnu::noinline]] Node* current_node() noexcept {
  asm volatile("");
  return current.now;
}
[[gnu::noinline]] Activation* current_activation() noexcept {
  asm volatile("");
  return current.activation;
}
[[gnu::noinline]] void set_current(Node* node, Activation* activation) noexcept {
  asm volatile("");
  current = {node, activation};
}
#endif

namespace {

// Threads take ids from the process in blocks, so that drawing one is two instructions and shares
// nothing.
constexpr std::uint64_t kIdBlock = 1 << 16;
constinit thread_local std::uint64_t next_id = 0;
constinit thread_local std::uint64_t last_id = 0;

constinit thread_local bool is_notifying = false;

// Owns what the thread writes outside any guard.
constinit thread_local Activation root = outermost_activation();

// Owns what the thread writes outside any guard while another context is hidden below it on the
// stack: the root may be that. Rare, so each has memory of its own.
struct Foreign : Activation {
  Foreign* next = nullptr;
};
constinit thread_local Foreign* foreign = nullptr;
constinit thread_local bool is_registered = false;

void release_activation(Activation* activation) noexcept {
  Node* node = activation->node;
  *activation = outermost_activation();
  if (node != nullptr) {
    release(node);
  }
}

// So often a thread's end releases what was set meanwhile: operator delete may set something each
// time. What is there then is left to the next thread that ends. Linked by their versions.
constexpr int kMostRounds = 32;
constinit thread_local int rounds = 0;
constinit std::atomic<Node*> left_behind{nullptr};

void leave_behind(Node* node) noexcept {
  Node* next = left_behind.load(std::memory_order_relaxed);
  do {
    node->version.store(reinterpret_cast<std::uintptr_t>(next), std::memory_order_relaxed);
  } while (!left_behind.compare_exchange_weak(next, node, std::memory_order_acq_rel));
}

void release_left_behind() noexcept {
  Node* node = left_behind.exchange(nullptr, std::memory_order_acq_rel);
  while (node != nullptr) {
    auto* const next = reinterpret_cast<Node*>(
        static_cast<std::uintptr_t>(node->version.exchange(0, std::memory_order_relaxed)));
    release(node);
    node = next;
  }
}

// Runs at the thread's end, after its last guard. Destructors of values, and operator delete, may
// use the library: they see an empty context, and what they set is cleaned up by another call of
// this function.
void release_thread(void* /*unused*/) {
  is_registered = false;
  set_current(&empty_node, &no_activation);
  if (++rounds >= kMostRounds) {
    Node* const node = root.node;
    root = outermost_activation();
    if (node != nullptr && node->refs.load(std::memory_order_acquire) == 1) {
      leave_behind(node);
    } else if (node != nullptr) {
      release(node);
    }
    return;
  }
  release_activation(&root);
  while (foreign != nullptr) {
    Foreign* last = std::exchange(foreign, foreign->next);
    release_activation(last);
    delete last;
  }
  if (rounds == 1) {
    release_left_behind();
  }
}

[[gnu::noinline]] Activation* enter_unguarded(const Activation* current) {
  // A thread_local object with a destructor would not do: it can't be used again once it has been
  // destroyed.
  if (!is_registered) {
    is_registered = true;  // At once: malloc() may come here again.
    if (abi::__cxa_thread_atexit(&release_thread, nullptr, &__dso_handle) != 0) {
      is_registered = false;
      throw std::bad_alloc();
    }
  }
  Activation* fresh = &root;
  if (current == &hidden_activation || root.id != 0) [[unlikely]] {
    auto another = std::make_unique<Foreign>(Foreign{outermost_activation()});
    if (current_activation() == current) {
      another->next = foreign;
      foreign = another.release();
      fresh = foreign;
    }
  }
  if (current_activation() != current) [[unlikely]] {
    return current_activation();  // The program's operator new has come here, too, and was faster.
  }
  set_current(current_node(), fresh);
  return fresh;
}

}  // namespace

Activation* identified_activation() {
  Activation* activation = current_activation();
  if (activation == &no_activation || activation == &hidden_activation) {
    activation = enter_unguarded(activation);
  }
  // It does not know what the inline assembly sets.
  if (activation->id == 0) {  // NOLINT(clang-analyzer-core.UndefinedBinaryOperatorResult)
    activation->id = draw_id();
    activation->scopes = 0;
  }
  return activation;
}

std::uint64_t draw_id() noexcept {
  if (next_id == last_id) {
    next_id = process_wide().next_id_block.fetch_add(kIdBlock, std::memory_order_relaxed);
    last_id = next_id + kIdBlock;
  }
  return next_id++;
}

namespace {

// Returns what code of no task of ours has written in on this thread while a context was hidden, if
// it is that.
std::unique_ptr<Foreign> take_foreign(const Activation* activation) noexcept {
  // Elsewhere than in the list it is not ours: this thread has left the stack that it was on.
  for (Foreign** link = &foreign; *link != nullptr; link = &(*link)->next) {
    if (*link == activation) {
      return std::unique_ptr<Foreign>(std::exchange(*link, (*link)->next));
    }
  }
  return nullptr;
}

// Tells whether the thread is in no guard, or waits.
bool is_unguarded(const Activation* activation) noexcept {
  bool is_foreign = false;
  for (const Foreign* known = foreign; known != nullptr; known = known->next) {
    is_foreign = is_foreign || known == activation;
  }
  return is_foreign || is_outermost(activation) || activation == &hidden_activation;
}

// Returns what `inner` has begun in, or nullptr. Where that waits, its leaves know where.
template <typename A>
A* around(A* inner) noexcept {
  return inner->outer == &hidden_activation ? const_cast<A*>(inner->origin.outer()) : inner->outer;
}

// Lets those from `inner` up to `outer`, which is around them, know nothing of what is around them:
// it does not become current again.
void cut_off(Activation* inner, const Activation* outer) noexcept {
  while (inner != outer) {
    Activation* const next = around(inner);
    inner->origin = Origin::lost();
    inner->outer_node = &empty_node;
    inner->outer = &no_activation;
    inner = next;
  }
}

// Whether a task has ended elsewhere than it began: oneTBB's own suspend leaves a thread with what
// was current there, and that may have ended elsewhere. From then on nobody looks at it in a pool;
// who looks already is waited for. All of both are in one order: either sees the other.
constinit std::atomic<bool> has_moved{false};
constinit std::atomic<int> lookers{0};

void note_moved() noexcept {
  has_moved.store(true, std::memory_order_seq_cst);
  while (lookers.load(std::memory_order_seq_cst) != 0) {
    std::this_thread::yield();
  }
}

// Cuts off what has begun inside `outer` and not ended, from `inner`, which is current: if that is
// inside, and it is safe to look. Returns whether it has done so.
bool try_cut_off(Activation* inner, const Activation& outer, bool is_in_pool) noexcept {
  lookers.fetch_add(1, std::memory_order_seq_cst);
  const bool is_inside =
      (!is_in_pool || !has_moved.load(std::memory_order_seq_cst)) && is_within(inner, &outer);
  if (is_inside) {
    cut_off(inner, &outer);
  }
  lookers.fetch_sub(1, std::memory_order_seq_cst);
  return is_inside;
}

constexpr std::string_view kCrossed =
    "it is not the innermost one that was entered here: one around it has ended, or one inside has "
    "not, or a fiber, or a coroutine of another library, was switched inside it";

}  // namespace

bool is_context(const Activation* activation) noexcept {
  return activation->node != nullptr && activation->base == nullptr;
}

bool is_outermost(const Activation* activation) noexcept {
  return activation == &root || activation == &no_activation;
}

const void* this_thread() noexcept { return &current; }

bool is_within(const Activation* inner, const Activation* outer) noexcept {
  while (inner != outer && inner != nullptr) {
    inner = around(inner);
  }
  return inner == outer;
}

bool is_at_work_for(const Workplace* job, const Activation* inner) noexcept {
  while (inner != nullptr && inner->origin.job() != job) {
    inner = around(inner);
  }
  return inner != nullptr;
}

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
    // Cut off: the thread goes on where the one around has put it.
  } else if (ending.origin.outer() != ending.outer) {
    // A task's. What was current before is on the same stack, or immortal.
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
  release(written);
  set_current(node, activation);
  if (ended.node != nullptr) {  // Set by destructors.
    release(ended.node);
  }
}

// A thread that waits may have done tasks that were suspended elsewhere, and has then what was
// current there. But its own root comes back only if somebody else has left what is hidden here.
// And of what is cut off nothing comes back: it may be gone.
void Hidden::end_elsewhere() noexcept {
  Activation* const now = current_activation();
  if (caller_.origin.is_lost() || (now == &root && this_thread() == thread_)) {
    report_misuse("come back to context after waiting", kCrossed, {}, {});
    return;
  }
  // Dropped last: what destructors and operator delete set, while nobody waits any more, has a
  // place.
  const std::unique_ptr<Foreign> written = take_foreign(now);
  switch_to(caller_.outer_node, caller_.outer);
  if (written != nullptr && written->node != nullptr) {
    drop_written(*written);
  }
}

namespace {

// Operator new may write in the current context: so all is looked at anew behind it.
[[gnu::noinline]] Entry fetch_and_exchange(std::uint64_t key, Entry fresh) {
  const Activation* const activation = current_activation();
  Node* const node = current_node();
  const bool exclusive =
      activation->node == node && node->refs.load(std::memory_order_acquire) == 1;
  NodeSupply supply;
  fetch_to_write(supply, node, exclusive, key);
  return exchange(key, fresh);
}

}  // namespace

Entry exchange(std::uint64_t key, Entry fresh) {
  Activation* activation = identified_activation();
  Node* node = current_node();
  if (fresh.key == 0 && find_entry(node, key) == nullptr) {
    return Entry{};  // Nothing to unset.
  }
  const bool owned = activation->node == node;
  const bool exclusive = owned && node->refs.load(std::memory_order_acquire) == 1;
  const Writable writable = try_make_writable(node, exclusive, key);
  if (writable.node == nullptr) [[unlikely]] {
    return fetch_and_exchange(key, fresh);
  }
  if (!owned) {
    activation->base = node;
  }
  if (writable.node != node) {
    activation->node = writable.node;
    set_current(writable.node, activation);
  } else {
    node->version.store(0, std::memory_order_relaxed);
  }
  Entry old = put(writable, fresh);

  // From here on the context is whole again, so destructors of values may use it.
  if (owned && writable.node != node) {
    release(node);
  }
  if (old.key != key && old.key != 0) {  // Left by a dead variable that had the slot before.
    release(old);
    old = Entry{};
  }
  return old;
}

bool is_inherited(const Entry& entry) noexcept {
  const Activation* activation = current_activation();
  if (activation->node == nullptr) {
    return true;  // Nothing has been written here.
  }
  if (is_context(activation)) {
    return false;  // Its bindings are its own.
  }
  const Entry* inherited = find_entry(activation->base, entry.key);
  return inherited != nullptr && inherited->word == entry.word;
}

void bind_all(Node* bindings) {
  NodeSupply supply;
  supply.keep_freed();  // So that operator new does not write in between for ever.
  while (true) {
    Activation* const activation = identified_activation();
    NodeRef before = NodeRef::share(current_node());
    NodeRef fresh = merge(before, bindings);
    if (current_node() != before.get()) {
      continue;
    }
    NodeRef left;
    if (activation->node == before.get()) {
      left = NodeRef::adopt(before.get());
    } else {
      activation->base = before.get();
    }
    const NodeRef after = fresh;  // Whatever on_change does.
    activation->node = fresh.detach();
    set_current(activation->node, activation);
    notify_of_changes(before.get(), after.get(), /*by_switch=*/false);
    return;
  }
}

bool set_notifying(bool notifying) noexcept { return std::exchange(is_notifying, notifying); }

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
