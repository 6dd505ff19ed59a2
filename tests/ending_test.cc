// SPDX-License-Identifier: Apache-2.0
//
// The end of values that hold contexts, jobs, tokens and so on, which hold such values in turn.

#include "taskctx/internal/core/ending.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <any>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/dict.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/shared.h"
#include "taskctx/token.h"
#include "tests/sanitizers.h"
#include "tests/support.h"

namespace {

using taskctx::Context;
using taskctx::ContextVar;
using taskctx_test::kAddressSanitizer;
using taskctx_test::kThreadSanitizer;

constexpr bool kSlow = kAddressSanitizer || kThreadSanitizer;
constexpr int kLevels = kSlow ? 100'000 : 1'000'000;

// Runs `function` where the stack does for a hundred levels or so, but not for all of them.
void with_small_stack(std::function<void()> function) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, (kSlow ? 512 : 128) * 1024), 0);
  pthread_t thread;
  const auto run = [](void* argument) -> void* {
    (*static_cast<std::function<void()>*>(argument))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, &function), 0);
  ASSERT_EQ(pthread_join(thread, nullptr), 0);
  pthread_attr_destroy(&attributes);
}

// Is counted as long as it lives, and tells whether any is left.
struct Counted {
  Counted() { ++alive; }
  Counted(const Counted& /*other*/) { ++alive; }
  Counted(Counted&& /*other*/) noexcept { ++alive; }
  Counted& operator=(const Counted&) = default;
  Counted& operator=(Counted&&) = default;
  ~Counted() { --alive; }

  static inline std::atomic<int> alive{0};
};

// Makes so many levels of something by `next(level before)`, and destroys the last one in a thread
// with a small stack. `left` are left then.
template <typename T, typename F>
void make_and_end(T first, F next, int left = 0, int levels = kLevels) {
  T last = std::move(first);
  for (int i = 0; i < levels; ++i) {
    last = next(std::move(last));
  }
  ASSERT_GE(Counted::alive, levels);
  with_small_stack([&] {
    { const T here = std::move(last); }
    EXPECT_EQ(Counted::alive, left);
  });
}

// Returns a context in which `variable` is set to `value`.
template <typename T>
Context context_with(const ContextVar<T>& variable, T value) {
  Context context;
  context.run([&] { variable.set(std::move(value)); });
  return context;
}

// M30: a context in a value of a context, and so on.
TEST(Ending, OfContextsIsNotRecursive) {
  struct Caller {
    Context context;
    Counted counted;
  };
  const ContextVar<Caller> caller("caller");
  make_and_end(Context(), [&](Context before) {
    return context_with(caller, Caller{std::move(before), {}});
  });
}

// M30: the value that a token keeps, which holds a token.
TEST(Ending, OfTokensIsNotRecursive) {
  struct Step {
    std::unique_ptr<taskctx::Token<Step>> before;
    Counted counted;
  };
  const ContextVar<Step> step("step");
  // A value holds the token of the one before it, and that the value before that: two chains.
  Context context;
  context.run([&] {
    make_and_end(
        std::unique_ptr<taskctx::Token<Step>>(),
        [&](std::unique_ptr<taskctx::Token<Step>> before) {
          return std::make_unique<taskctx::Token<Step>>(step.set(Step{std::move(before), {}}));
        },
        /*left=*/kLevels / 2);
  });
  with_small_stack([&] { context = Context(); });
  EXPECT_EQ(Counted::alive, 0);
}

// M30: an entry of a context, which holds its value.
TEST(Ending, OfEntriesIsNotRecursive) {
  struct Step {
    taskctx::ContextEntry before;
    Counted counted;
  };
  const ContextVar<Step> step("step");
  make_and_end(taskctx::ContextEntry(), [&](taskctx::ContextEntry before) {
    return *context_with(step, Step{std::move(before), {}}).begin();
  });
}

// M30: bound callables.
TEST(Ending, OfBoundCallablesIsNotRecursive) {
  const ContextVar<std::function<void()>> cleanup("cleanup");
  make_and_end(std::function<void()>([] {}), [&](std::function<void()> before) {
    return std::function<void()>(
        taskctx::bind(context_with(cleanup, std::move(before)), [counted = Counted()] {}));
  });
}

