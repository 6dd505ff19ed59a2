// SPDX-License-Identifier: Apache-2.0
//
// TaskScopeError: all that has failed in a TaskScope, together (task_scope.h).
//
//   try {
//     scope.join();
//   } catch (const taskctx::TaskScopeError& error) {
//     for (const taskctx::FailedJob& job : error.errors()) log(job.name, job.context);
//   }

#ifndef TASKCTX_TASK_SCOPE_ERROR_H_
#define TASKCTX_TASK_SCOPE_ERROR_H_

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {

// One job that has thrown. Its context is as it was when the exception left the job's code.
struct FailedJob {
  std::uint64_t id = 0;
  std::string name;
  Context context;
  std::exception_ptr exception;
};

// Thrown by TaskScope::join(). what() is one line, such as "cannot join task scope 'load': 2 of 3
// jobs failed: job 7 'user': connection refused; job 9: no such file"; of many jobs, and of long
// texts, it has the beginning. Copies share the list.
class TaskScopeError : public std::runtime_error {
 public:
  // Takes the scope's name, which may be empty, how many jobs it had, and those that failed, the
  // first one first. Throws std::bad_alloc.
  TaskScopeError(std::string_view name, std::size_t count, std::vector<FailedJob> errors);

  // Borrows the jobs that failed, in the order in which they did. Empty if the scope waited for a
  // first success, and all its jobs were cancelled, or there was none.
  [[nodiscard]] const std::vector<FailedJob>& errors() const noexcept { return *errors_; }

 private:
  std::shared_ptr<const std::vector<FailedJob>> errors_;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TASK_SCOPE_ERROR_H_
