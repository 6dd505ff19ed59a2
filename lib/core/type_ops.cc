// SPDX-License-Identifier: Apache-2.0
//
// What TypeOps need of <iomanip>, which is a large header.

#include "taskctx/internal/core/type_ops.h"

#include <iomanip>
#include <ostream>
#include <string_view>

namespace taskctx {
inline namespace v1 {
namespace internal {

void print_quoted(std::ostream& out, std::string_view text) { out << std::quoted(text); }

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
