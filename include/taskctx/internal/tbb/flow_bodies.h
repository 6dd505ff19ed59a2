// SPDX-License-Identifier: Apache-2.0
//
// Bodies of a flow graph's nodes, as oneTBB keeps them: each call of the user's body runs in the
// context of its message, and what it sends goes on with the context that it leaves.
//
//   FunctionCall<Line, int, Body, false> call(place, body);
//   Message<int> words = call(message);  // body(message.value()), in the message's context

#ifndef TASKCTX_INTERNAL_TBB_FLOW_BODIES_H_
#define TASKCTX_INTERNAL_TBB_FLOW_BODIES_H_

#include <oneapi/tbb/flow_graph.h>
#include <oneapi/tbb/spin_mutex.h>

#include <concepts>
#include <cstddef>
#include <functional>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskctx/carried.h"
#include "taskctx/context.h"
#include "taskctx/internal/core/capture.h"
#include "taskctx/internal/core/refused.h"
#include "taskctx/internal/core/thrown.h"
#include "taskctx/internal/tbb/flow_message.h"
#include "taskctx/internal/tbb/flow_native.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

// Whether a node's body may run as a part of the call that puts a message.
template <typename Policy>
inline constexpr bool kIsLightweight =
    native_detail::has_policy<native::lightweight, Policy>::value;

// A user's body, and where the graph's bodies are at work.
template <typename Body>
class FlowCall {
 public:
  FlowCall(const GraphPlace& place, Body its_body) : place_(&place), body_(std::move(its_body)) {}

  [[nodiscard]] const Body& body() const noexcept { return body_; }

 protected:
  [[nodiscard]] const GraphPlace& place() const noexcept { return *place_; }
  // Returns what `call()` does, in the context of a message. If it throws, whoever waits for the
  // graph may ask for this context (context_of()).
  template <bool kIsInline, typename F>
  decltype(auto) run(const MessageMaker& in, const F& call) noexcept(noexcept(call())) {
    const MessageContext context(in, *place_, kIsInline);
    if constexpr (noexcept(call())) {
      return call();
    } else {
      try {
        return call();
      } catch (...) {
        remember_thrown(place_);
        throw;
      }
    }
  }
  [[nodiscard]] Body& mutable_body() noexcept { return body_; }

 private:
  const GraphPlace* place_;
  Body body_;
};

// Tells whether a call of a body throws nothing.
template <typename Body, typename... Args>
consteval bool is_body_noexcept() {
  static_assert(!kCallMakesTask<Body, Args...>,
                "a body that is a coroutine would never run: wait for the task in the body, by "
                "sync_wait(task), or give it to a pool");
  return std::is_nothrow_invocable_v<Body, Args...>;
}

// The body of a function_node or continue_node. What it returns is nothing to a node that sends
// continue_msg.
template <typename Input, typename Output, typename Body, bool kIsInline>
class FunctionCall : public FlowCall<Body> {
 public:
  using FlowCall<Body>::FlowCall;

  static constexpr bool kIsNoexcept = is_body_noexcept<Body&, const Input&>();

  Message<Output> operator()(const Message<Input>& message) noexcept(kIsNoexcept) {
    return this->template run<kIsInline>(message.maker(), [&]() noexcept(kIsNoexcept) {
      return Message<Output>::make(
          [&]() -> decltype(auto) {
            if constexpr (std::is_same_v<Output, native::continue_msg>) {
              static_cast<void>(std::invoke(this->mutable_body(), message.value()));
              return native::continue_msg();
            } else {
              return std::invoke(this->mutable_body(), message.value());
            }
          },
          [&] { return MessageMaker::made_from(message.maker()); });
    });
  }
};

// The body of a multifunction_node: puts messages to the ports itself. (That of a
// resource_limited_node gets handles, too.)
template <typename Input, typename Ports, typename Body, bool kIsInline>
class MultifunctionCall : public FlowCall<Body> {
 public:
  MultifunctionCall(const GraphPlace& place, Ports& ports, Body body)
      : FlowCall<Body>(place, std::move(body)), ports_(&ports) {}

  template <typename... Handles>
  static constexpr bool kIsNoexcept = is_body_noexcept<Body&, const Input&, Ports&, Handles&...>();

