"""`/.classes`: samples in the folders of their classes, for loaders that take those for labels."""

import json
import os
import subprocess

import pytest

from harness import mounts, shards


def samples(first, count):
    """Samples of three classes and of none, by turns; a key, and what each of its fields holds."""
    names = [b"cat\n", b"dog", None, b"red fox"]
    for number in range(first, first + count):
        fields = {"jpg": b"picture %d " % number * 50, "json": b'{"number": %d}' % number}
        name = names[number % 4]
        if name is not None:
            fields["cls"] = name
        yield f"{number:05d}", fields


@pytest.fixture(scope="module")
def animals(store):
    def make(dataset):
        for number in range(4):
            dataset.add_shard("train", f"{number:03d}.tar", samples(number * 20, 20))
        dataset.add_shard("val", "000.tar", samples(1, 1))

    return store.dataset("animals", make)


@pytest.fixture
def mount_animals(mount, store, animals):
    def make(*options, **more):
        return mount("s3://animals", *store.options(), *options, environment=store.environment(), **more)

    return make


def wanted(first=0, count=80):
    """Path below a split's folder -> bytes."""
    return {
        f"{fields['cls'].decode().strip()}/{key}.{field}": data
        for key, fields in samples(first, count)
        if "cls" in fields
        for field, data in fields.items()
        if field != "cls"
    }


def found(folder):
    return {
        os.path.relpath(os.path.join(at, name), folder): open(os.path.join(at, name), "rb").read()
        for at, _, names in os.walk(folder)
        for name in names
    }


def statistics(made):
    return json.loads((made.point / ".wdsfs" / "stats.json").read_text())


def test_the_folders_of_classes_hold_the_samples_that_say_so(mount_animals):
    made = mount_animals("--world-size", 2)
    assert sorted(os.listdir(made.point)) == ["train", "val"]
    assert sorted(os.listdir(made.point / ".classes")) == ["train", "val"]
    assert found(made.point / ".classes" / "train") == wanted()
    assert found(made.point / ".classes" / "val") == wanted(1, 1)
    # Looking for classes consumes nothing.
    assert len(os.listdir(made.point / "train" / "0")) == 40


def test_a_shell_sees_them(mount_animals):
    made = mount_animals()
    folder = made.point / ".classes" / "train"
    script = 'for c in */; do printf "%s " "$c"; cat "$c"*.jpg | sha256sum | cut -c1-64; done'
    done = subprocess.run(
        ["sh", "-c", script], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    lines = []
    for name in ("cat", "dog", "red fox"):
        data = b"".join(
            data for path, data in sorted(wanted().items()) if path.startswith(f"{name}/") and path.endswith("jpg")
        )
        lines.append(f"{name}/ {shards.sha256(data)}")
    assert done.stdout.splitlines() == lines


def test_an_index_knows_the_classes(mount_animals, run, store, tmp_path):
    done = run(
        "index", "s3://animals", *store.options(), "--cache-dir", tmp_path / "cache",
        environment=store.environment(),
    )
    assert done.returncode == 0, done.stderr
    made = mount_animals(cache_dir=tmp_path / "cache")
    names = {os.path.relpath(p, made.point / ".classes" / "train") for p in walk(made.point / ".classes" / "train")}
    assert names == set(wanted())
    # Neither at the mount nor for the listing was any shard read.
    assert statistics(made)["indexes"]["built"] == 0
    assert statistics(made)["store"]["bytesReceived"] < 20_000


def walk(folder):
    return [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]


def test_nothing_is_read_before_somebody_looks(mount_animals):
    made = mount_animals()
    os.stat(made.point / ".classes" / "train")
    assert statistics(made)["indexes"]["built"] == 0
    assert len(os.listdir(made.point / ".classes" / "train")) == 3
    assert statistics(made)["indexes"]["built"] == 4
    log = (made.point / ".wdsfs" / "log").read_text()
    assert "event=classes.ready" in log and "classes=3" in log and "unclassed=20" in log


def test_a_shard_that_is_gone_fails_the_look_and_says_which(mount, store):
    def make(dataset):
        for number in range(3):
            dataset.add_shard("train", f"{number}.tar", samples(number * 8, 8))

    dataset = store.dataset("classes-gone", make)
    made = mount("s3://classes-gone", *store.options(), environment=store.environment())
    gone = os.path.join(dataset.folder, "train", "1.tar")
    os.rename(gone, gone + ".away")
    folder = made.point / ".classes" / "train"
    for path in ("cat", "cat/00000.jpg"):
        with pytest.raises(FileNotFoundError):
            os.stat(folder / path)
    # A listing that failed with ENOENT would look like one at its end.
    with pytest.raises(OSError, match="Input/output error"):
        os.listdir(folder)
    with pytest.raises(OSError, match="Input/output error"):
        os.listdir(made.point / "train" / "0")
    assert "1.tar" in (made.point / ".wdsfs" / "log").read_text()
    os.rename(gone + ".away", gone)
    # The server may take a moment to see that.
    shown = wanted(0, 24)
    mounts.wait_until(lambda: found(made.point / ".classes" / "train") == shown, 20, "the shard is there again")
