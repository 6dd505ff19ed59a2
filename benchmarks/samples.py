# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks have measured: read from their output, by name, with medians and intervals."""

import argparse
import json
import math
import statistics


# Where the times in the queue are: load in %, queue, benchmark, and what its counters begin with.
QUEUE_WAITS = tuple(
    (load, queue, name.format(load), prefix)
    for load in (50, 80, 95)
    for queue, name, prefix in (
        ("taskctx", "G19/queue_wait/taskctx/{}", ""),
        ("onetbb", "G19/queue_wait/taskctx/{}", "baseline_"),
        ("packaged_task", "queue_wait/packaged_task/{}", ""),
        ("async", "queue_wait/async/{}", ""),
    )
)


class Failure(Exception):
    """A sentence for the user."""


class Samples:
    """What was measured: for each benchmark, one value per repetition."""

    def __init__(self, merged):
        self._values = merged

    @classmethod
    def load(cls, paths):
        """Returns the samples, and the context of the first file."""
        merged = {}
        context = None
        for path in paths:
            with open(path, encoding="utf-8") as file:
                data = json.load(file)
            context = context or data["context"]
            for run in data["benchmarks"]:
                cls._add(merged, run)
        return cls(merged), context

    @staticmethod
    def _add(merged, run):
        if run.get("error_occurred"):
            raise Failure(f"{run['name']} failed: {run['error_message']}")
        if run["run_type"] != "iteration":
            return
        words = run["run_name"].split("/")
        is_real = "real_time" in words or "manual_time" in words
        name = "/".join(
            word
            for word in words
            if word not in ("real_time", "manual_time", "threads:1")
            and not word.startswith(("iterations:", "repeats:"))
        )
        if is_real and "threads:1" in words:
            name += "/threads:1"
        entry = merged.setdefault(name, {})
        entry.setdefault("ns", []).append(run["real_time" if is_real else "cpu_time"])
        known = ("real_time", "cpu_time", "iterations", "threads", "repetitions")
        for key, value in run.items():
            if isinstance(value, float) and key not in known:
                entry.setdefault(key, []).append(value)

    def get(self, name, key="ns"):
        """Returns the values, or None."""
        return self._values.get(name, {}).get(key)

    def of_first(self, operation, contenders):
        """Returns the times of the first of the contenders that was measured, or None."""
        for contender in contenders:
            values = self.get(operation["name"].format(contender=contender))
            if values:
                return values
        return None

    def to_json(self):
        return {
            name: {key: [float(f"{value:.6g}") for value in values] for key, values in entry.items()}
            for name, entry in sorted(self._values.items())
        }


def interval(values):
    """Returns the median, and the order statistics that enclose the true one in 95 % of cases."""
    ordered = sorted(values)
    count = len(ordered)
    reach = 1.96 * math.sqrt(count) / 2
    low = max(0, math.floor(count / 2 - reach))
    high = min(count - 1, math.ceil(count / 2 + reach) - 1)
    return statistics.median(ordered), ordered[low], ordered[high]


def parser_of_results(description):
    """Returns a parser of arguments for a program that shows results: what was measured, where and when."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", help="what the benchmarks wrote, as JSON")
    parser.add_argument("--context", action="append", default=[], metavar="KEY=VALUE")
    return parser


def load_results(arguments):
    """Returns the samples that the arguments name, the machine as the first file tells of it, and the context."""
    samples, machine = Samples.load(arguments.results)
    context = dict(item.split("=", 1) for item in arguments.context)
    context["compiler"] = machine["compiler"]
    return samples, machine, context
