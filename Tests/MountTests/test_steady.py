"""What scripts/test makes of a test that fails: one that passes alone is named, and does not end the run."""

import os
import pathlib
import subprocess
import sys

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"


def outcome(tmp_path, text):
    """Exit status and findings of a run of one file of tests."""
    file = tmp_path / "test_it.py"
    file.write_text(text)
    command = [sys.executable, "-m", "harness.steady", str(tmp_path / "out")]
    command += ["pytest", str(file), "--basetemp", str(tmp_path / "scratch"), "-p", "no:cacheprovider"]
    environment = dict(os.environ, PYTHONPATH=str(SCRIPTS))
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=50)
    return run.returncode, (tmp_path / "out/findings").read_text()


FAILS_ONCE = """
import pathlib
def test_fails_once():
    mark = pathlib.Path(__file__).with_name("mark")
    seen = mark.exists()
    mark.touch()
    assert seen, "not yet"
"""


def test_a_test_that_passes_alone_is_named_unsteady(tmp_path):
    status, findings = outcome(tmp_path, FAILS_ONCE + "def test_passes(): pass\n")
    assert status == 0
    assert findings.startswith("unsteady  test_it.py::test_fails_once\n") and "not yet" in findings


def test_a_test_that_fails_alone_too_has_failed(tmp_path):
    status, findings = outcome(tmp_path, FAILS_ONCE + "def test_fails(): assert 1 == 2\n")
    assert status != 0
    assert "FAILED  test_it.py::test_fails\n" in findings
    assert "unsteady  test_it.py::test_fails_once\n" in findings


def test_many_failures_are_believed_at_once(tmp_path):
    rest = "".join(f"def test_fails_{number}(): assert 1 == 2\n" for number in range(3))
    status, findings = outcome(tmp_path, FAILS_ONCE + rest)
    assert status != 0 and "unsteady" not in findings and findings.count("FAILED") == 4


def test_a_run_that_dies_is_no_pass(tmp_path):
    status, findings = outcome(tmp_path, "import os\ndef test_dies(): os.abort()\n")
    assert status != 0 and "no report" in findings


def test_all_pass(tmp_path):
    assert outcome(tmp_path, "def test_passes(): pass\n") == (0, "")
