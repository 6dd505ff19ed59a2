// SPDX-License-Identifier: Apache-2.0
//
// Loads a plugin that lies beside the test's own program:
//
//   const Plugin plugin("libguest.so");
//   plugin.call<int()>("guest_number")();

#ifndef TASKCTX_TESTS_PLUGINS_LOAD_H_
#define TASKCTX_TESTS_PLUGINS_LOAD_H_

#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

namespace taskctx_test {

class Plugin {
 public:
  explicit Plugin(const std::string& name) : path_(folder() + name) {
    handle_ = dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ == nullptr) {
      throw std::runtime_error(dlerror());
    }
  }
  Plugin(Plugin&& other) noexcept
      : path_(std::move(other.path_)), handle_(std::exchange(other.handle_, nullptr)) {}
  Plugin& operator=(Plugin&&) = delete;
  ~Plugin() { close(); }

  // Finds one of its functions with C linkage.
  template <typename F>
  [[nodiscard]] F* call(const char* name) const {
    void* function = dlsym(handle_, name);
    if (function == nullptr) {
      throw std::runtime_error(dlerror());
    }
    return reinterpret_cast<F*>(function);
  }

  // Unloads it, if nothing keeps it.
  void close() {
    if (handle_ != nullptr) {
      (void)dlclose(std::exchange(handle_, nullptr));
    }
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  // Tells whether it is in the process.
  [[nodiscard]] bool is_loaded() const {
    void* handle = dlopen(path_.c_str(), RTLD_NOW | RTLD_NOLOAD);
    return handle != nullptr && dlclose(handle) == 0;
  }

 private:
  static std::string folder() {
    std::array<char, 4096> path{};
    const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
    const std::string program(path.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
    return program.substr(0, program.rfind('/') + 1);
  }

  std::string path_;
  void* handle_ = nullptr;
};

}  // namespace taskctx_test

#endif  // TASKCTX_TESTS_PLUGINS_LOAD_H_
