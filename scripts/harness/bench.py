"""One epoch, beside what people would do otherwise: the same bucket, in one run, in turns.

Contenders:
    wdsfs cold          mount with an empty cache, read every file of every sample
    wdsfs warm          mount again over that cache, read again
    rclone+webdataset   rclone mount, webdataset reads the shards below it
    http+webdataset     webdataset reads the shards from the server (where it asks for no signature)
    files on disk       the samples unpacked beforehand

Each is read by the same number of processes, nothing is decoded, and the kernel's cache of files is
dropped before (root may do that). The clock runs from before the mount to the last sample. A run counts only if samples and bytes are those that went in.
"""

import argparse
import collections
import contextlib
import datetime
import json
import multiprocessing
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from . import mounts, servers, shards
from .console import bold, dim, say, size

PICTURE_BYTES = 100_000
SAMPLES_PER_SHARD = 250
PACKAGE = pathlib.Path(__file__).resolve().parents[2]
FAST_SERVER = PACKAGE.parent / "shared/bench/serve.py"


# MARK: readers, each in processes of its own


def read_files(folders):
    """Every file of every sample folder, as plain Python reads them."""
    samples = total = 0
    for folder in folders:
        with os.scandir(folder) as entries:
            names = [entry.path for entry in entries]
        for name in names:
            with open(name, "rb") as file:
                total += len(file.read())
        samples += 1
    return samples, total


def read_shards(urls):
    """Every field of every sample, as webdataset hands them out undecoded."""
    import webdataset

    samples = total = 0
    for sample in webdataset.WebDataset(urls, shardshuffle=False, empty_check=False):
        total += sum(len(data) for name, data in sample.items() if not name.startswith("__"))
        samples += 1
    return samples, total


def in_processes(pool, read, work, count):
    """Deals work to processes in turn, reads, and adds up."""
    parts = [work[n::count] for n in range(count)]
    results = [pool.apply_async(read, (part,)) for part in parts if part]
    done = [result.get(timeout=3600) for result in results]
    return sum(samples for samples, _ in done), sum(total for _, total in done)


def sample_folders(root):
    return [
        f"{root}/{split}/{rank}/{index}"
        for split in sorted(os.listdir(root))
        for rank in sorted(os.listdir(f"{root}/{split}"))
        for index in os.listdir(f"{root}/{split}/{rank}")
    ]


# MARK: what is measured


class FastS3(servers.Server):
    """nginx with a listing helper, by the yardstick beside this checkout; it checks no signature."""

    def __init__(self, root, scratch):
        super().__init__(scratch)
        self.root, self.port = str(root), servers.free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def run(self, verb, *words):
        subprocess.run(
            [sys.executable, str(FAST_SERVER), verb, "--port", str(self.port), *words],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            env={**os.environ, "BENCH_STATE": str(self.scratch)}, timeout=60,
        )

    def start(self):
        self.run("start", "--root", self.root)

    def stop(self):
        self.run("stop")

    def environment(self):
        return {
            "AWS_ACCESS_KEY_ID": "AKIABENCH",
            "AWS_SECRET_ACCESS_KEY": "unchecked",
            "AWS_REGION": "us-east-1",
        }


