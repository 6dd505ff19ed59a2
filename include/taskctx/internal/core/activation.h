// SPDX-License-Identifier: Apache-2.0
//
// The thread's current context: two thread-local words, and the only code that touches them.
//
//   now         the node that look-ups read; never null
//   activation  who runs here: owns what is written; its id is what tokens are matched by
//
// Beside them are two words of a thread's for ref_count.h: a tag, which tells it from others, and
// where its parts of counts are.
//
// A guard (current.h) puts a captured node in place with a fresh activation. The activation owns
// nothing at first, so the first write copies the node; from then on it owns the copy and writes in
// place while nothing else holds it. The guard's end puts both words back and drops what the
// activation owns: references belong to guards, never to threads. A Context brings its own
// activation, which owns its node all the time, so that what is written in Context::run stays
// there.
//
// A suspended task may resume on another thread, in the middle of a function. A compiler assumes
// that the thread stays the same there, and may keep the words' address over the call that
// suspends: g++ does with -fPIC in its default TLS model, clang 16 in every model. So the words
// have no name in C++: on x86-64 each access is one instruction relative to the thread register,
// and elsewhere a call that is never inlined.

#ifndef TASKCTX_INTERNAL_CORE_ACTIVATION_H_
#define TASKCTX_INTERNAL_CORE_ACTIVATION_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "taskctx/internal/core/workplace.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

struct Activation;
struct Frame;
struct Node;

// Where code runs: in a pool, in a job of a pool, or wherever the code around it does; and whose
// work it is, if a Frame says that. A plain pointer, good for as long as the code that has it is
// waited for. What may run later than that holds the pool (ExecutorRef) and the link (LinkRef), and
// makes an origin of them when it runs.
class Origin {
 public:
  constexpr Origin() = default;
  explicit Origin(const Activation* outer) noexcept
      : bits_(reinterpret_cast<std::uintptr_t>(outer)) {}
  // Makes the origin of a leaf of a call whose leaves are all in one group of oneTBB's, which is
  // cancelled with the caller's link: what `caller` stands for.
  static Origin in_group(const Activation* caller) noexcept {
    return Origin(reinterpret_cast<std::uintptr_t>(caller) | kInGroup);
  }
  // Makes the origin of code in a pool, in no job of it; nullptr: in no pool.
  static Origin pool(const Executor* executor) noexcept {
    return executor != nullptr ? Origin(reinterpret_cast<std::uintptr_t>(executor) | kPool)
                               : Origin();
  }
  // Makes the origin of what began in something that has ended: nobody knows where it is now.
  static Origin lost() noexcept { return Origin(kLost); }
  // Makes the origin of code in a job, which must outlive whatever runs with it.
  static Origin job(const Workplace* job) noexcept {
    return Origin(reinterpret_cast<std::uintptr_t>(job) | kJob);
  }
  static Origin frame(const Frame* frame) noexcept {
    return Origin(reinterpret_cast<std::uintptr_t>(frame) | kFrame);
  }
  // Of Frame::whose: a link's work, or nobody's; likewise, in a group of oneTBB's that is cancelled
  // with the link; or the work of the code around.
  static Origin link(const LinkRef& link) noexcept { return Origin(link.bits()); }
  static Origin link(const Link* link, bool is_in_group) noexcept {
    return Origin(link == nullptr ? 0
                                  : reinterpret_cast<std::uintptr_t>(link) +
                                        (is_in_group ? kLinkInGroup : kLink));
  }
  static Origin as_outer() noexcept { return Origin(kAsOuter); }

  [[nodiscard]] bool is_nowhere() const noexcept { return bits_ == 0; }
  [[nodiscard]] bool is_lost() const noexcept { return bits_ == kLost; }
  friend bool operator==(Origin a, Origin b) noexcept { return a.bits_ == b.bits_; }

  // Tells whether this is the origin of code in no pool, no job and no frame: the usual case
  // outside of all of them. Costs three instructions for each guard around.
  [[nodiscard]] bool leads_nowhere() const noexcept;

