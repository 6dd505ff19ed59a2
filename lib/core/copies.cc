// SPDX-License-Identifier: Apache-2.0
//
// How the copies of the library in one process find each other, whatever their symbols' visibility:
// each puts an ELF note into its module that tells where its anchor is.

#include "taskctx/internal/core/copies.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <string_view>

#include "taskctx/errors.h"
#include "taskctx/internal/core/modules.h"

#if defined(__ELF__) && __has_include(<link.h>)
#define TASKCTX_ELF
#include <link.h>
#endif

namespace taskctx {
inline namespace v1 {
namespace internal {

namespace {

constinit ProcessWide own_process_wide;

#ifdef TASKCTX_ELF

// Points to the copy that the code of this module uses, once that has joined. (In a shared library
// that may be the program's copy; this module's own is unused then, and nobody hears of it.) Null
// before, so that nobody reads an address that the loader has not relocated yet.
extern "C" {
[[gnu::visibility("hidden"), gnu::used]] constinit std::atomic<const Copy*> taskctx_v1_anchor{
    nullptr};
}

// The note: sizes of name and content, type, name; and how far the anchor is from here. The type is
// the version of Copy and ProcessWide, of the layout of nodes, and of what is in them.
asm(R"(
    .pushsection .note.taskctx, "a", %note
    .balign 4
    .long 8
    .long 4
    .long 3
    .asciz "taskctx"
    .long taskctx_v1_anchor - .
    .popsection
)");

constexpr std::uint32_t kNoteType = 3;
// With its 0.
constexpr std::string_view kNoteName("taskctx", 8);  // NOLINT(bugprone-string-constructor)

// Returns the anchor that this segment of notes tells of, or nullptr.
const std::atomic<const Copy*>* find_anchor(const unsigned char* at, std::size_t size,
                                            std::size_t alignment) noexcept {
  constexpr std::size_t kHeader = 3 * sizeof(std::uint32_t);
  while (size >= kHeader) {
    std::uint32_t header[3];
    std::memcpy(header, at, kHeader);
    const auto padded = [alignment](std::size_t length) {
      return (length + alignment - 1) / alignment * alignment;
    };
    const std::size_t content = padded(kHeader + header[0]);
    const std::size_t whole = padded(content + header[1]);
    if (whole > size) {
      break;
    }
    if (header[0] == kNoteName.size() && header[1] == sizeof(std::int32_t) &&
        header[2] == kNoteType &&
        std::memcmp(at + kHeader, kNoteName.data(), kNoteName.size()) == 0) {
      std::int32_t distance;
      std::memcpy(&distance, at + content, sizeof distance);
      return reinterpret_cast<const std::atomic<const Copy*>*>(at + content + distance);
    }
    at += whole;
    size -= whole;
  }
  return nullptr;
}

// What one copy learns when it joins.
struct Join {
  bool has_joined = false;      // Now, and not before.
  const Copy* first = nullptr;  // The first of the others.
  std::string_view first_module;
  std::string_view own_module;
};

const Copy* copy_in(const dl_phdr_info& module) noexcept {
  for (std::size_t i = 0; i < module.dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = module.dlpi_phdr[i];
    if (segment.p_type == PT_NOTE) {
      const auto* notes =
          reinterpret_cast<const unsigned char*>(module.dlpi_addr + segment.p_vaddr);
      if (const auto* anchor = find_anchor(notes, segment.p_memsz, segment.p_align == 8 ? 8 : 4)) {
        // Pairs with the release in join_with_lock().
        return anchor->load(std::memory_order_acquire);
      }
    }
  }
  return nullptr;
}

int look_at(dl_phdr_info* module, std::size_t /*size*/, void* data) {
  auto& join = *static_cast<Join*>(data);
  const Copy* copy = copy_in(*module);
  if (copy == &own_copy) {
    join.own_module = module->dlpi_name;
  } else if (copy != nullptr && join.first == nullptr) {
    join.first = copy;
    join.first_module = module->dlpi_name;
  }
  return 0;
}

// Is called for the first module, and then has the loader's lock, which is held until it returns:
// one copy joins at a time.
int join_with_lock(dl_phdr_info* /*module*/, std::size_t /*size*/, void* data) {
  auto& join = *static_cast<Join*>(data);
  if (own_copy.process_wide.load(std::memory_order_relaxed) == nullptr) {
    join.has_joined = true;
    taskctx_v1_anchor.store(&own_copy, std::memory_order_release);  // To copy_in() of others.
    dl_iterate_phdr(&look_at, &join);
    // Pairs with the release below, of the copy that has joined before.
    ProcessWide* shared = join.first != nullptr
                              ? join.first->process_wide.load(std::memory_order_acquire)
                              : &own_process_wide;
    own_copy.next = shared->copies.load(std::memory_order_relaxed);
    // Publishes `next` to the acquire in find_record() (variable.cc).
    shared->copies.store(&own_copy, std::memory_order_release);
    // Publishes what all copies count, to cancel_count().
    cancel_counter.store(&shared->cancel_count, std::memory_order_release);
    // Publishes that this copy has joined, to process_wide() and join_process().
    own_copy.process_wide.store(shared, std::memory_order_release);
  }
  return 1;
}

std::string quoted(std::string_view module) {
  return module.empty() ? "the program" : "'" + std::string(module) + "'";
}

void report(const Join& join) noexcept {
  Misuse misuse{.message =
                    "cannot share contexts: a second copy of taskctx is in this process; link all "
                    "parts of it with one shared library of taskctx",
                .variable = {},
                .is_warning = true};
  std::string text;
  try {
    text = "cannot share contexts with module " + quoted(join.own_module) +
           ": it holds a second copy of taskctx, the first one is in " + quoted(join.first_module) +
           ", and what is set through one is not set to the other; link both with one shared "
           "library of taskctx, or only the program with taskctx, and let it export its symbols "
           "(-rdynamic)";
    misuse.message = text;
  } catch (const std::bad_alloc&) {  // The shorter one must do.
  }
  join.first->report(misuse);  // Where the program's handler is.
}

#endif

// Makes sure that a second copy is reported also if it only reads.
[[maybe_unused]] const ProcessWide& joined_when_loaded = process_wide();

}  // namespace

constinit std::atomic<const std::atomic<std::uint64_t>*> cancel_counter{
    &own_process_wide.cancel_count};

ProcessWide& join_process() noexcept {
#ifdef TASKCTX_ELF
  keep_loaded(&own_process_wide);  // Others will have addresses in it, as nodes and records have.
  Join join;
  dl_iterate_phdr(&join_with_lock, &join);
  if (join.has_joined && join.first != nullptr) {
    report(join);
  }
  // Pairs with the release in join_with_lock().
  return *own_copy.process_wide.load(std::memory_order_acquire);
#else
  // Pairs with the acquire in process_wide().
  own_copy.process_wide.store(&own_process_wide, std::memory_order_release);
  return own_process_wide;
#endif
}

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
