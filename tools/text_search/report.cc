// SPDX-License-Identifier: Apache-2.0

#include "tools/text_search/report.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "tools/text_search/carrier.h"

namespace text_search {
namespace {

constexpr std::size_t kGap = 2;  // Between two columns.
using TableRow = std::vector<std::string>;

std::string milliseconds(std::chrono::nanoseconds time) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f",
                std::chrono::duration<double, std::milli>(time).count());
  return text;
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f %%",
                whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole));
  return text;
}

QueryResult sum(const std::vector<QueryResult>& queries) {
  QueryResult total;
  for (const QueryResult& query : queries) {
    total.leaves += query.leaves;
    total.leaves_elsewhere += query.leaves_elsewhere;
  }
  return total;
}

TableRow table_row(const QueryResult& result, bool with_stopped) {
  TableRow row = {result.request,
                  std::to_string(result.files),
                  std::to_string(result.lines) + (result.stopped.empty() ? "" : "+"),
                  milliseconds(result.cpu),
                  std::to_string(result.wrong),
                  std::to_string(result.lost)};
  if (with_stopped) {
    row.push_back(result.stopped);
  }
  return row;
}

// Counts characters, not the further bytes of one in UTF-8.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// Aligns the first column left, all others right.
std::string format_row(const TableRow& row, const std::vector<std::size_t>& widths, bool colour) {
  std::string line;
  for (std::size_t column = 0; column < row.size(); ++column) {
    const std::size_t padding = widths[column] - width(row[column]);
    const bool is_red = colour && (column == 4 || column == 5) && row[column] != "0";
    line.append(column == 0 ? 0 : kGap + padding, ' ');
    line += is_red ? "\033[31m" : "";
    line += row[column];
    line += is_red ? "\033[0m" : "";
    line.append(column == 0 ? padding : 0, ' ');
  }
  return line + '\n';
}

// The first row is the header.
std::string format_rows(const std::vector<TableRow>& rows, bool colour) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const TableRow& row : rows) {
    for (std::size_t column = 0; column < widths.size(); ++column) {
      widths[column] = std::max(widths[column], width(row[column]));
    }
  }
  std::string table;
  for (const TableRow& row : rows) {
    table += format_row(row, widths, colour && &row != rows.data());
  }
  return table;
}

std::string milliseconds(absl::Duration time) {
  return milliseconds(absl::ToChronoNanoseconds(time));
}

std::string format_account(const Account& account) {
  std::vector<TableRow> rows = {{"used the pool", "jobs", "queued ms", "CPU ms"}};
  for (const auto& [request, usage] : account) {
    rows.push_back({request.value_or("?"), std::to_string(usage.jobs),
                    milliseconds(usage.queue_wait), milliseconds(usage.cpu_time)});
  }
  return format_rows(rows, /*colour=*/false);
}

std::string format_footer(const Report& report) {
  const SearchResult& result = report.result;
  const QueryResult total = sum(result.queries);
  std::string footer = "carrier " + std::string(carrier_name(report.command.carrier)) + ", " +
                       std::to_string(report.command.threads) + " threads";
  if (report.command.repeat > 1) {
    footer +=
        ", " + std::to_string(report.command.repeat) + " times: all but files and lines are sums";
  }
  footer += '\n' + std::to_string(result.files_searched) + " files searched, " +
            std::to_string(result.files_binary) + " binary and skipped, " +
            std::to_string(result.unreadable_files.count) + " unreadable";
  if (const std::uint64_t folders = report.tree.unreadable_folders.count; folders != 0) {
    footer += ", and " + std::to_string(folders) + " unreadable folders";
  }
  if (!report.stopped.empty()) {
    footer += "\npartial results: " + report.stopped;
  }
  return footer + '\n' + std::to_string(total.leaves) + " leaves, " +
         std::to_string(total.leaves_elsewhere) + " (" +
         percent(total.leaves_elsewhere, total.leaves) + ") on another thread than their job's\n";
}

// Returns the length of the UTF-8 character that `text` begins with, 0 if it does not begin with
// one. Table 3-7 of the Unicode standard: only the second byte's range depends on the first.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  const std::size_t length = first < 0xc2   ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
  if (length == 0 || text.size() < length) {
    return 0;
  }
  const unsigned least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < least || byte(1) > most) {
    return 0;
  }
  for (std::size_t i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) {
      return 0;
    }
  }
  return length;
}

