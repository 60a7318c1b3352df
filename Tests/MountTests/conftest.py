"""What each mount test gets: a mount that is made, watched, and gone afterwards."""

import collections
import contextlib
import faulthandler
import json
import os
import pathlib
import signal
import subprocess
import threading

import pytest

from harness import mounts, relay, runs, servers, shards, trees

PACKAGE = pathlib.Path(__file__).resolve().parents[2]
DEFAULT_LIMIT = 60


# By test: its cases that have passed, the faults that proxies have struck with, and the fields and bytes compared.
figures = collections.defaultdict(collections.Counter)
passed = set()


def pytest_runtest_logreport(report):
    if report.when == "call" and report.passed:
        passed.add(report.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    before = dict(trees.compared)
    try:
        return (yield)
    finally:
        if item.nodeid in passed:
            now = {name: count - before[name] for name, count in trees.compared.items()}
            figures[item.nodeid.split("[")[0]].update(cases=1, **now)


def pytest_terminal_summary(terminalreporter, config):
    """For docs/reliability.md: a wrong byte, or a test that hangs, is a failure and named above."""
    if path := os.environ.get("WDSFS_TEST_FIGURES"):
        path = pathlib.Path(path)
        # A test that is run once more, alone, is one of many.
        others = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(others | figures))
    if config.option.keyword:
        for name, counts in figures.items():
            counted = "{cases:,} cases, {fields:,} fields and {bytes:,} bytes compared".format(**counts)
            terminalreporter.write_line(f"{name.rpartition('::')[2]}: {counted}")
    if trees.compared["fields"]:
        terminalreporter.write_line(
            "compared with what went in: {fields:,} fields, {bytes:,} bytes".format(**trees.compared)
        )


def pytest_collection_modifyitems(items):
    if not os.environ.get("WDSFS_TEST_LONG"):
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="minutes; scripts/test --long runs it"))


@pytest.fixture(scope="session")
def binary():
    path = os.environ.get("WDSFS_TEST_BINARY") or str(PACKAGE / ".build/release/wdsfs")
    if not os.access(path, os.X_OK):
        pytest.exit(f"{path} is not built; scripts/test does it", returncode=1)
    return path


@pytest.fixture
def live():
    """The mounts of this test, for the time limit to end."""
    return []


@pytest.fixture(autouse=True)
def time_limit(request, live):
    """Ends a test that takes too long, by the mount's death: who waits for it then gets an error."""
    marker = request.node.get_closest_marker("limit")
    seconds = mounts.PATIENCE * (marker.args[0] if marker else DEFAULT_LIMIT)
    expired = threading.Event()

    def expire():
        expired.set()
        for mount in live:
            for pid in mount.pids():
                os.kill(pid, signal.SIGKILL)

    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    # Should even that not help, the whole run ends and the sweep of scripts/test follows.
    faulthandler.dump_traceback_later(seconds + 60, exit=True)
    yield
    timer.cancel()
    faulthandler.cancel_dump_traceback_later()
    assert not expired.is_set(), f"not done after {seconds} s: its mounts were killed"


@pytest.fixture
def mount(binary, tmp_path, live):
    """Makes mounts: `mount(remote, *options, environment=..., name=...)`."""

    def make(remote, *options, environment=None, name="mnt", cache_dir=None, start=True):
        made = mounts.Mount(
            binary, remote, tmp_path / name, *options, environment=environment, cache_dir=cache_dir
        )
        live.append(made)
        return made.start() if start else made

    yield make
    for made in live:
        made.clear()
    assert mounts.mounted(below=tmp_path) == []
    assert [made.pids() for made in live if made.pids()] == []


