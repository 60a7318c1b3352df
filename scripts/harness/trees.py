"""Reads mounted trees and compares every byte with what went into the shards.

    python -m harness.trees MANIFEST MOUNTPOINT [--world-size N] [--processes N]

reads the whole tree, in as many processes as asked for, and exits 1 at the first difference.
"""

import argparse
import concurrent.futures
import os
import sys

from . import shards


class Difference(Exception):
    """The mount shows something else than what went in."""


# What this process has compared, and its pools: fields and their bytes, all of them equal. And how many faults
# proxies have struck with meanwhile.
compared = {"fields": 0, "bytes": 0, "faults": 0}


def index_name(position):
    return f"{position:08d}"


def check_sample(folder, sample):
    """Lists and reads one sample; returns its bytes' count."""
    names = os.listdir(folder)
    if sorted(names) != sorted(sample.listed_names()):
        raise Difference(f"{folder}: lists {sorted(names)}, not {sorted(sample.listed_names())}")
    for name, field in zip(sample.listed_names(), sample.fields):
        with open(f"{folder}/{name}", "rb") as file:
            data = file.read()
        if len(data) != field.size:
            raise Difference(f"{folder}/{name}: {len(data)} bytes, not {field.size}")
        if shards.sha256(data) != field.sha256:
            raise Difference(f"{folder}/{name}: {field.size} bytes, but not those of {sample.shard}")
        compared["fields"] += 1
        compared["bytes"] += field.size
    return sample.byte_count()


def check_listing(folder, count):
    """The rank lists its samples in order: no sorting here, the order is the promise."""
    names = os.listdir(folder)
    if names != [index_name(position) for position in range(count)]:
        raise Difference(f"{folder}: lists {len(names)} names, not 0 to {count - 1} in order")


def check_rank(folder, samples, first=0, step=1, seen=None):
    """Reads samples first, first + step, ... of a rank; tells `seen(samples, bytes)` of each."""
    total = 0
    for position in range(first, len(samples), step):
        count = check_sample(f"{folder}/{index_name(position)}", samples[position])
        total += count
        if seen:
            seen(1, count)
    return total


def check_tree(point, ranks, processes=1):
    """Reads everything; `ranks` maps (split, rank) to its samples. Returns samples and bytes."""
    jobs = []
    with concurrent.futures.ProcessPoolExecutor(processes) as pool:
        for (split, rank), samples in ranks.items():
            folder = f"{point}/{split}/{rank}"
            jobs.append(pool.submit(check_listing, folder, len(samples)))
            for first in range(processes):
                jobs.append(pool.submit(check_rank, folder, samples, first, processes))
        results = [job.result() for job in jobs]
    # The pool's processes have counts of their own.
    compared["fields"] += sum(len(sample.fields) for samples in ranks.values() for sample in samples)
    compared["bytes"] += sum(result for result in results if result)
    samples = sum(len(samples) for samples in ranks.values())
    return samples, sum(result for result in results if result)


def deal(splits, world_size):
    """The samples of each (split, rank), whole shards dealt in turn."""
    ranks = {}
    for split, samples in splits.items():
        by_shard = {}
        for sample in samples:
            by_shard.setdefault(sample.shard, []).append(sample)
        names = sorted(by_shard)
        for rank in range(world_size):
            ranks[split, rank] = [s for name in names[rank::world_size] for s in by_shard[name]]
    return ranks


def main():
    parser = argparse.ArgumentParser(prog="harness.trees", description=__doc__.split("\n")[0])
    parser.add_argument("manifest")
    parser.add_argument("point")
    parser.add_argument("--world-size", type=int, default=1)
    parser.add_argument("--processes", type=int, default=4)
    arguments = parser.parse_args()
    ranks = deal(shards.load_manifest(arguments.manifest), arguments.world_size)
    try:
        samples, count = check_tree(arguments.point, ranks, arguments.processes)
    except (Difference, OSError) as error:
        sys.exit(f"trees: {error}")
    print(f"{samples} samples, {count} bytes: equal")


if __name__ == "__main__":
    main()
