"""What goes wrong with the cache's disk: readers get the right bytes whatever happens to it."""

import json
import os
import pathlib
import random
import re
import signal
import subprocess
import threading

import pytest

from harness import mounts, shards, trees

CHUNK = 1 << 20
LONG = bool(os.environ.get("WDSFS_TEST_LONG"))


@pytest.fixture(scope="session")
def striped(tmp_path_factory):
    """24 shards of some 2 MB, in a folder: larger than what a mount with one worker keeps in memory."""
    folder = tmp_path_factory.mktemp("striped") / "set"
    return shards.Dataset(folder).add_split("train", [8] * 24, 250_000)


@pytest.fixture
def disk(tmp_path_factory):
    """A small disk of its own: `disk(mebibytes)` gives the folder that it is mounted on."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs is root's")
    made = []

    def make(mebibytes):
        point = tmp_path_factory.mktemp("disk")
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0700", "none", point], check=True
        )
        made.append(point)
        return point

    yield make
    for point in made:
        subprocess.run(["umount", "-l", point], check=True)


@pytest.fixture
def mount_cached(mount, striped, tmp_path):
    """Mounts the shards with a cache on a disk, which is read whenever they are read again."""

    def make(*options, size="100MiB", **more):
        options = ("--cache-size", size, "--max-workers", "1", *options)
        return mount(striped.folder, *options, **{"cache_dir": tmp_path / "cache", **more})

    return make


def statistics(made):
    return json.loads((made.point / ".wdsfs/stats.json").read_text())


def read_all(made, dataset):
    samples = dataset.rank("train")
    trees.check_listing(made.point / "train/0", len(samples))
    trees.check_rank(made.point / "train/0", samples)


def fill(folder):
    """Takes what is free of a disk; returns the file that does."""
    filler = pathlib.Path(folder) / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 65536):
                pass
        except OSError:
            pass
    return filler


def files_below(folder, *kinds):
    return sorted(
        path
        for kind in kinds
        for path in (pathlib.Path(folder) / "wdsfs-1" / kind).rglob("*")
        if path.is_file()
    )


# L1: the disk is full


def test_a_cache_larger_than_its_disk_leaves_a_twentieth_free(mount_cached, striped, disk):
    place = disk(16)
    made = mount_cached(cache_dir=place / "cache")
    read_all(made, striped)
    free = os.statvfs(place)
    assert free.f_bavail * 20 >= free.f_blocks
    assert statistics(made)["cache"]["evictions"] > 0
    assert "cache.full" not in made.log.read_text()


def test_a_cache_too_small_for_the_windows_says_so_at_start(mount_cached, striped):
    def told(made):
        return [line for line in made.log.read_text().splitlines() if "event=cache.windows" in line]

    shuffled = ["--shuffle", "full", "--seed", "1", "--shuffle-window", "12"]
    made = mount_cached(*shuffled, size="16MiB")
    mounts.wait_until(lambda: told(made), 20, "it has said so")
    (line,) = told(made)
    assert "level=warning" in line and "do not fit in the cache of 16.8 MB" in line
    size = re.search(r"--cache-size (\S+?)[,\"]", line)[1]
    made.unmount()
    # What it asks for is enough.
    made = mount_cached(*shuffled, size=size)
    assert len(os.listdir(made.point / "train/0")) == 24 * 8
    assert told(made) == [line]


def test_a_disk_that_others_fill_stops_the_keeping_and_no_reader(mount_cached, striped, disk):
    place = disk(64)
    made = mount_cached(size="60MiB", cache_dir=place / "cache")
    trees.check_rank(made.point / "train/0", striped.rank("train")[:8])
    fill(place)
    read_all(made, striped)
    read_all(made, striped)
    lines = made.log.read_text().splitlines()
    assert len([line for line in lines if "event=cache.full" in line]) <= 1
    assert not [line for line in lines if "level=error" in line]


# L2: what lies on the disk is not what was written


def flip(path, generator):
    with open(path, "r+b") as file:
        place = generator.randrange(os.path.getsize(path))
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ (1 << generator.randrange(8))]))


def flip_header(path, generator):
    with open(path, "r+b") as file:
        place = generator.randrange(min(64, os.path.getsize(path)))
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ (1 << generator.randrange(8))]))


def cut(path, generator):
    os.truncate(path, generator.randrange(os.path.getsize(path)))


def lengthen(path, _):
    with open(path, "ab") as file:
        file.write(b"\0" * 4096)


def empty(path, _):
    os.truncate(path, 0)


def swap(path, generator):
    others = [other for other in path.parent.iterdir() if other != path]
    if not others:
        others = [other for other in path.parent.parent.rglob("*") if other.is_file() and other != path]
    other = generator.choice(sorted(others))
    spare = path.with_name("spare")
    path.rename(spare)
    other.rename(path)
    spare.rename(other)


def put_folder(path, _):
    path.unlink()
    path.mkdir()


def put_link(path, _):
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", ["chunks", "indexes", "mounts"])
def test_what_was_changed_in_the_cache_is_fetched_again(mount_cached, striped, tmp_path, kind):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    generator = random.Random(seed)
    made = mount_cached()
    read_all(made, striped)
    made.unmount()
    harms = [flip, flip_header, cut, empty, lengthen, put_folder, put_link]
    if kind != "mounts":
        harms.append(swap)
    # Of the mounts' files only the count of all stays, so each harm has a round of its own.
    rounds = harms if kind == "mounts" else [None]
    for only in rounds:
        files = files_below(made.cache_dir, kind)
        assert len(files) >= (1 if kind == "mounts" else 24)
        for number, path in enumerate(files):
            (only or harms[number % len(harms)])(path, generator)
        made.start()
        if kind == "mounts":
            trees.check_rank(made.point / "train/0", striped.rank("train")[:8])
        else:
            read_all(made, striped)
        made.unmount()
    made.start()
    read_all(made, striped)
    now = statistics(made)
    assert now["cache"]["corruptChunks"] == 0
    if kind != "mounts":
        assert (now["cache"]["chunksFetched"], now["indexes"]["built"]) == (0, 0)


def test_a_chunk_changed_under_a_live_mount_is_found(mount_cached, striped, tmp_path):
    made = mount_cached()
    generator = random.Random(7)
    for _ in range(2):
        read_all(made, striped)
        for path in files_below(made.cache_dir, "chunks"):
            flip(path, generator)
    read_all(made, striped)
    assert statistics(made)["cache"]["corruptChunks"] > 0


def test_an_index_cut_under_a_live_mount_harms_nobody(mount_cached, striped, tmp_path):
    made = mount_cached()
    read_all(made, striped)
    made.unmount()
    made.start()
    trees.check_listing(made.point / "train/0", len(striped.rank("train")))
    for path in files_below(made.cache_dir, "indexes"):
        os.truncate(path, 0)
    read_all(made, striped)


# L3: the folder goes, takes no writes, or fails


def test_a_cache_removed_under_a_live_mount(mount_cached, striped, tmp_path):
    made = mount_cached()
    trees.check_rank(made.point / "train/0", striped.rank("train")[:40])
    # The mount still writes and renames in there: what appears or goes meanwhile is removed by another turn.
    mounts.wait_until(lambda: subprocess.run(["rm", "-rf", made.cache_dir]).returncode == 0, 20, "the cache is gone")
    read_all(made, striped)
    assert "event=cache.down" in made.log.read_text()
    made.unmount()
    made.start()
    read_all(made, striped)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("preadv", "EIO"),
        ("pwritev", "EIO"),
        ("openat,renameat", "EROFS"),
        ("fstatfs,flock,unlinkat", "EIO"),
    ],
)
def test_a_disk_that_fails_is_gone_round(mount_cached, striped, call, error):
    made = mount_cached(size="20MiB")
    read_all(made, striped)
    (pid,) = made.pids()
    tracer = subprocess.Popen(
        [
            "strace", "-f", "-qq", "-o", f"{made.point}.strace", "-e", f"trace={call}",
            "-e", f"inject={call}:error={error}:when=1+2", "-p", str(pid),
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        mounts.wait_until(lambda: "TracerPid:\t0\n" not in status(pid), 20, "strace is there")
        read_all(made, striped)
        assert "INJECTED" in pathlib.Path(f"{made.point}.strace").read_text()
    finally:
        tracer.terminate()
        tracer.wait(20)
    read_all(made, striped)


def status(pid):
    return pathlib.Path(f"/proc/{pid}/status").read_text()


# L4: whose folder it is


def test_a_cache_on_the_mount_itself_is_refused(run, striped, tmp_path):
    point = tmp_path / "point"
    point.mkdir()
    (tmp_path / "link").symlink_to(point)
    for place in (point, point / "below/it", tmp_path / "link/cache"):
        done = run("mount", striped.folder, point, "--cache-dir", place)
        assert done.returncode == 9, done.stderr
        assert "the mount itself" in done.stderr
        assert os.listdir(point) == []


def test_what_the_cache_holds_is_for_its_owner_alone(mount, striped, tmp_path):
    old = os.umask(0)
    try:
        made = mount(
            striped.folder, "--cursor", tmp_path / "run.cursor", cache_dir=tmp_path / "deep/cache"
        )
        read_all(made, striped)
        made.unmount()
    finally:
        os.umask(old)
    assert (tmp_path / "run.cursor").stat().st_mode & 0o777 == 0o600
    for path in [made.cache_dir, *made.cache_dir.rglob("*")]:
        mode = path.stat().st_mode & 0o777
        assert mode == (0o700 if path.is_dir() else 0o600), path


# L5: several mounts on one cache


def test_two_buckets_share_a_cache_within_the_smaller_limit(mount, mount_cached, striped, tmp_path, disk):
    other = shards.Dataset(tmp_path / "other").add_split("train", [8] * 24, 250_000, seed=2)
    # On a disk of its own, which tells at one moment what all files take.
    place = disk(128)
    cache = place / "cache"
    first = mount_cached(size="20MiB", name="one", cache_dir=cache)
    second = mount(other.folder, "--cache-size", "30MiB", name="two", cache_dir=cache)
    jobs = []
    for made, dataset in ((first, striped), (second, other)):
        manifest = tmp_path / f"{made.point.name}.json"
        manifest.write_text(json.dumps(dataset.manifest()))
        words = ["-m", "harness.trees", str(manifest), str(made.point), "--processes", "2"]
        jobs.append(spawn(words))
    largest = 0
    while any(job.poll() is None for job in jobs):
        now = os.statvfs(place)
        largest = max(largest, (now.f_blocks - now.f_bfree) * now.f_frsize)
    assert [job.wait() for job in jobs] == [0, 0]
    # Those that are being written, and those that are gone and still being read.
    assert largest <= (20 << 20) + 8 * (CHUNK + 4096)


def spawn(words):
    import sys

    folder = pathlib.Path(shards.__file__).parent.parent
    return subprocess.Popen([sys.executable, *words], cwd=folder, stdout=subprocess.DEVNULL)


def chunk_bytes(cache):
    for folder, _, names in os.walk(cache / "wdsfs-1/chunks"):
        for name in names:
            try:
                yield os.stat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:
                continue


def test_mounts_that_remove_each_others_chunks_read_on(mount_cached, striped, tmp_path):
    cache = tmp_path / "cache"
    first = mount_cached(size="40MiB", name="one")
    read_all(first, striped)
    second = mount_cached(size="16MiB", name="two")
    read_all(second, striped)
    read_all(first, striped)
    assert statistics(first)["cache"]["corruptChunks"] == 0


# L6: kill -9 in the middle of everything


class ReadersToTheEnd:
    """Threads that compare samples in random order until there is no mount any more."""

    def __init__(self, made, samples, generator):
        self.wrong, self.count = [], 0
        self.threads = [
            threading.Thread(target=self.run, args=(made, samples, random.Random(generator.random())))
            for _ in range(4)
        ]
        for thread in self.threads:
            thread.start()

    def run(self, made, samples, generator):
        while True:
            position = generator.randrange(len(samples))
            try:
                trees.check_sample(f"{made.point}/train/0/{trees.index_name(position)}", samples[position])
                self.count += 1
            except OSError:
                return
            except trees.Difference as error:
                self.wrong.append(error)
                return

    def join(self):
        for thread in self.threads:
            thread.join(30)
        assert not self.wrong
        return self.count


def kill_all(made):
    for pid in made.pids():
        os.kill(pid, signal.SIGKILL)
    mounts.wait_until(lambda: not made.pids(), 20, "nothing serves it")


@pytest.mark.limit(1800 if LONG else 120)
def test_killed_in_the_middle_of_everything(mount_cached, striped, tmp_path):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    generator = random.Random(seed)
    # Smaller than the shards, so that it evicts all along.
    made = mount_cached(size="24MiB", start=False)
    samples, count = striped.rank("train"), 0
    for _ in range(200 if LONG else 4):
        moment = threading.Event()
        if generator.random() < 0.25:
            starting = subprocess.Popen(
                made.command(), env=made.environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            moment.wait(generator.uniform(0, 0.4))
            starting.kill()
            starting.wait(20)
            kill_all(made)
        else:
            made.start()
            readers = ReadersToTheEnd(made, samples, generator)
            moment.wait(generator.uniform(0, 0.8))
            kill_all(made)
            count += readers.join()
    made.start()
    read_all(made, striped)
    assert statistics(made)["cache"]["corruptChunks"] == 0
    made.unmount()
    print(f"{count} samples read between")
    assert sum(chunk_bytes(tmp_path / "cache")) <= (24 << 20) + CHUNK + 4096
    assert not [path for path in (tmp_path / "cache").rglob(".*") if path.is_file()]
