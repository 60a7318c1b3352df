"""One epoch, beside what people would do otherwise: the same bucket, in one run, in turns.

Contenders:
    wdsfs                     mount with an empty cache on disk, read every file of every sample
    wdsfs, second epoch       mount again over that cache, read again
    wdsfs --shuffle full      as the first, in a shuffled order
    wdsfs .streams, bsdtar    mount with an empty cache, read the rank as one tar
    webdataset, http          webdataset reads the shards from the server (where it asks for no signature)
    boto3, 2 shards ahead     whole shards by boto3, Python's tarfile
    rclone mount + webdataset webdataset reads the shards below a mount
    files on disk             the samples unpacked beforehand

Data: jpg (samples of jpg of 100 KB, cls and json) and tiny (npy of 2 KB and json). Nothing is
decoded, and the kernel's cache of files is dropped before each run (root may do that). The clock
runs from before the mount, or the first request, to the last sample. A run counts only if samples
and bytes are those that went in.
"""

import argparse
import collections
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile

from . import bench_page, contenders, mounts, servers, shards
from .console import bold, dim, say, size

# Profile -> bytes of the large field, samples a shard, part of --size.
PROFILES = {"jpg": (100_000, 1000, 1.0), "tiny": (2_000, 10_000, 0.15)}

# The name of the server that is as far away as S3.
SLOW = "nginx, slow"


def tiny_samples(first, count, field_bytes):
    for key, fields in shards.pictures(first, count, field_bytes):
        yield key, {"npy": fields["jpg"], "json": fields["json"]}


def make_data(folder, profile, megabytes):
    """The bucket, and its samples unpacked as the tree would show them."""
    field_bytes, shard_samples, part = PROFILES[profile]
    make = shards.pictures if profile == "jpg" else tiny_samples
    count = max(1, int(megabytes * part * 1_000_000 / field_bytes))
    counts = [shard_samples] * (count // shard_samples)
    if rest := count % shard_samples:
        counts.append(rest)
    dataset = shards.Dataset(folder / "buckets" / contenders.BUCKET)
    position = 0
    for number, shard_count in enumerate(counts):
        samples = list(make(position, shard_count, field_bytes))
        dataset.add_shard("train", f"train-{number:06d}.tar", samples)
        for key, fields in samples:
            target = folder / f"files/train/0/{position:08d}"
            target.mkdir(parents=True)
            for name, data in fields.items():
                (target / f"{key}.{name}").write_bytes(data)
            position += 1
    return dataset


def describe_machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":")[1].strip() for line in file if "model name" in line), "")
    return {"cpus": os.cpu_count(), "model": model, "kernel": platform.release()}


def commit():
    done = subprocess.run(
        ["git", "-C", str(contenders.PACKAGE), "describe", "--always", "--dirty"],
        capture_output=True, text=True,
    )
    return done.stdout.strip() or None


def keep(document, name, folder):
    """Writes figures to a file of their own, with when, where and of what they are."""
    now = datetime.datetime.now(datetime.timezone.utc)
    document |= {"time": now.isoformat(timespec="seconds"), "commit": commit(), "machine": describe_machine()}
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, now.strftime(f"{name}-%Y%m%dT%H%M%SZ.json"))
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
    say(f"\nAll figures: {os.path.relpath(path)}")


def given():
    """The options: those of WDSFS_TEST_BENCH, by which a test makes a run short, before those of the command."""
    return shlex.split(os.environ.get("WDSFS_TEST_BENCH", "")) + sys.argv[1:]


def grouped(runs):
    """(profile, server) -> contender -> its runs, in the order they first ran."""
    groups = collections.defaultdict(lambda: collections.defaultdict(list))
    for run in runs:
        groups[run["profile"], run["server"]][run["contender"]].append(run)
    return groups


def print_tables(document):
    for (profile, server), rows in grouped(document["runs"]).items():
        rates = {name: [run["samples_per_second"] for run in runs] for name, runs in rows.items()}
        middle = {name: statistics.median(values) for name, values in rates.items()}
        base = middle["wdsfs"]
        say(bold(f"\n{profile}, {server}"))
        say(f"  {'':28}{'samples/s':>11}{'least':>9}{'most':>9}{'x wdsfs':>9}")
        for name in sorted(middle, key=lambda name: -middle[name]):
            say(
                f"  {name:28}{middle[name]:11,.0f}{min(rates[name]):9,.0f}{max(rates[name]):9,.0f}"
                f"{middle[name] / base:9.2f}"
            )


