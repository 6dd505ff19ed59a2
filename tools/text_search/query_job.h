// SPDX-License-Identifier: Apache-2.0
//
// QueryJob: what one query's job does: files in a parallel loop, blocks of large files in one
// within that, lines in a leaf, and there, several calls down, the match.
//
//   pool.submit([&] { return QueryJob<ContextCarrier>(shared, query, index).run(); });
//
// All of it is below a CancelScope of its own, which ends it when it has found enough. Whether it
// is that, a timeout or Ctrl-C that cancels: the loops throw Cancelled, and run() returns what it
// has.
//
// No function here takes the request's id, user or budget. The Carrier that they hand down is for
// comparison; where it is a ContextCarrier, it is empty.

#ifndef TOOLS_TEXT_SEARCH_QUERY_JOB_H_
#define TOOLS_TEXT_SEARCH_QUERY_JOB_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/cancel.h"
#include "taskctx/tbb.h"
#include "tools/text_search/engine.h"
#include "tools/text_search/files.h"
#include "tools/text_search/ledger.h"
#include "tools/text_search/line_scanner.h"
#include "tools/text_search/output.h"
#include "tools/text_search/request_context.h"

namespace text_search {

namespace ctbb = taskctx::tbb;

// What all jobs of one search work with.
struct SharedState {
  const SourceTree& tree;
  const SearchOptions& options;
  BufferPool& buffers;  // Of block_bytes plus the length of the longest string.
  Ledger& ledger;
  FileStates& states;
};

// Returns the CPU time that the calling thread has used.
inline std::chrono::nanoseconds thread_cpu_time() noexcept {
  timespec time = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// What the leaves of one job have used. Thread-safe.
class LeafCounters {
 public:
  [[nodiscard]] std::uint64_t leaves() const noexcept { return leaves_; }
  [[nodiscard]] std::uint64_t elsewhere() const noexcept { return elsewhere_; }
  [[nodiscard]] std::chrono::nanoseconds cpu() const noexcept {
    return std::chrono::nanoseconds(cpu_ns_);
  }

 private:
  friend class Leaf;

  const std::thread::id job_thread_ = std::this_thread::get_id();
  std::atomic<std::uint64_t> leaves_{0};
  std::atomic<std::uint64_t> elsewhere_{0};
  std::atomic<std::int64_t> cpu_ns_{0};
};

// Measures one piece of a job's work that waits for nothing.
//
//   LeafCounters counters;          // at the job's start, on the job's thread
//   { const Leaf leaf(counters); }  // around each piece, on whichever thread
//   counters.elsewhere();           // how many of them ran on another thread
//
// Leaves never contain each other: a piece with a parallel loop in it is no leaf, so that its time
// is not that of whatever its thread runs while it waits.
class Leaf {
 public:
  explicit Leaf(LeafCounters& counters) noexcept : counters_(counters) {
    counters_.leaves_.fetch_add(1, std::memory_order_relaxed);
    if (std::this_thread::get_id() != counters_.job_thread_) {
      counters_.elsewhere_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  Leaf(const Leaf&) = delete;
  Leaf& operator=(const Leaf&) = delete;
  ~Leaf() {
    counters_.cpu_ns_.fetch_add((thread_cpu_time() - begin_).count(), std::memory_order_relaxed);
  }

 private:
  LeafCounters& counters_;
  const std::chrono::nanoseconds begin_ = thread_cpu_time();
};

template <typename Carrier>
class QueryJob {
 public:
  QueryJob(const SharedState& shared, const Query& query, std::size_t index)
      : shared_(shared), query_(query), index_(index) {}

  // Searches all files, or as many as it may. To be called once, at the start of the job, on its
  // thread.
  QueryResult run() {
    const typename Carrier::JobGuard guard(query_.request);
    const Carrier carrier(query_.request);
    std::string stopped;
    try {
      search_files(carrier);
    } catch (const taskctx::Cancelled& cancelled) {  // What was found until then is the result.
      stopped = word_for(cancelled.status());
      print_matches();
    }
    const Ledger::Row& row = shared_.ledger.row(index_);
    return {.request = request_id.get(),
            .user = user.get(),
            .files = files_,
            .lines = row.lines(),
            .wrong = row.wrong,
            .lost = row.lost,
            .stopped = std::move(stopped),
            .cpu = leaves_.cpu(),
            .leaves = leaves_.leaves(),
            .leaves_elsewhere = leaves_.elsewhere()};
  }

 private:
  // A file while it is searched.
  struct Subject {
    explicit Subject(const std::string& p) : path(p), file(p) {}

    const std::string& path;
    const InputFile file;
    std::atomic<bool> has_match{false};
  };

  // Counts a leaf, and tells the options' hook.
  class MeasuredLeaf {
   public:
    explicit MeasuredLeaf(QueryJob& job) : leaf_(job.leaves_) {
      if (job.shared_.options.on_leaf) {
        job.shared_.options.on_leaf(job.index_);
      }
    }

   private:
    const Leaf leaf_;
  };

  // What each file of a batch counts for at least: so many empty ones are a batch, too.
  static constexpr std::uint64_t kLeastFile = 4096;

  [[nodiscard]] std::size_t block_bytes() const { return shared_.options.block_bytes; }
  [[nodiscard]] std::uint64_t window_bytes() const {
    return std::uint64_t{block_bytes()} * shared_.options.window_blocks;
  }

  // Returns the end of the files that are searched in one loop: all of them, unless the lines are
  // to be printed. Then it is a batch with a bounded number of lines, for the log; and a large file
  // comes alone, because it is printed window by window.
  [[nodiscard]] std::size_t batch_end(std::size_t first) const {
    const std::vector<SourceFile>& files = shared_.tree.files;
    if (match_log.get() == nullptr) {
      return files.size();
    }
    if (files[first].bytes > block_bytes()) {
      return first + 1;
    }
    std::size_t end = first;
    std::uint64_t bytes = 0;
    while (bytes < window_bytes() && end < files.size() && files[end].bytes <= block_bytes()) {
      bytes += std::max(files[end].bytes, kLeastFile);
      ++end;
    }
    return end;
  }

  void print_matches() const {
    if (MatchLog* log = match_log.get()) {
      log->print();
    }
  }

  void search_files(Carrier carrier) {
    for (std::size_t first = 0; first < shared_.tree.files.size();) {
      const std::size_t last = batch_end(first);
      ctbb::parallel_for(first, last,
                         [this, carrier](std::size_t number) { search_file(number, carrier); });
      print_matches();
      first = last;
    }
  }

  void search_file(std::size_t number, Carrier carrier) {
    Subject subject(shared_.tree.files[number].path);
    FileState state = FileState::unvisited;
    if (!search_as_one_block(subject, carrier, state)) {
      const std::uint64_t size = check_blocks(subject, state);
      if (state == FileState::text) {
        shared_.states.note(number, state);
        search_blocks(subject, size, carrier);
      }
    }
    if (const int error = subject.file.error(); error != 0) {
      shared_.states.note_unreadable(number, subject.path, error);
    } else {
      shared_.states.note(number, state);
    }
    if (shared_.options.files_done != nullptr) {
      shared_.options.files_done->fetch_add(1, std::memory_order_relaxed);
    }
  }

  // Searches a file that is not large, and any that cannot be read. False if it is large.
  bool search_as_one_block(Subject& subject, Carrier carrier, FileState& state) {
    const MeasuredLeaf leaf(*this);
    if (!subject.file.is_open()) {
      return true;
    }
    if (subject.file.size_hint() > block_bytes()) {
      return false;
    }
    const BufferPool::Loan buffer = shared_.buffers.borrow();
    const std::optional<std::size_t> size = subject.file.read(0, buffer.data(), block_bytes() + 1);
    if (!size) {
      return true;
    }
    if (*size > block_bytes()) {
      return false;
    }
    if (has_nul(buffer.data(), *size)) {
      state = FileState::binary;
      return true;
    }
    state = FileState::text;
    const auto on_line = [&](std::uint64_t line) { record(subject, line, carrier); };
    LineJoiner joiner;
    joiner.add(scan_block({buffer.data(), *size}, *size, 0, query_.text, on_line), on_line);
    joiner.finish(on_line);
    return true;
  }

  // Looks for NUL bytes in a large file. Returns its size, which is known when its end was seen.
  std::uint64_t check_blocks(const Subject& subject, FileState& state) {
    std::uint64_t size = 0;
    std::atomic<bool> is_binary{false};
    std::vector<std::size_t> sizes;
    for (bool at_end = false; !at_end && !is_binary;) {
      // As many blocks as there should be, one of them not full. There may be more by now.
      const std::uint64_t expected = std::max(subject.file.size_hint(), size) - size;
      sizes.assign(
          std::min<std::uint64_t>(expected / block_bytes() + 1, shared_.options.window_blocks), 0);
      ctbb::parallel_for(std::size_t{0}, sizes.size(), [&, window = size](std::size_t i) {
        const MeasuredLeaf leaf(*this);
        const BufferPool::Loan buffer = shared_.buffers.borrow();
        sizes[i] =
            subject.file.read(window + i * block_bytes(), buffer.data(), block_bytes()).value_or(0);
        if (has_nul(buffer.data(), sizes[i])) {
          is_binary = true;
        }
      });
      for (std::size_t i = 0; i < sizes.size() && !at_end; ++i) {
        size += sizes[i];
        at_end = sizes[i] < block_bytes();
      }
    }
    state = is_binary                   ? FileState::binary
            : subject.file.error() == 0 ? FileState::text
                                        : FileState::unreadable;
    return size;
  }

  // Searches a large file of text, one window of blocks after the other.
  void search_blocks(Subject& subject, std::uint64_t size, Carrier carrier) {
    const auto on_line = [&](std::uint64_t line) { record(subject, line, carrier); };
    LineJoiner joiner;
    std::vector<BlockEdges> blocks;
    for (std::uint64_t window = 0; window < size; window += window_bytes()) {
      const std::uint64_t end = std::min(size, window + window_bytes());
      blocks.assign((end - window + block_bytes() - 1) / block_bytes(), {});
      ctbb::parallel_for(std::size_t{0}, blocks.size(), [&, carrier](std::size_t i) {
        const std::uint64_t begin = window + i * block_bytes();
        blocks[i] = search_block(subject, begin, std::min(end, begin + block_bytes()), carrier);
      });
      {
        const MeasuredLeaf leaf(*this);
        for (const BlockEdges& block : blocks) {
          joiner.add(block, on_line);
        }
        if (end == size) {
          joiner.finish(on_line);
        }
      }
      print_matches();
    }
  }

  BlockEdges search_block(Subject& subject, std::uint64_t begin, std::uint64_t end,
                          Carrier carrier) {
    const MeasuredLeaf leaf(*this);
    const BufferPool::Loan buffer = shared_.buffers.borrow();
    const auto block_size = static_cast<std::size_t>(end - begin);
    const std::size_t size =
        subject.file.read(begin, buffer.data(), block_size + query_.text.size() - 1).value_or(0);
    return scan_block({buffer.data(), size}, std::min(size, block_size), begin, query_.text,
                      [&](std::uint64_t line) { record(subject, line, carrier); });
  }

  void record(Subject& subject, std::uint64_t line, Carrier carrier) {
    if (taskctx::cancelled()) {
      return;
    }
    if (shared_.ledger.record_match(subject.path, line, carrier, Truth{index_}) &&
        !subject.has_match.load(std::memory_order_relaxed) &&
        !subject.has_match.exchange(true, std::memory_order_relaxed)) {
      files_.fetch_add(1, std::memory_order_relaxed);
    }
    end_if_enough();
  }

  // Cancels this query, and no other one, if it need not find more.
  void end_if_enough() {
    const MatchBudget& budget = *match_budget.get();
    if (shared_.options.max_matches <= shared_.options.budget) {
      if (budget.is_used_up()) {
        scope_.cancel("max-matches");
      }
    } else if (budget.is_hit()) {
      scope_.cancel("budget");
    }
  }

  static bool has_nul(const char* data, std::size_t size) {
    return std::memchr(data, '\0', size) != nullptr;
  }

  const SharedState& shared_;
  const Query& query_;
  const std::size_t index_;
  taskctx::CancelScope scope_;
  LeafCounters leaves_;
  std::atomic<std::uint64_t> files_{0};
};

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_QUERY_JOB_H_
