// SPDX-License-Identifier: Apache-2.0
//
// What the compiler can check: sizes, noexcept, who can be copied. It runs nothing.

#include <gtest/gtest.h>

#include <iterator>
#include <memory>
#include <string>
#include <type_traits>

#include "taskctx/bind.h"
#include "taskctx/context.h"
#include "taskctx/context_var.h"
#include "taskctx/errors.h"
#include "taskctx/job.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/token.h"
#include "taskctx/version.h"

namespace {

using namespace taskctx;

// Small trivially copyable values come out by value, all others by reference.
static_assert(std::is_same_v<decltype(std::declval<ContextVar<int>>().get()), int>);
static_assert(std::is_same_v<decltype(std::declval<ContextVar<double>>().get()), double>);
static_assert(std::is_same_v<decltype(std::declval<ContextVar<void*>>().get()), void*>);
static_assert(
    std::is_same_v<decltype(std::declval<ContextVar<std::string>>().get()), const std::string&>);
static_assert(std::is_same_v<decltype(std::declval<ContextVar<std::unique_ptr<int>>>().get()),
                             const std::unique_ptr<int>&>);

// A variable is its identity.
static_assert(!std::is_copy_constructible_v<ContextVar<int>>);
static_assert(!std::is_move_constructible_v<ContextVar<int>>);
static_assert(noexcept(std::declval<const ContextVar<int>&>().find()));

// A Context is a value whose copies and moves can't fail; assignment can, when it is entered.
static_assert(std::is_nothrow_default_constructible_v<Context>);
static_assert(std::is_nothrow_copy_constructible_v<Context>);
static_assert(std::is_nothrow_move_constructible_v<Context>);
static_assert(std::is_copy_assignable_v<Context>);
static_assert(sizeof(Context) <= 64);
static_assert(noexcept(taskctx::copy_context()));
static_assert(std::input_iterator<taskctx::ContextIterator>);

static_assert(std::is_nothrow_move_constructible_v<Token<std::string>>);
static_assert(std::is_nothrow_move_assignable_v<Token<std::string>>);
static_assert(sizeof(Token<int>) <= 48);

static_assert(std::is_nothrow_default_constructible_v<Job<int>>);
static_assert(std::is_nothrow_move_constructible_v<Job<int>>);
static_assert(std::is_nothrow_move_assignable_v<Job<int>>);
static_assert(!std::is_copy_constructible_v<Job<int>>);

// The misuse exceptions are logic errors.
static_assert(std::is_base_of_v<std::logic_error, taskctx::LookupError>);
static_assert(std::is_base_of_v<std::logic_error, taskctx::TokenError>);
static_assert(std::is_base_of_v<std::logic_error, taskctx::ContextError>);
static_assert(std::is_base_of_v<std::logic_error, taskctx::JobError>);

TEST(Version, HeadersAndLibraryAgree) {
  const int version = TASKCTX_VERSION;
  EXPECT_EQ(taskctx::version(), std::to_string(version / 10000) + "." +
                                    std::to_string(version / 100 % 100) + "." +
                                    std::to_string(version % 100));
}

}  // namespace
