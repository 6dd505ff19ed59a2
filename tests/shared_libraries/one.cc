// SPDX-License-Identifier: Apache-2.0

#include <string>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "tests/shared_libraries/library.h"

namespace {

const taskctx::ContextVar<std::string> own_text("text of library one");

}  // namespace

const Library& library_one() {
  static const Library library{
      .get_number = [] { return shared_number.get(-1); },
      .set_number = [](int value) { shared_number.set(value); },
      .snapshot = [] { return taskctx::copy_context(); },
      .own_text = own_text,
  };
  return library;
}
