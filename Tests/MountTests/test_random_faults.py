"""System calls of a mount fail, drawn at random: right bytes or an error, and no wait without end.

A number names what is drawn, so that one that fails can be run again by itself.
"""

import os
import random

import pytest

# Not `read`, since a mount ends when its device cannot be read; and nothing that glibc ends the process for.
CALLS = """
    readv pread64 preadv write writev pwritev openat newfstatat fstat fstatfs close mmap munmap madvise mprotect
    poll epoll_wait epoll_ctl socket connect recvfrom sendto sendmsg recvmsg setsockopt getsockopt getsockname
    eventfd2 clone3 flock rename renameat unlinkat mkdirat ftruncate fallocate utimensat getdents64 lseek
    clock_nanosleep sched_yield statx getrandom pipe2 fcntl ioctl
""".split()
ERRORS = """
    EINTR EAGAIN ENOMEM ENOSPC EIO EMFILE ENFILE ECONNRESET EPIPE ETIMEDOUT EINVAL EPERM ENOSYS EBUSY
""".split()
OPTIONS = [[], ["--cache-size", "16MiB"], ["--cache-dir", "memory"]]

COUNT = 400 if os.environ.get("WDSFS_TEST_LONG") else 16


@pytest.mark.parametrize("number", range(COUNT))
def test_calls_that_fail_at_random_lose_no_reader(mount, mount_small, small, equal, traced, tmp_path, number):
    drawn = random.Random(number)
    calls = ",".join(drawn.sample(CALLS, drawn.choice([1, 1, 2, 3])))
    fault = f"{calls}:error={drawn.choice(ERRORS)}:when={drawn.randint(1, 30)}+{drawn.randint(2, 20)}"
    options = ["--retry-timeout", "8", *drawn.choice(OPTIONS)]
    if drawn.random() < 0.4:
        options += ["--cursor", tmp_path / "run.cursor", "--ledger", tmp_path / "ledger"]
    made = mount(small.folder, *options) if drawn.random() < 0.5 else mount_small(*options)
    (pid,) = made.pids()
    with traced(pid, fault):
        try:
            equal(made, small, processes=4)
        except OSError as error:
            print(f"{fault}: {error}")
        # Anything else, as a difference, fails.
    equal(made, small)
    assert made.pids() == [pid], fault
