"""What a trainer has trained on, a line a sample, for `wdsfs verify`."""

import os
import time
from typing import Iterable, Union

from .rank import SampleInfo

_HEAD = "# wdsfs ledger version 1\ntime\tsplit\trank\tepoch\tposition\tshard\tnumber\tkey\tstate\n"


class Ledger:
    """A ledger that goes back with a checkpoint.

    The mount's own (`--ledger`) tells what was served, and in commit mode nothing: there the trainer
    alone knows. Keep `state_dict()` in the checkpoint, and what was trained after it and lost with the
    process is taken out again by `load_state_dict`.
    """

    def __init__(self, path: Union[str, "os.PathLike[str]"]) -> None:
        self.path = os.fspath(path)
        self._file = open(self.path, "a+", encoding="utf-8", errors="surrogateescape")
        if os.path.getsize(self.path) == 0:
            self._file.write(_HEAD)

    def add(
        self,
        samples: Iterable[SampleInfo],
        positions: Iterable[int],
        split: str,
        rank: int,
        epoch: int,
    ) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        for sample, position in zip(samples, positions):
            self._file.write(
                f"{now}\t{_escaped(split)}\t{rank}\t{epoch}\t{position}\t{_escaped(sample.shard)}\t"
                f"{sample.number}\t{_escaped(sample.key)}\tok\n"
            )

    def add_total(self, count: int, split: str, epoch: int) -> None:
        """How many samples all ranks' epoch has, so that `verify` can tell when some are missing."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._file.write(f"{now}\t{_escaped(split)}\t-\t{epoch}\t{count}\t-\t-\t-\ttotal\n")

    def state_dict(self) -> dict:
        self._file.flush()
        os.fsync(self._file.fileno())
        return {"bytes": os.path.getsize(self.path)}

    def load_state_dict(self, state: dict) -> None:
        self._file.flush()
        self._file.truncate(state["bytes"])

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _escaped(text: str) -> str:
    """Control bytes, the backslash, and what is not UTF-8 as \\xHH."""
    raw = text.encode("utf-8", "surrogateescape")
    # Of what is no text all bytes beyond ASCII are told one by one.
    is_text = not any("\udc80" <= letter <= "\udcff" for letter in text)
    letters = text if is_text else raw.decode("latin-1")
    return "".join(
        f"\\x{ord(letter):02x}"
        if letter < " " or letter in "\\\x7f" or (not is_text and letter >= "\x80")
        else letter
        for letter in letters
    )
