#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns the benchmarks' output into one merged JSON file, tables, a chart, and a verdict.

tools/bench_report.sh runs the benchmarks and calls this. What has to be reached is in goals.json.
"""

import json
import math
import os
import re
import statistics
import sys

from samples import QUEUE_WAITS, Failure, interval, load_results, parser_of_results

HERE = os.path.dirname(os.path.abspath(__file__))

# The clock rate at which limits in ns are meant: so long does a dependent add take there.
NS_OF_ADD = 0.31
ADD = "unit/dependent_add/cpu/1"

# How many times faster two threads have to be than one, at what has nothing in common, so that
# anything can be said about two threads: others may be using this machine.
ENOUGH_CORES = 1.7
ONE_THREAD = "unit/add_on_threads/cpu/1/threads:1"
TWO_THREADS = "unit/add_on_threads/cpu/1/threads:2"

PASS, UNCLEAR, MISS, MISSING = "pass", "within noise", "**miss**", "not measured"
BUSY = "cores busy"

# Columns of the table: heading, and the names of the contenders that stand there.
COLUMNS = (
    ("taskctx", ("taskctx",)),
    ("thread_local", ("thread_local", "thread_local_pointer")),
    ("thread_local, initialised at run time", ("thread_local_wrapper",)),
    ("parameter", ("parameter",)),
    ("shared_ptr to const map", ("shared_ptr_map",)),
    ("map, copied", ("map_copy",)),
    ("enumerable_thread_specific", ("enumerable_thread_specific",)),
)
QUEUE_NOTE = """p50 and p99: medians of turns of 500 jobs; p99.9: of all jobs. Late: how late jobs were submitted, which counts
as waiting. Stretched: how many jobs took twice as long as their work does, as somebody else had the core. In oneTBB's: the
median over pairs of turns."""
README_COLUMNS = ("taskctx", "thread_local", "shared_ptr to const map")


def measure(goal, samples, size, threads):
    """Returns the values that the goal is about, or None."""

    def values(key, counter="ns"):
        return samples.get(goal[key].format(n=size, t=threads), counter)

    kind = goal["measure"]
    if kind in ("ratio", "speedup"):
        ours, baseline = values("ours"), values("baseline")
        if not ours or not baseline:
            return None
        if kind == "speedup":
            ours, baseline = baseline, ours
        return [a / b for a, b in zip(ours, baseline)]
    if kind == "ns":
        ours, adds = values("ours"), samples.get(ADD)
        return [a * NS_OF_ADD / b for a, b in zip(ours, adds)] if ours and adds else None
    return values("ours", {"paired_ratio": "ratio"}.get(kind, kind))


def judge(goal, values, limit):
    """Returns (verdict, median, low, high)."""
    middle, low, high = interval(values)
    if limit is None:
        verdict = ""
    elif "least" in goal:
        verdict = PASS if middle >= limit else UNCLEAR if high >= limit else MISS
    elif "or_contains" in goal and low <= goal["or_contains"] <= high:
        verdict = PASS
    else:
        verdict = PASS if middle <= limit else UNCLEAR if low <= limit else MISS
    return verdict, middle, low, high


def cores_available(samples):
    """Returns how many times the throughput of one thread two threads had."""
    one, two = samples.get(ONE_THREAD), samples.get(TWO_THREADS)
    return statistics.median(a / b for a, b in zip(one, two)) if one and two else 2


def place(size, threads):
    if threads:
        return "1 thread" if threads == 1 else f"{threads} threads"
    return f"N = {size}" if size else ""


def evaluate(goals, samples):
    """Returns a row for each goal: the one of its sizes and threads that is worst."""
    rank = {PASS: 0, "": 0, BUSY: 1, UNCLEAR: 1, MISS: 2}
    cores = cores_available(samples)
    rows = []
    for goal in goals:
        worst = None
        for size in goal.get("sizes", [None]):
            limit = goal.get("most_by_size", {}).get(str(size), goal.get("most", goal.get("least")))
            for threads in goal.get("threads", [None]):
                values = measure(goal, samples, size, threads)
                if not values:
                    continue
                verdict, middle, low, high = judge(goal, values, limit)
                uses_threads = goal["measure"] == "speedup" or (threads or 1) > 1
                if verdict == MISS and uses_threads and cores < ENOUGH_CORES:
                    verdict = BUSY
                severity = (rank[verdict], middle / limit if limit else 0)
                if worst is None or severity > worst["severity"]:
                    worst = {
                        "id": goal["id"],
                        "text": goal["text"],
                        "at": place(size, threads),
                        "value": middle,
                        "low": low,
                        "high": high,
                        "limit": limit,
                        "is_least": "least" in goal,
                        "verdict": verdict,
                        "severity": severity,
                    }
        rows.append(worst or {"id": goal["id"], "text": goal["text"], "verdict": MISSING})
    return rows


def number(value):
    """Returns three digits of it, without an exponent."""
    if value == 0:
        return "0"
    value = float(f"{value:.3g}")
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def markdown_row(cells):
    return "| " + " | ".join(cells) + " |"


def markdown_table(heading, rows):
    align = ["---"] + ["---:"] * (len(heading) - 1)
    return "\n".join(markdown_row(line) for line in [heading, align, *rows])


def goals_table(rows):
    lines = []
    for row in rows:
        if row["verdict"] == MISSING:
            lines.append([row["id"], row["text"], "", "", "", MISSING])
            continue
        sign = "≥" if row["is_least"] else "≤"
        lines.append(
            [
                row["id"],
                row["text"] + (f" ({row['at']})" if row["at"] else ""),
                number(row["value"]),
                f"{number(row['low'])} – {number(row['high'])}",
                "" if row["limit"] is None else f"{sign} {number(row['limit'])}",
                row["verdict"],
            ]
        )
    table = markdown_table(["goal", "what", "measured", "95 %", "limit", "verdict"], lines)
    return table.replace("| ---: | ---: | ---: | ---: | ---: |", "| --- | ---: | ---: | ---: | --- |")


def median_or_dash(values):
    return number(statistics.median(values)) if values else "–"


def operations_table(data, samples):
    """Returns ns per operation: ours and each baseline, N = 8."""
    rows = []
    for operation in data["operations"]:
        cells = [samples.of_first(operation, names) for _, names in COLUMNS]
        if not cells[0]:
            continue
        ratio = "–"
        if cells[1]:
            ratio = number(interval([a / b for a, b in zip(cells[0], cells[1])])[0])
        rows.append([operation["label"], *map(median_or_dash, cells), ratio])
    heading = ["ns, 8 variables set", *(title for title, _ in COLUMNS), "taskctx / thread_local"]
    return markdown_table(heading, rows)


def readme_table(data, samples):
    """Returns what README.md shows of that: a few operations, and the first contenders."""
    columns = [column for column in COLUMNS if column[0] in README_COLUMNS]
    rows = []
    for operation in data["operations"]:
        if operation.get("readme"):
            cells = [samples.of_first(operation, names) for _, names in columns]
            rows.append([operation["label"], *map(median_or_dash, cells)])
    return markdown_table(["ns, 8 variables set", *(title for title, _ in columns)], rows)


def pairs_table(data, samples):
    rows = []
    for pair in data["pairs"]:
        if samples.get(pair["name"], "ratio"):
            middle, low, high = interval(samples.get(pair["name"], "ratio"))
            ours = statistics.median(samples.get(pair["name"], "ours_ns"))
            raw = statistics.median(samples.get(pair["name"], "baseline_ns"))
            spread = f"{number(low)} – {number(high)}"
            rows.append([pair["label"], number(ours), number(raw), number(middle), spread])
    return markdown_table(["ns, 2 threads", "taskctx", "oneTBB", "ratio of pairs", "95 %"], rows)


def queue_table(samples):
    """Returns the times in the queue, of ours with its ratios to oneTBB's, and of all others."""

    def cell(name, counter):
        values = samples.get(name, counter)
        return statistics.median(values) if values else None

    def ratio(name, counter):
        parts = [cell(name, counter + end) for end in ("", "_low", "_high")]
        return "" if None in parts else "{} ({} – {})".format(*map(number, parts))

    rows = []
    for load, queue, name, prefix in QUEUE_WAITS:
        if cell(name, prefix + "p50") is None:
            continue
        times = [number(cell(name, prefix + q) / 1000) for q in ("p50", "p99", "p999", "late_p50", "late_p99")]
        stretched = number(cell(name, prefix + "stretched") * 1000)
        ratios = [ratio(name, f"{q}_ratio") if queue == "taskctx" else "" for q in ("p50", "p99", "mean")]
        rows.append([f"{load} %", queue, *times, stretched, *ratios])
    heading = ["load", "µs", "p50", "p99", "p99.9", "late: p50", "late: p99", "stretched, ‰"]
    return markdown_table([*heading, *(f"{q}, in oneTBB's (95 %)" for q in ("p50", "p99", "mean"))], rows)


