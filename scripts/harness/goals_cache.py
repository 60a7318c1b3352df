"""Measures what the cache on disk promises: the cache's part of harness.goals."""

import ctypes
import json
import os
import pathlib
import random
import signal
import threading
import time

from . import mounts, shards, trees

MIB = 1 << 20
# Of so many bytes a hash is taken to see how fast that is: more than any processor's cache.
HASHED_BYTES = 256 * MIB
LIMIT_MIB = 24


def statistics(mount):
    return json.loads((mount.point / ".wdsfs/stats.json").read_text())["cache"]


def chunk_files(folder):
    return sorted(path for path in (pathlib.Path(folder) / "wdsfs-1/chunks").rglob("*") if path.is_file())


def flip(path, other, generator):
    with open(path, "r+b") as file:
        place = generator.randrange(os.path.getsize(path))
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1 << generator.randrange(8)]))


def cut(path, other, generator):
    os.truncate(path, generator.randrange(os.path.getsize(path)))


def swap(path, other, generator):
    """Puts a copy of another chunk in its place, whole and with a right checksum of its own."""
    path.write_bytes(other.read_bytes())


def damaged(mount, samples, goals):
    """Each file of the cache is flipped, cut or another's; and then everything is read."""
    generator, wrong, harms = random.Random(1), 0, [flip, cut, swap]
    files = chunk_files(mount.cache_dir)
    for number, path in enumerate(files):
        harms[number % len(harms)](path, files[number - 1], generator)
    mount.start()
    for position, sample in enumerate(samples):
        try:
            trees.check_sample(mount.point / f"train/0/{trees.index_name(position)}", sample)
        except (trees.Difference, OSError):
            wrong += 1
    found = statistics(mount)["corruptChunks"]
    mount.unmount()
    goals.add(f"G13 samples read wrongly where all of {len(files)} chunks on disk were damaged", wrong, "", 0)
    goals.add("G13 damaged chunks that were found", 100 * found / len(files), "%", 100, is_least=True)


def hash_speed():
    """Bytes a second of the chunks' checksum, by the library that it comes from."""
    take = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
    take.argtypes, take.restype = [ctypes.c_char_p, ctypes.c_size_t], ctypes.c_uint64
    data = os.urandom(MIB) * (HASHED_BYTES // MIB)
    take(data, len(data))
    begin = time.perf_counter()
    take(data, len(data))
    return len(data) / (time.perf_counter() - begin)


def checksum_cost(mount, samples, goals):
    """How much of a read from the cache on disk goes into checksums."""
    mount.start()
    begin = time.perf_counter()
    # Not compared: that would cost more than all the rest.
    for position, sample in enumerate(samples):
        for name in sample.listed_names():
            (mount.point / f"train/0/{trees.index_name(position)}/{name}").read_bytes()
    seconds, loaded = time.perf_counter() - begin, statistics(mount)["chunksLoadedFromDisk"] * MIB
    mount.unmount()
    goals.add("G13 checksums, of the time that reads from the cache take", 100 * loaded / hash_speed() / seconds, "%", 5)


class Size(threading.Thread):
    """Watches how large a folder becomes; who writes there stands still meanwhile, or files that come and go count twice."""

    def __init__(self, folder, writers):
        super().__init__(daemon=True)
        self.folder, self.writers = folder, writers
        self.largest, self.ended = 0, threading.Event()

    def run(self):
        while not self.ended.wait(0.05):
            for pid in self.writers:
                os.kill(pid, signal.SIGSTOP)
            try:
                files = [os.path.join(folder, name) for folder, _, names in os.walk(self.folder) for name in names]
                self.largest = max(self.largest, sum(os.lstat(file).st_blocks * 512 for file in files))
            finally:
                for pid in self.writers:
                    os.kill(pid, signal.SIGCONT)

    def stop(self):
        self.ended.set()
        self.join()
        return self.largest / MIB


def within_limit(binary, dataset, samples, scratch, count, goals):
    """Mounts that share a folder and read more than it may hold."""
    folder, made, watch = scratch / f"limited-{count}", [], None
    try:
        for number in range(count):
            mount = mounts.Mount(
                binary, dataset.folder, scratch / f"mnt-limited-{count}-{number}",
                "--cache-size", f"{LIMIT_MIB}MiB", cache_dir=folder,
            )
            made.append(mount.start())
        watch = Size(folder, [pid for mount in made for pid in mount.pids()])
        watch.start()
        # The second from the middle, so that they want different chunks.
        parts = [samples[len(samples) * number // count:] for number in range(count)]
        readers = [
            threading.Thread(
                target=trees.check_rank, args=(mount.point / "train/0", samples, len(samples) - len(part))
            )
            for mount, part in zip(made, parts)
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    finally:
        largest = watch.stop() if watch else 0
        for mount in made:
            mount.clear()
    more = count if count > 1 else 0
    name = "a mount" if count == 1 else f"{count} mounts"
    goals.add(f"G13 largest size of the cache of {name} limited to {LIMIT_MIB} MiB", largest, "MiB", LIMIT_MIB + more)


def measure(binary, scratch, goals):
    dataset = shards.Dataset(scratch / "cached").add_split("train", [20] * 24, 100_000)
    samples = dataset.rank("train")
    mount = mounts.Mount(binary, dataset.folder, scratch / "mnt-cached", "--cache-size", "200MiB")
    with mount:
        trees.check_rank(mount.point / "train/0", samples)
        mount.unmount()
        checksum_cost(mount, samples, goals)
        damaged(mount, samples, goals)
    for count in (1, 2):
        within_limit(binary, dataset, samples, scratch, count, goals)
