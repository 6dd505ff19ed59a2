// SPDX-License-Identifier: Apache-2.0
//
// Compiled twice, with LIBRARY naming the one that it is: library_one or library_two.

#include <string>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "tests/shared_libraries/library.h"

#ifndef LIBRARY
#define LIBRARY library_one  // For tools that look at this file alone.
#endif

namespace {

const taskctx::ContextVar<std::string> own_text("text");

}  // namespace

const Library& LIBRARY() {
  static const Library library{
      .get_number = [] { return shared_number.get(-1); },
      .set_number = [](int value) { shared_number.set(value); },
      .snapshot = [] { return taskctx::copy_context(); },
      .own_text = own_text,
  };
  return library;
}
