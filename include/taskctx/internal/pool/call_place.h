// SPDX-License-Identifier: Apache-2.0
//
// CallPlace: the place of the call that submits a job, as the default of its last parameter.
//
//   template <typename F>
//   void post(F&& function, CallPlace place = CallPlace::here());
//
// A type of our own: a call with arguments for the function can't mean it.

#ifndef TASKCTX_INTERNAL_POOL_CALL_PLACE_H_
#define TASKCTX_INTERNAL_POOL_CALL_PLACE_H_

#include <source_location>

#include "taskctx/version.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

class CallPlace {
 public:
  // Makes a place that is not known.
  constexpr CallPlace() = default;

  // Returns the caller's place; as a default argument, that of the caller of the function.
  static constexpr CallPlace here(
      std::source_location place = std::source_location::current()) noexcept {
    return CallPlace(place);
  }

  [[nodiscard]] constexpr std::source_location get() const noexcept { return place_; }

 private:
  constexpr explicit CallPlace(std::source_location place) noexcept : place_(place) {}

  std::source_location place_;
};

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_POOL_CALL_PLACE_H_
