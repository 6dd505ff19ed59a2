// SPDX-License-Identifier: Apache-2.0
//
// The public calls of cancel.h, and what they register.

#include "taskctx/cancel.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <new>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/cancel/clocks.h"
#include "taskctx/deadline.h"
#include "taskctx/errors.h"
#include "taskctx/internal/cancel/callback_listener.h"
#include "taskctx/internal/cancel/cancel_link.h"
#include "taskctx/internal/cancel/stopping.h"
#include "taskctx/internal/core/activation.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/current.h"
#include "taskctx/internal/core/node.h"
#include "taskctx/internal/core/workplace.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

CallbackListener::CallbackListener()
    : CancelListener(Kind::callback),
      link_(capture_link()),
      node_(NodeRef::share(current_node())) {}

void CallbackListener::start() noexcept {
  if (link_.get() != nullptr) {
    cancel_link(link_).listen(*this);
  }
}

void CallbackListener::stop() noexcept {
  if (link_.get() != nullptr) {
    cancel_link(link_).ignore(*this);
  }
}

void CallbackListener::fire() noexcept {
  const Frame frame{.outer = Origin(current_activation()), .whose = Origin::link(link_)};
  const Installed context(node_.get(), Origin::frame(&frame));
  try {
    call();
  } catch (...) {
    report_exception("call CancelCallback", {});
  }
}

// Requests a stop of those who have asked for a token.
class StopListener final : public CancelListener {
 public:
  StopListener() noexcept(false) : CancelListener(Kind::callback) {}

  [[nodiscard]] std::stop_token token() const noexcept { return source_.get_token(); }

 private:
  void fire() noexcept override { (void)source_.request_stop(); }

  std::stop_source source_;
};

}  // namespace internal

absl::Status cancel_reason() { return cancelled() ? internal::stop_reason() : absl::OkStatus(); }

absl::Time deadline() {
  const internal::CancelLink* const link = internal::link_here();
  const Deadline until = link != nullptr ? link->deadline() : Deadline();
  if (until.is_never()) {
    return absl::InfiniteFuture();
  }
  return until.clock() == Deadline::Clock::wall
             ? absl::UnixEpoch() + absl::Nanoseconds(until.nanoseconds())
             : absl::FromUnixNanos(internal::wall_clock.now()) + until.time_left();
}

absl::Duration remaining() {
  const internal::CancelLink* const link = internal::link_here();
  return link != nullptr ? std::max(link->deadline().time_left(), absl::ZeroDuration())
                         : absl::InfiniteDuration();
}

std::stop_token stop_token() {
  using namespace internal;  // NOLINT(google-build-using-namespace): of this function only
  const LinkRef ref = capture_link();
  if (ref.get() == nullptr) {
    return {};
  }
  CancelLink& link = cancel_link(ref);
  std::shared_ptr<StopListener> listener = link.stop_listener();
  if (listener == nullptr) {
    listener = std::make_shared<StopListener>();
    if (link.keep(listener)) {
      link.listen(*listener);
    } else {
      listener = link.stop_listener();
    }
  }
  return listener->token();
}

CancelScope::CancelScope(CancelScopeOptions options)
    : scope_(
          [&options] {
            const Deadline after =
                Deadline::after(options.timeout);  // Asks no clock if it is never.
            return after.is_before(options.deadline) ? after : options.deadline;
          }(),
          options.reason),
      // Not emplaced: g++ 14 warns that what emplace() ends first may be uninitialized.
      stop_(options.stop_token.stop_possible()
                ? decltype(stop_)(std::in_place, std::move(options.stop_token), Stop{scope_.link()})
                : decltype(stop_)()) {}

CancelScope::~CancelScope() = default;

void CancelScope::Stop::operator()() const noexcept {
  static constexpr std::string_view kText = "a stop was requested";
  (void)internal::cancel_because(link, kText);
}

bool CancelScope::cancel(std::string_view reason) noexcept {
  return internal::cancel_because(scope_.link(), reason);
}

}  // namespace v1
}  // namespace taskctx
