// SPDX-License-Identifier: Apache-2.0
//
// Random programs against a model: plain maps that share nothing. Every width of a context at which
// its layout changes; values of every kind; variables that die. The seed is printed, and taken from
// TASKCTX_TEST_SEED.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/errors.h"
#include "tests/any_variable.h"
#include "tests/support.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

using Id = std::uint64_t;
using Bindings = std::map<Id, int>;  // By the variable's id.

// What a context should hold.
struct ModelContext {
  Bindings values;
  std::set<Id> dead = {};  // Variables that died while they were set here.
  Id id = 0;               // Not copied.
  bool entered = false;
};

struct Variable {
  std::unique_ptr<AnyVariable> real;
  Id id = 0;  // No two variables have the same, dead ones included.
  std::optional<int> fallback = std::nullopt;
};

struct ContextPair {
  std::shared_ptr<Context> real;
  std::shared_ptr<ModelContext> model;
};

struct TokenPair {
  std::unique_ptr<AnyToken> real;
  std::size_t kind = 0;
  Id variable = 0;
  Id context = 0;
  std::optional<int> old = std::nullopt;
  bool used = false;
};

std::optional<int> value_in(const Bindings& values, Id id) {
  const auto found = values.find(id);
  return found != values.end() ? std::optional(found->second) : std::nullopt;
}

void put(Bindings& values, Id id, std::optional<int> value) {
  if (value.has_value()) {
    values[id] = *value;
  } else {
    values.erase(id);
  }
}

// Leaves as many blocks as it says.
struct Raised {
  int blocks;
};

