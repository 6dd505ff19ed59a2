#include <iostream>
#include <string>

thread_local std::string user = "nobody";

void audit(const std::string& what) { std::cout << user << ": " << what << '\n'; }

void handle(const std::string& name) {
  const std::string outer = user;
  user = name;
  audit("begins");
  user = outer;  // and where it throws?
}

int main() {
  handle("alice");
  audit("ends");
}