// M30: what tasks share: handles in values, and snapshots of values in values.
TEST(Ending, OfSharedValuesIsNotRecursive) {
  struct Step {
    std::shared_ptr<taskctx::Shared<Step>> before;
    Counted counted;
  };
  using Handle = std::shared_ptr<taskctx::Shared<Step>>;
  make_and_end(Handle(), [](Handle before) {
    return std::make_shared<taskctx::Shared<Step>>(Step{std::move(before), {}});
  });
  struct Link {
    std::shared_ptr<const Link> before;
    Counted counted;
  };
  make_and_end(std::shared_ptr<const Link>(), [](std::shared_ptr<const Link> before) {
    return taskctx::Shared<Link>(Link{std::move(before), {}}).snapshot();
  });
}

// M30: overlays in values of overlays, and layers on layers.
TEST(Ending, OfOverlaysIsNotRecursive) {
  struct Step {
    std::shared_ptr<taskctx::Overlay<Step>> before;
    Counted counted;
  };
  using Overlay = taskctx::Overlay<Step>;
  using Handle = std::shared_ptr<Overlay>;
  make_and_end(Handle(), [](Handle before) {
    return std::make_shared<Overlay>(Overlay::inherited(Overlay(Step{std::move(before), {}})));
  });
  make_and_end(std::make_shared<Overlay>(), [](const Handle& before) {
    auto handle = std::make_shared<Overlay>(Overlay::inherited(*before));
    handle->store(Step{before, {}});
    return handle;
  });
}

// M30: dictionaries in contexts in dictionaries.
TEST(Ending, OfDictionariesIsNotRecursive) {
  struct Step {
    Context before;
    Counted counted;
  };
  make_and_end(Context(), [](Context before) {
    Context context = taskctx::dict::share(nullptr);
    context.run([&] { taskctx::dict::set("step", Step{std::move(before), {}}); });
    return context;
  });
}

// M30: exceptions that hold contexts in which such an exception is set.
TEST(Ending, OfExceptionsIsNotRecursive) {
  struct Failure {
    Context context;
    Counted counted;
  };
  const ContextVar<std::exception_ptr> error("error");
  make_and_end(std::exception_ptr(), [&](std::exception_ptr before) {
    return std::make_exception_ptr(Failure{context_with(error, std::move(before)), {}});
  });
}

// M30: a job's result that holds the handle of the job before.
TEST(Ending, OfJobsIsNotRecursive) {
  taskctx::JobPool pool{{.concurrency = 1}};
  struct Step {
    std::unique_ptr<taskctx::Job<Step>> before;
    Counted counted;
  };
  const auto run = [&] {
    make_and_end(taskctx::Job<Step>(), [&](taskctx::Job<Step> before) {
      taskctx::Job<Step> job =
          pool.submit([before = std::make_unique<taskctx::Job<Step>>(std::move(before))]() mutable {
            return Step{std::move(before), {}};
          });
      job.wait();
      return job;
    });
  };
  pool.submit(run).get();  // Each waits right here.
}

// M30: a job's error that holds the shared handle of the job before.
TEST(Ending, OfErrorsOfJobsIsNotRecursive) {
  constexpr int kFailures = kLevels / 10;  // Each costs an exception.
  std::atomic<int> failures = 0;
  taskctx::JobPool pool{
      {.concurrency = 1, .exception_handler = [&](const std::exception_ptr&) { ++failures; }}};
  struct Failure {
    taskctx::SharedJob<void> before;
    Counted counted;
  };
  const auto run = [&] {
    make_and_end(
        taskctx::SharedJob<void>(),
        [&](taskctx::SharedJob<void> before) {
          taskctx::Job<void> job = pool.submit([before = std::move(before)]() mutable {
            throw Failure{std::move(before), {}};
          });
          job.wait();
          return job.shared();
        },
        /*left=*/0, kFailures);
  };
  pool.submit(run).get();
  EXPECT_EQ(failures, kFailures);
}

// M30: all of them in turn.
TEST(Ending, OfEverythingInTurnIsNotRecursive) {
  taskctx::JobPool pool{{.concurrency = 1}};
  const ContextVar<std::any> variable("variable");
  int number = 0;
  const auto run = [&] {
    make_and_end(std::any(), [&](std::any before) -> std::any {
      const auto counted =
          std::make_shared<std::pair<std::any, Counted>>(std::move(before), Counted());
      const std::any value = counted;
      switch (number++ % 6) {
        case 0:
          return context_with(variable, value);
        case 1: {
          taskctx::SharedJob<std::any> job = pool.submit([value] { return value; }).shared();
          job.wait();
          return job;
        }
        case 2:
          return taskctx::Shared<std::any>(value);
        case 3: {
          Context context = context_with(variable, value);
          return context.run(
              [&] { return std::make_shared<taskctx::Token<std::any>>(variable.set(std::any())); });
        }
        case 4:
          return *context_with(variable, value).begin();
        default:
          return taskctx::Overlay<std::any>::inherited(taskctx::Overlay<std::any>(value));
      }
    });
  };
  pool.submit(run).get();
}

