#!/usr/bin/env python3
#
# Checks that the public headers mean the same in whichever order they are included.
#
#   header_order_test.py FOLDER SAMPLES
#
# FOLDER holds the headers; SAMPLES uses all of them and includes none. The samples compile after all
# headers in one order, and in its reverse: so each pair of headers comes in both orders. And the same
# symbols come out: a name that one header declares where another's code would find it first makes two
# types of one. Every compiler at hand is asked: g++, clang++-16, and CC's.

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

LANGUAGE = ["-std=c++20", "-Iinclude", "-I."]
BESIDE = ["<gtest/gtest.h>", "<benchmark/benchmark.h>"]  # Other libraries' names, where they are installed.


def compilers():
    """Returns the names of the compilers that are installed, each once."""
    names = ["g++", "clang++-16"]
    if "CC" in os.environ:
        names.append(re.sub(r"gcc(?=[^/]*$)", "g++", re.sub(r"clang(?=[^/]*$)", "clang++", os.environ["CC"])))
    found = {os.path.realpath(path): name for name in reversed(names) if (path := shutil.which(name))}
    return sorted(found.values())


def run(command, code):
    result = subprocess.run(
        command, input=code, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return result.returncode, result.stdout


def text_of(headers):
    return "".join(f"#include {header}\n" for header in headers)


def symbols(compiler, headers, samples, output):
    """Returns what is wrong, and the symbols of the samples after `headers`."""
    beside = "".join(f"#if __has_include({name})\n#include {name}\n#endif\n" for name in BESIDE)
    code = text_of(headers) + beside + samples
    status, said = run([compiler, *LANGUAGE, "-O0", "-c", "-x", "c++", "-", "-o", str(output)], code)
    if status != 0:
        return f"{compiler}: the samples do not compile after {headers[0]}, ...:\n{said}", None
    listed = subprocess.run(["nm", str(output)], stdout=subprocess.PIPE, text=True, check=True).stdout
    names = {line.split()[-1] for line in listed.splitlines()}
    return None, {name for name in names if name.startswith("_Z") and "taskctx" in name}


def main(folder, samples):
    root = pathlib.Path(folder)
    headers = sorted([*root.glob("*.h"), *root.glob("tbb/*.h")])
    headers = [f'"{header.relative_to(root.parent)}"' for header in headers]
    orders = [headers, headers[::-1]]
    code = pathlib.Path(samples).read_text(encoding="utf-8")
    chosen = compilers()
    if not chosen or not headers:
        print("header_order_test.py: there is no compiler, or no header", file=sys.stderr)
        return 1
    problems = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as temporary:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            answers = [
                (compiler, pool.submit(symbols, compiler, order, code, f"{temporary}/{compiler}{i}.o"))
                for compiler in chosen
                for i, order in enumerate(orders)
            ]
            problems += [answer.result()[0] for _, answer in answers]
            for compiler in chosen:
                found = [answer.result()[1] for its, answer in answers if its == compiler]
                different = set.union(*found) - set.intersection(*found) if None not in found else ()
                for name in sorted(different)[:10]:
                    problems.append(f"{compiler}: depends on the order of the headers: {name}")
    problems = [problem for problem in problems if problem]
    print("\n".join(problems))
    print(f"{len(headers)} headers in {len(orders)} orders ({', '.join(chosen)}): {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
