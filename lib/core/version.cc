// SPDX-License-Identifier: Apache-2.0
//
// The version of the library that a program is linked with.

#include "taskctx/version.h"

#include <string_view>

namespace taskctx {
inline namespace v1 {

std::string_view version() noexcept { return "0.1.0"; }

}  // namespace v1
}  // namespace taskctx
