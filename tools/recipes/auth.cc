// SPDX-License-Identifier: Apache-2.0
//
// The current user: another one for a block, and a decorator that sets it for a whole handler.
//
//   taskctx::Scope scope{current_user, admin};  // an override, until the end of the block
//   auto handler = require_auth(show_profile);  // a handler that runs as the request's user
//
// Afterwards the former user is back, also after an exception.

#include <iostream>
#include <stdexcept>
#include <string>

#include "taskctx/context_var.h"
#include "taskctx/scope.h"

struct User {
  std::string name;
  std::string role;
};

inline taskctx::ContextVar<User> current_user{"current_user", User{"nobody", "guest"}};

void say(const std::string& what) {
  const User& user = current_user.get();
  std::cout << what << ": " << user.name << " (" << user.role << ")\n";
}

// The override: runs `action` as admin.
template <typename F>
auto with_admin_privileges(F action) {
  taskctx::Scope scope{current_user, User{"root", "admin"}};
  return action();
}

struct Request {
  std::string password;
};

User authenticate(const Request& request) {
  if (request.password != "secret") {
    throw std::invalid_argument("who are you?");
  }
  return {"alice", "user"};
}

// The decorator: wraps a handler that only reads the current user, and makes one for requests.
template <typename F>
auto require_auth(F handler) {
  return [handler](const Request& request) {
    taskctx::Scope scope{current_user, authenticate(request)};
    return handler(request);
  };
}

int main() {
  say("before");
  with_admin_privileges([] { say("override"); });
  say("after");

  const auto show_profile = require_auth([](const Request&) {
    say("profile");
    with_admin_privileges([] { say("audit"); });
    say("profile");
  });
  show_profile({"secret"});
  try {
    show_profile({"guess"});
  } catch (const std::invalid_argument& error) {
    std::cout << "refused: " << error.what() << '\n';
  }

  const auto fail = require_auth([](const Request&) -> int { throw std::runtime_error("oops"); });
  try {
    fail({"secret"});
  } catch (const std::runtime_error& error) {
    std::cout << "failed: " << error.what() << '\n';
  }
  say("at the end");
}
