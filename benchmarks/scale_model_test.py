#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of scale_model.py and of shared_writes.py: names are claims."""

import json
import os
import sys
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import scale_model as model  # noqa: E402
import shared_writes as shared  # noqa: E402
from samples import Failure, Samples  # noqa: E402

TEN = model.Cost("locked", lambda _: 10)
FETCH = model.Cost("transfers", lambda _: 10)


def operation(*objects):
    """Returns one as summary() does; objects: (name, locked, transfers, both of the busiest line)."""
    return {
        "objects": [
            {"name": name, "locked": locked, "stores": 0, "transfers": transfers, "busiest": busiest}
            for name, locked, transfers, busiest in objects
        ]
    }


COUNT = operation(("count", 2, 1, {"locked": 2, "stores": 0, "transfers": 1}))
LANE = operation(("lane", 2, 4, {"locked": 0.5, "stores": 3, "transfers": 1}))
JOB = operation(("job", 3, 5, {"locked": 0.02, "stores": 0.05, "transfers": 0.03}))


class ThroughputTest(unittest.TestCase):
    def test_one_core_pays_for_nothing_that_is_shared(self):
        self.assertEqual(model.throughput([COUNT], 5, TEN, 1), 1 / 5)

    def test_what_shares_nothing_grows_with_the_cores(self):
        self.assertEqual(model.throughput([operation()], 5, TEN, 64), 64 / 5)

    def test_accesses_to_shared_lines_take_time(self):
        self.assertEqual(model.throughput([COUNT], 1000, TEN, 2), 2 / (1000 + 2 * 10))
        self.assertEqual(model.throughput([COUNT], 1000, FETCH, 2), 2 / (1000 + 1 * 10))

    def test_a_line_serves_one_core_after_the_other(self):
        for cores in (64, 128):
            self.assertEqual(model.throughput([COUNT], 5, TEN, cores), 1 / 20)

    def test_lines_of_operations_that_go_together_add_up(self):
        self.assertEqual(model.throughput([COUNT, COUNT], 5, TEN, 64), 1 / 40)

    def test_a_lane_is_locked_as_a_whole_and_there_are_as_many_as_threads_up_to_16(self):
        for cores, lanes in ((2, 2), (3, 2), (16, 16), (64, 16)):
            self.assertEqual(model.demands([LANE], "transfers", cores), (4, 4 / lanes))

    def test_nobody_waits_for_an_operations_own_lines_but_they_are_fetched(self):
        self.assertEqual(model.demands([JOB], "locked", 64), (0, 0))
        self.assertEqual(model.demands([JOB], "transfers", 64), (5, 0))


class DistanceTest(unittest.TestCase):
    def test_cores_of_one_group_are_near(self):
        self.assertEqual([model.distance(cores) for cores in (2, 8)], [model.NEAR, model.NEAR])

    def test_each_other_core_is_as_likely(self):
        self.assertAlmostEqual(model.distance(9), (7 * model.NEAR + 1 * model.FAR) / 8)
        self.assertAlmostEqual(
            model.distance(256), (7 * model.NEAR + 120 * model.FAR + 128 * model.REMOTE) / 255
        )


class TablesTest(unittest.TestCase):
    def setUp(self):
        names = {name for _, _, *pair in model.MODELS for _, names in pair for name in names}
        self.counts = {name: COUNT for name in names}

    @staticmethod
    def measured(name, key):
        if name == "scale/add/cpu/1/threads:2":
            return 10
        if name == "scale/hand_over/cpu/1/threads:2":
            return 40
        return 100 if name.endswith("threads:1") else {"ours_ns": 65, "baseline_ns": 100}[key]

    def test_the_check_says_whether_two_cores_did_as_foretold(self):
        copy = [each for each in model.contenders(self.counts, self.measured) if each.title.startswith("copy")]
        rows = model.check(copy, self.measured).splitlines()[-2:]
        # One for all: (100 + 2 * 10) / 2 to (100 + 40) / 2. One per thread: 100 / 2.
        self.assertEqual(rows[0], "| copy of a Context | one for all | 100 | 60–70 | 65 | yes |")
        self.assertEqual(rows[1], "| copy of a Context | one per thread | 100 | 50 | 100 | 2 × |")

    def test_the_check_says_if_the_cores_were_busy(self):
        copy = model.contenders(self.counts, self.measured)[:1]
        self.assertNotIn("say nothing", model.check(copy, self.measured))
        self.assertIn("say nothing", model.check(copy, lambda *_: 1 + model.REMOTE))

    def test_predictions_are_in_one_cores_throughput(self):
        copy = model.contenders(self.counts, self.measured)[1]
        self.assertTrue(
            model.prediction_table([copy]).endswith("| one per thread | 2 | 4 | 8 | 16 | 32 | 64 | 128 | 256 |")
        )

    def test_counts_without_onetbbs_are_refused(self):
        del self.counts["raw_enqueue"]
        with self.assertRaisesRegex(Failure, "raw_enqueue"):
            model.contenders(self.counts, self.measured)

    def test_results_without_a_benchmark_are_refused(self):
        get = model.getter(Samples({"a": {"ours_ns": [3, 1, 2]}}))
        self.assertEqual(get("a", "ours_ns"), 2)
        with self.assertRaisesRegex(Failure, "no ns of a"):
            get("a", "ns")


