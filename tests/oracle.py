#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs programs of oracle_test.cc with Python's contextvars: one line of outcome per operation.

The programs come from standard input, the outcomes go to standard output; oracle_test.cc says what the
operations are.
"""

import contextvars
import sys
import threading


class Raised(Exception):
    """Leaves as many blocks as it says."""

    def __init__(self, blocks):
        super().__init__()
        self.blocks = blocks


def twice(snapshot):
    """Returns what calls a function twice, each time in the same snapshot."""

    def enter(function):
        for _ in range(2):
            snapshot.copy().run(function)

    return enter


class World:
    """The variables, contexts and tokens of one program."""

    def __init__(self, lines):
        self.lines = [line.split() for line in lines]
        self.variables = {}
        self.contexts = {}
        self.tokens = {}

    def ends(self, begin):
        """Returns where the block that begins at `begin` has its "}"."""
        depth = 1
        at = begin
        while True:
            if self.lines[at][-1] == "{":
                depth += 1
            elif self.lines[at] == ["}"]:
                depth -= 1
                if depth == 0:
                    return at
            at += 1

    def run(self, begin, end):
        """Runs the lines from `begin` to `end`."""
        at = begin
        while at < end:
            words = self.lines[at]
            if words[-1] == "{":
                close = self.ends(at + 1)
                self.block(at, words[:-1], lambda begin=at + 1, close=close: self.run(begin, close))
                at = close
            else:
                self.say(at, words, self.operation(words[0], [int(word) for word in words[1:]]))
            at += 1

    def say(self, at, words, outcome):
        print(at, *words, "->", outcome)

    def block(self, at, words, body):
        """Enters a context for a block, and tells how that began and ended."""
        kind, arguments = words[0], [int(word) for word in words[1:]]
        if kind == "run":
            enter = self.contexts[arguments[0]].run
        elif kind == "bind":
            enter = twice(contextvars.copy_context())
        elif kind == "bind_to":
            enter = twice(self.contexts[arguments[0]].copy())
        else:
            enter = self.in_thread
        began = False

        def guarded():
            nonlocal began
            began = True
            self.say(at, words, "entered")
            body()

        try:
            enter(guarded)
            outcome = "left"
        except RuntimeError as error:
            if began or "cannot enter context" not in str(error):
                raise
            outcome = "cannot enter"
        except Raised as raised:
            self.say(at, words, "left by an exception")
            if raised.blocks > 1:
                raise Raised(raised.blocks - 1) from None
            return
        self.say(at, words, outcome)

    def in_thread(self, body):
        """Runs `body` in a plain thread, which starts empty, and passes on what it throws."""
        errors = []

        def catching():
            try:
                body()
            except BaseException as error:  # pylint: disable=broad-exception-caught
                errors.append(error)

        thread = threading.Thread(target=catching)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]

    def operation(self, name, arguments):
        """Runs one operation and returns its outcome."""
        return getattr(self, name)(*arguments)

    # The operations.

    def var(self, v, default=None):
        name = f"v{v % 10}"  # Some share their name.
        if default is None:
            self.variables[v] = contextvars.ContextVar(name)
        else:
            self.variables[v] = contextvars.ContextVar(name, default=default)
        return self.variables[v].name

    def set(self, v, x, t):
        self.tokens[t] = self.variables[v].set(x)
        return self.old(t)

    def get(self, v, *default):
        try:
            return self.variables[v].get(*default)
        except LookupError:
            return "LookupError"

    def reset(self, v, t):
        if t not in self.tokens:
            return "no token"
        try:
            self.variables[v].reset(self.tokens[t])
        except RuntimeError as error:
            assert "has already been used once" in str(error), error
            return "used"
        except ValueError as error:
            if "by a different ContextVar" in str(error):
                return "other variable"
            assert "in a different Context" in str(error), error
            return "other context"
        return "reset"

    def old(self, t):
        """Tells what a token knows. Only used ones keep it to themselves, in C++."""
        if t not in self.tokens:
            return "no token"
        token = self.tokens[t]
        var = next(v for v, variable in self.variables.items() if variable is token.var)
        if repr(token).startswith("<Token used"):
            return f"used, of {var}"
        if token.old_value is contextvars.Token.MISSING:
            return f"MISSING, of {var}"
        return f"{token.old_value}, of {var}"

    def drop(self, t):
        return "dropped" if self.tokens.pop(t, None) else "no token"

    def copy(self, c):
        self.contexts[c] = contextvars.copy_context()
        return len(self.contexts[c])

    def copy_of(self, c, d):
        self.contexts[c] = self.contexts[d].copy()
        return len(self.contexts[c])

    def empty(self, c):
        self.contexts[c] = contextvars.Context()
        return len(self.contexts[c])

    def find(self, c, v):
        return self.contexts[c].get(self.variables[v], "none")

    def contains(self, c, v):
        return self.variables[v] in self.contexts[c]

    def size(self, c):
        return len(self.contexts[c])

    def names(self, c):
        return " ".join(sorted(variable.name for variable in self.contexts[c]))

    def equal(self, c, d):
        return self.contexts[c] == self.contexts[d]

    def is_current(self, c):
        return self.contexts[c] == contextvars.copy_context()

    def throw(self, blocks):
        raise Raised(blocks)


def main():
    programs = sys.stdin.read().split("program\n")[1:]
    for program in programs:
        world = World(program.splitlines())
        print("program")
        # A thread of its own starts in an empty context.
        world.in_thread(lambda world=world: world.run(0, len(world.lines)))


if __name__ == "__main__":
    main()
