// SPDX-License-Identifier: Apache-2.0

#include "tools/text_search/flag_types.h"

#include <cstdint>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "tools/text_search/carrier.h"
#include "tools/text_search/request_context.h"

namespace text_search {

bool AbslParseFlag(absl::string_view text, SmallCount* count, std::string* error) {
  if (absl::SimpleAtoi(text, &count->value) && count->value >= 1 && count->value <= 1000) {
    return true;
  }
  *error = "it is a whole number from 1 to 1000";
  return false;
}

bool AbslParseFlag(absl::string_view text, LineCount* count, std::string* error) {
  if (text == "unlimited") {
    count->value = MatchBudget::kUnlimited;
    return true;
  }
  if (absl::SimpleAtoi(text, &count->value) && count->value >= 1) {
    return true;
  }
  *error = "it is a whole number from 1, or 'unlimited'";
  return false;
}

bool AbslParseFlag(absl::string_view text, Carrier* carrier, std::string* error) {
  for (const Carrier each :
       {Carrier::context, Carrier::thread_local_variable, Carrier::parameter}) {
    if (text == AbslUnparseFlag(each)) {
      *carrier = each;
      return true;
    }
  }
  *error = "it is 'context', 'thread_local' or 'parameter'";
  return false;
}

bool AbslParseFlag(absl::string_view text, Format* format, std::string* error) {
  for (const Format each : {Format::table, Format::json}) {
    if (text == AbslUnparseFlag(each)) {
      *format = each;
      return true;
    }
  }
  *error = "it is 'table' or 'json'";
  return false;
}

std::string AbslUnparseFlag(const SmallCount& count) { return std::to_string(count.value); }

std::string AbslUnparseFlag(const LineCount& count) {
  return count.value == MatchBudget::kUnlimited ? "unlimited" : std::to_string(count.value);
}

std::string AbslUnparseFlag(Carrier carrier) { return std::string(carrier_name(carrier)); }

std::string AbslUnparseFlag(Format format) { return format == Format::table ? "table" : "json"; }

}  // namespace text_search