@contextlib.contextmanager
def bucket_on_servers(profile, megabytes):
    """A folder for mounts and caches, a profile's data, and the running servers of its bucket by name.

    The samples lie unpacked in the folder's `files`. All is gone afterwards.
    """
    with contextlib.ExitStack() as stack:
        # In memory where there is room, so that the server's disk is not what is measured.
        room = "/dev/shm" if megabytes * 4e6 < shutil.disk_usage("/dev/shm").free else None
        folder = pathlib.Path(tempfile.mkdtemp(prefix="wdsfs-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        data = pathlib.Path(tempfile.mkdtemp(prefix="wdsfs-bench-", dir=room))
        stack.callback(shutil.rmtree, data, ignore_errors=True)
        # nginx's workers are nobody in particular, and read the buckets.
        folder.chmod(0o755)
        data.chmod(0o755)
        dataset = make_data(data, profile, megabytes)
        (folder / "files").symlink_to(data / "files")
        buckets = data / "buckets"
        if contenders.FAST_SERVER.exists():
            found = {
                "nginx": contenders.FastS3(buckets, folder / "fast"),
                SLOW: contenders.FastS3(buckets, folder / "slow", is_slow=True),
            }
        else:
            found = {"rclone serve s3": servers.RcloneS3(buckets, folder / "server")}
        for server in found.values():
            stack.enter_context(server)
        yield folder, dataset, found


def run_profile(profile, arguments, binary, runs):
    with bucket_on_servers(profile, arguments.size) as (folder, dataset, found):
        say(
            f"{profile}: {dataset.sample_count():,} samples, {size(dataset.byte_count())}, "
            f"{len(dataset.splits['train'])} shards; {arguments.processes} readers, "
            f"{arguments.rounds} rounds in turn"
        )
        benches = {
            name: contenders.Bench(binary, folder, dataset, server, arguments.processes)
            for name, server in found.items()
        }
        for number in range(arguments.rounds):
            for server, bench in benches.items():
                for name, run, processes in bench.contenders():
                    figures = bench.measure(run, processes)
                    run = {"profile": profile, "server": server, "contender": name, "round": number}
                    runs.append({**run, "bytes": dataset.byte_count(), **figures})
                    say(
                        dim(
                            f"  round {number + 1}  {server:16} {name:28} "
                            f"{figures['samples_per_second']:8,.0f} samples/s {figures['seconds']:7.2f} s"
                        )
                    )


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", type=os.path.abspath, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, default=400, metavar="MB", help="of the jpg bucket (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many (%(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="that read (%(default)s)")
    parser.add_argument("--profiles", default="jpg,tiny", help="(%(default)s)")
    parser.add_argument(
        "--floors", action="store_true",
        help="given first: what one step costs on each floor, by ordo-one/benchmark; the rest are its options",
    )
    parser.add_argument("--long", action="store_true", help="a larger bucket and more rounds: 20 minutes or more")
    parser.add_argument("--out", default=str(contenders.PACKAGE / "bench/results"), help="folder for the JSON")
    parser.add_argument("--page", action="store_true", help="write docs/performance.md and its plot from this run")
    parser.add_argument("--page-from", metavar="JSON", help="write them from an earlier run, and run nothing")
    arguments = parser.parse_args(given())
    if arguments.page_from:
        with open(arguments.page_from, encoding="utf-8") as file:
            return bench_page.write(json.load(file), grouped, contenders.PACKAGE)
    if arguments.long:
        arguments.size, arguments.rounds = max(arguments.size, 1600), max(arguments.rounds, 5)
    runs = []
    for profile in arguments.profiles.split(","):
        run_profile(profile, arguments, arguments.binary, runs)
    document = {"version": 2, "processes": arguments.processes, "rounds": arguments.rounds, "runs": runs}
    keep(document, "epoch", arguments.out)
    print_tables(document)
    if arguments.page:
        bench_page.write(document, grouped, contenders.PACKAGE)
    return None


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except (mounts.MountFailed, RuntimeError, OSError, TimeoutError) as error:
        sys.exit(f"bench: {error}")