  // Returns the origin without the guards around: good on any thread, for code that ends before the
  // caller's does. O(guards around the code within the pool's task, up to a frame).
  [[nodiscard]] Origin innermost() const noexcept;

  // Returns the activation around this one; nullptr where a task begins.
  [[nodiscard]] const Activation* outer() const noexcept;

  // Returns the pool that runs this code, or nullptr. Costs as much, and for each frame again.
  [[nodiscard]] Executor* executor() const noexcept;
  // Returns the job that can't go on before this code has ended, or nullptr. Costs as much.
  [[nodiscard]] const Workplace* job() const noexcept { return at_work().tagged_job(); }

  // Returns whose work this code is: a job, a link, or nobody's. Costs as much.
  [[nodiscard]] Origin whose() const noexcept;
  // Tells whether a oneTBB group around this code is cancelled with the link of whose().
  [[nodiscard]] bool is_in_group() const noexcept;

  // Of what whose() has returned: the job, or the link; nullptr if it is not that.
  [[nodiscard]] const Workplace* tagged_job() const noexcept {
    return reinterpret_cast<const Workplace*>(untagged(kJob));
  }
  // Of what innermost() has returned: the frame, or nullptr.
  [[nodiscard]] const Frame* tagged_frame() const noexcept {
    return reinterpret_cast<const Frame*>(untagged(kFrame));
  }
  // Of Frame::whose: where to look for it, after `outer`; nowhere if it is a job, a link, or
  // nobody.
  [[nodiscard]] Origin to_look(Origin outer) const noexcept {
    return kind() == kAsOuter ? outer : next() != nullptr ? *this : Origin();
  }
  [[nodiscard]] Link* link() const noexcept {
    // Both of these kinds, and no other, have both bits.
    return (bits_ & kLink) == kLink ? reinterpret_cast<Link*>(bits_ & ~kKind) : nullptr;
  }

 private:
  // The kinds, in the lowest bits of the pointer.
  static constexpr std::uintptr_t kOuter = 0;
  static constexpr std::uintptr_t kPool = 1;
  static constexpr std::uintptr_t kJob = 2;
  static constexpr std::uintptr_t kLost = 3;     // Of an activation.
  static constexpr std::uintptr_t kAsOuter = 3;  // Of Frame::whose.
  static constexpr std::uintptr_t kInGroup = 4;
  static constexpr std::uintptr_t kFrame = 5;
  static constexpr std::uintptr_t kLink = LinkRef::kTag;
  static constexpr std::uintptr_t kLinkInGroup = 7;
  static constexpr std::uintptr_t kKind = 7;

  explicit Origin(std::uintptr_t bits) noexcept : bits_(bits) {}
  [[nodiscard]] std::uintptr_t kind() const noexcept { return bits_ & kKind; }
  // Returns the pointer, if it is of this kind, or 0.
  [[nodiscard]] std::uintptr_t untagged(std::uintptr_t kind) const noexcept {
    return (bits_ & kKind) == kind ? bits_ - kind : 0;
  }
  // Returns the activation that it leads to, or nullptr.
  [[nodiscard]] const Activation* next() const noexcept {
    // Of the kinds, kOuter and kInGroup have no other bit than that.
    return (bits_ & ~kInGroup & kKind) == 0 ? reinterpret_cast<const Activation*>(bits_ & ~kKind)
                                            : nullptr;
  }
  // Returns the origin without guards and frames around: a pool, a job, or nowhere.
  [[nodiscard]] Origin at_work() const noexcept;

  std::uintptr_t bits_ = 0;
};

// Says of the code inside a guard: it runs where `outer` does, and it is the work of `whose`: a
// job, a link, nobody, or the code of an activation. Must outlive the guard.
//
//   const Frame frame{Origin(current_activation()), Origin::link(link.get())};
//   const Installed context(node, Origin::frame(&frame));
struct Frame {
  Origin outer;
  Origin whose;
};

