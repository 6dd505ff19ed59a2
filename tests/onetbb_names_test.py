#!/usr/bin/env python3
#
# Checks that taskctx::tbb has every public name of oneTBB, or says why not.
#
#   onetbb_names_test.py [FOLDER]
#
# The names are those that oneTBB's headers declare in its namespace, with and without its previews, and
# the public members of the classes that taskctx replaces. FOLDER holds the headers of another oneTBB than
# the installed one. A name that is new there fails the test, until it is in taskctx::tbb or in ABSENT.

import os
import pathlib
import re
import subprocess
import sys

from compilers import LANGUAGE, compilers

# What is absent on purpose, and why: a name ("info::x"), a member ("task_group::x"), or all names that
# begin so ("flow::").
ABSENT = {}

# The classes that are not oneTBB's own, with its classes that have their members.
REPLACED = {
    "task_group": ["task_group_base", "task_group"],
    "isolated_task_group": ["isolated_task_group"],
    "task_arena": ["task_arena_base", "task_arena"],
    "filter<int, int>": ["filter"],
    "flow::graph": ["graph"],
}

TOKENS = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|\w+|::|\S')
WORD = re.compile(r"[A-Za-z]\w*$")


class Problem(Exception):
    """A sentence for the user."""


def run(compiler, code, *options):
    """Returns whether the compiler takes the code, what it prints, and what it says."""
    command = [compiler, *LANGUAGE, *options, "-x", "c++", "-"]
    result = subprocess.run(command, input=code, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    return result.returncode == 0, result.stdout, result.stderr


def folder_of_onetbb(compiler):
    """Returns where the compiler finds oneTBB."""
    good, text, said = run(compiler, "#include <oneapi/tbb/version.h>\n", "-E")
    if not good:
        raise Problem(said)
    return pathlib.Path(re.search(r'"(.*)/oneapi/tbb/version\.h"', text).group(1))


def name_declared(statement):
    """Returns the name that the tokens of a declaration declare, or None."""
    words = [word for word in statement if word != "inline"]
    if not words or words[0] in ("friend", "static_assert", "template") or words[:2] == ["using", "namespace"]:
        words = re.sub(r"^template <.*?> (?=using|class|struct|[\w:]+ )", "", " ".join(words)).split()
        if not words or words[0] in ("friend", "static_assert", "template", "using"):
            return None
    if not WORD.match(words[0]):
        return None  # The rest of a constructor's initializers.
    if words[0] == "using":
        return words[1] if "=" in words else words[-1]
    if words[0] in ("enum", "class", "struct", "union"):
        return next((word for word in words[1:] if WORD.match(word) and word not in ("class", "struct")), None)
    for end in ("(", "=", ";"):
        if end in words:
            words = words[: words.index(end)]
            break
    return words[-1] if words and WORD.match(words[-1]) and "operator" not in words else None


class Scopes:
    """Walks through preprocessed text, and collects the names by namespace, and public ones by class."""

    def __init__(self, text):
        self.names = {}  # {("tbb", "flow"): {names}}
        self.members = {}  # {class: {names}}
        self.scopes = []  # A tuple of names for a namespace, [class, access] for a class, None for others.
        self.statement = []
        for token in TOKENS.findall(text):
            if token == "{":
                self.begin()
            elif token == "}":
                self.end()
            elif token == ";":
                self.declare()
                self.statement = []
            elif token == ":" and self.statement and self.statement[-1] in ("public", "protected", "private"):
                if self.scopes and isinstance(self.scopes[-1], list) and len(self.statement) == 1:
                    self.scopes[-1][1] = self.statement[0]
                    self.statement = []
                else:
                    self.statement.append(token)
            else:
                self.statement.append(token)

    def begin(self):
        words = self.statement
        if None in self.scopes:
            scope = None
        elif "namespace" in words and "=" not in words:
            scope = tuple(word for word in words[words.index("namespace") + 1 :] if WORD.match(word))
        elif words[:1] == ["extern"]:
            scope = ()
        else:
            self.declare()
            scope = None
            kinds = [i for i, word in enumerate(words) if word in ("class", "struct")]
            if kinds and "(" not in words and "enum" not in words and not self.is_in_class():
                after = words[kinds[-1] + 1 :]
                scope = [after[0] if after else "", "public" if words[kinds[-1]] == "struct" else "private"]
                if ":" in words and words.index(":") < kinds[-1]:
                    scope = None
        self.scopes.append(scope)
        self.statement = []

    def end(self):
        self.scopes.pop()
        self.statement = []

    def is_in_class(self):
        return bool(self.scopes) and isinstance(self.scopes[-1], list)

    def declare(self):
        where = tuple(word for scope in self.scopes if isinstance(scope, tuple) for word in scope)
        if None in self.scopes or where[:1] not in (("oneapi",), ("tbb",)):
            return
        name = name_declared(self.statement)
        if name is None:
            name = self.statement[-1] if self.statement[:2] == ["using", "namespace"] else None
            name = None if name is None else "*" + name
        if name is None:
            return
        if self.is_in_class():
            its_class, access = self.scopes[-1]
            if access == "public" and name != its_class:
                self.members.setdefault(its_class, set()).add(name)
        else:
            self.names.setdefault(where, set()).add(name)


def public_names(compiler, folder, options, with_previews):
    """Returns the names, as in taskctx::tbb, and the members of the classes that are replaced."""
    texts = {path: path.read_text(encoding="utf-8") for path in (folder / "oneapi/tbb").rglob("*.h")}
    macros = sorted(set(re.findall(r"(?<!\w)TBB_PREVIEW_[A-Z_]+", "".join(texts.values()))))
    headers = [
        path.relative_to(folder)
        for path in sorted(texts)
        if path.parent.name == "tbb" and (with_previews or "#error Set TBB_PREVIEW" not in texts[path])
    ]
    if with_previews:
        options = options + [f"-D{macro}=1" for macro in macros]
    good, text, said = run(compiler, "".join(f"#include <{header}>\n" for header in headers), "-E", "-P", *options)
    if not good:
        raise Problem(said)
    scopes = Scopes(text)
    names = set()
    for where, found in scopes.names.items():
        inner = [word for word in where if word not in ("oneapi", "v1")]
        if inner[:1] == ["tbb"] and "detail" not in inner:
            for name in found:
                if name.startswith("*"):  # A namespace whose names it has, too.
                    for there, more in scopes.names.items():
                        if there[-1:] == (name[1:],):
                            names.update("::".join([*inner[1:], other]) for other in more)
                else:
                    names.add("::".join([*inner[1:], name]))
    members = {
        ours: set().union(*(scopes.members.get(theirs, set()) for theirs in classes))
        for ours, classes in REPLACED.items()
    }
    return names, members, options


def missing(compiler, names, members, options):
    """Returns those that taskctx::tbb does not have."""
    lines = {}
    for name in sorted(names):
        lines[name] = f"using taskctx::tbb::{name};"
    for its_class, its_members in members.items():
        for member in sorted(its_members):
            base = f"taskctx::tbb::{its_class}"
            lines[f"{its_class}::{member}"] = f"struct Derived : {base} {{ using {base}::{member}; }};"
    code = '#include "taskctx/tbb.h"\n'
    for number, line in enumerate(lines.values(), start=1):
        code += f'namespace check_{number} {{\n#line {number} "line"\n{line}\n}}\n'
    unlimited = "-ferror-limit=0" if "clang" in compiler else "-fmax-errors=0"
    _, _, said = run(compiler, code, "-fsyntax-only", unlimited, *options)
    numbers = {int(number) for number in re.findall(r"^line:(\d+):\d+: error: ", said, re.MULTILINE)}
    others = [line for line in said.splitlines() if " error: " in line and not line.startswith("line:")]
    if others:
        raise Problem("\n".join(others))
    return {name for number, name in enumerate(lines, start=1) if number in numbers}, set(lines)


def check(compiler, folder, options, with_previews):
    """Returns the sentences of what is wrong, and how many names there are."""
    names, members, options = public_names(compiler, folder, options, with_previews)
    absent, all_names = missing(compiler, names, members, options)
    reasons = {name: [key for key in ABSENT if name == key or key.endswith("::") and name.startswith(key)]
               for name in all_names}
    sentences = [f"taskctx::tbb has no {name}" for name in sorted(absent) if not reasons[name]]
    sentences += [f"taskctx::tbb has {name}: ABSENT says that it has not"
                  for name in sorted(all_names - absent) if reasons[name]]
    return sentences, len(all_names)


def main(arguments):
    chosen = compilers()
    try:
        if not chosen:
            raise Problem("there is no compiler")
        wrong = []
        for compiler in chosen:
            folder = pathlib.Path(arguments[0]) if arguments else folder_of_onetbb(compiler)
            options = ["-isystem", str(folder)] if arguments else []
            for with_previews in (False, True):
                sentences, count = check(compiler, folder, options, with_previews)
                if count == 0:
                    raise Problem(f"there is no oneTBB in '{folder}'")
                previews = "with" if with_previews else "without"
                print(f"{compiler}, {folder}, {previews} previews: {count} names, {len(sentences)} problems")
                wrong += sentences
    except Problem as problem:
        sys.exit(f"onetbb_names_test.py: {problem}")
    for sentence in sorted(set(wrong)):
        print(sentence, file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
