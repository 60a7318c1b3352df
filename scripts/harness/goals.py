"""Measures the limits that a mount keeps to when things go wrong, each beside its goal.

    python -m harness.goals BINARY SCRATCH [PART...]

A mount over a relay that can hold requests back (`waits`), some that cannot start (`starts`), one over a store on a bad
day (`store`), caches that are damaged or too small (`cache`), hostile listings and a search for secrets (`hostile`).
Prints a table, a line for each figure; exits 1 where one is beyond its limit, which a busy machine can bring about.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import time

from . import goals_cache, goals_hostile, goals_store, mounts, relay, servers, shards, soak, trees

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
        print("| goal | measured | limit | met |\n| --- | ---: | ---: | --- |", flush=True)

    def add(self, name, value, unit, goal, is_least=False):
        is_met = value >= goal if is_least else value <= goal
        self.missed += not is_met
        limit = f"{'≥' if is_least else '≤'} {goal:g} {unit}".rstrip()
        print(f"| {name} | {round(value, 2):g} {unit} | {limit} | {'yes' if is_met else 'NO'} |", flush=True)


def sample(mount, position):
    return mount.point / f"train/0/{trees.index_name(position)}"


def read_past_pages(path):
    words = ["dd", f"if={path}", "of=/dev/null", "bs=1M", "iflag=direct"]
    return subprocess.Popen(words, stderr=subprocess.DEVNULL)


def one_shard_stalls(mount, watched, goals):
    """G7 and G8: 64 reads of one shard wait; others look around, and are killed."""
    # What lies before a sample must be counted: of a shard that was never seen nobody knows where the next begins.
    trees.check_listing(mount.point / "train/0", sum(SHARDS))
    # Mounted anew, it has the indexes, and of the data what its disk holds: the last third.
    mount.unmount()
    mount.start()
    for position in range(0, 80):
        (sample(mount, position) / "jpg").read_bytes()

    def first_read(position):
        return elapsed_ms((mount.point / f".epochs/3/train/0/{trees.index_name(position)}/jpg").read_bytes)

    alone = [first_read(position) for position in range(240, 440, 20)]
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
    crowded = [first_read(position) for position in range(440, 620, 20)]
    more = max(0, percentile(crowded, 0.5) - percentile(alone, 0.5))
    goals.add("G7 first read of another shard, longer than without the stall by (median)", more, "ms", 200)
    goals.add("G7 the longest of these", max(crowded), "ms", 1000)
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
    goals.add("G11 resident memory of its own", memory / (1 << 20), "MiB", 16 + 64)
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


def ends_under_load(mount, watched, goals):
    """G9: SIGTERM while reads wait for a store that says nothing, and once more."""
    (pid,) = mount.pids()
    watched.hold("GET .*[.]tar")
    path = mount.point / f".epochs/7/train/0/{trees.index_name(700)}/jpg"
    readers = [read_past_pages(path) for _ in range(8)]
    mounts.wait_until(lambda: watched.held() > 0, 30, "the reads wait for the store")
    begin = time.perf_counter()
    os.kill(pid, signal.SIGTERM)
    mounts.wait_until(lambda: mounts.kind_of_mount(mount.point) is None, 30, "it is detached")
    goals.add("G9 SIGTERM with reads under way, until detached", (time.perf_counter() - begin) * 1000, "ms", 5000)
    begin = time.perf_counter()
    os.kill(pid, signal.SIGTERM)
    mounts.wait_until(lambda: not mount.pids(), 30, "it has ended")
    goals.add("G9 second SIGTERM, until its process is gone", (time.perf_counter() - begin) * 1000, "ms", 1000)
    watched.release()
    for reader in readers:
        reader.kill()
        reader.wait()


def cannot_start(words, scratch, server, goals):
    """G17: mounts that cannot be, each with its exit code."""
    endpoint, environment = server.endpoint, mounts.clean_environment(**server.environment())
    strangers = {**environment, "AWS_SECRET_ACCESS_KEY": "wrong"}
    file = scratch / "file"
    file.write_text("no folder")
    cases = [
        ("no such bucket", 4, 10, ["s3://nobody-has-this", "--endpoint-url", endpoint], environment, None),
        ("wrong credentials", 3, 10, ["s3://goals", "--endpoint-url", endpoint], strangers, None),
        ("no credentials", 3, 10, ["s3://goals", "--endpoint-url", endpoint], mounts.clean_environment(), None),
        ("nobody listens", 5, 10, ["s3://goals", "--endpoint-url", "http://127.0.0.1:9"], environment, None),
        ("no such host", 5, 10, ["s3://goals", "--endpoint-url", "http://no.such.host.invalid"], environment, None),
        ("mount point is a file", 6, 2, ["s3://goals", "--endpoint-url", endpoint], environment, file),
        ("an option that is none", 2, 2, ["s3://goals", "--no-such-option"], environment, None),
    ]
    for name, code, limit, options, env, point in cases:
        mount = mounts.Mount(words.binary, options[0], point or scratch / "mnt3", *options[1:], environment=env)
        begin = time.perf_counter()
        try:
            mount.start()
            found = 0
        except mounts.MountFailed as failure:
            found = failure.code
        seconds = time.perf_counter() - begin
        mount.clear()
        goals.add(f"G17 {name}: exit code {found}", seconds if found == code else 999, "s", limit)


def waits(words, server, scratch, goals):
    """All that is measured over a store that holds requests back."""
    with relay.Relay(server.endpoint, scratch / "relay") as watched:
        mount = mounts.Mount(
            words.binary, "s3://goals", scratch / "mnt", "--endpoint-url", watched.endpoint,
            "--cache-size", "16MiB", "--prefetch", "0B", "--retry-timeout", "600s",
            environment=mounts.clean_environment(**server.environment()),
        )
        with mount:
            one_shard_stalls(mount, watched, goals)
            ends(mount, goals)
            ends_under_load(mount, watched, goals)


PARTS = ("waits", "starts", "store", "cache", "hostile")


def main():
    parser = argparse.ArgumentParser(prog="harness.goals", description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("scratch")
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all where none is named")
    words = parser.parse_args()
    parts = words.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part {unknown.pop()}; there are: {', '.join(PARTS)}")
    scratch, goals = pathlib.Path(words.scratch), Goals()
    dataset = shards.Dataset(scratch / "buckets/goals").add_split("train", SHARDS, PICTURE_BYTES)
    small = goals_store.small(scratch / "buckets/goals-small") if "store" in parts else None
    server = servers.RcloneS3(scratch / "buckets", scratch / "server")
    with server:
        if "waits" in parts:
            waits(words, server, scratch, goals)
        if "starts" in parts:
            cannot_start(words, scratch, server, goals)
        if "store" in parts:
            goals_store.mixture(words, server, small, scratch, goals)
            goals_store.measure(words, dataset, scratch / "buckets/goals", scratch, server, goals)
        if "hostile" in parts:
            goals_hostile.measure(words, server, scratch, dataset.rank("train"), goals)
    if "cache" in parts:
        goals_cache.measure(words.binary, scratch, goals)
    sys.exit(1 if goals.missed else 0)


if __name__ == "__main__":
    main()
