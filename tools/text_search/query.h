// SPDX-License-Identifier: Apache-2.0
//
// Query: what one user looks for.
//
//   absl::StatusOr<Query> query = parse_query("carol/q7=#include <vector>");
//   query->request;  // "carol/q7"
//   query->user;     // "carol"
//   query->text;     // "#include <vector>"
//
// Errors: absl::InvalidArgumentError with a message that names the culprit.

#ifndef TOOLS_TEXT_SEARCH_QUERY_H_
#define TOOLS_TEXT_SEARCH_QUERY_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace text_search {

struct Query {
  std::string request;  // Names the query; not empty, free of control characters.
  std::string user;     // The part of `request` before the first '/', or else "anonymous".
  std::string text;     // A fixed string; not empty, all in one line.
};

// Reads "id=fixed string". The first '=' ends the id.
absl::StatusOr<Query> parse_query(std::string_view argument);

// Reads one query per line of the file and appends them to `queries`.
absl::Status read_queries(const std::string& path, std::vector<Query>& queries);

// Finds out whether two queries share a name.
absl::Status check_distinct(const std::vector<Query>& queries);

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_QUERY_H_
