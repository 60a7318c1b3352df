#!/usr/bin/env python3
"""Stands in for a training loop: reads its rank's directory and commits what it has trained on.

    torchrun --nproc-per-node 4 train.py /mnt/wds

Nothing here belongs to wdsfs: the rank's directory lists what is left of its epoch, a number written
to its .cursor says how far training has come. With no torch around it trains just as well on nothing.
"""

import argparse
import os
import pathlib
import signal
import sys
import time


def batches(names, size):
    for start in range(0, len(names), size):
        yield names[start : start + size]


def load(folder):
    """A sample as a dict, field by its extension: what a Dataset's __getitem__ would return."""
    fields = {}
    for path in sorted(folder.iterdir()):
        fields[path.name.partition(".")[2]] = path.read_bytes()
    return fields


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mount", type=pathlib.Path)
    parser.add_argument("--split", default="train")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--max-steps", type=int, help="stop after so many, as a time limit would")
    parser.add_argument("--step-seconds", type=float, default=0, help="how long a step takes")
    parser.add_argument("--seen", type=pathlib.Path, help="a line for each sample trained on")
    options = parser.parse_args()

    rank = int(os.environ.get("RANK", "0"))
    folder = options.mount / options.split / str(rank)
    stopping = []
    # The launcher's word that time is up: finish the step, commit it, go.
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))

    names = sorted(os.listdir(folder))
    epoch = os.getxattr(folder, "user.wds.epoch").decode()
    steps = 0
    for batch in batches(names, options.batch_size):
        samples = [load(folder / name) for name in batch]
        assert all(samples)
        time.sleep(options.step_seconds)  # here the model would take its step
        steps += 1
        if options.seen:
            with open(f"{options.seen}.{rank}", "a", encoding="utf-8") as seen:
                for name in batch:
                    key = os.getxattr(folder / name, "user.wds.key").decode()
                    seen.write(f"{epoch}\t{key}\n")
        # All below the next index is trained on; a restart begins there.
        (folder / ".cursor").write_text(f"{int(batch[-1]) + 1}\n")
        if stopping or steps == options.max_steps:
            print(f"rank {rank}: stopped after {steps} steps of epoch {epoch}", flush=True)
            return 0
    print(f"rank {rank}: epoch {epoch} done, {steps} steps", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
