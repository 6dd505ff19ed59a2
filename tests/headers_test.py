#!/usr/bin/env python3
#
# Checks what the public headers are to those who include them.
#
#   headers_test.py FOLDER SAMPLES
#
# FOLDER holds the headers; SAMPLES uses all of them and includes none. Every compiler at hand is asked.

import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile

from compilers import LANGUAGE, STRICT, compilers

BESIDE = ["<gtest/gtest.h>", "<benchmark/benchmark.h>"]  # Other libraries' names, where they are installed.
# What users turn on, that the headers pass.
STRICTER = """-Werror -Wundef -Wcast-align -Wcast-qual -Wctor-dtor-privacy -Wdeprecated -Wdouble-promotion -Wextra-semi -Wfloat-equal -Wformat=2
    -Wmissing-declarations -Wnon-virtual-dtor -Wnull-dereference -Wold-style-cast -Woverloaded-virtual -Wredundant-decls
    -Wsign-conversion -Wsuggest-override -Wswitch-enum -Wunused-macros -Wzero-as-null-pointer-constant""".split()
STRICT_GCC = "-Wduplicated-branches -Wduplicated-cond -Wlogical-op -Wnoexcept -Wswitch-default -Wuseless-cast".split()
STRICT_CLANG = "-Wcomma -Wheader-hygiene -Wmissing-noreturn -Wshadow-all -Wunreachable-code-aggressive".split()


def compiled(compiler, code, *options):
    """Returns whether it compiles, and what the compiler says."""
    command = [compiler, *LANGUAGE, *options, "-x", "c++", "-"]
    result = subprocess.run(
        command, input=code, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return result.returncode == 0, result.stdout


def text_of(headers):
    return "".join(f"#include {header}\n" for header in headers)


# Each check is given a compiler, and returns the texts of what is wrong.


# J97: each, with any compiler, and also where it is the only one.
def a_header_alone_compiles_without_a_warning(compiler, header):
    options = [*STRICT, *STRICTER, *(STRICT_CLANG if "clang" in compiler else STRICT_GCC), "-fsyntax-only"]
    good, said = compiled(compiler, text_of([header]) + "static_assert(TASKCTX_VERSION >= 100);\n", *options)
    return [] if good else [f"{header} alone:\n{said}"]


# J97
def they_need_no_type_information(compiler, headers):
    good, said = compiled(compiler, text_of(headers), "-fno-rtti", "-fsyntax-only")
    return [] if good else [f"with -fno-rtti:\n{said}"]


# J98: what would follow from it is not told. (All headers include what says it, see the first check.)
def without_exceptions_they_are_refused_in_one_sentence(compiler, headers):
    code = text_of(headers) + "void f() { throw 1; }\n"
    _, said = compiled(compiler, code, "-Wall", "-Wpedantic", "-fno-exceptions", "-fsyntax-only")
    errors = [line for line in said.splitlines() if "error: " in line]
    if len(errors) == 1 and '"taskctx needs exceptions: compile without -fno-exceptions"' in errors[0]:
        return []
    return [f"with -fno-exceptions there are {len(errors)} errors:\n{said}"]


# J99: the samples compile after all headers in one order, and in its reverse: so each pair of headers comes in
# both orders. And the same symbols come out: a name that one header declares where another's code would find
# it first makes two types of one.
def they_mean_the_same_in_every_order(compiler, headers, samples):
    beside = "".join(f"#if __has_include({name})\n#include {name}\n#endif\n" for name in BESIDE)
    names = []
    for order in (headers, headers[::-1]):
        with tempfile.NamedTemporaryFile(dir=os.environ.get("TEST_TMPDIR"), suffix=".o") as output:
            good, said = compiled(compiler, text_of(order) + beside + samples, "-O0", "-c", "-o", output.name)
            if not good:
                return [f"the samples do not compile after {order[0]}, ...:\n{said}"]
            listed = subprocess.run(["nm", output.name], stdout=subprocess.PIPE, text=True, check=True).stdout
        symbols = {line.split()[-1] for line in listed.splitlines()}
        names.append({name for name in symbols if name.startswith("_Z") and "taskctx" in name})
    return [f"depends on the order of the headers: {name}" for name in sorted(names[0] ^ names[1])[:10]]


def main(folder, samples):
    root = pathlib.Path(folder)
    headers = sorted([*root.glob("*.h"), *root.glob("tbb/*.h")])
    headers = [f'"{header.relative_to(root.parent)}"' for header in headers]
    code = pathlib.Path(samples).read_text(encoding="utf-8")
    chosen = compilers()
    if not chosen or not headers:
        print("headers_test.py: there is no compiler, or no header", file=sys.stderr)
        return 1
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = []
        for compiler in chosen:
            checks = [(they_mean_the_same_in_every_order, headers, code)]
            checks += [(a_header_alone_compiles_without_a_warning, header) for header in headers]
            checks += [(they_need_no_type_information, headers)]
            checks += [(without_exceptions_they_are_refused_in_one_sentence, headers)]
            answers += [(compiler, pool.submit(check, compiler, *rest)) for check, *rest in checks]
        problems = [f"{compiler}: {problem}" for compiler, answer in answers for problem in answer.result()]
    print("\n".join(problems))
    print(f"{len(headers)} headers ({', '.join(chosen)}): {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
