#!/usr/bin/env python3
"""Write random healthy shards and print what the reference reader makes of them.

    random_shards.py FOLDER COUNT SEED

Each shard is written by webdataset's own TarWriter or by tarfile in GNU, PAX or ustar format, and
read back by webdataset's default functions. Prints one JSON line a shard:
{"file": ..., "samples": [[KEY, [[FIELD, SIZE, SHA256], ...]], ...]}, names as hex of their bytes.
Shards that the reference reader refuses are written anew; there is no such thing as a healthy shard
with a field twice in a sample. Needs webdataset 1.0.2.
"""
import hashlib
import io
import json
import os
import random
import sys
import tarfile

import webdataset
from webdataset import tariterators

EXTENSIONS = ["jpg", "JPG", "cls", "json", "txt", "seg.png", "Left.PNG", "0.mp3", "", "pyd", "tar.gz",
              "\u00c9t\u00e9", "\u212a", "\u0130x", "npy.", ".x", "a b", "%%y", "%", "Stra\u00dfe"]
PIECES = ["0001", "a", "b.c", "x y", "v1.0", "__m__", "__", "_", ".", ".h", "..", "\u00e9", "e\u0301",
          "long" * 30, "d" * 99, "\u65e5\u672c", "p" * 60, "A", "\\", "*", "'", "tab\t"]


def reference(path):
    samples = []
    with open(path, "rb") as stream:
        source = [dict(url="u", stream=stream)]
        for sample in tariterators.group_by_keys(tariterators.tar_file_expander(source)):
            fields = [[name.encode("utf-8", "surrogateescape").hex(), len(data),
                       hashlib.sha256(data).hexdigest()]
                      for name, data in sample.items() if name not in ("__key__", "__url__")]
            samples.append([sample["__key__"].encode("utf-8", "surrogateescape").hex(), fields])
    return samples


def data(rng):
    size = rng.choice([0, 1, 511, 512, 513, rng.randrange(3000), rng.randrange(100)])
    return rng.randbytes(size)


def write_by_webdataset(rng, path):
    """What people make: one call a sample, numbered keys, the writer's own pax headers."""
    extensions = rng.sample([e for e in EXTENSIONS if e and not e.startswith(".")], rng.randint(1, 4))
    mtime = rng.choice([None, 0, 1700000000, 1700000000.5])
    with webdataset.TarWriter(path, encoder=False, mtime=mtime) as writer:
        prefix = rng.choice(["", "train/", "deep/" * 30, "\u00e9/"])
        for number in range(rng.randrange(60 if rng.random() < 0.2 else 8)):
            sample = {"__key__": "%s%09d" % (prefix, number)}
            for extension in extensions:
                if rng.random() < 0.95:
                    sample[extension] = data(rng)
            if len(sample) > 1:
                writer.write(sample)


def random_name(rng):
    parts = [rng.choice(PIECES) for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 5]))]
    stem = rng.choice(PIECES + ["%06d" % rng.randrange(4)] * 20)
    name = "/".join(parts + [stem])
    return name + ("." + rng.choice(EXTENSIONS) if rng.random() < 0.9 else "")


def add_odd_member(rng, archive, name):
    info = tarfile.TarInfo(name)
    info.type = rng.choice([tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE,
                            tarfile.CHRTYPE])
    info.linkname = rng.choice(["0001.jpg", "t" * 150])
    archive.addfile(info)


def write_by_tarfile(rng, path):
    """What may also be: any order, any names, members that give no field."""
    form = rng.choice([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
    with tarfile.open(path, "w", format=form, encoding="utf-8", errors="surrogateescape") as archive:
        name = random_name(rng)
        for _ in range(rng.randrange(14)):
            if rng.random() < 0.6 and "." in name:
                name = name[:name.rindex(".") + 1] + rng.choice(EXTENSIONS)
            else:
                name = random_name(rng)
            try:
                if rng.random() < 0.1:
                    add_odd_member(rng, archive, name)
                    continue
                info = tarfile.TarInfo(name)
                content = data(rng)
                info.size = len(content)
                info.mtime = rng.choice([0, 1700000000, 1700000000.25, rng.randrange(1 << 31)])
                if form == tarfile.USTAR_FORMAT:
                    info.mtime = int(info.mtime)
                # Longer names are cut in the header, and tarfile takes one cut at a slash for a directory.
                if rng.random() < 0.05 and len(name.encode()) < 100:
                    info.type = rng.choice([tarfile.AREGTYPE, tarfile.CONTTYPE])
                archive.addfile(info, io.BytesIO(content))
            except ValueError:
                continue  # ustar cannot hold every name


def main():
    folder, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    number = 0
    while number < count:
        path = os.path.join(folder, "%06d.tar" % number)
        (write_by_webdataset if rng.random() < 0.4 else write_by_tarfile)(rng, path)
        try:
            samples = reference(path)
        except ValueError as error:
            if "duplicate file name" not in str(error):
                raise
            continue
        print(json.dumps({"file": os.path.basename(path), "samples": samples}))
        number += 1


if __name__ == "__main__":
    main()
