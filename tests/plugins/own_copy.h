// SPDX-License-Identifier: Apache-2.0
//
// What a plugin offers that has a copy of the library of its own, with hidden symbols. All that it
// is given comes from the program's copy.

#ifndef TASKCTX_TESTS_PLUGINS_OWN_COPY_H_
#define TASKCTX_TESTS_PLUGINS_OWN_COPY_H_

#include <memory>
#include <string>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/token.h"

namespace taskctx_test {

struct OwnCopy {
  // Reads a variable of the program's.
  std::string (*read)(const taskctx::ContextVar<std::string>& variable);
  // Sets one, and the plugin's own ones, and tells whether it reads them all as it has set them.
  bool (*set)(const taskctx::ContextVar<std::string>& variable);
  // Removes those again.
  void (*unset)(const taskctx::ContextVar<std::string>& variable);
  // The same within a context, where they stay.
  bool (*set_in)(taskctx::Context& context, const taskctx::ContextVar<std::string>& variable);
  // Looks for the plugin's own variables.
  bool (*has_own)(const taskctx::Context& context);
  std::string (*print)(const taskctx::Context& context);
  bool (*equal)(const taskctx::Context& a, const taskctx::Context& b);
  taskctx::Context (*overlaid)(const taskctx::Context& base, const taskctx::Context& over);
  std::size_t (*count_changes)(const taskctx::Context& before, const taskctx::Context& after);
  bool (*is_refused)(const taskctx::ContextVar<std::string>& variable,
                     const taskctx::Token<std::string>& token);
  // Sets so many variables of its own in a copy of the context.
  taskctx::Context (*widen)(const taskctx::Context& context, int count);
  // Makes a variable, for the program to use and to destroy; and the other way round.
  std::unique_ptr<taskctx::ContextVar<std::string>> (*make)(const char* name);
  void (*destroy)(std::unique_ptr<taskctx::ContextVar<std::string>> variable);
};

}  // namespace taskctx_test

extern "C" const taskctx_test::OwnCopy* plugin_own_copy();

#endif  // TASKCTX_TESTS_PLUGINS_OWN_COPY_H_
