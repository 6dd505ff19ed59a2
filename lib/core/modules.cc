// SPDX-License-Identifier: Apache-2.0
//
// What the loader knows of modules, and how it is asked to keep them.

#include "taskctx/internal/core/modules.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#if defined(__ELF__) && __has_include(<link.h>)
#define TASKCTX_ELF
#include <dlfcn.h>
#include <link.h>
#endif

namespace taskctx {
inline namespace v1 {
namespace internal {

#ifdef TASKCTX_ELF
namespace {

struct Module {
  std::uintptr_t base;
  const char* name;  // As the loader knows it; empty for the program itself.
};

#if defined(DLFO_STRUCT_HAS_EH_DBASE)  // glibc 2.35: takes no lock.

bool find_module(const void* address, Module& module) noexcept {
  dl_find_object found;
  if (_dl_find_object(const_cast<void*>(address), &found) != 0) {
    return false;
  }
  module = {found.dlfo_link_map->l_addr, found.dlfo_link_map->l_name};
  return true;
}

#else

struct Search {
  std::uintptr_t address;
  Module& found;
};

int visit(dl_phdr_info* info, std::size_t /*size*/, void* data) {
  auto& search = *static_cast<Search*>(data);
  for (std::size_t i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    if (segment.p_type == PT_LOAD &&
        search.address - (info->dlpi_addr + segment.p_vaddr) < segment.p_memsz) {
      search.found = {info->dlpi_addr, info->dlpi_name};
      return 1;
    }
  }
  return 0;
}

bool find_module(const void* address, Module& module) noexcept {
  Search search{reinterpret_cast<std::uintptr_t>(address), module};
  return dl_iterate_phdr(&visit, &search) != 0;
}

#endif

// The modules that are kept already. Only ever grows, as they stay.
struct Kept {
  std::uintptr_t base;
  const Kept* next;
};
constinit std::atomic<const Kept*> all_kept{nullptr};

}  // namespace

bool is_static(const void* object) noexcept {
  Module module;
  return find_module(object, module);
}

void keep_loaded(const void* code_or_data) noexcept {
  Module module;
  if (!find_module(code_or_data, module) || *module.name == '\0') {
    return;
  }
  // Pairs with the release below: what is in the list is complete.
  for (const Kept* kept = all_kept.load(std::memory_order_acquire); kept != nullptr;
       kept = kept->next) {
    if (kept->base == module.base) {
      return;
    }
  }
  // The handle is not closed: so the module has one user more.
  if (dlopen(module.name, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE) != nullptr) {
    if (auto* kept = new (std::nothrow) Kept{module.base, nullptr}) {
      kept->next = all_kept.load(std::memory_order_relaxed);
      // Publishes it to the acquire above.
      while (!all_kept.compare_exchange_weak(kept->next, kept, std::memory_order_release,
                                             std::memory_order_relaxed)) {
      }
    }
  }
}

#else

bool is_static(const void* /*object*/) noexcept { return false; }
void keep_loaded(const void* /*code_or_data*/) noexcept {}

#endif

}  // namespace internal
}  // namespace v1
}  // namespace taskctx
