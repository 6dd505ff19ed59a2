// SPDX-License-Identifier: Apache-2.0

#include "taskctx/errors.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>

namespace taskctx {
inline namespace v1 {
namespace {

void default_misuse_handler(const Misuse& misuse) {
  std::fprintf(stderr, "taskctx: %.*s\n", static_cast<int>(misuse.message.size()),
               misuse.message.data());
#ifndef NDEBUG
  std::abort();
#endif
}

constinit std::atomic<MisuseHandler> misuse_handler{&default_misuse_handler};

std::string message(std::string_view what, std::string_view variable, std::string_view reason) {
  std::string text("cannot ");
  text.append(what).append(" '").append(variable).append("': ").append(reason);
  return text;
}

std::string_view reason(TokenError::Kind kind) {
  switch (kind) {
    case TokenError::Kind::used:
      return "the token has been used already";
    case TokenError::Kind::other_variable:
      return "the token was made by a different variable";
    case TokenError::Kind::other_context:
      break;
  }
  return "the token was made in a different context";
}

}  // namespace

std::string_view version() noexcept { return "0.1.0"; }

MisuseHandler set_misuse_handler(MisuseHandler handler) noexcept {
  return misuse_handler.exchange(handler != nullptr ? handler : &default_misuse_handler);
}

namespace internal {

void report_misuse(std::string_view message, std::string_view variable) noexcept {
  misuse_handler.load()(Misuse{.message = message, .variable = variable});
}

void throw_lookup_error(std::string_view variable) {
  throw LookupError(message("get variable", variable, "it is not set here and has no default"));
}

void throw_token_error(TokenError::Kind kind, std::string_view variable) {
  throw TokenError(kind, message("reset variable", variable, reason(kind)));
}

void report_scope(TokenError::Kind kind, std::string_view variable) noexcept {
  std::string text;
  try {
    text = message("close scope of variable", variable, reason(kind));
  } catch (const std::bad_alloc&) {  // Then the reason alone must do.
  }
  report_misuse(text.empty() ? reason(kind) : text, variable);
}

void report_scope_without_memory(std::string_view variable) noexcept {
  report_misuse("cannot close scope of variable: out of memory", variable);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
