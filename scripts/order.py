#!/usr/bin/env python3
"""The order of samples by docs/order.md: a second implementation, made of plain lists.

    order.py --counts 3,0,5 --world-size 2 --shuffle full     one line an index: rank index shard number
    order.py < requests.jsonl                                 a JSON object a line, an answer a line

A request names counts, seed, epoch, shuffle, window, worldSize, lanes, partition and equalize, and may hold legs: a
list of {worldSize, lanes, consumed}, where consumed holds for each rank a list of indices, or "all" for a rank
that went on to the next epoch. The answer is a list of ranks, each a list of [shard, number], of the order after
the last leg, consumed samples among them where the lanes stayed; or {"error": ...}.
"""

import argparse
import json
import sys

MASK = (1 << 64) - 1
G = 0x9E3779B97F4A7C15


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def key(*words):
    k = 0
    for w in words:
        k = mix(((k ^ w) + G) & MASK)
    return k


def below(k, i, m):
    return (mix((k + (i + 1) * G) & MASK) * m) >> 64


def shard_list(count, seed, epoch, shuffle):
    shards = list(range(count))
    if shuffle == "none":
        return shards
    k = key(1, seed, epoch)
    i = 0
    for last in range(count - 1, 0, -1):
        other = below(k, i, last + 1)
        shards[last], shards[other] = shards[other], shards[last]
        i += 1
    return shards


def permute(k, length, j):
    if length < 2:
        return j
    a = 8
    while a * a < length:
        a += 1
    while True:
        l, r = divmod(j, a)
        for i in range(8):
            l, r = r, (l + below(k, (i << 32) + r, a)) % a
        j = l * a + r
        if j < length:
            return j


def cut(row, lanes):
    q, m = divmod(len(row), lanes)
    return [row[c * q + min(c, m) : (c + 1) * q + min(c + 1, m)] for c in range(lanes)]


def rounds(lanes):
    taken = []
    for i in range(max(map(len, lanes), default=0)):
        taken += [lane[i] for lane in lanes if i < len(lane)]
    return taken


