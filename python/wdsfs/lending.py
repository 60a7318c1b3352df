"""Batches in memory that is used again: workers write there, the trainer is lent it, and gives it back by letting go.

A fresh page of shared memory costs a fault where it is written and one where it is read, and both together take longer
than to copy what goes into it.
"""

import ctypes
import itertools
import math
import weakref
from typing import Any, Dict, List, Optional, Set, Tuple, Type, Union

import torch
from torch.utils.data import get_worker_info
from torch.utils.data._utils.collate import collate, default_collate_fn_map

from .memory import stacked, touch

# A worker's; what a trainer keeps beyond these comes in memory of its own.
_SLOTS = 16
# Smaller tensors go as torch sends them.
_LEAST_BYTES = 64 << 10
_PAGE_BYTES = 4096

_numbers = itertools.count()
# Those of this process, for what comes from workers.
_present: "weakref.WeakValueDictionary[int, Lending]" = weakref.WeakValueDictionary()


class Lending:
    """What one pass's workers and the trainer share: each worker's slots, and which of them are lent.

    A worker sets a slot's mark before it writes there, and the trainer clears it once no tensor, view or array of that
    memory is left. Nobody else touches it, so that no lock is needed.
    """

    def __init__(self, workers: int) -> None:
        self.number = next(_numbers)
        self.marks = torch.zeros(workers, _SLOTS, dtype=torch.uint8).share_memory_()
        # In a worker its own, by number; in the trainer those of all.
        self._own: List[torch.Tensor] = []
        self._known: Dict[Tuple[int, int], torch.Tensor] = {}
        self._taken: List[int] = []
        # Slots whose memory the trainer has not been sent yet.
        self._unsent: Set[int] = set()
        _present[self.number] = self

    def __getstate__(self) -> Dict[str, Any]:
        """For workers that are not forked."""
        return {"number": self.number, "marks": self.marks, "_own": [], "_known": {}, "_taken": [], "_unsent": set()}

    # MARK: in a worker

    def collate(self, values: List[Any]) -> Any:
        """Torch's `default_collate`, with `Lent` in place of large tensors; where it fails nothing stays lent."""
        self._taken = []
        try:
            result = collate(values, collate_fn_map={**default_collate_fn_map, torch.Tensor: self._stacked})
        except BaseException:
            for slot in self._taken:
                self.marks[_worker(), slot] = 0
            raise
        self._unsent.difference_update(self._taken)
        return result

    def _stacked(
        self,
        tensors: List[torch.Tensor],
        *,
        collate_fn_map: Optional[Dict[Union[Type, Tuple[Type, ...]], Any]] = None,
    ) -> Any:
        first = tensors[0]
        is_plain = type(first) is torch.Tensor and first.layout == torch.strided and first.device.type == "cpu"
        count = len(tensors) * first.nbytes if is_plain and not first.is_quantized else 0
        # Checked here, since to fail with a slot taken costs more.
        if count < _LEAST_BYTES or any(one.shape != first.shape or one.dtype != first.dtype for one in tensors):
            return stacked(tensors, collate_fn_map=collate_fn_map)
        slot = self._take(count)
        if slot is None:
            return stacked(tensors, collate_fn_map=collate_fn_map)
        memory = self._own[slot]
        shape = (len(tensors), *first.shape)
        torch.stack(tensors, 0, out=memory[:count].view(first.dtype).view(shape))
        return Lent(self.number, _worker(), slot, memory if slot in self._unsent else None, first.dtype, shape)

    def _take(self, count: int) -> Optional[int]:
        """A slot of that many bytes that is not lent; None where all are."""
        marks = self.marks[_worker()]
        free = [slot for slot, is_lent in enumerate(marks[: len(self._own)].tolist()) if not is_lent]
        # The first that is large enough: the one used last is still in the processor's cache.
        slot = next((slot for slot in free if self._own[slot].nbytes >= count), None)
        if slot is None:
            if len(self._own) < _SLOTS:
                slot = len(self._own)
                self._own.append(_shared(count))
            elif free:
                slot = free[0]
                self._own[slot] = _shared(count)
            else:
                return None
            self._unsent.add(slot)
        marks[slot] = 1
        self._taken.append(slot)
        return slot

    # MARK: in the trainer

    def arrived(
        self, worker: int, slot: int, memory: Optional[torch.Tensor], kind: torch.dtype, shape: Tuple[int, ...]
    ) -> torch.Tensor:
        """The tensor; once nothing is left of it, its slot's mark goes."""
        if memory is not None:
            self._known[worker, slot] = memory
        memory = self._known[worker, slot]
        count = math.prod(shape)
        held = (ctypes.c_char * (count * kind.itemsize)).from_address(memory.data_ptr())
        # The memory stays as long as what is made of it, whatever becomes of the loader.
        weakref.finalize(held, _give_back, self.marks, worker, slot, memory).atexit = False
        return torch.frombuffer(held, dtype=kind, count=count).view(shape)


class Lent:
    """A tensor on its way: in the process that unpickles it, it is one."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def __reduce__(self) -> Tuple[Any, ...]:
        return _arrive, self.parts


def _arrive(number: int, *parts: Any) -> Optional[torch.Tensor]:
    lending = _present.get(number)
    # Of a pass that is over nobody asks.
    return None if lending is None else lending.arrived(*parts)


def _give_back(marks: torch.Tensor, worker: int, slot: int, _: torch.Tensor) -> None:
    marks[worker, slot] = 0


def _worker() -> int:
    info = get_worker_info()
    return info.id if info is not None else 0


def _shared(count: int) -> torch.Tensor:
    """Memory of so many bytes, in whole pages."""
    storage = torch.UntypedStorage._new_shared(-(-count // _PAGE_BYTES) * _PAGE_BYTES, device="cpu")
    memory = torch.empty(0, dtype=torch.uint8).set_(storage)  # type: ignore[call-overload]
    touch(memory)
    return memory
