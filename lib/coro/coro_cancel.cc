// SPDX-License-Identifier: Apache-2.0
//
// The error of a clean-up that failed after what it had to clean up.

#include "taskctx/coro_cancel.h"

#include <exception>
#include <string>
#include <utility>

namespace taskctx {
inline namespace v1 {
namespace {

std::string text_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    return exception.what();
  } catch (...) {
    return "not a std::exception";
  }
}

}  // namespace

CleanupError::CleanupError(std::exception_ptr of_cleanup, std::exception_ptr of_body)
    : std::runtime_error("cannot clean up: " + text_of(of_cleanup) +
                         " (after: " + text_of(of_body) + ")"),
      of_cleanup_(std::move(of_cleanup)),
      of_body_(std::move(of_body)) {}

}  // namespace v1
}  // namespace taskctx
