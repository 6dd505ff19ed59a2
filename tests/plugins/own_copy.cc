// SPDX-License-Identifier: Apache-2.0

#include "tests/plugins/own_copy.h"

#include <cstddef>
#include <list>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/token.h"

namespace {

using taskctx::Context;
using taskctx::ContextVar;
using Text = ContextVar<std::string>;

struct Quota {
  long a = 1;
  long b = 2;
  long c = 3;

  bool operator==(const Quota&) const = default;
};

// One of each kind. The first set of the program's is boxed, of these it is not.
const ContextVar<int> number{"number"};
const ContextVar<Quota> quota{"quota"};

bool set(const Text& variable) {
  number.set(7);
  quota.set(Quota{77});
  variable.set("of the plugin");
  return number.get() == 7 && quota.get().a == 77 && variable.get() == "of the plugin";
}

const taskctx_test::OwnCopy own_copy{
    .read = [](const Text& variable) { return variable.get("<not set>"); },
    .set = &set,
    .unset =
        [](const Text& variable) {
          number.unset();
          quota.unset();
          variable.unset();
        },
    .set_in = [](Context& context,
                 const Text& variable) { return context.run([&] { return set(variable); }); },
    .has_own =
        [](const Context& context) { return context.contains(number) || context.find(quota); },
    .print =
        [](const Context& context) {
          std::ostringstream text;
          text << context;
          return std::move(text).str();
        },
    .equal = [](const Context& a, const Context& b) { return a == b; },
    .overlaid = [](const Context& base, const Context& over) { return overlaid(base, over); },
    .count_changes = [](const Context& before,
                        const Context& after) { return diff(before, after).size(); },
    .is_refused =
        [](const Text& variable, const taskctx::Token<std::string>& token) {
          return variable.check(token) == taskctx::TokenError::Kind::other_context;
        },
    .widen =
        [](const Context& context, int count) {
          static std::list<ContextVar<int>> variables;
          Context copy(context);
          copy.run([count] {
            for (int i = 0; i < count; ++i) {
              variables.emplace_back("one of many").set(i);
            }
          });
          return copy;
        },
    .make = [](const char* name) { return std::make_unique<Text>(name); },
    .destroy = [](std::unique_ptr<Text> variable) { variable.reset(); },
};

}  // namespace

const taskctx_test::OwnCopy* plugin_own_copy() { return &own_copy; }
