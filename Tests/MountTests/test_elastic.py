"""Section 5 of the contract: a run that goes on at other world sizes."""

import json
import os
import subprocess

import pytest

from harness import mounts, runs
from harness.runs import all_keys, rank_of, read


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


@pytest.mark.parametrize(
    "joined", ["merge", "directory", pytest.param("files", marks=pytest.mark.long)]
)
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
        # Which samples an epoch leaves out differs with the world size: its mount does not say.
        assert epoch.get("expected") == (None if equalize == "drop" else 26), said
