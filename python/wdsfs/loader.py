"""The loader: workers read and decode, this process deals out positions and keeps the place."""

import collections
import functools
from typing import Any, Callable, Deque, Dict, Generator, Iterator, List, Mapping, Optional, Sequence

import torch
from torch.utils.data import DataLoader, Dataset, default_convert, get_worker_info

from . import memory, world
from . import state as states
from .dataset import StreamingWebDataset, batches_of
from .errors import StateError
from .lending import Lending

_NONE_LEFT = "wdsfs: all samples of this batch were left out"


class StreamingDataLoader(DataLoader):
    """Batches of a `StreamingWebDataset`, in the mount's order whatever the number of workers.

    Each `iter` goes over what is left of the present epoch. A batch counts as trained when the next
    one is asked for, or at `state_dict()`; what workers have read ahead does not count. The state holds
    all ranks' places: it can be loaded with any number of workers and at any world size. With torch.distributed
    every rank must call `state_dict()`.

    Where several ranks train together, all get as many batches in an epoch, by making some of the
    last batches smaller; `even_batches=False` lets each rank have its own number.

    Takes what torch's DataLoader takes, but for `sampler`, `batch_sampler` and `in_order`.
    """

    def __init__(
        self,
        dataset: StreamingWebDataset,
        batch_size: Optional[int] = 1,
        shuffle: Optional[bool] = None,
        *,
        num_workers: int = 0,
        collate_fn: Optional[Callable[[List[Any]], Any]] = None,
        drop_last: bool = False,
        even_batches: Optional[bool] = None,
        **options: Any,
    ) -> None:
        if not isinstance(dataset, StreamingWebDataset):
            raise TypeError(
                f"StreamingDataLoader wants a StreamingWebDataset, not {type(dataset).__name__}; for others "
                "there is torch.utils.data.DataLoader"
            )
        for option in ("sampler", "batch_sampler", "in_order"):
            if option in options:
                raise TypeError(
                    f"StreamingDataLoader takes no {option}: the order is the mount's, and resuming rests on it"
                )
        if "generator" not in options:
            # To begin a pass draws from it. Were it torch's own, a run that is resumed would have drawn
            # once more than one that was not, and its dropout would fall elsewhere.
            options["generator"] = torch.Generator().manual_seed(torch.initial_seed())
        if shuffle is not None and dataset.mount.is_own and bool(shuffle) != _shuffles(dataset):
            raise ValueError("whether to shuffle is the mount's to know: give shuffle to the dataset")
        options["worker_init_fn"] = functools.partial(_begin_worker, options.get("worker_init_fn"))
        self.streaming = dataset
        self._size = batch_size
        self._drops_last = drop_last
        self._even = even_batches
        self._feed = _Feed()
        # One more than the last position handed out; None outside of a pass.
        self._yielded: Optional[int] = None
        if batch_size is None:
            super().__init__(
                _Reader(dataset), batch_size=None, sampler=_Singles(self._feed), num_workers=num_workers,
                collate_fn=_Collate(collate_fn or default_convert, False), **options,
            )
        else:
            super().__init__(
                _Reader(dataset), batch_sampler=self._feed, num_workers=num_workers,
                collate_fn=_Collate(collate_fn, True), **options,
            )

    # MARK: epochs

    @property
    def epoch(self) -> Optional[int]:
        """The epoch that is under way, or comes next; None before the first look."""
        return self.streaming.epoch

    def set_epoch(self, epoch: int) -> None:
        """Has the next `iter` go over that epoch; one that is under way goes on."""
        self.commit()
        self._yielded = None
        self.streaming.set_epoch(epoch)

    def __len__(self) -> int:
        """The batches of a whole epoch."""
        count = self.streaming.folder.sample_count
        if count is None:
            raise TypeError(
                "not all shards are counted yet, so nobody knows how many batches there are: "
                "partition='samples' counts them at mount"
            )
        size = self._size or 1
        return count // size if self._drops_last else -(-count // size)

    def __iter__(self) -> Iterator[Any]:
        self.commit()
        self._yielded = None
        dataset = self.streaming
        start = dataset.enter()
        if start is None:
            return
        folder, epoch = dataset.folder, dataset.epoch
        end = start
        if self.num_workers > 0 and getattr(self, "_iterator", None) is None:
            self.collate_fn.lending = Lending(self.num_workers)
        feed = self._feed
        feed.begin(self._planned(start))
        try:
            for batch in super().__iter__():
                end = self._yielded = feed.dealt.popleft()[-1] + 1
                if not _is_none_left(batch):
                    yield batch
                if self._yielded is None:
                    raise RuntimeError("this iterator is over: another was begun, or a state was loaded")
                folder.commit(end, epoch)
        finally:
            feed.close()
        self._yielded = None
        dataset.leave(max(end, feed.end))

    def _planned(self, start: int) -> Generator[List[int], None, None]:
        """The batches to come, as positions."""
        size = self._size or 1
        positions = self.streaming.folder.positions(start)
        even = self._even
        if even is None:
            even = world.is_distributed() and self.streaming.mount.world_size > 1
        if even:
            left = list(positions)
            # Asked of all ranks here, and not by whoever reads the first batch.
            return self._even_batches(left, size, _steps(len(left), size, self._drops_last))
        return self._plain(positions, size)

    def _even_batches(
        self, positions: Sequence[int], size: int, steps: int
    ) -> Generator[List[int], None, None]:
        """So many batches of at most that size, full ones first, and none empty."""
        self._feed.end = positions[-1] + 1 if positions else 0
        place = 0
        for step in range(steps):
            count = min(size, len(positions) - place - (steps - step - 1))
            yield list(positions[place : place + count])
            place += count

    def _plain(
        self, positions: Iterator[int], size: int
    ) -> Generator[List[int], None, None]:
        for batch in batches_of(positions, size):
            self._feed.end = batch[-1] + 1
            if len(batch) == size or not self._drops_last:
                yield batch

    # MARK: state

    def commit(self) -> None:
        """Says now that what was handed out is trained on."""
        if self._yielded is not None:
            self.streaming.folder.commit(self._yielded, self.streaming.epoch)

    def state_dict(self) -> Dict[str, Any]:
        """All ranks' places, as of the batches handed out; of plain types."""
        self.commit()
        dataset = self.streaming
        if dataset.epoch is None:
            dataset.epoch = dataset.folder.progress()[0]
        return states.save(dataset.folder, dataset.epoch)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on there with the next `iter`: of any number of workers, and of any world size."""
        # An iterator of the pass before must not commit any more, nor keep the mount busy.
        self._yielded = None
        self._feed.close()
        self.streaming.load_state_dict(state)
        # Workers that are kept would read below the mount point that was.
        self._iterator = None


def _shuffles(dataset: StreamingWebDataset) -> bool:
    return dataset.mount.options.get("shuffle") not in (None, "none")


def _steps(left: int, size: int, drops_last: bool) -> int:
    """In how many steps all ranks end together."""
    counts = world.gathered(left)
    steps = min(counts) // size if drops_last else -(-max(counts) // size)
    if steps > min(counts):
        raise StateError(
            f"ranks have {min(counts)} to {max(counts)} samples left of the epoch, too unequal for all to make "
            f"{steps} steps: resume with fewer ranks until its end, or say even_batches=False and let them join "
            "(torch.distributed.algorithms.join)"
        )
    return steps


def _begin_worker(users: Optional[Callable[[int], None]], number: int) -> None:
    memory.keep()
    if users is not None:
        users(number)


class _Feed:
    """The batch sampler: what to read next, and what of it is under way."""

    def __init__(self) -> None:
        self._batches: Generator[List[int], None, None] = _nothing()
        # What was dealt to workers and not handed out yet, in order.
        self.dealt: Deque[List[int]] = collections.deque()
        # One more than the last position that the rank lists, as far as is known.
        self.end = 0

    def begin(self, batches: Generator[List[int], None, None]) -> None:
        self.close()
        self._batches = batches
        # A new one, so that an iterator that was left takes nothing from it.
        self.dealt = collections.deque()
        self.end = 0

    def close(self) -> None:
        """Lets go of the listing, which keeps the mount busy."""
        self._batches.close()
        self._batches = _nothing()

    def __iter__(self) -> Iterator[List[int]]:
        dealt = self.dealt
        for batch in self._batches:
            dealt.append(batch)
            yield batch


def _nothing() -> Generator[List[int], None, None]:
    yield from ()


class _Singles:
    """The same one by one, where samples are not batched."""

    def __init__(self, feed: _Feed) -> None:
        self._feed = feed

    def __iter__(self) -> Iterator[int]:
        for batch in self._feed:
            yield batch[0]


class _Reader(Dataset):
    """What workers get: samples by position."""

    def __init__(self, dataset: StreamingWebDataset) -> None:
        self.dataset = dataset

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "dataset":
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __getitem__(self, position: int) -> Any:
        dataset = self.dataset
        return dataset.sample(dataset.folder, position)

    def __getitems__(self, positions: List[int]) -> List[Any]:
        dataset = self.dataset
        folder = dataset.folder
        return [dataset.sample(folder, position) for position in positions]


class _Collate:
    """The user's or else `collate`, without the samples that were left out."""

    def __init__(self, body: Optional[Callable[[Any], Any]], is_batch: bool) -> None:
        self.body, self.is_batch = body, is_batch
        # Of the workers of the present pass.
        self.lending: Optional[Lending] = None

    def __call__(self, samples: Any) -> Any:
        if self.is_batch:
            samples = [sample for sample in samples if sample is not None]
            if not samples:
                return _NONE_LEFT
        elif samples is None:
            return _NONE_LEFT
        if self.body is not None:
            return self.body(samples)
        is_lent = self.lending is not None and get_worker_info() is not None
        return _collated(samples, self.lending.collate if is_lent else memory.default_collate)


def _is_none_left(batch: Any) -> bool:
    return isinstance(batch, str) and batch == _NONE_LEFT


def collate(samples: List[Any]) -> Any:
    """As torch's default, field by field; what cannot be stacked, images for example, stays a list."""
    return _collated(samples, memory.default_collate)


def _collated(samples: List[Any], stack: Callable[[List[Any]], Any]) -> Any:
    first = samples[0]
    if isinstance(first, dict):
        names = list(dict.fromkeys(name for sample in samples for name in sample))
        return {name: _column([sample.get(name) for sample in samples], stack) for name in names}
    if isinstance(first, tuple) and not hasattr(first, "_fields"):
        return tuple(_column(list(column), stack) for column in zip(*samples))
    return _column(samples, stack)


def _column(values: List[Any], stack: Callable[[List[Any]], Any]) -> Any:
    if any(isinstance(value, (str, bytes)) or value is None for value in values):
        return values
    try:
        return stack(values)
    except (TypeError, RuntimeError, KeyError, ValueError):
        return values
