// SPDX-License-Identifier: Apache-2.0
//
// The node whose body gets handles of scarce resources: a preview of oneTBB's, from 2023.0 on, if
// TBB_PREVIEW_FLOW_GRAPH_RESOURCE_LIMITING is set. Part of taskctx/tbb/flow_graph.h, which says
// what it is about.
//
//   flow::resource_limiter<Connection*> connections(&a, &b);
//   flow::resource_limited_node<Query, std::tuple<Row>> ask(graph, flow::unlimited,
//       std::tie(connections), [](const Query& query, auto& ports, Connection*& connection) {...});

#ifndef TASKCTX_TBB_FLOW_RESOURCE_LIMITED_NODE_H_
#define TASKCTX_TBB_FLOW_RESOURCE_LIMITED_NODE_H_

#include <oneapi/tbb/flow_graph.h>

#include <cstddef>
#include <functional>
#include <tuple>
#include <utility>

#include "taskctx/internal/tbb/flow_bodies.h"
#include "taskctx/internal/tbb/flow_message.h"
#include "taskctx/internal/tbb/flow_native.h"
#include "taskctx/tbb/flow/edges.h"
#include "taskctx/tbb/flow/functional_nodes.h"
#include "taskctx/tbb/flow/graph.h"

#if defined(__TBB_PREVIEW_FLOW_GRAPH_RESOURCE_LIMITING) && \
    __TBB_PREVIEW_FLOW_GRAPH_RESOURCE_LIMITING

namespace taskctx {
inline namespace v1 {
namespace tbb::flow {

using internal::native::resource_limiter;

// Calls its body for each message, with its output ports, and a handle of each provider.
template <typename Input, typename Output>
class resource_limited_node;
template <typename Input, typename... Outputs>
class resource_limited_node<Input, std::tuple<Outputs...>> : public graph_node,
                                                             public receiver<Input> {
 public:
  using input_type = Input;
  using output_type = internal::native_detail::null_type;
  using output_ports_type = std::tuple<multifunction_output<Outputs>...>;

 private:
  using Native = internal::native::resource_limited_node<internal::Message<Input>,
                                                         std::tuple<internal::Message<Outputs>...>>;
  template <typename Body>
  using Call = internal::MultifunctionCall<Input, output_ports_type, Body, /*kIsInline=*/false>;

 public:
  template <typename Body, typename Provider, typename... Providers>
  resource_limited_node(graph& its_graph, std::size_t concurrency,
                        std::tuple<Provider&, Providers&...> providers, Body body)
      : graph_node(its_graph),
        make_([concurrency, providers, its_body = std::move(body)](resource_limited_node& node) {
          return Native(
              internal::FlowAccess::native(node.my_graph), concurrency, providers,
              Call<Body>(internal::FlowAccess::place(node.my_graph), node.ports_, its_body));
        }),
        native_(make_(*this)),
        ports_(internal::make_ports<output_ports_type>(native_.output_ports())) {
    this->set_native(native_);
  }
  // Makes a node with the same body, as it was at first, and without edges.
  resource_limited_node(const resource_limited_node& other)
      : graph_node(other.my_graph),
        receiver<Input>(),
        make_(other.make_),
        native_(make_(*this)),
        ports_(internal::make_ports<output_ports_type>(native_.output_ports())) {
    this->set_native(native_);
  }

  [[nodiscard]] output_ports_type& output_ports() noexcept { return ports_; }

  // Returns what copy_body() does.
  template <typename Body>
  Body copy_function_object() {
    return native_.template copy_function_object<Call<Body>>().body();
  }

 private:
  const std::function<Native(resource_limited_node&)> make_;
  Native native_;
  output_ports_type ports_;
};

}  // namespace tbb::flow
}  // namespace v1
}  // namespace taskctx

#endif  // The preview.

#endif  // TASKCTX_TBB_FLOW_RESOURCE_LIMITED_NODE_H_
