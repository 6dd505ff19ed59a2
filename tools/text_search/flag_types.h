// SPDX-License-Identifier: Apache-2.0
//
// Types of flags that admit only what makes sense, with messages that say what does.
//
//   ABSL_FLAG(SmallCount, threads, SmallCount{8}, "how many");
//   absl::GetFlag(FLAGS_threads).value;  // 1 to 1000

#ifndef TOOLS_TEXT_SEARCH_FLAG_TYPES_H_
#define TOOLS_TEXT_SEARCH_FLAG_TYPES_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "tools/text_search/carrier.h"

namespace text_search {

enum class Format { table, json };

struct SmallCount {
  int value = 1;  // From 1 to 1000.
};

struct LineCount {
  std::uint64_t value = 1;  // From 1, or MatchBudget::kUnlimited: "unlimited" on the command line.
};

// As ABSL_FLAG wants them.
bool AbslParseFlag(absl::string_view text, SmallCount* count, std::string* error);
bool AbslParseFlag(absl::string_view text, LineCount* count, std::string* error);
bool AbslParseFlag(absl::string_view text, Carrier* carrier, std::string* error);
bool AbslParseFlag(absl::string_view text, Format* format, std::string* error);
std::string AbslUnparseFlag(const SmallCount& count);
std::string AbslUnparseFlag(const LineCount& count);
std::string AbslUnparseFlag(Carrier carrier);
std::string AbslUnparseFlag(Format format);

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_FLAG_TYPES_H_
