"""The programs and libraries that people read a tree with, each on a real mount."""

import filecmp
import os
import pathlib
import subprocess
import tarfile

import pytest

from harness import shards, trees

SECONDS = 60


@pytest.fixture
def tree(mount_small):
    return mount_small("--world-size", 2).point


@pytest.fixture
def wanted(small):
    """Relative path -> sha256 of every field, at world size 2."""
    return {
        f"{split}/{rank}/{trees.index_name(position)}/{name}": field.sha256
        for split in small.splits
        for rank in range(2)
        for position, sample in enumerate(small.rank(split, rank, 2))
        for name, field in zip(sample.listed_names(), sample.fields)
    }


def digests(folder):
    return {
        str(path.relative_to(folder)): shards.sha256(path.read_bytes())
        for path in pathlib.Path(folder).rglob("*")
        if path.is_file()
    }


def command(*words, **options):
    return subprocess.run(
        [str(word) for word in words], check=True, capture_output=True, timeout=SECONDS, **options
    )


def test_find(tree, wanted):
    found = command("find", ".", "-type", "f", "-printf", "%P\\n", cwd=tree).stdout.decode().split("\n")
    assert sorted(filter(None, found)) == sorted(wanted)


def test_find_and_cat_through_xargs(tree, wanted):
    done = command("sh", "-c", "find . -type f -print0 | xargs -0 sha256sum", cwd=tree)
    found = {line[66:].removeprefix("./"): line[:64] for line in done.stdout.decode().splitlines()}
    assert found == wanted


def test_several_readers_of_the_same_samples_at_once(tree, wanted):
    # Small fields reach the kernel with a listing, while others may be reading just these.
    script = "for d in train/0/*/; do sha256sum $d*; done"
    readers = [
        subprocess.Popen(["sh", "-c", script], cwd=tree, stdout=subprocess.PIPE) for _ in range(6)
    ]
    for reader in readers:
        lines = reader.communicate(timeout=SECONDS)[0].decode().splitlines()
        found = {line[66:]: line[:64] for line in lines}
        assert found == {name: digest for name, digest in wanted.items() if name.startswith("train/0/")}


def test_cp(tree, wanted, tmp_path):
    command("cp", "-r", tree, tmp_path / "copy")
    assert digests(tmp_path / "copy") == wanted
    command("chmod", "-R", "u+w", tmp_path / "copy")


def test_tar(tree, wanted, tmp_path):
    command("tar", "cf", tmp_path / "copy.tar", "-C", tree, ".")
    with tarfile.open(tmp_path / "copy.tar") as archive:
        found = {
            member.name.removeprefix("./"): shards.sha256(archive.extractfile(member).read())
            for member in archive
            if member.isfile()
        }
    assert found == wanted


def test_rsync_copies_once_and_finds_nothing_changed(tree, wanted, tmp_path):
    command("rsync", "-a", "--chmod=u+w", f"{tree}/", tmp_path / "copy")
    assert digests(tmp_path / "copy") == wanted
    again = command("rsync", "-a", "--chmod=u+w", "--itemize-changes", f"{tree}/", tmp_path / "copy")
    assert b">f" not in again.stdout


def test_diff(tree, tmp_path):
    command("cp", "-r", tree, tmp_path / "copy")
    command("diff", "-r", tree, tmp_path / "copy")
    command("chmod", "-R", "u+w", tmp_path / "copy")
    assert filecmp.dircmp(tree, tmp_path / "copy").left_only == []


def test_getfattr(tree, small):
    done = command("getfattr", "--only-values", "-n", "user.wds.key", tree / "val/1/00000000")
    assert done.stdout.decode() == small.rank("val", 1, 2)[0].key


def test_os_scandir(tree, wanted):
    found = {}

    def walk(folder):
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    walk(entry.path)
                else:
                    assert entry.is_file() and not entry.is_symlink()
                    with open(entry.path, "rb") as file:
                        found[os.path.relpath(entry.path, tree)] = shards.sha256(file.read())

    walk(tree)
    assert found == wanted


def test_os_walk(tree, wanted):
    found = [
        os.path.relpath(os.path.join(folder, name), tree)
        for folder, _, names in os.walk(tree)
        for name in names
    ]
    assert sorted(found) == sorted(wanted)


def test_pathlib_glob(tree, wanted):
    found = sorted(str(path.relative_to(tree)) for path in tree.glob("train/*/*/*.jpg"))
    assert found == sorted(p for p in wanted if p.startswith("train/") and p.endswith(".jpg"))


def test_a_loader_that_looks_at_extensions(tree, small):
    # As torchvision's ImageFolder and make_dataset go: classes are folders, os.walk with links
    # followed, both sorted, files chosen by extension.
    root = tree / "train"
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    images = [
        (os.path.join(folder, name), classes.index(target))
        for target in classes
        for folder, _, names in sorted(os.walk(root / target, followlinks=True))
        for name in sorted(names)
        if name.lower().endswith((".jpg", ".jpeg", ".png"))
    ]
    wanted = [(s.fields[0].sha256, r) for r in range(2) for s in small.rank("train", r, 2)]
    assert [(shards.sha256(pathlib.Path(p).read_bytes()), target) for p, target in images] == wanted


def test_parts_of_a_file(tree, small):
    path = tree / "train/0/00000000/jpg"
    whole = path.read_bytes()
    assert shards.sha256(whole) == small.rank("train", 0, 2)[0].fields[0].sha256
    descriptor = os.open(path, os.O_RDONLY)
    try:
        for offset in (0, 1, 511, 512, len(whole) - 1, len(whole), len(whole) + 4096):
            for length in (1, 7, 4096):
                assert os.pread(descriptor, length, offset) == whole[offset : offset + length]
    finally:
        os.close(descriptor)


def test_mmap(tree, small):
    import mmap

    with open(tree / "train/1/00000000/jpg", "rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert shards.sha256(mapped) == small.rank("train", 1, 2)[0].fields[0].sha256


def test_webdataset_reads_the_raw_shards(tree, small):
    import webdataset

    urls = sorted(str(path) for path in (tree / ".shards/train").iterdir())
    keys = [sample["__key__"] for sample in webdataset.WebDataset(urls, shardshuffle=False)]
    assert keys == [sample.key for sample in small.rank("train")]
