"""A mount of our own, made when it is wanted and gone when we are; or one that is there."""

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import weakref
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from .errors import BinaryNotFound, MountFailed, SplitError
from .rank import RankFolder, config

_UNMOUNT_SECONDS = 60
_PREFIX = "wdsfs-"

# Waits for its input to end, which happens when the last process that holds the pipe is gone, in
# whatever way; then takes the mount away.
_WATCH = """
trap '' INT HUP TERM
read -r _
"$1" unmount "$2/mnt" || "$1" unmount --lazy "$2/mnt"
rmdir "$2/mnt" && rm -rf "$2"
"""

Option = Union[None, bool, str, int, float, "os.PathLike[str]", Sequence[Any]]


def find_binary() -> str:
    """The wdsfs program: WDSFS_BINARY, the one in PATH, or one built in the checkout around us."""
    named = os.environ.get("WDSFS_BINARY")
    if named:
        if os.access(named, os.X_OK) and os.path.isfile(named):
            return named
        raise BinaryNotFound(f"WDSFS_BINARY names {named}, which is no program that can be run: correct it")
    found = shutil.which("wdsfs")
    if found:
        return found
    checkout = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for place in (
        os.path.join(checkout, ".build/release/wdsfs"),
        "/usr/local/bin/wdsfs",
        "/opt/wdsfs/bin/wdsfs",
        os.path.expanduser("~/.local/bin/wdsfs"),
    ):
        if os.access(place, os.X_OK) and os.path.isfile(place):
            return place
    raise BinaryNotFound(
        "no wdsfs program in PATH: set WDSFS_BINARY to it, or build it (swift build -c release in "
        "wdsfs's checkout) and put it in PATH"
    )


def is_mounted(point: Union[str, "os.PathLike[str]"]) -> bool:
    """Whether wdsfs is mounted just there; asks the kernel's table, never the mount."""
    wanted = os.fsencode(os.path.realpath(point))
    with open("/proc/self/mountinfo", "rb") as table:
        for line in table:
            words = line.split()
            if words[words.index(b"-") + 1] == b"fuse.wdsfs" and _unescaped(words[4]) == wanted:
                return True
    return False


def _unescaped(path: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), path)


