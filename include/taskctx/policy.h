// SPDX-License-Identifier: Apache-2.0
//
// Policies: what a task that is created here starts with, other than a snapshot.
//
//   taskctx::ContextFactory only_the_user = [](const taskctx::Context* parent) {
//     taskctx::Context fresh;
//     if (parent != nullptr && parent->contains(user)) {
//       fresh.run([&] { user.set(*parent->find(user)); });
//     }
//     return fresh;
//   };
//   taskctx::JobPool pool{{.context_factory = only_the_user}};
//
// Threads:  a factory is called on the thread that submits, by as many threads at once as submit.
// Lifetime: `parent` is valid during the call; copy it to keep it (O(1)).
// Errors:   what a factory throws comes out of submit(); there is no job then.

#ifndef TASKCTX_POLICY_H_
#define TASKCTX_POLICY_H_

#include <functional>

#include "taskctx/context.h"

namespace taskctx {
inline namespace v1 {

// Makes the context that a job starts with. It is called exactly once for each job, in the
// submitter's context, with a copy of that, or with nullptr where nothing was ever set. The job
// gets a copy of what it returns (O(1)). It may use the library, and submit jobs of its own.
using ContextFactory = std::function<Context(const Context* parent)>;

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_POLICY_H_
