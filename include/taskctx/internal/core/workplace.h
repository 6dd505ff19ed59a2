// SPDX-License-Identifier: Apache-2.0
//
// Executor, Workplace, Link: what a pool, a job, and a cancel scope are to the code that runs in
// them. The core, and oneTBB's algorithms, know no more of them than this.
//
// What is created in a job, or in a cancel scope, holds a reference to its link, wherever it runs
// and however long it lives: so it knows which job it belongs to, and when to stop.

#ifndef TASKCTX_INTERNAL_CORE_WORKPLACE_H_
#define TASKCTX_INTERNAL_CORE_WORKPLACE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// What leaves of loops look at between two of their calls of the body, with one test: how many jobs
// call for a thread that is busy with such leaves, and, times kStop, how many loops and groups
// are being cancelled. 0 most of the time. A hint: a reader need not see the newest value.
using Calls = std::atomic<std::uint32_t>;
inline constexpr std::uint32_t kStop = 1 << 16;
// That of code that is in no pool.
inline constinit Calls no_calls{0};

// What a pool is to the code that runs in it: the base of the job pool's core. It is counted, so it
// may outlive the pool itself.
class Executor {
 public:
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Returns how many references there were.
  std::uint32_t add_ref() noexcept {
    return static_cast<std::uint32_t>(refs_.fetch_add(1, std::memory_order_relaxed));
  }
  void release() noexcept {
    // The release publishes what this owner did with it; the last owner acquires it here.
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      destroy();
    }
  }

  [[nodiscard]] const Calls& calls() const noexcept { return calls_; }
  [[nodiscard]] Calls& calls() noexcept { return calls_; }
  // Says that a loop, or a group, begins in the pool, and may keep its threads for long.
  void note_loop() noexcept {
    if (!has_loops_.load(std::memory_order_relaxed)) {  // Others read it all the time.
      note_first_loop();
    }
  }
  // Tells whether this thread is in the pool's arena: calls reach such threads.
  [[nodiscard]] virtual bool is_in_arena() noexcept = 0;

 protected:
  Executor() = default;
  ~Executor() = default;

  // Add and drop many references, of an owner that keeps one more.
  void add_refs(std::uint64_t number) noexcept {
    refs_.fetch_add(number, std::memory_order_relaxed);
  }
  void drop_refs(std::uint64_t number) noexcept {
    refs_.fetch_sub(number, std::memory_order_release);  // As in release().
  }

  Calls calls_{0};
  std::atomic<bool> has_loops_{false};

 private:
  virtual void note_first_loop() noexcept = 0;
  virtual void destroy() noexcept = 0;

  std::atomic<std::uint64_t> refs_{1};
};

// The owner of a reference to an executor, or of nothing.
class ExecutorRef {
 public:
  ExecutorRef() = default;
  // Takes a reference; nullptr stands for none.
  explicit ExecutorRef(Executor* executor) noexcept : executor_(executor) {
    if (executor != nullptr) {
      executor->add_ref();
    }
  }
  ExecutorRef(ExecutorRef&& other) noexcept : executor_(std::exchange(other.executor_, nullptr)) {}
  ExecutorRef& operator=(ExecutorRef&&) = delete;
  ~ExecutorRef() {
    if (executor_ != nullptr) {
      executor_->release();
    }
  }

  [[nodiscard]] Executor* get() const noexcept { return executor_; }

 private:
  Executor* executor_ = nullptr;
};

// Which job it is: a number, 0 for none, and a name, that all who know the job share.
struct JobIdentity {
  std::uint64_t id = 0;
  std::shared_ptr<const std::string> name = nullptr;
};

// The counted part of a job, or of a cancel scope. What it answers about cancellation is in
// cancel_link.h: there is no other kind.
class Link {
 public:
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void add_ref() noexcept { add_refs(1); }
  // Adds and drops several, of an owner that keeps one more.
  void add_refs(std::uint32_t number) noexcept {
    refs_.fetch_add(number, std::memory_order_relaxed);
  }
  void drop_refs(std::uint32_t number) noexcept {
    refs_.fetch_sub(number, std::memory_order_release);  // As in drop_ref().
  }
  // Adds a reference, if there is one left. For code that knows where the link is, and holds none.
  bool try_add_ref() noexcept {
    std::uint32_t refs = refs_.load(std::memory_order_relaxed);
    // Relaxed: what guards the place where the link was found orders the rest.
    while (refs != 0 && !refs_.compare_exchange_weak(refs, refs + 1, std::memory_order_relaxed)) {
    }
    return refs != 0;
  }
  // Tells whether there is one reference. Acquires what those did who have dropped theirs.
  [[nodiscard]] bool is_only_ref() const noexcept {
    return refs_.load(std::memory_order_acquire) == 1;
  }
  // Drops a reference. Returns whether it was the last one: the caller calls destroy() then.
  [[nodiscard]] bool drop_ref() noexcept {
    // The release publishes what this owner did with it; the last owner acquires it here.
    return refs_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }
  void release() noexcept {
    if (drop_ref()) {
      destroy();
    }
  }
  virtual void destroy() noexcept = 0;

