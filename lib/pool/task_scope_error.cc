// SPDX-License-Identifier: Apache-2.0
//
// How the failures of a scope become one line of text. It stays short, however many they are, and
// however deep scopes are nested whose errors name one another.

#include "taskctx/task_scope_error.h"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "taskctx/internal/core/ending.h"

namespace taskctx {
inline namespace v1 {
namespace {

constexpr std::size_t kMostNamed = 10;
constexpr std::size_t kLongestText = 200;  // Of one job, in bytes.

// Adds the beginning of `text`, which ends between two characters of UTF-8.
void append_beginning(std::string& line, std::string_view text) {
  if (text.size() <= kLongestText) {
    line.append(text);
    return;
  }
  std::size_t size = kLongestText;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) {
    --size;
  }
  line.append(text.substr(0, size)).append("...");
}

void append_text_of(std::string& line, const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    append_beginning(line, exception.what());
  } catch (...) {
    line.append("something that is not a std::exception");
  }
}

std::string message(std::string_view name, std::size_t count,
                    const std::vector<FailedJob>& errors) {
  std::string line = "cannot join task scope";
  if (!name.empty()) {
    line.append(" '").append(name).append("'");
  }
  line.append(": ");
  if (errors.empty()) {
    return line.append("none of ").append(std::to_string(count)).append(" jobs succeeded");
  }
  line.append(std::to_string(errors.size())).append(" of ").append(std::to_string(count));
  line.append(count == 1 ? " job failed" : " jobs failed");
  const std::size_t named = std::min(errors.size(), kMostNamed);
  for (std::size_t i = 0; i < named; ++i) {
    line.append(i == 0 ? ": job " : "; job ").append(std::to_string(errors[i].id));
    if (!errors[i].name.empty()) {
      append_beginning(line.append(" '"), errors[i].name);
      line.append("'");
    }
    append_text_of(line.append(": "), errors[i].exception);
  }
  if (errors.size() > named) {
    line.append("; and ").append(std::to_string(errors.size() - named)).append(" more");
  }
  return line;
}

}  // namespace

// An error may hold the error of a scope in one of its jobs, and so on.
TaskScopeError::TaskScopeError(std::string_view name, std::size_t count,
                               std::vector<FailedJob> errors)
    : std::runtime_error(message(name, count, errors)),
      errors_(internal::make_mortal<const std::vector<FailedJob>>(std::move(errors))) {}

}  // namespace v1
}  // namespace taskctx
