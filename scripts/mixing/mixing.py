#!/usr/bin/env python3
"""How well orders mix: 100 shards of 1,000 samples, as numbers and, with --svg FILE, as a plot.

Every method permutes the shards first. Measured is what it does beyond that: how far a sample strays from its
place in the row of permuted shards, and how far apart in that row two samples lie that follow each other. Needs
matplotlib for the plot alone.
"""

import argparse
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import order  # noqa: E402

SHARDS, SAMPLES = 100, 1000
TOTAL = SHARDS * SAMPLES
BATCH = 256


def full(partition, window=1):
    request = {
        "counts": [SAMPLES] * SHARDS, "seed": 1, "epoch": 0, "shuffle": "full", "window": window,
        "worldSize": 1, "lanes": None, "partition": partition, "equalize": None,
    }
    row = {shard: place for place, shard in enumerate(order.shard_list(SHARDS, 1, 0, "full"))}
    (rank,) = order.answer(request)
    return [row[shard] * SAMPLES + number for shard, number in rank]


def buffer(size, rng):
    """A shuffle buffer as webdataset fills it: two in, one out, until it is full."""
    held, given, stream = [], [], iter(range(TOTAL))
    for sample in stream:
        held.append(sample)
        if len(held) < size:
            held.extend(next(stream, None) for _ in range(1))
        if len(held) >= 100:
            place = rng.randrange(len(held))
            held[place], held[-1] = held[-1], held[place]
            given.append(held.pop())
    rng.shuffle(held)
    return [s for s in given + held if s is not None]


def spread(block, rng):
    """As MosaicML's py1e: shuffled shards, each spread evenly over a block around its place, then sorted."""
    keyed = []
    for shard in range(SHARDS):
        start = shard * SAMPLES
        reach = max(0, (rng.randrange(block * 3 // 4, block * 5 // 4) - SAMPLES) / 2)
        lower, upper = max(-reach, -start), min(reach, TOTAL - start - SAMPLES)
        numbers = list(range(SAMPLES))
        rng.shuffle(numbers)
        for place, number in enumerate(numbers):
            keyed.append((start + place + rng.uniform(lower, upper), start + number))
    return [sample for _, sample in sorted(keyed)]


def perfect(rng):
    return rng.sample(range(TOTAL), TOTAL)


def measures(samples):
    assert sorted(samples) == list(range(TOTAL))
    strayed = sorted(abs(place - sample) for place, sample in enumerate(samples))
    steps = sorted(abs(a - b) for a, b in zip(samples, samples[1:]))
    batches = [samples[i : i + BATCH] for i in range(0, TOTAL - BATCH, BATCH)]
    shards = sum(len({sample // SAMPLES for sample in batch}) for batch in batches) / len(batches)
    return strayed, steps, shards


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--svg", help="draw the distributions into this file")
    options = parser.parse_args()
    rng = random.Random(1)
    methods = {
        "wdsfs full, samples, 8 lanes": full("samples"),
        "wdsfs full, shards, 8 lanes": full("shards"),
        "wdsfs full, shards, 8 lanes, window 4": full("shards", 4),
        "webdataset shuffle(1000)": buffer(1000, rng),
        "shuffle buffer of 4 shards": buffer(4 * SAMPLES, rng),
        "py1e, block of 8 shards": spread(8 * SAMPLES, rng),
        "py1e, block 2^18 (its default)": spread(1 << 18, rng),
        "perfect shuffle": perfect(rng),
    }
    results = {name: measures(samples) for name, samples in methods.items()}
    print("| method | strays, median | strays, 90 % | neighbours apart, median | shards in a batch of 256 |")
    print("| --- | --- | --- | --- | --- |")
    for name, (strayed, steps, shards) in results.items():
        print(
            f"| {name} | {strayed[TOTAL // 2]:,} | {strayed[TOTAL * 9 // 10]:,} "
            f"| {steps[TOTAL // 2]:,} | {shards:.1f} |"
        )
    if options.svg:
        draw(results, options.svg)


def draw(results, path):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "wdsfs"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.2), sharey=True)
    titles = ["|position − place in the row of shards|", "distance in the row between neighbours"]
    for which, (axis, title) in enumerate(zip(axes, titles)):
        for name, result in results.items():
            values = result[which]
            points = [values[i * (len(values) - 1) // 400] for i in range(401)]
            axis.plot([max(1, v) for v in points], [i / 400 for i in range(401)], label=name)
        axis.set_xscale("log")
        axis.set_xlabel(title + ", samples")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("share of samples at most so far")
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