// Notes the beginning and the end of its own end, between which its member ends.
struct Spoken {
  struct Note {
    ~Note() {
      if (notes != nullptr) {
        notes->push_back(std::move(text));
      }
    }
    std::string text;
    static inline std::vector<std::string>* notes = nullptr;
  };

  Note last;
  Context context;
  Note first;
};

// M31: few levels end at once: a value's end is over before what held it goes on with its own.
TEST(Ending, IsImmediateAtSmallDepths) {
  const ContextVar<std::shared_ptr<Spoken>> variable("variable");
  constexpr int kFew = 16;
  static_assert(kFew < taskctx::internal::kEndingDepth);
  Context last;
  std::vector<std::string> expected;
  for (int i = 0; i < kFew; ++i) {
    const std::string number = std::to_string(i);
    last = context_with(variable, std::shared_ptr<Spoken>(
                                      new Spoken{{"end " + number}, last, {"begin " + number}}));
    expected.insert(expected.begin(), "begin " + number);
    expected.push_back("end " + number);
  }
  std::vector<std::string> notes;
  Spoken::Note::notes = &notes;
  last = Context();
  Spoken::Note::notes = nullptr;
  EXPECT_EQ(notes, expected);
}

// M30: destructors may use the library at any depth: what they set, take and drop is right.
TEST(Ending, DestructorsMayUseTheLibraryAtAnyDepth) {
  static const ContextVar<int> ended{"ended", 0};
  struct Step {
    explicit Step(Context before) : context(std::move(before)) {}
    Step(Step&&) = default;
    ~Step() {
      if (context.empty()) {
        return;
      }
      ended.set(ended.get() + 1);
      const Context here = taskctx::copy_context();
      Context().run([] { ended.set(-1); });
      EXPECT_EQ(*here.find(ended), ended.get());
    }
    Context context;
  };
  const ContextVar<Step> variable("variable");
  Context last = context_with(variable, Step(Context()));
  for (int i = 1; i < kLevels; ++i) {
    last = context_with(variable, Step(std::move(last)));
  }
  with_small_stack([&] {
    last = Context();
    EXPECT_EQ(ended.get(), kLevels - 1);
  });
}

// M30: what a thread has set outside all tasks ends with it.
TEST(Ending, OfAThreadIsNotRecursive) {
  struct Caller {
    Context context;
    Counted counted;
  };
  const ContextVar<Caller> caller("caller");
  with_small_stack([&] {
    for (int i = 0; i < kLevels; ++i) {
      caller.set(Caller{taskctx::copy_context(), {}});
    }
    EXPECT_EQ(Counted::alive, kLevels);
  });
  EXPECT_EQ(Counted::alive, 0);
}

// M30: what a static object holds ends after main: this program would crash there.
TEST(Ending, AtExitIsNotRecursive) {
  static const ContextVar<Context> caller{"caller"};
  static Context last;
  for (int i = 0; i < kLevels; ++i) {
    last = context_with(caller, std::move(last));
  }
}

// M31: a job that runs on top of a destructor that waits ends its own values, deep as that may be.
TEST(Ending, OfAnotherJobsValuesDoesNotWaitForADestructorThatWaits) {
  const taskctx_test::Watchdog watchdog("a destructor that waits");
  taskctx::JobPool pool{{.concurrency = 1}};
  static const ContextVar<std::vector<Counted>> counted{"counted"};
  struct Waiting {
    explicit Waiting(Context before) : context(std::move(before)) {}
    Waiting(Waiting&&) = default;
    ~Waiting() {
      if (wait != nullptr) {
        wait();
      }
    }
    Context context;
    std::function<void()> wait;
  };
  static const ContextVar<Waiting> variable{"variable"};
  Waiting first{Context()};
  std::vector<int> alive;
  first.wait = [&] {
    pool.submit([&] {
          { const taskctx::Scope scope{counted, std::vector<Counted>(3)}; }
          alive.push_back(Counted::alive);
        })
        .get();
  };
  Context last = context_with(variable, std::move(first));
  for (int i = 0; i < 100; ++i) {
    last = context_with(variable, Waiting(std::move(last)));
  }
  pool.submit([&] { last = Context(); }).get();
  EXPECT_THAT(alive, testing::ElementsAre(0));
}

}  // namespace
