"""What befalls the process of a mount: signals, limits, failing system calls, clocks and logs."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from harness import mounts, runs, shards, trees


@pytest.fixture
def disk(tmp_path_factory):
    """A disk of a mebibyte."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs is root's")
    point = tmp_path_factory.mktemp("disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none", point], check=True)
    yield point
    subprocess.run(["umount", "-l", point], check=True)


def fill(folder):
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            pass
    return filler


@pytest.fixture
def foreground(mount, small, tmp_path):
    """Mounts `small` from its folder in the foreground, so that its exit code can be seen."""
    started = []

    def make(*options, folder=None, prefix=(), **popen):
        made = mount(folder or small.folder, "-f", *options, start=False)
        started.append(made.start_in_foreground(prefix, **popen))
        return made, started[-1]

    yield make
    for process in started:
        process.kill()
        process.wait(10)


def read(made, samples):
    trees.check_rank(made.point / "train/0", samples)


# L10: the cursor's disk is full


def test_a_full_disk_keeps_the_old_cursor_and_stops_no_reader(foreground, small, disk):
    cursor = disk / "run.cursor"
    made, process = foreground("--cursor", cursor)
    samples = small.rank("train")
    read(made, samples[:3])
    mounts.wait_until(lambda: consumed(cursor) == 3, 10, "the cursor is saved")
    kept = cursor.read_bytes()
    filler = fill(disk)
    read(made, samples)
    mounts.wait_until(lambda: "event=cursor.write_failed" in made.log.read_text(), 10, "it is said")
    assert cursor.read_bytes() == kept
    filler.unlink()
    mounts.wait_until(lambda: consumed(cursor) == 21, 10, "the cursor is saved after all")
    assert made.log.read_text().count("event=cursor.write_failed") == 1
    fill(disk)
    os.listdir(made.point / "train/0")
    trees.check_rank(made.point / "val/0", small.rank("val"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 10
    # The old generation is whole, and can be taken up.
    assert consumed(cursor) == 21


def consumed(path):
    """How many samples of train the saved cursor counts."""
    if not path.exists():
        return None
    ((_, positions),) = runs.saved(path)
    return len(positions)


# L11 to L14: how it ends


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_the_signal_of_a_job_that_ends_soon_ends_no_mount(foreground, small, number):
    # `sbatch --signal=USR1@120` tells every process of a job; it is the training that saves itself.
    made, process = foreground()
    process.send_signal(number)
    read(made, small.rank("train"))
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_sigterm_with_a_file_open_exits_0_once_it_is_closed(foreground, small):
    made, process = foreground()
    name = small.rank("train")[0].listed_names()[0]
    with open(made.point / "train/0/00000000" / name, "rb") as file:
        process.send_signal(signal.SIGTERM)
        mounts.wait_until(lambda: mounts.kind_of_mount(made.point) is None, 5, "detached")
        # What is open goes on.
        assert shards.sha256(file.read()) == small.rank("train")[0].fields[0].sha256
        assert process.poll() is None
    assert process.wait(10) == 0


def test_sigterm_with_a_shell_inside_detaches(foreground):
    made, process = foreground()
    inside = subprocess.Popen(["sleep", "60"], cwd=made.point / "train")
    try:
        process.send_signal(signal.SIGTERM)
        mounts.wait_until(lambda: mounts.kind_of_mount(made.point) is None, 5, "detached")
    finally:
        inside.kill()
        inside.wait()
    assert process.wait(10) == 0


def test_a_second_sigterm_ends_it_at_once(foreground, small, tmp_path):
    made, process = foreground("--cursor", tmp_path / "run.cursor")
    read(made, small.rank("train")[:5])
    name = small.rank("train")[0].listed_names()[0]
    with open(made.point / "train/0/00000000" / name, "rb"):
        process.send_signal(signal.SIGTERM)
        mounts.wait_until(lambda: "mount.ending" in made.log.read_text(), 5, "heard")
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 10
        assert time.monotonic() - begin < 1.2
    assert mounts.kind_of_mount(made.point) is None
    assert consumed(tmp_path / "run.cursor") == 5


@pytest.mark.parametrize("how", ["umount -l", "abort"])
def test_taken_from_under_it_it_saves_and_exits_0(foreground, small, tmp_path, how):
    made, process = foreground("--cursor", tmp_path / "run.cursor")
    read(made, small.rank("train")[:4])
    if how == "abort":
        with control_of_fuse(tmp_path) as folder:
            (folder / str(os.minor(os.stat(made.point).st_dev)) / "abort").write_text("1")
    else:
        subprocess.run([*how.split(), made.point], check=True)
    assert process.wait(10) == 0
    assert mounts.kind_of_mount(made.point) is None
    assert consumed(tmp_path / "run.cursor") == 4


@pytest.fixture
def copied(mount_small):
    """A mount, and a process in a namespace of mounts of its own, which has a copy of it."""
    if os.geteuid() != 0:
        pytest.skip("a namespace of mounts is root's")
    made = mount_small()
    process = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sleep", "1000"])
    try:
        own = os.readlink("/proc/self/ns/mnt")
        mounts.wait_until(lambda: os.readlink(f"/proc/{process.pid}/ns/mnt") != own, 20, "its namespace")
        yield made, process
    finally:
        process.kill()
        process.wait(10)


def test_unmount_says_who_still_sees_the_mount(copied, run):
    made, process = copied
    # It waits for the process first.
    done = run("unmount", made.point, seconds=50)
    assert done.returncode == 1
    assert f"(pid {process.pid})" in done.stderr
    process.kill()
    mounts.wait_until(lambda: not made.pids(), 20, "it has ended with the last copy")


@pytest.mark.long
def test_sigterm_ends_a_mount_that_others_have_copies_of(copied):
    made, _ = copied
    (pid,) = made.pids()
    os.kill(pid, signal.SIGTERM)
    mounts.wait_until(lambda: not made.pids(), 50, "it has ended")


class control_of_fuse:
    """The kernel's folder of FUSE connections, mounted where it is not."""

    def __init__(self, scratch):
        self.folder, self.ours = pathlib.Path("/sys/fs/fuse/connections"), scratch / "fusectl"

    def __enter__(self):
        if any(self.folder.iterdir()):
            self.ours = None
            return self.folder
        if os.geteuid() != 0:
            pytest.skip("mounting fusectl is root's")
        self.ours.mkdir()
        subprocess.run(["mount", "-t", "fusectl", "none", self.ours], check=True)
        return self.ours

    def __exit__(self, *_):
        if self.ours:
            subprocess.run(["umount", self.ours], check=True)


# L20 to L22: descriptors, threads, memory


HOLD = """
import os, sys
point, count = sys.argv[1], int(sys.argv[2])
folders = [f"{point}/train/0/{n:08d}" for n in range(500)]
held = []
while len(held) < count:
    for folder in folders:
        held.append(os.open(f"{folder}/jpg", os.O_RDONLY))
        if len(held) == count: break
assert all(len(os.pread(file, 100, 0)) == 100 for file in held[:500])
print("held", flush=True)
sys.stdin.read()
"""


def process_figures(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines())
    return {
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": int(fields["Threads"]),
        "resident": int(fields["RssAnon"].split()[0]) << 10,
    }


@pytest.mark.limit(180)
def test_4000_open_files_cost_no_descriptor_and_no_thread(mount, store):
    dataset = store.dataset("waiting", lambda made: made.add_split("train", [125] * 16, 20_000))
    made = mount(
        "s3://waiting", *store.options(), "--cache-size", "32MiB", environment=store.environment()
    )
    trees.check_listing(made.point / "train/0", len(dataset.rank("train")))
    (pid,) = made.pids()
    holder = subprocess.Popen(
        ["prlimit", "--nofile=5000:5000", sys.executable, "-c", HOLD, made.point, "4000"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        figures = process_figures(pid)
        print(figures)
        assert figures["descriptors"] <= 350
        assert figures["threads"] <= 32
    finally:
        holder.communicate()


MEMORY_GROUPS = pathlib.Path("/sys/fs/cgroup/memory")


@pytest.fixture
def memory_group():
    """Makes a memory control group of so many bytes; version 1 or 2, whichever there is."""
    made = []

    def make(limit):
        if MEMORY_GROUPS.is_dir():
            group, name = MEMORY_GROUPS / f"wdsfs-test-{os.getpid()}", "memory.limit_in_bytes"
        else:
            group, name = pathlib.Path(f"/sys/fs/cgroup/wdsfs-test-{os.getpid()}"), "memory.max"
        try:
            group.mkdir()
            made.append(group)
            (group / name).write_text(str(limit))
        except OSError as error:
            pytest.skip(f"no memory control group can be made here: {error}")
        return group

    yield make
    for group in made:
        mounts.wait_until(lambda: not (group / "cgroup.procs").read_text().strip(), 20, "it is empty")
        group.rmdir()


@pytest.mark.parametrize(("place", "mebibytes"), [("memory", 512), ("memory", 128), ("disk", 128)])
@pytest.mark.limit(180)
def test_it_keeps_within_its_control_group(
    mount, store, memory_group, tmp_path, place, mebibytes
):
    dataset = store.dataset("wide", lambda made: made.add_split("train", [10] * 40, 200_000))
    group = memory_group(mebibytes << 20)
    made = mount(
        "s3://wide", *store.options(), "--cache-size", "2GiB", "--prefetch", "1GiB",
        "--max-workers", "64", environment=store.environment(), start=False,
        cache_dir="memory" if place == "memory" else tmp_path / "cache",
    )
    made.point.mkdir()
    subprocess.run(
        ["sh", "-c", 'echo $$ > "$0"/cgroup.procs; exec "$@"', group, *made.command()],
        check=True, stdin=subprocess.DEVNULL, env=made.environment, timeout=30,
    )
    ranks = {("train", 0): dataset.rank("train")}
    trees.check_tree(made.point, ranks, processes=4)
    document = json.loads((made.point / ".wdsfs/stats.json").read_text())
    if place == "memory":
        assert document["cache"]["budgetBytes"] == mebibytes << 19
    (pid,) = made.pids()
    assert process_figures(pid)["resident"] <= (mebibytes << 19) + (64 << 20)
    made.unmount()


def test_files_that_may_not_grow_stop_nothing(foreground, small, tmp_path):
    # `ulimit -f`: who writes more is sent SIGXFSZ, which would end him.
    made, process = foreground(
        "--log-level", "trace", "--cursor", tmp_path / "run.cursor", prefix=["prlimit", "--fsize=1000:1000"]
    )
    for _ in range(2):
        read(made, small.rank("train"))
    assert process.poll() is None
    assert "event=cache.down" in (made.point / ".wdsfs/log").read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert consumed(tmp_path / "run.cursor") == 21


# L23: system calls that fail


@pytest.mark.parametrize(
    "fault",
    [
        "read,write,preadv,pread64,pwritev,flock,openat:error=EINTR:when=3+7",
        "mmap:error=ENOMEM:when=3+3",
        "clone,clone3:error=EAGAIN",
        "openat:error=EMFILE:when=2+2",
        "socket,connect:error=ENFILE:when=1+2",
    ],
)
def test_system_calls_that_fail_harm_no_reader(mount_small, small, equal, traced, fault):
    made = mount_small("--cache-size", "16MiB")
    (pid,) = made.pids()
    with traced(pid, fault):
        equal(made, small, processes=4)
    assert made.pids() == [pid]
    equal(made, small)


@pytest.mark.parametrize(
    "fault",
    [
        "openat,newfstatat,pread64:error=ENOMEM:when=3+3",
        "openat,newfstatat:error=EMFILE:when=2+2",
        "openat,pread64:error=EINTR:when=1+2",
        "writev:error=EAGAIN:when=12+7",
        "writev:error=ENOMEM:when=2+3",
    ],
)
def test_system_calls_that_fail_harm_no_reader_of_a_folder(mount, small, equal, traced, fault):
    made = mount(small.folder, "--cache-size", "16MiB")
    (pid,) = made.pids()
    with traced(pid, fault):
        equal(made, small, processes=4)
    assert made.pids() == [pid]


def test_who_gets_no_answer_gets_an_error(mount_small, small, equal, traced):
    made = mount_small()
    (pid,) = made.pids()
    with traced(pid, "writev:error=EIO:when=5+9"), pytest.raises(OSError, match="Input/output error"):
        equal(made, small, processes=4)
    equal(made, small)
    assert made.pids() == [pid]


@pytest.mark.parametrize("fault", ["clone,clone3:error=EAGAIN", "clone,clone3:error=EAGAIN:when=1+2"])
def test_a_mount_that_gets_no_thread_waits_for_one_and_says_so(mount, small, equal, tmp_path, fault):
    # As where others have reached the limit of a container's processes.
    made = mount(small.folder, "-f", start=False)
    tracer = ["strace", "-f", "-qq", "-o", tmp_path / "strace", "-e", "trace=clone,clone3", "-e", f"inject={fault}"]
    process = made.start_in_foreground(tracer)
    try:
        if "when" in fault:
            equal(made, small)
            made.unmount()
            assert process.wait(20) == 0
        else:
            assert process.wait(20) == 1
            text = pathlib.Path(f"{made.point}.stderr").read_text()
            assert text.startswith("wdsfs: cannot start a thread: ") and text.count("\n") == 1
            assert mounts.kind_of_mount(made.point) is None
    finally:
        process.kill()
        process.wait(10)


def test_no_request_to_be_had_for_a_moment_does_not_end_the_mount(mount_small, small, equal, traced):
    made = mount_small()
    (pid,) = made.pids()
    for error in ("EAGAIN", "ENOMEM", "EINTR"):
        # The kernel tells no such thing of a blocking descriptor, and libfuse gives up its loop for it.
        with traced(pid, f"read:error={error}:when=5+11"):
            equal(made, small, processes=4)
    assert made.pids() == [pid]


def test_a_session_that_breaks_saves_what_was_read(foreground, small, traced, tmp_path):
    made, process = foreground("--cursor", tmp_path / "run.cursor", "--ledger", tmp_path / "ledger")
    mounts.wait_until(lambda: "event=mount.ready" in made.log.read_text(), 20, "it is ready")
    read(made, small.rank("train")[:4])
    with traced(process.pid, "read:error=EIO"):
        assert process.wait(20) == 1
    errors = pathlib.Path(f"{made.point}.stderr").read_text()
    assert "the mount ended: Input/output error" in errors
    assert mounts.kind_of_mount(made.point) is None
    assert consumed(tmp_path / "run.cursor") == 4
    assert (tmp_path / "ledger").read_text().count("\tok\n") == 4


CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long jump(void) {
  long seconds = 0;
  FILE *file = fopen(getenv("TEST_CLOCK"), "r");
  if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
  return seconds;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int status = real(clock, now);
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += jump();
  return status;
}
int gettimeofday(struct timeval *now, void *zone) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  now->tv_sec = time.tv_sec; now->tv_usec = time.tv_nsec / 1000;
  return 0;
}
time_t time(time_t *now) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  if (now) *now = time.tv_sec;
  return time.tv_sec;
}
"""


@pytest.mark.limit(120)
def test_a_clock_that_jumps_a_day_stops_nothing(mount, small, tmp_path):
    # The kernel's own clock is everybody's; so the program alone is told another time.
    (tmp_path / "clock.c").write_text(CLOCK)
    library, clock = tmp_path / "clock.so", tmp_path / "clock"
    compiler = shutil.which("cc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler here")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "clock.c", "-ldl"], check=True)
    clock.write_text("0")
    made = mount(
        small.folder, "--cursor", tmp_path / "run.cursor", "--log-level", "debug",
        environment=mounts.clean_environment(LD_PRELOAD=library, TEST_CLOCK=clock),
    )
    for jump in ("86400", "-86400", "2592000"):
        clock.write_text(jump)
        begin = time.monotonic()
        trees.check_listing(made.point / "val/0", 6)
        read(made, small.rank("train"))
        assert time.monotonic() - begin < 20
    mounts.wait_until(lambda: consumed(tmp_path / "run.cursor") == 21, 10, "the cursor is saved")
    made.unmount()
    text = made.log.read_text()
    assert "level=error" not in text
    # It lived by that clock.
    assert len({line[:10] for line in text.splitlines()}) == 2


# L25: a log that cannot be written


def test_a_log_on_a_full_disk_stops_nothing(mount, small, equal, disk):
    log = disk / "wdsfs.log"
    made = mount(small.folder, "--log-file", log, "--log-level", "trace")
    fill(disk)
    equal(made, small)
    made.unmount()


def test_a_log_pipe_that_is_closed_or_stuck_stops_nothing(foreground, small, equal):
    for is_read in (True, False):
        reader, writer = os.pipe()
        made, process = foreground(
            "--log-level", "trace", "--log-file", "/dev/stderr", stderr=writer
        )
        os.close(writer)
        if is_read:
            # Nobody listens any more.
            os.close(reader)
        equal(made, small)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        if not is_read:
            os.close(reader)
