"""Nothing in the tree can be changed: EROFS, whatever is tried."""

import errno
import os

import pytest

FIELD = "train/0/00000000/jpg"
FOLDER = "train/0/00000000"

ATTEMPTS = {
    "create": lambda p: open(p / FOLDER / "new", "w"),
    "create in a rank": lambda p: open(p / "train/0/new", "w"),
    "create at the top": lambda p: open(p / "new", "w"),
    "write": lambda p: write(p / FIELD, os.O_WRONLY),
    "append": lambda p: write(p / FIELD, os.O_WRONLY | os.O_APPEND),
    "truncate": lambda p: os.truncate(p / FIELD, 0),
    "open to truncate": lambda p: close_again(p / FIELD, os.O_WRONLY | os.O_TRUNC),
    "mkdir": lambda p: os.mkdir(p / "train/0/new"),
    "rmdir": lambda p: os.rmdir(p / FOLDER),
    "unlink": lambda p: os.unlink(p / FIELD),
    "rename": lambda p: os.rename(p / FIELD, p / FOLDER / "new"),
    "link": lambda p: os.link(p / FIELD, p / FOLDER / "new"),
    "symlink": lambda p: os.symlink("jpg", p / FOLDER / "new"),
    "mknod": lambda p: os.mkfifo(p / FOLDER / "new"),
    "chmod": lambda p: os.chmod(p / FIELD, 0o666),
    "chown": lambda p: os.chown(p / FIELD, 1, 1),
    "utime": lambda p: os.utime(p / FIELD, (1, 1)),
    "setxattr": lambda p: os.setxattr(p / FIELD, "user.mine", b"x"),
    "set a given xattr": lambda p: os.setxattr(p / FIELD, "user.wds.key", b"x"),
    "removexattr": lambda p: os.removexattr(p / FIELD, "user.wds.key"),
    "write to a raw shard": lambda p: write(p / ".shards/train/train-000000.tar", os.O_WRONLY),
    "write to statistics": lambda p: write(p / ".wdsfs/stats.json", os.O_WRONLY),
}


def write(path, flags):
    descriptor = os.open(path, flags)
    try:
        os.write(descriptor, b"x")
    finally:
        os.close(descriptor)


def close_again(path, flags):
    os.close(os.open(path, flags))


@pytest.fixture
def point(mount_small):
    return mount_small().point


def test_every_change_is_refused_and_changes_nothing(point):
    before = (point / FIELD).read_bytes()
    answers = {}
    for name, attempt in ATTEMPTS.items():
        try:
            attempt(point)
            answers[name] = "allowed"
        except OSError as error:
            answers[name] = errno.errorcode[error.errno]
    # Who is not root is stopped earlier, by the modes, where an open or a parent's mode decides.
    accepted = {"EROFS"} if os.geteuid() == 0 else {"EROFS", "EACCES", "EPERM"}
    assert {name: answer for name, answer in answers.items() if answer not in accepted} == {}
    assert (point / FIELD).read_bytes() == before
    assert len(os.listdir(point / FOLDER)) == 3
