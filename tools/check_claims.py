#!/usr/bin/env python3
#
# Checks tests/claims.md against the tests, or prints the tests that prove a claim.
#
#   check_claims.py          says what is wrong
#   check_claims.py P9 J6    prints a line for each test: id, file, name
#
# Each row of the tables is `| id | claim |`, with the ids of a letter in order. The comment above a test carries
# the ids that it proves. A number that no row has is named in a line "Numbers without a claim: P5, T10–T19."

import itertools
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLAIMS = ROOT / "tests" / "claims.md"
TEST = re.compile(r"((?:^//.*\n)*)^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", re.MULTILINE)
CHECK = re.compile(r"((?:^#.*\n)+)^def (\w+)\(", re.MULTILINE)
ID = re.compile(r"\b(?:[PSDTVGJKM]\d+b?|F-[A-N]\d+)\b")
ROW = re.compile(r"^\| ([A-Z](?:-[A-Z])?\d+\w*) \| (.+) \|$", re.MULTILINE)
GAPS = re.compile(r"^Numbers without a claim: ([^.]*)", re.MULTILINE)
RANGE = re.compile(rf"({ID.pattern})(?:–({ID.pattern}))?")


def tests_with_ids():
    """Yields (file, name, the ids in the comment above) for each test."""
    tests = ROOT / "tests"
    for path in [*sorted(tests.glob("*.cc")), *sorted(tests.glob("compile_errors/*.cc"))]:
        for comment, suite, name in TEST.findall(path.read_text(encoding="utf-8")):
            yield path, f"{suite}.{name}", set(ID.findall(comment))
    for path in sorted(tests.glob("*_test.py")):
        for comment, name in CHECK.findall(path.read_text(encoding="utf-8")):
            yield path, name, set(ID.findall(comment))


def split(claim_id):
    """Returns ("T", 8, "b") for T8b."""
    letter, number, rest = re.fullmatch(r"(\D+)(\d+)(\w*)", claim_id).groups()
    return letter, int(number), rest


def numbers_without_a_claim(text):
    """Returns their ids, in order."""
    for line in GAPS.findall(text):
        for first, last in RANGE.findall(line):
            letter, begin, _ = split(first)
            for number in range(begin, split(last or first)[1] + 1):
                yield f"{letter}{number}"


def problems_of_ids(claims, gaps):
    for claim_id in sorted({i for i in claims if claims.count(i) > 1}):
        yield f"{claim_id} is listed twice"
    for one, next_one in itertools.pairwise(map(split, claims)):
        if one[0] == next_one[0] and one >= next_one:
            yield f"{next_one[0]}{next_one[1]}{next_one[2]} is out of order"
    last = {}
    for letter, number, _ in map(split, claims):
        last[letter] = max(number, last.get(letter, 0))
    missing = {f"{letter}{n}" for letter, most in last.items() for n in range(1, most + 1)} - set(claims)
    for claim_id in sorted(missing - set(gaps), key=split):
        yield f"{claim_id} is missing, and nothing says why"
    for claim_id in sorted(set(gaps) - missing, key=split):
        yield f"{claim_id} is said to be missing"


def problems(claims, gaps, tests):
    if not claims:
        yield "there is no claim in it"
    yield from problems_of_ids(claims, gaps)
    proven = set().union(*(ids for _, _, ids in tests))
    for claim_id in claims:
        if claim_id not in proven:
            yield f"{claim_id} has no test"
    for path, name, ids in tests:
        for claim_id in sorted(ids - set(claims)):
            yield f"{path.name}: {name} carries {claim_id}, which is not in the list"


def main(asked):
    tests = list(tests_with_ids())
    for claim_id in asked:
        found = [(path, name) for path, name, ids in tests if claim_id in ids]
        for path, name in found:
            print(claim_id, path.relative_to(ROOT), name)
        if not found:
            print(f"check_claims.py: no test carries {claim_id}", file=sys.stderr)
            return 1
    if asked:
        return 0
    text = CLAIMS.read_text(encoding="utf-8")
    claims = [claim_id for claim_id, _ in ROW.findall(text)]
    found = list(problems(claims, list(numbers_without_a_claim(text)), tests))
    for problem in found:
        print(f"tests/claims.md: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
