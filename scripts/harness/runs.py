"""Walks runs through mounts, and says from scripts/order.py alone what they must show."""

import json
import os
import re
import subprocess

import order

from . import mounts, shards, trees


class Order:
    """What each rank of a run shows, epoch by epoch and leg by leg."""

    def __init__(self, dataset, world_size=1, shuffle="none", seed=0, partition="shards", lanes=None,
                 window=1, equalize=None):
        self.dataset, self.world_size = dataset, world_size
        self.shuffle, self.seed, self.partition = shuffle, seed, partition
        self.asked, self.window, self.equalize = lanes, window, equalize
        self.lanes = order.lane_count(lanes, shuffle, world_size)
        self.legs = []

    def options(self):
        """As a mount must be told."""
        words = ["--world-size", self.world_size, "--shuffle", self.shuffle, "--seed", self.seed,
                 "--partition", self.partition, "--shuffle-window", self.window]
        words += ["--lanes", self.asked] if self.asked else []
        return words + (["--equalize", self.equalize] if self.equalize else [])

    def ranks(self, split="train", epoch=0):
        """For each rank its samples, the consumed ones of the present leg among them."""
        named = [samples for _, samples in sorted(self.dataset.splits[split].items())]
        answer = order.answer({
            "counts": [len(samples) for samples in named],
            "seed": self.seed,
            "epoch": epoch,
            "shuffle": self.shuffle,
            "window": self.window,
            "worldSize": self.world_size,
            "lanes": self.lanes,
            "partition": self.partition,
            "equalize": self.equalize,
            "legs": self.legs,
        })
        return [[named[shard][number] for shard, number in rank] for rank in answer]

    def resize(self, world_size, consumed):
        """Goes on at another world size; `consumed` holds each rank's indices of this one."""
        self.legs.append({
            "worldSize": self.world_size, "lanes": self.lanes,
            "consumed": [sorted(indices) for indices in consumed],
        })
        self.world_size = world_size
        if self.lanes % world_size:
            self.lanes = order.lane_count(self.asked, self.shuffle, world_size)


def key_at(folder):
    return os.getxattr(folder, "user.wds.key").decode()


def listed(rank):
    """A rank's names with their samples' keys, as listed; nothing is read."""
    return [(name, key_at(f"{rank}/{name}")) for name in os.listdir(rank)]


def wanted(samples, consumed=()):
    """The same of an order, without what was consumed."""
    return [
        (trees.index_name(index), sample.key)
        for index, sample in enumerate(samples)
        if index not in consumed
    ]


def read_key(folder):
    """The key of a sample by its bytes, not by its name: a read, which counts."""
    with open(f"{folder}/json", "rb") as file:
        return f"{json.load(file)['number']:09d}"


def cursor_document(mount):
    return json.loads((mount.point / ".wdsfs/cursor.json").read_text())


def progress(mount):
    """By split what each rank of each leg has consumed."""
    splits = cursor_document(mount)["splits"]
    return {name: [leg["progress"] for leg in split["legs"]] for name, split in splits.items()}


def saved(path, split="train"):
    """For each rank of a saved cursor's last leg its epoch, and what was consumed of it."""
    with open(path, encoding="utf-8") as file:
        leg = json.load(file)["splits"][split]["legs"][-1]
    return [positions(text) for text in leg["progress"]]


def positions(text):
    """`2:12 14..<16 20+f3` as (2, {0, …, 11, 14, 15, 20, 21, 24, …})."""
    head, *rest = text.split(" ")
    epoch, following = map(int, head.split(":"))
    consumed = set(range(following))
    for word in rest:
        if run := re.fullmatch(r"(\d+)\.\.<(\d+)", word):
            consumed.update(range(int(run[1]), int(run[2])))
        else:
            start, bits = word.split("+")
            for place, byte in enumerate(bytes.fromhex(bits)):
                consumed.update(int(start) + 8 * place + bit for bit in range(8) if byte >> bit & 1)
    return epoch, consumed


def save_until(mount, path, condition, what):
    """Waits until the cursor file says so."""
    mounts.wait_until(lambda: os.path.exists(path) and condition(saved(path)), 5, what)


def command(mount, *words):
    """Runs the mount's program to its end: (exit code, output, errors)."""
    done = subprocess.run(
        [mount.binary, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env=mount.environment, timeout=20,
    )
    return done.returncode, done.stdout, done.stderr


def numbered(folder, split_counts, picture_bytes=200):
    """A dataset whose samples tell their key by their bytes."""
    dataset = shards.Dataset(folder)
    for split, counts in split_counts.items():
        dataset.add_split(split, counts, picture_bytes=picture_bytes)
    return dataset


def rank_of(mount, rank=0, split="train"):
    return mount.point / split / str(rank)


def read(mount, rank, indices, samples):
    """Reads samples by their index, and looks that each is the one that stands there."""
    for index in indices:
        key = read_key(rank_of(mount, rank) / trees.index_name(index))
        assert key == samples[index].key, f"rank {rank}, index {index}"


def keys(samples):
    return sorted(sample.key for sample in samples)


def all_keys(dataset, split="train"):
    return keys(dataset.rank(split))