std::string unicode_escape(unsigned code) {
  char escape[8];
  std::snprintf(escape, sizeof(escape), "\\u%04x", code & 0xffffU);
  return escape;
}

// Returns `text` as a JSON string. Control characters are escaped; bytes that are not UTF-8 become
// U+FFFD, the replacement character.
std::string json_string(std::string_view text) {
  std::string json = "\"";
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const char c = text[0];
    if (length == 0) {
      json += unicode_escape(0xfffd);
    } else if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      json += unicode_escape(static_cast<unsigned char>(c));
    } else {
      json += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return json + '"';
}

// Puts `"name": value` together; `value` is JSON already.
std::string member(std::string_view name, const std::string& value) {
  return json_string(name) + ": " + value;
}
std::string member(std::string_view name, std::uint64_t value) {
  return member(name, std::to_string(value));
}

std::string json_object(const std::vector<std::string>& members, std::string_view separator) {
  std::string object;
  for (const std::string& each : members) {
    object += (object.empty() ? "" : std::string(",") + std::string(separator)) + each;
  }
  return '{' + object + '}';
}

// Adds why something ended early, if it did.
void add_stopped(const std::string& stopped, std::vector<std::string>& members) {
  if (!stopped.empty()) {
    members.push_back(member("stopped", json_string(stopped)));
  }
}

std::string json_query(const Query& query, const QueryResult& result) {
  std::vector<std::string> members = {
      member("request", json_string(result.request)),
      member("user", json_string(result.user)),
      member("text", json_string(query.text)),
      member("files", result.files),
      member("lines", result.lines),
      member("truncated", result.stopped.empty() ? "false" : "true"),
      member("cpu_ms", milliseconds(result.cpu)),
      member("wrong", result.wrong),
      member("lost", result.lost),
      member("leaves", result.leaves),
      member("leaves_elsewhere", result.leaves_elsewhere)};
  add_stopped(result.stopped, members);
  return json_object(members, " ");
}

std::string json_account(const Account& account) {
  std::string list;
  for (const auto& [request, usage] : account) {
    list += list.empty() ? "\n    " : ",\n    ";
    list +=
        json_object({member("request", json_string(request.value_or("?"))),
                     member("jobs", usage.jobs), member("queue_ms", milliseconds(usage.queue_wait)),
                     member("cpu_ms", milliseconds(usage.cpu_time))},
                    " ");
  }
  return '[' + list + "\n  ]";
}

}  // namespace

std::string format_table(const Report& report, bool colour) {
  const std::vector<QueryResult>& queries = report.result.queries;
  const bool with_stopped = std::any_of(queries.begin(), queries.end(),
                                        [](const QueryResult& q) { return !q.stopped.empty(); });
  std::vector<TableRow> rows = {{"query", "files", "lines", "CPU ms", "wrong", "lost"}};
  if (with_stopped) {
    rows.front().emplace_back("stopped");
  }
  for (const QueryResult& result : queries) {
    rows.push_back(table_row(result, with_stopped));
  }
  const std::string account =
      report.command.account ? format_account(report.account) + '\n' : std::string();
  return format_rows(rows, colour) + '\n' + account + format_footer(report);
}

std::string format_json(const Report& report) {
  const SearchResult& result = report.result;
  const QueryResult total = sum(result.queries);
  std::string queries;
  for (std::size_t i = 0; i < result.queries.size(); ++i) {
    queries +=
        (i == 0 ? "\n    " : ",\n    ") + json_query(report.command.queries[i], result.queries[i]);
  }
  std::vector<std::string> members = {
      member("root", json_string(report.command.root)),
      member("carrier", json_string(carrier_name(report.command.carrier))),
      member("threads", static_cast<std::uint64_t>(report.command.threads)),
      member("repeat", static_cast<std::uint64_t>(report.command.repeat)),
      member("files_searched", result.files_searched),
      member("files_binary", result.files_binary),
      member("files_unreadable", result.unreadable_files.count),
      member("folders_unreadable", report.tree.unreadable_folders.count),
      member("leaves", total.leaves),
      member("leaves_elsewhere", total.leaves_elsewhere),
      member("queries", '[' + queries + "\n  ]")};
  add_stopped(report.stopped, members);
  if (report.command.account) {
    members.push_back(member("account", json_account(report.account)));
  }
  return json_object(members, "\n  ") + '\n';
}

}  // namespace text_search