def growth_table(operations, sizes, what, samples):
    """Returns ns per operation, a column for each of the sizes."""
    rows = []
    for operation in operations:
        values = [samples.get(operation["name"].format(n=size)) for size in sizes]
        if all(values):
            rows.append([operation["label"], *(number(statistics.median(v)) for v in values)])
    return markdown_table(["ns", *(f"{what} = {size:,}" for size in sizes)], rows)


def document(data, samples, rows, context, instructions):
    parts = [
        "# Results",
        "\n".join(f"- {key}: {value}" for key, value in context.items()),
        "## Goals\n\nEach at the number of variables or threads where it is worst.",
        goals_table(rows),
        "## Every contender",
        operations_table(data, samples),
        "## On two threads, in pairs with oneTBB",
        pairs_table(data, samples),
        f"## Time in the queue\n\n{QUEUE_NOTE}",
        queue_table(samples),
        "## Growth with the number of variables that are set",
        growth_table(data["growth"], (1, 8, 32, 128, 1000), "N", samples),
        "## Growth with the depth of nesting",
        growth_table(data["depth"], (1, 8, 64), "depth", samples),
    ]
    if instructions:
        parts += ["## Instructions", instructions.strip()]
    return "\n\n".join(parts) + "\n"


def compact_json(value):
    """Returns JSON in which a list of numbers is one line."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return re.sub(r"\[\s+([-\d.e+,\s]+?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text)


def splice(path, parts):
    """Replaces what stands in the file between the markers of each part."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for name, part in parts.items():
        begin, end = f"<!-- bench:{name} -->", f"<!-- bench:{name} end -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise Failure(f"{path} has no place for the results: it needs the lines {begin} and {end}")
        head, tail = text.split(begin)[0], text.split(end)[1]
        text = f"{head}{begin}\n{part}\n{end}{tail}"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def splice_all(data, samples, stem):
    """Puts tables, and links to the results at `stem`, into the pages that show them."""

    def link(text, suffix, page):
        return f"[{text}]({os.path.relpath(stem + suffix, os.path.dirname(page))})"

    readme, page = os.path.join(HERE, "..", "README.md"), os.path.join(HERE, "README.md")
    chart = "!" + link("What operations cost, beside thread_local", ".svg", readme)
    chart += " ![taskctx beside other libraries](benchmarks/results/peers.svg)"  # By --peers.
    hop = "The whole hop is capture, install, read, restore and release."
    hop += f" All of this run: {link('results', '.md', readme)}; how it is measured, and what is missed and why:"
    hop += " [benchmarks](benchmarks/README.md)."
    splice(readme, {"results": f"{chart}\n\n{readme_table(data, samples)}\n\n{hop}"})
    parts = {
        "growth": growth_table(data["growth"], (1, 8, 32, 128, 1000), "N", samples),
        "queue": "!" + link("How long jobs wait in the queue", "-queue.svg", page),
    }
    splice(page, parts)


