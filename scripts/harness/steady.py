"""Runs a set of tests; those that fail there are run once more, each alone, before they count as failed.

A test that passes alone after it failed beside eight hundred others is unsteady: it is named in the summary
and wants mending, but does not stand for the program. More than a few failures, or a run that ended by a
signal, are believed at once.

    python -m harness.steady FOLDER swift test --skip-build
    python -m harness.steady FOLDER pytest Tests/MountTests

FOLDER gets `findings`: a line for each test that failed or was unsteady, with the first of what it said.
"""

import pathlib
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as tree

MOST = 3
"""How many failures of one run are tried again."""

WIDTH = 400
"""Characters of a line that are shown: the arguments of a test can be a megabyte."""


class SwiftTests:
    report_name = "report-swift-testing.xml"

    def __init__(self, command):
        self.command = command

    def all(self, folder):
        return [*self.command, "--xunit-output", str(folder / "report.xml")]

    def one(self, test, folder):
        report = ["--xunit-output", str(folder / "report.xml")]
        return [*self.bare(), "--no-parallel", *report, "--filter", "^" + re.escape(test)]

    def bare(self):
        """The command without its filters."""
        kept, words = [], iter(self.command)
        for word in words:
            if word == "--filter":
                next(words, None)
            else:
                kept.append(word)
        return kept

    @staticmethod
    def name(case):
        return f"{case.get('classname')}/{case.get('name')}"


class Pytest:
    report_name = "report.xml"

    def __init__(self, command):
        self.python = [sys.executable, "-m"]
        self.command = command

    def all(self, folder):
        return [*self.python, *self.command, *self.reporting(folder)]

    def reporting(self, folder):
        return [f"--junit-xml={folder / self.report_name}", "-o", "junit_family=xunit1"]

    def one(self, test, folder):
        words = iter(self.command)
        kept = []
        for word in words:
            if word == "--basetemp":
                kept += [word, next(words) + "-again"]
        return [*self.python, "pytest", *kept, *self.reporting(folder), test]

    @staticmethod
    def name(case):
        return f"{case.get('file')}::{case.get('name')}"


def run(command):
    """The exit status, with what was said shown as it comes, and a part of it kept."""
    said = []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for line in process.stdout:
            text = line.decode(errors="replace").rstrip("\n")
            text = text if len(text) <= WIDTH else text[:WIDTH] + " ..."
            print(text, flush=True)
            if "recorded an issue" in text or text.startswith("E  ") or "Fatal error" in text:
                said.append(text.strip())
        return process.wait(), said
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def told(report):
    """The tests of a report, which is used up: the next run writes its own."""
    try:
        cases = list(tree.parse(report).iter("testcase"))
    except (OSError, tree.ParseError):
        return []
    report.unlink()
    return cases


def failed(case):
    return case.find("failure") is not None or case.find("error") is not None


def passes_alone(kind, test, folder):
    print(f"\nonce more, alone: {test}", flush=True)
    status, _ = run(kind.one(test, folder))
    # A filter that finds no test passes, too.
    return status == 0 and bool(told(folder / kind.report_name))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder, command = pathlib.Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    kind = SwiftTests(command) if command[0] == "swift" else Pytest(command)
    (folder / kind.report_name).unlink(missing_ok=True)
    status, said = run(kind.all(folder))
    findings = []
    if status != 0:
        # Once each: a test of many arguments is told for every one of them.
        cases = told(folder / kind.report_name)
        tests = list(dict.fromkeys(kind.name(case) for case in cases if failed(case)))
        again = 0 < len(tests) <= MOST and status == 1
        sound = [test for test in tests if again and passes_alone(kind, test, folder)]
        if tests and len(sound) == len(tests):
            status = 0
        findings += [f"{'unsteady' if test in sound else 'FAILED'}  {test}" for test in tests[:10]]
        findings += [f"  {line[:160]}" for line in said[: 2 * MOST]]
        if not tests:
            findings.append(f"FAILED  ended with {status}, no report of the tests")
    (folder / "findings").write_text("".join(line + "\n" for line in findings))
    sys.exit(status)


if __name__ == "__main__":
    main()
