"""Datasets for torch over a mount."""

import os
import tarfile
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Union

from torch.utils.data import Dataset, IterableDataset, get_worker_info

from . import state as states
from . import world
from .decoders import Decoder, Schema
from .errors import StateError, WdsfsError
from .mount import Mount, Option
from .rank import RankFolder

SchemaLike = Optional[Mapping[str, Union[str, Decoder]]]

# Field to format, as `jpg=npy:224x224` of `wdsfs mount --schema`; or those rules themselves.
MountSchema = Union[None, Mapping[str, str], Sequence[str]]


class _Samples:
    """What all datasets share: a split of a mount, and a schema for its fields."""

    def __init__(
        self,
        remote: Union[str, "os.PathLike[str]", Mount],
        split: Optional[str],
        schema: SchemaLike,
        fields: Optional[Iterable[str]],
        info: bool,
        allow_pickle: bool,
        strict_schema: bool,
        rank: int,
        world_size: int,
        mount_schema: MountSchema,
        options: Dict[str, Option],
    ) -> None:
        # First, so that a mistake in it mounts nothing.
        self.schema = Schema(schema, allow_pickle, strict_schema)
        self.fields = None if fields is None else [field.lstrip(".").lower() for field in fields]
        self.with_info = info
        if mount_schema is not None:
            options = {**options, "schema": _rules(mount_schema)}
        if isinstance(remote, Mount):
            self.mount = remote
        else:
            self.mount = Mount(remote, rank, world_size, **options)
        if mount_schema is not None and (isinstance(remote, Mount) or not self.mount.is_own):
            raise ValueError(
                f"{self.mount.point} is mounted already, so its fields are decoded as its own --schema says: give "
                "the rules there, or the remote here, for a mount of our own"
            )
        self.split = self.mount.split(split)

    def process_sample(self, sample: Dict[str, Any]) -> Any:
        """What becomes of a decoded sample; override it.

        Runs where the sample was read, in a worker. None leaves the sample out.
        """
        return sample

    def sample(self, folder: RankFolder, position: int) -> Any:
        """Reads, decodes and processes one sample."""
        raw = folder.read(position, self.fields, self.schema.in_place)
        info = folder.info(position) if self.with_info else None
        return self._processed(raw, f"sample {position} of {folder.path}", info, position)

    def _processed(self, raw: Dict[str, bytes], where: str, info: Any, position: int) -> Any:
        sample = self.schema.decode(raw, where)
        if info is not None:
            sample.update(
                __key__=info.key, __shard__=info.shard, __number__=info.number, __position__=position
            )
        return self.process_sample(sample)

    def close(self) -> None:
        """Unmounts, if the mount is the dataset's own."""
        self.mount.close()


def _rules(schema: Union[Mapping[str, str], Sequence[str]]) -> List[str]:
    if isinstance(schema, str):
        return [schema]
    if isinstance(schema, Mapping):
        return [f"{field.lstrip('.')}={form}" for field, form in schema.items()]
    return list(schema)