  template <typename NativePorts, typename... Handles>
  void operator()(const Message<Input>& message, NativePorts& /*ports*/,
                  Handles&... handles) noexcept(kIsNoexcept<Handles...>) {
    this->template run<kIsInline>(message.maker(), [&]() noexcept(kIsNoexcept<Handles...>) {
      std::invoke(this->mutable_body(), message.value(), *ports_, handles...);
    });
  }

 private:
  Ports* ports_;
};

// What puts messages into a graph from outside: an async_node's. Valid as long as that.
template <typename Output>
class FlowGateway {
  using Native = native_detail::receiver_gateway<Message<Output>>;

 public:
  explicit FlowGateway(Native& native) noexcept : native_(native) {}
  FlowGateway(const FlowGateway&) = delete;
  FlowGateway& operator=(const FlowGateway&) = delete;

  // Puts a message to the node's successors, with the current context. Returns false if none takes
  // it. Thread-safe, as all of these.
  bool try_put(const Output& value) { return native_.try_put(Message<Output>::lend(value)); }
  // Likewise, with the context that `carried` has.
  template <std::same_as<Carried<Output>> C>
  bool try_put(const C& carried) {
    return native_.try_put(Message<Output>::lend(carried.value(), CarriedAccess::maker(carried)));
  }
  // Let wait_for_all() wait for what is outside of the graph.
  void reserve_wait() { native_.reserve_wait(); }
  void release_wait() { native_.release_wait(); }

 private:
  Native& native_;
};

// The body of an async_node.
template <typename Input, typename Gateway, typename Body, bool kIsInline>
class AsyncCall : public FlowCall<Body> {
 public:
  AsyncCall(const GraphPlace& place, Gateway& gateway, Body body)
      : FlowCall<Body>(place, std::move(body)), gateway_(&gateway) {}

  static constexpr bool kIsNoexcept = is_body_noexcept<Body&, const Input&, Gateway&>();

  template <typename NativeGateway>
  void operator()(const Message<Input>& message, NativeGateway& /*gateway*/) noexcept(kIsNoexcept) {
    this->template run<kIsInline>(message.maker(), [&]() noexcept(kIsNoexcept) {
      std::invoke(this->mutable_body(), message.value(), *gateway_);
    });
  }

 private:
  Gateway* gateway_;
};

// The context that an input_node's calls start in. Thread-safe.
class SharedMaker {
 public:
  void set(MessageMaker maker) {
    const onetbb::spin_mutex::scoped_lock lock(mutex_);
    std::swap(maker_, maker);  // What was there ends after the lock.
  }
  [[nodiscard]] MessageMaker get() const {
    const onetbb::spin_mutex::scoped_lock lock(mutex_);
    return maker_;
  }

 private:
  mutable onetbb::spin_mutex mutex_;
  MessageMaker maker_;
};

// The body of an input_node.
template <typename Output, typename Body>
class InputCall : public FlowCall<Body> {
 public:
  InputCall(const SharedMaker& maker, const GraphPlace& place, Body body)
      : FlowCall<Body>(place, std::move(body)), maker_(&maker) {}

  Message<Output> operator()(onetbb::flow_control& control) {
    return this->template run</*kIsInline=*/false>(maker_->get(), [&] {
      return Message<Output>::make(
          [&]() -> decltype(auto) { return this->mutable_body()(control); },
          [] {
            return MessageMaker({capture(), capture_link()});
          });
    });
  }

 private:
  const SharedMaker* maker_;
};

// A function that a queue or join asks about messages: it runs in the context of the message.
template <typename T, typename Function>
class MessageFunction : public FlowCall<Function> {
 public:
  using FlowCall<Function>::FlowCall;

  decltype(auto) operator()(const Message<T>& message) {
    const MessageContext context(message.maker(), this->place(), /*is_inline=*/false);
    return std::invoke(this->mutable_body(), message.value());
  }
};

// Makes a tuple of ports of ours from one of oneTBB's.
template <typename Ports, typename NativePorts>
Ports make_ports(NativePorts&& ports) {
  return std::apply([](auto&... port) { return Ports(port...); }, ports);
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_TBB_FLOW_BODIES_H_
