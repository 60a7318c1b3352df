"""What a mount takes for single deeds: the first sample, whole shards, an index, waits, many readers.

    scripts/bench --points [--size MB] [--rounds N] [--page]

Each with an empty cache in a folder of its own unless said, beside a server without delay and, where the
yardstick lies beside this checkout, one with 20 ms to the first byte and 60 MB/s a connection.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from . import bench, contenders, mounts, points_page, trees
from .console import bold, dim, say, size

BLOCK = bytearray(1 << 20)


def read_sample(folder):
    for entry in os.scandir(folder):
        with open(entry.path, "rb", buffering=0) as file:
            file.read()


def seconds_each(folders):
    """How long each sample took to read."""
    times = []
    for folder in folders:
        begin = time.perf_counter()
        read_sample(folder)
        times.append(time.perf_counter() - begin)
    return times


def part(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


def rate(folders, count):
    """Samples a second by so many readers at once."""
    parts = contenders.dealt_in_batches(folders, count)
    # Started before the clock: interpreters are nobody's merit.
    with multiprocessing.get_context("fork").Pool(count) as pool:
        pool.map(contenders.import_reader, range(count), chunksize=1)
        begin = time.perf_counter()
        pool.map(seconds_each, parts, chunksize=1)
        return len(folders) / (time.perf_counter() - begin)


class Points:
    """One bucket on one server, and each deed once."""

    def __init__(self, binary, folder, dataset, server, reader_counts):
        self.binary, self.folder, self.dataset, self.server = binary, folder, dataset, server
        self.reader_counts = reader_counts
        self.shard_bytes = sum(file.stat().st_size for file in pathlib.Path(dataset.folder).rglob("*.tar"))
        self.environment = mounts.clean_environment(**server.environment())
        # What is drawn: of the last round.
        self.curves = {"waits": [], "epochs": []}

    @contextlib.contextmanager
    def mount(self, *options, cache=None):
        own = tempfile.mkdtemp(prefix="cache-", dir=self.folder)
        words = ("--endpoint-url", self.server.endpoint, *options)
        mount = mounts.Mount(
            self.binary, f"s3://{contenders.BUCKET}", self.folder / "mnt", *words,
            environment=self.environment, cache_dir=cache or own,
        )
        try:
            with mount:
                yield mount.point
                mount.unmount()
        finally:
            shutil.rmtree(own)

    def folders(self, point):
        return [f"{point}/train/0/{name}" for name in sorted(os.listdir(f"{point}/train/0"))]

    def first_sample(self, cache=None):
        begin = time.perf_counter()
        with self.mount("--partition", "shards", cache=cache) as point:
            (point / f"train/0/{trees.index_name(0)}/jpg").read_bytes()
            yield "first sample, mount and listing inside" + (", indexed" if cache else ""), "s", (
                time.perf_counter() - begin
            )

    def first_samples(self):
        yield from self.first_sample()
        with tempfile.TemporaryDirectory(dir=self.folder) as cache:
            self.index(cache)
            yield from self.first_sample(cache)

    def index(self, cache):
        begin = time.perf_counter()
        words = ["index", f"s3://{contenders.BUCKET}", "--endpoint-url", self.server.endpoint]
        subprocess.run(
            [self.binary, *words, "--cache-dir", cache],
            env=self.environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        return time.perf_counter() - begin

    def indexed(self):
        with tempfile.TemporaryDirectory(dir=self.folder) as cache:
            yield "wdsfs index", "MB/s", self.shard_bytes / self.index(cache) / 1e6

    def whole_shards(self):
        for cache in ("disk", "memory"):
            with self.mount(cache="memory" if cache == "memory" else None) as point:
                begin, total = time.perf_counter(), 0
                for shard in sorted((point / ".shards/train").glob("*.tar")):
                    with open(shard, "rb", buffering=0) as file:
                        while count := file.readinto(BLOCK):
                            total += count
                yield f"whole shards, one reader, cache on {cache}", "MB/s", total / (time.perf_counter() - begin) / 1e6

    def waits(self):
        with self.mount() as point:
            folders = self.folders(point)
            begin, times = time.perf_counter(), []
            for folder in folders:
                is_late = time.perf_counter() - begin > 1
                took = seconds_each([folder])[0]
                if is_late:
                    times.append(took * 1000)
            if times:
                yield "a sample of one reader after the first second, p50", "ms", part(times, 0.5)
                yield "the same, p99", "ms", part(times, 0.99)
                self.curves["waits"] = [(percent / 10, part(times, percent / 1000)) for percent in range(0, 1000, 5)]

    def epochs(self):
        """Two epochs in one mount: the second's rate, and how both went."""
        with self.mount() as point, multiprocessing.get_context("fork").Pool(2) as pool:
            begin, rows, is_over = time.perf_counter(), [], threading.Event()

            def watch():
                while not is_over.wait(0.1):
                    stats = json.loads((point / ".wdsfs/stats.json").read_text())
                    cached = stats["cache"]["diskBytes"] / 1e6
                    rows.append((time.perf_counter() - begin, stats["reads"]["bytes"] / 1e6, cached))

            watcher = threading.Thread(target=watch)
            watcher.start()
            try:
                for _ in range(2):
                    started = time.perf_counter()
                    folders = self.folders(point)
                    pool.map(seconds_each, contenders.dealt_in_batches(folders, 2), chunksize=1)
                    elapsed = time.perf_counter() - started
            finally:
                is_over.set()
                watcher.join()
            yield "a second epoch in the same mount, two readers, cache on disk", "samples/s", len(folders) / elapsed
            self.curves["epochs"] = [
                (later[0], (later[1] - earlier[1]) / (later[0] - earlier[0]), later[2])
                for earlier, later in zip(rows, rows[1:])
            ]

    def readers(self):
        memory = f"{self.dataset.byte_count() * 5 // 4 // 1_000_000 + 64}MB"
        for count in self.reader_counts:
            readers = "1 reader" if count == 1 else f"{count} readers"
            with self.mount("--cache-size", memory, cache="memory") as point:
                yield f"{readers}, all in memory", "samples/s", rate(self.folders(point), count)
            # What so many processes lose on this machine without any mount.
            unpacked = contenders.sample_folders(self.folder / "files")
            yield f"{readers}, files on disk", "samples/s", rate(unpacked, count)

    def all(self, is_slow):
        yield from self.first_samples()
        yield from self.indexed()
        yield from self.whole_shards()
        yield from self.waits()
        yield from self.epochs()
        if not is_slow:
            yield from self.readers()


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench --points", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", type=os.path.abspath, help=argparse.SUPPRESS)
    parser.add_argument("--points", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, default=400, metavar="MB", help="of the bucket (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many (%(default)s)")
    parser.add_argument(
        "--readers", default="1,2,8,32,128", metavar="N,N", help="so many processes at once (%(default)s)"
    )
    parser.add_argument("--out", default=str(contenders.PACKAGE / "bench/results"), help="folder for the JSON")
    parser.add_argument("--page", action="store_true", help="write the figures into docs/performance.md")
    arguments = parser.parse_args(bench.given())
    reader_counts = [int(count) for count in arguments.readers.split(",")]
    found, curves = {}, {}
    with bench.bucket_on_servers("jpg", arguments.size) as (folder, dataset, all_servers):
        say(f"{dataset.sample_count():,} samples, {size(dataset.byte_count())}; {arguments.rounds} rounds")
        for name, server in all_servers.items():
            points = Points(arguments.binary, folder, dataset, server, reader_counts)
            for number in range(arguments.rounds):
                for what, unit, value in points.all(is_slow=name == bench.SLOW):
                    found.setdefault((name, what, unit), []).append(value)
                    say(dim(f"  round {number + 1}  {name:16} {what:58} {value:10,.3f} {unit}"))
            curves[name] = points.curves
    runs = [
        {"server": name, "what": what, "unit": unit, "values": values}
        for (name, what, unit), values in found.items()
    ]
    document = {
        "version": 1, "bytes": dataset.byte_count(), "rounds": arguments.rounds, "runs": runs, "curves": curves,
    }
    bench.keep(document, "points", arguments.out)
    if arguments.page:
        points_page.write(document, contenders.PACKAGE)
    say(bold(f"\n{'':75} {'median':>10} {'least':>10} {'most':>10}"))
    for run in runs:
        values = run["values"]
        digits = 0 if min(values) >= 100 else 3
        figures = (f"{value:10,.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
        say(f"{run['server']:16} {run['what']:58} {' '.join(figures)} {run['unit']}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (mounts.MountFailed, RuntimeError, OSError, TimeoutError, subprocess.SubprocessError) as error:
        sys.exit(f"bench: {error}")