def parse_arguments():
    parser = parser_of_results(__doc__)
    parser.add_argument("--instructions", metavar="FILE", help="a table of instructions.py's")
    parser.add_argument("--output", metavar="STEM", help="write STEM.json, STEM.md and STEM.svg")
    parser.add_argument("--readme", action="store_true", help="also show them in the READMEs")
    return parser.parse_args()


def run(arguments):
    with open(os.path.join(HERE, "goals.json"), encoding="utf-8") as file:
        data = json.load(file)
    samples, _, context = load_results(arguments)
    rows = evaluate(data["goals"], samples)
    instructions = None
    if arguments.instructions:
        with open(arguments.instructions, encoding="utf-8") as file:
            instructions = file.read()

    text = document(data, samples, rows, context, instructions)
    print(text)
    if arguments.output:
        from chart import draw, draw_queue_waits  # Needs matplotlib, which only this does.

        rounded = [{k: v for k, v in row.items() if k != "severity"} for row in rows]
        with open(arguments.output + ".json", "w", encoding="utf-8") as file:
            merged = {"context": context, "goals": rounded, "benchmarks": samples.to_json()}
            file.write(compact_json(merged) + "\n")
        with open(arguments.output + ".md", "w", encoding="utf-8") as file:
            file.write(text)
        draw(data, samples, context, arguments.output + ".svg")
        draw_queue_waits(samples, context, arguments.output + "-queue.svg")
        if arguments.readme:
            splice_all(data, samples, os.path.abspath(arguments.output))
    return [row for row in rows if row["verdict"] == MISS]


def main():
    try:
        missed = run(parse_arguments())
    except (Failure, OSError) as failure:
        sys.exit(f"report.py: {failure}")
    for row in missed:
        print(f"missed: {row['id']} {row['text']}: {number(row['value'])}", file=sys.stderr)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
