"""The demo bucket: scikit-learn's handwritten digits and its two photographs, as shards.

Real images of known origin that come with a package, so that nothing is downloaded. The bytes are
the same on every run. FOLDER/bucket gets the splits train, val and photos; FOLDER/manifest.json,
outside the bucket, says what must be read back.
"""

import argparse
import io
import json
import os
import pathlib
import shutil
import sys

from . import shards
from .console import say, size

DIGITS_PER_SHARD = 150
TRAIN_SHARE = 0.8


def digit_samples():
    """Scikit-learn's 1,797 digits of 8 x 8 pixels as png + cls + json."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target)):
        # 17 shades, 0 to 16, spread over the 256 of a grey PNG.
        picture = Image.fromarray((pixels * 255 / 16).round().astype("uint8"))
        png = io.BytesIO()
        picture.save(png, "PNG")
        about = {"number": number, "label": int(label), "source": "sklearn.datasets.load_digits"}
        yield (
            f"digit{number:04d}",
            {
                "png": png.getvalue(),
                "cls": str(label).encode(),
                "json": json.dumps(about).encode(),
            },
        )


def photograph_samples():
    """The photographs that scikit-learn carries, as the original JPEG files."""
    import sklearn.datasets

    folder = pathlib.Path(sklearn.datasets.__file__).parent / "images"
    authors = {"china": "danielbuechele", "flower": "vultilion"}
    for name, author in authors.items():
        about = {"source": f"sklearn/datasets/images/{name}.jpg", "author": author, "license": "CC BY 2.0"}
        yield name, {"jpg": (folder / f"{name}.jpg").read_bytes(), "json": json.dumps(about).encode()}


def write_shard(path, samples):
    """By webdataset's own writer, so that the shards are what people have."""
    from webdataset import TarWriter

    # A time with a fraction makes it put a pax header before each member, as `mtime=None` does.
    with TarWriter(str(path), encoder=False, mtime=shards.MTIME + 0.25) as writer:
        for key, fields in samples:
            writer.write({"__key__": key, **fields})
    # The writer sorts the fields of a sample.
    return [
        shards.describe(path.name, key, {name: fields[name] for name in sorted(fields)})
        for key, fields in samples
    ]


def make(folder):
    """Makes the bucket and its manifest; returns the `Dataset`."""
    folder = pathlib.Path(folder)
    bucket = folder / "bucket"
    dataset = shards.Dataset(bucket)
    digits = list(digit_samples())
    train_count = int(len(digits) * TRAIN_SHARE)
    parts = {
        "train": ("digits", digits[:train_count]),
        "val": ("digits", digits[train_count:]),
        "photos": ("photos", list(photograph_samples())),
    }
    for split, (name, samples) in parts.items():
        (bucket / split).mkdir(parents=True)
        described = dataset.splits.setdefault(split, {})
        for number, first in enumerate(range(0, len(samples), DIGITS_PER_SHARD)):
            path = bucket / split / f"{name}-{number:06d}.tar"
            described[path.name] = write_shard(path, samples[first : first + DIGITS_PER_SHARD])
    with open(folder / "manifest.json", "w", encoding="utf-8") as file:
        json.dump(dataset.manifest(), file, indent=1)
    return dataset


def main():
    parser = argparse.ArgumentParser(
        prog="demo-bucket",
        description="Make a demo bucket of real images: scikit-learn's digits and photographs.",
    )
    parser.add_argument("folder", help="gets bucket/ (the shards) and manifest.json")
    arguments = parser.parse_args()
    if os.path.exists(os.path.join(arguments.folder, "bucket")):
        sys.exit(f"demo-bucket: {arguments.folder}/bucket exists already; name another folder")
    os.makedirs(arguments.folder, exist_ok=True)
    try:
        dataset = make(arguments.folder)
    except BaseException:
        shutil.rmtree(os.path.join(arguments.folder, "bucket"), ignore_errors=True)
        raise
    say(
        f"{dataset.sample_count():,} samples, {size(dataset.byte_count())}, in "
        f"{sum(len(s) for s in dataset.splits.values())} shards: {arguments.folder}/bucket"
    )


if __name__ == "__main__":
    main()
