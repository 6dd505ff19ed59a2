#!/usr/bin/env python3
#
# Checks that README.md, or another page, shows the samples as they are, and what they really print.
#
# `<!-- sample: FILE -->` stands before a code block that equals FILE; `<!-- sample: FILE#part -->` before one that
# equals what is between the lines `// [part]` and `// [end]` there, as far to the left as it goes. `<!-- output: NAME -->`
# stands before one that equals what the program NAME prints.

import pathlib
import re
import subprocess
import sys
import textwrap

BLOCK = re.compile(r"<!-- (sample|output): (\S+) -->\n```\w*\n(.*?)```\n", re.DOTALL)


def text_of(name):
    path, _, part = name.partition("#")
    text = pathlib.Path(path).read_text(encoding="utf-8")
    if part:
        text = textwrap.dedent(re.search(rf"^ *// \[{part}\]\n(.*?)^ *// \[end\]\n", text, re.DOTALL | re.MULTILINE)[1])
    return text


def main(readme, samples, programs):
    problems = []
    text = pathlib.Path(readme).read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    for kind, name, shown in blocks:
        if kind == "sample":
            real = text_of(name)
        else:
            program = [path for path in programs if pathlib.Path(path).name == "readme_" + name]
            real = subprocess.run(program[0], capture_output=True, text=True, check=True).stdout
        if shown != real:
            problems.append(f"the {kind} {name} differs:\n{shown}--- is really\n{real}")
    shown_samples = {name.partition("#")[0] for kind, name, _ in blocks if kind == "sample"}
    for sample in samples:
        if sample not in shown_samples:
            problems.append(f"{sample} is not shown")
    for problem in problems:
        print(f"{readme}: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    split = sys.argv.index("--")
    sys.exit(main(sys.argv[1], sys.argv[2:split], sys.argv[split + 1 :]))
