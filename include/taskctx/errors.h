// SPDX-License-Identifier: Apache-2.0
//
// What taskctx says when it is used wrongly: three exceptions, and a handler for the places that
// cannot throw.
//
//   try { user.get(); } catch (const taskctx::LookupError& error) { ... }
//   taskctx::set_misuse_handler([](const taskctx::Misuse& misuse) { log(misuse.message); });
//
// All three derive from std::logic_error, because a correct program meets none of them. Every
// message reads "cannot <verb> <kind> '<name>': <reason>". A call that throws one of them has
// changed nothing.

#ifndef TASKCTX_ERRORS_H_
#define TASKCTX_ERRORS_H_

#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {

// A look-up of a variable that has neither a value nor a default. ContextVar::find() is the
// twin that does not throw.
class LookupError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// The use of a token that cannot undo anything here. The token is still good for the place where it
// belongs.
class TokenError : public std::logic_error {
 public:
  // The first of the three checks that failed; they are made in this order.
  enum class Kind {
    used,            // The token was spent already, or moved from.
    other_variable,  // Another variable's set() made the token.
    other_context,   // The token was made in another context.
  };

  // Makes the error of the given kind; `message` is what what() returns.
  TokenError(Kind kind, const std::string& message) : std::logic_error(message), kind_(kind) {}

  // Tells which check failed.
  [[nodiscard]] Kind kind() const noexcept { return kind_; }

 private:
  Kind kind_;
};

// The use of a Context that was entered twice, left out of order, or assigned to while it was
// entered.
class ContextError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// A place in the source, for messages. (std::source_location is not there for every compiler yet.)
struct SourcePlace {
  const char* file = "";
  unsigned line = 0;  // 0 if the place is not known.

  // Returns the caller's place; as a default argument, that of the caller of the function.
  static constexpr SourcePlace current(const char* file = __builtin_FILE(),
                                       unsigned line = __builtin_LINE()) noexcept {
    return {file, line};
  }
};

// A mistake that was found where nothing can be thrown, such as in a destructor. The
// views are valid during the call of the handler only.
struct Misuse {
  std::string_view message;   // One sentence, in the form of the exceptions' messages.
  std::string_view variable;  // The name of the variable concerned; empty when there is none.
  SourcePlace place = {};     // Where it was set, or read; line 0 if not known.
  std::exception_ptr exception = {};  // What an observer has thrown, if that is the mistake.
  bool is_warning = false;            // The program may be right as it is, if it knows of this.
};

// A function that is called once for each mistake, on the thread that made it. It may be called by
// several threads at once, may use the library, and must not throw.
using MisuseHandler = void (*)(const Misuse&);

// Installs `handler` for the whole process and returns the one before it; nullptr installs the
// default, which writes the message to stderr and, unless NDEBUG was defined when the library was
// compiled or the mistake is an observer's exception or a warning, aborts. Thread-safe, O(1). The
// shared library that `handler` is in stays loaded.
MisuseHandler set_misuse_handler(MisuseHandler handler) noexcept;

namespace internal {

// Hands a mistake to the handler.
void report_misuse(const Misuse& misuse) noexcept;
void report_misuse(std::string_view message, std::string_view variable) noexcept;
// Does so with the message "cannot <what> '<variable>': <reason>", then " (<how> at <place>)" if
// the place is known, then `hint`. If there is no memory for that, the message is the reason.
void report_misuse(std::string_view what, std::string_view reason, Misuse misuse,
                   std::string_view how, std::string_view hint = {}) noexcept;

[[noreturn]] void throw_lookup_error(std::string_view variable);
[[noreturn]] void throw_recursion_error(std::string_view variable);
[[noreturn]] void throw_token_error(TokenError::Kind kind, std::string_view variable);
// What can be wrong with a scope at its end.
enum class ScopeFault { used, other_variable, other_context, out_of_order, no_memory };
// Reports a scope of a variable that was set at `place`.
void report_scope(ScopeFault fault, std::string_view variable, const SourcePlace& place) noexcept;
// Reports the exception that is being handled, which `what` has thrown. `variable` may be empty.
void report_exception(std::string_view what, std::string_view variable) noexcept;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_ERRORS_H_
