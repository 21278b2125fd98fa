#!/usr/bin/env python3
"""What the last lines of a test run say, given what ctest and pytest have written."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

COUNT = pathlib.Path(__file__).with_name("count.py")


def ctest_case(name, output, seconds=0):
    return f'<testcase name="{name}" status="fail" time="{seconds}"><failure message=""/><system-out>{output}</system-out></testcase>'


def pytest_case(name, message="", text="", kind="failure"):
    return f'<testcase classname="c" name="{name}"><{kind} message="{message}">{text}</{kind}></testcase>'


class Count(unittest.TestCase):
    def count(self, *builds, **files):
        """(exit code, lines) of count.py over these files, each given as its test cases."""
        with tempfile.TemporaryDirectory() as folder:
            for name, cases in files.items():
                pathlib.Path(folder, f"{name}.xml").write_text(f"<testsuite>{''.join(cases)}</testsuite>")
            done = subprocess.run([sys.executable, "-B", COUNT, folder, *builds], capture_output=True, text=True, check=False)
        self.assertEqual(done.stderr, "")
        return done.returncode, done.stdout.splitlines()

    def test_runs_are_summed(self):
        passed = '<testcase name="a" status="run"/>'
        self.assertEqual(self.count(release=[passed, passed], cluster=['<testcase name="b"/>']), (0, ["3 passed, 0 failed"]))

    def test_nothing_that_ran_is_a_failure(self):
        self.assertEqual(self.count(), (1, ["0 passed, 0 failed"]))
        self.assertEqual(self.count("asan"), (1, ["FAILED: asan: could not be built or started", "0 passed, 1 failed"]))

    def test_a_skipped_test_says_why(self):
        code, lines = self.count(cluster=['<testcase name="a"/>', '<testcase name="b"><skipped message="no root"/></testcase>'])
        self.assertEqual((code, lines), (0, ["skipped: cluster: b: no root", "1 passed, 0 failed, 1 skipped"]))

    def test_a_program_that_is_not_there_has_failed(self):
        case = '<testcase name="a" status="notrun"><skipped message="Unable to find executable"/><system-out/></testcase>'
        _, lines = self.count(release=[case])
        self.assertEqual(lines[-2:], ["FAILED: release: a: did not run", "0 passed, 1 failed"])

    def test_a_failed_program_is_shown_from_the_failure_on(self):
        output = "[ RUN ] A.B\nfine so far\n/src/a_test.cpp:7: Failure\nExpected: 1\n  Actual: 2\n[ FAILED ] A.B"
        code, lines = self.count(release=[ctest_case("A.B", output)])
        self.assertEqual((code, lines), (1, ["--- release: A.B", "    /src/a_test.cpp:7: Failure", "    Expected: 1", "      Actual: 2", "    [ FAILED ] A.B",
                                             "FAILED: release: A.B", "0 passed, 1 failed"]))

    def test_what_a_sanitizer_found_is_shown(self):
        for words in ("==1==ERROR: AddressSanitizer: heap-use-after-free", "WARNING: ThreadSanitizer: data race (pid=1)", "a.cpp:1:2: runtime error: overflow",
                      "terminate called after throwing"):
            _, lines = self.count(asan=[ctest_case("A", f"before\n{words}\nafter")])
            self.assertEqual(lines[1:3], [f"    {words}", "    after"])

    def test_of_a_program_that_names_no_failure_the_end_is_shown_and_how_long_it_took(self):
        _, lines = self.count(tsan=[ctest_case("A", "\n".join(map(str, range(100))), seconds=60.04)])
        self.assertEqual(lines[:2] + lines[-3:], ["--- tsan: A", "    (ended after 60.0 s without naming a failure; its last lines:)", "    99",
                                                  "FAILED: tsan: A", "0 passed, 1 failed"])
        self.assertEqual(len(lines), 1 + 1 + 25 + 2)

    def test_a_failed_pytest_shows_its_message_and_place(self):
        for kind in ("failure", "error"):
            _, lines = self.count(cluster=[pytest_case("test_a", "assert 1 == 2&#10; +  where 1 = f()", "def test_a():\n...\n\nt.py:3: AssertionError", kind)])
            self.assertEqual(lines, ["--- cluster: test_a", "    assert 1 == 2", "     +  where 1 = f()", "    t.py:3: AssertionError", "FAILED: cluster: test_a",
                                     "0 passed, 1 failed"])

    def test_long_words_are_cut(self):
        message = "&#10;".join(f"{number} {'x' * 400}" for number in range(60))
        _, lines = self.count(cluster=[pytest_case("test_a", message, "t.py:3: Failure")])
        self.assertEqual(len(lines), 1 + 26 + 2)
        self.assertTrue(all(len(line) <= 304 for line in lines))
        self.assertEqual(lines[14], "    … 36 more lines …")
        self.assertEqual(lines[-3], "    t.py:3: Failure")

    def test_of_many_failures_the_first_ten_are_shown_and_all_are_named(self):
        _, lines = self.count(release=[ctest_case(f"T{number:02}", "a.cpp:1: Failure") for number in range(30)])
        self.assertEqual(len([line for line in lines if line.startswith("--- ")]), 10)
        self.assertEqual(lines[-31:], [*(f"FAILED: release: T{number:02}" for number in range(30)), "0 passed, 30 failed"])

    def test_results_that_can_not_be_read_are_a_failure(self):
        code, lines = self.count(cluster=["<testcase"])
        self.assertEqual((code, lines[-1]), (1, "0 passed, 1 failed"))
        self.assertIn("cluster: its results can not be read", lines[0])


if __name__ == "__main__":
    unittest.main()
