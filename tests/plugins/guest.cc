// SPDX-License-Identifier: Apache-2.0

#include "tests/plugins/guest.h"

#include <atomic>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/context_var_options.h"
#include "taskctx/errors.h"
#include "taskctx/observer.h"

namespace {

using taskctx::ContextVar;

// Has a destructor, ==, and << of the guest's own, and virtual ones.
class Animal {
 public:
  explicit Animal(std::string name) : name_(std::move(name)) {}
  Animal(const Animal&) = default;
  Animal(Animal&&) = default;
  virtual ~Animal() = default;

  [[nodiscard]] virtual std::string name() const { return name_; }
  friend bool operator==(const Animal& a, const Animal& b) { return a.name() == b.name(); }
  friend std::ostream& operator<<(std::ostream& out, const Animal& animal) {
    return out << "the " << animal.name();
  }

 private:
  std::string name_;
};

struct Small {
  int value;
  friend bool operator==(const Small&, const Small&) = default;
  friend std::ostream& operator<<(std::ostream& out, Small small) { return out << small.value; }
};

const ContextVar<Animal> animal{"animal"};
const ContextVar<Small> small{"small"};
const ContextVar<std::vector<int>> followed{
    "followed",
    {.policy = taskctx::policy::copy([](const std::vector<int>& parents) {
       std::vector<int> own(parents);
       own.push_back(static_cast<int>(own.size()));
       return own;
     }),
     .on_change = [](const taskctx::Change<std::vector<int>>&) {},
     .merge =
         [](const std::vector<int>& left, const std::vector<int>& right) {
           return left.size() > right.size() ? left : right;
         }}};

// Is made when the guest is loaded, and goes with it, never set.
std::string computed_name() { return "a name that is too long to lie in the string itself"; }
const ContextVar<int> unused{computed_name(), 3};

std::atomic<int>* misuses = nullptr;

const taskctx_test::Guest guest{
    .set =
        [] {
          animal.set(Animal("cat"));
          small.set(Small{3});
          followed.set({});
        },
    .observe =
        [] {
          const taskctx::SwitchObserver observer(
              [](const taskctx::Context&, const taskctx::Context&) {});
        },
    .handle_misuse =
        [](std::atomic<int>& count) {
          misuses = &count;
          taskctx::set_misuse_handler([](const taskctx::Misuse&) { ++*misuses; });
        },
    .make_with_factory =
        [] {
          return std::make_unique<const ContextVar<std::string>>(
              "computed", taskctx::ContextVarOptions<std::string>{
                              .default_factory = [] { return std::string("by the guest"); }});
        },
    .shared_text = []() -> const ContextVar<std::string>& {
      return taskctx_test::shared_text("the guest's default");
    },
    .misuse_shared_name = []() -> std::string {
      const ContextVar<Small> other{taskctx::SharedName("com.example.shared_text")};
      try {
        other.set(Small{1});
      } catch (const std::invalid_argument& error) {
        return error.what();
      }
      return "no error";
    },
    .hidden_text = []() -> const ContextVar<std::string>& { return taskctx_test::hidden_text; },
};

}  // namespace

const taskctx_test::Guest* plugin_guest() { return &guest; }