class Bench:
    """The data, one server, and a way to run each contender once."""

    def __init__(self, binary, folder, dataset, server, processes):
        self.binary, self.folder, self.dataset = binary, folder, dataset
        self.server, self.processes = server, processes
        self.fresh = 0
        self.keys = [
            f"{split}/{name}" for split, named in dataset.splits.items() for name in sorted(named)
        ]

    def contenders(self):
        yield "wdsfs cold", self.wdsfs_cold
        yield "wdsfs warm", self.wdsfs_warm
        yield "rclone+webdataset", self.rclone_webdataset
        if isinstance(self.server, FastS3):
            yield "http+webdataset", self.http_webdataset
        yield "files on disk", self.files

    def measure(self, contender):
        """Runs one contender; its figures, or an error if it read something else than went in."""
        # Started before the clock: interpreters and imports are nobody's merit.
        with multiprocessing.get_context("spawn").Pool(self.processes) as pool:
            pool.map(import_reader, range(self.processes), chunksize=1)
            dropped = drop_kernel_cache()
            begin = time.monotonic()
            samples, total, more = contender(pool, begin)
        if (samples, total) != (self.dataset.sample_count(), self.dataset.byte_count()):
            raise RuntimeError(
                f"read {samples} samples and {total} bytes, "
                f"{self.dataset.sample_count()} and {self.dataset.byte_count()} went in"
            )
        elapsed = more.pop("elapsed")
        return {
            "seconds": elapsed,
            "samples_per_second": samples / elapsed,
            "megabytes_per_second": total / elapsed / 1e6,
            "kernel_cache_dropped": dropped,
            **more,
        }

    def through_wdsfs(self, pool, begin):
        mount = mounts.Mount(
            self.binary, "s3://bench", self.folder / "mnt", "--endpoint-url", self.server.endpoint,
            environment=mounts.clean_environment(**self.server.environment()),
            cache_dir=self.folder / "cache",
        )
        with mount:
            mounted = time.monotonic() - begin
            folders = sample_folders(mount.point)
            listed = time.monotonic() - begin
            samples, total = in_processes(pool, read_files, folders, self.processes)
            elapsed = time.monotonic() - begin
            peak = peak_bytes(mount.pids()[0])
            mount.unmount()
        more = {"elapsed": elapsed, "mount_seconds": mounted, "list_seconds": listed - mounted}
        return samples, total, {**more, "peak_resident_bytes": peak}

    def wdsfs_cold(self, pool, begin):
        shutil.rmtree(self.folder / "cache", ignore_errors=True)
        return self.through_wdsfs(pool, begin)

    def wdsfs_warm(self, pool, begin):
        return self.through_wdsfs(pool, begin)

    def rclone_webdataset(self, pool, begin):
        point = self.folder / "rclone"
        point.mkdir(exist_ok=True)
        keys = self.server.environment()
        environment = mounts.clean_environment(
            RCLONE_S3_ACCESS_KEY_ID=keys["AWS_ACCESS_KEY_ID"],
            RCLONE_S3_SECRET_ACCESS_KEY=keys["AWS_SECRET_ACCESS_KEY"],
        )
        with open(self.folder / "rclone.log", "wb") as log:
            process = subprocess.Popen(
                [
                    servers.rclone_path(), "mount", ":s3:bench", str(point), "--config", "",
                    "--read-only", "--s3-provider", "Rclone", "--s3-endpoint", self.server.endpoint,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                preexec_fn=servers.die_with_parent,
            )
        try:
            mounts.wait_until(lambda: mounts.kind_of_mount(point), 30, "rclone has mounted")
            mounted = time.monotonic() - begin
            paths = [str(point / key) for key in self.keys]
            samples, total = in_processes(pool, read_shards, paths, self.processes)
            elapsed = time.monotonic() - begin
            peak = peak_bytes(process.pid)
        finally:
            mounts.detach(point)
            process.terminate()
            process.wait(20)
        more = {"elapsed": elapsed, "mount_seconds": mounted, "peak_resident_bytes": peak}
        return samples, total, more

    def http_webdataset(self, pool, begin):
        urls = [f"pipe:curl -sf {self.server.endpoint}/bench/{key}" for key in self.keys]
        samples, total = in_processes(pool, read_shards, urls, self.processes)
        return samples, total, {"elapsed": time.monotonic() - begin}

    def files(self, pool, begin):
        folders = sample_folders(self.folder / "files")
        samples, total = in_processes(pool, read_files, folders, self.processes)
        return samples, total, {"elapsed": time.monotonic() - begin}


def import_reader(_):
    import webdataset  # noqa: F401  (a first import is slow)


def peak_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def drop_kernel_cache():
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("3")
        return True
    except OSError:
        return False


# MARK: a run


def make_data(folder, megabytes):
    """The bucket, and its samples unpacked as the tree would show them."""
    count = max(1, megabytes * 1_000_000 // PICTURE_BYTES)
    counts = [SAMPLES_PER_SHARD] * (count // SAMPLES_PER_SHARD)
    if rest := count % SAMPLES_PER_SHARD:
        counts.append(rest)
    dataset = shards.Dataset(folder / "buckets/bench")
    position = 0
    for number, shard_count in enumerate(counts):
        samples = list(shards.pictures(position, shard_count, PICTURE_BYTES))
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
        ["git", "-C", str(PACKAGE), "describe", "--always", "--dirty"], capture_output=True, text=True
    )
    return done.stdout.strip() or None


def medians(runs):
    grouped = collections.defaultdict(list)
    for run in runs:
        grouped[run["server"], run["contender"]].append(run)
    return {
        key: {
            name: statistics.median(run[name] for run in same)
            for name in ("seconds", "samples_per_second", "megabytes_per_second")
        }
        for key, same in grouped.items()
    }


def print_table(runs):
    middle = medians(runs)
    for server in dict.fromkeys(run["server"] for run in runs):
        rows = {contender: row for (where, contender), row in middle.items() if where == server}
        base = rows["wdsfs cold"]["samples_per_second"]
        say(bold(f"\n{server}"))
        say(f"  {'':20}{'samples/s':>11}{'MB/s':>9}{'seconds':>10}{'x wdsfs cold':>14}")
        for contender, row in sorted(rows.items(), key=lambda item: -item[1]["samples_per_second"]):
            say(
                f"  {contender:20}{row['samples_per_second']:11,.0f}{row['megabytes_per_second']:9,.0f}"
                f"{row['seconds']:10.2f}{row['samples_per_second'] / base:14.2f}"
            )


def main():
    binary = os.path.abspath(sys.argv.pop(1))
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=400, metavar="MB", help="of the bucket (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many (%(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="that read (%(default)s)")
    parser.add_argument("--out", default=str(PACKAGE / "bench/results"), help="folder for the JSON")
    arguments = parser.parse_args()
    runs = []
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="wdsfs-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        # nginx's workers are nobody in particular, and read the buckets.
        folder.chmod(0o755)
        dataset = make_data(folder, arguments.size)
        say(
            f"{dataset.sample_count():,} samples, {size(dataset.byte_count())}, "
            f"{len(dataset.splits['train'])} shards; {arguments.processes} readers, "
            f"{arguments.rounds} rounds in turn"
        )
        benches = {"rclone serve s3": servers.RcloneS3(folder / "buckets", folder / "server")}
        if FAST_SERVER.exists():
            benches["nginx"] = FastS3(folder / "buckets", folder / "nginx")
        for name, server in benches.items():
            stack.enter_context(server)
            benches[name] = Bench(binary, folder, dataset, server, arguments.processes)
        for number in range(arguments.rounds):
            for name, bench in benches.items():
                for contender, run in bench.contenders():
                    figures = bench.measure(run)
                    runs.append({"server": name, "contender": contender, "round": number, **figures})
                    say(
                        dim(
                            f"  round {number + 1}  {name:16} {contender:18} "
                            f"{figures['samples_per_second']:8,.0f} samples/s {figures['seconds']:7.2f} s"
                        )
                    )
    print_table(runs)
    now = datetime.datetime.now(datetime.timezone.utc)
    document = {
        "version": 1,
        "time": now.isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": describe_machine(),
        "data": {
            "samples": dataset.sample_count(),
            "bytes": dataset.byte_count(),
            "shards": len(dataset.splits["train"]),
        },
        "processes": arguments.processes,
        "runs": runs,
    }
    os.makedirs(arguments.out, exist_ok=True)
    path = os.path.join(arguments.out, now.strftime("epoch-%Y%m%dT%H%M%SZ.json"))
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
    say(f"\nAll figures: {os.path.relpath(path)}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (mounts.MountFailed, RuntimeError, OSError, TimeoutError) as error:
        sys.exit(f"bench: {error}")
