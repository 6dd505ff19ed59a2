// SPDX-License-Identifier: Apache-2.0
//
// Counts each access to memory, exactly, and says which cache lines two threads share.
//
//   Turns turns("copy", kLaps);
//   on_two_threads([&] {
//     while (turns.next()) {  // The other thread's lap, then ours.
//       const taskctx::Context copy(shared);
//     }
//   });
//   report();
//
// A program for this is compiled with -fsanitize=thread, which makes a call of each access that it
// compiles, and is linked with tsan_calls.cc instead of ThreadSanitizer. Two threads take turns,
// lap by lap, so that each run counts the same. What is not compiled that way is not counted:
// oneTBB's own code, unless it is built so, too, libstdc++'s and the C library's; but mutexes are.
// Each allocation has cache lines of its own, so that nothing depends on what lies beside it by
// chance.

#ifndef TASKCTX_BENCHMARKS_COUNTING_H_
#define TASKCTX_BENCHMARKS_COUNTING_H_

namespace counting {

// How many laps each thread does before its laps are counted.
inline constexpr int kWarmUp = 10;

// Two threads that take turns. Each waits until the other one is there, too.
class Turns {
 public:
  // Counts what each of them does in `laps` laps, after some that only warm up, as `operation`, a
  // string literal.
  Turns(const char* operation, int laps);
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;
  ~Turns() = default;

  // Ends a lap of the thread that calls, waits for one of the other thread, and begins the next.
  // Returns false once both have done all: from then on they are free, and nothing is counted.
  // For two threads; others get false.
  bool next();

 private:
  const char* const operation_;
  const int laps_;
  int turn_ = -1;  // Whose turn it is: an index; -1 until both are here.
  int is_over_ = 0;
  int threads_[2] = {-1, -1};
  int begun_[2] = {0, 0};  // Laps.
};

// A gate that threads wait at, without an access that is counted.
class Gate {
 public:
  // Comes, and waits until it is open.
  void pass();
  // Comes, and goes on.
  void arrive();
  // Waits until `threads` threads have come.
  void wait_for(int threads);
  void open();

 private:
  int arrived_ = 0;
  int is_open_ = 0;
};

// Forgets all that was counted.
void clear();
// Prints it, as one line of JSON, and forgets it.
void report();

}  // namespace counting

#endif  // TASKCTX_BENCHMARKS_COUNTING_H_
