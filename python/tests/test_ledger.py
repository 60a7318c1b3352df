"""A trainer's ledger: lines that `wdsfs verify` takes, and that go back with a checkpoint."""

import subprocess

import wdsfs
from wdsfs.rank import SampleInfo


def verify(binary, path, *words):
    return subprocess.run(
        [binary, "verify", path, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
    )


def samples(*numbers):
    return [SampleInfo(f"key{number}", "train/a.tar", number) for number in numbers]


def test_verify_reads_it(binary, tmp_path):
    path = tmp_path / "ledger.tsv"
    with wdsfs.Ledger(path) as ledger:
        ledger.add(samples(0, 1), [0, 1], "train", 0, 0)
        ledger.add_total(3, "train", 0)
    assert verify(binary, path).returncode == 1
    with wdsfs.Ledger(path) as ledger:
        ledger.add(samples(2), [0], "train", 1, 0)
    done = verify(binary, path)
    assert done.returncode == 0, done.stdout + done.stderr
    with wdsfs.Ledger(path) as ledger:
        ledger.add(samples(1), [1], "train", 1, 0)
    assert verify(binary, path).returncode == 1


def test_what_came_after_a_checkpoint_is_taken_out(binary, tmp_path):
    path = tmp_path / "ledger.tsv"
    with wdsfs.Ledger(path) as ledger:
        ledger.add(samples(0), [0], "train", 0, 0)
        state = ledger.state_dict()
        ledger.add(samples(1), [1], "train", 0, 0)
    with wdsfs.Ledger(path) as ledger:
        ledger.load_state_dict(state)
        ledger.add(samples(1), [1], "train", 0, 0)
    assert path.read_text().count("key1") == 1
    done = verify(binary, path, "--samples", "train=2")
    assert done.returncode == 0, done.stdout + done.stderr


def test_odd_names_stay_on_their_line(binary, tmp_path):
    path = tmp_path / "ledger.tsv"
    odd = [SampleInfo("a\tb\\c\nd", "ü.tar", 0), SampleInfo("\udcff\udc80ü", "ü.tar", 1)]
    with wdsfs.Ledger(path) as ledger:
        ledger.add(odd, [0, 1], "train", 0, 0)
    lines = path.read_text().splitlines()
    assert lines[2].split("\t")[5:] == ["ü.tar", "0", r"a\x09b\x5cc\x0ad", "ok"]
    assert lines[3].split("\t")[5:] == ["ü.tar", "1", r"\xff\x80\xc3\xbc", "ok"]
    assert verify(binary, path, "--samples", "train=2").returncode == 0
