// SPDX-License-Identifier: Apache-2.0
//
// A bounded queue between two pools of threads: readers put the texts of several requests into it,
// counters take them out, whosever they are. Every line of the log carries its request's id.
//
//   queue.push(Text{path, content});                    // with the context of the request
//   item.run([](Text& text) { log(text, words(text)); });  // in it, on a thread of the other pool
//
//   text_queue                          // texts of its own
//   text_queue /usr/share/doc /etc      // one request for each folder

#include <oneapi/tbb/concurrent_queue.h>
#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "taskctx/carried.h"
#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"

namespace {

inline taskctx::ContextVar<std::string> request_id{"request_id", "no request"};

std::mutex log_mutex;
std::vector<std::string> log_lines;

void log(const std::string& message) {  // Needs no parameter for the id.
  const std::lock_guard lock(log_mutex);
  log_lines.push_back("[" + request_id.get() + "] " + message);
}

struct Text {
  std::string name;
  std::string content;
};

// A text, or nothing: then there are no more. It waits at 16 of them, whoever is faster.
using Item = taskctx::Carried<std::optional<Text>>;
class Queue : public oneapi::tbb::concurrent_bounded_queue<Item> {
 public:
  Queue() { set_capacity(16); }
};

std::ptrdiff_t words(const std::string& text) {
  std::istringstream stream(text);
  return std::distance(std::istream_iterator<std::string>(stream), {});
}

// A thread of the second pool. It works for all requests, and has no id of its own.
void count(Queue& queue) {
  for (;;) {
    Item item;
    queue.pop(item);
    if (!item.value()) {
      return;
    }
    item.run([](const std::optional<Text>& text) {
      log(text->name + ": " + std::to_string(words(text->content)) + " words");
    });
  }
}

void read_folder(const std::string& folder, Queue& queue) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           folder, std::filesystem::directory_options::skip_permission_denied)) {
    if (std::error_code error; entry.is_regular_file(error) && !error) {
      std::ifstream file(entry.path(), std::ios::binary);
      queue.push(Text{entry.path().string(), {std::istreambuf_iterator<char>(file), {}}});
    }
  }
}

void read_own(const std::string& request, Queue& queue) {
  for (int i = 1; i <= 3; ++i) {
    queue.push(Text{"text " + std::to_string(i), "A text of " + request + " that is short."});
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> folders(argv + 1, argv + argc);
  std::erase_if(folders, [](const auto& folder) { return !std::filesystem::is_directory(folder); });
  Queue queue;
  std::array<std::thread, 4> counters;
  for (std::thread& counter : counters) {
    counter = std::thread(count, std::ref(queue));
  }
  {
    taskctx::JobPool readers{{.concurrency = 4}};
    const auto read = [&](const std::string& id, auto function) {
      const taskctx::Scope scope{request_id, id};
      readers.post([function, id, &queue] { function(id, queue); });
    };
    for (const std::string& folder : folders) {
      read(folder, read_folder);
    }
    if (folders.empty()) {
      for (const char* id : {"req-1", "req-2", "req-3"}) {
        read(id, read_own);
      }
    }
  }  // All have been read.
  for (std::size_t i = 0; i < counters.size(); ++i) {
    queue.push(std::nullopt);
  }
  for (std::thread& counter : counters) {
    counter.join();
  }
  std::sort(log_lines.begin(), log_lines.end());
  for (const std::string& line : log_lines) {
    std::cout << line << '\n';
  }
}
