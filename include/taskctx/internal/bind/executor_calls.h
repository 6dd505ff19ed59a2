// SPDX-License-Identifier: Apache-2.0
//
// The functions that executors of other libraries have, each as a type: so it can be asked whether
// an executor has it, and it can be called.
//
//   static_assert(Takes<Post, Pool&, F>);  // pool.post(f) is possible
//   Post()(pool, f);                       // does it

#ifndef TASKCTX_INTERNAL_BIND_EXECUTOR_CALLS_H_
#define TASKCTX_INTERNAL_BIND_EXECUTOR_CALLS_H_

#include <functional>
#include <type_traits>
#include <utility>

#include "taskctx/version.h"

// Functions of Asio's executors are private: only these types may call them. Nothing of Asio's is
// included here: who has such an executor has included it. (The first one is gone since Asio 1.30,
// where execute() is public.)
namespace asio_execution_execute_fn {
struct impl;
}
namespace asio_query_fn {
struct impl;
}
namespace asio_require_fn {
struct impl;
}
namespace asio_prefer_fn {
struct impl;
}
// Those of Boost.
namespace boost_asio_execution_execute_fn {
struct impl;
}
namespace boost_asio_query_fn {
struct impl;
}
namespace boost_asio_require_fn {
struct impl;
}
namespace boost_asio_prefer_fn {
struct impl;
}

namespace taskctx {
inline namespace v1 {
namespace internal {

// Whether Function()(args...) is possible. (std::invocable must not be asked of an incomplete type,
// which Asio's are where Asio is not used.)
template <typename Function, typename... Args>
concept Takes =
    requires(const Function& function, Args&&... args) { function(std::forward<Args>(args)...); };

// Does what the first of these does that takes the arguments.
template <typename Function, typename... Others>
struct FirstOf {
  template <typename... Args>
    requires(Takes<Function, Args...> || (Takes<Others, Args...> || ...))
  decltype(auto) operator()(Args&&... args) const {
    if constexpr (Takes<Function, Args...>) {
      return Function()(std::forward<Args>(args)...);
    } else {
      return FirstOf<Others...>()(std::forward<Args>(args)...);
    }
  }
};

struct ExecuteMember {
  template <typename E, typename... Args>
  auto operator()(E& executor, Args&&... args) const
      -> decltype(executor.execute(std::forward<Args>(args)...)) {
    return executor.execute(std::forward<Args>(args)...);
  }
};
struct Post {
  template <typename E, typename... Args>
  auto operator()(E& executor, Args&&... args) const
      -> decltype(executor.post(std::forward<Args>(args)...)) {
    return executor.post(std::forward<Args>(args)...);
  }
};
struct Add {
  template <typename E, typename... Args>
  auto operator()(E& executor, Args&&... args) const
      -> decltype(executor.add(std::forward<Args>(args)...)) {
    return executor.add(std::forward<Args>(args)...);
  }
};
struct Enqueue {
  template <typename E, typename... Args>
  auto operator()(E& executor, Args&&... args) const
      -> decltype(executor.enqueue(std::forward<Args>(args)...)) {
    return executor.enqueue(std::forward<Args>(args)...);
  }
};
struct Submit {
  template <typename E, typename... Args>
  auto operator()(E& executor, Args&&... args) const
      -> decltype(executor.submit(std::forward<Args>(args)...)) {
    return executor.submit(std::forward<Args>(args)...);
  }
};
struct QueryMember {
  template <typename E, typename... Args>
  auto operator()(E& executor, Args&&... args) const
      -> decltype(executor.query(std::forward<Args>(args)...)) {
    return executor.query(std::forward<Args>(args)...);
  }
};
struct RequireMember {
  template <typename E, typename... Args>
  auto operator()(E& executor, Args&&... args) const
      -> decltype(executor.require(std::forward<Args>(args)...)) {
    return executor.require(std::forward<Args>(args)...);
  }
};
struct PreferMember {
  template <typename E, typename... Args>
  auto operator()(E& executor, Args&&... args) const
      -> decltype(executor.prefer(std::forward<Args>(args)...)) {
    return executor.prefer(std::forward<Args>(args)...);
  }
};
// The executor itself is called.
struct Invoke {
  template <typename E, typename... Args>
  auto operator()(E& executor, Args&&... args) const -> std::invoke_result_t<E&, Args...> {
    return std::invoke(executor, std::forward<Args>(args)...);
  }
};

using Execute = FirstOf<ExecuteMember, ::asio_execution_execute_fn::impl,
                        ::boost_asio_execution_execute_fn::impl>;
using Query = FirstOf<QueryMember, ::asio_query_fn::impl, ::boost_asio_query_fn::impl>;
using Require = FirstOf<RequireMember, ::asio_require_fn::impl, ::boost_asio_require_fn::impl>;
using Prefer = FirstOf<PreferMember, ::asio_prefer_fn::impl, ::boost_asio_prefer_fn::impl>;

}  // namespace internal
}  // namespace v1
}  // namespace taskctx

#endif  // TASKCTX_INTERNAL_BIND_EXECUTOR_CALLS_H_
