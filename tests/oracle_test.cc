// SPDX-License-Identifier: Apache-2.0
//
// Python's own contextvars as the oracle: random programs run here and in oracle.py, and each
// operation must have the same outcome. The seed is printed, and taken from TASKCTX_TEST_SEED.
//
// A program is text, one operation to a line; v, c and t number variables, contexts and tokens:
//
//   var v [x]      declares a variable, with the default x
//   set v x t      t is the new token             get v [x]       with the default x
//   reset v t      with the token t               old t           what t knows
//   drop t         destroys t                     empty c         c is a new context
//   copy c         c is a snapshot                copy_of c d     c is a copy of d
//   find c v       contains c v                   size c          names c
//   equal c d      is_current c: does it equal the current one?
//   run c {        runs the lines up to "}" in c  thread {        in a thread of its own
//   bind {         twice, each in the snapshot    bind_to c {     twice, each in a copy of c
//   throw n        leaves n blocks

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/errors.h"
#include "tests/any_variable.h"

namespace {

using taskctx::Context;
using taskctx::ContextError;
using taskctx::LookupError;
using taskctx::TokenError;
using taskctx_test::AnyToken;
using taskctx_test::AnyVariable;
using taskctx_test::kKinds;

using Lines = std::vector<std::string>;

// Writes random programs.
class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}

  Lines program(std::size_t operations) {
    lines_.clear();
    maker_.clear();
    variables_ = (below(4) == 0 ? 60 : 1 + below(8)) * kKinds;
    for (std::size_t v = 0; v < variables_; ++v) {
      below(2) == 0 ? add("var", v) : add("var", v, value());
    }
    for (std::size_t c = 0; c < kContexts; ++c) {
      add("empty", c);
    }
    while (lines_.size() < operations) {
      block(0);
    }
    return lines_;
  }

 private:
  static constexpr std::size_t kContexts = 6;
  static constexpr std::size_t kTokens = 6 * kKinds;
  static constexpr std::size_t kDepth = 5;

  std::size_t below(std::size_t n) { return random_() % n; }
  std::size_t value() { return below(5); }  // Few, so that contexts may be equal.
  std::size_t variable() { return below(variables_); }
  std::size_t context() { return below(kContexts); }
  std::size_t token() { return below(kTokens); }
  // Variable and token have types: only a token of its own type fits a variable.
  std::size_t token_for(std::size_t v) { return below(kTokens / kKinds) * kKinds + v % kKinds; }

  template <typename... Words>
  void add(const char* operation, Words... words) {
    std::ostringstream line;
    line << operation;
    ((line << ' ' << words), ...);
    lines_.push_back(line.str());
  }

  void block(std::size_t depth) {
    for (std::size_t left = 5 + below(20); left != 0; --left) {
      const std::size_t choice = below(100);
      if (choice < 90) {
        operation(choice);
      } else if (choice < 99 && depth < kDepth) {
        nested(depth);
      } else if (depth > 0) {
        add("throw", 1 + below(depth));
        return;
      }
    }
  }

  void operation(std::size_t choice) {
    const std::size_t v = variable();
    if (choice < 30) {
      const std::size_t t = token_for(v);
      maker_[t] = v;
      add("set", v, value(), t);
    } else if (choice < 45) {
      below(4) == 0 ? add("get", v, value()) : add("get", v);
    } else if (choice < 60) {
      reset();
    } else {
      look(choice, v);
    }
  }

  void reset() {
    const std::size_t v = variable();
    const std::size_t t = token_for(v);
    const auto maker = maker_.find(t);
    add("reset", maker == maker_.end() || below(4) == 0 ? v : maker->second, t);
  }

  void look(std::size_t choice, std::size_t v) {
    if (choice < 64) {
      add("old", token());
    } else if (choice < 65) {
      add("drop", token());
    } else if (choice < 71) {
      add("copy", context());
    } else if (choice < 73) {
      add("copy_of", context(), context());
    } else if (choice < 74) {
      add("empty", context());
    } else if (choice < 79) {
      add("find", context(), v);
    } else if (choice < 82) {
      add("contains", context(), v);
    } else if (choice < 84) {
      add("size", context());
    } else if (choice < 85) {
      add("names", context());
    } else if (choice < 88) {
      add("equal", context(), context());
    } else {
      add("is_current", context());
    }
  }

  void nested(std::size_t depth) {
    switch (below(8)) {
      case 0:
        add("bind {");
        break;
      case 1:
        add("bind_to", context(), '{');
        break;
      case 2:
        add("thread {");
        break;
      default:
        add("run", context(), '{');
    }
    block(depth + 1);
    lines_.emplace_back("}");
  }

  std::mt19937 random_;
  std::size_t variables_ = 0;
  std::map<std::size_t, std::size_t> maker_;  // By token: the variable that last made one there.
  Lines lines_;
};

// Leaves as many blocks as it says.
struct Raised {
  int blocks;
};

