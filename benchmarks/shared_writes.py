#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts what taskctx's operations write to cache lines that two threads share, and names the lines.

    shared_writes.py                            the table; fails if a count is above its limit
    shared_writes.py --onetbb --readme --renew  makes the counts the limits, and shows them in README.md

The counts are the same at every run: see counting.h.
"""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, HERE)

from report import markdown_table, splice  # noqa: E402
from samples import Failure  # noqa: E402

# Operations in the order of the table, and what they are. Those of two groups: by one thread for another.
OPERATIONS = {
    "add": "std::atomic::fetch_add, for comparison",
    "copy": "copy of a Context, and its end",
    "capture": "capture and release",
    "bound_call": "call of a bound callable",
    "get_int": "get, int",
    "get_string": "get, string",
    "write_ints": "first write in a task, among 8 ints; its end",
    "write_beside_strings": "first write in a task, of an int beside 8 strings; its end",
    "write_strings": "first write in a task, of one of 8 strings; its end",
    "shared_load": "Shared::load",
    "shared_update": "Shared::update",
    "cancelled": "cancelled(), no scope",
    "cancelled_in_scope": "cancelled(), in a scope",
    "cancelled_in_job": "cancelled(), in a job",
    "cancel_scope": "CancelScope",
    "cancel_scope_in_scope": "CancelScope, in a scope",
    "cancel_scope_in_job": "CancelScope, in a job",
    "leaf": "leaf of a parallel_for, beside oneTBB's",
    "task": "task_group.run, beside oneTBB's",
    "task_body": "its task, run by wait(), beside oneTBB's",
    "resume": "resume and suspend of a coroutine, by hand",
    "submit": "submit",
    "run": "run of the job *",
    "job_get": "get of its result *",
    "submit_nothing_set": "submit, nothing set",
    "run_nothing_set": "run of the job *, nothing set",
    "post": "post",
    "run_posted": "run of the job *",
    "submit_then": "submit and then",
    "run_with_then": "run of a job or its continuation *",
    "spawn": "spawn of a coroutine",
    "run_spawned": "run of the coroutine *",
    "spawned_get": "get of its result *",
    "submit_get_in_job": "submit and get, in a job",
    "yield": "yield: suspend, queue and resume",
    "submit_await": "submit and co_await",
}
# Operations that are counted as what they add to another.
BASES = {"leaf": "raw_leaf", "task": "raw_task", "task_body": "raw_task_body"}
# What oneTBB does of its own: only where it was compiled to be counted, too.
RAW_OPERATIONS = {
    "raw_enqueue": "task_arena::enqueue",
    "raw_run_enqueued": "run of the task *",
    "raw_task": "task_group::run",
    "raw_task_body": "its task, run by wait()",
    "raw_leaf": "leaf of a parallel_for",
}

# What an object is called whose line has been written by a function that matches. The first that
# matches one of the line's functions. A line that none matches has its function's name.
OBJECTS = (
    ("job", r"\bJobState::JobState|\b(Coroutine|Then)Job\b"),
    ("coroutine", r"\bFlow\b|\bonce\b"),
    ("pool's count", r"\bExecutor::(add_ref|release)"),
    ("node's count", r"\b(add_ref|drop_ref|release)\(taskctx::v1::internal::Node\*\)"),
    ("atomic", r"\badd_one\b"),
    ("box's count", r"\b(add_ref|release)\(taskctx::v1::internal::Box\*\)"),
    ("lane", r"\bLaneLock\b|\bJobList\b|\bPoolCore::(push_queued|count_ended|add_submitted)"),
    ("Shared", r"\blayer\.(h|cc)\b|\bShared\b|\bCellHandle\b"),
    ("link", r"Link\b"),
    ("pool", r"\bPoolCore\b"),
    ("queue of tasks", r"\btask_stream"),
    ("small_object_pool", r"\bsmall_object_pool"),
    ("arena", r"\barena::|\bwaitable_atomic\b"),
    ("task", r"\bd1::task|enqueue_task"),
)
# The compiler that limits of lines fetched are meant for.
COMPILER = "g++ 12."

IS_SHARED, LOCKED, ATOMIC_STORES, STORES, LOADS, TRANSFERS = range(3, 9)


def run(program, libraries=""):
    """Returns the compiler, and a list of {operation: what was done at each place to each line}.

    The program takes shared libraries from the folder `libraries` first, if that is given.
    """
    environment = {**os.environ, **({"LD_LIBRARY_PATH": libraries} if libraries else {})}
    done = subprocess.run(
        [program], capture_output=True, text=True, check=False, timeout=300, env=environment
    )
    if done.returncode != 0:
        raise Failure(f"{program} failed:\n{done.stderr}")
    compiler, *lines = done.stdout.splitlines()
    return compiler, [json.loads(line) for line in lines]


def functions_at(places):
    """Returns {(file, offset): (function, source) there}, where the function is the innermost one of
    taskctx or oneTBB: not one of the standard library that was inlined into it.
    """
    offsets_of = collections.defaultdict(set)
    for path, offset in places:
        offsets_of[path].add(offset)
    found = {}
    for path, offsets in offsets_of.items():
        # The offset is where the call returns to; the call is before that.
        text = "\n".join(hex(offset - 1) for offset in sorted(offsets))
        command = ["addr2line", "--exe", path, "--addresses", "--inlines", "--functions", "--demangle"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
        frames = []
        for line in done.stdout.splitlines():
            if re.fullmatch(r"0x[0-9a-f]+", line):
                frames = found.setdefault((path, int(line, 16) + 1), [])
            else:
                frames.append(line)
    return {place: innermost(list(zip(lines[::2], lines[1::2]))) for place, lines in found.items()}


def innermost(frames):
    for pattern in (r"(^|/)(lib|taskctx|benchmarks)/", r"/tbb/"):
        for function, source in frames:
            if re.search(pattern, source) and not source.startswith(("/usr/include/c++", "/usr/lib")):
                return function, source
    return frames[0]


def name_of(functions):
    """Returns the name of an object whose line these functions have written."""
    for name, pattern in OBJECTS:
        if any(re.search(pattern, function + " " + source) for function, source in functions):
            return name
    function = min(functions)[0]
    return "`" + re.sub(r"\(.*|<.*|taskctx::|v1::|internal::|\(anonymous namespace\)::", "", function) + "`"


def summary(groups):
    """Returns {operation: what it does on average}.

    objects: what it shares; for all lines of each, and for the busiest of these.
    """
    functions = functions_at(
        {(site[1], site[2]) for group in groups for each in group.values() for site in each["sites"]}
    )
    operations = {}
    for group in groups:
        places_of = collections.defaultdict(set)
        for operation in group.values():
            for line, path, offset, _, locked, atomic_stores, stores, *_ in operation["sites"]:
                if locked + atomic_stores + stores:
                    places_of[line].add((path, offset))
        for name, operation in group.items():
            laps = operation["laps"]
            counts = collections.Counter()
            lines = collections.defaultdict(lambda: [0, 0, 0])
            for site in operation["sites"]:
                stores = site[ATOMIC_STORES] + site[STORES]
                counts["locked"] += site[LOCKED]
                counts["stores"] += stores
                counts["loads"] += site[LOADS]
                counts["transfers"] += site[TRANSFERS]
                if site[IS_SHARED]:
                    counts["shared_locked"] += site[LOCKED]
                    counts["shared_stores"] += stores
                    for i, value in enumerate((site[LOCKED], stores, site[TRANSFERS])):
                        lines[site[0]][i] += value
            objects = {}
            for line, values in lines.items():
                name_of_line = name_of([functions[place] for place in places_of[line]])
                per_operation = {key: value / laps for key, value in zip(("locked", "stores", "transfers"), values)}
                entry = objects.setdefault(
                    name_of_line,
                    {"name": name_of_line, "lines": 0, **dict.fromkeys(per_operation, 0), "busiest": {}},
                )
                entry["lines"] += 1
                for key, value in per_operation.items():
                    entry[key] += value
                    entry["busiest"][key] = max(entry["busiest"].get(key, 0), value)
            operations[name] = {
                **{key: counts[key] / laps for key in
                   ("locked", "shared_locked", "stores", "shared_stores", "loads", "transfers")},
                "objects": sorted(objects.values(), key=lambda each: (-each["locked"], -each["stores"], each["name"])),
            }
    return operations


def number(value):
    """Returns it with one digit behind the point, if that is not 0."""
    return f"{value:.1f}".removesuffix(".0")


def lines_of(operation):
    """Returns the names of the shared lines that it writes, the busiest ones first."""
    texts = []
    for each in operation["objects"]:
        parts = [number(each["locked"])] if each["locked"] >= 0.05 else []
        parts += [f"{number(each['stores'])} stores"] if each["stores"] >= 0.05 else []
        if parts:
            texts.append(f"{each['name']} {' + '.join(parts)}")
    return ", ".join(texts)


def table(operations, titles):
    """Returns a Markdown table, a line for each operation that has a title."""
    rows = []
    for name, title in titles.items():
        if name in operations:
            one = operations[name]
            counts = added(operations, name, ("locked", "shared_locked", "shared_stores", "transfers"))
            rows.append([title, *map(number, counts), lines_of(one)])
    heading = ["per operation", "locked", "of these on shared lines", "stores to shared lines",
               "lines fetched", "the shared lines"]
    return markdown_table(heading, rows).replace("---: |\n", "--- |\n", 1)


def added(operations, name, keys):
    """Returns these counts of an operation: of what it adds to its base, if it has one."""
    base = operations.get(BASES.get(name), {})
    counts = [round(operations[name][key] - base.get(key, 0), 1) for key in keys]
    return [int(count) if count.is_integer() else count for count in counts]


def guarded(operations):
    """Returns {operation: [locked operations, those on shared lines, lines fetched]}."""
    return {name: added(operations, name, ("locked", "shared_locked", "transfers")) for name in OPERATIONS}


def excesses(counts, limits, compiler):
    """Returns a sentence for each count that is above its limit.

    Compilers differ in the order of their accesses, and so in how often they fetch a line.
    """
    kinds = ["locked operations", "of them on shared lines", "lines fetched"]
    if not compiler.startswith(COMPILER):
        del kinds[2]
    if set(counts) != set(limits):
        return ["the operations are not those of goals.json: see --renew"]
    if counts["add"] != [1, 1, 1]:
        return ["accesses are not counted: was the program compiled with -fsanitize=thread?"]
    return [
        f"{name}: {number(count)} {what}, the limit is {number(limit)}"
        for name in counts
        for count, limit, what in zip(counts[name], limits[name], kinds)
        if count > limit
    ]


def renewed(text, counts):
    """Returns the text of goals.json, with these counts as limits."""
    lines = [f'    "{name}": {json.dumps(each)}' for name, each in counts.items()]
    block = '"shared_writes": {\n' + ",\n".join(lines) + "\n  }"
    text, found = re.subn(r'"shared_writes": \{[^}]*\}', lambda _: block, text)
    if found != 1:
        raise Failure('goals.json needs one object "shared_writes"')
    return text


def run_with_onetbb(program):
    """Returns what summary() does, where oneTBB's own library is counted, too."""
    done = subprocess.run(["tools/tsan_tbb.sh"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    archive = os.path.join(done.stdout.strip(), "libtbb.a")
    with tempfile.TemporaryDirectory() as folder:
        library = os.path.join(folder, "libtbb.so.12")
        command = ["c++", "-shared", "-o", library, "-Wl,-soname,libtbb.so.12", "-Wl,--whole-archive",
                   archive, "-Wl,--no-whole-archive", "-ldl", "-pthread"]  # fmt: skip
        subprocess.run(command, check=True)
        return summary(run(program, folder)[1])


def built():
    """Builds the program, and returns where it is."""
    bazel = os.environ.get("BAZEL", "tools/bazel.sh").split()
    subprocess.run([*bazel, "build", "//benchmarks:shared_writes"], check=True, cwd=ROOT)
    return os.path.join(ROOT, "bazel-bin", "benchmarks", "shared_writes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--program", help="//benchmarks:shared_writes; or else it is built")
    parser.add_argument("--onetbb", action="store_true", help="also count oneTBB: tools/tsan_tbb.sh compiles it")
    parser.add_argument("--renew", action="store_true", help="make the counts the limits in goals.json")
    parser.add_argument("--readme", action="store_true", help="put the tables into README.md")
    parser.add_argument("--json", metavar="FILE", help="write the counts there")
    arguments = parser.parse_args()

    goals = os.path.join(HERE, "goals.json")
    wrong = []
    try:
        program = arguments.program or built()
        compiler, groups = run(program)
        operations = summary(groups)
        counts = guarded(operations)
        tables = {"shared_writes": table(operations, OPERATIONS)}
        if arguments.onetbb:
            raw = run_with_onetbb(program)
            operations.update({name: raw[name] for name in (*RAW_OPERATIONS, "leaf", "task", "task_body")})
            tables["shared_writes_onetbb"] = table(raw, RAW_OPERATIONS)
        print(compiler, *tables.values(), sep="\n\n", flush=True)
        with open(goals, encoding="utf-8") as file:
            text = file.read()
        if arguments.renew:
            with open(goals, "w", encoding="utf-8") as file:
                file.write(renewed(text, counts))
        else:
            wrong = excesses(counts, json.loads(text)["shared_writes"], compiler)
        if arguments.readme:
            splice(os.path.join(HERE, "README.md"), tables)
        if arguments.json:
            with open(arguments.json, "w", encoding="utf-8") as file:
                json.dump(operations, file, indent=1)
    except (Failure, OSError, subprocess.SubprocessError) as failure:
        sys.exit(f"shared_writes.py: {failure}")
    for sentence in wrong:
        print(f"shared_writes.py: {sentence}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
