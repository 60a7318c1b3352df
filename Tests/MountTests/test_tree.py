"""Section 3 of the contract: the tree, its names, order, attributes and control files."""

import errno
import json
import os
import stat

import pytest

from harness import shards, trees


def test_the_top_lists_the_splits_alone(mount_small):
    assert sorted(os.listdir(mount_small().point)) == ["train", "val"]


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_ranks_hold_each_sample_once_in_order(mount_small, small, equal, world_size):
    mount = mount_small("--world-size", world_size)
    for split in small.splits:
        assert os.listdir(mount.point / split) == [str(rank) for rank in range(world_size)]
    equal(mount, small, world_size)


def test_more_ranks_than_shards_leave_empty_ranks(mount_small, small, equal):
    mount = mount_small("--world-size", 6)
    equal(mount, small, world_size=6)
    assert os.listdir(mount.point / "train/5") == []


@pytest.mark.parametrize(
    "variables",
    [
        {"WORLD_SIZE": 2, "RANK": 1},
        {"SLURM_NTASKS": 2, "SLURM_PROCID": 1},
        {"OMPI_COMM_WORLD_SIZE": 2, "OMPI_COMM_WORLD_RANK": 1},
    ],
)
def test_the_world_size_comes_from_the_environment_and_all_ranks_are_there(
    mount_small, store, small, equal, variables
):
    equal(mount_small(environment=store.environment(**variables)), small, world_size=2)


def test_an_option_comes_before_the_environment(mount_small, store, small, equal):
    environment = store.environment(WORLD_SIZE=7, RANK=0)
    equal(mount_small("--world-size", 2, environment=environment), small, world_size=2)


def test_rank_limits_the_tree_to_one(mount_small, small):
    mount = mount_small("--world-size", 2, "--rank", 1)
    assert os.listdir(mount.point / "train") == ["1"]
    trees.check_rank(mount.point / "train/1", small.rank("train", 1, 2))
    with pytest.raises(FileNotFoundError):
        os.listdir(mount.point / "train/0")


def test_bare_names_open_the_same_field(mount_small, small):
    mount = mount_small()
    for position, sample in enumerate(small.rank("train")):
        folder = mount.point / "train/0" / trees.index_name(position)
        for listed, field in zip(sample.listed_names(), sample.fields):
            assert shards.sha256((folder / field.name).read_bytes()) == field.sha256
            assert (folder / field.name).stat().st_ino == (folder / listed).stat().st_ino


def test_names_field_lists_the_bare_names(mount_small, small):
    mount = mount_small("--names", "field")
    assert sorted(os.listdir(mount.point / "val/0/00000000")) == ["cls", "jpg", "json"]
    key = small.rank("val")[0].key
    assert (mount.point / f"val/0/00000000/{key}.cls").exists()


def test_a_listed_name_wins_over_a_bare_one(mount, tmp_path):
    dataset = shards.Dataset(tmp_path / "set")
    dataset.add_shard("train", "a-000000.tar", [("a", {"b": b"listed", "a.b": b"other"})])
    folder = mount(dataset.folder).point / "train/0/00000000"
    assert (folder / "a.b").read_bytes() == b"listed"
    assert (folder / "a.a.b").read_bytes() == b"other"


def test_attributes_are_those_of_a_read_only_tree(mount_small, small):
    mount = mount_small()
    folder = mount.point / "train/0"
    for position, sample in enumerate(small.rank("train")):
        for name, field in zip(sample.listed_names(), sample.fields):
            status = os.stat(folder / trees.index_name(position) / name)
            assert stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o444
            assert status.st_size == field.size
            assert int(status.st_mtime) == shards.MTIME
            assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
    for path in (mount.point, mount.point / "train", folder, folder / "00000000"):
        status = os.stat(path)
        assert stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o555


def test_uid_and_gid_name_the_owner(mount_small):
    status = os.stat(mount_small("--uid", 1234, "--gid", 4321).point / "train/0/00000000")
    assert (status.st_uid, status.st_gid) == (1234, 4321)


