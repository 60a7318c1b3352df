"""Sections 4 and 5 of the contract: epochs turn, and streams follow them."""

import os
import subprocess
import sys
import tarfile

import pytest

from harness import runs, shards, trees
from harness.runs import rank_of, read


# MARK: epochs


def read_in_a_new_process(folder, names):
    program = (
        "import sys; from harness import runs\n"
        "for name in sys.argv[2:]: print(runs.read_key(f'{sys.argv[1]}/{name}'))"
    )
    scripts = os.path.dirname(os.path.dirname(runs.__file__))
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), *names], check=True, capture_output=True,
        text=True, timeout=30, env={**os.environ, "PYTHONPATH": scripts},
    )
    return done.stdout.split()


@pytest.mark.parametrize("partition", ["samples", "shards"])
def test_a_consumed_epoch_turns_at_the_next_listing(mount_run, uneven, run, tmp_path, partition):
    order = runs.Order(uneven, 2, shuffle="full", seed=13, partition=partition)
    ledger = tmp_path / "ledger.tsv"
    mount = mount_run(*order.options(), "--ledger", ledger)
    path = rank_of(mount)
    held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    through = f"/proc/self/fd/{held}"
    first = order.ranks(epoch=0)[0][0]
    kept = os.open(path / "00000000", os.O_RDONLY | os.O_DIRECTORY)
    try:
        for epoch in range(5):
            ranks = order.ranks(epoch=epoch)
            samples = ranks[0]
            names = [name for name, _ in runs.wanted(samples)]
            # By the held directory and by its path, in turn: who lists first makes the turn.
            assert os.listdir(held if epoch % 2 else path) == names
            assert os.getxattr(path, "user.wds.epoch") == str(epoch).encode()
            half = len(names) // 2
            for name, sample in zip(names[:half], samples):
                trees.check_sample(path / name, sample)
                trees.check_sample(f"{through}/{name}", sample)
            # Another reader of the rank sees the same, before the end.
            assert os.listdir(path) == os.listdir(held) == names
            if epoch % 2:
                assert read_in_a_new_process(path, names[half:]) == [s.key for s in samples[half:]]
            else:
                for name, sample in zip(names[half:], samples[half:]):
                    trees.check_sample(f"{through}/{name}", sample)
                    trees.check_sample(path / name, sample)
            # A lookup makes no turn: the old sample under its old name.
            assert runs.key_at(path / names[0]) == samples[0].key
            trees.check_sample(f"/proc/self/fd/{kept}", first)
            # The other rank goes through its epochs by itself.
            if epoch < 2:
                assert runs.listed(rank_of(mount, 1)) == runs.wanted(ranks[1])
                read(mount, 1, range(len(ranks[1])), ranks[1])
    finally:
        os.close(held)
        os.close(kept)
    mount.unmount()
    done = run("verify", ledger, "--epoch", 0, "--epoch", 1, "--samples", "train=26")
    assert done.returncode == 0, done.stdout


def test_an_epoch_that_ended_is_taken_up_as_the_next(mount_run, uneven):
    order = runs.Order(uneven, 1, shuffle="full", seed=14)
    mount = mount_run(*order.options(), cursor="a.cursor")
    read(mount, 0, range(26), order.ranks()[0])
    mount.unmount()
    mount = mount_run(cursor="a.cursor")
    assert runs.listed(rank_of(mount)) == runs.wanted(order.ranks(epoch=1)[0])


def test_samples_without_bytes_count_as_well(mount, run, tmp_path):
    dataset = shards.Dataset(tmp_path / "set")
    dataset.add_shard(
        "train", "a-000000.tar",
        [(f"{n:09d}", {"txt": b"" if n in (1, 4) else str(n).encode()}) for n in range(5)],
    )
    ledger, cursor = tmp_path / "ledger.tsv", tmp_path / "a.cursor"
    made = mount(dataset.folder, "--ledger", ledger, "--cursor", cursor)
    for epoch in range(3):
        names = os.listdir(rank_of(made))
        assert os.getxattr(rank_of(made), "user.wds.epoch") == str(epoch).encode()
        assert names == [trees.index_name(index) for index in range(5)]
        for name in names:
            (rank_of(made) / name / "txt").read_bytes()
    made.unmount()
    done = run("verify", ledger, "--samples", "5", "--epoch", 0, "--epoch", 1)
    assert done.returncode == 0, done.stdout


def test_a_rank_with_empty_samples_only_turns_once_it_was_listed(mount, run, tmp_path):
    dataset = shards.Dataset(tmp_path / "set")
    for shard in range(2):
        # The second rank's shard holds nothing that could be read.
        samples = [(f"{shard}{n}", {"txt": b"" if shard else b"x"}) for n in range(3)]
        dataset.add_shard("train", f"a-{shard:06d}.tar", samples)
    ledger, cursor = tmp_path / "ledger.tsv", tmp_path / "a.cursor"
    options = ["--world-size", 2, "--ledger", ledger, "--cursor", cursor]
    made = mount(dataset.folder, *options)
    for epoch in range(2):
        for rank in range(2):
            names = os.listdir(rank_of(made, rank))
            assert os.getxattr(rank_of(made, rank), "user.wds.epoch") == str(epoch).encode()
            for name in names:
                (rank_of(made, rank) / name / "txt").read_bytes()
    made.unmount()
    assert runs.saved(cursor) == [(1, {0, 1, 2})] * 2
    done = run("verify", ledger, "--samples", "6", "--epoch", 0, "--epoch", 1)
    assert done.returncode == 0, done.stdout


