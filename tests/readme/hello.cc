#include <atomic>
#include <iostream>
#include <latch>
#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"
#include "taskctx/tbb.h"

inline taskctx::ContextVar<int> request{"request", 0};  // follows the task
thread_local int thread_request = 0;                    // follows the thread

int main() {
  taskctx::JobPool pool{{.concurrency = 8}};
  std::atomic<int> right = 0, thread_right = 0;
  taskctx::Scope scope{request, 42};
  pool.submit([&] {
        thread_request = 42;
        std::latch both(2);  // two leaves at once: one of them is stolen by another thread
        taskctx::tbb::parallel_for(0, 2, [&](int) {
          both.arrive_and_wait();
          right += request.get() == 42;
          thread_right += thread_request == 42;
        });
      })
      .get();
  std::cout << "taskctx:      " << right << " of 2 leaves know their request\n"
            << "thread_local: " << thread_right << " of 2 leaves know their request\n";
}
