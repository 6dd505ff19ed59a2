#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Foretells throughput on many cores from what operations write to shared cache lines.

    scale_model.py --counts=FILE [--chart=FILE.svg] [--readme] RESULT...

The counts are those of shared_writes.py, the results what the benchmarks wrote: tools/bench_report.sh brings them
together. README.md explains the model; in short: on n cores an operation takes the time that it takes on one, and
that which its shared lines take; and each line serves one core after the other.
"""

import dataclasses
import json
import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from report import markdown_table, splice  # noqa: E402
from samples import Failure, load_results, parser_of_results  # noqa: E402

CORES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

# How long a line is busy with an addition while others wait for it, in ns: 150.3 per addition and core on 16
# cores of a Graviton 2, and as much per core on 5 of them. (i7-6700HQ: 24, Graviton: 86.)
# T. Downs, A Concurrency Cost Hierarchy, 2020; results/g2-16/combined.csv of concurrency-hierarchy-bench.
BUSY = 9.4
# How long a line takes from one core to another, in ns: on an EPYC 7R13 within a group of 8 cores, from group to
# group, and from socket to socket. N. Viennot, core-to-core-latency, README.md, 2023.
NEAR, FAR, REMOTE = 23, 107, 197
GROUP, SOCKET = 8, 128  # Cores. (That EPYC has 48 in a socket; newer ones have up to 128 of this kind.)

# Objects of which a pool has several, each with a lock over its lines: how many with so many threads
# (kMostLanes of pool_life.cc). The counts are of a pool with two threads.
LANES = {"lane": lambda cores: 1 << (min(cores, 16).bit_length() - 1)}

# A line that fewer than one in ten operations touch belongs to one operation: nobody waits for it.
OWN = 0.1

# What is foretold: the title; the benchmark with its time on one thread and on two; then twice, for ours and for
# what it is compared with: what that is, and the counted operations that it consists of, if it shares any lines.
MODELS = (
    (
        "copy of a Context",
        "scale/copy/taskctx/8",
        ("one for all", ("copy",)),
        ("one per thread", ()),
    ),
    (
        "first write, among 8 strings",
        "scale/first_write/taskctx/8",
        ("one context for all", ("write_strings",)),
        ("one per thread", ()),
    ),
    (
        "leaf of a parallel_for",
        "G8/leaf/taskctx/8",
        ("taskctx", ("leaf",)),
        ("oneTBB", ("raw_leaf",)),
    ),
    (
        "task_group: run and execute",
        "scale/task/taskctx/8",
        ("taskctx", ("task", "task_body")),
        ("oneTBB", ("raw_task", "raw_task_body")),
    ),
    (
        "fan-out: post and run",
        "scale/post/taskctx/8",
        ("taskctx", ("post", "run_posted")),
        ("oneTBB's enqueue", ("raw_enqueue", "raw_run_enqueued")),
    ),
    (
        "submit and get, in a job",
        "scale/submit_get/taskctx/8",
        ("taskctx", ("submit_get_in_job",)),
        ("oneTBB's run and wait", ("raw_task", "raw_task_body")),
    ),
)


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a shared line costs: `per` a locked operation, or a transfer, `ns(cores)` each."""

    per: str
    ns: object


def distance(cores):
    """Returns the mean time of a line from another core, each of them as likely as the others."""
    near = min(cores, GROUP) - 1
    far = min(cores, SOCKET) - 1 - near
    remote = cores - 1 - near - far
    return (near * NEAR + far * FAR + remote * REMOTE) / (cores - 1)


# The two ends of what is foretold: lines stay near, and work on while others wait; or each line comes from
# another core, each time.
LEAST = Cost("locked", lambda _: BUSY)
MOST = Cost("transfers", distance)


def demands(operations, per, cores):
    """Returns how many of the accesses that cost something are to shared lines, and to the busiest of these."""
    total, busiest = 0, {}
    for each in (each for operation in operations for each in operation["objects"]):
        if max(each["busiest"].values()) < OWN:
            # Handed from one thread to another, perhaps: if so, it is fetched.
            total += each[per] if per == "transfers" else 0
            continue
        total += each[per]
        name = each["name"]
        most = each[per] / LANES[name](cores) if name in LANES else each["busiest"][per]
        busiest[name] = busiest.get(name, 0) + most
    return total, max(busiest.values(), default=0)