def test_xattrs_say_whence_a_sample_and_a_field_came(mount_small, small, store):
    mount = mount_small()
    tags = {
        item["Key"]: item["ETag"].strip('"')
        for item in store.server.client().list_objects_v2(Bucket="small")["Contents"]
    }

    def attribute(path, name):
        return os.getxattr(path, f"user.wds.{name}").decode()

    for position, sample in enumerate(small.rank("train")):
        folder = mount.point / "train/0" / trees.index_name(position)
        field = folder / sample.listed_names()[0]
        for path in (folder, field):
            assert {"user.wds.key", "user.wds.shard", "user.wds.offset", "user.wds.etag"} <= set(
                os.listxattr(path)
            )
            assert attribute(path, "key") == sample.key
            assert attribute(path, "shard").endswith(sample.shard)
            assert attribute(path, "etag").strip('"') == tags[f"train/{sample.shard}"]
            assert int(attribute(path, "offset")) >= 0
    with pytest.raises(OSError) as caught:
        os.getxattr(mount.point / "train/0/00000000", "user.wds.nothing")
    assert caught.value.errno == errno.ENODATA


def test_a_rank_says_how_many_samples_it_has(mount_small, small):
    rank = mount_small().point / "train/0"
    assert len(os.listdir(rank)) == 21
    assert os.getxattr(rank, "user.wds.samples") == b"21"
    assert os.getxattr(rank, "user.wds.epoch") == b"0"


@pytest.mark.parametrize(
    "path",
    ["nothing", "train/9", "train/00", "train/x", "train/0/00000021", "train/0/0", "train/0/99999999",
     "train/0/00000000/nothing", "train/0/00000000/jpg/x", ".wdsfs/nothing", ".shards/nothing"],
)
def test_what_is_not_there_is_not_there(mount_small, path):
    with pytest.raises((FileNotFoundError, NotADirectoryError)):
        os.stat(mount_small().point / path)


def test_control_files_are_unlisted_and_hold_no_secret(mount_small, store):
    mount = mount_small("--world-size", 2)
    assert not [name for name in os.listdir(mount.point) if name.startswith(".")]
    (mount.point / "train/0/00000000/cls").read_bytes()
    texts = {
        name: (mount.point / ".wdsfs" / name).read_text() for name in ("stats.json", "config.json")
    }
    for name, text in texts.items():
        assert json.loads(text)["version"] >= 1, name
        assert store.server.secret_key not in text


def test_raw_shards_are_there_for_who_names_them(mount_small, small):
    mount = mount_small()
    for split, named in small.splits.items():
        for name in named:
            with open(f"{small.folder}/{split}/{name}", "rb") as file:
                wanted = file.read()
            path = mount.point / ".shards" / split / name
            assert path.stat().st_size == len(wanted)
            assert path.read_bytes() == wanted


def test_split_keeps_one_split_alone(mount_small):
    assert os.listdir(mount_small("--split", "val").point) == ["val"]


def test_split_makes_splits_by_pattern(mount_small, small):
    mount = mount_small("--split", "odd=train/*[13].tar", "--split", "even=train/*[02].tar")
    assert sorted(os.listdir(mount.point)) == ["even", "odd"]
    trees.check_rank(mount.point / "odd/0", small.rank("train", 1, 2))


def test_shards_at_the_top_make_splits_by_their_names(mount, tmp_path):
    dataset = shards.Dataset(tmp_path / "set")
    dataset.add_split("", [3, 2], name="imagenet-train").splits.clear()
    dataset.add_split("", [1], name="imagenet-val")
    mount = mount(dataset.folder)
    assert sorted(os.listdir(mount.point)) == ["imagenet-train", "imagenet-val"]
    assert len(os.listdir(mount.point / "imagenet-train/0")) == 5


def test_a_remote_that_is_a_split_is_called_after_its_folder(mount, store, small):
    made = mount("s3://small/train", *store.options(), environment=store.environment())
    assert os.listdir(made.point) == ["train"]
    trees.check_rank(made.point / "train/0", small.rank("train"))


def test_the_mount_table_says_what_it_is(mount_small):
    mount = mount_small()
    with open("/proc/mounts", encoding="utf-8") as table:
        line = next(line.split() for line in table if line.split()[1] == str(mount.point))
    assert line[2] == "fuse.wdsfs"
    assert {"nosuid", "nodev", "noatime"} <= set(line[3].split(","))
