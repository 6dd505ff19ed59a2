# SPDX-License-Identifier: Apache-2.0
"""Shows what peers_bench has measured, taskctx beside other libraries, as a table and a chart.

    peers.py [--chart=FILE.svg] [--readme] RESULT...

tools/bench_report.sh --peers runs the benchmarks and calls this.
"""

import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from report import markdown_table, number, splice  # noqa: E402
from samples import Failure, load_results, parser_of_results  # noqa: E402

# Heading of a column, and name.
CONTENDERS = (
    ("taskctx", "taskctx"),
    ("OpenTelemetry: RuntimeContext", "opentelemetry"),
    ("Boost.Fiber: fiber_specific_ptr", "boost_fiber"),
    ("boost::thread_specific_ptr", "boost_thread"),
    ("Qt: QThreadStorage", "qt"),
    ("thread_local", "thread_local"),
)
OPERATIONS = (
    ("get", "get"),
    ("set for a block, and restore", "scope"),
    ("capture and release", "capture_release"),
    ("whole hop of a task", "hop"),
    ("submit and get, from outside", "round_trip"),
    ("submit and get, in a job", "round_trip_in_job"),
)


def measured(samples):
    """Returns the contenders that were measured: heading, and the samples of each operation or None."""
    found = []
    for heading, contender in CONTENDERS:
        values = [samples.get(f"peers/{operation}/{contender}/8") for _, operation in OPERATIONS]
        if any(values):
            found.append((heading, values))
    return found


def table(contenders):
    """Returns the medians, in ns."""
    rows = []
    for row, (label, _) in enumerate(OPERATIONS):
        cells = [values[row] for _, values in contenders]
        rows.append([label, *(number(statistics.median(cell)) if cell else "–" for cell in cells)])
    return markdown_table(["ns, 8 variables set", *(heading for heading, _ in contenders)], rows)


def main():
    parser = parser_of_results(__doc__)
    parser.add_argument("--chart", metavar="FILE", help="draw it there")
    parser.add_argument("--readme", action="store_true", help="put table and chart into README.md")
    arguments = parser.parse_args()
    try:
        samples, machine, context = load_results(arguments)
        contenders = measured(samples)
        where = ", ".join(context.get(key, "") for key in ("cpu", "date", "compiler"))
        note = f"Medians of {context.get('repetitions', '')} repetitions."
        if addition := samples.get("peers/atomic_add/1"):
            note = f"{note[:-1]}; an atomic addition took {number(statistics.median(addition))} ns."
        text = f"{table(contenders)}\n\n{note} {machine['peers']}{where}."
        print(text)
        if arguments.chart:
            from chart import draw_peers  # Needs matplotlib, which only this does.

            draw_peers([label for label, _ in OPERATIONS], contenders, context, arguments.chart)
            text = f"![taskctx beside other libraries]({os.path.relpath(arguments.chart, HERE)})\n\n{text}"
        if arguments.readme:
            splice(os.path.join(HERE, "README.md"), {"peers": text})
    except (Failure, OSError) as failure:
        sys.exit(f"peers.py: {failure}")


if __name__ == "__main__":
    main()
