"""Sections 4 and 5 of the contract through real mounts: the order, and going on after any end."""

import json
import os
import random
import signal
import stat
import threading

import pytest

from harness import mounts, runs, trees
from harness.runs import all_keys, rank_of, read

LONG = bool(os.environ.get("WDSFS_TEST_LONG"))


# MARK: the order


SHAPES = [
    dict(world_size=1),
    dict(world_size=2, shuffle="shards", seed=1),
    dict(world_size=3, shuffle="full", seed=2),
    dict(world_size=4, shuffle="full", seed=3, partition="samples"),
    dict(world_size=3, shuffle="full", seed=4, partition="samples", lanes=6, equalize="drop"),
    dict(world_size=4, shuffle="shards", seed=5, partition="samples", equalize="repeat"),
    dict(world_size=2, shuffle="full", seed=6, lanes=3, window=2, equalize="drop"),
    dict(world_size=2, partition="samples", equalize="repeat"),
]


def random_shapes(count):
    generator = random.Random(20260301)
    for _ in range(count):
        partition = generator.choice(["samples", "shards"])
        yield dict(
            world_size=generator.randint(1, 4),
            shuffle=generator.choice(["none", "shards", "full"]),
            seed=generator.randrange(1 << 64),
            partition=partition,
            lanes=generator.choice([None, generator.randint(1, 40)]),
            window=generator.randint(1, 4),
            # With `shards` a rank may be empty, and has nothing to repeat.
            equalize=generator.choice([None, "drop", *["repeat"] * (partition == "samples")]),
        )


@pytest.mark.parametrize(
    "shape", SHAPES + list(random_shapes(60 if LONG else 0)),
    ids=lambda shape: "-".join(str(value) for value in shape.values()),
)
def test_the_order_is_that_of_the_page(mount_run, uneven, shape):
    order = runs.Order(uneven, **shape)
    mount = mount_run(*order.options())
    before = runs.progress(mount)
    for split in uneven.splits:
        for epoch in (0, 3):
            top = mount.point if epoch == 0 else mount.point / ".epochs/3"
            for rank, samples in enumerate(order.ranks(split, epoch)):
                assert runs.listed(top / split / str(rank)) == runs.wanted(samples)
    for index, sample in enumerate(order.ranks("train", 3)[0]):
        trees.check_sample(mount.point / ".epochs/3/train/0" / trees.index_name(index), sample)
    # Looking counts nowhere, whatever the mount came to know of lengths.
    assert runs.progress(mount) == before


def test_a_first_epoch_may_be_named(mount_run, uneven):
    order = runs.Order(uneven, 2, shuffle="full", seed=9)
    mount = mount_run(*order.options(), "--epoch", 5)
    for rank, samples in enumerate(order.ranks(epoch=5)):
        assert runs.listed(rank_of(mount, rank)) == runs.wanted(samples)
        assert os.getxattr(rank_of(mount, rank), "user.wds.epoch") == b"5"


# MARK: the cursor


@pytest.mark.parametrize("end", ["unmount", "SIGTERM"])
def test_what_was_read_is_not_listed_again(mount_run, uneven, run, tmp_path, end):
    order = runs.Order(uneven, 2, shuffle="full", seed=7)
    ranks = order.ranks()
    ledger = tmp_path / "ledger.tsv"
    mount = mount_run(*order.options(), "--ledger", ledger, cursor="a.cursor")
    consumed = [{5, 0, 7, 1}, {2}]
    for rank, samples in enumerate(ranks):
        read(mount, rank, sorted(consumed[rank], reverse=True), samples)
        # Reading does not change what is listed.
        assert runs.listed(rank_of(mount, rank)) == runs.wanted(samples)
    if end == "unmount":
        mount.unmount()
    else:
        for pid in mount.pids():
            os.kill(pid, signal.SIGTERM)
        mounts.wait_until(lambda: not mount.pids(), 10, "gone")
    assert runs.saved(tmp_path / "a.cursor") == [(0, consumed[0]), (0, consumed[1])]

    mount = mount_run("--ledger", ledger, cursor="a.cursor")
    for rank, samples in enumerate(ranks):
        names = runs.wanted(samples, consumed[rank])
        assert runs.listed(rank_of(mount, rank)) == names
        read(mount, rank, [int(name) for name, _ in names], samples)
        # A consumed index of the present leg still opens, and counts no second time.
        read(mount, rank, consumed[rank], samples)
    mount.unmount()
    # How many there are the mount has counted itself.
    (epoch,) = json.loads(run("verify", ledger, "--json").stdout)["epochs"]
    assert (epoch["expected"], epoch["missing"], epoch["isEachOnce"]) == (26, 0, True)


