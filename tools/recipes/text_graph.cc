// SPDX-License-Identifier: Apache-2.0
//
// A flow graph that reads and counts the texts of several requests, all mixed. Every line of the
// log carries its request's id, from whichever node.
//
//   const taskctx::Scope scope{request_id, "req-1"};
//   names.activate();  // all that this node sends belongs to req-1, on its way through the graph
//
//   text_graph                          // texts of its own
//   text_graph /usr/share/doc /etc      // one request for each folder

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "taskctx/context_var.h"
#include "taskctx/scope.h"
#include "taskctx/tbb/flow_graph.h"

namespace {

namespace flow = taskctx::tbb::flow;

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

// Reads, counts and logs the texts whose names it gets, at most 16 at once.
class Counting {
 public:
  explicit Counting(flow::graph& graph)
      : names_(graph),
        at_most_(graph, 16),
        read_(graph, flow::unlimited, &read),
        count_(graph, flow::unlimited, [](const Text& text, Ports& ports) {
          std::istringstream stream(text.content);
          const auto words = std::distance(std::istream_iterator<std::string>(stream), {});
          log(text.name + ": " + std::to_string(words) + " words");
          std::get<0>(ports).try_put(flow::continue_msg());
        }) {
    flow::make_edge(names_, at_most_);
    flow::make_edge(at_most_, read_);
    flow::make_edge(read_, count_);
    flow::make_edge(flow::output_port<0>(count_), at_most_.decrementer());
  }

  flow::receiver<std::string>& in() { return names_; }

 private:
  using Count = flow::multifunction_node<Text, std::tuple<flow::continue_msg>>;
  using Ports = Count::output_ports_type;

  static Text read(const std::string& name) {
    std::ifstream file(name, std::ios::binary);
    if (!file) {
      return {name, "A text of " + request_id.get() + " that is short."};
    }
    return {name, {std::istreambuf_iterator<char>(file), {}}};
  }

  flow::queue_node<std::string> names_;
  flow::limiter_node<std::string> at_most_;
  flow::function_node<std::string, Text> read_;
  Count count_;
};

// Returns a function that gives the names of a request's texts, one after the other.
auto names_of(std::vector<std::string> names) {
  return [names = std::move(names),
          next = std::size_t{0}](taskctx::tbb::flow_control& control) mutable -> std::string {
    if (next == names.size()) {
      control.stop();
      return {};
    }
    return names[next++];
  };
}

std::vector<std::string> files_of(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           folder, std::filesystem::directory_options::skip_permission_denied)) {
    if (std::error_code error; entry.is_regular_file(error) && !error) {
      files.push_back(entry.path().string());
    }
  }
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) {
      std::cerr << "text_graph: '" << argv[i] << "' is not a folder\n";
      return 2;
    }
  }
  flow::graph graph;
  Counting counting(graph);
  std::vector<std::unique_ptr<flow::input_node<std::string>>> requests;
  const auto begin = [&](const std::string& id, const std::vector<std::string>& names) {
    const taskctx::Scope scope{request_id, id};
    requests.push_back(std::make_unique<flow::input_node<std::string>>(graph, names_of(names)));
    flow::make_edge(*requests.back(), counting.in());
    requests.back()->activate();
  };
  for (int i = 1; i < argc; ++i) {
    begin(argv[i], files_of(argv[i]));
  }
  if (argc == 1) {
    for (const char* id : {"req-1", "req-2", "req-3"}) {
      begin(id, {"text 1", "text 2", "text 3"});
    }
  }
  graph.wait_for_all();
  std::sort(log_lines.begin(), log_lines.end());
  for (const std::string& line : log_lines) {
    std::cout << line << '\n';
  }
}
