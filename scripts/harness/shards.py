"""Makes shards of known bytes, and says what a mount of them must show."""

import dataclasses
import hashlib
import json
import os
import random
import tarfile

BLOCK = 512
MTIME = 1_700_000_000


@dataclasses.dataclass(frozen=True)
class Field:
    """One file of one sample, as it went into its shard."""

    name: str
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Sample:
    """A sample in its shard: what a mount must show under one index."""

    shard: str
    key: str
    fields: tuple

    def listed_names(self):
        base = self.key.rsplit("/", 1)[-1]
        return [f"{base}.{field.name}" for field in self.fields]

    def byte_count(self):
        return sum(field.size for field in self.fields)


def describe(shard, key, fields):
    """A sample's description from its fields' bytes, in the order given."""
    return Sample(
        shard,
        key,
        tuple(Field(name, len(data), sha256(data)) for name, data in fields.items()),
    )


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def header(name, size, mtime=MTIME):
    """A POSIX header for a regular file; `tarfile` takes ten times as long for the same bytes."""
    raw = name.encode()
    if len(raw) > 100:
        raise ValueError(f"{name}: longer than the name field")
    block = (
        raw.ljust(100, b"\0")
        + b"0000444\0"
        + b"0000000\0" * 2
        + b"%011o\0" % size
        + b"%011o\0" % mtime
        + b" " * 8
        + b"0"
        + b"\0" * 100
        + b"ustar\x0000"
    ).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def write_shard(path, samples):
    """Writes `(key, {field: bytes})` pairs as one shard; returns their descriptions."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    described = []
    with open(path, "wb") as out:
        for key, fields in samples:
            for name, data in fields.items():
                out.write(header(f"{key}.{name}", len(data)))
                out.write(data)
                out.write(b"\0" * (-len(data) % BLOCK))
            described.append(describe(os.path.basename(path), key, fields))
        out.write(b"\0" * (2 * BLOCK))
    return described


def pictures(first, count, picture_bytes, seed=1):
    """Samples of jpg + cls + json; the jpg is noise of about the size asked for."""
    generator = random.Random(f"{seed}:{first}:{picture_bytes}")
    for number in range(first, first + count):
        length = max(4, int(picture_bytes * generator.uniform(0.8, 1.2)))
        noise = b"\xff\xd8" + generator.randbytes(length - 4) + b"\xff\xd9"
        label = generator.randrange(1000)
        yield (
            f"{number:09d}",
            {
                "jpg": noise,
                "cls": str(label).encode(),
                "json": json.dumps({"number": number, "label": label}).encode(),
            },
        )


class Dataset:
    """Splits of shards in a folder, with every sample that went in."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.splits = {}

    def add_split(self, split, shard_counts, picture_bytes=2000, name=None, seed=1):
        """One shard for each count, `SPLIT/NAME-000000.tar` and on; NAME is the split's."""
        first = 0
        for number, count in enumerate(shard_counts):
            self.add_shard(
                split,
                f"{name or split}-{number:06d}.tar",
                pictures(first, count, picture_bytes, seed),
            )
            first += count
        return self

    def add_shard(self, split, shard_name, samples):
        path = os.path.join(self.folder, split, shard_name)
        self.splits.setdefault(split, {})[shard_name] = write_shard(path, samples)
        return path

    def rank(self, split, rank=0, world_size=1):
        """The samples of one rank in order: whole shards dealt in turn, as without counts."""
        shards = sorted(self.splits[split].items())
        return [sample for _, samples in shards[rank::world_size] for sample in samples]

    def sample_count(self):
        return sum(len(s) for shards in self.splits.values() for s in shards.values())

    def byte_count(self):
        return sum(
            sample.byte_count()
            for shards in self.splits.values()
            for samples in shards.values()
            for sample in samples
        )

    def manifest(self):
        """As JSON: for every split its shards and samples in rank 0's order at world size 1."""
        return {
            "version": 1,
            "splits": {
                split: [dataclasses.asdict(sample) for sample in self.rank(split)]
                for split in sorted(self.splits)
            },
        }


def load_manifest(path):
    """The splits of a manifest file, as lists of `Sample`."""
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    if document["version"] != 1:
        raise ValueError(f"{path}: a manifest of version {document['version']}, 1 is known here")
    return {
        split: [
            Sample(s["shard"], s["key"], tuple(Field(**field) for field in s["fields"]))
            for s in samples
        ]
        for split, samples in document["splits"].items()
    }


def members(path):
    """What Python's tarfile finds in a shard: name -> (data offset, size)."""
    with tarfile.open(path) as archive:
        return {m.name: (m.offset_data, m.size) for m in archive}