// Who runs here. Its owner is a guard, a Context, or the thread (unguarded.h).
struct Activation {
  Node* node = nullptr;  // The current node, if this activation owns it; id is not 0 then.
  std::uint64_t id = 0;  // Never used twice in a process; 0 until it is needed.
  Origin origin = {};
  // Not set before they are needed, because a switch is to set little.
  Node* base;            // Where there is a node of a guard's: what the guard has installed.
  std::uint32_t scopes;  // Where there is an id: how many scopes are open here.
  // Where there is a node: whether the reference to it is a spread one (ref_count.h); and of a
  // Context's, whether nothing has been written since it was made, of another context.
  bool is_spread;
  bool is_inherited;
  // What was current before, and will be again when this ends; nullptr where it never ends.
  Node* outer_node;
  Activation* outer;
};

inline bool Origin::leads_nowhere() const noexcept {
  Origin origin = *this;
  while (const Activation* const around = origin.next()) {
    origin = around->origin;
  }
  return origin.is_nowhere();
}

inline Origin Origin::innermost() const noexcept {
  Origin origin = *this;
  while (const Activation* const around = origin.next()) {
    origin = around->origin;
  }
  return origin.is_lost() ? Origin() : origin;
}

inline Origin Origin::whose() const noexcept {
  Origin origin = innermost();
  while (const Frame* const frame = origin.tagged_frame()) {
    if (frame->whose.kind() == kAsOuter) {
      origin = frame->outer.innermost();
    } else if (frame->whose.next() != nullptr) {
      origin = frame->whose.innermost();
    } else {
      return frame->whose;
    }
  }
  return origin.kind() == kJob ? origin : Origin();
}

// Returns an activation that is around no other, all of it set.
constexpr Activation outermost_activation(Node* node = nullptr, bool is_spread = false,
                                          bool is_inherited = false) noexcept {
  return {.node = node,
          .base = nullptr,
          .scopes = 0,
          .is_spread = is_spread,
          .is_inherited = is_inherited,
          .outer_node = nullptr,
          .outer = nullptr};
}

// The activation of a thread that no guard has touched and that has written nothing yet.
extern Activation no_activation;

// The activation of a thread that waits, and meanwhile runs any task that it gets. Immortal, as
// no_activation is: where tasks suspend, a thread may leave the stack that waits, and what it runs
// next must not find a pointer into that stack.
extern Activation hidden_activation;

// Tells whether this is a Context's. Those of other kinds know what they have begun with, once they
// have a node.
inline bool is_context(const Activation* activation) noexcept {
  return activation->node != nullptr && activation->base == nullptr;
}

// A thread's part of a count.
using Part = std::atomic<std::int64_t>;
inline constexpr std::size_t kPartsOfThread = 512;

// What is put into a part when it is closed; it stays far above zero, whatever is added later.
inline constexpr std::int64_t kClosedPart = std::int64_t{1} << 62;
// Parts that are closed, all of them.
extern std::array<Part, kPartsOfThread> closed_parts;

// Tags are below this number. No thread gets one of the first few, nor the last one, which stands
// for none. After 16 million threads they begin again: then two threads may have one tag.
inline constexpr std::uint32_t kThreadTags = 1U << 24;
inline constexpr std::uint32_t kFirstThreadTag = 16;
inline constexpr std::uint32_t kNoThreadTag = kThreadTags - 1;

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
// Return this thread's tag, and its parts: kNoThreadTag and closed_parts, if it has none yet.
inline std::uint32_t thread_tag() noexcept {
  std::uint32_t tag;
  asm volatile("movl %%fs:16(%1), %0" : "=r"(tag) : "r"(current_offset()));
  return tag;
}
inline Part* thread_parts() noexcept {
  Part* parts;
  asm volatile("movq %%fs:24(%1), %0" : "=r"(parts) : "r"(current_offset()));
  return parts;
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
std::uint32_t thread_tag() noexcept;
Part* thread_parts() noexcept;
void set_current(Node* node, Activation* activation) noexcept;

#endif

void set_thread_tag(std::uint32_t tag, Part* parts) noexcept;

// Returns a pointer that no two threads have in common at the same time.
const void* this_thread() noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_ACTIVATION_H_
