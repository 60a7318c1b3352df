"""Real sizes: gigabytes read by many at once, and a million samples in little memory."""

import json
import os
import subprocess
import sys

import pytest

from harness import shards

MEBIBYTE = 1 << 20


def compare_all(made, dataset, tmp_path, processes, seconds):
    """By readers of their own, so that this process holds neither bytes nor the mount."""
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(dataset.manifest()))
    done = subprocess.run(
        [sys.executable, "-m", "harness.trees", manifest, made.point, "--processes", str(processes)],
        capture_output=True, text=True, timeout=seconds, cwd=os.path.dirname(os.path.dirname(shards.__file__)),
    )
    assert done.returncode == 0, done.stderr
    assert f"{dataset.sample_count()} samples, {dataset.byte_count()} bytes: equal" in done.stdout


def peak_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


@pytest.mark.limit(180)
def test_a_bucket_read_by_four_at_once(mount, store, tmp_path):
    dataset = store.dataset("bulk", lambda made: made.add_split("train", [64] * 16, 100_000))
    made = mount("s3://bulk", *store.options(), environment=store.environment())
    compare_all(made, dataset, tmp_path, processes=4, seconds=150)


@pytest.mark.limit(180)
def test_a_cache_in_memory_bounds_the_process(mount, store, tmp_path):
    dataset = store.dataset("bulk", lambda made: made.add_split("train", [64] * 16, 100_000))
    made = mount(
        "s3://bulk", *store.options(), "--cache-size", "32MiB",
        environment=store.environment(), cache_dir="memory",
    )
    compare_all(made, dataset, tmp_path, processes=4, seconds=150)
    (pid,) = made.pids()
    assert peak_bytes(pid) <= (200 + 32) * MEBIBYTE


@pytest.mark.long
@pytest.mark.limit(900)
def test_a_bucket_of_more_than_a_gigabyte_read_by_four_at_once(mount, store, tmp_path):
    dataset = store.dataset("gigabyte", lambda made: made.add_split("train", [640] * 17, 100_000))
    assert dataset.byte_count() > 1_000_000_000
    made = mount("s3://gigabyte", *store.options(), environment=store.environment())
    compare_all(made, dataset, tmp_path, processes=4, seconds=800)


@pytest.mark.long
@pytest.mark.limit(1800)
def test_a_million_samples_in_200_mebibytes(mount, tmp_path):
    dataset = shards.Dataset(tmp_path / "set")
    count = 0
    for number in range(50):
        dataset.add_shard(
            "train",
            f"tiny-{number:06d}.tar",
            ((f"{n:08d}", {"cls": b"%d" % n}) for n in range(number * 20_000, (number + 1) * 20_000)),
        )
        count += 20_000
    made = mount(dataset.folder, "--cache-size", "64MiB", cache_dir="memory")
    (pid,) = made.pids()
    listed = subprocess.run(
        ["sh", "-c", f"ls -U {made.point}/train/0 | wc -l"],
        capture_output=True, text=True, check=True, timeout=600,
    )
    assert int(listed.stdout) == count == 1_000_000
    subprocess.run(
        ["find", made.point, "-type", "f", "-size", "+1G"],
        check=True, timeout=1200,
    )
    for number in (0, 499_999, 999_999):
        assert (made.point / f"train/0/{number:08d}/cls").read_bytes() == b"%d" % number
    assert peak_bytes(pid) <= (200 + 64) * MEBIBYTE
