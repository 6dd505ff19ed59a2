#!/usr/bin/env python3
#
# Checks what a user reads who has written something wrong.
#
#   compile_errors_test.py FILE...
#
# Each FILE holds what its snippets have in common, and then the snippets: each a TEST, with what the
# compiler is to say of it in the comment above:
#
#   // J90
#   // error: a part of the first error | or, as another compiler says it
#   // lines: 12
#   TEST(ScopeErrors, AValueIsMissing) { taskctx::Scope scope{user}; }
#
# `only:` a pattern of the compilers (their name and version) that are asked; the default is all.
# `error:` it does not compile, `warning:` it does, with that warning (-Wall), `silent:` nothing is said, under
# all the warnings that we know. `lines:` how many there may be, of everything that is said (default:
# 20). Every compiler at hand is asked: g++, clang++-16, and CC's.

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from compilers import LANGUAGE, STRICT, compilers

SNIPPET = re.compile(r"((?:^//.*\n)+)^TEST\((\w+), (\w+)\)", re.MULTILINE)
EXPECTED = re.compile(r"^// (error|warning|silent):[ ]?(.*)$", re.MULTILINE)
LINES = re.compile(r"^// lines: (\d+)$", re.MULTILINE)
ONLY = re.compile(r"^// only: (.+)$", re.MULTILINE)
DEFAULT_LINES = 20


def run(command):
    environment = {**os.environ, "LC_ALL": "C"}
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, check=False
    )
    return result.returncode, result.stdout


def full_name(compiler):
    """Returns "g++ 12.2.0" or "clang++ 16.0.6"."""
    _, version = run([compiler, "-dumpfullversion" if "g++" in compiler and "clang" not in compiler else "-dumpversion"])
    return f"{'clang++' if 'clang' in compiler else 'g++'} {version.strip()}"


def precompile(compiler, header):
    """Precompiles `header` and returns the options that use it."""
    if "clang" in compiler:
        output = f"{header}.{compiler}.pch"
        use = ["-include-pch", output]
    else:
        output = f"{header}.gch"
        use = ["-include", str(header)]
    status, said = run([compiler, *LANGUAGE, "-x", "c++-header", str(header), "-o", output])
    if status != 0:
        raise RuntimeError(f"{compiler}: the beginning of {header.name} does not compile:\n{said}")
    return use


class Snippet:
    def __init__(self, file, comment, name, text, line):
        self.name = name
        self.code = f'#line {line} "{file}"\n{text}'
        expected = EXPECTED.search(comment)
        if expected is None:
            raise RuntimeError(f"{file}: {name}: the comment does not say what is expected")
        self.kind, self.sentence = expected.groups()
        only = ONLY.search(comment)
        self.only = re.compile(only.group(1) if only else "")
        limit = LINES.search(comment)
        self.limit = int(limit.group(1)) if limit else DEFAULT_LINES

    def problem(self, compiler, status, said):
        """Returns what is wrong with what the compiler has said, or None."""
        lines = said.splitlines()
        if self.kind == "silent":
            wrong = "something is said" if status != 0 or lines else None
        elif (status != 0) != (self.kind == "error"):
            wrong = "it does not compile" if status != 0 else "it compiles"
        else:
            # What g++ calls "sorry, ..." or a mere "note" is no answer.
            first = next((line for line in lines if f"{self.kind}: " in line), "nothing")
            if not any(sentence in first for sentence in self.sentence.split(" | ")):
                wrong = f"the first {self.kind} does not say '{self.sentence}'"
            elif len(lines) > self.limit:
                wrong = f"{len(lines)} lines are more than {self.limit}"
            else:
                return None
        return wrong and f"{compiler}: {self.name}: {wrong}:\n{said}"


def snippets_of(path, folder):
    """Returns the file's snippets, and writes what they have in common to a header."""
    text = path.read_text(encoding="utf-8")
    found = list(SNIPPET.finditer(text))
    header = folder / f"{path.stem}.h"
    header.write_text(text[: found[0].start()], encoding="utf-8")
    ends = [match.start() for match in found[1:]] + [len(text)]
    snippets = []
    for match, end in zip(found, ends):
        line = text.count("\n", 0, match.start()) + 1
        comment, suite, name = match.groups()
        snippets.append(Snippet(path, comment, f"{suite}.{name}", text[match.start() : end], line))
    return header, snippets


def check(compiler, use, snippet, folder):
    source = folder / f"{snippet.name}.cc"
    if not source.exists():
        source.write_text(snippet.code, encoding="utf-8")
    warnings = STRICT if snippet.kind == "silent" else ["-Wall"]
    if "clang" not in compiler:
        # It takes a snippet for a header, because of #line, and a lambda in a coroutine for a mistake there.
        warnings = [*warnings, "-Wno-subobject-linkage"]
    status, said = run([compiler, *LANGUAGE, *warnings, *use, "-fsyntax-only", str(source)])
    return snippet.problem(compiler, status, said)


def main(files):
    chosen = compilers()
    if not chosen:
        print("compile_errors_test.py: there is no compiler", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as temporary:
        folder = pathlib.Path(temporary)
        parts = [snippets_of(pathlib.Path(file), folder) for file in files]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            full_names = {compiler: full_name(compiler) for compiler in chosen}
            pairs = [(compiler, part) for part in parts for compiler in chosen]
            uses = [pool.submit(precompile, compiler, header) for compiler, (header, _) in pairs]
            answers = [
                pool.submit(check, compiler, use.result(), snippet, folder)
                for (compiler, (_, snippets)), use in zip(pairs, uses)
                for snippet in snippets
                if snippet.only.match(full_names[compiler])
            ]
            problems = [answer.result() for answer in answers]
    wrong = [problem for problem in problems if problem]
    for problem in wrong:
        print(problem)
    print(f"{len(problems) - len(wrong)} of {len(problems)} are as expected ({', '.join(chosen)})")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