def test_the_cursor_is_saved_while_it_changes(mount_run, uneven, run, tmp_path):
    order = runs.Order(uneven, 1, shuffle="shards")
    mount = mount_run(*order.options(), cursor="a.cursor")
    read(mount, 0, [0, 1, 2, 4], order.ranks()[0])
    runs.save_until(
        mount, tmp_path / "a.cursor", lambda ranks: ranks == [(0, {0, 1, 2, 4})], "saved"
    )
    assert stat.S_IMODE(os.stat(tmp_path / "a.cursor").st_mode) & 0o077 == 0
    assert run("cursor", "show", tmp_path / "a.cursor.previous").returncode == 0


class Readers:
    """Two threads for each rank, that read what the mount lists until it ends."""

    def __init__(self, mount, names, pause):
        self.seen, self.wrong, self.ended = [], [], threading.Event()
        self.pause = pause
        self.threads = [
            threading.Thread(target=self.read, args=(rank_of(mount, rank), rank, share[part::2]))
            for rank, share in names.items()
            for part in range(2)
        ]
        for thread in self.threads:
            thread.start()

    def read(self, folder, rank, names):
        for name in names:
            try:
                key = runs.read_key(folder / name)
            except OSError:
                return
            except ValueError as error:
                self.wrong.append(f"{rank}/{name}: {error}")
                return
            self.seen.append((rank, int(name), key))
            if self.ended.wait(self.pause):
                return

    def join(self, end=True):
        if end:
            self.ended.set()
        for thread in self.threads:
            thread.join(30)
        assert not self.wrong
        return self.seen


@pytest.mark.limit(1200 if LONG else 60)
def test_killed_at_random_moments_nothing_is_lost(mount, run, tmp_path):
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    generator = random.Random(seed)
    times = 100 if LONG else 5
    dataset = runs.numbered(tmp_path / "set", {"train": [200 if LONG else 30] * 24 + [1, 0, 33]})
    order = runs.Order(dataset, 4, shuffle="full", seed=seed)
    ranks = order.ranks()
    cursor, ledger = tmp_path / "a.cursor", tmp_path / "ledger.tsv"
    made = mount(dataset.folder, *order.options(), "--cursor", cursor, "--ledger", ledger, start=False)
    read_keys, saved = set(), [(0, set())] * 4
    for time in range(times + 1):
        made.start()
        names = {}
        for rank, (epoch, consumed) in enumerate(saved):
            if epoch == 0 and len(consumed) < len(ranks[rank]):
                names[rank] = os.listdir(rank_of(made, rank))
                assert names[rank] == [name for name, _ in runs.wanted(ranks[rank], consumed)]
        last = time == times
        readers = Readers(made, names, 0 if last else 0.02)
        if not last:
            moment = threading.Event()
            moment.wait(generator.uniform(0, 1.6))
            made.kill()
        for rank, index, key in readers.join(end=not last):
            assert key == ranks[rank][index].key
            read_keys.add(key)
        if not last and cursor.exists():
            done = run("cursor", "show", cursor)
            assert done.returncode == 0, done.stderr
            before, saved = saved, runs.saved(cursor)
            for (epoch, consumed), (_, more) in zip(before, saved):
                assert epoch == 0 and consumed <= more, "a save was undone"
            done_keys = {ranks[r][i].key for r, (_, part) in enumerate(saved) for i in part}
            assert done_keys <= read_keys | unseen(ledger), "saved, and never read"
    made.unmount()
    assert sorted(read_keys | unseen(ledger)) == all_keys(dataset)
    said = json.loads(run("verify", ledger, "--samples", dataset.sample_count(), "--json").stdout)
    (epoch,) = said["epochs"]
    assert (epoch["missing"], epoch["surplus"], epoch["errors"]) == (0, 0, 0)


def unseen(ledger):
    """What the mount says to have served; a killed reader may not have got the answer noted."""
    with open(ledger, encoding="utf-8") as file:
        lines = [line.rstrip("\n").split("\t") for line in file if not line.startswith(("#", "time\t"))]
    return {line[7] for line in lines if len(line) == 9 and line[8] == "ok"}
