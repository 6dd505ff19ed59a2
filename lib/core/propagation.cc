// SPDX-License-Identifier: Apache-2.0
//
// What a new task gets of its creator's bindings, and the default values that are computed.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/key_list.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/value.h"
#include "taskctx/internal/core/variable.h"
#include "taskctx/scope.h"
#include "taskctx/suppress_propagation.h"

namespace taskctx {
inline namespace v1 {
namespace internal {
namespace {

using Propagation = VariableRules::Propagation;

// The variables whose defaults are being computed around here. Computing one runs in a context with
// this: so a computation that needs its own result is found out, on whichever thread that is.
struct Computation {
  static constexpr VariableRules kRules{.is_hidden = true};

  std::vector<const Variable*> variables;
};
constinit ContextVar<Computation> computation{"computation of defaults"};

}  // namespace

constinit ContextVar<Suppression> suppression{"suppression of propagation"};

NodeRef capture_by_policy() {
  // Copying runs user code, which may change the current context: this holds on to what it was.
  const Context around = copy_context();
  if (around.contains(suppression)) {
    return {};
  }
  const NodeRef current = ContextAccess::node(around);
  NodeRef captured = current;
  propagated_keys.for_each([&](std::uint64_t key) {
    const Entry* entry = find_entry(current.get(), key);
    const RecordRef record(entry != nullptr ? find_record(key) : nullptr);
    if (record == nullptr) {
      return;
    }
    if (record->rules.propagation == Propagation::never) {
      release(exchange_in(captured, key, Entry{}));
    } else if (record->rules.propagation == Propagation::copy) {
      Entry copy = record->ops->copy(record.get(), *entry);
      try {
        copy = exchange_in(captured, key, copy);
      } catch (...) {
        release(copy);
        throw;
      }
      release(copy);
    }
  });
  return captured;
}

void compute_default(const Variable& variable, void (*compute)(const void* call),
                     const void* call) {
  const Context around = copy_context();
  const Computation* outer = around.find(computation);
  Computation here = outer != nullptr ? *outer : Computation{};
  if (std::find(here.variables.begin(), here.variables.end(), &variable) != here.variables.end()) {
    throw_recursion_error(variable.name());
  }
  here.variables.push_back(&variable);
  Context().run([&] {
    computation.set(std::move(here));
    compute(call);
  });
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
