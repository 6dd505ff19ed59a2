// SPDX-License-Identifier: Apache-2.0
//
// context_of: the context of the body, task or job that has thrown an exception.
//
//   try {
//     taskctx::tbb::parallel_for(0, n, &serve);  // sets request_id, and throws
//   } catch (const std::exception& error) {
//     const taskctx::Context thrower = taskctx::context_of(std::current_exception());
//     log(error.what(), thrower.find(request_id));
//   }
//
// Whose:    that of the innermost body that the exception has left: of an algorithm, a task group,
//           an arena, a pipeline, or a job. It is as that body left it: what it had set is there;
//           what a Scope of it had set is not, as the scope has ended.
// Known:    on the thread on which the call has thrown that waited for the body, Job::get() or an
//           algorithm of taskctx::tbb. It is forgotten when that thread begins its next blocking
//           call of taskctx, or ends; not while the exception is handled or unwinds the stack, so
//           handlers and destructors may make such calls. Only the code that has got it is told:
//           another body on the same thread may throw the same object. Until it is forgotten, the
//           exception and the context's values live. The shared library that defines the
//           exception's type is never unloaded.
// Unknown:  exceptions that have left no body; bodies of plain oneTBB; an exception that was
//           translated, or handed to another thread; one that was thrown without memory to note it.
//           The answer is then an empty context: it is never that of another exception.
// Cost:     without an exception, nothing. For each body that throws: an allocation, two short
//           locks, and that the exception is thrown once more.

#ifndef TASKCTX_CONTEXT_OF_H_
#define TASKCTX_CONTEXT_OF_H_

#include <exception>

#include "taskctx/context.h"

namespace taskctx {
inline namespace v1 {

// Returns a copy of the context of the body that has thrown `error`, or an empty one. O(1), and one
// step for each other exception that this thread knows of. Thread-safe.
[[nodiscard]] Context context_of(const std::exception_ptr& error) noexcept;

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_CONTEXT_OF_H_