@pytest.fixture
def run(binary, tmp_path):
    """Runs wdsfs to its end with a clean environment; for what should fail or finish at once."""

    def command(*words, environment=None, seconds=20, **options):
        return subprocess.run(
            [binary, *map(str, words)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment or mounts.clean_environment(),
            timeout=mounts.PATIENCE * seconds,
            **options,
        )

    return command


class Store:
    """An S3 server for the whole run; each dataset in it is a bucket."""

    def __init__(self, folder):
        self.root = folder / "buckets"
        self.root.mkdir()
        # Buckets are added while it runs.
        self.server = servers.RcloneS3(self.root, folder / "server", listings_kept="1ms")
        self.datasets, self.recipes = {}, {}

    def dataset(self, bucket, make):
        """The dataset of a bucket, made by `make(dataset)` the first time it is asked for.

        Who asks for it with another recipe would get what he did not ask for, but only where both tests run.
        """
        code = make.__code__
        recipe = (code.co_code, code.co_consts, code.co_names)
        if self.recipes.setdefault(bucket, recipe) != recipe:
            raise ValueError(f"two tests make another bucket called {bucket}")
        if bucket not in self.datasets:
            dataset = shards.Dataset(self.root / bucket)
            make(dataset)
            self.datasets[bucket] = dataset
        return self.datasets[bucket]

    def environment(self, **more):
        return mounts.clean_environment(**self.server.environment(), **more)

    def options(self):
        return ["--endpoint-url", self.server.endpoint]


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    made = Store(tmp_path_factory.mktemp("store"))
    with made.server:
        yield made


@pytest.fixture(scope="session")
def small(store):
    """A dataset of two splits, uneven on purpose: 21 and 6 samples in 4 and 2 shards."""

    def make(dataset):
        dataset.add_split("train", [5, 7, 3, 6]).add_split("val", [4, 2])

    return store.dataset("small", make)


@pytest.fixture
def mount_small(store, small, mount):
    """Mounts `small` over S3, with options."""

    def make(*options, environment=None, **more):
        return mount(
            "s3://small",
            *store.options(),
            *options,
            environment=environment or store.environment(),
            **more,
        )

    return make


@pytest.fixture
def watched(store, tmp_path):
    """A relay before the S3 server, that counts and holds requests."""
    with relay.Relay(store.server.endpoint, tmp_path / "relay") as made:
        yield made


@pytest.fixture
def equal():
    """Compares a mount with its dataset, byte by byte, in several reader processes."""

    def compare(mount, dataset, world_size=1, processes=2):
        ranks = {
            (split, rank): dataset.rank(split, rank, world_size)
            for split in dataset.splits
            for rank in range(world_size)
        }
        samples, _ = trees.check_tree(mount.point, ranks, processes)
        assert samples == dataset.sample_count()

    return compare


@pytest.fixture
def traced(tmp_path):
    """Has strace fail system calls of a process: `with traced(pid, "read:error=EINTR:when=3+7")`."""

    @contextlib.contextmanager
    def trace(pid, fault):
        calls, status = fault.split(":")[0], pathlib.Path(f"/proc/{pid}/status")

        def is_traced_or_over():
            text = status.read_text()
            return "TracerPid:\t0\n" not in text or "(zombie)" in text

        words = ["-f", "-qq", "-o", tmp_path / "strace", "-e", f"trace={calls}", "-e", f"inject={fault}"]
        tracer = subprocess.Popen(["strace", *words, "-p", str(pid)], stderr=subprocess.DEVNULL)
        try:
            mounts.wait_until(is_traced_or_over, 20, "it is traced")
            yield
        finally:
            tracer.terminate()
            tracer.wait(20)

    return trace


@pytest.fixture(scope="session")
def uneven(tmp_path_factory):
    """26 and 9 samples in shards of all sizes, an empty one among them."""
    folder = tmp_path_factory.mktemp("uneven") / "set"
    return runs.numbered(folder, {"train": [5, 7, 3, 0, 6, 1, 4], "val": [4, 2, 3]})


@pytest.fixture
def mount_run(mount, uneven, tmp_path):
    """Mounts `uneven` with options, and where asked a cursor of that name."""

    def make(*options, cursor=None, dataset=uneven, **more):
        if cursor:
            options += ("--cursor", tmp_path / cursor)
        return mount(dataset.folder, *options, cache_dir=tmp_path / "cache", **more)

    return make
