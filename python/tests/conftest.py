"""What the package's tests share: a dataset, and that nothing is left behind."""

import contextlib
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import types
import weakref

import pytest

from harness import mounts, shards

PACKAGE = pathlib.Path(__file__).resolve().parents[2]
# A machine that does much else takes long to import torch.
DEFAULT_LIMIT = 300

sys.path.insert(0, str(PACKAGE / "python"))

import wdsfs.mount  # noqa: E402


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


@pytest.fixture(autouse=True)
def here(binary, tmp_path, monkeypatch, request):
    """A world of its own: the binary, no launcher, temporary files below the test's folder."""
    for name in list(os.environ):
        if name.startswith(mounts.STEERING) or name in mounts.STEERING_NAMES:
            monkeypatch.delenv(name)
    folder = tmp_path / "tmp"
    folder.mkdir()
    # Sockets of torch's workers have names of 108 bytes at most.
    for name, value in {
        "WDSFS_BINARY": binary,
        "WDSFS_CACHE_DIR": str(tmp_path / "cache"),
        "TMPDIR": str(folder),
        "PYTHONPATH": f"{PACKAGE / 'python'}:{PACKAGE / 'scripts'}",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", None)
    shared = set(os.listdir("/dev/shm"))
    made = []
    mount = wdsfs.mount.Mount._mount

    def remembered(self, options):
        made.append(weakref.ref(self))
        mount(self, options)

    monkeypatch.setattr(wdsfs.mount.Mount, "_mount", remembered)
    yield
    # Whoever looks at an error keeps its loader, and so the mount.
    for one in made:
        if one() is not None:
            one().close()
    tempfile.tempdir = None
    left = mounts.mounted(below=tmp_path)
    with contextlib.suppress(TimeoutError):
        # An unmounted daemon needs a moment to end.
        mounts.wait_until(lambda: not mounts.processes_naming(tmp_path), 5, "gone")
    for point, _ in left:
        mounts.detach(point)
    for pid in mounts.processes_naming(tmp_path):
        os.kill(pid, signal.SIGKILL)
        left.append(pid)
    assert left == [], "left behind"
    assert set(os.listdir("/dev/shm")) <= shared, "shared memory left behind"


@pytest.fixture(autouse=True)
def time_limit(request, tmp_path):
    marker = request.node.get_closest_marker("limit")
    seconds = marker.args[0] if marker else DEFAULT_LIMIT
    expired = threading.Event()

    def expire():
        expired.set()
        for pid in mounts.processes_naming(tmp_path):
            os.kill(pid, signal.SIGKILL)

    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()
    assert not expired.is_set(), f"not done after {seconds} s: its mounts were killed"


@pytest.fixture(scope="session")
def numbers(tmp_path_factory):
    """53 and 9 samples that tell their number, in shards of all sizes, an empty one among them."""

    def samples(first, count):
        for number in range(first, first + count):
            yield f"{number:06d}", {"json": json.dumps({"number": number}).encode(), "cls": b"%d" % (number % 7)}

    dataset = shards.Dataset(tmp_path_factory.mktemp("numbers") / "set")
    for split, counts in {"train": [5, 17, 3, 0, 16, 1, 11], "val": [4, 2, 3]}.items():
        first = 0
        for number, count in enumerate(counts):
            dataset.add_shard(split, f"{split}-{number:06d}.tar", samples(first, count))
            first += count
    return dataset


@pytest.fixture(scope="session")
def formats(tmp_path_factory):
    """One sample with a field of every format that a schema knows."""
    import msgpack
    import numpy
    import pickle
    import torch
    from PIL import Image

    def saved(write):
        file = io.BytesIO()
        write(file)
        return file.getvalue()

    picture = Image.new("RGB", (6, 4), (200, 30, 40))
    array = numpy.arange(12, dtype="int16").reshape(3, 4)
    fields = {
        "jpg": saved(lambda file: picture.save(file, "JPEG")),
        "png": saved(lambda file: picture.save(file, "PNG")),
        "json": b'{"label": 3}',
        "txt": "Grüße".encode(),
        "npy": saved(lambda file: numpy.save(file, array)),
        "msgpack": msgpack.packb({"a": [1, 2]}),
        "pth": saved(lambda file: torch.save({"w": torch.ones(2)}, file)),
        "pkl": pickle.dumps({"x": (1, 2)}),
        "mp4": b"\x00\x00\x00\x18ftypmp42",
        "bin": b"\x00\x01",
        "empty": b"",
    }
    dataset = shards.Dataset(tmp_path_factory.mktemp("formats") / "set")
    dataset.add_shard("train", "train-000000.tar", [("some/sample", fields)])
    dataset.fields, dataset.array, dataset.picture = fields, array, picture
    return dataset


@pytest.fixture(scope="session")
def torchvision():
    """PyPI's wheel is of a CUDA build, whose operators torch's CPU build does not load: it does without."""
    try:
        import torchvision
    except RuntimeError as error:
        assert "torchvision::" in str(error)
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        # All that describes them is here.
        sys.modules["torchvision._meta_registrations"] = types.ModuleType("none")
        import torchvision
    return torchvision


@pytest.fixture
def script(tmp_path):
    """Runs Python in a process of its own, which may be killed; `script(text, *words)`."""

    def start(text, *words, environment=None):
        path = tmp_path / f"script{len(list(tmp_path.glob('script*')))}.py"
        path.write_text(text)
        return subprocess.Popen(
            [sys.executable, str(path), *map(str, words)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(environment or {})},
        )

    return start