class Mount:
    """A mount that answers: `with Mount("s3://bucket/dataset") as mount: os.listdir(mount.point)`.

    Given a mount point of wdsfs it is that mount, and leaves it in place. Given a remote it mounts at
    a point of its own, and unmounts at `close`, at the interpreter's exit, when it is collected, and
    also when this process is killed. Copies in forked and spawned processes only read.

    Options are those of `wdsfs mount`: `cache_size="10GB"` is `--cache-size 10GB`, `strict=True` is
    `--strict`, a list gives an option several times, None leaves it out.
    """

    def __init__(
        self,
        remote: Union[str, "os.PathLike[str]"],
        rank: int = 0,
        world_size: int = 1,
        **options: Option,
    ) -> None:
        self.remote = os.fspath(remote)
        self.rank_number, self.world_size = rank, world_size
        self.options: Dict[str, Option] = options
        self.is_own = not is_mounted(self.remote)
        self._folder: Optional[str] = None
        self._end: Optional[weakref.finalize] = None
        if self.is_own:
            self.binary = find_binary()
            self._mount(self.options)
        else:
            self.point = os.path.realpath(self.remote)
        self._read_config()
        if not self.is_own:
            self._check_order(options)

    def _read_config(self) -> None:
        said = config(self.point)
        self.names: str = said["names"]
        self.split_names: List[str] = [split["name"] for split in said["splits"]]
        if not self.is_own:
            self.world_size = said["worldSize"]
            only = said.get("rank")
            if only is not None:
                self.rank_number = only
            elif self.rank_number >= self.world_size:
                raise MountFailed(
                    f"this is rank {self.rank_number}, and {self.point} is mounted for "
                    f"{self.world_size} ranks: mount it with --world-size"
                )

    def _check_order(self, options: Mapping[str, Option]) -> None:
        """A mount that is there has its order already."""
        said = config(self.point)
        for name, found in (("shuffle", said["shuffle"]), ("seed", said["seed"])):
            wanted = options.get(name)
            if wanted is not None and str(wanted) != str(found):
                raise MountFailed(
                    f"{self.point} is mounted with --{name} {found}, not {wanted}: mount it so, or give the "
                    "remote, for a mount of our own"
                )

    # MARK: what is in it

    def split(self, name: Optional[str] = None) -> str:
        """The split of that name; without a name the only one."""
        if name is None and len(self.split_names) == 1:
            return self.split_names[0]
        if name is None or name not in self.split_names:
            what = "several splits" if name is None else f"no split {name!r}"
            raise SplitError(
                f"{self.remote} has {what}: name one of {', '.join(self.split_names)} as split="
            )
        return name

    def rank(self, split: Optional[str] = None, epoch: Optional[int] = None) -> RankFolder:
        """Our rank of a split, as the run goes, or a whole epoch as a fresh start gives it."""
        return RankFolder(self.point, self.split(split), self.rank_number, epoch, self.names)

    # MARK: mounting

    def _mount(self, options: Mapping[str, Option]) -> None:
        clear_abandoned(self.binary)
        folder = tempfile.mkdtemp(prefix=_PREFIX)
        self._folder, self.point = folder, os.path.join(folder, "mnt")
        os.mkdir(self.point)
        # Under its name only once it is held: a lock that nobody holds is taken for abandoned.
        lock = os.open(os.path.join(folder, "lock.new"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.rename(os.path.join(folder, "lock.new"), os.path.join(folder, "lock"))
        self._end = weakref.finalize(self, _end, os.getpid(), self.binary, folder, lock, None)
        words = [self.binary, "mount", self.remote, self.point, "--world-size", str(self.world_size)]
        if self.world_size > 1:
            words += ["--rank", str(self.rank_number)]
        try:
            _run(words + _words(options), folder)
            watcher = _watch(self.binary, folder)
        except BaseException:
            self.close()
            raise
        self._end.detach()
        self._end = weakref.finalize(self, _end, os.getpid(), self.binary, folder, lock, watcher)

    def remount(self, cursors: Sequence[str]) -> None:
        """Mounts anew, at a point of its own, where a run's cursors say; of any world size.

        How samples are dealt is for the cursor to say, so that what was said at the start may differ.
        """
        if not self.is_own:
            raise MountFailed(
                f"{self.point} is not our own mount: unmount it, and mount with --cursor "
                f"--world-size {self.world_size}"
            )
        kept = tempfile.mkdtemp(prefix=_PREFIX + "cursors-")
        try:
            paths = []
            for number, cursor in enumerate(cursors):
                paths.append(os.path.join(kept, f"{number}.cursor"))
                with open(paths[-1], "w", encoding="utf-8") as file:
                    file.write(cursor)
            options = {**self.options, "epoch": None, "partition": None}
            own = options.get("cursor")
            self.close()
            if own is None:
                # What the first names is written, which nobody wants of ours.
                own = os.path.join(kept, "own.cursor")
                options["cursor"] = [own, *paths]
            else:
                own = own if isinstance(own, (str, os.PathLike)) else list(own)[0]  # type: ignore
                _run([self.binary, "cursor", "merge", *paths, "-o", os.fspath(own)], kept)
                options["cursor"] = own
            self._mount(options)
            self._read_config()
        finally:
            shutil.rmtree(kept, ignore_errors=True)

    def close(self) -> None:
        """Unmounts, if the mount is ours; a second call does nothing."""
        if self._end is not None:
            self._end()

    def __enter__(self) -> "Mount":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict:
        # Another process reads below the same point and owns nothing.
        return {**self.__dict__, "_end": None, "is_own": False}


def _words(options: Mapping[str, Option]) -> List[str]:
    words: List[str] = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif value is not None and value is not False:
            values = value if isinstance(value, (list, tuple)) else [value]
            for one in values:
                words += [option, os.fspath(one) if isinstance(one, os.PathLike) else str(one)]
    return words


def _environment() -> Dict[str, str]:
    """Without what is ours to know, which the program would wonder at."""
    return {name: value for name, value in os.environ.items() if name != "WDSFS_BINARY"}


def _run(words: Sequence[str], folder: str) -> None:
    # For as long as it takes: a mount may count a whole bucket first. To a file, not a pipe, which the
    # daemon may keep open.
    with open(os.path.join(folder, "stderr"), "w+b") as errors:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=_environment(), check=False
        )
        errors.seek(0)
        text = errors.read().decode(errors="replace").strip()
    if done.returncode != 0:
        # The last line is the reason; what stands before it are log lines.
        reason = text.splitlines()[-1] if text else "it said nothing"
        error = MountFailed(f"{reason} (exit {done.returncode})")
        error.code = done.returncode
        raise error


def _watch(binary: str, folder: str) -> Tuple[subprocess.Popen, int]:
    """A process that unmounts when we are gone, even by SIGKILL; and the pipe it waits for."""
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, "wdsfs-watch", binary, folder],
            stdin=reading, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    finally:
        os.close(reading)
    return process, writing


def _end(
    owner: int,
    binary: str,
    folder: str,
    lock: int,
    watcher: Optional[Tuple[subprocess.Popen, int]],
) -> None:
    if os.getpid() != owner:
        # A forked process: the mount is its parent's.
        return
    _unmount(binary, folder)
    if watcher is not None:
        process, writing = watcher
        os.close(writing)
        # It may wait on for forked processes that hold the pipe; there is nothing left for it to do.
        process.kill()
        process.wait()
    os.close(lock)


def _unmount(binary: str, folder: str) -> None:
    point = os.path.join(folder, "mnt")
    # Where a file in it is still open, for example a listing half read, it ends when that is closed.
    for words in (["unmount"], ["unmount", "--lazy"]):
        if is_mounted(point):
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    [binary, *words, point], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL, env=_environment(), timeout=_UNMOUNT_SECONDS, check=False,
                )
    if not is_mounted(point):
        shutil.rmtree(folder, ignore_errors=True)


def clear_abandoned(binary: str) -> None:
    """Takes away mounts of ours whose process was killed together with its watcher."""
    top = tempfile.gettempdir()
    for name in os.listdir(top):
        folder = os.path.join(top, name)
        path = os.path.join(folder, "lock")
        try:
            if not name.startswith(_PREFIX) or os.stat(path).st_uid != os.geteuid():
                continue
            lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            # Whoever is alive holds it.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _unmount(binary, folder)
        except OSError:
            pass
        finally:
            os.close(lock)

