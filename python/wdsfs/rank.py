"""One rank of a split below a mount: its samples in order, and the place it has reached."""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
from typing import Container, Dict, Iterable, Iterator, NamedTuple, Optional, Tuple, Union

from .errors import MountFailed, StateError

_READ_BYTES = 1 << 20
# What is read once has no use for the kernel's file cache, whose fresh pages take longer to get than to fill. A
# smaller file may have come into it with its listing.
_DIRECT_BYTES = 32 << 10


class SampleInfo(NamedTuple):
    """Where a sample comes from."""

    key: str
    shard: str
    number: int


class RankFolder:
    """`<mount>/<split>/<rank>`, or the same of a fixed epoch below `.epochs`.

    Holds no file open and can be handed to other processes.
    """

    def __init__(
        self,
        point: Union[str, "os.PathLike[str]"],
        split: str,
        rank: int = 0,
        epoch: Optional[int] = None,
        names: str = "key",
    ) -> None:
        self.point, self.split, self.rank = os.fspath(point), split, rank
        self.names = names
        # A fixed epoch may be read again.
        self._is_direct = epoch is None
        top = self.point if epoch is None else f"{self.point}/.epochs/{epoch}"
        self.path = f"{top}/{split}/{rank}"

    def __repr__(self) -> str:
        return f"RankFolder({self.path!r})"

    # MARK: samples

    @property
    def epoch(self) -> int:
        """The epoch that the folder shows."""
        return int(os.getxattr(self.path, "user.wds.epoch"))

    @property
    def sample_count(self) -> Optional[int]:
        """The samples of the whole epoch; None as long as not all shards are counted."""
        try:
            return int(os.getxattr(self.path, "user.wds.samples"))
        except OSError as error:
            if error.errno != errno.ENODATA:
                raise
            return None

    def positions(self, start: int = 0) -> Iterator[int]:
        """What the rank lists, in order, from a position on.

        A listing of the rank from its start turns a consumed epoch.
        """
        with os.scandir(self.path) as entries:
            for entry in entries:
                position = int(entry.name)
                if position >= start:
                    yield position

    def read(
        self, position: int, fields: Optional[Iterable[str]] = None, writable: Container[str] = ()
    ) -> Dict[str, Union[bytes, bytearray]]:
        """A sample's fields by name, in the order of its shard; only those asked for, if any are.

        Those that are to be `writable` come as a bytearray.
        """
        is_direct = self._is_direct
        folder = f"{self.path}/{position:08d}"
        if fields is not None:
            # Every field answers to its bare name, so that nothing need be listed.
            found = (
                (field, _contents_if_there(f"{folder}/{field}", is_direct, field in writable)) for field in fields
            )
            return {field: data for field, data in found if data is not None}
        found = {}
        for name in os.listdir(folder):
            # KEY.FIELD; the key's last part has no dot.
            field = name if self.names == "field" else name.partition(".")[2] or name
            found[field] = _contents(f"{folder}/{name}", is_direct, field in writable)
        return found

    def info(self, position: int) -> SampleInfo:
        folder = f"{self.path}/{position:08d}"
        return SampleInfo(
            os.getxattr(folder, "user.wds.key").decode("utf-8", "surrogateescape"),
            os.getxattr(folder, "user.wds.shard").decode("utf-8", "surrogateescape"),
            int(os.getxattr(folder, "user.wds.number")),
        )

    def key(self, position: int) -> str:
        """The sample's whole key, for messages; its place where even that cannot be had."""
        try:
            return self.info(position).key
        except OSError:
            return f"{self.split}/{self.rank}/{position:08d}"

    # MARK: the place reached

    @property
    def cursor_path(self) -> str:
        return f"{self.path}/.cursor"

    def cursor(self) -> str:
        """This rank's cursor, as text to keep and to give to `restore`."""
        with open(self.cursor_path, encoding="utf-8") as file:
            return file.read()

    def progress(self) -> Tuple[int, int, bool]:
        """The rank's epoch, the first position not consumed, and whether later ones are."""
        legs = json.loads(self.cursor())["splits"][self.split]["legs"]
        first, *beyond = legs[-1]["progress"][self.rank].split(" ")
        epoch, position = first.split(":")
        return int(epoch), int(position), bool(beyond)

    def commit(self, position: int, epoch: Optional[int] = None) -> None:
        """Says that the samples below a position are done with, and no others.

        From then on until unmount only this moves the rank, reading does not.
        """
        text = f"{position}" if epoch is None else f"{epoch}:{position}"
        try:
            file = os.open(self.cursor_path, os.O_WRONLY)
            try:
                os.write(file, text.encode())
            finally:
                os.close(file)
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise StateError(f"{self.cursor_path} does not take {text}: not of this epoch") from None
            raise gone(error, self.point) from error

    def restore(self, cursor: str) -> None:
        """Moves the rank to where a cursor says, forward or back.

        Raises StateError, with both sides named, for a cursor of another run.
        """
        try:
            with open(self.cursor_path, "wb", buffering=0) as file:
                file.write(cursor.encode())
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise gone(error, self.point) from error
            raise difference(cursor, self.cursor()) from None


