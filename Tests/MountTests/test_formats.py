"""Shards as they come: compressed, written by webdataset, odd, damaged, hostile."""

import bz2
import errno
import gzip
import hashlib
import json
import lzma
import os
import pathlib
import subprocess
import sys

import pytest

from harness import shards, trees

FIXTURES = pathlib.Path(__file__).resolve().parents[2].parent / "shared" / "fixtures"


def by_zstd(data):
    import zstandard

    return zstandard.ZstdCompressor().compress(data)


def by_lz4(data):
    import lz4.frame

    return lz4.frame.compress(data)


COMPRESSIONS = {
    ".tar.gz": gzip.compress,
    ".tgz": gzip.compress,
    ".tar.zst": by_zstd,
    ".tar.lz4": by_lz4,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
}


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize("kind", ["s3", "folder"])
def test_compressed_shards(mount, store, equal, tmp_path, suffix, kind):
    def make(dataset):
        dataset.add_split("train", [30, 20], picture_bytes=40_000)
        for name in list(dataset.splits["train"]):
            path = pathlib.Path(dataset.folder, "train", name)
            packed = path.with_name(path.stem + suffix)
            packed.write_bytes(COMPRESSIONS[suffix](path.read_bytes()))
            path.unlink()
            # The same samples, in a shard of another name.
            dataset.splits["train"][packed.name] = dataset.splits["train"].pop(name)

    bucket = "packed" + suffix.replace(".", "-")
    dataset = store.dataset(bucket, make)
    if kind == "s3":
        made = mount(f"s3://{bucket}", *store.options(), environment=store.environment())
    else:
        made = mount(dataset.folder)
    equal(made, dataset)


def test_shards_by_webdatasets_own_writer(mount, tmp_path):
    from webdataset import ShardWriter

    (tmp_path / "set").mkdir()
    samples = list(shards.pictures(0, 50, 3000))
    with ShardWriter(str(tmp_path / "set/train-%06d.tar"), maxcount=20, verbose=0) as writer:
        for key, fields in samples:
            writer.write({"__key__": key, **fields})
    made = mount(tmp_path / "set")
    described = [
        shards.describe("", key, {name: fields[name] for name in sorted(fields)})
        for key, fields in samples
    ]
    # Shards of one name at the top are one split, called after their folder.
    assert os.listdir(made.point) == ["set"]
    trees.check_listing(made.point / "set/0", 50)
    trees.check_rank(made.point / "set/0", described)


def test_samples_and_order_are_those_of_webdataset(mount, store, small):
    import webdataset

    made = mount("s3://small", *store.options(), environment=store.environment())
    urls = [f"{small.folder}/train/{name}" for name in sorted(small.splits["train"])]
    seen = webdataset.WebDataset(urls, shardshuffle=False)
    for position, sample in enumerate(seen):
        folder = made.point / "train/0" / trees.index_name(position)
        assert os.getxattr(folder, "user.wds.key").decode() == sample["__key__"]
        for name, data in sample.items():
            if not name.startswith("__"):
                assert (folder / name).read_bytes() == data
    assert position == 20


def damaged(tmp_path):
    """A split of a good shard, one cut in its fourth sample, and another good one."""
    dataset = shards.Dataset(tmp_path / "set").add_split("train", [5, 5, 5], picture_bytes=1000)
    path = pathlib.Path(dataset.folder, "train/train-000001.tar")
    cut = shards.members(path)["000000008.cls"][0] + 1
    os.truncate(path, cut)
    return dataset


def test_a_damaged_shard_keeps_its_complete_samples(mount, tmp_path):
    dataset = damaged(tmp_path)
    made = mount(dataset.folder)
    whole = dataset.rank("train")
    trees.check_listing(made.point / "train/0", 13)
    trees.check_rank(made.point / "train/0", whole[:8] + whole[10:])
    lines = [line for line in made.log.read_text().splitlines() if "event=shard.bad" in line]
    assert len(lines) == 1
    assert "train-000001.tar" in lines[0] and "truncated-data" in lines[0]


def test_a_damaged_shard_fails_the_mount_or_its_place_under_strict(mount, tmp_path):
    from harness.mounts import MountFailed

    dataset = damaged(tmp_path)
    try:
        made = mount(dataset.folder, "--strict")
    except MountFailed as refusal:
        assert refusal.code == 7
        assert "train-000001.tar" in refusal.stderr
        return
    with pytest.raises(OSError) as caught:
        os.listdir(made.point / "train/0")
    assert caught.value.errno == errno.EIO


def listed(folder):
    """Name bytes -> digest of a sample's listed files, or the errno of who cannot be read."""
    found = {}
    for name in os.listdir(os.fsencode(folder)):
        found[name] = digest(os.fsencode(folder) + b"/" + name)
    return found


def digest(path):
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        return error.errno


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the collection of odd shards is not beside us")
@pytest.mark.limit(300)
def test_the_collection_of_odd_shards(mount, tmp_path):
    folder = tmp_path / "odd"
    subprocess.run([sys.executable, FIXTURES / "make_bad_shards.py", folder], check=True,
                   stdout=subprocess.DEVNULL)
    cases = json.loads((folder / "manifest.json").read_text())["cases"]
    remote = tmp_path / "set"
    for number, case in enumerate(cases):
        source = folder / case["file"]
        # A split each, so that each is judged alone; the ending says what it claims to be.
        target = remote / f"case{number:02d}" / source.name
        target.parent.mkdir(parents=True)
        if not source.name.endswith(tuple(COMPRESSIONS) + (".tar",)):
            target = target.with_name(source.name + ".tar")
        os.link(source, target)
    made = mount(remote)
    wrong = []
    for number, case in enumerate(cases):
        try:
            problem = judge(made.point / f"case{number:02d}" / "0", case)
        except OSError as error:
            problem = str(error)
        if problem:
            wrong.append(f"{case['name']}: {problem}")
    log = made.log.read_text()
    for case in cases:
        if case["error"] and f"{case['error']}" not in log:
            wrong.append(f"{case['name']}: the log does not name {case['error']}")
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)


def judge(rank, case):
    """What a split shows that the manifest does not say, or None."""
    names = os.listdir(rank)
    if names != [trees.index_name(position) for position in range(len(case["samples"]))]:
        return f"{len(names)} samples, {len(case['samples'])} expected"
    for position, sample in enumerate(case["samples"]):
        folder = rank / trees.index_name(position)
        if os.getxattr(folder, "user.wds.key") != bytes.fromhex(sample["key_hex"]):
            return f"sample {position}: another key"
        found = listed(folder)
        for field in sample["fields"]:
            accepted = {field["sha256"]}
            if "may_fail" in field:
                accepted.add(getattr(errno, field["may_fail"]))
            name = bytes.fromhex(field["listed_name_hex"])
            if name not in found:
                return f"sample {position}: {name} is not listed, but {sorted(found)}"
            if found.pop(name) not in accepted:
                return f"sample {position}: {name} has other bytes"
            bare = os.fsencode(folder) + b"/" + bytes.fromhex(field["file_name_hex"])
            if not field.get("file_name_shadowed") and digest(bare) not in accepted:
                return f"sample {position}: other bytes under the bare name of {name}"
        if found:
            return f"sample {position}: lists {sorted(found)} as well"
    return None
