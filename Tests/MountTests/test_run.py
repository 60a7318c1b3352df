"""Sections 4 and 5 of the contract through real mounts: the order, the cursor, resume, epochs."""

import errno
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import threading

import pytest

from harness import mounts, runs, shards, trees

LONG = bool(os.environ.get("WDSFS_TEST_LONG"))


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


def rank_of(mount, rank=0, split="train"):
    return mount.point / split / str(rank)


def read(mount, rank, indices, samples):
    """Reads samples by their index, and looks that each is the one that stands there."""
    for index in indices:
        key = runs.read_key(rank_of(mount, rank) / trees.index_name(index))
        assert key == samples[index].key, f"rank {rank}, index {index}"


def keys(samples):
    return sorted(sample.key for sample in samples)


def all_keys(dataset, split="train"):
    return keys(dataset.rank(split))


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
    before = runs.cursor_document(mount)
    for split in uneven.splits:
        for epoch in (0, 3):
            top = mount.point if epoch == 0 else mount.point / ".epochs/3"
            for rank, samples in enumerate(order.ranks(split, epoch)):
                assert runs.listed(top / split / str(rank)) == runs.wanted(samples)
    for index, sample in enumerate(order.ranks("train", 3)[0]):
        trees.check_sample(mount.point / ".epochs/3/train/0" / trees.index_name(index), sample)
    assert runs.cursor_document(mount)["splits"] == before["splits"]


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
    done = run("verify", ledger, "--samples", "train=26")
    assert done.returncode == 0, done.stdout


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
    dataset = runs.numbered(tmp_path / "set", {"train": [200 if LONG else 50] * 24 + [1, 0, 33]})
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
            moment.wait(generator.uniform(0, 2 if not LONG else 1.6))
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


# MARK: other world sizes


@pytest.mark.parametrize("partition", ["samples", "shards"])
@pytest.mark.parametrize("lanes", [None, 6])
def test_each_once_from_2_ranks_to_3_to_1(mount_run, uneven, run, tmp_path, partition, lanes):
    order = runs.Order(uneven, 2, shuffle="full", seed=11, partition=partition, lanes=lanes)
    ledger = tmp_path / "ledger.tsv"
    options, seen = order.options(), []
    known = set()
    for part, following in (([[3, 0, 1, 6], [1]], 3), ([[2], [0, 1, 3], []], 1), (None, None)):
        mount = mount_run(*options, "--ledger", ledger, cursor="a.cursor")
        ranks, consumed = order.ranks(), []
        for rank, samples in enumerate(ranks):
            left = [(n, k) for n, k in runs.wanted(samples) if k not in known]
            assert runs.listed(rank_of(mount, rank)) == left
            # The places that were meant, of those that are left.
            names = [int(name) for name, _ in left]
            chosen = names if part is None else [names[i] for i in part[rank] if i < len(names)]
            read(mount, rank, chosen, samples)
            consumed.append(chosen)
            seen += [samples[index].key for index in chosen]
        mount.unmount()
        known.update(seen)
        if following:
            # Lanes that stay keep what was consumed before among their indices.
            order.resize(following, consumed)
            options = ["--world-size", following]
    assert sorted(seen) == all_keys(uneven)
    done = run("verify", ledger, "--samples", "train=26")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("joined", ["merge", "files", "directory"])