def throughput(operations, alone, cost, cores):
    """Returns operations per ns on so many cores; `alone`: ns of one on one core."""
    if cores == 1:
        return 1 / alone
    total, busiest = demands(operations, cost.per, cores)
    ns = cost.ns(cores)
    free = cores / (alone + total * ns)
    return min(free, 1 / (busiest * ns)) if busiest else free


@dataclasses.dataclass(frozen=True)
class Contender:
    """One line of the tables."""

    title: str
    name: str
    operations: list
    one: float  # ns per operation on one core.
    two: float  # Likewise on two.

    def foretold(self, costs, cores):
        """Returns the least and the most operations per ns."""
        return sorted(throughput(self.operations, self.one, cost, cores) for cost in costs)


def contenders(counts, get):
    """Returns all. `get(benchmark, key)`: the median of what was measured."""
    found = []
    for title, benchmark, *pair in MODELS:
        for (name, operations), key in zip(pair, ("ours_ns", "baseline_ns")):
            missing = [operation for operation in operations if operation not in counts]
            if missing:
                raise Failure(f"the counts lack {', '.join(missing)}: see shared_writes.py --onetbb")
            one, two = (get(f"{benchmark}/threads:{threads}", key) for threads in (1, 2))
            found.append(Contender(title, name, [counts[each] for each in operations], one, two))
    return found


def brief(value):
    """Returns two digits of it."""
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def span(low, high):
    return brief(high) if brief(low) == brief(high) else f"{brief(low)}–{brief(high)}"


def table(heading, rows):
    return markdown_table(heading, rows).replace("| --- | ---: |", "| --- | --- |", 1)


def prediction_table(found):
    """Returns throughput in that of one core, where lines cost the most and the least."""
    rows = [
        [
            each.title,
            each.name,
            *(span(*(x * each.one for x in each.foretold((LEAST, MOST), cores))) for cores in CORES[1:]),
        ]
        for each in found
    ]
    return table(["in one core's throughput, on cores:", "", *map(str, CORES[1:])], rows)


def check(found, get):
    """Returns what the model says of two cores of this machine, beside what was measured there."""
    add, hand_over = (get(f"scale/{name}/cpu/1/threads:2", "ns") for name in ("add", "hand_over"))
    here = (Cost("locked", lambda _: add), Cost("transfers", lambda _: hand_over))
    rows = []
    for each in found:
        high, low = (1 / x for x in each.foretold(here, 2))
        error = max(low / each.two, each.two / high)
        verdict = "yes" if error <= 1.1 else f"{brief(error)} ×"
        rows.append([each.title, each.name, brief(each.one), span(low, high), brief(each.two), verdict])
    heading = ["ns per operation of all", "", "one core", "two, foretold", "two, measured", "as foretold"]
    busy = " Others used the cores meanwhile: these figures say nothing." if hand_over > REMOTE else ""
    return (
        f"There, a line was busy for {brief(add)} ns per addition of two cores, and took {brief(hand_over)} ns "
        f"from one to the other.{busy}\n\n{table(heading, rows)}"
    )


def getter(samples):
    """Returns a function that returns the median of what a benchmark has measured."""

    def get(name, key):
        values = samples.get(name, key)
        if not values:
            raise Failure(f"the results have no {key} of {name}")
        return statistics.median(values)

    return get


def main():
    parser = parser_of_results(__doc__)
    parser.add_argument("--counts", required=True, metavar="FILE", help="of shared_writes.py --json")
    parser.add_argument("--chart", metavar="FILE", help="draw it there")
    parser.add_argument("--readme", action="store_true", help="put tables and chart into README.md")
    arguments = parser.parse_args()
    try:
        with open(arguments.counts, encoding="utf-8") as file:
            counts = json.load(file)
        samples, _, context = load_results(arguments)
        get = getter(samples)
        found = contenders(counts, get)
        parts = {"scale": prediction_table(found), "scale_check": check(found, get)}
        print(*parts.values(), sep="\n\n")
        if arguments.chart:
            from chart import draw_scale  # Needs matplotlib, which only this does.

            draw_scale(found, CORES, (LEAST, MOST), context, arguments.chart)
            link = os.path.relpath(arguments.chart, HERE)
            parts["scale"] = f"![Throughput on many cores]({link})\n\n{parts['scale']}"
        if arguments.readme:
            splice(os.path.join(HERE, "README.md"), parts)
    except (Failure, OSError) as failure:
        sys.exit(f"scale_model.py: {failure}")


if __name__ == "__main__":
    main()
