#!/usr/bin/env python3
#
# Checks the rules of the tree that no other tool knows: how files begin, how long they may be, where
# dangerous things may stand, and what has no place in the project.

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OWN = ("lib", "include", "tests", "benchmarks", "tools")

# Longest allowed file, by the beginning of its path.
CAPS = {"include": 500, "lib": 500, "tools": 400, "benchmarks": 400, "tests": 700, "README.md": 200}

# What may stand only in these files, or folders, of the library.
OWNERS = {
    r"\bthread_local\b(?!\W*$)": ["lib/current.cc", "lib/ending.cc", "lib/node_memory.cc"],
    r"#include <(?:oneapi/)?tbb": [
        "include/taskctx/tbb/",
        "include/taskctx/internal/blocking_call.h",
        "include/taskctx/internal/bulk.h",
        "include/taskctx/internal/loop_call.h",
        "include/taskctx/internal/pool_core.h",
        "include/taskctx/internal/pool_registry.h",
        "include/taskctx/job_pool.h",
        "lib/due_jobs.cc",
        "lib/job_pool.cc",
        "lib/job_state.cc",
        "lib/lost_context_canary.cc",
        "lib/pool_control.cc",
        "lib/pool_core.cc",
        "lib/pool_registry.cc",
        "lib/pool_relief.cc",
    ],
    r"#include <coroutine>": [
        "include/taskctx/context_promise.h",
        "include/taskctx/coro.h",
        "include/taskctx/generator.h",
        "include/taskctx/internal/coroutine_job.h",
        "include/taskctx/internal/flow.h",
        "include/taskctx/internal/owned_coroutine.h",
        "include/taskctx/internal/suspension.h",
        "include/taskctx/task.h",
    ],
}

FORBIDDEN = {
    r"(?:/work|/root|/home)/": "a path of somebody's machine",
    r"\b(?:TODO|FIXME)\b[:(]": "unfinished work",
}


def problems_of_cpp(name, text):
    lines = text.split("\n")
    is_sample = name.startswith("tests/readme/")  # Printed in README.md as it is.
    if lines[0] != "// SPDX-License-Identifier: Apache-2.0" and not is_sample:
        yield "does not begin with the licence's line"
    if name.endswith(".h"):
        prefix = "TASKCTX_" if name.startswith("include/") else ""
        stem = pathlib.PurePath(name).stem.upper()
        if not re.search(rf"^#ifndef ({prefix}(?:\w+_)?{stem}_H_)\n#define \1\n", text, re.MULTILINE):
            yield f"has no include guard {prefix}..._{stem}_H_"
        if len(lines) < 3 or not lines[2].startswith("// "):
            yield "does not say in its first lines what it is for"
    if name.startswith(("lib/", "include/")):
        code = "\n".join(line for line in lines if not line.lstrip().startswith("//"))
        for pattern, owners in OWNERS.items():
            if not name.startswith(tuple(owners)) and re.search(pattern, code):
                yield f"holds what belongs in {', '.join(owners)}: {pattern}"
    if name.startswith("include/"):
        for macro in re.findall(r"^#define (\w+)", text, re.MULTILINE):
            if not macro.endswith("_H_") and macro != "TASKCTX_VERSION":
                yield f"defines the macro {macro}"
    if name.startswith("tests/") and re.search(r"(?<!taskctx::)\bu?sleep(?:_for|_until)?\(", text):
        yield "sleeps: use a latch"


def problems_of(name, text):
    for start, cap in CAPS.items():
        count = text.count("\n")
        if name.startswith(start) and count > cap and not name.endswith((".md", ".json", ".svg")):
            yield f"has {count} lines, more than {cap}"
    if name == "README.md" and text.count("\n") > CAPS[name]:
        yield f"has more than {CAPS[name]} lines"
    if name != "tools/check_style.py":
        for pattern, what in FORBIDDEN.items():
            if re.search(pattern, text):
                yield f"holds {what}"
    if name.endswith((".cc", ".h")):
        yield from problems_of_cpp(name, text)


def files():
    for path in sorted(ROOT.iterdir()):
        if path.is_file() and path.name != ".git":  # A file in a linked work tree.
            yield path
    for folder in OWN:
        for path in sorted((ROOT / folder).rglob("*")):
            parts = path.relative_to(ROOT).parts
            if path.is_file() and not any(p.startswith(("bazel-", "__py")) for p in parts):
                yield path


def main():
    found = 0
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # A picture.
        for problem in problems_of(name, text):
            print(f"{name}: {problem}", file=sys.stderr)
            found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
