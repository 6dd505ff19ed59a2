// SPDX-License-Identifier: Apache-2.0
//
// BufferPool: buffers of one size for the leaves, used again and again.
//
//   const BufferPool::Loan buffer = buffers.borrow();
//   file.read(0, buffer.data(), buffers.buffer_size());
//
// There are never more buffers than leaves at one time, so memory is bounded.
//
// Threads: all calls are thread-safe. Lifetime: a pool outlives its loans.

#ifndef TOOLS_TEXT_SEARCH_BUFFER_POOL_H_
#define TOOLS_TEXT_SEARCH_BUFFER_POOL_H_

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace text_search {

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

}  // namespace text_search

#endif  // TOOLS_TEXT_SEARCH_BUFFER_POOL_H_