def test_two_nodes_go_on_as_three(mount_run, uneven, run, tmp_path, joined):
    order = runs.Order(uneven, 2, shuffle="full", seed=12)
    ranks, consumed = order.ranks(), [[0, 1, 5], [2, 0]]
    nodes = tmp_path / "nodes"
    nodes.mkdir()
    for rank in (0, 1):
        mount = mount_run(
            *order.options(), "--rank", rank, "--cursor", nodes / f"{rank}.cursor",
            name=f"node{rank}",
        )
        read(mount, rank, consumed[rank], ranks[rank])
    for rank in (0, 1):
        subprocess.run([mount.binary, "unmount", tmp_path / f"node{rank}"], check=True, timeout=20)
    mounts.wait_until(lambda: not mounts.processes_naming(tmp_path / "node"), 10, "gone")
    # Half of it says nothing of the other rank.
    (tmp_path / "half").mkdir()
    done = run("mount", uneven.folder, tmp_path / "half", "--world-size", 3,
               "--cache-dir", tmp_path / "cache", "--cursor", nodes / "0.cursor")
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (8, 1), done.stderr
    if joined == "merge":
        done = run("cursor", "merge", nodes / "0.cursor", nodes / "1.cursor",
                   "-o", tmp_path / "a.cursor")
        assert done.returncode == 0, done.stderr
        words = ["--cursor", tmp_path / "a.cursor"]
    elif joined == "files":
        words = ["--cursor", nodes / "0.cursor", "--cursor", nodes / "1.cursor"]
    else:
        words = ["--cursor", nodes]
    order.resize(3, consumed)
    mount = mount_run("--world-size", 3, *words)
    seen = [ranks[rank][index].key for rank in (0, 1) for index in consumed[rank]]
    for rank, samples in enumerate(order.ranks()):
        left = [(n, k) for n, k in runs.wanted(samples) if k not in seen]
        assert runs.listed(rank_of(mount, rank)) == left
        read(mount, rank, [int(name) for name, _ in left], samples)
        seen += [key for _, key in left]
    assert sorted(seen) == all_keys(uneven)


def read_on(mount, rank, before, seen):
    """Reads a rank, listing by listing, until it is in that epoch; `seen` takes the keys by epoch."""
    folder = rank_of(mount, rank)
    for _ in range(6):
        names = os.listdir(folder)
        epoch = int(os.getxattr(folder, "user.wds.epoch"))
        if epoch >= before:
            return
        for name in names:
            seen.setdefault(epoch, []).append(runs.read_key(folder / name))
    raise AssertionError(f"rank {rank} stays in epoch {epoch}")


@pytest.mark.parametrize("partition", ["samples", "shards"])
@pytest.mark.parametrize("lanes", [None, 6])
def test_ranks_in_different_epochs_go_on_as_three(mount_run, uneven, run, tmp_path, partition, lanes):
    order = runs.Order(uneven, 2, shuffle="full", seed=21, partition=partition, lanes=lanes)
    ledger = tmp_path / "ledger.tsv"
    mount = mount_run(*order.options(), "--ledger", ledger, cursor="a.cursor")
    seen = {0: [], 1: []}
    read_on(mount, 0, 1, seen)
    for rank, epoch, indices in ((0, 1, (2, 0)), (1, 0, (0, 4))):
        samples = order.ranks(epoch=epoch)[rank]
        read(mount, rank, indices, samples)
        seen[epoch] += [samples[index].key for index in indices]
    mount.unmount()
    mount = mount_run("--world-size", 3, "--ledger", ledger, cursor="a.cursor")
    for rank in range(3):
        read_on(mount, rank, 2, seen)
    mount.unmount()
    assert [sorted(seen[epoch]) for epoch in (0, 1)] == [all_keys(uneven)] * 2
    done = run("verify", ledger, "--epoch", 0, "--epoch", 1, "--samples", "train=26")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("equalize", ["drop", "repeat"])
def test_ranks_of_equal_length_end_and_turn_together(mount_run, uneven, run, tmp_path, equalize):
    order = runs.Order(uneven, 3, shuffle="full", seed=22, partition="samples", equalize=equalize)
    ledger = tmp_path / "ledger.tsv"
    mount = mount_run(*order.options(), "--ledger", ledger, cursor="a.cursor")
    for epoch in range(2):
        for rank, samples in enumerate(order.ranks(epoch=epoch)):
            assert len(samples) == (8 if equalize == "drop" else 9)
            assert runs.listed(rank_of(mount, rank)) == runs.wanted(samples)
            read(mount, rank, range(len(samples)), samples)
    mount.unmount()
    mount = mount_run(cursor="a.cursor")
    for rank, samples in enumerate(order.ranks(epoch=2)):
        assert runs.listed(rank_of(mount, rank)) == runs.wanted(samples)
    mount.unmount()
    said = json.loads(run("verify", ledger, "--json").stdout)
    for epoch in said["epochs"]:
        assert (epoch["repeated"], epoch["errors"]) == (0, 0), said


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


