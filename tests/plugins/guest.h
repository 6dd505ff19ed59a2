// SPDX-License-Identifier: Apache-2.0
//
// What a plugin offers that uses the program's taskctx, as plugins should. Its types, variables and
// functions are its own.

#ifndef TASKCTX_TESTS_PLUGINS_GUEST_H_
#define TASKCTX_TESTS_PLUGINS_GUEST_H_

#include <atomic>
#include <memory>
#include <string>

#include "taskctx/context_var.h"
#include "taskctx/token.h"

namespace taskctx_test {

// A variable as headers have it, but that no two modules share it: it is hidden from the loader.
[[gnu::visibility("hidden")]] inline taskctx::ContextVar<std::string> hidden_text{"hidden_text"};

// A twin of it in each module that asks for one.
[[gnu::visibility("hidden")]] inline const taskctx::ContextVar<std::string>& shared_text(
    const char* default_value) {
  static const taskctx::ContextVar<std::string> variable{
      taskctx::SharedName("com.example.shared_text"), default_value};
  return variable;
}

struct Guest {
  // Sets variables of the guest's own, of its own types and with its own functions.
  void (*set)();
  // Registers an observer, and is done with it.
  void (*observe)();
  // Installs a handler that counts.
  void (*handle_misuse)(std::atomic<int>& count);
  // Makes a variable whose default the guest computes.
  std::unique_ptr<const taskctx::ContextVar<std::string>> (*make_with_factory)();

  // The guest's twin of shared_text().
  const taskctx::ContextVar<std::string>& (*shared_text)();
  // Uses a variable of another type with that name. Returns the error's text.
  std::string (*misuse_shared_name)();
  // The guest's hidden_text.
  const taskctx::ContextVar<std::string>& (*hidden_text)();
};

}  // namespace taskctx_test

extern "C" const taskctx_test::Guest* plugin_guest();

#endif  // TASKCTX_TESTS_PLUGINS_GUEST_H_