class Epoch:
    def __init__(self, request, lanes):
        self.counts = request["counts"]
        self.seed = request["seed"]
        self.epoch = request["epoch"]
        self.full = request["shuffle"] == "full"
        self.window = request["window"]
        self.partition = request["partition"]
        self.list = shard_list(len(self.counts), self.seed, self.epoch, request["shuffle"])
        self.fresh_lanes = lanes
        self.lane_shards = []
        self.consumed = set()
        self.closed = set()
        if self.partition == "samples":
            slices = self.slices_of_row(lanes)
        else:
            self.lane_shards = [self.list[c::lanes] for c in range(lanes)]
            slices = [[self.natural(s) for s in shards] for shards in self.lane_shards]
        self.lanes = [self.permuted(c, lane) for c, lane in enumerate(slices)]

    def natural(self, shard):
        return [(shard, number) for number in range(self.counts[shard])]

    def slices_of_row(self, lanes):
        total = sum(self.counts)
        q, m = divmod(total, lanes)
        starts = [c * q + min(c, m) for c in range(lanes + 1)]
        slices = [[] for _ in range(lanes)]
        first, at, shard_starts = 0, 0, []
        for shard in self.list:
            shard_starts.append(at)
            at += self.counts[shard]
        for c in range(lanes):
            lower, upper = starts[c], starts[c + 1]
            if lower == upper:
                continue
            while shard_starts[first] + self.counts[self.list[first]] <= lower:
                first += 1
            place = first
            while place < len(self.list) and shard_starts[place] < upper:
                start, shard = shard_starts[place], self.list[place]
                numbers = range(max(0, lower - start), min(self.counts[shard], upper - start))
                slices[c].append([(shard, number) for number in numbers])
                place += 1
        return slices

    def permuted(self, lane, slices):
        row = []
        for w in range(0, len(slices), self.window):
            samples = [sample for part in slices[w : w + self.window] for sample in part]
            if self.full:
                k = key(2, self.seed, self.epoch, lane, w // self.window)
                samples = [samples[permute(k, len(samples), j)] for j in range(len(samples))]
            row += samples
        return row

    def rank(self, rank, world_size):
        return rounds(self.lanes[rank::world_size])

    def own_order(self, shard):
        count = self.counts[shard]
        if not self.full:
            return self.natural(shard)
        place = self.list.index(shard)
        w = place // self.fresh_lanes // self.window
        k = key(2, self.seed, self.epoch, place % self.fresh_lanes, w)
        return [(shard, permute(k, count, j)) for j in range(count)]

    def deal_again(self, lanes):
        if self.partition == "samples":
            row = [s for lane in self.lanes for s in lane if s not in self.consumed]
            self.lanes = cut(row, lanes)
            return
        begun = {shard for shard, _ in self.consumed}
        rest = []
        for shard in self.list:
            left = [s for s in self.own_order(shard) if s not in self.consumed]
            if shard in begun and not left:
                self.closed.add(shard)
            if shard not in self.closed:
                rest.append((shard, left))
        self.lane_shards = [[shard for shard, _ in rest[c::lanes]] for c in range(lanes)]
        self.lanes = [[s for _, left in rest[c::lanes] for s in left] for c in range(lanes)]

    def read(self, leg, equalize):
        world_size = leg["worldSize"]
        equal = equalized(self, world_size, equalize)
        for rank, indices in enumerate(leg["consumed"]):
            samples = self.rank(rank, world_size)
            ended = equalize and indices and set(range(len(equal[rank]))) <= set(indices)
            if indices == "all" or ended:
                self.consumed.update(samples)
                for shards in self.lane_shards[rank::world_size]:
                    self.closed.update(shards)
            else:
                self.consumed.update(samples[i] for i in indices if i < len(samples))


def equalized(epoch, world_size, equalize):
    ranks = [epoch.rank(r, world_size) for r in range(world_size)]
    if not equalize:
        return ranks
    if epoch.partition == "samples":
        row = rounds(epoch.lanes)
        extra = 0 if equalize == "drop" else world_size - 1
        length = (len(row) + extra) // world_size
        return [
            [row[(n * world_size + r) % len(row)] for n in range(length)] for r in range(world_size)
        ]
    if equalize == "drop":
        length = min(map(len, ranks))
        return [rank[:length] for rank in ranks]
    length = max(map(len, ranks))
    if length and not min(map(len, ranks)):
        raise ValueError("nothing to repeat")
    return [[rank[n % len(rank)] for n in range(length)] for rank in ranks]


def lane_count(asked, shuffle, world_size):
    if asked is None:
        return world_size if shuffle == "none" else 8 * world_size
    return -(-asked // world_size) * world_size


def answer(request):
    world_size = request["worldSize"]
    lanes = lane_count(request.get("lanes"), request["shuffle"], world_size)
    legs = request.get("legs") or []
    while legs and not any(legs[0]["consumed"]):
        legs = legs[1:]
    epoch = Epoch(request, legs[0]["lanes"] if legs else lanes)
    for leg, following in zip(legs, [*legs[1:], {"lanes": lanes}]):
        epoch.read(leg, request.get("equalize"))
        if following["lanes"] != leg["lanes"]:
            epoch.deal_again(following["lanes"])
    return equalized(epoch, world_size, request.get("equalize"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--counts", help="samples of each shard, for example 100,100,57")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epoch", type=int, default=0)
    parser.add_argument("--shuffle", choices=["none", "shards", "full"], default="none")
    parser.add_argument("--shuffle-window", type=int, default=1)
    parser.add_argument("--world-size", type=int, default=1)
    parser.add_argument("--lanes", type=int)
    parser.add_argument("--partition", choices=["samples", "shards"], default="shards")
    parser.add_argument("--equalize", choices=["drop", "repeat"])
    options = parser.parse_args()
    if options.counts is not None:
        request = {
            "counts": [int(n) for n in options.counts.split(",") if n],
            "seed": options.seed,
            "epoch": options.epoch,
            "shuffle": options.shuffle,
            "window": options.shuffle_window,
            "worldSize": options.world_size,
            "lanes": options.lanes,
            "partition": options.partition,
            "equalize": options.equalize,
        }
        for rank, samples in enumerate(answer(request)):
            for index, (shard, number) in enumerate(samples):
                print(rank, index, shard, number)
        return
    for line in sys.stdin:
        try:
            result = answer(json.loads(line))
        except ValueError as error:
            result = {"error": str(error)}
        print(json.dumps(result, separators=(",", ":")), flush=True)


if __name__ == "__main__":
    main()