  // The pool in which it was made, or nullptr. Stays at least as long as the link.
  [[nodiscard]] Executor* executor() const noexcept { return executor_.get(); }
  [[nodiscard]] const JobIdentity& job() const noexcept { return job_; }

 protected:
  // Begins with one reference.
  Link(Executor* executor, JobIdentity job) noexcept : executor_(executor), job_(std::move(job)) {}
  ~Link() = default;

 private:
  std::atomic<std::uint32_t> refs_{1};
  const ExecutorRef executor_;
  const JobIdentity job_;
};

// The owner of a reference to a link, or of nothing. Keeps it as an origin has it (activation.h).
class LinkRef {
 public:
  // What the pointer of a link is tagged with.
  static constexpr std::uintptr_t kTag = 6;

  LinkRef() = default;
  // Takes over a reference; nullptr stands for none.
  static LinkRef adopt(Link* link) noexcept { return LinkRef(link); }
  static LinkRef share(Link* link) noexcept {
    if (link != nullptr) {
      link->add_ref();
    }
    return LinkRef(link);
  }
  LinkRef(const LinkRef& other) noexcept : LinkRef(share(other.get())) {}
  LinkRef(LinkRef&& other) noexcept : bits_(std::exchange(other.bits_, 0)) {}
  LinkRef& operator=(LinkRef other) noexcept {
    std::swap(bits_, other.bits_);
    return *this;
  }
  ~LinkRef() {
    if (bits_ != 0) {
      get()->release();
    }
  }

  [[nodiscard]] Link* get() const noexcept {
    return bits_ != 0 ? reinterpret_cast<Link*>(bits_ - kTag) : nullptr;
  }
  [[nodiscard]] bool is_nothing() const noexcept { return bits_ == 0; }
  // Returns the tagged pointer, or 0.
  [[nodiscard]] std::uintptr_t bits() const noexcept { return bits_; }
  // Gives up the reference, without dropping it.
  [[nodiscard]] Link* detach() noexcept {
    Link* const link = get();
    bits_ = 0;
    return link;
  }

 private:
  explicit LinkRef(Link* link) noexcept
      : bits_(link != nullptr ? reinterpret_cast<std::uintptr_t>(link) + kTag : 0) {}

  std::uintptr_t bits_ = 0;
};

// What a job is to the code that runs in it: the base of the job pool's jobs. Derived classes see
// to it that the pool stays as long as they do.
class Workplace {
 public:
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;

  // Returns the link that what is created in the job refers to, and that lasts as long as the job.
  // The first call makes it, and throws std::bad_alloc. For code that runs in the job.
  Link* link() {
    Link* const link = link_.load(std::memory_order_acquire);  // Pairs with make_link().
    return link != nullptr ? link : make_link();
  }
  // Tells whether the job itself was cancelled, and its code does not know yet. For code that runs
  // in the job, or below it.
  [[nodiscard]] virtual bool is_told_to_stop() const noexcept = 0;
  // Tells whether only destructors are left of the job's code: they are not cancelled, as what they
  // threw would end the program.
  [[nodiscard]] bool is_ending() const noexcept {
    return is_ending_.load(std::memory_order_relaxed);  // Set by the thread that runs them.
  }
  // Tells which job it is.
  [[nodiscard]] virtual std::uint64_t id() noexcept = 0;
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;

  // The link of what has created the job.
  [[nodiscard]] Link* above() const noexcept { return above_.get(); }

  Executor* const executor;

 protected:
  Workplace(Executor* pool, LinkRef above) noexcept : executor(pool), above_(std::move(above)) {}
  ~Workplace() = default;

  void begin_to_end() noexcept { is_ending_.store(true, std::memory_order_relaxed); }

  // Gives up the reference to what above() returns, without dropping it.
  void forget_above() noexcept { (void)above_.detach(); }

  std::atomic<Link*> link_{nullptr};  // Holds a reference. Made at the first need.

 private:
  virtual Link* make_link() = 0;

  LinkRef above_;
  std::atomic<bool> is_ending_{false};
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_CORE_WORKPLACE_H_
