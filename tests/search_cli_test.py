#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program //tools:search, as its users and their scripts see it."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

SEARCH = os.path.abspath("tools/search")
GREP_ENVIRONMENT = {**os.environ, "LC_ALL": "C"}


def search(*arguments, **options):
    """Runs the program and returns what subprocess.run returns, its output as bytes."""
    return subprocess.run([SEARCH, *arguments], capture_output=True, check=False, **options)


def grep(*arguments):
    """Returns what grep prints, as bytes."""
    command = ["grep", *arguments]
    return subprocess.run(command, capture_output=True, check=False, env=GREP_ENVIRONMENT).stdout


def count_by_grep(root, text):
    """Returns how many files and lines grep finds."""
    # A file's name may hold a newline, so let it end with a NUL byte.
    output = grep("-rIcF", "--null", "-e", text, root)
    counts = [int(count) for count in re.findall(rb"\0(\d+)\n", output)]
    return sum(count > 0 for count in counts), sum(counts)


class TreeTest(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)
        self.root = self._folder.name

    def write(self, name, content):
        path = os.path.join(os.fsencode(self.root), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def write_all_sorts(self):
        self.write("empty", b"")
        self.write("plain", b"one needle\nnone\nneedle needle\n")
        self.write("no newline", b"none\nneedle")
        self.write("crlf", b"needle\r\nnone\r\n")
        self.write("latin", b"n\xe4h needle\n\xff\xfe\n")
        self.write("binary", b"needle\0needle\n")
        self.write("late nul", b"needle\n" * 100_000 + b"\0")
        self.write("large", b"".join(b"%d needle\n" % i for i in range(200_000)))
        self.write("long line", b"x" * 1_000_000 + b"needle" + b"x" * 1_000_000 + b"\nneedle\n")
        self.write("a/b/c/deep", b"needle\n")
        self.write(b"odd name \xff\n\"", b"needle\n")
        os.symlink("plain", os.path.join(self.root, "link"))
        os.symlink(".", os.path.join(self.root, "loop"))
        os.symlink("nowhere", os.path.join(self.root, "dangling"))
        os.mkfifo(os.path.join(self.root, "pipe"))
        endpoint = socket.socket(socket.AF_UNIX)
        self.addCleanup(endpoint.close)
        here = os.getcwd()
        os.chdir(self.root)  # The path of a socket must be short.
        endpoint.bind("socket")
        os.chdir(here)


class BadUsage(TreeTest):
    def assert_usage_error(self, arguments, culprit):
        result = search(*arguments)
        message = result.stderr.decode()
        self.assertEqual(result.returncode, 2, message)
        self.assertEqual(result.stdout, b"")
        self.assertIn(culprit, message)
        self.assertTrue(message.startswith("search: "), message)
        self.assertTrue(message.endswith("; try --help\n"), message)
        self.assertEqual(message.count("\n"), 1, message)

    def test_names_the_culprit_and_exits_with_2(self):
        for arguments, culprit in [
            ([], "ROOT"),
            (["."], "QUERY"),
            ([".", "text"], "'text'"),
            ([".", "=text"], "has no id"),
            ([".", "a="], "'a='"),
            ([".", "a=x\ny"], "more than one line"),
            ([".", "a\tb=x"], "control character"),
            ([".", "a=x", "a=y"], "'a'"),
            (["--unknown", ".", "a=x"], "'--unknown'"),
            (["--thread=3", ".", "a=x"], "'--thread=3'"),
            (["-x", ".", "a=x"], "'-x'"),
            (["--flagfile=/dev/null", ".", "a=x"], "'--flagfile=/dev/null'"),
            (["--helpfull"], "'--helpfull'"),
            (["--threads=0", ".", "a=x"], "'threads'"),
            (["--threads=1001", ".", "a=x"], "'threads'"),
            (["--threads=x", ".", "a=x"], "'x'"),
            (["--threads=", ".", "a=x"], "'threads'"),
            ([".", "a=x", "--threads"], "'--threads'"),
            (["--repeat=-1", ".", "a=x"], "'repeat'"),
            (["--budget=0", ".", "a=x"], "'budget'"),
            *(([f"--max-matches={n}", ".", "a=x"], "'max-matches'") for n in ["0", "-1", "x", ""]),
            *(([f"--timeout={t}", ".", "a=x"], "'timeout'") for t in ["-5s", "0", "inf", "5", "x", ""]),
            (["--carrier=foo", ".", "a=x"], "'foo'"),
            (["--format=xml", ".", "a=x"], "'xml'"),
            (["--matches=perhaps", ".", "a=x"], "'perhaps'"),
            (["--nothreads", ".", "a=x"], "'--nothreads'"),
            (["--matches", "--format=json", ".", "a=x"], "--format=json"),
            (["--queries=/nonexistent", "."], "/nonexistent"),
            (["--queries=.", "."], "cannot read queries"),
        ]:
            with self.subTest(arguments=arguments):
                self.assert_usage_error(arguments, culprit)

    def test_names_the_line_of_a_bad_query_in_a_file(self):
        queries = os.fsdecode(self.write("queries", b"a=x\n\n"))
        self.assert_usage_error(["--queries", queries, "."], queries + ":2")


class ExitStatus(TreeTest):
    def test_tells_whether_a_line_matches(self):
        self.write("file", b"needle\n")
        self.assertEqual(search(self.root, "a=needle", "b=none").returncode, 0)
        self.assertEqual(search(self.root, "a=nothing").returncode, 1)

    def test_is_2_for_an_unreadable_root(self):
        for root in ["", "/nonexistent", "/dev/null", os.path.join(self.root, "x")]:
            result = search(root, "a=x")
            self.assertEqual(result.returncode, 2)
            self.assertRegex(result.stderr.decode(), r"^search: cannot read .*\n$")

    def test_is_not_changed_by_unreadable_files(self):
        if os.geteuid() == 0:
            self.skipTest("root may read everything")
        self.write("file", b"needle\n")
        os.chmod(self.write("secret", b"needle\n"), 0)
        result = search("--format=json", self.root, "a=needle")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(json.loads(result.stdout)["files_unreadable"], 1)
        self.assertIn(b"secret: Permission denied", result.stderr)

    def test_is_2_when_results_cannot_be_written(self):
        self.write("file", b"needle\n")
        for arguments in [["--help"], [self.root, "a=needle"], ["--matches", self.root, "a=needle"]]:
            with open("/dev/full", "wb") as full:
                command = [SEARCH, *arguments]
                result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
            self.assertEqual(result.returncode, 2)
            self.assertRegex(result.stderr, rb"^search: cannot write results: .*\n$")
        result = search(self.root, "a=needle", preexec_fn=lambda: os.close(1))
        self.assertEqual(result.returncode, 2)
        self.assertIn(b"stdout is closed", result.stderr)

    def test_is_quietly_that_of_sigpipe_when_the_reader_goes(self):
        self.write("file", b"needle\n" * 1_000_000)
        command = [SEARCH, "--matches", self.root, "a=needle"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.readline()
            process.stdout.close()
            self.assertEqual(process.stderr.read(), b"")
        self.assertEqual(process.returncode, -signal.SIGPIPE)


class Help(unittest.TestCase):
    def test_is_on_stdout_wherever_it_is_asked_for(self):
        for arguments in [["--help"], ["-h"], ["--unknown", ".", "-h"], ["--threads", "--help"]]:
            result = search(*arguments)
            self.assertEqual((result.returncode, result.stderr), (0, b""))
            self.assertTrue(result.stdout.startswith(b"Usage: search [options] ROOT QUERY..."))

    def test_names_each_option(self):
        text = search("--help").stdout.decode()
        for name in ["queries", "matches", "account", "budget", "max-matches", "timeout", "threads",
                     "repeat", "format", "carrier"]:
            self.assertIn("--" + name + " ", text.replace("=", " "))

    def test_version_is_that_of_the_library(self):
        result = search("--version")
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, rb"^search \(taskctx\) \d+\.\d+\.\d+\n$")


class Options(TreeTest):
    def test_may_stand_anywhere_and_take_their_value_from_the_next_word(self):
        self.write("file", b"--needle\n")
        for arguments in [
            [self.root, "--threads", "2", "a=needle", "-format", "json"],
            ["--threads=2", "--format=json", "--nomatches", "--", self.root, "a=--needle"],
        ]:
            result = json.loads(search(*arguments).stdout)
            self.assertEqual((result["threads"], result["queries"][0]["lines"]), (2, 1))

    def test_two_dashes_end_them(self):
        self.write("-x", b"needle\n")
        self.assertEqual(search("--", "-x", "a=needle", cwd=self.root).returncode, 0)

    def test_queries_come_from_arguments_and_file(self):
        queries = os.fsdecode(self.write("queries", b"carol/1=a=b\nb=needle"))
        result = search("--format=json", "--queries", queries, self.root, "c=none")
        found = [(q["request"], q["user"], q["text"], q["lines"])
                 for q in json.loads(result.stdout)["queries"]]
        self.assertEqual(found, [("c", "anonymous", "none", 0), ("carol/1", "carol", "a=b", 1),
                                 ("b", "anonymous", "needle", 1)])

    def test_repeat_adds_up_leaves_but_not_lines(self):
        self.write("file", b"needle\n")
        results = [json.loads(search("--format=json", "--repeat", n, self.root, "a=needle").stdout)
                   for n in ["1", "3"]]
        self.assertEqual([r["queries"][0]["lines"] for r in results], [1, 1])
        self.assertEqual([r["leaves"] for r in results], [1, 3])

    def test_budget_marks_the_rows_that_it_cut_short(self):
        self.write("file", b"needle\n" * 10)
        result = search("--budget=10", "--format=json", self.root, "a=needle")
        self.assertFalse(json.loads(result.stdout)["queries"][0]["truncated"])
        result = search("--budget=9", "--format=json", self.root, "a=needle")
        row = json.loads(result.stdout)["queries"][0]
        self.assertEqual((row["lines"], row["truncated"]), (9, True))
        self.assertIn(b" 9+ ", search("--budget=9", self.root, "a=needle").stdout)


class Results(TreeTest):
    def assert_as_grep(self, root, texts):
        for carrier in ["context", "thread_local", "parameter"]:
            queries = [f"{i}={text}" for i, text in enumerate(texts)]
            result = json.loads(search("--format=json", f"--carrier={carrier}", root, *queries).stdout)
            self.assertEqual(result["carrier"], carrier)
            for text, row in zip(texts, result["queries"]):
                expected = count_by_grep(root, text)
                self.assertEqual((row["files"], row["lines"]), expected, (carrier, text))
                if carrier != "thread_local":
                    self.assertEqual((row["wrong"], row["lost"]), (0, 0))

    def assert_matches_as_grep(self, root, text):
        # In bytes, and whole: a file's name may hold a newline.
        printed = search("--matches", root, "a=" + text).stdout
        lines = printed.split(b"a\t" + os.fsencode(root))[1:]
        expected = grep("-rIF", "-e", text, root).split(os.fsencode(root))[1:]
        self.assertEqual(sorted(lines), sorted(expected))

    def test_are_those_of_grep(self):
        self.write_all_sorts()
        texts = ["needle", "n", " ", "\r", "x" * 1000 + "n", "199999 n", "eedle\r", "nothing"]
        self.assert_as_grep(self.root, texts)
        self.assert_as_grep(self.root + "/", texts)
        self.assert_as_grep(os.path.join(self.root, "loop"), texts)

    def test_are_those_of_grep_on_system_headers(self):
        root = "/usr/include/linux"
        if not os.path.isdir(root):
            self.skipTest("there are none")
        self.assert_as_grep(root, ["struct", "include", "#define ", "\t/* "])
        self.assert_matches_as_grep(root, "struct")

    def test_matches_are_the_lines_of_grep(self):
        self.write_all_sorts()
        # Of a file with a late NUL, grep -c counts no lines, but grep prints those before it.
        os.remove(os.path.join(self.root, "late nul"))
        for text in ["needle", "\r", "xneedlex", "99 n"]:
            self.assert_matches_as_grep(self.root, text)

    def test_matches_leave_stdout_to_the_lines(self):
        path = self.write("file", b"needle")
        result = search("--matches", self.root, "a=needle", "b=none")
        self.assertEqual(result.stdout, b"a\t" + path + b":needle\n")
        self.assertIn(b"carrier context, 8 threads", result.stderr)

    def test_matches_of_a_query_are_in_the_order_of_the_files(self):
        for i in range(300):
            self.write(f"{i % 7}/{i}", b"needle\nx\nneedle 2\n" * 10)
        command = ["--matches", self.root, "a=needle", "b=x"]
        lines = search(*command).stdout.splitlines()
        for query in (b"a\t", b"b\t"):
            paths = [line.split(b":")[0] for line in lines if line.startswith(query)]
            self.assertEqual(paths, sorted(paths))

    def test_table_is_aligned_and_has_a_footer(self):
        self.write("file", b"needle\n" * 12345)
        self.write("binary", b"\0")
        lines = search("--threads=3", self.root, "carol/a long id=needle", "b=x").stdout.decode().splitlines()
        self.assertEqual(lines[0].split(), ["query", "files", "lines", "CPU", "ms", "wrong", "lost"])
        self.assertEqual({len(line) for line in lines[:3]}, {len(lines[0])})
        self.assertEqual(lines[1].split()[:5], ["carol/a", "long", "id", "1", "12345"])
        self.assertEqual(lines[4], "carrier context, 3 threads")
        self.assertEqual(lines[5], "1 files searched, 1 binary and skipped, 0 unreadable")
        self.assertRegex(lines[6], r"^\d+ leaves, \d+ \(\d+\.\d %\) on another thread than their job's$")

    def test_json_is_valid_whatever_the_bytes(self):
        self.write("file", b"\xff\"\\\x01\n")
        for text in [b"\xff\"", b"\\\x01", "ä€😀".encode(), b"\xed\xa0\x80\xc0\xaf\xf5\xf0\x9f"]:
            result = search("--format=json", os.fsencode(self.root), b"\xe9/\"\\=" + text)
            row = json.loads(result.stdout.decode("utf-8", errors="strict"))["queries"][0]
            self.assertEqual(row["request"], "\ufffd/\"\\")
            self.assertEqual(row["user"], "\ufffd")
        self.assertEqual(row["text"], "\ufffd" * 8)

    def test_account_tells_which_request_used_the_pool(self):
        self.write("file", b"needle\n" * 12345)
        lines = search("--account", self.root, "carol/q1=needle", "b=x").stdout.decode().splitlines()
        self.assertEqual(lines[4].split(), ["used", "the", "pool", "jobs", "queued", "ms", "CPU", "ms"])
        self.assertEqual([line.split()[:2] for line in lines[5:7]], [["b", "1"], ["carol/q1", "1"]])
        result = search("--account", "--repeat=3", "--format=json", self.root, "carol/q1=needle", "b=x")
        account = {row["request"]: row for row in json.loads(result.stdout)["account"]}
        self.assertEqual(account.keys(), {"b", "carol/q1"})
        self.assertEqual(account["carol/q1"]["jobs"], 3)
        self.assertGreater(account["carol/q1"]["cpu_ms"], 0)
        self.assertNotIn("account", json.loads(search("--noaccount", "--format=json", self.root, "a=x").stdout))

    def test_json_has_every_figure(self):
        result = json.loads(search("--format=json", self.root, "a=x").stdout)
        self.assertLessEqual({"queries", "root", "carrier", "threads", "repeat", "files_searched",
                              "files_binary", "files_unreadable", "leaves", "leaves_elsewhere"},
                             result.keys())
        self.assertEqual({"request", "user", "text", "files", "lines", "truncated", "cpu_ms", "wrong",
                          "lost", "leaves", "leaves_elsewhere"}, result["queries"][0].keys())


class Terminal(TreeTest):
    def run_on_terminal(self, stdout_too, **environment):
        """Returns what the program writes to a terminal."""
        self.write("file", b"needle\n")
        try:
            terminal, its_end = pty.openpty()
        except OSError as error:
            self.skipTest(f"this machine has no terminals: {error}")
        command = [SEARCH, "--carrier=thread_local", "--repeat=200", self.root]
        command += [f"{i}=needle" for i in range(30)]
        with subprocess.Popen(command, stdout=its_end if stdout_too else subprocess.DEVNULL,
                              stderr=its_end, env={"TERM": "xterm", **environment}) as process:
            os.close(its_end)
            text = b""
            try:
                while piece := os.read(terminal, 4096):
                    text += piece
            except OSError:  # The terminal's way to say that nobody writes any more.
                pass
        os.close(terminal)
        self.assertEqual(process.returncode, 0)
        return text

    def test_colour_respects_no_color(self):
        self.assertNotIn(b"\033", self.run_on_terminal(True, NO_COLOR="1"))
        self.assertNotIn(b"\033", self.run_on_terminal(True, TERM="dumb"))
        self.assertNotIn(b"\033", self.run_on_terminal(False))

    def test_progress_is_wiped_out_and_never_in_a_pipe(self):
        text = self.run_on_terminal(False)
        if text:  # It takes a while to appear.
            self.assertRegex(text, rb"^(\rfiles: \d+/6000)+\r +\r$")
        self.assertEqual(search(self.root, "a=needle").stderr, b"")
        self.assertEqual(self.run_on_terminal(False, TERM="dumb"), b"")


class Memory(TreeTest):
    def memory_of(self, *arguments):
        """Returns the most memory that the program had at a time, in MiB."""
        command = [SEARCH, self.root, *arguments]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        return usage.ru_maxrss / 1024

    def write_large(self, name, piece, times):
        """Piece by piece: what this program uses would count for its children, too."""
        with open(os.path.join(self.root, name), "wb") as file:
            for _ in range(times):
                file.write(piece)

    def setUp(self):
        super().setUp()
        with open(SEARCH, "rb") as program:
            code = program.read()
        if b"__asan_init" in code or b"__tsan_init" in code:
            self.skipTest("sanitizers take memory of their own")

    def test_is_bounded_for_a_line_of_100_megabytes(self):
        self.write_large("line", b"x" * 99_999 + b"y", 1000)
        self.assertLess(self.memory_of("a=xyx", "b=x", "c=none"), 60)
        self.assertLess(self.memory_of("--matches", "a=yx"), 60)

    def test_is_bounded_for_millions_of_matching_lines(self):
        self.write_large("lines", b"x\n" * 10_000, 800)
        self.assertLess(self.memory_of("a=x"), 60)
        self.assertLess(self.memory_of("--matches", "a=x"), 120)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
