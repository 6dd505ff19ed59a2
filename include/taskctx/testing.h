// SPDX-License-Identifier: Apache-2.0
//
// testing: what tests of code with context variables need, for GoogleTest and GoogleMock.
//
//   class ServiceTest : public testing::Test {
//     taskctx::gtest::IsolatedContext context_;  // SetUp, test and TearDown run in it
//   };
//   TEST_F(ServiceTest, KnowsItsUser) {
//     const taskctx::gtest::LeakCheck leaks;     // fails the test if it leaves something behind
//     const taskctx::Scope scope{user, "ann"};
//     EXPECT_THAT(user, taskctx::gtest::HasValue("ann"));
//   }
//
// With a ManualClock, a test of deadlines, sleeps and delays needs no time, and always goes alike.
//
// Threads:  each guard is for the thread that made it, and ends there, in the opposite order.
// Lifetime: variables outlive the matchers and checks that name them.
// Errors:   what is wrong is a failure of the test, which goes on. Only apply() throws.

#ifndef TASKCTX_TESTING_H_
#define TASKCTX_TESTING_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/time/time.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"

namespace taskctx {
inline namespace v1 {

// Prints a variable in GoogleTest's messages: its name.
template <typename T>
void PrintTo(const ContextVar<T>& variable, std::ostream* out) {  // NOLINT: GoogleTest's name
  *out << "context variable '" << variable.name() << '\'';
}

// Stops the clocks of the process, so that time passes only where a test says so: for Deadline,
// sleep_for(), submit_after(), wait_for(), drain() and all that takes a time. (Not for absl::Now()
// and std::chrono, which are not ours: now() and steady_now() tell what the stopped clocks show.)
//
//   taskctx::ManualClock clock;
//   taskctx::Job<int> job = pool.submit_after(absl::Hours(1), [] { return 42; });
//   clock.advance(absl::Minutes(59));
//   EXPECT_FALSE(job.ready());
//   clock.advance(absl::Minutes(1));
//   EXPECT_EQ(job.get(), 42);
//
// Make it before anything waits for a time, and end it after that. The clocks begin with what they
// would have shown, and show that again at the end. A thread that blocks in wait_for() notices some
// milliseconds later. now() and steady_now() can be called on any thread, the others on one at a
// time.
class ManualClock {
 public:
  // Throws std::logic_error if there is one already.
  ManualClock();
  ManualClock(const ManualClock&) = delete;
  ManualClock& operator=(const ManualClock&) = delete;
  ~ManualClock();

  // Lets so much time pass on both clocks. Returns when all that is due by then has fired: scopes
  // are cancelled and jobs are queued, but neither these nor callbacks may have run. Throws
  // std::invalid_argument if it is negative: only a time of day goes back.
  void advance(absl::Duration time);
  // Sets the clock on the wall, forwards or back, and returns like advance().
  void set(absl::Time time_of_day);

  // Returns what the clocks show.
  [[nodiscard]] absl::Time now() const noexcept;
  [[nodiscard]] std::chrono::steady_clock::time_point steady_now() const noexcept;
};

namespace internal {

// Matches `value`, prints it, and adds what the matcher has to say.
template <typename T>
bool explain_value(const ::testing::Matcher<const T&>& matcher, const T& value,
                   ::testing::MatchResultListener* listener) {
  ::testing::StringMatchResultListener reason;
  const bool matches = matcher.MatchAndExplain(value, &reason);
  *listener << ::testing::PrintToString(value);
  if (const std::string text = reason.str(); !text.empty()) {
    *listener << ", " << text;
  }
  return matches;
}

// The matcher that gtest::Binds() returns.
template <typename T>
class BindsMatcher : public ::testing::MatcherInterface<const Context&> {
 public:
  BindsMatcher(const ContextVar<T>& variable, ::testing::Matcher<const T&> matcher)
      : variable_(variable), matcher_(std::move(matcher)) {}

  void DescribeTo(std::ostream* out) const override {
    *out << "binds '" << variable_.name() << "' to a value that ";
    matcher_.DescribeTo(out);
  }
  void DescribeNegationTo(std::ostream* out) const override {
    *out << "does not bind '" << variable_.name() << "' to a value that ";
    matcher_.DescribeTo(out);
  }
  bool MatchAndExplain(const Context& context,
                       ::testing::MatchResultListener* listener) const override {
    const T* value = context.find(variable_);
    if (value == nullptr) {
      *listener << "where '" << variable_.name() << "' is not set";
      return false;
    }
    *listener << "where '" << variable_.name() << "' is ";
    return explain_value(matcher_, *value, listener);
  }

 private:
  const ContextVar<T>& variable_;
  const ::testing::Matcher<const T&> matcher_;
};

}  // namespace internal

namespace gtest {

// A context of its own for what runs on this thread while the object lives: what is set there is
// gone afterwards, and what was current before is current again. As the first member, or a base
// class, of a fixture it holds for the constructor's rest, SetUp(), the test and TearDown(), which
// GoogleTest runs on one thread; as a local, for the block. (SetUpTestSuite() runs outside.)
class [[nodiscard]] IsolatedContext {
 public:
  // Enters an empty context. O(1), no allocation. (Not "= default": g++ would not warn.)
  // NOLINTNEXTLINE(modernize-use-equals-default)
  [[nodiscard("give it a name: without one it ends at once")]] IsolatedContext() noexcept {}

  // Enters a copy of `context`. O(1), no allocation.
  [[nodiscard("give it a name: without one it ends at once")]] explicit IsolatedContext(
      const Context& context)
      : node_(internal::ContextAccess::node(context)) {}
  IsolatedContext(const IsolatedContext&) = delete;
  IsolatedContext& operator=(const IsolatedContext&) = delete;

  // Puts back what was current, also if something was entered since and not left.
  ~IsolatedContext() { installed_.end_inner(); }

 private:
  internal::NodeRef node_;
  internal::Installed installed_{node_.get()};
};

// Sets every variable that is set in `snapshot`, to the same value, in the current context; all
// others stay as they are. So what a fixture has prepared in a context of its own is there for the
// test. O(n). Throws std::bad_alloc; nothing has changed then.
void apply(const Context& snapshot);

// A check that fails the test if that leaves something behind, between the check's beginning and
// end:
//
//   - a variable that was set, or unset, and not put back: it is named;
//   - a context that was entered and not left;
//   - a snapshot that somebody still holds: a Context, a bound callable, a job.
//
// It runs the test in a copy of the current context, so nothing of that reaches the next test; and
// a token from before the check is refused in it. Snapshots are counted in the whole process: end
// pools and threads before the check ends, and keep others idle. A snapshot of what was current
// before the check is no leak.
class [[nodiscard]] LeakCheck {
 public:
  // Begins. The place is the one that a failure is reported for. O(threads), takes a lock.
  [[nodiscard("give it a name: without one it ends at once")]] explicit LeakCheck(
      SourcePlace place = SourcePlace::current());
  LeakCheck(const LeakCheck&) = delete;
  LeakCheck& operator=(const LeakCheck&) = delete;

  // Ends the check, and adds a non-fatal failure that lists what was left, unless end() did.
  ~LeakCheck();

  // Ends the check early, puts back the context around it, and tells what was left. To be
  // called once.
  [[nodiscard]] ::testing::AssertionResult end();

 private:
  const SourcePlace place_;
  const std::int64_t live_nodes_;
  const Context before_ = copy_context();
  std::optional<IsolatedContext> isolated_{before_};
  const internal::Activation* const activation_;
};

// Matches a variable whose value in the current context, or else its default, matches `matcher`: a
// matcher for what get() would return, or a value to compare with.
//
//   EXPECT_THAT(user, HasValue("ann"));
//   EXPECT_THAT(retries, HasValue(Gt(2)));
MATCHER_P(
    HasValue, matcher,
    (negation ? "has no value that " : "has a value that ") +
        ::testing::DescribeMatcher<const typename std::decay_t<arg_type>::value_type&>(matcher)) {
  using T = typename std::decay_t<arg_type>::value_type;
  const T* value = arg.find();
  if (value == nullptr) {
    *result_listener << "which is not set and has no default";
    return false;
  }
  *result_listener << "whose value is ";
  return internal::explain_value<T>(::testing::SafeMatcherCast<const T&>(matcher), *value,
                                    result_listener);
}

// Matches a variable that is not set in the current context, whether it has a default or not.
//
//   EXPECT_THAT(user, IsUnset());
MATCHER(IsUnset, negation ? "is set" : "is not set") {
  const Context current = copy_context();
  const auto* value = current.find(arg);
  if (value != nullptr) {
    *result_listener << "which is set to " << ::testing::PrintToString(*value);
  }
  return value == nullptr;
}

// Matches a Context in which `variable` is set, to a value that matches `matcher` if there is one.
// Declared defaults don't count. (A Context in which nothing is set matches GoogleMock's
// IsEmpty().)
//
//   EXPECT_THAT(snapshot, Binds(user, "ann"));
//   EXPECT_THAT(copy_context(), Not(Binds(user)));
template <typename T, typename M>  // NOLINTNEXTLINE: named as GoogleMock's matchers are
::testing::Matcher<const Context&> Binds(const ContextVar<T>& variable, const M& matcher) {
  return ::testing::MakeMatcher(
      new internal::BindsMatcher<T>(variable, ::testing::SafeMatcherCast<const T&>(matcher)));
}
template <typename T>  // NOLINTNEXTLINE
::testing::Matcher<const Context&> Binds(const ContextVar<T>& variable) {
  return Binds(variable, ::testing::A<const T&>());
}

}  // namespace gtest
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_TESTING_H_
