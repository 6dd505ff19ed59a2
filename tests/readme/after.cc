#include <iostream>
#include <string>
#include "taskctx/context_var.h"
#include "taskctx/scope.h"

inline taskctx::ContextVar<std::string> user{"user", "nobody"};

void audit(const std::string& what) { std::cout << user.get() << ": " << what << '\n'; }

void handle(const std::string& name) {
  taskctx::Scope scope{user, name};  // until the end of the block, also by exception
  audit("begins");
}

int main() {
  handle("alice");
  audit("ends");
}