class CountsTest(unittest.TestCase):
    LIMITS = {"add": [1, 1, 1], "copy": [2, 2, 1]}

    def test_a_count_above_its_limit_is_an_excess(self):
        self.assertEqual(shared.excesses(self.LIMITS, self.LIMITS, "g++ 12.2.0"), [])
        self.assertEqual(
            shared.excesses({"add": [1, 1, 1], "copy": [2, 3, 1]}, self.LIMITS, "g++ 12.2.0"),
            ["copy: 3 of them on shared lines, the limit is 2"],
        )

    def test_a_count_below_its_limit_is_none(self):
        self.assertEqual(shared.excesses({"add": [1, 1, 1], "copy": [0, 0, 0]}, self.LIMITS, "g++ 12.2.0"), [])

    def test_lines_fetched_are_limited_for_one_compiler_only(self):
        counts = {"add": [1, 1, 1], "copy": [2, 2, 2]}
        self.assertEqual(len(shared.excesses(counts, self.LIMITS, "g++ 12.2.0")), 1)
        for compiler in ("g++ 14.2.0", "clang 16.0.6"):
            self.assertEqual(shared.excesses(counts, self.LIMITS, compiler), [])

    def test_a_program_that_counts_nothing_does_not_pass(self):
        counts = {"add": [0, 0, 0], "copy": [0, 0, 0]}
        self.assertRegex(shared.excesses(counts, self.LIMITS, "g++ 12.2.0")[0], "not counted")

    def test_an_operation_without_a_limit_does_not_pass(self):
        self.assertRegex(shared.excesses({**self.LIMITS, "new": [0, 0, 0]}, self.LIMITS, "g++ 12.2.0")[0], "--renew")

    def test_renewed_limits_are_the_counts_and_nothing_else_changes(self):
        text = '{"a": [1],\n  "shared_writes": {\n    "copy": [9, 9, 9]\n  },\n  "b": {}}'
        self.assertEqual(
            json.loads(shared.renewed(text, {"copy": [2, 2, 1]})),
            {"a": [1], "shared_writes": {"copy": [2, 2, 1]}, "b": {}},
        )
        with self.assertRaises(Failure):
            shared.renewed("{}", {})

    def test_what_wraps_onetbb_is_counted_beside_it(self):
        operations = {"leaf": {"locked": 3.0}, "raw_leaf": {"locked": 1.0}, "copy": {"locked": 2.5}}
        self.assertEqual(shared.added(operations, "leaf", ["locked"]), [2])
        self.assertEqual(shared.added(operations, "copy", ["locked"]), [2.5])

    def test_accesses_are_added_up_by_the_object_of_their_line(self):
        # Two laps: line 1 is shared, and written in two places; line 2 belongs to one thread.
        sites = [
            [1, "program", 10, 1, 2, 0, 0, 4, 2],
            [1, "program", 20, 1, 2, 2, 4, 0, 0],
            [2, "program", 30, 0, 2, 0, 6, 0, 0],
        ]
        names = {
            ("program", 10): ("taskctx::v1::internal::add_ref(taskctx::v1::internal::Node*)", "node.h"),
            ("program", 20): ("taskctx::v1::internal::NodeRef::f()", "node.h"),
            ("program", 30): ("g()", "lib/g.cc"),
        }
        with mock.patch.object(shared, "functions_at", lambda places: {place: names[place] for place in places}):
            copy = shared.summary([{"copy": {"laps": 2, "sites": sites}}])["copy"]
        self.assertEqual((copy["locked"], copy["shared_locked"]), (3, 2))
        self.assertEqual((copy["stores"], copy["shared_stores"], copy["loads"], copy["transfers"]), (6, 3, 2, 1))
        self.assertEqual(shared.lines_of(copy), "node's count 2 + 3 stores")
        self.assertEqual(copy["objects"][0]["busiest"], {"locked": 2, "stores": 3, "transfers": 1})

    def test_a_line_that_no_pattern_knows_has_its_functions_name(self):
        function = "taskctx::v1::internal::CallbackThreads::start(int)"
        self.assertEqual(shared.name_of([(function, "x.cc")]), "`CallbackThreads::start`")

    def test_the_innermost_function_that_is_not_the_librarys_counts(self):
        frames = [
            ("std::__atomic_base<int>::fetch_add(int)", "/usr/include/c++/12/bits/atomic_base.h:1"),
            ("f()", "lib/core/f.cc:1"),
            ("g()", "lib/core/g.cc:1"),
        ]
        self.assertEqual(shared.innermost(frames), ("f()", "lib/core/f.cc:1"))


if __name__ == "__main__":
    unittest.main()
