// SPDX-License-Identifier: Apache-2.0
//
// What a body takes and returns, and which messages nodes of a set have: for the deduction guides
// of the flow graph's nodes.
//
//   static_assert(std::is_same_v<BodyInput<int (*)(const Line&)>, Line>);

#ifndef TASKCTX_INTERNAL_TBB_FLOW_TYPES_H_
#define TASKCTX_INTERNAL_TBB_FLOW_TYPES_H_

#include <oneapi/tbb/flow_graph.h>

#include <tuple>
#include <type_traits>
#include <utility>

#include "taskctx/internal/tbb/flow_native.h"
#include "taskctx/tbb/flow/edges.h"

namespace taskctx {
inline namespace v1 {
namespace internal {

template <typename From, typename To>
struct BodySignature {
  using Input = std::remove_cvref_t<From>;
  using Output = To;
};

// Of a body's only call operator with one parameter.
template <typename Body, typename From, typename To>
BodySignature<From, To> call_signature(To (Body::*call)(From));
template <typename Body, typename From, typename To>
BodySignature<From, To> call_signature(To (Body::*call)(From) const);
template <typename Body, typename From, typename To>
BodySignature<From, To> call_signature(To (Body::*call)(From) noexcept);
template <typename Body, typename From, typename To>
BodySignature<From, To> call_signature(To (Body::*call)(From) const noexcept);
template <typename Body, typename From, typename To>
BodySignature<From, To> call_signature(To (Body::*call)(From) &);
template <typename Body, typename From, typename To>
BodySignature<From, To> call_signature(To (Body::*call)(From) const&);
template <typename Body, typename From, typename To>
BodySignature<From, To> call_signature(To (Body::*call)(From) & noexcept);
template <typename Body, typename From, typename To>
BodySignature<From, To> call_signature(To (Body::*call)(From) const& noexcept);
// Of a function.
template <typename From, typename To>
BodySignature<From, To> signature(To (*function)(From));
template <typename From, typename To>
BodySignature<From, To> signature(To (*function)(From) noexcept);
// Of a member of the message.
template <typename From, typename To>
BodySignature<From, To> signature(To (From::*member)());
template <typename From, typename To>
BodySignature<From, To> signature(To (From::*member)() const);
template <typename From, typename To>
BodySignature<From, To> signature(To (From::*member)() const noexcept);
template <typename From, typename To>
  requires std::is_object_v<To>
BodySignature<From, To> signature(To From::*member);

template <typename Body>
struct BodyTypes : decltype(signature(std::declval<Body>())) {};
template <typename Body>
  requires std::is_class_v<Body>
struct BodyTypes<Body> : decltype(call_signature(&Body::operator())) {};

template <typename Body>
using BodyInput = typename BodyTypes<Body>::Input;
template <typename Body>
using BodyOutput = std::remove_cvref_t<typename BodyTypes<Body>::Output>;
// What a continue_node sends.
template <typename Body>
using ContinueOutput =
    std::conditional_t<std::is_void_v<std::invoke_result_t<Body, native::continue_msg>>,
                       native::continue_msg, std::invoke_result_t<Body, native::continue_msg>>;
// The key that a join_node matches by: a function may return a reference into its message.
template <typename Function>
using FunctionKey = std::conditional_t<std::is_reference_v<typename BodyTypes<Function>::Output>,
                                       BodyOutput<Function>&, BodyOutput<Function>>;

// The messages that a node of a kind that keeps them takes from, or gives to, a set of nodes.
template <typename Set>
struct SetMessage;
template <typename Node, typename... Nodes>
struct SetMessage<tbb::flow::node_set<tbb::flow::order::following, Node, Nodes...>> {
  using Type = typename Node::output_type;
};
template <typename Node, typename... Nodes>
struct SetMessage<tbb::flow::node_set<tbb::flow::order::preceding, Node, Nodes...>> {
  using Type = typename Node::input_type;
};
template <typename Set>
using SetMessageOf = typename SetMessage<Set>::Type;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_TBB_FLOW_TYPES_H_
