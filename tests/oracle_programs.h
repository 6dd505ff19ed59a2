// SPDX-License-Identifier: Apache-2.0
//
// Random programs as text, for oracle_test.cc, which tells the language.

#ifndef TASKCTX_TESTS_ORACLE_PROGRAMS_H_
#define TASKCTX_TESTS_ORACLE_PROGRAMS_H_

#include <cstddef>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "tests/any_variable.h"

namespace taskctx_test {

using Lines = std::vector<std::string>;

// Writes random programs.
class ProgramWriter {
 public:
  explicit ProgramWriter(unsigned seed) : random_(seed) {}

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

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_ORACLE_PROGRAMS_H_
