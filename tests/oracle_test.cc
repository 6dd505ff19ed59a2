// SPDX-License-Identifier: Apache-2.0
//
// Python's own contextvars as the oracle: random programs run here and in oracle.py, and each
// operation must have the same outcome. The seed is printed, and taken from TASKCTX_TEST_SEED.
//
// A program is text, one operation to a line; v, c and t number variables, contexts and tokens:
//
//   var v [x]      declares a variable, with the default x
//   set v x t      t is the new token             get v [x]       with the default x
//   reset v t      with the token t               old t           what t knows
//   drop t         destroys t                     empty c         c is a new context
//   copy c         c is a snapshot                copy_of c d     c is a copy of d
//   find c v       contains c v                   size c          names c
//   equal c d      is_current c: does it equal the current one?
//   run c {        runs the lines up to "}" in c  thread {        in a thread of its own
//   bind {         twice, each in the snapshot    bind_to c {     twice, each in a copy of c
//   throw n        leaves n blocks

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "taskctx/errors.h"
#include "tests/any_variable.h"
#include "tests/oracle_programs.h"
#include "tests/oracle_world.h"

namespace {

using namespace taskctx;
using namespace taskctx_test;

// Runs the programs in Python and returns the outcomes, all in one.
Lines outcomes_in_python(const std::vector<Lines>& programs) {
  const std::string folder = testing::TempDir();
  std::ofstream input(folder + "/programs");
  for (const Lines& program : programs) {
    input << "program\n";
    std::copy(program.begin(), program.end(), std::ostream_iterator<std::string>(input, "\n"));
  }
  input.close();
  const std::string command =
      "python3 tests/oracle.py <'" + folder + "/programs' >'" + folder + "/outcomes'";
  if (std::system(command.c_str()) != 0) {
    throw std::runtime_error("cannot run: " + command);
  }
  std::ifstream output(folder + "/outcomes");
  Lines lines;
  for (std::string line; std::getline(output, line);) {
    lines.push_back(line);
  }
  return lines;
}

// Returns the first place where the outcomes differ, and how; an empty text if they are the same.
std::string difference(const Lines& ours, const Lines& pythons) {
  const auto [our, python] =
      std::mismatch(ours.begin(), ours.end(), pythons.begin(), pythons.end());
  if (our == ours.end() && python == pythons.end()) {
    return "";
  }
  const std::ptrdiff_t program = std::count(ours.begin(), our, "program") - 1;
  return "in program " + std::to_string(program) +
         "\n  taskctx: " + (our == ours.end() ? "nothing more" : *our) +
         "\n  Python:  " + (python == pythons.end() ? "nothing more" : *python);
}

bool ends_with(const std::string& line, const std::string& outcome) {
  return line.ends_with(" -> " + outcome);
}

class Oracle : public testing::Test {
 protected:
  static constexpr std::size_t kPrograms = 20;
  static constexpr std::size_t kOperations = 800;

  // Runs the programs once for all tests.
  static void SetUpTestSuite() {
    ProgramWriter generator(taskctx_test::test_seed());
    std::vector<Lines> programs(kPrograms);
    for (Lines& program : programs) {
      program = generator.program(kOperations);
      ours.emplace_back("program");
      const Lines outcomes = World(program).run();
      ours.insert(ours.end(), outcomes.begin(), outcomes.end());
    }
    pythons = outcomes_in_python(programs);
  }

  static inline Lines ours;
  static inline Lines pythons;
};

// M2
TEST_F(Oracle, RandomProgramsHaveTheSameOutcomesInPython) {
  EXPECT_EQ(difference(ours, pythons), "");
}

// M2: and each kind of misuse is among them, one operation in ten at least.
TEST_F(Oracle, ProgramsAreLongAndFullOfMisuse) {
  EXPECT_GE(ours.size(), 10'000U);
  std::ptrdiff_t misuses = 0;
  for (const char* misuse :
       {"LookupError", "used", "other variable", "other context", "cannot enter"}) {
    const std::ptrdiff_t count = std::count_if(
        ours.begin(), ours.end(), [&](const auto& line) { return ends_with(line, misuse); });
    EXPECT_GE(count, 20) << misuse;
    misuses += count;
  }
  EXPECT_GE(misuses, std::ssize(ours) / 10);
}

// M2: and the comparison would not miss one that differs.
TEST_F(Oracle, AnyOutcomeThatDiffersIsReported) {
  for (std::size_t at = 1; at < ours.size(); at += 97) {
    Lines perturbed = ours;
    perturbed[at] += "?";
    EXPECT_THAT(difference(perturbed, pythons), testing::HasSubstr("taskctx: " + perturbed[at]));
    perturbed.resize(at);
    EXPECT_THAT(difference(perturbed, pythons), testing::HasSubstr("taskctx: nothing more"));
  }
}

}  // namespace
