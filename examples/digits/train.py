"""Trains a small network on handwritten digits, out of a bucket of tar shards, and survives any kill.

    train.py REMOTE RUN [--epochs N] [--batch-size N] [--workers N] [--checkpoint-every STEPS]
    torchrun --nproc-per-node 4 train.py REMOTE RUN ...

RUN is a folder: checkpoint.pt, from which the same command goes on, at this world size or another;
steps.jsonl, the loss and the keys of each step; ledger.tsv, for `wdsfs verify`; result.json at the end.
"""

import argparse
import io
import json
import os
import pathlib

import numpy
import torch
import torch.distributed as dist
from PIL import Image
from torch import nn
from torch.nn import functional

import wdsfs
from wdsfs.world import gathered


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.1), nn.Linear(32 * 4 * 4, 64), nn.ReLU(), nn.Linear(64, 10),
    )


def pixels(png: bytes) -> torch.Tensor:
    picture = numpy.asarray(Image.open(io.BytesIO(png)), dtype="float32")
    return torch.from_numpy(picture).unsqueeze(0) / 255


SCHEMA = {"png": pixels, "cls": int}


class Lines:
    """A file of lines that goes back with the checkpoint."""

    def __init__(self, path: pathlib.Path) -> None:
        self.file = open(path, "a", encoding="utf-8")

    def add(self, **line: object) -> None:
        # To the system at once: a line of a killed trainer is not lost.
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()

    def state_dict(self) -> dict:
        return {"bytes": self.file.tell()}

    def load_state_dict(self, state: dict) -> None:
        self.file.truncate(state["bytes"])
        self.file.seek(0, os.SEEK_END)


class Trainer:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.run = pathlib.Path(options.run)
        self.run.mkdir(parents=True, exist_ok=True)
        self.rank, self.world_size = wdsfs.world.rank_and_world_size()
        torch.manual_seed(options.seed)
        torch.use_deterministic_algorithms(True)
        torch.set_num_threads(1)
        self.network = network()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=0.002)
        self.dataset = wdsfs.StreamingWebDataset(
            options.remote, "train", shuffle=True, seed=options.seed, schema=SCHEMA, fields=SCHEMA, info=True
        )
        self.loader = wdsfs.StreamingDataLoader(
            self.dataset, options.batch_size, num_workers=options.workers,
            persistent_workers=options.workers > 0,
        )
        self.epoch = self.step = 0
        begins = not (self.run / "checkpoint.pt").exists()
        if self.rank == 0:
            if begins:
                # Killed before its first checkpoint, a run begins again.
                for name in ("steps.jsonl", "ledger.tsv"):
                    (self.run / name).unlink(missing_ok=True)
            self.steps = Lines(self.run / "steps.jsonl")
            # What was ever done, also what a kill took back.
            self.attempts = Lines(self.run / "attempts.jsonl")
            self.ledger = wdsfs.Ledger(self.run / "ledger.tsv")
        if not begins:
            self.load()

    # MARK: checkpoints

    def save(self) -> None:
        # All ranks take part in it.
        data = self.loader.state_dict()
        random = gathered(torch.get_rng_state())
        if self.rank != 0:
            return
        checkpoint = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": random,
            "data": data,
            "step": self.step,
            "steps": self.steps.state_dict(),
            "ledger": self.ledger.state_dict(),
        }
        torch.save(checkpoint, self.run / "checkpoint.new")
        os.replace(self.run / "checkpoint.new", self.run / "checkpoint.pt")

    def load(self) -> None:
        checkpoint = torch.load(self.run / "checkpoint.pt", weights_only=True)
        self.network.load_state_dict(checkpoint["network"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.loader.load_state_dict(checkpoint["data"])
        # At another world size there is no telling whose randomness is whose.
        torch.set_rng_state(checkpoint["random"][self.rank % len(checkpoint["random"])])
        self.epoch, self.step = self.loader.epoch, checkpoint["step"]
        if self.rank == 0:
            self.steps.load_state_dict(checkpoint["steps"])
            self.ledger.load_state_dict(checkpoint["ledger"])

    # MARK: training

    def train(self) -> None:
        parallel = self.network if not dist.is_initialized() else nn.parallel.DistributedDataParallel(self.network)
        for epoch in range(self.epoch, self.options.epochs):
            self.loader.set_epoch(epoch)
            for batch in self.loader:
                loss = self.trained(parallel, batch)
                self.note(epoch, batch, loss)
                self.step += 1
                if self.step % self.options.checkpoint_every == 0:
                    self.save()
        self.save()

    def trained(self, parallel: nn.Module, batch: dict) -> float:
        """One step over all ranks' samples, each with the same weight; the mean loss."""
        count = torch.tensor(float(len(batch["cls"])))
        if dist.is_initialized():
            dist.all_reduce(count)
        losses = functional.cross_entropy(parallel(batch["png"]), batch["cls"], reduction="sum")
        self.optimizer.zero_grad()
        # DistributedDataParallel takes the mean over ranks.
        (losses * self.world_size / count).backward()
        self.optimizer.step()
        loss = losses.detach()
        if dist.is_initialized():
            dist.all_reduce(loss)
        return float(loss / count)

    def note(self, epoch: int, batch: dict, loss: float) -> None:
        samples = [
            wdsfs.rank.SampleInfo(*of) for of in zip(batch["__key__"], batch["__shard__"], batch["__number__"].tolist())
        ]
        of_ranks = gathered((samples, batch["__position__"].tolist()))
        if self.rank != 0:
            return
        line = {
            "epoch": epoch,
            "step": self.step,
            "ranks": self.world_size,
            # To the last bit.
            "loss": loss.hex(),
            "keys": [[sample[0] for sample in samples] for samples, _ in of_ranks],
        }
        self.steps.add(**line)
        for rank, (samples, positions) in enumerate(of_ranks):
            self.ledger.add(samples, positions, "train", rank, epoch)
        self.attempts.add(**line)

    def accuracy(self) -> float:
        """Over the split that was not trained on, out of the same bucket."""
        dataset = wdsfs.WdsfsDataset(self.options.remote, "val", schema=SCHEMA, fields=SCHEMA)
        self.network.eval()
        right = 0
        with torch.no_grad():
            for batch in torch.utils.data.DataLoader(dataset, 100):
                right += int((self.network(batch["png"]).argmax(1) == batch["cls"]).sum())
        return right / len(dataset)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("remote")
    parser.add_argument("run")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--checkpoint-every", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if "RANK" in os.environ:
        dist.init_process_group("gloo")
    trainer = Trainer(options)
    trainer.train()
    if trainer.rank == 0:
        torch.save(trainer.network.state_dict(), trainer.run / "weights.pt")
        result = {"steps": trainer.step, "accuracy": trainer.accuracy()}
        (trainer.run / "result.json").write_text(json.dumps(result) + "\n")
        print(json.dumps(result))
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
