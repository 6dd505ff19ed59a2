// SPDX-License-Identifier: Apache-2.0
//
// oneTBB, with the right context in all user code that it runs, on every thread.
//
//   namespace ctbb = taskctx::tbb;  // in place of oneapi::tbb
//   taskctx::Scope scope{request_id, "r-1"};
//   ctbb::parallel_for(0, n, [&](int i) { use(request_id.get(), i); });  // "r-1" in each leaf
//
// Names, overloads, constraints, return types, exceptions and ordering guarantees are oneTBB's own,
// in headers that are named as oneTBB's; what runs no code of the user's is handed on as it is. The
// flow graph is not here.
//
// Isolation: each call of a body starts from the bindings of the algorithm's caller, or of the
//            task's submitter, and what it sets is gone when it returns: no other call sees it, on
//            the same thread or not. Each header says what a call is.
// Threads:   as oneTBB's.
// Blocking:  while a call of ours waits, tasks that don't come from taskctx see an empty context on
//            the waiting thread, not the caller's. The caller's context is back when the call
//            returns or throws, on whichever thread that is: where tasks suspend, it may be
//            another.
// Lifetime:  an algorithm borrows the caller's context; a task owns its snapshot, until it has run,
//            or is destroyed.
// Errors:    oneTBB's own, and what bodies throw; std::bad_alloc, and what a variable's copy policy
//            throws, before anything has run.
//            Whatever callbacks throw comes out of the call that waits for them, the first error of
//            several, also where plain oneTBB hangs (*):
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
//              functions that are enqueued, destructors           no: the program ends
//
//            What oneTBB has no memory for is std::bad_alloc; of task_group::run(), which counts
//            the task before, a later wait() for that group does not return then.
// Not here:  plain oneapi::tbb calls and tasks: those see what their thread has, by chance the
//            right context, another's, or none (LostContextCanary finds them). Iterators and ranges
//            run outside bodies, too.
//
// Call the algorithms qualified. The functions are less specialised than oneTBB's, so that
// `using taskctx::tbb::parallel_for` in your namespace does not make oneTBB's own calls ambiguous;
// but an unqualified call with an argument of oneTBB's, a blocked_range, say, finds oneTBB's then.

#ifndef TASKCTX_TBB_H_
#define TASKCTX_TBB_H_

#include "taskctx/tbb/collaborative_call_once.h"
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
