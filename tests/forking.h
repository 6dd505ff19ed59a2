// SPDX-License-Identifier: Apache-2.0
//
// Children that are forked at any moment of what other threads do.
//
//   fork_often([] { return is_all_well() ? 0 : 1; });  // in each child; the test wants 0

#ifndef TASKCTX_TESTS_FORKING_H_
#define TASKCTX_TESTS_FORKING_H_

#include <gtest/gtest.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "tests/sanitizers.h"

namespace taskctx_test {

// Waits for `child`. Returns its exit status, or 1000 + the signal that ended it.
inline int status_of(pid_t child) {
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// Forks sixty children, one after the other, that call `in_child` and end with what it returns:
// half of them by exit().
template <typename F>
void fork_often(F in_child) {
  for (int i = 0; i < 60; ++i) {
    for (int k = 0; k < i * 20; ++k) {  // To meet the other threads anywhere.
      std::this_thread::yield();
    }
    const pid_t child = fork();
    if (child == 0) {
      is_forked_child = true;
      const int result = in_child();
      if (i % 2 == 0) {
        std::exit(result);
      }
      _exit(result);
    }
    ASSERT_EQ(status_of(child), 0) << "in child " << i;
  }
}

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_FORKING_H_
