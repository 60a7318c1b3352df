"""How a mount comes, goes, and is killed."""

import os
import signal
import subprocess
import time

import pytest

from harness import mounts, trees


def answered(mount):
    """A listing through the mount, in this process."""
    return sorted(os.listdir(mount.point))


def gone(mount, seconds):
    return mounts.wait_until(
        lambda: not mount.pids() and mounts.kind_of_mount(mount.point) is None,
        seconds,
        "unmounted and the process gone",
    )


def test_it_returns_once_the_mount_answers_and_lets_go_of_its_parent(binary, store, small, mount, tmp_path):
    made = mount("s3://small", *store.options(), environment=store.environment(), start=False)
    made.point.mkdir()
    # Pipes on purpose: they end only if the background process holds none of them.
    done = subprocess.run(
        made.command(), stdin=subprocess.DEVNULL, capture_output=True, env=made.environment, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert answered(made) == ["train", "val"]
    (pid,) = made.pids()
    assert os.getsid(pid) != os.getsid(0)
    assert os.readlink(f"/proc/{pid}/cwd") == "/"


def test_a_mount_without_a_command_is_the_same(binary, store, small, mount):
    made = mount("s3://small", *store.options(), environment=store.environment(), start=False)
    made.point.mkdir()
    words = made.command()
    words.remove("mount")
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, env=made.environment, timeout=30)
    assert answered(made) == ["train", "val"]


def test_unmount_ends_it(mount_small):
    made = mount_small()
    begin = time.monotonic()
    made.unmount()
    assert time.monotonic() - begin < 5
    gone(made, 2)
    assert os.listdir(made.point) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_unmounts_cleanly(mount_small, number):
    made = mount_small()
    trees.check_listing(made.point / "train/0", 21)
    (pid,) = made.pids()
    os.kill(pid, number)
    assert gone(made, 5) < 2.5
    assert os.listdir(made.point) == []


def foreground(made, store):
    made.point.mkdir()
    log = open(f"{made.point}.stderr", "wb")
    process = subprocess.Popen(
        made.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=made.environment,
        start_new_session=True,
    )
    log.close()
    mounts.wait_until(
        lambda: mounts.kind_of_mount(made.point) or process.poll() is not None, 20, "mounted"
    )
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_in_the_foreground_it_stays_and_exits_0(mount, store, small, number):
    made = mount("s3://small", "-f", *store.options(), environment=store.environment(), start=False)
    process = foreground(made, store)
    assert answered(made) == ["train", "val"]
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(10) == 0
    assert mounts.kind_of_mount(made.point) is None


@pytest.mark.parametrize("detach", ["-u", "-uz"])
def test_fusermount_ends_it(mount, store, small, detach):
    made = mount("s3://small", "-f", *store.options(), environment=store.environment(), start=False)
    process = foreground(made, store)
    assert answered(made) == ["train", "val"]
    subprocess.run(["fusermount3", detach, made.point], check=True, timeout=20)
    assert process.wait(10) == 0


def test_sigterm_with_a_file_open_detaches_lazily(mount_small, small):
    made = mount_small()
    sample = small.rank("train")[0]
    with open(made.point / "train/0/00000000" / sample.listed_names()[0], "rb") as file:
        file.read(1)
        (pid,) = made.pids()
        os.kill(pid, signal.SIGTERM)
        mounts.wait_until(lambda: mounts.kind_of_mount(made.point) is None, 10, "detached")
    gone(made, 40)


def test_a_killed_mount_is_taken_up_again(mount_small, small, equal):
    made = mount_small()
    equal(made, small)
    made.kill()
    with pytest.raises(OSError):
        os.listdir(made.point)
    begin = time.monotonic()
    made.start()
    assert time.monotonic() - begin < 3
    equal(made, small)
    with open("/proc/mounts", encoding="utf-8") as table:
        assert len([line for line in table if f" {made.point} " in line]) == 1


def test_killed_at_random_moments_under_readers(mount_small, small, equal):
    import random

    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    generator = random.Random(seed)
    made = mount_small()
    for _ in range(5):
        readers = [
            subprocess.Popen(
                ["find", str(made.point), "-type", "f", "-exec", "cat", "{}", "+"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for _ in range(4)
        ]
        deadline = time.monotonic() + generator.uniform(0, 0.3)
        mounts.wait_until(lambda: time.monotonic() > deadline, 5, "the moment")
        made.kill()
        for reader in readers:
            reader.wait(20)
        made.start()
    equal(made, small)


def test_a_mount_that_is_not_ours_is_never_cleared_away(run, store, small, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs is root's")
    point = tmp_path / "theirs"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", point], check=True)
    try:
        (point / "mine").write_text("mine")
        done = run("mount", "s3://small", point, *store.options(), environment=store.environment())
        assert done.returncode == 6
        assert (point / "mine").read_text() == "mine"
    finally:
        subprocess.run(["umount", point], check=True)


def test_two_mounts_share_a_cache(mount_small, small, equal, tmp_path):
    first = mount_small(name="one", cache_dir=tmp_path / "cache")
    second = mount_small("--world-size", 2, name="two", cache_dir=tmp_path / "cache")
    equal(first, small)
    equal(second, small, world_size=2)
    first.unmount()
    equal(second, small, world_size=2)


def test_a_cache_in_memory_leaves_nothing_on_disk(mount, store, small, equal, tmp_path):
    made = mount("s3://small", *store.options(), environment=store.environment(), cache_dir="memory")
    equal(made, small)
    assert "memory" not in os.listdir(tmp_path)


def test_the_log_is_written_where_it_is_said(mount_small):
    made = mount_small("--log-level", "debug")
    answered(made)
    made.unmount()
    lines = made.log.read_text().splitlines()
    assert lines and all("event=" in line for line in lines)


def test_no_secret_in_arguments_log_or_config(mount_small, store):
    made = mount_small("--log-level", "trace")
    trees.check_listing(made.point / "train/0", 21)
    (pid,) = made.pids()
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        assert store.server.secret_key.encode() not in file.read()
    texts = [made.log.read_text(), (made.point / ".wdsfs/config.json").read_text()]
    made.unmount()
    assert not [text for text in texts if store.server.secret_key in text]


def test_help_and_version(run):
    for words in (["--help"], ["mount", "--help"], ["unmount", "--help"], ["--version"]):
        done = run(*words)
        assert done.returncode == 0 and done.stdout.strip() and not done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's mount leaves mount(2) to fusermount3")
def test_a_mount_asks_nothing_of_itself(mount, small, equal, tmp_path):
    # Killed meanwhile, it would wait for its own answer and hold its device open for ever.
    made = mount(small.folder, "-f", "--cursor", tmp_path / "run.cursor", start=False)
    tracer = ["strace", "-f", "-qq", "-o", tmp_path / "calls", "-e", "trace=%file"]
    process = made.start_in_foreground(tracer)
    equal(made, small)
    made.unmount()
    assert process.wait(20) == 0
    lines = (tmp_path / "calls").read_text().splitlines()
    names = [line for line in lines if f'"{made.point}"' in line or f'"{made.point}/' in line]
    mounted = next(number for number, line in enumerate(names) if " mount(" in line)
    assert names[mounted + 1 :] == []
