"""Who reads an epoch in a benchmark, and how: through wdsfs, or as people do without it.

Each contender reads every byte of every sample and decodes nothing. Readers run in processes that
were started, with their imports done, before the clock.
"""

import io
import multiprocessing
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import time
from concurrent import futures

from . import mounts, servers

PACKAGE = pathlib.Path(__file__).resolve().parents[2]
FAST_SERVER = PACKAGE.parent / "shared/bench/serve.py"
BUCKET = "bench"


# MARK: readers, each in a process of its own


def import_reader(_):
    import boto3  # noqa: F401  (a first import is slow)
    import webdataset  # noqa: F401


def read_files(folders):
    """Every file of every sample folder, as plain Python reads them."""
    samples = total = 0
    for folder in folders:
        with os.scandir(folder) as entries:
            names = sorted(entry.path for entry in entries)
        for name in names:
            with open(name, "rb", buffering=0) as file:
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


def read_objects(work):
    """Whole shards by boto3, the next two fetched meanwhile, and Python's tarfile over each."""
    import boto3

    endpoint, keys = work[0][0], [key for _, key in work]
    client = boto3.client("s3", endpoint_url=endpoint)
    samples, total = set(), 0
    with futures.ThreadPoolExecutor(2) as ahead:
        coming = [ahead.submit(get_object, client, key) for key in keys[:2]]
        for number in range(len(keys)):
            body = coming.pop(0).result()
            if number + 2 < len(keys):
                coming.append(ahead.submit(get_object, client, keys[number + 2]))
            with tarfile.open(fileobj=io.BytesIO(body)) as shard:
                for member in shard:
                    total += len(shard.extractfile(member).read())
                    samples.add(member.name.split(".", 1)[0])
    return len(samples), total


def unpack_to_nowhere(path):
    """A tar's members by bsdtar; how many bytes the kernel saw it write, since a pipe costs as much as the rest."""
    with subprocess.Popen(["bsdtar", "-xOf", path], stdout=subprocess.DEVNULL) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with open(f"/proc/{process.pid}/io", encoding="ascii") as file:
            counts = dict(line.split(": ") for line in file)
        if process.wait() != 0:
            raise RuntimeError(f"bsdtar could not unpack {path}")
    return int(counts["wchar"])


def get_object(client, key):
    return client.get_object(Bucket=BUCKET, Key=key)["Body"].read()


def in_processes(pool, read, work, count):
    """Deals work to processes in turn, reads, and adds up."""
    parts = [work[n::count] for n in range(count)]
    results = [pool.apply_async(read, (part,)) for part in parts if part]
    done = [result.get(timeout=3600) for result in results]
    return sum(samples for samples, _ in done), sum(total for _, total in done)


def dealt_in_batches(folders, count, batch=32):
    """As a loader's workers share a listing: batches in turn."""
    batches = [folders[at:at + batch] for at in range(0, len(folders), batch)]
    return [sum(batches[n::count], []) for n in range(count)]


def sample_folders(root):
    return [
        f"{root}/{split}/{rank}/{index}"
        for split in sorted(os.listdir(root))
        for rank in sorted(os.listdir(f"{root}/{split}"))
        for index in os.listdir(f"{root}/{split}/{rank}")
    ]


# MARK: servers


class FastS3(servers.Server):
    """nginx with a listing helper, by the yardstick beside this checkout; it checks no signature.

    Slow is S3 on a good day: 20 ms to the first byte, 60 ms a page of a listing, 60 MB/s a connection.
    """

    SLOW = ("--ttfb-ms", "20", "--list-ms", "60", "--mbps", "60")

    def __init__(self, root, scratch, is_slow=False):
        super().__init__(scratch)
        self.root, self.port = str(root), servers.free_port()
        self.options = self.SLOW if is_slow else ()
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def run(self, verb, *words):
        subprocess.run(
            [sys.executable, str(FAST_SERVER), verb, "--port", str(self.port), *words],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            env={**os.environ, "BENCH_STATE": str(self.scratch)}, timeout=60,
        )

    def start(self):
        self.run("start", "--root", self.root, *self.options)

    def stop(self):
        self.run("stop")

    def environment(self):
        return {
            "AWS_ACCESS_KEY_ID": "AKIABENCH",
            "AWS_SECRET_ACCESS_KEY": "unchecked",
            "AWS_REGION": "us-east-1",
        }


# MARK: what is measured