# MARK: commits and moves


def write(path, text):
    with open(path, "wb", buffering=0) as file:
        file.write(text if isinstance(text, bytes) else text.encode())


def test_only_commits_move_a_rank_that_commits(mount_run, uneven, tmp_path):
    order = runs.Order(uneven, 2, shuffle="full", seed=15)
    ranks = order.ranks()
    mount = mount_run(*order.options(), cursor="a.cursor")
    control = rank_of(mount) / ".cursor"
    read(mount, 0, [0, 1, 2, 6], ranks[0])
    subprocess.run(["sh", "-c", f"echo 5 > {control}"], check=True, timeout=20)
    read(mount, 0, [7, 8], ranks[0])
    read(mount, 1, [3], ranks[1])
    runs.save_until(
        mount, tmp_path / "a.cursor",
        lambda saved: saved == [(0, set(range(5))), (0, {3})], "the commit is saved",
    )
    length = len(ranks[0])
    for text in (str(length + 1), "99999999999999999999", "-1", "x", "1x", "0:", ":3", "0:3:1",
                 f"0:{length + 1}", '"3"'):
        with pytest.raises(OSError) as caught:
            write(control, text)
        assert caught.value.errno == errno.EINVAL, text
    write(control, "0:4")
    mount.unmount()
    assert runs.saved(tmp_path / "a.cursor") == [(0, set(range(4))), (0, {3})]

    mount = mount_run(cursor="a.cursor")
    assert runs.listed(rank_of(mount)) == runs.wanted(ranks[0], range(4))
    # Another epoch is a move; the length ends one.
    write(control, "2:3")
    assert runs.listed(rank_of(mount)) == runs.wanted(order.ranks(epoch=2)[0], range(3))
    read(mount, 0, [3], order.ranks(epoch=2)[0])
    write(control, str(len(order.ranks(epoch=2)[0])))
    later = order.ranks(epoch=3)[0]
    assert runs.listed(rank_of(mount)) == runs.wanted(later)
    read(mount, 0, range(len(later)), later)
    # All of it was read, none of it committed.
    assert runs.listed(rank_of(mount)) == runs.wanted(later)


@pytest.mark.parametrize("control", ["train/0/.cursor", ".wdsfs/cursor.json"])
def test_a_checkpoint_written_back_moves_the_run(mount_run, uneven, tmp_path, control):
    order = runs.Order(uneven, 2, shuffle="full", seed=16)
    ranks = order.ranks()
    mount = mount_run(*order.options())
    control = mount.point / control
    assert stat.S_IMODE(os.stat(control).st_mode) == 0o600
    read(mount, 0, [0, 4], ranks[0])
    read(mount, 1, [1], ranks[1])
    checkpoint = control.read_bytes()
    assert os.stat(control).st_size == len(checkpoint)
    read(mount, 0, [i for i in range(len(ranks[0])) if i not in (0, 4)], ranks[0])
    read(mount, 1, [0, 2], ranks[1])
    later = order.ranks(epoch=1)[0]
    assert runs.listed(rank_of(mount)) == runs.wanted(later)
    read(mount, 0, [0, 1, 2], later)
    # As a trainer would: a file copied back; then in pieces.
    saved = tmp_path / "saved.json"
    saved.write_bytes(checkpoint)
    shutil.copyfile(saved, control)
    assert runs.listed(rank_of(mount)) == runs.wanted(ranks[0], {0, 4})
    read(mount, 0, [1, 2, 3, 5], ranks[0])
    whole = control.name == "cursor.json"
    assert runs.listed(rank_of(mount, 1)) == runs.wanted(ranks[1], {1} if whole else ())
    with open(control, "wb", buffering=0) as file:
        for start in range(0, len(checkpoint), 100):
            file.write(checkpoint[start : start + 100])
    assert runs.listed(rank_of(mount)) == runs.wanted(ranks[0], {0, 4})
    # That alone is no commit mode.
    read(mount, 0, [1, 2], ranks[0])
    progress = runs.cursor_document(mount)["splits"]["train"]["legs"][-1]["progress"]
    assert runs.positions(progress[0]) == (0, {0, 1, 2, 4})


