"""Section 5 of the contract: commits, moves, and cursors that are refused."""

import errno
import json
import os
import pathlib
import shutil
import stat
import subprocess

import pytest

from harness import mounts, runs, trees
from harness.runs import rank_of, read


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


def test_a_cursor_file_kept_open_takes_one_commit_after_the_other(mount_run, tmp_path):
    mount = mount_run(cursor="a.cursor")
    for mode in ("w", "a"):
        with open(rank_of(mount) / ".cursor", mode) as file:
            for position in (3, 4, 1):
                print(position, file=file, flush=True)
                assert runs.saved(rank_of(mount) / ".cursor") == [(0, set(range(position)))]


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


@pytest.mark.parametrize("partition", ["shards", "samples"])
def test_a_shard_left_out_stays_out_by_the_cursor(mount, tmp_path, partition):
    dataset = runs.numbered(tmp_path / "set", {"train": [4, 5, 6]})
    samples = dataset.splits["train"]
    damaged_name = sorted(samples)[1]
    names = [sample.key for sample in samples[damaged_name]]
    shard = next(pathlib.Path(dataset.folder).glob(f"train/*{damaged_name}*"))
    damaged = bytearray(shard.read_bytes())
    # The third sample's first header: two samples are whole before it.
    place = damaged.index(names[2].encode())
    damaged[place : place + 8] = b"\xff" * 8
    shard.write_bytes(damaged)

    options = ("--strict", "--skip-unreadable", "--partition", partition)
    cursor = tmp_path / "a.cursor"
    first = mount(dataset.folder, *options, "--cursor", cursor, cache_dir=tmp_path / "cache")
    folder = rank_of(first)
    assert len(os.listdir(folder)) == 10
    kept = {name: runs.read_key(folder / name) for name in sorted(os.listdir(folder))[:5]}
    first.unmount()
    assert json.loads(cursor.read_text())["splits"]["train"]["skippedShards"] == [1]

    again = mount(dataset.folder, "--cursor", cursor, cache_dir=tmp_path / "cache")
    folder = rank_of(again)
    left = {name: runs.read_key(folder / name) for name in sorted(os.listdir(folder))}
    assert not set(left) & set(kept)
    others = [sample.key for name, some in samples.items() for sample in some if name != damaged_name]
    assert sorted([*kept.values(), *left.values()]) == sorted(others)