class Bench:
    """One bucket on one server, and a way to run each contender once."""

    def __init__(self, binary, folder, dataset, server, processes):
        self.binary, self.folder, self.dataset = binary, folder, dataset
        self.server, self.processes = server, processes
        self.is_open = isinstance(server, FastS3)
        self.keys = [
            f"{split}/{name}" for split, named in dataset.splits.items() for name in sorted(named)
        ]

    def contenders(self):
        """Name, how to run it, and the number of processes that read."""
        yield "wdsfs", self.wdsfs_cold, self.processes
        yield "wdsfs, second epoch", self.wdsfs_warm, self.processes
        yield "wdsfs, cache in memory", self.wdsfs_in_memory, self.processes
        yield "wdsfs --shuffle full", self.wdsfs_shuffled, self.processes
        yield "wdsfs .streams, bsdtar", self.wdsfs_stream, 1
        yield "wdsfs .streams, in memory", self.wdsfs_stream_in_memory, 1
        if self.is_open:
            yield "webdataset, http", self.http_webdataset, 1
            yield f"webdataset, http, {self.processes} workers", self.http_webdataset, self.processes
        yield "boto3, 2 shards ahead", self.boto3_ahead, 1
        yield "rclone mount + webdataset", self.rclone_webdataset, self.processes
        yield "files on disk", self.files, self.processes

    def measure(self, run, processes):
        """Runs one contender; its figures, or an error if it read something else than went in."""
        environment = self.server.environment()
        os.environ.update(environment)
        # Started before the clock: interpreters and imports are nobody's merit.
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            pool.map(import_reader, range(processes), chunksize=1)
            dropped = drop_kernel_cache()
            # As the interpreters, both programs are there already.
            for program in (self.binary, servers.rclone_path()):
                subprocess.run([program, "--version"], check=True, stdout=subprocess.DEVNULL)
            begin = time.monotonic()
            samples, total, more = run(pool, begin, processes)
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

    def through_wdsfs(self, begin, read, *options):
        mount = mounts.Mount(
            self.binary, f"s3://{BUCKET}", self.folder / "mnt", "--endpoint-url",
            self.server.endpoint, *options,
            environment=mounts.clean_environment(**self.server.environment()),
            cache_dir=self.folder / "cache",
        )
        with mount:
            mounted = time.monotonic() - begin
            samples, total, more = read(mount.point, begin)
            more["elapsed"] = time.monotonic() - begin
            more["mount_seconds"] = mounted
            process = mount.pids()[0]
            more["mount_cpu_seconds"] = cpu_seconds(process)
            more["mount_peak_resident_bytes"] = peak_bytes(process)
            mount.unmount()
        return samples, total, more

    def read_tree(self, pool, processes):
        def read(point, begin):
            folders = sample_folders(point)
            listed = time.monotonic() - begin
            parts = dealt_in_batches(folders, processes)
            results = [pool.apply_async(read_files, (part,)) for part in parts if part]
            done = [result.get(timeout=3600) for result in results]
            more = {"listed_seconds": listed}
            return sum(count for count, _ in done), sum(total for _, total in done), more

        return read

    def wdsfs_cold(self, pool, begin, processes):
        shutil.rmtree(self.folder / "cache", ignore_errors=True)
        return self.through_wdsfs(begin, self.read_tree(pool, processes))

    def wdsfs_warm(self, pool, begin, processes):
        return self.through_wdsfs(begin, self.read_tree(pool, processes))

    def wdsfs_shuffled(self, pool, begin, processes):
        shutil.rmtree(self.folder / "cache", ignore_errors=True)
        return self.through_wdsfs(begin, self.read_tree(pool, processes), "--shuffle", "full")

    def wdsfs_in_memory(self, pool, begin, processes):
        return self.through_wdsfs(begin, self.read_tree(pool, processes), "--cache-dir", "memory")

    def wdsfs_stream_in_memory(self, pool, begin, processes):
        return self.wdsfs_stream(pool, begin, processes, "--cache-dir", "memory")

    def wdsfs_stream(self, pool, begin, processes, *options):
        shutil.rmtree(self.folder / "cache", ignore_errors=True)

        def read(point, begin):
            total = 0
            for split in self.dataset.splits:
                stream = f"{point}/.streams/{split}/0.tar"
                total += unpack_to_nowhere(stream)
            # bsdtar says nothing of samples; with every byte there they all were.
            count = self.dataset.sample_count() if total == self.dataset.byte_count() else 0
            return count, total, {}

        return self.through_wdsfs(begin, read, *options)

    def rclone_webdataset(self, pool, begin, processes):
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
                    servers.rclone_path(), "mount", f":s3:{BUCKET}", str(point), "--config", "",
                    "--read-only", "--s3-provider", "Rclone", "--s3-endpoint", self.server.endpoint,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                preexec_fn=servers.die_with_parent,
            )
        try:
            mounts.wait_until(lambda: mounts.kind_of_mount(point), 30, "rclone has mounted")
            paths = [str(point / key) for key in self.keys]
            samples, total = in_processes(pool, read_shards, paths, processes)
            elapsed = time.monotonic() - begin
            more = {
                "elapsed": elapsed,
                "mount_cpu_seconds": cpu_seconds(process.pid),
                "mount_peak_resident_bytes": peak_bytes(process.pid),
            }
        finally:
            mounts.detach(point)
            process.terminate()
            process.wait(20)
        return samples, total, more

    def http_webdataset(self, pool, begin, processes):
        urls = [f"pipe:curl -sf {self.server.endpoint}/{BUCKET}/{key}" for key in self.keys]
        samples, total = in_processes(pool, read_shards, urls, processes)
        return samples, total, {"elapsed": time.monotonic() - begin}

    def boto3_ahead(self, pool, begin, processes):
        work = [(self.server.endpoint, key) for key in self.keys]
        samples, total = in_processes(pool, read_objects, work, processes)
        return samples, total, {"elapsed": time.monotonic() - begin}

    def files(self, pool, begin, processes):
        folders = sample_folders(self.folder / "files")
        samples, total = in_processes(pool, read_files, folders, processes)
        return samples, total, {"elapsed": time.monotonic() - begin}


def peak_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def cpu_seconds(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        words = file.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def drop_kernel_cache():
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("3")
        return True
    except OSError:
        return False
