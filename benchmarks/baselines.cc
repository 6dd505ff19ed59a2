// SPDX-License-Identifier: Apache-2.0
//
// What must not be seen by the compiler of the loops: the thread_locals and their initial values.

#include "benchmarks/baselines.h"

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

namespace bench {
namespace {

std::unique_ptr<int[]> make_values(std::size_t size) {
  auto values = std::make_unique<int[]>(size);
  for (std::size_t i = 0; i < size; ++i) {
    values[i] = value_of(i, size);
  }
  return values;
}

Map make_map(std::size_t size) {
  Map map;
  for (std::size_t i = 0; i < size; ++i) {
    map.emplace(i, value_of(i, size));
  }
  return map;
}

}  // namespace

constinit thread_local int thread_local_int = 0;
constinit thread_local int thread_local_ints[kMaxSize] = {};
thread_local DynamicInts dynamic_ints;
constinit thread_local SharedMap::Captured SharedMap::current;
thread_local Map MapCopy::current;
constinit thread_local const int* ThreadLocalPointer::current = nullptr;
constinit thread_local const int* ThreadLocalTwoWords::current = nullptr;
constinit thread_local const void* ThreadLocalTwoWords::current_owner = nullptr;
thread_local std::string thread_local_string;

ThreadLocal::ThreadLocal(std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    thread_local_ints[i] = value_of(i, size);
  }
  thread_local_int = value_of(size / 2, size);
}

DynamicInts::DynamicInts() = default;

ThreadLocalWrapper::ThreadLocalWrapper(std::size_t size) : middle_(size / 2) {
  for (std::size_t i = 0; i < size; ++i) {
    dynamic_ints.values[i] = value_of(i, size);
  }
}

Parameter::Parameter(std::size_t size) : middle_(size / 2), values_(make_values(size)) {
  keep(values_.get());
}

SharedMap::SharedMap(std::size_t size) : middle_(size / 2) {
  current = std::make_shared<Map>(make_map(size));
}

MapCopy::MapCopy(std::size_t size) : middle_(size / 2) { current = make_map(size); }

Ets::Ets(std::size_t size) : middle_(size / 2) {
  for (std::size_t i = 0; i < size; ++i) {
    values_.emplace_back().local() = value_of(i, size);
  }
}

ThreadLocalPointer::ThreadLocalPointer(std::size_t size)
    : middle_(size / 2), values_(make_values(size)) {
  current = values_.get();
}

ThreadLocalTwoWords::ThreadLocalTwoWords(std::size_t size)
    : middle_(size / 2), values_(make_values(size)) {
  current = values_.get();
  current_owner = this;
}

}  // namespace bench
