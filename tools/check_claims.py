#!/usr/bin/env python3
#
# Checks tests/claims.md against the tests.
#
# Each row of its tables is `| id | claim | tests |`, where tests are `Suite.Name` in back-ticks, or
# `file.function` of a test in Python. Every id has at least one test; every test named exists, and its
# comment carries the id; and every id in a test's comment is in the list.

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEST = re.compile(r"((?:^//.*\n)*)^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", re.MULTILINE)
CHECK = re.compile(r"((?:^#.*\n)+)^def (\w+)\(", re.MULTILINE)
ID = re.compile(r"\b(?:[PSDTVGJM]\d+b?|F-[A-M]\d+)\b")
ROW = re.compile(r"^\| ([A-Z][\w-]*) \| (.+) \| (.*) \|$")


def tests_with_ids():
    """Returns {"Suite.Name", or "file.function": the ids in the comment above the test}."""
    found = {}
    tests = ROOT / "tests"
    for path in [*sorted(tests.glob("*.cc")), *sorted(tests.glob("compile_errors/*.cc"))]:
        for comment, suite, name in TEST.findall(path.read_text(encoding="utf-8")):
            found[f"{suite}.{name}"] = set(ID.findall(comment))
    for path in sorted(tests.glob("*_test.py")):
        for comment, name in CHECK.findall(path.read_text(encoding="utf-8")):
            found[f"{path.stem}.{name}"] = set(ID.findall(comment))
    return found


def main():
    tests = tests_with_ids()
    problems = []
    claims = {}
    for line in (ROOT / "tests" / "claims.md").read_text(encoding="utf-8").splitlines():
        row = ROW.match(line)
        if row is None:
            continue
        claim_id, _, proof = row.groups()
        if claim_id in claims:
            problems.append(f"{claim_id} is listed twice")
        claims[claim_id] = re.findall(r"`([\w.]+)`", proof)

    if not claims:
        problems.append("there is no claim in it")
    for claim_id, proofs in claims.items():
        if not proofs:
            problems.append(f"{claim_id} has no test")
        for proof in proofs:
            if proof not in tests:
                problems.append(f"{claim_id} names a test that does not exist: {proof}")
            elif claim_id not in tests[proof]:
                problems.append(f"the comment of {proof} does not carry {claim_id}")
    for test, ids in tests.items():
        for claim_id in sorted(ids - claims.keys()):
            problems.append(f"{test} carries {claim_id}, which is not in the list")

    for problem in problems:
        print(f"tests/claims.md: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
