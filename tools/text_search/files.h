// SPDX-License-Identifier: Apache-2.0
//
// The files to search: which there are, how they are read, and what became of each.
//
//   absl::StatusOr<SourceTree> tree = list_files("/usr/include");
//   const InputFile file(tree->files[0].path);  // "/usr/include/aio.h"
//   file.read(/*offset=*/0, buffer, sizeof(buffer));
//   states.note(0, FileState::text);

#ifndef TOOLS_TEXT_SEARCH_FILES_H_
#define TOOLS_TEXT_SEARCH_FILES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace text_search {

// What could not be read: how often, and the first few times why.
//
//   problems.add("/srv/x", EACCES);
//   problems.count;     // 1
//   problems.examples;  // {"/srv/x: Permission denied"}
struct Problems {
  static constexpr std::size_t kMaxExamples = 10;

  std::uint64_t count = 0;
  std::vector<std::string> examples;

  // Counts one more, for the reason that `error`, an errno, stands for.
  void add(const std::string& path, int error) {
    ++count;
    if (examples.size() < kMaxExamples) {
      examples.push_back(path + ": " + std::generic_category().message(error));
    }
  }
};

struct SourceFile {
  std::string path;
  std::uint64_t bytes = 0;  // When it was listed; a hint.
};

// The files to search, listed once before the jobs start.
struct SourceTree {
  std::vector<SourceFile> files;  // Sorted by path.
  Problems unreadable_folders;
};

// Lists the regular files in and below `root`, which may also be a single file. Fails if `root`
// cannot be read; what cannot be read below it is listed among the problems. Cancelled, it returns
// what it has listed.
//
// As in grep -r: paths are what was asked for plus what was found below; a symbolic link is
// followed if it is the root itself, and not if it is met on the way; devices, pipes and sockets
// are skipped.
absl::StatusOr<SourceTree> list_files(const std::string& root);

// An open file that any number of threads read from at once. Read with pread, never mapped: a file
// that shrinks meanwhile must not end the program.
class InputFile {
 public:
  // Opens a regular file. Never waits, whatever is behind the path.
  explicit InputFile(const std::string& path);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }

  // Returns why the file could not be opened or read, as an errno; 0 if nothing went wrong.
  [[nodiscard]] int error() const noexcept { return error_.load(std::memory_order_relaxed); }

  // Returns how large the file was when it was opened. Files of /proc say 0.
  [[nodiscard]] std::uint64_t size_hint() const noexcept { return size_hint_; }

  // Fills `buffer` with what is at `offset` and returns how many bytes that were: fewer than
  // `capacity` only at the end of the file. nullopt if it cannot be read.
  std::optional<std::size_t> read(std::uint64_t offset, char* buffer, std::size_t capacity) const;

 private:
  int descriptor_ = -1;
  std::uint64_t size_hint_ = 0;
  mutable std::atomic<int> error_{0};
};

// Buffers of one size for the leaves, used again and again. There are never more buffers than
// leaves at one time, so memory is bounded.
//
//   const BufferPool::Loan buffer = buffers.borrow();
//   file.read(0, buffer.data(), buffers.buffer_size());
//
// Threads: all calls are thread-safe. Lifetime: a pool outlives its loans.
class BufferPool {
  using Buffer = std::unique_ptr<char[]>;

 public:
  // Gives its buffer back when it ends.
  class Loan {
   public:
    Loan(BufferPool& pool, Buffer buffer) : pool_(pool), buffer_(std::move(buffer)) {}
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan() { pool_.give_back(std::move(buffer_)); }

    [[nodiscard]] char* data() const noexcept { return buffer_.get(); }

   private:
    BufferPool& pool_;
    Buffer buffer_;
  };

  explicit BufferPool(std::size_t buffer_size) : buffer_size_(buffer_size) {}

  [[nodiscard]] std::size_t buffer_size() const noexcept { return buffer_size_; }

  // Lends a buffer of unspecified content.
  [[nodiscard]] Loan borrow() {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        Buffer buffer = std::move(free_.back());
        free_.pop_back();
        return {*this, std::move(buffer)};
      }
      ++lent_;
      free_.reserve(lent_);  // So that giving back never allocates.
    }
    return {*this, std::make_unique_for_overwrite<char[]>(buffer_size_)};
  }

 private:
  void give_back(Buffer buffer) noexcept {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(buffer));
  }

  const std::size_t buffer_size_;
  std::mutex mutex_;
  std::vector<Buffer> free_;
  std::size_t lent_ = 0;  // How many buffers there are.
};

// In ascending order of what counts, should queries disagree because a file has changed.
enum class FileState : std::uint8_t { unvisited, text, binary, unreadable };

// What became of each file, whichever queries have looked into it. Counts files, not visits.
//
// Threads: the note functions are thread-safe; the others are for the time after the jobs.
class FileStates {
 public:
  explicit FileStates(std::size_t files) : states_(files) {}

  // Returns whether this is news.
  bool note(std::size_t file, FileState state) noexcept {
    FileState known = states_[file].load(std::memory_order_relaxed);
    while (known < state) {
      if (states_[file].compare_exchange_weak(known, state, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

  // `error` is an errno.
  void note_unreadable(std::size_t file, const std::string& path, int error) {
    if (note(file, FileState::unreadable)) {
      const std::lock_guard lock(mutex_);
      unreadable_.add(path, error);
    }
  }

  [[nodiscard]] std::uint64_t count(FileState state) const {
    std::uint64_t count = 0;
    for (const std::atomic<FileState>& each : states_) {
      count += each.load(std::memory_order_relaxed) == state ? 1 : 0;
    }
    return count;
  }

  [[nodiscard]] const Problems& unreadable() const noexcept { return unreadable_; }

 private:
  std::vector<std::atomic<FileState>> states_;
  std::mutex mutex_;
  Problems unreadable_;
};

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_FILES_H_