def _contents(path: str, is_direct: bool = False, is_writable: bool = False) -> Union[bytes, bytearray]:
    file = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(file).st_size
        if is_direct and size >= _DIRECT_BYTES:
            _read_directly(file)
        if is_writable:
            return _filled(file, bytearray(size))
        data = os.read(file, size)
        return data if len(data) == size else bytes(_filled(file, bytearray(size), data))
    finally:
        os.close(file)


def _filled(file: int, data: bytearray, known: bytes = b"") -> bytearray:
    """A file's bytes, of which the first are known; fewer if it ends early."""
    count = len(known)
    data[:count] = known
    with memoryview(data) as view:
        while count < len(data):
            more = os.readv(file, [view[count : count + _READ_BYTES]])
            if more == 0:
                break
            count += more
    del data[count:]
    return data


def _read_directly(file: int) -> None:
    with contextlib.suppress(OSError):
        fcntl.fcntl(file, fcntl.F_SETFL, os.O_DIRECT)


def _contents_if_there(
    path: str, is_direct: bool = False, is_writable: bool = False
) -> Union[bytes, bytearray, None]:
    try:
        return _contents(path, is_direct, is_writable)
    except FileNotFoundError:
        return None


def gone(error: OSError, point: str) -> Exception:
    """An error of a mount that does not answer any more, in words; any other as it is."""
    if error.errno in (errno.ENOTCONN, errno.ECONNABORTED):
        return MountFailed(f"the mount at {point} does not answer any more ({error.strerror}): mount again")
    return error


class OtherLegsError(StateError):
    """A cursor of this dataset and order that went on at other world sizes; a new mount can begin with it."""


def difference(state: str, present: str) -> StateError:
    """In what a cursor differs from that of a mount."""
    try:
        wanted, here = json.loads(state), json.loads(present)
        for split, said in wanted["splits"].items():
            found = here["splits"].get(split)
            if found is None:
                return StateError(
                    f"the state is of another dataset: it has a split {split!r}, here there are "
                    f"{', '.join(here['splits'])}; name the remote that it was made with"
                )
            if found["fingerprint"] != said["fingerprint"]:
                return StateError(
                    f"the state is of another dataset: its split {split!r} has {said['fingerprint']}, here "
                    f"{found['fingerprint']}; name the remote that it was made with"
                )
        for name in ("seed", "shuffle", "shuffleWindow", "equalize"):
            if wanted[name] != here[name]:
                return StateError(
                    f"the state is of another order: {name} is {wanted[name]} there and {here[name]} "
                    "here; say the same as when it was made"
                )
        sizes = [
            [leg["worldSize"] for split in document["splits"].values() for leg in split["legs"]]
            for document in (wanted, here)
        ]
        return OtherLegsError(
            f"the state was made at world sizes {sizes[0]}, and the mount is of {sizes[1]}: mount anew with "
            "--cursor, which takes a state to any world size"
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return StateError("this is no state of wdsfs: it holds no cursor")


def config(point: Union[str, pathlib.Path]) -> dict:
    """What a mount says of itself."""
    with open(f"{os.fspath(point)}/.wdsfs/config.json", encoding="utf-8") as file:
        return json.load(file)
