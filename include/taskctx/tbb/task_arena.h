// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's task_arena and this_task_arena, where each function has its submitter's context.
//
//   taskctx::tbb::task_arena arena(8);
//   arena.execute([&] { use(request_id.get()); });  // the caller's context, on whichever thread
//   arena.enqueue([] { use(request_id.get()); });   // a snapshot, taken here
//
// Isolation: each function, also in execute() and isolate(), starts with the submitter's values;
//            what it sets is gone when it ends.
// Covered:   calls of the function, and the destructor of an enqueued one.
// Threads, blocking, errors: see taskctx/tbb.h. An enqueued function that throws ends the program,
//            as in oneTBB.

#ifndef TASKCTX_TBB_TASK_ARENA_H_
#define TASKCTX_TBB_TASK_ARENA_H_

#include <oneapi/tbb/info.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/version.h>

#include <concepts>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskctx/internal/tbb/blocking_call.h"
#include "taskctx/internal/tbb/owned_task.h"
#include "taskctx/tbb/task_group.h"

namespace taskctx {
inline namespace v1 {
namespace tbb {

using oneapi::tbb::attach;

class task_arena {
  using Native = oneapi::tbb::task_arena;

 public:
  using attach = Native::attach;
  using constraints = Native::constraints;
  using priority = Native::priority;
  static constexpr int automatic = Native::automatic;
  static constexpr int not_initialized = Native::not_initialized;
#if defined(__TBB_PREVIEW_TASK_ARENA_CORE_TYPE_SELECTOR) && \
    __TBB_PREVIEW_TASK_ARENA_CORE_TYPE_SELECTOR
  static constexpr auto selectable = Native::selectable;
#endif

  // Makes an arena, as oneTBB's constructors do.
  explicit(false) task_arena(int max_concurrency = automatic, unsigned reserved_slots = 1,
                             priority its_priority = priority::normal)
      : arena_(max_concurrency, reserved_slots, its_priority) {}
  explicit(false) task_arena(const constraints& its_constraints, unsigned reserved_slots = 1,
                             priority its_priority = priority::normal)
      : arena_(its_constraints, reserved_slots, its_priority) {}
  explicit task_arena(attach /*tag*/) : arena_(attach{}) {}
  explicit task_arena(oneapi::tbb::attach /*tag*/) : arena_(oneapi::tbb::attach{}) {}
  // Makes an arena with the settings of another one, not a second handle of it.
  task_arena(const task_arena& other) noexcept = default;
  explicit task_arena(const Native& other) noexcept : arena_(other) {}
  // Takes the arguments that a preview of oneTBB adds: a fourth one, or a selector.
  template <typename First, typename Second, typename... More>
    requires((sizeof...(More) > 1 || std::is_class_v<std::remove_cvref_t<Second>>) &&
             std::constructible_from<Native, First, Second, More...>)
  task_arena(First&& first, Second&& second, More&&... more)
      : arena_(std::forward<First>(first), std::forward<Second>(second),
               std::forward<More>(more)...) {}
  task_arena& operator=(const task_arena&) = delete;
  ~task_arena() = default;

  // Initializes, with other settings if they are given; see oneTBB's.
  void initialize() { arena_.initialize(); }
  void initialize(int max_concurrency, unsigned reserved_slots = 1,
                  priority its_priority = priority::normal) {
    arena_.initialize(max_concurrency, reserved_slots, its_priority);
  }
  void initialize(const constraints& its_constraints, unsigned reserved_slots = 1,
                  priority its_priority = priority::normal) {
    arena_.initialize(its_constraints, reserved_slots, its_priority);
  }
  void initialize(attach /*tag*/) { arena_.initialize(attach{}); }
  void initialize(oneapi::tbb::attach /*tag*/) { arena_.initialize(oneapi::tbb::attach{}); }
  template <typename First, typename Second, typename... More>
    requires(sizeof...(More) > 1 || std::is_class_v<std::remove_cvref_t<Second>>)
  auto initialize(First&& first, Second&& second, More&&... more)
      -> decltype(std::declval<Native&>().initialize(std::forward<First>(first),
                                                     std::forward<Second>(second),
                                                     std::forward<More>(more)...)) {
    arena_.initialize(std::forward<First>(first), std::forward<Second>(second),
                      std::forward<More>(more)...);
  }
  void terminate() { arena_.terminate(); }
  [[nodiscard]] bool is_active() const { return arena_.is_active(); }
  [[nodiscard]] int max_concurrency() const { return arena_.max_concurrency(); }

  // Runs `function()` in the arena, and returns its result by value. The function runs in the
  // caller's context, even if the arena is full and another thread runs it. Costs oneTBB's
  // execute(), a guard of two words, and an atomic increment. Throws what the function throws.
  template <typename F>
  auto execute(F&& function) -> decltype(function()) {
    const internal::CallLink link("enter arena");
    const internal::BlockingCall call;
    const auto run = [&call, &function]() -> decltype(function()) {
      return internal::run_body(call, [&]() -> decltype(auto) { return function(); });
    };
    return arena_.execute(run);
  }

  // Queues `function`, with a snapshot of the current context, taken now, and returns at once.
  // Costs oneTBB's enqueue(), an atomic increment, and a guard of two words.
  template <internal::TaskFunction F>
  void enqueue(F&& function) {
    // Belongs to no pool: a Job::get() in the function must not run a job in this arena.
    arena_.enqueue(
        internal::make_task(internal::TaskOrigin::elsewhere(), std::forward<F>(function)));
  }
  // Queues a task that task_group::defer() has made.
  void enqueue(task_handle&& handle) { arena_.enqueue(std::move(handle)); }

#if TBB_INTERFACE_VERSION >= 12170
  // Queues `function` as a task of `group`. As above.
  template <internal::TaskFunction F, typename Group>
  void enqueue(F&& function, internal::TaskGroup<Group>& group) {
    const internal::LinkRef& link = internal::GroupAccess::link(group);
    arena_.enqueue(
        internal::make_task(internal::TaskOrigin::elsewhere(link), std::forward<F>(function)),
        group.native());
  }
  // Waits in the arena for all tasks of `group`. The caller's context is back when this returns, or
  // throws what a task has thrown.
  template <typename Group>
  task_group_status wait_for(internal::TaskGroup<Group>& group) {
    return internal::GroupAccess::wait_by(group,
                                          [&](auto& native) { return arena_.wait_for(native); });
  }
#endif
#if defined(__TBB_PREVIEW_TASK_GROUP_EXTENSIONS) && __TBB_PREVIEW_TASK_GROUP_EXTENSIONS && \
    TBB_INTERFACE_VERSION >= 12180
  task_group_status wait_for(task_completion_handle& task) {
    const internal::Hidden hidden;
    return arena_.wait_for(task);
  }
#endif

#if (defined(__TBB_PREVIEW_PARALLEL_PHASE) && __TBB_PREVIEW_PARALLEL_PHASE) || \
    TBB_INTERFACE_VERSION >= 12200
  // Phases run no code of the user's: they say how long threads stay in the arena.
  using leave_policy = Native::leave_policy;
#if TBB_INTERFACE_VERSION >= 12200
  using parallel_phase = Native::parallel_phase;
  void start_parallel_phase(parallel_phase::flags flags = {}) {
    arena_.start_parallel_phase(flags);
  }
  void end_parallel_phase(parallel_phase::flags flags = {}) { arena_.end_parallel_phase(flags); }
#else
  using scoped_parallel_phase = Native::scoped_parallel_phase;
  void start_parallel_phase() { arena_.start_parallel_phase(); }
  void end_parallel_phase(bool with_fast_leave = false) {
    arena_.end_parallel_phase(with_fast_leave);
  }
#endif
#endif

#if defined(__TBB_EXTRA_DEBUG) && __TBB_EXTRA_DEBUG
  [[nodiscard]] int debug_reserved_slots() const { return arena_.debug_reserved_slots(); }
  [[nodiscard]] int debug_max_concurrency() const { return arena_.debug_max_concurrency(); }
  void debug_wait_until_empty() {
    const internal::Hidden hidden;
    arena_.debug_wait_until_empty();
  }
#endif

  // Return oneTBB's own arena, valid as long as this one: for observers and other users of arenas.
  // Functions that are submitted through it get no context.
  [[nodiscard]] Native& native() noexcept { return arena_; }
  [[nodiscard]] const Native& native() const noexcept { return arena_; }
  explicit(false) operator Native&() noexcept { return arena_; }

 private:
  Native arena_;
};

namespace this_task_arena {

using oneapi::tbb::this_task_arena::current_thread_index;
using oneapi::tbb::this_task_arena::max_concurrency;
#if (defined(__TBB_PREVIEW_PARALLEL_PHASE) && __TBB_PREVIEW_PARALLEL_PHASE) || \
    TBB_INTERFACE_VERSION >= 12200
using oneapi::tbb::this_task_arena::end_parallel_phase;
using oneapi::tbb::this_task_arena::start_parallel_phase;
#endif

// Runs `function()` here, and returns its result by value. While the function waits, this thread
// runs only tasks that the function has started. It runs in the caller's context. Costs oneTBB's
// isolate(), a guard of two words, and an atomic increment. Throws what the function throws.
template <typename F>
auto isolate(F&& function) -> decltype(function()) {
  const internal::CallLink link("isolate function");
  const internal::BlockingCall call(link.is_in_group());
  const auto run = [&call, &function]() -> decltype(function()) {
    return internal::run_body(call, [&]() -> decltype(auto) { return function(); });
  };
  return oneapi::tbb::this_task_arena::isolate(run);
}

// Queues `function` in the arena of the calling thread, with a snapshot of the current context,
// taken now, and returns at once. Costs as task_arena::enqueue().
template <internal::TaskFunction F>
void enqueue(F&& function) {
  oneapi::tbb::this_task_arena::enqueue(
      internal::make_task(internal::TaskOrigin::here(), std::forward<F>(function)));
}
// Queues a task that task_group::defer() has made.
inline void enqueue(task_handle&& handle) {
  oneapi::tbb::this_task_arena::enqueue(std::move(handle));
}
#if TBB_INTERFACE_VERSION >= 12170
template <internal::TaskFunction F, typename Group>
void enqueue(F&& function, internal::TaskGroup<Group>& group) {
  const internal::LinkRef& link = internal::GroupAccess::link(group);
  oneapi::tbb::this_task_arena::enqueue(
      internal::make_task(internal::TaskOrigin::here(link), std::forward<F>(function)),
      group.native());
}
#endif

}  // namespace this_task_arena

#if TBB_INTERFACE_VERSION >= 12180
// Makes an arena for each NUMA node, as oneTBB does.
inline std::vector<task_arena> create_numa_task_arenas(task_arena::constraints constraints = {},
                                                       unsigned reserved_slots = 0) {
  std::vector<task_arena> arenas;
  for (const auto& arena : oneapi::tbb::create_numa_task_arenas(constraints, reserved_slots)) {
    arenas.emplace_back(arena);
  }
  return arenas;
}
#endif
#if defined(__TBB_PREVIEW_TASK_GROUP_EXTENSIONS) && __TBB_PREVIEW_TASK_GROUP_EXTENSIONS
using oneapi::tbb::is_inside_task;
#endif

}  // namespace tbb
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TBB_TASK_ARENA_H_