def test_a_cursor_file_is_copied_by_cp(mount_run, uneven, tmp_path):
    order = runs.Order(uneven, 1, shuffle="full", seed=23)
    samples = order.ranks()[0]
    mount = mount_run(*order.options())
    control = rank_of(mount) / ".cursor"
    read(mount, 0, [0, 3], samples)
    for path in (control, mount.point / ".wdsfs/cursor.json"):
        subprocess.run(["cp", path, tmp_path / "copy"], check=True, timeout=20)
        read(mount, 0, [1, 2], samples)
        subprocess.run(["cp", tmp_path / "copy", path], check=True, timeout=20)
        assert runs.listed(rank_of(mount)) == runs.wanted(samples, {0, 3})


def test_a_foreign_checkpoint_is_refused_and_moves_nothing(mount_run, uneven, tmp_path):
    other = runs.numbered(tmp_path / "other", {"train": [5, 7], "val": [1]})
    order = runs.Order(uneven, 1, shuffle="full", seed=17)
    mount = mount_run(*order.options())
    strangers = [
        mount_run("--shuffle", "full", "--seed", 17, dataset=other, name="stranger"),
        mount_run("--shuffle", "full", "--seed", 18, name="seed"),
    ]
    read(mount, 0, [0, 1], order.ranks()[0])
    before = runs.cursor_document(mount)["splits"]
    documents = [(stranger.point / ".wdsfs/cursor.json").read_bytes() for stranger in strangers]
    documents.append((mount.point / ".wdsfs/cursor.json").read_bytes().replace(b'"0:2"', b'"0:9"'))
    for control in (rank_of(mount) / ".cursor", mount.point / ".wdsfs/cursor.json"):
        for document in documents:
            with pytest.raises(OSError) as caught:
                write(control, document)
            assert caught.value.errno == errno.EINVAL
    assert runs.cursor_document(mount)["splits"] == before
    with pytest.raises(OSError) as caught:
        write(mount.point / ".wdsfs/cursor.json", "3")
    assert caught.value.errno == errno.EINVAL


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
    whole = sum(512 + -(-field.size // 512) * 512 for s in left for field in s.fields) + 1024
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


def test_a_stream_goes_on_where_it_was_left(mount_run, uneven, tmp_path):
    order = runs.Order(uneven, 1, shuffle="full", seed=19)
    mount = mount_run(*order.options(), cursor="a.cursor")
    samples = order.ranks()[0]
    sizes = [sum(512 + -(-f.size // 512) * 512 for f in sample.fields) for sample in samples]
    with open(mount.point / ".streams/train/0.tar", "rb", buffering=0) as file:
        wanted = sum(sizes[:10]) + 1
        while wanted > 0:
            wanted -= len(file.read(min(wanted, 4096)))
    mount.unmount()
    ((epoch, consumed),) = runs.saved(tmp_path / "a.cursor")
    # The kernel reads ahead; what was handed over is there at least, and it is a front of the order.
    assert epoch == 0 and len(consumed) >= 10 and consumed == set(range(len(consumed)))
    mount = mount_run(cursor="a.cursor")
    if len(consumed) < len(samples):
        left = samples[len(consumed):]
        assert members_of(mount.point / ".streams/train/0.tar") == in_a_tar(left)


# MARK: what is refused


@pytest.fixture
def refused(run, uneven, tmp_path):
    """A mount that must not come to be; returns its line."""

    def attempt(*words, dataset=uneven):
        point = tmp_path / "refused"
        point.mkdir(exist_ok=True)
        done = run("mount", dataset.folder, point, "--cache-dir", tmp_path / "cache", *words)
        assert done.returncode == 8, (done.returncode, done.stderr)
        assert done.stdout == "" and len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert done.stderr.startswith("wdsfs: ")
        assert mounts.kind_of_mount(point) is None and not mounts.processes_naming(point)
        return done.stderr

    return attempt


def test_a_cursor_that_does_not_fit_is_refused(mount_run, refused, tmp_path):
    cursor = tmp_path / "a.cursor"
    mount = mount_run("--shuffle", "full", "--seed", 31, "--partition", "shards", cursor="a.cursor")
    (pid,) = mount.pids()
    read_first = rank_of(mount) / "00000000"
    runs.read_key(read_first)
    assert str(pid) in refused("--cursor", cursor)
    mount.unmount()
    kept = cursor.read_bytes()
    for option, given, known in (
        ("--seed", "77", "31"), ("--shuffle", "shards", "full"), ("--partition", "samples", "shards"),
        ("--shuffle-window", "9", "1"),
    ):
        line = refused("--cursor", cursor, option, given)
        assert given in line and known in line
    assert "drop" in refused("--cursor", cursor, "--equalize", "drop")
    other = runs.numbered(tmp_path / "other", {"train": [5, 7], "val": [1]})
    assert str(cursor) in refused("--cursor", cursor, dataset=other)
    assert cursor.read_bytes() == kept
    # Another world size, epoch and lanes contradict nothing.
    mount = mount_run("--world-size", 2, "--epoch", 4, "--lanes", 6, cursor="a.cursor")
    assert os.getxattr(rank_of(mount), "user.wds.epoch") == b"0"


def test_a_damaged_cursor_is_refused_and_says_what_helps(mount_run, refused, tmp_path):
    cursor = tmp_path / "a.cursor"
    mount = mount_run(cursor="a.cursor")
    runs.read_key(rank_of(mount) / "00000000")
    mount.unmount()
    whole = cursor.read_bytes()
    for damaged in (whole[:-40], whole.replace(b'"seed": 0', b'"seed": 1'), b"", b"\0" * 600):
        cursor.write_bytes(damaged)
        assert "a.cursor.previous" in refused("--cursor", cursor)
        assert cursor.read_bytes() == damaged
    newer = whole.replace(b'"version": 1', b'"version": 99')
    cursor.write_bytes(newer)
    assert "99" in refused("--cursor", cursor)
    cursor.write_bytes(whole)
    os.remove(f"{cursor}.previous")
    cursor.write_bytes(whole[:-40])
    assert "a.cursor" in refused("--cursor", cursor)


def test_a_cursor_that_cannot_be_written_is_refused(refused, tmp_path):
    (tmp_path / "plain").write_text("a file")
    assert "plain" in refused("--cursor", tmp_path / "plain" / "a.cursor")
    assert "missing" in refused("--cursor", tmp_path / "missing" / "a.cursor")
    assert (tmp_path / "plain").read_text() == "a file"


def test_what_was_served_twice_is_found(mount_run, run, tmp_path):
    ledgers = [tmp_path / "one.tsv", tmp_path / "two.tsv"]
    for number, ledger in enumerate(ledgers):
        mount = mount_run("--ledger", ledger)
        for index in range(26) if number == 0 else (3,):
            runs.read_key(rank_of(mount) / trees.index_name(index))
        mount.unmount()
    assert run("verify", ledgers[0], "--samples", "train=26").returncode == 0
    done = run("verify", *ledgers, "--samples", "train=26", "--json")
    assert done.returncode == 1
    (epoch,) = json.loads(done.stdout)["epochs"]
    assert (epoch["repeated"], epoch["missing"]) == (1, 0)
