// SPDX-License-Identifier: Apache-2.0
//
// oneTBB, with the right context in all user code that it runs, on every thread.
//
//   namespace ctbb = taskctx::tbb;  // in place of oneapi::tbb
//   taskctx::Scope scope{request_id, "r-1"};
//   ctbb::parallel_for(0, n, [&](int i) { use(request_id.get(), i); });  // "r-1" in each leaf
//
// Names, overloads, constraints, return types, exceptions and ordering guarantees are oneTBB's, and
// the headers have oneTBB's names. All of its public names are here, also those of its previews,
// where its macros turn them on. What runs no user code in tasks is oneTBB's own (unchanged.h).
// Only these differ:
//
//   flow                  knows no edges to oneTBB's own nodes, nor senders and receivers that users
//                         derive from its (flow_graph.h)
//   isolated_task_group   does not convert to a task_group
//   task_group            is another type than oneTBB's, which is its native()
//   task_arena            likewise; it converts to oneTBB's
//   filter                likewise, with no native(): its values carry their contexts
//
// Isolation: each call of a body starts with the values of the algorithm's caller, or of the code
//            that submitted the task. What it sets is gone when it returns; no other call sees it,
//            on the same thread or another. Each header says what counts as one call.
// Threads:   as oneTBB's.
// Blocking:  while one of these calls waits, tasks that don't come from taskctx see an empty
//            context on the waiting thread, not the caller's. When the call returns or throws, the
//            caller's context is back, on whichever thread: if tasks suspend, it may be another
//            one.
// Lifetime:  an algorithm borrows the caller's context. A task owns its snapshot until it has run
//            or is destroyed.
// Errors:    oneTBB's own, and those of bodies; std::bad_alloc, and what a variable's copy policy
//            throws, before anything has run. The call that waits for a callback throws what the
//            callback throws; of several errors the first: context_of() tells the context of the
//            body that has thrown it. That also holds where plain oneTBB hangs (*):
//
//              callback                                           may it throw?
//              bodies, functions, filters, comparisons            yes
//              copies of bodies and filters                       yes
//              copies and moves of a task's function (*)          yes
//              a Body's splits, reverse_join(), assign()          yes
//              join(), reductions, merge functions (*)            yes
//              copies, moves and swaps of values                  yes, also in those (*)
//              iterators (* in parallel_for_each)                 yes
//              moves of items that input iterators give           no: parallel_for_each hangs
//              a range's copies, splits (* in parallel_scan),
//                is_divisible(), empty()                          yes
//              a variable's copy policy                           yes
//              observers, on_change                               is reported (errors.h)
//              enqueued functions, destructors                    no: the program ends
//
//            If oneTBB lacks memory, a call throws std::bad_alloc. task_group::run() has counted
//            its task by then: a later wait() for that group does not return.
// Not here:  plain oneapi::tbb calls and tasks. They see what their thread has: by chance the right
//            context, or another one, or none (LostContextCanary finds them). Iterators and ranges
//            run outside of bodies.
//
// Call the algorithms by their qualified names. They are less specialised than oneTBB's, so that
// `using taskctx::tbb::parallel_for` in your namespace does not make oneTBB's own calls ambiguous.
// But an unqualified call with an argument of oneTBB's, such as a blocked_range, then finds
// oneTBB's.

#ifndef TASKCTX_TBB_H_
#define TASKCTX_TBB_H_

#include "taskctx/tbb/collaborative_call_once.h"
#include "taskctx/tbb/flow_graph.h"
#include "taskctx/tbb/lost_context_canary.h"
#include "taskctx/tbb/parallel_for.h"
#include "taskctx/tbb/parallel_for_each.h"
#include "taskctx/tbb/parallel_invoke.h"
#include "taskctx/tbb/parallel_pipeline.h"
#include "taskctx/tbb/parallel_reduce.h"
#include "taskctx/tbb/parallel_scan.h"
#include "taskctx/tbb/parallel_sort.h"
#include "taskctx/tbb/task.h"
#include "taskctx/tbb/task_arena.h"
#include "taskctx/tbb/task_group.h"
#include "taskctx/tbb/unchanged.h"

#endif  // TASKCTX_TBB_H_
