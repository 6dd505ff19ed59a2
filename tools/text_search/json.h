// SPDX-License-Identifier: Apache-2.0
//
// JSON from text that may be anything.
//
//   json_string("a\"b\xff");  // "a\"b\ufffd", with its quotes

#ifndef TOOLS_TEXT_SEARCH_JSON_H_
#define TOOLS_TEXT_SEARCH_JSON_H_

#include <string>
#include <string_view>

namespace text_search {

// Returns `text` as a JSON string. Control characters are escaped; bytes that are not UTF-8 become
// U+FFFD, the replacement character.
std::string json_string(std::string_view text);

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_JSON_H_
