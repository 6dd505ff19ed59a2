// SPDX-License-Identifier: Apache-2.0
//
// The defaults that are computed: each in a context in which nothing is set, except a hidden note
// of what is being computed. So a computation that needs its own result is found out, on any
// thread.

#include "taskctx/internal/core/computed_default.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "taskctx/errors.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/node_write.h"
#include "taskctx/internal/core/type_ops.h"
#include "taskctx/internal/core/value.h"
#include "taskctx/internal/core/variable.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

// The variables whose defaults are being computed around here.
using Computation = std::vector<const Variable*>;
constinit Variable computation{"computation of defaults", kTypeOps<Computation>};

}  // namespace

void compute_default(const Variable& variable, void (*compute)(const void* call),
                     const void* call) {
  const NodeRef around = NodeRef::share(current_node());
  Computation variables;
  if (const Entry* outer = lookup<true>(around.get(), computation)) {
    variables = *value_of<Computation>(*outer);
  }
  if (std::find(variables.begin(), variables.end(), &variable) != variables.end()) {
    throw_recursion_error(variable.name());
  }
  variables.push_back(&variable);
  const std::uint64_t key = computation.assign_key({.is_hidden = true});
  NodeRef here;
  move_in(here, {key, make_word<Computation>(computation.record(), std::move(variables))});
  // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): `here` has the value now.
  const Installed context(here.get());
  compute(call);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