class StreamingWebDataset(_Samples, IterableDataset):
    """This rank's samples in the mount's order, from where the run has come to.

    Hand it to `StreamingDataLoader`, or iterate over it. Also in torch's own loaders and torchdata's
    each sample comes once: worker w of n takes the w-th, (w+n)-th, … run of `batch_size` samples. Give it the
    loader's batch size there, so that batches are those of one worker; and call `set_epoch` before each
    epoch.

    - remote: what `wdsfs mount` takes, a mount point of wdsfs, or a `Mount`.
    - split: may be left out where there is only one.
    - profile, prefetch, max_workers, seed and all other options: as of `wdsfs mount`.
    - shuffle: True for `full`, or `none`, `shards`, `full`.
    - schema: field to decoder: a name or a function of bytes. Fields are called in samples as there.
    - mount_schema: has the mount decode, `{"jpg": "npy:224x224"}`: once, natively, ahead of the reader. The
      schema then names what the mount shows: `{"npy": "npy"}`.
    - fields: reads these only.
    - info: adds `__key__`, `__shard__`, `__number__` (in the shard) and `__position__` to samples.
    """

    def __init__(
        self,
        remote: Union[str, "os.PathLike[str]", Mount],
        split: Optional[str] = None,
        profile: Optional[str] = None,
        shuffle: Union[bool, str] = False,
        max_workers: Optional[int] = None,
        schema: SchemaLike = None,
        memory_buffer_limit_bytes: Optional[Union[int, str]] = None,
        file_cache_limit_bytes: Optional[Union[int, str]] = None,
        *,
        prefetch: Option = None,
        fields: Optional[Iterable[str]] = None,
        info: bool = False,
        allow_pickle: bool = False,
        strict_schema: bool = True,
        mount_schema: MountSchema = None,
        batch_size: int = 1,
        rank: Optional[int] = None,
        world_size: Optional[int] = None,
        **options: Option,
    ) -> None:
        if rank is None or world_size is None:
            rank, world_size = world.rank_and_world_size()
        # In one process nothing is buffered, so there is no memory to limit.
        del memory_buffer_limit_bytes
        options = {
            "split": split,
            "profile": profile,
            "shuffle": {True: "full", False: None}.get(shuffle, shuffle),  # type: ignore
            "max_workers": max_workers,
            "prefetch": prefetch,
            "cache_size": file_cache_limit_bytes,
            # Ranks of equal length, so that no rank waits for the others at an epoch's end.
            "partition": "samples" if world_size > 1 else None,
            **options,
        }
        if isinstance(options.get("cursor"), str):
            options["cursor"] = str(options["cursor"]).replace("{rank}", str(rank))
        super().__init__(
            remote, split, schema, fields, info, allow_pickle, strict_schema, rank, world_size, mount_schema,
            options,
        )
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be 1 or more")
        self.batch_size = batch_size
        self.epoch: Optional[int] = None
        # Whether the place was taken from a state, so that an epoch which is over is not begun again.
        self.is_resumed = False
        # Whether an epoch was chosen that may have been gone through before.
        self._is_anew = False
        self._yielded = 0
        self._began: Optional[str] = None
        self._pending: Optional[Mapping[str, Any]] = None

    @property
    def folder(self) -> RankFolder:
        """Our rank."""
        return self.mount.rank(self.split)

    def set_epoch(self, epoch: int) -> None:
        """Has the next pass go over that epoch: from its start, or from where the run is in it."""
        if self.epoch is not None and epoch != self.epoch:
            self.is_resumed, self._is_anew = False, True
        self.epoch = epoch

    # MARK: a pass

    def enter(self) -> Optional[int]:
        """Takes up the epoch that is wanted, in commit mode.

        Returns the first position that is not consumed, or None where a state was loaded from the end
        of its epoch: then this pass is over, and the next one is of the next epoch.
        """
        folder = self.folder
        epoch, start, _ = folder.progress()
        wanted = epoch if self.epoch is None else self.epoch
        if epoch != wanted:
            if self.is_resumed and epoch > wanted:
                return self._over(wanted)
            epoch, start = wanted, 0
        elif self._is_anew and start > 0:
            # By way of another epoch, since a rank lists what was left when it was last moved.
            folder.commit(0, epoch + 1)
            start = 0
        # From now on reading ahead counts for nothing.
        folder.commit(start, epoch)
        # This listing turns an epoch that is consumed.
        is_left = next(folder.positions(start), None) is not None
        present = folder.epoch
        if present != wanted:
            if self.epoch is not None:
                return self._over(wanted)
            start = 0
            folder.commit(0, present)
        elif not is_left:
            return self._over(wanted)
        self.epoch, self.is_resumed, self._is_anew = present, False, False
        return start

    def _over(self, epoch: int) -> None:
        self.epoch, self.is_resumed, self._is_anew = epoch + 1, False, False

    def leave(self, end: int) -> None:
        """Says that the epoch is done with, up to its last position."""
        self.folder.commit(end, self.epoch)
        self._over(self.epoch or 0)

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        if worker is not None:
            return self._share(worker.id, worker.num_workers)
        return self._all()

    def _all(self) -> Iterator[Any]:
        skipped = self._take_up(0, 1)
        start = self.enter()
        if start is None:
            return
        folder, epoch, end = self.folder, self.epoch, start
        self._began, self._yielded = folder.cursor(), 0
        for position in folder.positions(start):
            self._yielded += 1
            if self._yielded > skipped:
                sample = self.sample(folder, position)
                if sample is not None:
                    yield sample
            end = position + 1
            folder.commit(end, epoch)
        self.leave(end)

    def _share(self, worker: int, workers: int) -> Iterator[Any]:
        """A worker's part; nothing is committed here, since only the loader knows what it handed out."""
        skipped = self._take_up(worker, workers)
        start = self.enter()
        if start is None:
            return
        folder = self.folder
        self._began, self._yielded = folder.cursor(), 0
        for number, position in enumerate(folder.positions(start)):
            if number // self.batch_size % workers != worker:
                continue
            self._yielded += 1
            if self._yielded > skipped:
                sample = self.sample(folder, position)
                if sample is not None:
                    yield sample
        self._over(self.epoch or 0)

    # MARK: the state that torchdata's loader keeps, worker by worker

    def state_dict(self) -> Dict[str, Any]:
        """Where this process is in its part.

        For `StatefulDataLoader`, which asks each worker; `StreamingDataLoader` has a state of its own.
        """
        worker = get_worker_info()
        return {
            "format": "wdsfs worker state",
            "version": 1,
            "split": self.split,
            "worker": worker.id if worker else 0,
            "workers": worker.num_workers if worker else 1,
            "batch_size": self.batch_size,
            "epoch": self.epoch,
            "yielded": self._yielded,
            # As it was when this pass began: nothing else of it is shared between workers.
            "cursor": self._began or self.folder.cursor(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on there: from `state_dict()` of this dataset, or from that of a `StreamingDataLoader`."""
        if isinstance(state, Mapping) and state.get("format") == "wdsfs state":
            self.epoch = states.load(state, self.mount, self.split)
            self.is_resumed, self._is_anew = True, False
            return
        if not isinstance(state, Mapping) or state.get("format") != "wdsfs worker state":
            raise StateError("this is no state of a wdsfs dataset; give what its state_dict() returned")
        self._pending = state

    def _take_up(self, worker: int, workers: int) -> int:
        """Moves to where a worker's state says; returns what of its part was handed out before."""
        state, self._pending = self._pending, None
        if state is None:
            return 0
        shape = (state["workers"], state["batch_size"])
        if shape != (workers, self.batch_size):
            raise StateError(
                f"the state is of {shape[0]} workers and runs of {shape[1]} samples, here there are {workers} and "
                f"{self.batch_size}: keep both, or use StreamingDataLoader, whose state fits any number of workers"
            )
        # Another worker may have done it already, which makes no difference.
        self.folder.restore(state["cursor"])
        self.epoch, self.is_resumed = state["epoch"], True
        return int(state["yielded"])


class WdsfsDataset(_Samples, Dataset):
    """A split's samples by number, in the order of one epoch; for samplers that choose for themselves.

    Shows all samples of the split, as one rank, and keeps no place: reading here counts for nothing.
    Options are those of `StreamingWebDataset`.
    """

    def __init__(
        self,
        remote: Union[str, "os.PathLike[str]", Mount],
        split: Optional[str] = None,
        profile: Optional[str] = None,
        shuffle: Union[bool, str] = False,
        schema: SchemaLike = None,
        *,
        fields: Optional[Iterable[str]] = None,
        info: bool = False,
        allow_pickle: bool = False,
        strict_schema: bool = True,
        mount_schema: MountSchema = None,
        epoch: int = 0,
        rank: int = 0,
        world_size: int = 1,
        **options: Option,
    ) -> None:
        options = {
            "split": split,
            "profile": profile,
            "shuffle": {True: "full", False: None}.get(shuffle, shuffle),  # type: ignore
            **options,
        }
        super().__init__(
            remote, split, schema, fields, info, allow_pickle, strict_schema, rank, world_size, mount_schema,
            options,
        )
        self._count: Optional[int] = None
        self.set_epoch(epoch)

    def set_epoch(self, epoch: int) -> None:
        """Shows the samples in another epoch's order."""
        self.epoch = epoch
        self._count = None

    @property
    def folder(self) -> RankFolder:
        return self.mount.rank(self.split, self.epoch)

    def __len__(self) -> int:
        if self._count is None:
            # Counting by listing has the mount count the shards that it does not know yet.
            count = self.folder.sample_count
            self._count = sum(1 for _ in self.folder.positions()) if count is None else count
        return self._count

    def __getitem__(self, number: int) -> Any:
        if not -len(self) <= number < len(self):
            raise IndexError(f"sample {number} of {len(self)} in {self.folder.path}")
        return self.sample(self.folder, number % len(self))


class StreamDataset(StreamingWebDataset):
    """The same samples out of `.streams`: one sequential read, for one reader.

    Fastest where files are small and one process keeps up; several workers would each read all of it.
    """

    def sample_stream(self, start: int) -> Iterator[Dict[str, bytes]]:
        """What is left of the rank's epoch, as the tar holds it."""
        path = f"{self.mount.point}/.streams/{self.split}/{self.mount.rank_number}.tar"
        with tarfile.open(path, "r|", bufsize=1 << 20) as archive:
            key, fields = None, {}  # type: ignore
            for member in archive:
                folder, slash, base = member.name.rpartition("/")
                name, _, field = base.partition(".")
                if key is not None and key != folder + slash + name:
                    yield fields
                    fields = {}
                key = folder + slash + name
                file = archive.extractfile(member)
                fields[field] = file.read() if file else b""
            if key is not None:
                yield fields

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        if worker is not None and worker.num_workers > 1:
            raise WdsfsError(
                f"StreamDataset is one stream and here are {worker.num_workers} workers: say num_workers=1 or 0, "
                "or use StreamingWebDataset, which divides samples among workers"
            )
        return self._stream(worker is None)

    def _stream(self, commits: bool) -> Iterator[Any]:
        skipped = self._take_up(0, 1)
        start = self.enter()
        if start is None:
            return
        folder, epoch, end = self.folder, self.epoch, start
        self._began, self._yielded = folder.cursor(), 0
        for position, raw in zip(folder.positions(), self.sample_stream(start)):
            if position < start:
                continue
            if self.fields is not None:
                raw = {field: raw[field] for field in self.fields if field in raw}
            self._yielded += 1
            if self._yielded > skipped:
                info = folder.info(position) if self.with_info else None
                sample = self._processed(raw, f"sample {position} of {folder.path}", info, position)
                if sample is not None:
                    yield sample
            end = position + 1
            if commits:
                folder.commit(end, epoch)
        if commits:
            self.leave(end)
        else:
            self._over(epoch or 0)


def batches_of(positions: Iterable[int], size: int) -> Iterator[List[int]]:
    """Runs of so many positions, the last of what is left."""
    batch: List[int] = []
    for position in positions:
        batch.append(position)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
