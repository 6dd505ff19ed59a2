// SPDX-License-Identifier: Apache-2.0

#include "tools/text_search/query.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace text_search {
namespace {

absl::Status invalid(const std::string& message) { return absl::InvalidArgumentError(message); }

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace

absl::StatusOr<Query> parse_query(std::string_view argument) {
  const std::string quoted = "query '" + std::string(argument) + "'";
  const std::size_t equals = argument.find('=');
  if (equals == std::string_view::npos) {
    return invalid(quoted + " is not of the form id=string");
  }
  Query query;
  query.request = argument.substr(0, equals);
  query.text = argument.substr(equals + 1);
  if (query.request.empty()) {
    return invalid(quoted + " has no id");
  }
  if (std::any_of(query.request.begin(), query.request.end(), is_control)) {
    return invalid("the id of " + quoted + " has a control character");
  }
  if (query.text.empty()) {
    return invalid(quoted + " has nothing to look for");
  }
  if (query.text.find('\n') != std::string::npos) {
    return invalid("the string of query '" + query.request + "' has more than one line");
  }
  const std::size_t slash = query.request.find('/');
  query.user =
      slash == std::string::npos || slash == 0 ? "anonymous" : query.request.substr(0, slash);
  return query;
}

absl::Status read_queries(const std::string& path, std::vector<Query>& queries) {
  std::ifstream file(path);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    absl::StatusOr<Query> query = parse_query(line);
    if (!query.ok()) {
      return invalid(path + ":" + std::to_string(number) + ": " +
                     std::string(query.status().message()));
    }
    queries.push_back(*std::move(query));
  }
  if (!file.eof() || file.bad()) {
    return invalid("cannot read queries from " + path + ": " + std::strerror(errno));
  }
  return absl::OkStatus();
}

absl::Status check_distinct(const std::vector<Query>& queries) {
  std::set<std::string_view> seen;
  for (const Query& query : queries) {
    if (!seen.insert(query.request).second) {
      return invalid("two queries have the id '" + query.request + "'");
    }
  }
  return absl::OkStatus();
}

}  // namespace text_search
