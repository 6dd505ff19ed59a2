// SPDX-License-Identifier: Apache-2.0
//
// SuppressPropagation: a block whose tasks don't inherit its context.
//
//   const taskctx::SuppressPropagation block;
//   pool.post([] { clean_up(); });  // starts with nothing set
//
// Threads:  ends in the context in which it began, on any thread.
// Errors:   those of a Scope.

#ifndef TASKCTX_SUPPRESS_PROPAGATION_H_
#define TASKCTX_SUPPRESS_PROPAGATION_H_

#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/internal/core/record.h"
#include "taskctx/scope.h"

namespace taskctx {
inline namespace v1 {

namespace internal {

// The value that is set where propagation is suppressed.
struct Suppression {
  static constexpr VariableRules kRules{.propagation = VariableRules::Propagation::none,
                                        .is_hidden = true};
};
extern ContextVar<Suppression> suppression;

}  // namespace internal

// A guard. Tasks that are created in its block start with an empty context, and so do the leaves of
// blocking algorithms: all that would inherit. Contexts that are handed over explicitly are not
// affected, nor is the block itself, nor what its tasks create. Blocks nest. Costs as much as a
// Scope.
class [[nodiscard]] SuppressPropagation {
 public:
  [[nodiscard("give it a name: without one it ends at once")]] explicit SuppressPropagation(
      SourcePlace place = SourcePlace::current())
      : scope_(internal::Named(internal::suppression, place), internal::Suppression{}) {}

 private:
  Scope<internal::Suppression> scope_;
};

}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_SUPPRESS_PROPAGATION_H_
