// SPDX-License-Identifier: Apache-2.0
//
// Runs a program of oracle_programs.h: the variables, contexts and tokens that it names.

#ifndef TASKCTX_TESTS_ORACLE_WORLD_H_
#define TASKCTX_TESTS_ORACLE_WORLD_H_

#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/errors.h"
#include "tests/any_variable.h"
#include "tests/oracle_programs.h"

namespace taskctx_test {

// Leaves as many blocks as it says.
struct Raised {
  int blocks;
};

// Calls `body` in a plain thread, which starts empty, and passes on what it throws.
inline void in_thread(const std::function<void()>& body) {
  std::exception_ptr error;
  std::thread([&] {
    try {
      body();
    } catch (...) {
      error = std::current_exception();
    }
  }).join();
  if (error != nullptr) {
    std::rethrow_exception(error);
  }
}

// Runs a program; oracle.py is its twin.
class World {
 public:
  explicit World(const Lines& lines) : lines_(lines) {}

  // Returns one line for each operation that was run, in order.
  Lines run() {
    in_thread([this] { run(0, lines_.size()); });
    return std::move(outcomes_);
  }

 private:
  using Numbers = std::vector<std::size_t>;

  [[nodiscard]] bool opens_block(std::size_t line) const { return lines_[line].back() == '{'; }

  // Returns where the block that begins at `begin` has its "}".
  [[nodiscard]] std::size_t end_of(std::size_t begin) const {
    std::size_t depth = 1;
    for (std::size_t at = begin;; ++at) {
      if (opens_block(at)) {
        ++depth;
      } else if (lines_[at] == "}" && --depth == 0) {
        return at;
      }
    }
  }

  void run(std::size_t begin, std::size_t end) {
    for (std::size_t at = begin; at < end; ++at) {
      std::istringstream words(lines_[at]);
      std::string name;
      words >> name;
      const Numbers numbers{std::istream_iterator<std::size_t>(words), {}};
      if (opens_block(at)) {
        const std::size_t close = end_of(at + 1);
        block(at, name, numbers, [this, at, close] { run(at + 1, close); });
        at = close;
      } else {
        say(at, operation(name, numbers));
      }
    }
  }

  void say(std::size_t at, const std::string& outcome) {
    std::string line = std::to_string(at) + ' ' + lines_[at];
    if (opens_block(at)) {
      line.resize(line.size() - 2);
    }
    outcomes_.push_back(line + " -> " + outcome);
  }

  // Enters a context for a block, and tells how that began and ended.
  void block(std::size_t at, const std::string& kind, const Numbers& numbers,
             const std::function<void()>& body) {
    const auto entered = [&] {
      say(at, "entered");
      body();
    };
    try {
      if (kind == "run") {
        const std::shared_ptr<taskctx::Context> context = contexts_.at(numbers[0]);
        context->run(entered);
      } else if (kind == "bind") {
        call_twice(taskctx::bind(entered));
      } else if (kind == "bind_to") {
        call_twice(taskctx::bind(*contexts_.at(numbers[0]), entered));
      } else {
        in_thread(entered);
      }
      say(at, "left");
    } catch (const taskctx::ContextError&) {
      say(at, "cannot enter");
    } catch (const Raised& raised) {
      say(at, "left by an exception");
      if (raised.blocks > 1) {
        throw Raised{raised.blocks - 1};
      }
    }
  }

  template <typename F>
  static void call_twice(F&& bound) {
    bound();
    bound();
  }

  std::string operation(const std::string& name, const Numbers& n) {
    if (name == "var") {
      const std::string label = "v" + std::to_string(n[0] % 10);  // Some share their name.
      variables_[n[0]] = n.size() == 1
                             ? taskctx_test::make_variable(n[0], label)
                             : taskctx_test::make_variable(n[0], label, static_cast<int>(n[1]));
      return label;
    }
    if (name == "set") {
      tokens_[n[2]] = variables_.at(n[0])->set(static_cast<int>(n[1]));
      return old(n[2]);
    }
    if (name == "get") {
      return get(*variables_.at(n[0]), n);
    }
    if (name == "reset") {
      return reset(*variables_.at(n[0]), n[1]);
    }
    if (name == "old") {
      return old(n[0]);
    }
    if (name == "drop") {
      return tokens_.erase(n[0]) != 0 ? "dropped" : "no token";
    }
    if (name == "throw") {
      throw Raised{static_cast<int>(n[0])};
    }
    return of_contexts(name, n);
  }

  std::string of_contexts(const std::string& name, const Numbers& n) {
    std::shared_ptr<taskctx::Context>& context = contexts_[n[0]];
    if (name == "empty") {
      context = std::make_shared<taskctx::Context>();
    } else if (name == "copy") {
      context = std::make_shared<taskctx::Context>(taskctx::copy_context());
    } else if (name == "copy_of") {
      context = std::make_shared<taskctx::Context>(*contexts_.at(n[1]));
    } else if (name == "find") {
      const std::optional<int> found = variables_.at(n[1])->find_in(*context);
      return found.has_value() ? std::to_string(*found) : "none";
    } else if (name == "contains") {
      return truth(variables_.at(n[1])->is_in(*context));
    } else if (name == "names") {
      return names(*context);
    } else if (name == "equal") {
      return truth(*context == *contexts_.at(n[1]));
    } else if (name == "is_current") {
      return truth(*context == taskctx::copy_context());
    }
    return std::to_string(context->size());
  }

  static std::string get(const AnyVariable& variable, const Numbers& n) {
    try {
      return std::to_string(n.size() == 1 ? variable.get() : variable.get(static_cast<int>(n[1])));
    } catch (const taskctx::LookupError&) {
      return "LookupError";
    }
  }

  std::string reset(const AnyVariable& variable, std::size_t t) {
    const auto token = tokens_.find(t);
    if (token == tokens_.end()) {
      return "no token";
    }
    try {
      variable.reset(*token->second);
      return "reset";
    } catch (const taskctx::TokenError& error) {
      switch (error.kind()) {
        case taskctx::TokenError::Kind::used:
          return "used";
        case taskctx::TokenError::Kind::other_variable:
          return "other variable";
        case taskctx::TokenError::Kind::other_context:
          break;
      }
      return "other context";
    }
  }

  std::string old(std::size_t t) const {
    const auto token = tokens_.find(t);
    if (token == tokens_.end()) {
      return "no token";
    }
    const auto made_it = [&](const auto& each) {
      return each.second->address() == token->second->variable();
    };
    const std::size_t v = std::find_if(variables_.begin(), variables_.end(), made_it)->first;
    const std::optional<int> value = token->second->old_value();
    return (token->second->used() ? "used"
            : value.has_value()   ? std::to_string(*value)
                                  : "MISSING") +
           ", of " + std::to_string(v);
  }

  static std::string names(const taskctx::Context& context) {
    Lines names;
    for (const auto& entry : context) {
      names.emplace_back(entry.name());
    }
    std::sort(names.begin(), names.end());
    std::string text;
    for (const std::string& name : names) {
      text += (text.empty() ? "" : " ") + name;
    }
    return text;
  }

  static std::string truth(bool value) { return value ? "True" : "False"; }

  const Lines& lines_;
  Lines outcomes_;
  std::map<std::size_t, std::unique_ptr<AnyVariable>> variables_;  // Outlive the tokens.
  std::map<std::size_t, std::shared_ptr<taskctx::Context>> contexts_;
  std::map<std::size_t, std::unique_ptr<AnyToken>> tokens_;
};

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_ORACLE_WORLD_H_