// Calls `body` in a plain thread, which starts empty, and passes on what it throws.
void in_thread(const std::function<void()>& body) {
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
        const std::shared_ptr<Context> context = contexts_.at(numbers[0]);
        context->run(entered);
      } else if (kind == "bind") {
        call_twice(taskctx::bind(entered));
      } else if (kind == "bind_to") {
        call_twice(taskctx::bind(*contexts_.at(numbers[0]), entered));
      } else {
        in_thread(entered);
      }
      say(at, "left");
    } catch (const ContextError&) {
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
    std::shared_ptr<Context>& context = contexts_[n[0]];
    if (name == "empty") {
      context = std::make_shared<Context>();
    } else if (name == "copy") {
      context = std::make_shared<Context>(taskctx::copy_context());
    } else if (name == "copy_of") {
      context = std::make_shared<Context>(*contexts_.at(n[1]));
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
    } catch (const LookupError&) {
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
    } catch (const TokenError& error) {
      switch (error.kind()) {
        case TokenError::Kind::used:
          return "used";
        case TokenError::Kind::other_variable:
          return "other variable";
        case TokenError::Kind::other_context:
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

  static std::string names(const Context& context) {
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
  std::map<std::size_t, std::shared_ptr<Context>> contexts_;
  std::map<std::size_t, std::unique_ptr<AnyToken>> tokens_;
};

// Runs the programs in Python and returns the outcomes, all in one.
Lines outcomes_in_python(const std::vector<Lines>& programs) {
  const std::string folder = testing::TempDir();
  std::ofstream input(folder + "/programs");
  for (const Lines& program : programs) {
    input << "program\n";
    std::copy(program.begin(), program.end(), std::ostream_iterator<std::string>(input, "\n"));
  }
  input.close();
  const std::string command =
      "python3 tests/oracle.py <'" + folder + "/programs' >'" + folder + "/outcomes'";
  if (std::system(command.c_str()) != 0) {
    throw std::runtime_error("cannot run: " + command);
  }
  std::ifstream output(folder + "/outcomes");
  Lines lines;
  for (std::string line; std::getline(output, line);) {
    lines.push_back(line);
  }
  return lines;
}

// Returns the first place where the outcomes differ, and how; an empty text if they are the same.
std::string difference(const Lines& ours, const Lines& pythons) {
  const auto [our, python] =
      std::mismatch(ours.begin(), ours.end(), pythons.begin(), pythons.end());
  if (our == ours.end() && python == pythons.end()) {
    return "";
  }
  const std::ptrdiff_t program = std::count(ours.begin(), our, "program") - 1;
  return "in program " + std::to_string(program) +
         "\n  taskctx: " + (our == ours.end() ? "nothing more" : *our) +
         "\n  Python:  " + (python == pythons.end() ? "nothing more" : *python);
}

bool ends_with(const std::string& line, const std::string& outcome) {
  return line.ends_with(" -> " + outcome);
}

class Oracle : public testing::Test {
 protected:
  static constexpr std::size_t kPrograms = 20;
  static constexpr std::size_t kOperations = 800;

  // Runs the programs once for all tests.
  static void SetUpTestSuite() {
    Generator generator(taskctx_test::test_seed());
    std::vector<Lines> programs(kPrograms);
    for (Lines& program : programs) {
      program = generator.program(kOperations);
      ours.emplace_back("program");
      const Lines outcomes = World(program).run();
      ours.insert(ours.end(), outcomes.begin(), outcomes.end());
    }
    pythons = outcomes_in_python(programs);
  }

  static inline Lines ours;
  static inline Lines pythons;
};

// M2
TEST_F(Oracle, RandomProgramsHaveTheSameOutcomesInPython) {
  EXPECT_EQ(difference(ours, pythons), "");
}

// M2: and each kind of misuse is among them, one operation in ten at least.
TEST_F(Oracle, ProgramsAreLongAndFullOfMisuse) {
  EXPECT_GE(ours.size(), 10'000U);
  std::ptrdiff_t misuses = 0;
  for (const char* misuse :
       {"LookupError", "used", "other variable", "other context", "cannot enter"}) {
    const std::ptrdiff_t count = std::count_if(
        ours.begin(), ours.end(), [&](const auto& line) { return ends_with(line, misuse); });
    EXPECT_GE(count, 20) << misuse;
    misuses += count;
  }
  EXPECT_GE(misuses, std::ssize(ours) / 10);
}

// M2: and the comparison would not miss one that differs.
TEST_F(Oracle, AnyOutcomeThatDiffersIsReported) {
  for (std::size_t at = 1; at < ours.size(); at += 97) {
    Lines perturbed = ours;
    perturbed[at] += "?";
    EXPECT_THAT(difference(perturbed, pythons), testing::HasSubstr("taskctx: " + perturbed[at]));
    perturbed.resize(at);
    EXPECT_THAT(difference(perturbed, pythons), testing::HasSubstr("taskctx: nothing more"));
  }
}

}  // namespace
