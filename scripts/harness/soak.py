"""Reads for a long time through a store of many faults, and says what came of it.

    python -m harness.soak BINARY SCRATCH [--minutes 30] [--percent 2] [--readers 8] [--seed N]

Each reader is a process of its own that takes samples in random order and compares every byte with
what went in. The mount's memory and descriptors are looked at all along. Exits 1 where a byte was
wrong, a read failed, or memory or descriptors grew.
"""

import argparse
import concurrent.futures
import dataclasses
import hashlib
import json
import pathlib
import random
import statistics
import sys
import threading
import time

from . import faults, mounts, servers, shards, trees

SHARDS = [40] * 24
PICTURE_BYTES = 100_000
CACHE = "32MiB"
SAMPLE_SECONDS = 1

# What a mount may have grown by when it has run for long: caches of libraries that fill.
MAX_GROWTH_BYTES = 16 << 20
MAX_GROWTH_DESCRIPTORS = 16


@dataclasses.dataclass
class Readings:
    """What readers have seen."""

    fields: int = 0
    bytes: int = 0
    wrong: int = 0
    failed: int = 0
    longest_s: float = 0.0
    failures: list = dataclasses.field(default_factory=list)

    def add(self, other):
        self.fields += other.fields
        self.bytes += other.bytes
        self.wrong += other.wrong
        self.failed += other.failed
        self.longest_s = max(self.longest_s, other.longest_s)
        self.failures = (self.failures + other.failures)[:10]


def read_until(point, samples, deadline, seed):
    """One reader: samples in random order, each field whole."""
    seen, generator = Readings(), random.Random(seed)
    while time.time() < deadline:
        position = generator.randrange(len(samples))
        folder = f"{point}/train/0/{trees.index_name(position)}"
        for field in samples[position].fields:
            begin = time.monotonic()
            try:
                with open(f"{folder}/{field.name}", "rb") as file:
                    data = file.read()
            except OSError as error:
                seen.failed += 1
                seen.failures.append(f"{folder}/{field.name}: {error}")
                continue
            finally:
                seen.longest_s = max(seen.longest_s, time.monotonic() - begin)
            seen.fields += 1
            seen.bytes += len(data)
            if hashlib.sha256(data).hexdigest() != field.sha256:
                seen.wrong += 1
                seen.failures.append(f"{folder}/{field.name}: other bytes")
    return seen


def figures(pid):
    """What a process holds: resident bytes of its own, descriptors, threads."""
    folder = pathlib.Path(f"/proc/{pid}")
    lines = (folder / "status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return (
        int(fields["RssAnon"].split()[0]) << 10,
        len(list((folder / "fd").iterdir())),
        int(fields["Threads"]),
    )


class Watch(threading.Thread):
    """Looks at a process until it is told to stop."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.ended, self.taken = pid, threading.Event(), []

    def run(self):
        while not self.ended.wait(SAMPLE_SECONDS):
            try:
                self.taken.append(figures(self.pid))
            except OSError:
                return

    def stop(self):
        self.ended.set()
        self.join()
        return self.taken

    def quarters(self):
        """Medians in the second and the last quarter: by then caches are as full as they get."""
        count = len(self.taken)
        return [
            [statistics.median(column) for column in zip(*part)]
            for part in (self.taken[count // 4 : count // 2], self.taken[count * 3 // 4 :])
        ]


def soak(binary, scratch, minutes, percent=2, readers=8, seed=1):
    """The whole of it; returns a report as a dictionary, with what went wrong in `complaints`."""
    scratch = pathlib.Path(scratch)
    dataset = shards.Dataset(scratch / "buckets/soak").add_split("train", SHARDS, PICTURE_BYTES)
    samples = dataset.rank("train")
    server = servers.RcloneS3(scratch / "buckets", scratch / "server")
    with server, faults.FaultyRelay(server.endpoint, scratch / "relay", percent, seed) as relay:
        mount = mounts.Mount(
            binary, "s3://soak", scratch / "mnt", "--endpoint-url", relay.endpoint,
            "--cache-size", CACHE, environment=mounts.clean_environment(**server.environment()),
        )
        with mount:
            (pid,) = mount.pids()
            watch, total = Watch(pid), Readings()
            watch.start()
            deadline = time.time() + minutes * 60
            with concurrent.futures.ProcessPoolExecutor(readers) as pool:
                jobs = [
                    pool.submit(read_until, str(mount.point), samples, deadline, f"{seed}:{n}")
                    for n in range(readers)
                ]
                for job in jobs:
                    total.add(job.result())
            taken = watch.stop()
            counts = relay.counts()
            lived = mount.pids() == [pid]
            relay.calm()
            # After the faults the same mount goes on.
            trees.check_rank(mount.point / "train/0", samples[:100])
            mount.unmount()
    early, late = watch.quarters()
    report = {
        "version": 1,
        "minutes": minutes,
        "readers": readers,
        "seed": seed,
        **dataclasses.asdict(total),
        "requests": counts.pop("requests", 0),
        "faults": sum(counts.values()),
        "faultsByKind": counts,
        "residentBytes": [early[0], late[0], max(row[0] for row in taken)],
        "descriptors": [early[1], late[1], max(row[1] for row in taken)],
        "threads": [early[2], late[2], max(row[2] for row in taken)],
    }
    report["complaints"] = complaints(report, lived)
    return report


def complaints(report, lived):
    found = list(report["failures"])
    if not lived:
        found.append("the mount's process has ended")
    if report["residentBytes"][1] > report["residentBytes"][0] + MAX_GROWTH_BYTES:
        found.append(f"its memory has grown: {report['residentBytes']}")
    if report["descriptors"][1] > report["descriptors"][0] + MAX_GROWTH_DESCRIPTORS:
        found.append(f"its descriptors have grown: {report['descriptors']}")
    return found


def main():
    parser = argparse.ArgumentParser(prog="harness.soak", description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("scratch")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--percent", type=float, default=2)
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    words = parser.parse_args()
    report = soak(words.binary, words.scratch, words.minutes, words.percent, words.readers, words.seed)
    print(json.dumps(report, indent=2))
    sys.exit(1 if report["complaints"] else 0)


if __name__ == "__main__":
    main()
