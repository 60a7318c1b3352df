"""`wdsfs index`: what it reads, keeps and says, and that it goes on where it was stopped."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from harness import mounts, shards


@pytest.fixture
def index(run, store, tmp_path):
    """Runs `wdsfs index REMOTE` against the S3 server, with a cache of this test's own."""

    def command(remote, *options, environment=None, cache="cache", **more):
        return run(
            "index", remote, *store.options(), "--cache-dir", tmp_path / cache, *options,
            environment=environment or store.environment(), **more,
        )

    return command


def report(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_indexed_dataset_is_listed_without_a_get(index, mount, store, small, tmp_path):
    found = report(index("s3://small", "--json"))
    assert (found["version"], found["complete"], found["known"]) == (1, True, 0)
    assert {s["name"]: (s["shards"], s["samples"]) for s in found["splits"]} == {
        "train": (4, 21),
        "val": (2, 6),
    }
    assert found["bytes"] == sum(
        os.path.getsize(os.path.join(small.folder, split, name))
        for split in small.splits
        for name in small.splits[split]
    )
    made = mount(
        "s3://small", *store.options(), environment=store.environment(), cache_dir=tmp_path / "cache"
    )
    assert len(os.listdir(made.point / "train" / "0")) == 21
    statistics = json.loads((made.point / ".wdsfs" / "stats.json").read_text())
    assert statistics["store"]["bytesReceived"] < 20_000
    assert statistics["indexes"]["built"] == 0
    assert statistics["indexes"]["loaded"] >= 4


def test_a_second_run_knows_all_and_says_so(index, small):
    assert "6 shards indexed" in index("s3://small").stdout
    again = index("s3://small")
    assert again.returncode == 0
    assert "6 of them known already" in again.stdout
    assert re.search(r"^train +4 +21 +63 ", again.stdout, re.M), again.stdout


def test_two_ranks_share_the_work(index, small):
    parts = [report(index("s3://small", "--json", "--world-size", 2, "--rank", rank)) for rank in (0, 1)]
    assert [part["shards"] for part in parts] == [3, 3]
    assert sum(part["samples"] for part in parts) == 27
    assert report(index("s3://small", "--json"))["known"] == 6


def test_what_was_done_before_a_kill_is_not_read_again(binary, run, tmp_path):
    dataset = shards.Dataset(tmp_path / "set")
    dataset.add_split("train", [40] * 60, picture_bytes=20_000)
    cache = tmp_path / "cache"
    command = [binary, "index", dataset.folder, "--cache-dir", str(cache), "--jobs", "2"]
    kept = cache / "wdsfs-1" / "indexes"

    def done():
        return len([n for n in os.listdir(kept) if n.endswith(".idx")]) if kept.exists() else 0

    for how in (signal.SIGKILL, signal.SIGINT):
        before = done()
        process = subprocess.Popen(
            command, env=mounts.clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        mounts.wait_until(lambda: done() > before or process.poll() is not None, 20, "an index")
        process.send_signal(how)
        output, errors = process.communicate(timeout=20)
        if how == signal.SIGINT and process.returncode:
            assert process.returncode == 1
            assert b"the same command goes on there" in errors
    before = done()
    assert before > 0
    found = json.loads(run(*command[1:], "--json").stdout)
    assert found["complete"] and found["shards"] == 60 and found["samples"] == 2400
    assert before <= found["known"] < 60 or before == 60
    assert done() == 60


def test_a_terminal_gets_a_bar(binary, tmp_path):
    dataset = shards.Dataset(tmp_path / "set")
    dataset.add_split("train", [60] * 40, picture_bytes=60_000)
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [binary, "index", dataset.folder, "--cache-dir", str(tmp_path / "cache"), "--jobs", "1"],
        env=mounts.clean_environment(), stdout=subprocess.DEVNULL, stderr=terminal,
    )
    os.close(terminal)
    shown, deadline = b"", time.monotonic() + 30
    while time.monotonic() < deadline:
        ready, _, _ = select.select([main], [], [], 0.1)
        if ready:
            try:
                more = os.read(main, 4096)
            except OSError:
                break
            if not more:
                break
            shown += more
    os.close(main)
    assert process.wait(timeout=10) == 0
    # The bar is gone at the end, whatever was shown before.
    assert shown.endswith(b"\r\x1b[K")


def test_wrong_words_are_refused(index, small, tmp_path):
    for options, words in (
        (("--jobs", 0), "--jobs 0: write a number from 1 to 64"),
        (("--rank", 2, "--world-size", 2), "--rank"),
    ):
        done = index("s3://small", *options)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
    done = index("s3://small", "--cache-dir", "memory")
    assert done.returncode == 2
    assert "keeps no index" in done.stderr
    done = index("s3://no-such-bucket")
    assert done.returncode == 4
