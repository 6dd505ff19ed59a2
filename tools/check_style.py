#!/usr/bin/env python3
#
# Checks the rules of the tree that no other tool knows: how files begin, how long they may be, where
# dangerous things may stand, what may include what, and what has no place in the project.

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OWN = ("lib", "include", "tests", "benchmarks", "tools")

# Longest allowed file, by the beginning of its path: the longest beginning counts. A file that is read as
# one whole has a line of its own.
CAPS = {
    "include": 500,
    "lib": 500,
    "tools": 400,
    "benchmarks": 400,
    "tests": 350,
    "tests/BUILD.bazel": 450,
    "tests/compile_errors": 450,
    "tests/everywhere.cc": 450,
    "tests/flow_kinds.h": 410,
    "tests/model_test.cc": 550,
    "tests/search_cli_test.py": 400,
    "tests/tbb_doors.h": 400,
    "README.md": 200,
}

# What may stand only in these files, or folders, of the library.
OWNERS = {
    r"\bthread_local\b(?!\W*$)": [
        "lib/core/activation.cc",
        "lib/core/ending.cc",
        "lib/core/ids.cc",
        "lib/core/node_memory.cc",
        "lib/core/thrown.cc",
        "lib/core/unguarded.cc",
        "lib/core/watch.cc",
        "lib/pool/pool_core.cc",
    ],
    r"#include <(?:oneapi/)?tbb": [
        "include/taskctx/tbb/",
        "include/taskctx/internal/tbb/",
        "include/taskctx/internal/pool/bulk_job.h",
        "include/taskctx/internal/pool/job_list.h",
        "lib/pool/pool_arena.cc",
        "lib/pool/pool_arena.h",
        "lib/pool/pool_registry.h",
        "include/taskctx/job_pool.h",
        "lib/pool/due_jobs.cc",
        "lib/pool/job_pool.cc",
        "lib/pool/job_life.cc",
        "lib/tbb/lost_context_canary.cc",
        "lib/pool/pool_life.cc",
        "lib/pool/pool_core.cc",
        "lib/pool/pool_registry.cc",
        "lib/pool/pool_relief.cc",
        "lib/pool/pool_shells.cc",
    ],
    r"#include <coroutine>": [
        "include/taskctx/context_promise.h",
        "include/taskctx/coro.h",
        "include/taskctx/generator.h",
        "include/taskctx/internal/coro/coroutine_job.h",
        "include/taskctx/internal/coro/flow.h",
        "include/taskctx/internal/coro/join_awaiter.h",
        "include/taskctx/internal/coro/owned_coroutine.h",
        "include/taskctx/internal/coro/suspension.h",
        "include/taskctx/task.h",
    ],
}

# Each floor of the library, and those that it may use. A floor is a Bazel target, a folder of lib/ and
# one of include/taskctx/internal/; BUILD.bazel says which public headers it has.
FLOORS = {
    "core": [],
    "bind": ["core"],
    "dict": ["core"],
    "testing": ["core", "cancel"],
    "cancel": ["core"],
    "tbb": ["core", "cancel", "bind"],
    "pool": ["core", "cancel"],
    "coro": ["core", "cancel", "pool"],
}
FLOOR_OF_TARGET = {"context": "core", "job_pool": "pool"}  # Others have the same name.

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
    # The formatter breaks a line of a list in a comment that is too long.
    for broken in re.findall(r"^ *// ([a-z]+(?: [a-z]+)?)\n *//   ", text, re.MULTILINE):
        yield f"has a comment that the formatter has broken, at '{broken}'"
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
    count = text.count("\n")
    cap = CAPS.get(max(filter(name.startswith, CAPS), key=len, default=None))
    if cap and count > cap and (name in CAPS or not name.endswith((".md", ".json", ".svg"))):
        yield f"has {count} lines, more than {cap}"
    if name != "tools/check_style.py":
        for pattern, what in FORBIDDEN.items():
            if re.search(pattern, text):
                yield f"holds {what}"
    if name.endswith((".cc", ".h")):
        yield from problems_of_cpp(name, text)


def floors_of_public_headers():
    text = (ROOT / "BUILD.bazel").read_text()
    floors = {}
    for target in re.findall(r"^cc_library\(\n(.*?)^\)", text, re.MULTILINE | re.DOTALL):
        name = re.search(r'name = "(\w+)"', target)[1]
        for header in re.findall(r'"include/(taskctx/[\w/]+\.h)"', target):
            floors[header] = FLOOR_OF_TARGET.get(name, name)
    return floors


def includes_of_library():
    """Yields (file, the file that it includes), both as in #include."""
    for folder, start in (("include", "include/"), ("lib", "")):
        for path in sorted((ROOT / folder).rglob("*.[ch]*")):
            name = path.relative_to(ROOT).as_posix().removeprefix(start)
            for included in re.findall(r'^#include "(.*)"$', path.read_text(), re.MULTILINE):
                if included.startswith(("taskctx/", "lib/")):
                    yield name, included


def circles(arrows):
    """Returns one list of nodes for each circle: the strongly connected ones (Tarjan)."""
    number, low, stack, found = {}, {}, [], []

    def visit(node):
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in sorted(arrows.get(node, ())):
            if other not in number:
                visit(other)
            low[node] = min(low[node], low[other] if other in stack else low[node])
        if low[node] == number[node]:
            group = [stack.pop()]
            while group[-1] != node:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(arrows):
        if node not in number:
            visit(node)
    return found


def problems_of_includes():
    """Arrows run down: from floor to floor, and within one from unit to unit. A unit is a header and
    the source of its name."""
    public = floors_of_public_headers()

    def floor_of(name):
        folder = re.match(r"(?:taskctx/internal|lib)/(\w+)/", name)
        return folder[1] if folder else public.get(name)

    arrows = {}
    for name, included in includes_of_library():
        here, there = floor_of(name), floor_of(included)
        if here is None or there is None:
            yield f"{included if here else name}: belongs to no target of BUILD.bazel"
        elif here != there and there not in FLOORS[here]:
            yield f"{name}: is on the floor '{here}', and includes {included} of '{there}'"
        unit, other = ((floor_of(n), pathlib.PurePath(n).stem) for n in (name, included))
        if unit != other:
            arrows.setdefault(unit, set()).add(other)
    for circle in circles(arrows):
        yield "include each other in a circle: " + ", ".join("/".join(unit) for unit in circle)


def problems_of_page():
    """lib/README.md names all files that users don't see, and nothing that is not there."""
    page = (ROOT / "lib/README.md").read_text()
    paths = [p for folder in OWN for p in (ROOT / folder).rglob("*") if p.suffix in (".cc", ".h")]
    known = {p.name for p in paths} | {p.stem for p in paths} | {"benchmarks", "instructions_test"}
    for path in paths:
        if path.is_relative_to(ROOT / "lib") or path.is_relative_to(ROOT / "include"):
            known.update(re.findall(r"\w+", path.read_text()))
            name = path.relative_to(ROOT).as_posix()
            is_own = name.startswith(("lib/", "include/taskctx/internal/"))
            if is_own and not re.search(rf"\b{path.stem}\b", page):
                yield f"lib/README.md: does not name {name}"
    for code in re.findall(r"`([^`\n]+)`", page):
        for name in re.findall(r"\w+\.(?:cc|h)\b|(?<![./])\b\w+\b(?!\.sh)", code):
            if name not in known and not code.startswith("tools/"):
                yield f"lib/README.md: names '{name}', which is nowhere"


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
    for problem in [*problems_of_includes(), *problems_of_page()]:
        print(problem, file=sys.stderr)
        found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