// One random program: the variables, contexts and tokens, each with its model.
class Program {
 public:
  Program(unsigned seed, std::size_t width) : random_(seed), width_(width) {}
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    while (!variables_.empty()) {  // So that the next program's slots are given in order.
      variables_.pop_back();
    }
  }

  // Runs about so many operations, in an empty context.
  void run(std::size_t operations) {
    for (std::size_t i = 0; i < width_; ++i) {
      variables_.push_back(fresh_variable(i));
    }
    Context().run([&] {  // Gives the variables their slots, in order.
      for (const Variable& variable : variables_) {
        variable.real->set(0);
      }
    });
    for (std::size_t i = 0; i < 4; ++i) {
      contexts_.push_back(fresh_context({}));
    }
    left_ = operations;
    while (left_ > 0 && !failed()) {
      const ContextPair root = fresh_context({});
      enter(root, [&] {
        for (std::size_t steps = 300; steps != 0 && left_ > 0 && !failed(); --steps) {
          step(0);
        }
      });
    }
    check_all();
    tokens_.clear();
    contexts_.clear();
  }

 private:
  static bool failed() { return testing::Test::HasFailure(); }

  std::size_t below(std::size_t n) { return random_() % n; }
  bool one_in(std::size_t n) { return below(n) == 0; }
  int value() { return static_cast<int>(below(8)); }  // Few, so that contexts may be equal.

  // The first and last of all, and what lies at the borders, more often than the others.
  std::size_t some_index() {
    static constexpr std::size_t kHot[] = {0, 1, 61, 62, 63, 3967, 3968, 3969};
    const std::size_t hot = kHot[below(std::size(kHot))];
    return one_in(2) ? below(width_) : one_in(3) ? width_ - 1 - below(2) % width_ : hot % width_;
  }
  Variable& some_variable() { return variables_[some_index()]; }
  ContextPair& some_context() { return contexts_[below(contexts_.size())]; }

  Variable fresh_variable(std::size_t index) {
    if (index % 3 == 0) {
      return {taskctx_test::make_variable(index, name_of(index), -1), ++last_id_, -1};
    }
    return {taskctx_test::make_variable(index, name_of(index)), ++last_id_};
  }
  static std::string name_of(std::size_t index) { return "v" + std::to_string(index % 10); }

  ContextPair fresh_context(const ModelContext& bindings) {
    return {std::make_shared<Context>(), copy_of(bindings)};
  }
  std::shared_ptr<ModelContext> copy_of(const ModelContext& model) {
    auto copy = std::make_shared<ModelContext>(model);
    copy->id = ++last_id_;
    copy->entered = false;
    return copy;
  }

  void step(std::size_t depth) {
    left_ -= std::min<std::size_t>(left_, 1);
    const std::size_t choice = below(100);
    if (choice < 30) {
      set();
    } else if (choice < 38) {
      unset();
    } else if (choice < 60) {
      reset();
    } else if (choice < 64) {
      forget_token();
    } else if (choice < 73) {
      renew_context();
    } else if (choice < 77) {
      compare();
    } else if (choice < 78) {
      replace_variable();
    } else if (choice < 98 && depth < 6) {
      nested(depth + 1);
    } else if (depth > 0 && one_in(2)) {
      throw Raised{static_cast<int>(1 + below(depth))};
    }
    // Something else than what was touched: nothing may have changed there.
    check(some_variable());
    check(some_context(), some_variable());
    if (one_in(width_ <= 64 ? 20 : 500)) {
      check_all();
    }
  }

  void block(std::size_t depth) {
    for (std::size_t steps = below(12); steps != 0 && left_ > 0 && !failed(); --steps) {
      step(depth);
    }
  }

  void set() {
    const Variable& variable = some_variable();
    const int number = value();
    keep({variable.real->set(number)}, variable);
    current_->values[variable.id] = number;
    check(variable);
  }
  void unset() {
    const Variable& variable = some_variable();
    keep({variable.real->unset()}, variable);
    current_->values.erase(variable.id);
    check(variable);
  }

  // Gives a token its model, made from what was there before, and keeps it or not.
  void keep(TokenPair token, const Variable& variable) {
    token.kind = static_cast<std::size_t>(&variable - variables_.data()) % kKinds;
    token.variable = variable.id;
    token.context = current_->id;
    token.old = value_in(current_->values, variable.id);
    EXPECT_EQ(token.real->old_value(), token.old);
    EXPECT_EQ(token.real->variable(), variable.real->address());
    if (one_in(3)) {
      return;
    }
    if (tokens_.size() < 30) {
      tokens_.push_back(std::move(token));
    } else {
      tokens_[below(tokens_.size())] = std::move(token);
    }
  }

  void reset() {
    if (tokens_.empty()) {
      return;
    }
    TokenPair& token = tokens_[below(tokens_.size())];
    // The token's own variable, if it is alive, or another that its type fits.
    const auto own = std::find_if(variables_.begin(), variables_.end(),
                                  [&](const auto& each) { return each.id == token.variable; });
    std::size_t index = some_index() / kKinds * kKinds + token.kind;
    if (own != variables_.end() && !one_in(4)) {
      index = static_cast<std::size_t>(own - variables_.begin());
    }
    if (index >= width_) {
      return;
    }
    const Variable& variable = variables_[index];
    std::optional<TokenError::Kind> expected;
    if (token.used) {
      expected = TokenError::Kind::used;
    } else if (token.variable != variable.id) {
      expected = TokenError::Kind::other_variable;
    } else if (token.context != current_->id) {
      expected = TokenError::Kind::other_context;
    }
    try {
      variable.real->reset(*token.real);
      EXPECT_EQ(expected, std::nullopt);
      put(current_->values, variable.id, token.old);
      token.used = true;
    } catch (const TokenError& error) {
      EXPECT_EQ(error.kind(), expected);
    }
    EXPECT_EQ(token.real->used(), token.used);
    EXPECT_EQ(token.real->old_value(), token.used ? std::nullopt : token.old);
    check(variable);
  }

  void forget_token() {
    if (!tokens_.empty()) {
      std::swap(tokens_[below(tokens_.size())], tokens_.back());
      tokens_.pop_back();
    }
  }

  void renew_context() {
    ContextPair& target = some_context();
    const ContextPair& source = some_context();
    if (one_in(3)) {  // The object may be entered; then it is left alone.
      const bool entered = target.model->entered;
      try {
        *target.real = *source.real;
        EXPECT_FALSE(entered);
        target.model = copy_of(*source.model);
      } catch (const ContextError&) {
        EXPECT_TRUE(entered);
      }
    } else if (one_in(3)) {
      target = {std::make_shared<Context>(*source.real), copy_of(*source.model)};
    } else {
      target = {std::make_shared<Context>(taskctx::copy_context()), copy_of(*current_)};
    }
    check(target, some_variable());
  }

  // What a dead variable has left takes part in comparisons.
  void compare() {
    const ContextPair& a = some_context();
    const ContextPair& b = some_context();
    const Context here = taskctx::copy_context();
    EXPECT_EQ(*a.real, Context(*a.real));
    if (a.model->dead.empty() && b.model->dead.empty()) {
      EXPECT_EQ(*a.real == *b.real, a.model->values == b.model->values);
    }
    if (a.model->dead.empty() && current_->dead.empty()) {
      EXPECT_EQ(*a.real == here, a.model->values == current_->values);
    }
  }

  // Destroys a variable, wherever it is set, and makes another one in its place.
  void replace_variable() {
    const std::size_t index = some_index();
    const Id id = variables_[index].id;
    if (pinned_.contains(id)) {
      return;
    }
    variables_[index] = Variable();
    variables_[index] = fresh_variable(index);
    const auto bury = [&](ModelContext& model) {
      if (model.values.erase(id) != 0 && index % kKinds != 0) {  // Boxed.
        model.dead.insert(id);
      }
    };
    for (const ContextPair& context : contexts_) {
      bury(*context.model);
    }
    for (ModelContext* model : hidden_) {
      bury(*model);
    }
  }

  void nested(std::size_t depth) {
    try {
      switch (below(6)) {
        case 0:
          scope(depth);
          break;
        case 1:
          scope_of_many(depth);
          break;
        case 2:
          call_bound(depth);
          break;
        default:
          enter(ContextPair(some_context()), [&] { block(depth); });
      }
    } catch (const Raised& raised) {
      if (raised.blocks > 1) {
        throw Raised{raised.blocks - 1};
      }
    }
  }

  // What a Scope does, in the model. Its variable must live as long.
  class ModelScope {
   public:
    ModelScope(Program& program, const Variable& variable, std::optional<int> value)
        : program_(program),
          id_(variable.id),
          old_(value_in(program.current_->values, variable.id)) {
      put(program.current_->values, id_, value);
      program.pinned_.insert(id_);
    }
    ModelScope(const ModelScope&) = delete;
    ModelScope& operator=(const ModelScope&) = delete;
    ~ModelScope() {
      put(program_.current_->values, id_, old_);
      program_.pinned_.erase(program_.pinned_.find(id_));
    }

   private:
    Program& program_;
    const Id id_;
    const std::optional<int> old_;
  };

  void scope(std::size_t depth) {
    const Variable& variable = some_variable();
    const AnyVariable& real = *variable.real;
    const std::optional<int> number = one_in(4) ? std::nullopt : std::optional(value());
    const ModelScope model(*this, variable, number);
    real.scope(number, [&] {
      check(variable);
      block(depth);
    });
  }

  void scope_of_many(std::size_t depth) {
    const std::size_t first = some_index() / kKinds * kKinds;
    if (first + kKinds > width_) {
      return;
    }
    const Variable* const four = &variables_[first];
    const int number = value();
    const ModelScope model_int(*this, four[0], number);
    const ModelScope model_text(*this, four[1], number);
    const ModelScope model_move_only(*this, four[2], std::nullopt);
    const ModelScope model_tracked(*this, four[3], number);
    const ModelScope model_again(*this, four[0], number + 1);
    const Scope scope{
        variable_of<int>(four[0]),         number,
        variable_of<std::string>(four[1]), taskctx_test::value_of_number<std::string>(number),
        variable_of<MoveOnly>(four[2]),    taskctx::unset,
        variable_of<Tracked>(four[3]),     Tracked(number),
        variable_of<int>(four[0]),         number + 1};
    std::for_each(four, four + kKinds, [this](const auto& variable) { check(variable); });
    block(depth);
  }

  template <typename T>
  static const taskctx::ContextVar<T>& variable_of(const Variable& variable) {
    return dynamic_cast<const taskctx_test::TypedVariable<T>&>(*variable.real).variable;
  }

  // Makes `model` current, in the model.
  class ModelEntered {
   public:
    ModelEntered(Program& program, ModelContext& model)
        : program_(program), outer_(std::exchange(program.current_, &model)) {
      program.hidden_.push_back(&model);
    }
    ModelEntered(const ModelEntered&) = delete;
    ModelEntered& operator=(const ModelEntered&) = delete;
    ~ModelEntered() {
      program_.hidden_.pop_back();
      program_.current_ = outer_;
    }

   private:
    Program& program_;
    ModelContext* const outer_;
  };

  // By value: what is in contexts_ may be replaced meanwhile.
  void enter(ContextPair context, const std::function<void()>& body) {
    const bool was_entered = std::exchange(context.model->entered, true);
    bool ran = false;
    try {
      context.real->run([&] {
        ran = true;
        const ModelEntered entered(*this, *context.model);
        body();
      });
    } catch (const ContextError&) {
      EXPECT_TRUE(was_entered);
    } catch (const Raised&) {
      context.model->entered = was_entered;
      throw;
    }
    EXPECT_EQ(ran, !was_entered);
    context.model->entered = was_entered;
    check(context, some_variable());
  }

  void call_bound(std::size_t depth) {
    ModelContext* const source = one_in(2) ? current_ : nullptr;
    const ContextPair given = some_context();
    ModelContext snapshot(source != nullptr ? *source : *given.model);
    hidden_.push_back(&snapshot);
    const auto body = [&] {
      const std::shared_ptr<ModelContext> model = copy_of(snapshot);
      const ModelEntered entered(*this, *model);
      check_whole(taskctx::copy_context(), *model);
      block(depth);
    };
    const auto forget = [this](const void* /*unused*/) { hidden_.pop_back(); };
    const std::unique_ptr<const void, decltype(forget)> at_end(this, forget);
    const auto bound = source != nullptr ? taskctx::bind(body) : taskctx::bind(*given.real, body);
    block(depth);
    bound();
    bound();
  }

  void check(const Variable& variable) {
    const std::optional<int> set = value_in(current_->values, variable.id);
    const std::optional<int> expected = set.has_value() ? set : variable.fallback;
    EXPECT_EQ(variable.real->find(), expected);
    EXPECT_EQ(variable.real->get(-7), set.value_or(-7));
    if (expected.has_value()) {
      EXPECT_EQ(variable.real->get(), expected);
    } else {
      EXPECT_THROW((void)variable.real->get(), LookupError);
    }
  }

  void check(const ContextPair& context, const Variable& variable) {
    const std::optional<int> expected = value_in(context.model->values, variable.id);
    EXPECT_EQ(variable.real->find_in(*context.real), expected);
    EXPECT_EQ(variable.real->is_in(*context.real), expected.has_value());
  }

  // Compares all that a context holds.
  void check_whole(const Context& real, const ModelContext& model) {
    std::multiset<std::string> expected;
    for (std::size_t i = 0; i < width_; ++i) {
      const std::optional<int> value = value_in(model.values, variables_[i].id);
      ASSERT_EQ(variables_[i].real->find_in(real), value) << "variable " << i;
      if (value.has_value()) {
        expected.insert(name_of(i));
      }
    }
    std::multiset<std::string> names;
    for (const auto& entry : real) {
      names.emplace(entry.name());
    }
    EXPECT_EQ(real.size(), names.size());
    EXPECT_EQ(real.empty(), names.empty());
    // What dead variables have left is there until another variable gets the slot.
    EXPECT_TRUE(std::includes(names.begin(), names.end(), expected.begin(), expected.end()));
    EXPECT_LE(names.size(), expected.size() + model.dead.size());
  }

  void check_all() {
    for (const ContextPair& context : contexts_) {
      check_whole(*context.real, *context.model);
    }
  }

  std::mt19937 random_;
  const std::size_t width_;
  std::size_t left_ = 0;  // Operations to go.
  Id last_id_ = 0;
  std::vector<Variable> variables_;
  std::vector<ContextPair> contexts_;
  std::vector<TokenPair> tokens_;
  ModelContext* current_ = nullptr;
  std::vector<ModelContext*> hidden_;  // Entered, or bound; maybe in contexts_, too.
  std::multiset<Id> pinned_;           // Variables that scopes use.
};

class Model : public testing::TestWithParam<std::size_t> {};

// M1, F-B3, P14, P18, P19, P22
TEST_P(Model, RandomProgramsAgreeWithPlainMaps) {
  const unsigned seed = taskctx_test::test_seed();
  ASSERT_EQ(Tracked::alive(), 0);
  Program(seed, GetParam()).run(GetParam() <= 64 ? 3000 : 6000);
  EXPECT_EQ(Tracked::alive(), 0) << "every value was destroyed once";
}

std::vector<std::size_t> widths() {
  std::vector<std::size_t> widths(40);
  std::iota(widths.begin(), widths.end(), std::size_t{1});
  // A leaf grows in steps of four slots up to 62; a wide node has 62 * 64 = 3,968 slots of its own,
  // and an inner node below it as many again.
  static constexpr std::size_t kBorders[] = {44, 48, 52, 56, 60, 62, 124, 1000, 3968, 7936};
  for (const std::size_t border : kBorders) {
    widths.insert(widths.end(), {border - 1, border, border + 1});
  }
  widths.push_back(20'000);
  return widths;
}

INSTANTIATE_TEST_SUITE_P(Widths, Model, testing::ValuesIn(widths()));

}  // namespace
