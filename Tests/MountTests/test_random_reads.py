"""What readers ask of a mount, drawn at random and by several at once, compared with a copy in memory.

A number names what is drawn, so that one that fails can be run again by itself.
"""

import concurrent.futures
import errno
import mmap
import os
import random

import pytest

from harness import shards, trees

COUNT = 60 if os.environ.get("WDSFS_TEST_LONG") else 4
READERS = 6
DEED_COUNT = 60

OPTIONS = [
    ["--cache-size", "16MiB"],
    ["--cache-dir", "memory", "--cache-size", "24MiB"],
    ["--cache-size", "64MiB", "--shuffle", "full", "--seed", "3", "--partition", "samples"],
    ["--prefetch", "0"],
]

# Around what the cache and the kernel cut: pages, blocks of 64 KiB, chunks of 1 MiB.
EDGES = [1, 511, 4096, 65_536, 1 << 20, 2 << 20]


@pytest.fixture(scope="session")
def across(store):
    """Fields of no byte up to some 3 MB, in shards whose samples lie across all borders."""

    def make(dataset):
        drawn = random.Random(17)
        for number in range(3):
            samples = []
            for place in range(12):
                fields = {}
                for name in ("bin", "txt", "large.npy"):
                    size = max(0, drawn.choice([0, 1, *EDGES, 3_000_000]) + drawn.randrange(-2, 3))
                    fields[name] = drawn.randbytes(size)
                samples.append((f"{number:02d}{place:06d}", fields))
            dataset.add_shard("train", f"train-{number:06d}.tar", samples)

    return store.dataset("across", make)


def contents(dataset):
    """{key: {name as listed: bytes}} by what the shards hold."""
    found = {}
    for shard, samples in dataset.splits["train"].items():
        path = os.path.join(dataset.folder, "train", shard)
        places = shards.members(path)
        with open(path, "rb") as file:
            data = file.read()
        for sample in samples:
            fields = found.setdefault(sample.key, {})
            for field, name in zip(sample.fields, sample.listed_names()):
                start, size = places[f"{sample.key}.{field.name}"]
                fields[name] = data[start : start + size]
    return found


def place_in(size, drawn):
    """Somewhere in so many bytes or behind them, often beside an edge."""
    if drawn.random() < 0.5:
        return drawn.randrange(size + 2)
    return max(0, drawn.choice([0, size, *EDGES]) + drawn.randrange(-2, 3))


# MARK: deeds


def read_parts(path, data, drawn):
    with open(path, "rb", buffering=0) as file:
        for _ in range(drawn.randrange(1, 6)):
            start, count = place_in(len(data), drawn), place_in(len(data), drawn)
            assert os.pread(file.fileno(), count, start) == data[start : start + count], (start, count)


def read_past_the_kernel(path, data, drawn):
    try:
        file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    except OSError as error:
        assert error.errno == errno.EINVAL
        return
    try:
        buffer = mmap.mmap(-1, 1 << 20)
        start = drawn.randrange(len(data) + 1) // 4096 * 4096
        got = os.preadv(file, [buffer], start)
        assert buffer[:got] == data[start : start + (1 << 20)], (start, got)
    finally:
        os.close(file)


def map_it(path, data, drawn):
    if not data:
        return
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        for _ in range(3):
            start = drawn.randrange(len(data))
            count = place_in(len(data), drawn)
            assert mapped[start : start + count] == data[start : start + count], (start, count)


def read_backwards(path, data, drawn):
    step = drawn.choice([4096, 100_000, 1 << 20])
    with open(path, "rb", buffering=0) as file:
        for start in reversed(range(0, len(data), step)):
            assert os.pread(file.fileno(), step, start) == data[start : start + step], start


def send_it(path, data, drawn):
    with open(path, "rb") as file, open(os.memfd_create("copy"), "w+b") as copy:
        sent = 0
        while count := os.sendfile(copy.fileno(), file.fileno(), sent, place_in(len(data), drawn) + 1):
            sent += count
        copy.seek(0)
        assert copy.read() == data


def forget_and_read(path, data, drawn):
    with open(path, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        start = place_in(len(data), drawn)
        assert os.pread(file.fileno(), 1 << 20, start) == data[start : start + (1 << 20)], start


def seek_for_holes(path, data, drawn):
    with open(path, "rb", buffering=0) as file:
        assert os.lseek(file.fileno(), 0, os.SEEK_END) == len(data)
        if data:
            assert os.lseek(file.fileno(), drawn.randrange(len(data)), os.SEEK_HOLE) == len(data)


def look(path, data, drawn):
    status = os.stat(path)
    assert status.st_size == len(data)
    assert not os.path.exists(f"{path}.{drawn.randrange(9)}")


DEEDS = [
    read_parts, read_past_the_kernel, map_it, read_backwards, send_it, forget_and_read, seek_for_holes, look
]


def do_some(point, wanted, seed):
    """So many deeds, in a process of its own."""
    drawn = random.Random(seed)
    rank = f"{point}/train/0"
    count = sum(1 for _ in os.scandir(rank))
    assert count == len(wanted)
    for _ in range(DEED_COUNT):
        folder = f"{rank}/{drawn.randrange(count):08d}"
        fields = wanted[os.getxattr(folder, "user.wds.key").decode()]
        assert sorted(os.listdir(folder)) == sorted(fields), folder
        name = drawn.choice(sorted(fields))
        deed = drawn.choice(DEEDS)
        try:
            deed(f"{folder}/{name}", fields[name], drawn)
        except AssertionError as error:
            raise trees.Difference(f"{folder}/{name}: {deed.__name__}: {error}"[:500]) from None


@pytest.mark.parametrize("number", range(COUNT))
def test_whatever_is_asked_the_bytes_are_right(mount, store, across, number):
    drawn = random.Random(number)
    options = drawn.choice(OPTIONS)
    wanted = contents(across)
    made = (
        mount(across.folder, *options) if drawn.random() < 0.3
        else mount("s3://across", *store.options(), *options, environment=store.environment())
    )
    with concurrent.futures.ProcessPoolExecutor(READERS) as pool:
        jobs = [pool.submit(do_some, made.point, wanted, number * READERS + reader) for reader in range(READERS)]
        for job in jobs:
            job.result()
    trees.compared["fields"] += READERS * DEED_COUNT
