// SPDX-License-Identifier: Apache-2.0
//
// The words of exceptions and of reports, and the handler that gets the reports.

#include "taskctx/errors.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <string_view>

#include "taskctx/internal/core/modules.h"

namespace taskctx {
inline namespace v1 {
namespace {

void default_misuse_handler(const Misuse& misuse) {
  std::fprintf(stderr, "taskctx: %.*s\n", static_cast<int>(misuse.message.size()),
               misuse.message.data());
#ifndef NDEBUG
  if (misuse.exception == nullptr && !misuse.is_warning) {
    std::abort();
  }
#endif
}

constinit std::atomic<MisuseHandler> misuse_handler{&default_misuse_handler};

std::string message(std::string_view what, std::string_view variable, std::string_view reason) {
  std::string text("cannot ");
  text.append(what);
  if (!variable.empty()) {
    text.append(" '").append(variable).append("'");
  }
  return text.append(": ").append(reason);
}

constexpr std::string_view kUsed = "the token has been used already";
constexpr std::string_view kOtherVariable = "the token was made by a different variable";
constexpr std::string_view kOtherContext = "the token was made in a different context";

std::string_view reason(TokenError::Kind kind) {
  switch (kind) {
    case TokenError::Kind::used:
      return kUsed;
    case TokenError::Kind::other_variable:
      return kOtherVariable;
    case TokenError::Kind::other_context:
      break;
  }
  return kOtherContext;
}

std::string_view reason(internal::ScopeFault fault) {
  switch (fault) {
    case internal::ScopeFault::used:
      return kUsed;
    case internal::ScopeFault::other_variable:
      return kOtherVariable;
    case internal::ScopeFault::other_context:
      return kOtherContext;
    case internal::ScopeFault::out_of_order:
      return "a scope that was opened later is still open";
    case internal::ScopeFault::no_memory:
      break;
  }
  return "out of memory";
}

}  // namespace

MisuseHandler set_misuse_handler(MisuseHandler handler) noexcept {
  internal::keep_loaded(handler);
  // Publishes what the handler needs, to the acquire in report_misuse(); and acquires what the one
  // before has published.
  return misuse_handler.exchange(handler != nullptr ? handler : &default_misuse_handler,
                                 std::memory_order_acq_rel);
}

namespace internal {

void report_misuse(const Misuse& misuse) noexcept {
  // Pairs with the release in set_misuse_handler().
  misuse_handler.load(std::memory_order_acquire)(misuse);
}

void report_misuse(std::string_view message, std::string_view variable) noexcept {
  report_misuse({.message = message, .variable = variable});
}

void throw_lookup_error(std::string_view variable) {
  throw LookupError(message("get variable", variable, "it is not set here and has no default"));
}

void throw_recursion_error(std::string_view variable) {
  throw LookupError(message("get variable", variable, "its default is being computed from itself"));
}

void throw_token_error(TokenError::Kind kind, std::string_view variable) {
  throw TokenError(kind, message("reset variable", variable, reason(kind)));
}

void report_misuse(std::string_view what, std::string_view reason, Misuse misuse,
                   std::string_view how, std::string_view hint) noexcept {
  std::string text;
  try {
    text = message(what, misuse.variable, reason);
    if (misuse.place.line != 0) {
      text.append(" (").append(how).append(" at ").append(misuse.place.file).append(":");
      text.append(std::to_string(misuse.place.line)).append(")");
    }
    text.append(hint);
    misuse.message = text;
  } catch (const std::bad_alloc&) {
    misuse.message = reason;
  }
  report_misuse(misuse);
}

void report_scope(ScopeFault fault, std::string_view variable, const SourcePlace& place) noexcept {
  const bool may_have_crossed =
      fault == ScopeFault::other_context || fault == ScopeFault::out_of_order;
  report_misuse("close scope of variable", reason(fault),
                {.message = {}, .variable = variable, .place = place}, "set",
                may_have_crossed
                    ? "; was it open across a co_await of another library, or a switch "
                      "of fibers?"
                    : "");
}

void report_exception(std::string_view what, std::string_view variable) noexcept {
  const std::exception_ptr exception = std::current_exception();
  const auto report = [&](std::string_view reason) {
    report_misuse(what, reason, {.message = {}, .variable = variable, .exception = exception}, {});
  };
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    report(error.what());
  } catch (...) {
    report("it has thrown something that is not a std::exception");
  }
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
