// SPDX-License-Identifier: Apache-2.0
//
// oneTBB's flow graph, where each message carries the context in which it was put.
#ifndef TASKCTX_TBB_FLOW_GRAPH_H_
#define TASKCTX_TBB_FLOW_GRAPH_H_

#include "taskctx/tbb/flow/buffering_nodes.h"
#include "taskctx/tbb/flow/edges.h"
#include "taskctx/tbb/flow/functional_nodes.h"
#include "taskctx/tbb/flow/graph.h"
#include "taskctx/tbb/flow/joining_nodes.h"

#endif  // TASKCTX_TBB_FLOW_GRAPH_H_
