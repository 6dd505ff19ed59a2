#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How the program //tools:search ends early: at a limit, after a time, by real signals, by Ctrl-C."""

import json
import os
import pty
import signal
import subprocess
import sys
import unittest

from search_cli_test import SEARCH, TreeTest, search

TIMEOUT = 124
INTERRUPTED = 130
LINE = b"needle" + b"x" * 1000 + b"\n"


def listen_to_sigint():
    """Undoes what a shell does to programs in its background: those ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class EarlyEnd(TreeTest):
    def write_endless(self):
        """Writes what takes longer to search 1000 times than any test."""
        self.write("large", b"needle\n" + b"x\n" * 10_000_000)
        for i in range(100):
            self.write(f"{i}", b"needle\n")
        return ["--repeat=1000", self.root, *(f"{i}=needle" for i in range(20))]

    def start(self, *arguments, preexec_fn=listen_to_sigint):
        process = subprocess.Popen([SEARCH, *arguments], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, preexec_fn=preexec_fn)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def start_and_stall(self, **options):
        """Starts a search that can't end: the pipe is full of lines. Returns it, and the first one."""
        self.write("lines", LINE * 10_000)
        process = self.start("--matches", self.root, "a=needle", "b=needle", **options)
        return process, process.stdout.readline()


class MaxMatches(EarlyEnd):
    def test_ends_that_query_and_no_other(self):
        for i in range(50):
            self.write(f"{i}", b"needle\nx\n")
        command = ["--max-matches=50", self.root, "a=needle", "b=e", "c=none"]
        self.write("more", b"needle\n")
        result = search("--format=json", *command)
        self.assertEqual(result.returncode, 0)
        rows = json.loads(result.stdout)["queries"]
        self.assertEqual([(row["lines"], row["truncated"], row.get("stopped")) for row in rows],
                         [(50, True, "max-matches")] * 2 + [(0, False, None)])
        self.assertEqual(rows[2]["leaves"], 51)
        self.assertNotIn("stopped", json.loads(result.stdout))

        lines = [line.split() for line in search(*command).stdout.splitlines()]
        self.assertEqual(lines[0][-1], b"stopped")
        self.assertEqual((lines[1][2], lines[1][-1]), (b"50+", b"max-matches"))
        self.assertEqual((lines[3][2], lines[3][-1]), (b"0", b"0"))

    def test_prints_so_many_lines_of_each_query(self):
        self.write("file", b"needle\n" * 100_000)
        result = search("--matches", "--max-matches=3", "--repeat=2", self.root, "a=needle", "b=e")
        self.assertEqual(result.returncode, 0)
        requests = [line.split(b"\t")[0] for line in result.stdout.splitlines()]
        self.assertEqual(sorted(requests), [b"a"] * 3 + [b"b"] * 3)


class Timeout(EarlyEnd):
    def test_ends_all_and_says_so(self):
        result = search("--timeout=100ms", "--format=json", *self.write_endless())
        self.assertEqual((result.returncode, result.stderr), (TIMEOUT, b""))
        self.assertEqual(json.loads(result.stdout)["stopped"], "timeout")
        result = search("--timeout", "100ms", *self.write_endless())
        self.assertEqual(result.returncode, TIMEOUT)
        self.assertIn(b"\npartial results: timeout\n", result.stdout)

    def test_marks_each_query_that_it_ended(self):
        result = search("--timeout=1ns", "--format=json", self.root, "a=x", "b=x")
        rows = json.loads(result.stdout)["queries"]
        self.assertEqual([(row["request"], row["stopped"]) for row in rows],
                         [("a", "timeout"), ("b", "timeout")])

    def test_changes_nothing_where_there_is_enough_time(self):
        self.write("file", b"needle\n")
        result = search("--timeout=1h30m", "--format=json", self.root, "a=needle")
        self.assertEqual(result.returncode, 0)
        row = json.loads(result.stdout)["queries"][0]
        self.assertEqual((row["lines"], row["truncated"]), (1, False))
        self.assertNotIn(b"stopped", result.stdout)


class Interrupt(EarlyEnd):
    def test_prints_what_was_found_and_says_so(self):
        process, first = self.start_and_stall()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.stderr.readline(),
                         b"search: interrupted; Ctrl-C again ends it at once\n")
        lines = [first, *process.stdout]  # Reading lets it go on.
        table = process.stderr.read()
        self.assertEqual(process.wait(), INTERRUPTED)
        self.assertTrue(all(line.endswith(b"/lines:" + LINE) for line in lines))
        self.assertLess(len(lines), 20_000)
        self.assertIn(b"\npartial results: interrupted\n", table)
        rows = [line.split() for line in table.splitlines()[1:3]]
        self.assertEqual([row[-1] for row in rows], [b"interrupted"] * 2)
        self.assertEqual(sum(int(row[2].rstrip(b"+")) for row in rows), len(lines))

    def test_ends_the_program_at_once_the_second_time(self):
        process, _ = self.start_and_stall()
        process.send_signal(signal.SIGINT)
        process.stderr.readline()  # It has seen the first one.
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(), -signal.SIGINT)  # The pipe is still full.

    def test_is_ignored_where_it_was_ignored(self):
        def ignore():
            signal.signal(signal.SIGINT, signal.SIG_IGN)

        process, _ = self.start_and_stall(preexec_fn=ignore)
        process.send_signal(signal.SIGINT)
        self.assertEqual(sum(1 for _ in process.stdout), 20_000 - 1)
        self.assertEqual(process.wait(), 0)

    def test_is_what_control_c_on_a_terminal_does(self):
        command = self.write_endless()
        try:
            pid, terminal = pty.fork()
        except OSError as error:
            self.skipTest(f"this machine has no terminals: {error}")
        if pid == 0:
            listen_to_sigint()
            os.execve(SEARCH, [SEARCH, *command], {**os.environ, "TERM": "xterm"})
        text = b""
        try:
            while piece := os.read(terminal, 4096):
                if b"files: " in piece and b"files: " not in text:
                    os.write(terminal, b"\x03")
                text += piece
        except OSError:  # The terminal's way to say that nobody writes any more.
            pass
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), INTERRUPTED, text)
        self.assertIn(b"\r\npartial results: interrupted\r\n", text)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
