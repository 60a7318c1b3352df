"""Measures the limits that a mount keeps to when things go wrong, each beside its goal.

    python -m harness.goals BINARY SCRATCH

A mount over a relay that can hold requests back. Prints a line for each figure; exits 1 where one is
beyond its goal, which a busy machine can bring about.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import time

from . import mounts, relay, servers, shards, soak, trees

SHARDS = [40] * 24
PICTURE_BYTES = 50_000
STALLED_READERS = 64
LOOKS = 2000


def elapsed_ms(deed):
    begin = time.perf_counter()
    deed()
    return (time.perf_counter() - begin) * 1000


def percentile(times, part):
    return sorted(times)[min(len(times) - 1, int(len(times) * part))]


class Goals:
    """What was measured, and whether all of it was good enough."""

    def __init__(self):
        self.missed = 0

    def add(self, name, value, unit, goal):
        is_met = value <= goal
        self.missed += not is_met
        print(f"{name:<66} {value:>9.1f} {unit:<3} goal {goal:g}{'' if is_met else '  MISSED'}", flush=True)


def sample(mount, position):
    return mount.point / f"train/0/{trees.index_name(position)}"


def read_past_pages(path):
    words = ["dd", f"if={path}", "of=/dev/null", "bs=1M", "iflag=direct"]
    return subprocess.Popen(words, stderr=subprocess.DEVNULL)


def one_shard_stalls(mount, watched, goals):
    """G7 and G8: 64 reads of one shard wait; others look around, and are killed."""
    for position in range(0, 80):
        (sample(mount, position) / "jpg").read_bytes()
    watched.hold("GET .*train-000005[.]tar")
    readers = [read_past_pages(sample(mount, 200 + n % 40) / "jpg") for n in range(STALLED_READERS)]
    mounts.wait_until(lambda: watched.held() > 0, 30, "the reads wait for the store")
    deeds = {
        "stat": lambda n: os.stat(sample(mount, n % 80) / "cls"),
        "readdir of a sample": lambda n: os.listdir(sample(mount, n % 80)),
        "cached read": lambda n: (sample(mount, n % 80) / "jpg").read_bytes(),
    }
    for name, deed in deeds.items():
        times = [elapsed_ms(lambda n=n: deed(n)) for n in range(LOOKS)]
        goals.add(f"G7 {name}, 99th percentile while {STALLED_READERS} reads stall", percentile(times, 0.99), "ms", 100)
    times = []
    for reader in readers:
        reader.kill()
        times.append(elapsed_ms(reader.wait))
    goals.add("G8 killed reader past the page cache gone, the slowest", max(times), "ms", 1000)
    buffered = subprocess.Popen(["cat", sample(mount, 210) / "jpg"], stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    buffered.kill()
    goals.add("G8 killed reader through the page cache gone", elapsed_ms(buffered.wait), "ms", 1000)
    watched.release()


def ends(mount, goals):
    """G9 and G10: SIGTERM, and kill -9 with a stale mount point."""
    (pid,) = mount.pids()
    memory, files, threads = soak.figures(pid)
    goals.add("G11 resident memory of its own", memory / (1 << 20), "MiB", 32 + 64)
    goals.add("G12 descriptors", files, "", 350)
    goals.add("G12 threads", threads, "", 32)
    begin = time.perf_counter()
    os.kill(pid, signal.SIGTERM)
    mounts.wait_until(lambda: not mount.pids(), 30, "it has ended")
    goals.add("G9 SIGTERM while idle, until its process is gone", (time.perf_counter() - begin) * 1000, "ms", 2000)
    mount.start()
    (sample(mount, 0) / "jpg").read_bytes()
    mount.kill()
    goals.add("G10 kill -9, then mount again until it answers", elapsed_ms(mount.start), "ms", 3000)


def main():
    parser = argparse.ArgumentParser(prog="harness.goals", description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("scratch")
    words = parser.parse_args()
    scratch, goals = pathlib.Path(words.scratch), Goals()
    shards.Dataset(scratch / "buckets/goals").add_split("train", SHARDS, PICTURE_BYTES)
    server = servers.RcloneS3(scratch / "buckets", scratch / "server")
    with server, relay.Relay(server.endpoint, scratch / "relay") as watched:
        mount = mounts.Mount(
            words.binary, "s3://goals", scratch / "mnt", "--endpoint-url", watched.endpoint,
            "--cache-size", "32MiB", "--prefetch", "0B", "--retry-timeout", "600s",
            environment=mounts.clean_environment(**server.environment()),
        )
        with mount:
            one_shard_stalls(mount, watched, goals)
            ends(mount, goals)
            mount.unmount()
    sys.exit(1 if goals.missed else 0)


if __name__ == "__main__":
    main()
