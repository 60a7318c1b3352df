"""Makes the bucket that is trained on: scikit-learn's digits as PNG, in shards.

    bucket.py FOLDER

Every fifth digit goes to the split `val`, so that all writers are in both.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))

from harness import demo, shards  # noqa: E402

DIGITS_PER_SHARD = 150


def make(folder):
    """Returns the `Dataset`, which says what is in it."""
    dataset = shards.Dataset(folder)
    parts = {"train": [], "val": []}
    for number, sample in enumerate(demo.digit_samples()):
        parts["val" if number % 5 == 4 else "train"].append(sample)
    for split, samples in parts.items():
        for number, first in enumerate(range(0, len(samples), DIGITS_PER_SHARD)):
            dataset.add_shard(
                split, f"digits-{number:06d}.tar", samples[first : first + DIGITS_PER_SHARD]
            )
    return dataset


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    print(f"{make(sys.argv[1]).sample_count():,} samples in {sys.argv[1]}")
