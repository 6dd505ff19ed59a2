// SPDX-License-Identifier: Apache-2.0
//
// The end of values that hold contexts, jobs, tokens and so on, which hold such values in turn.

#include <gtest/gtest.h>
#include <pthread.h>

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/dict.h"
#include "taskctx/internal/core/ending.h"
#include "taskctx/shared.h"
#include "taskctx/token.h"
#include "tests/deep_ends.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

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

}  // namespace