def test_the_world_size_that_is_logged_is_the_cursors(mount_run, tmp_path):
    mount_run("--world-size", 3, cursor="a.cursor").unmount()
    log = (tmp_path / "mnt.log").read_text()
    assert "world size 3 from --world-size" in log
    mount_run(cursor="a.cursor").unmount()
    log = (tmp_path / "mnt.log").read_text()[len(log):]
    assert "world size 3 from the cursor" in log
    assert "world size 1" not in log


def test_a_limit_ends_each_rank_for_a_first_try(mount_run, uneven):
    order = runs.Order(uneven, 2, shuffle="full", seed=17)
    mount = mount_run(*order.options(), "--limit", 3)
    for epoch in range(2):
        for rank, samples in enumerate(order.ranks(epoch=epoch)):
            assert runs.listed(rank_of(mount, rank)) == runs.wanted(samples)[:3]
            assert not (rank_of(mount, rank) / trees.index_name(3)).exists()
            read(mount, rank, range(3), samples)


# MARK: streams


def in_a_tar(samples):
    return [(f"{s.key}.{f.name}", f.sha256) for s in samples for f in s.fields]


def members_of(path):
    import hashlib

    with open(path, "rb") as file, tarfile.open(fileobj=file, mode="r|") as archive:
        return [
            (member.name, hashlib.sha256(archive.extractfile(member).read()).hexdigest())
            for member in archive
        ]


def test_a_stream_is_the_rest_of_the_epoch_as_a_tar(mount_run, uneven, tmp_path):
    import webdataset

    order = runs.Order(uneven, 2, shuffle="full", seed=18)
    mount = mount_run(*order.options(), cursor="a.cursor")
    ranks = order.ranks()
    read(mount, 0, [0, 2, 3], ranks[0])
    mount.unmount()

    mount = mount_run(cursor="a.cursor")
    left = [sample for index, sample in enumerate(ranks[0]) if index not in (0, 2, 3)]
    stream = mount.point / ".streams/train/0.tar"
    # A look at its first header counts nothing.
    with open(stream, "rb", buffering=0) as file:
        file.read(512)
    whole = sum(tar_bytes(sample) for sample in left) + 1024
    assert os.stat(stream).st_size >= whole
    assert members_of(stream) == in_a_tar(left)
    assert members_of(mount.point / ".streams/train/1.tar") == in_a_tar(ranks[1])
    mount.unmount()
    assert [epoch for epoch, _ in runs.saved(tmp_path / "a.cursor")] in ([0, 0], [1, 1])

    mount = mount_run(cursor="a.cursor")
    later = order.ranks(epoch=1)
    for rank in (0, 1):
        assert runs.listed(rank_of(mount, rank)) == runs.wanted(later[rank])
    stream = mount.point / ".streams/train/0.tar"
    done = subprocess.run(["tar", "-tf", stream], check=True, capture_output=True, text=True, timeout=20)
    assert done.stdout.split() == [name for name, _ in in_a_tar(later[0])]
    named = mount.point / ".streams/train/1.tar"
    read_by = list(webdataset.WebDataset(str(named), shardshuffle=False))
    assert [sample["__key__"] for sample in read_by] == [sample.key for sample in later[1]]


def test_a_stream_follows_the_epochs(mount_run, uneven):
    order = runs.Order(uneven, 1, shuffle="full", seed=20)
    mount = mount_run(*order.options(), cursor="a.cursor")
    for epoch in range(2):
        samples = order.ranks(epoch=epoch)[0]
        assert members_of(mount.point / ".streams/train/0.tar") == in_a_tar(samples)
    mount.unmount()
    mount = mount_run(cursor="a.cursor")
    assert members_of(mount.point / ".streams/train/0.tar") == in_a_tar(order.ranks(epoch=2)[0])


def tar_bytes(sample):
    return sum(512 + -(-field.size // 512) * 512 for field in sample.fields)


@pytest.mark.parametrize("kilobytes_at_once", [4, 128, 1500])
def test_who_stops_in_a_stream_loses_nothing(mount_run, tmp_path, kilobytes_at_once):
    """The kernel asks ahead of the reader; what only the kernel has seen comes once more."""
    dataset = runs.numbered(tmp_path / "set", {"train": [30, 50, 40]}, picture_bytes=100_000)
    order = runs.Order(dataset, 1, shuffle="full", seed=19)
    mount = mount_run(*order.options(), cursor="a.cursor", dataset=dataset)
    samples = order.ranks()[0]
    wanted = sum(tar_bytes(sample) for sample in samples[:60])
    with open(mount.point / ".streams/train/0.tar", "rb", buffering=0) as file:
        while wanted > 0:
            wanted -= len(file.read(min(wanted, kilobytes_at_once << 10)))
    mount.unmount()
    ((epoch, consumed),) = runs.saved(tmp_path / "a.cursor")
    assert epoch == 0 and consumed == set(range(len(consumed)))
    # Behind the reader by no more than two windows of 1 MiB.
    assert 60 - 22 <= len(consumed) <= 60
    mount = mount_run(cursor="a.cursor", dataset=dataset)
    left = samples[len(consumed):]
    assert members_of(mount.point / ".streams/train/0.tar") == in_a_tar(left)


def test_a_stream_that_ends_within_the_read_ahead_counts_whole(mount_run, uneven, tmp_path):
    order = runs.Order(uneven, 1, shuffle="full", seed=19)
    mount = mount_run(*order.options(), cursor="a.cursor")
    assert members_of(mount.point / ".streams/train/0.tar") == in_a_tar(order.ranks()[0])
    mount.unmount()
    ((epoch, consumed),) = runs.saved(tmp_path / "a.cursor")
    assert (epoch, consumed) in ((0, set(range(len(order.ranks()[0])))), (1, set()))
