#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the instructions of taskctx's operations under valgrind, and holds them against limits.

Unlike times, these counts are the same at every run on any machine.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

# A context with more variables is a tree, which is further away: limits for those have a suffix.
WIDE = 62
WIDE_SUFFIX = "_wide"

# An operation that is counted as what it adds to another.
BASES = {"leaf": "raw_leaf", "index": "raw_index", "task": "raw_task", "carried": "raw_carried"}


class Failure(Exception):
    """A sentence for the user."""


def count(program):
    """Returns the compiler, and {(operation, size): instructions of one operation}.

    The loop and the call around it are taken off: they are what "nothing" costs.
    """
    if shutil.which("valgrind") is None:
        raise Failure("valgrind is not installed: tools/setup.sh --dev installs it")
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind")
        run = subprocess.run(
            [
                "valgrind",
                "--tool=callgrind",
                "--callgrind-out-file=" + out,
                "--zero-before=bench::begin*",
                "--dump-after=bench::measured*",
                program,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode != 0:
            raise Failure(f"{program} failed under valgrind:\n{run.stderr}")
        raw = {}
        compiler, *lines = run.stdout.splitlines()
        for number, line in enumerate(lines, start=1):
            operation, size, times = line.split()
            with open(f"{out}.{number}", encoding="ascii") as file:
                total = re.search(r"^(?:summary|totals): (\d+)", file.read(), re.MULTILINE)
            raw[operation, int(size), int(times)] = int(total.group(1))

    counts = {}
    for operation, size, times in raw:
        if (operation, size, 2 * times) in raw:
            more = raw[operation, size, 2 * times] - raw[operation, size, times]
            counts[operation, size] = more / times
    for (operation, size), value in list(counts.items()):
        base = BASES.get(operation, "nothing")
        if not operation.startswith("raw_") and operation != "nothing":
            counts[operation, size] = value - counts[base, size]
    for operation, size in list(counts):
        if operation == "nothing" or operation.startswith("raw_"):
            del counts[operation, size]
    return compiler, counts


def limits_for(compiler, kind, is_pic):
    """Returns {operation: the most that it may take}."""
    with open(os.path.join(HERE, "goals.json"), encoding="utf-8") as file:
        data = json.load(file)["instructions"]
    limits = data[kind]
    if not compiler.startswith("g++"):
        limits = {name: pair for name, pair in limits.items() if pair == data["goals"].get(name)}
    return {name: pair[is_pic] for name, pair in limits.items()}


def limit_of(limits, operation, size):
    """Returns the limit of an operation with so many variables, or None."""
    if size > WIDE and operation + WIDE_SUFFIX in limits:
        operation += WIDE_SUFFIX
    return limits.get(operation)


def table(counts, limits):
    """Returns a Markdown table, a line for each operation and a column for each size."""
    sizes = sorted({size for _, size in counts})
    operations = list(dict.fromkeys(operation for operation, _ in counts))
    lines = [
        "| instructions | " + " | ".join(f"N = {size}" for size in sizes) + " | limit |",
        "|---|" + "---:|" * (len(sizes) + 1),
    ]
    for operation in operations:
        cells = [f"{counts[operation, size]:.4g}" for size in sizes]
        shown = dict.fromkeys(limit_of(limits, operation, size) for size in sizes)
        text = ", ".join(str(limit) for limit in shown if limit is not None)
        lines.append(f"| {operation} | {' | '.join(cells)} | {text} |")
    return "\n".join(lines)


def excesses(counts, limits):
    """Returns a sentence for each operation that costs more than its limit."""
    sentences = []
    for (operation, size), value in counts.items():
        limit = limit_of(limits, operation, size)
        if limit is not None and value > limit:
            sentences.append(f"{operation} with N = {size} takes {value:.4g} instructions, the limit is {limit}")
    return sentences


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True, help="the program //benchmarks:instructions")
    parser.add_argument("--pic-program", help="the same, compiled with -fPIC")
    parser.add_argument("--limits", choices=("guards", "goals"), default="guards")
    arguments = parser.parse_args()

    wrong = []
    try:
        for title, program, is_pic in (
            ("in a program", arguments.program, False),
            ("with -fPIC", arguments.pic_program, True),
        ):
            if program is not None:
                compiler, counts = count(program)
                limits = limits_for(compiler, arguments.limits, is_pic)
                print(f"{compiler}, {title}:\n\n{table(counts, limits)}\n", flush=True)
                wrong += [f"{title}, {excess}" for excess in excesses(counts, limits)]
    except Failure as failure:
        sys.exit(f"instructions.py: {failure}")
    for sentence in wrong:
        print(f"instructions.py: {sentence}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
