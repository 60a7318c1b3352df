"""Who may see what: other users, ordinary users who mount, and root's rights once it is mounted."""

import os
import pathlib
import resource
import shutil
import signal
import subprocess
import textwrap

import pytest

from harness import mounts, shards, trees

NOBODY = 65534

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user is root's")


def as_nobody(*words):
    return subprocess.run(
        ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", *map(str, words)],
        capture_output=True, timeout=20, cwd="/",
    )


@pytest.fixture
def open_folder():
    """A folder that every user may enter; pytest's own are its user's."""
    import tempfile

    folder = pathlib.Path(tempfile.mkdtemp(prefix="wdsfs-open-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    while shown := mounts.mounted(below=folder):
        mounts.detach(shown[0][0])
    shutil.rmtree(folder)


# X2, X3: other users


@root_only
@pytest.mark.parametrize("is_allowed", [False, True])
def test_others_see_the_mount_only_where_they_are_allowed(
    binary, small, open_folder, tmp_path, live, is_allowed
):
    options = ["--allow-other"] if is_allowed else []
    made = mounts.Mount(
        binary, small.folder, open_folder / "mnt", *options, cache_dir=tmp_path / "cache"
    )
    live.append(made)
    with made:
        sample = small.rank("train")[0]
        path = made.point / "train/0/00000000" / sample.listed_names()[0]
        assert shards.sha256(path.read_bytes()) == sample.fields[0].sha256
        for word in ("cat", "stat", "ls"):
            done = as_nobody(word, path)
            assert (done.returncode == 0) == is_allowed, done.stderr
        # What moves the run is its owner's in any case.
        for control in ("train/0/.cursor", ".wdsfs/cursor.json"):
            assert as_nobody("cat", made.point / control).returncode != 0
            assert as_nobody("sh", "-c", f"echo 1 > {made.point / control}").returncode != 0
        assert as_nobody("sh", "-c", f"echo 1 > {path}").returncode != 0


# Section 4 of the issue: what a mount that root made may still do


KEPT = (1 << 21) | (1 << 1) | (1 << 3)


@root_only
def test_root_keeps_the_rights_alone_that_a_mount_uses(mount_small, small, equal, tmp_path):
    made = mount_small("--cursor", tmp_path / "run.cursor")
    equal(made, small)
    (pid,) = made.pids()
    tasks = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
    assert len(tasks) > 3
    for task in tasks:
        try:
            status = (task / "status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            # A thread that had nothing to do has ended.
            continue
        lines = dict(line.split(":\t", 1) for line in status.splitlines())
        for name in ("CapPrm", "CapEff", "CapBnd"):
            assert int(lines[name], 16) & ~KEPT == 0, f"{task.name}: {name} {lines[name]}"
        for name in ("CapInh", "CapAmb"):
            assert int(lines[name], 16) == 0
        assert lines["NoNewPrivs"] == "1"
    os.kill(pid, signal.SIGTERM)
    mounts.wait_until(lambda: not made.pids(), 10, "it could still unmount")
    assert mounts.kind_of_mount(made.point) is None


@root_only
def test_root_saves_the_cursor_of_an_ordinary_user(mount, small, open_folder, tmp_path):
    theirs = open_folder / "theirs"
    theirs.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    (theirs / "sticky").mkdir(mode=0o777)
    (theirs / "sticky").chmod(0o1777)
    for cursor in (theirs / "run.cursor", theirs / "sticky/run.cursor"):
        for _ in range(2):
            made = mount(small.folder, "--cursor", cursor, cache_dir=tmp_path / "cache")
            os.listdir(made.point / "train/0")
            trees.check_sample(
                made.point / "train/0" / os.listdir(made.point / "train/0")[0],
                small.rank("train")[int(os.listdir(made.point / "train/0")[0])],
            )
            made.unmount()
            assert "write_failed" not in made.log.read_text()
            os.chown(cursor, NOBODY, NOBODY)
            made.log.unlink()


# Without root, by fusermount3


ORDINARY = textwrap.dedent("""
    set -e
    # A machine that builds may keep the device to root: here is one for everybody.
    mount -t tmpfs -o mode=0755,dev none "$1/dev"
    mknod -m 0666 "$1/dev/fuse" c 10 229
    mount --bind "$1/dev/fuse" /dev/fuse
    exec setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$1" "$2" "$3" "$1" "$4"
""")

JOURNEY = textwrap.dedent("""
    import hashlib, os, signal, subprocess, sys, time
    folder = sys.argv[1]
    binary, remote = f"{folder}/wdsfs", f"{folder}/set"
    point, cache = f"{folder}/point", f"{folder}/cache"
    assert os.geteuid() == 65534
    os.mkdir(point)
    words = [binary, "mount", remote, point, "--cache-dir", cache, "--cursor", f"{folder}/run.cursor",
             "--log-file", f"{folder}/log"]

    def pid():
        return int(open(f"{point}/.wdsfs/config.json").read().split('"pid" : ')[1].split(",")[0])

    def check():
        assert sorted(os.listdir(point)) == ["train", "val"]
        name = next(n for n in os.listdir(f"{point}/train/0/00000000") if n.endswith(".jpg"))
        data = open(f"{point}/train/0/00000000/{name}", "rb").read()
        assert hashlib.sha256(data).hexdigest() == sys.argv[2], "other bytes"
        status = open(f"/proc/{pid()}/status").read()
        assert "CapEff:\\t0000000000000000" in status and "NoNewPrivs:\\t0" in status
        # Not even its own user may look into its memory.
        assert os.stat(f"/proc/{pid()}/environ").st_uid == 0

    def table():
        return [line for line in open("/proc/mounts") if f" {point} " in line]

    subprocess.run(words, check=True)
    check()
    (line,) = table()
    for flag in ("nosuid", "nodev", "noatime", "user_id=65534", "default_permissions"):
        assert flag in line, line
    assert " fuse.wdsfs " in line and "allow_other" not in line
    # What it was killed in, the next takes up.
    os.kill(pid(), signal.SIGKILL)
    time.sleep(0.5)
    subprocess.run(words, check=True)
    check()
    assert len(table()) == 1
    subprocess.run([binary, "unmount", point], check=True)
    assert table() == []
    subprocess.run(words, check=True)
    served = pid()
    os.kill(served, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{served}") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{served}") and table() == []
    print("all well")
""")


@root_only
def test_an_ordinary_user_mounts_by_fusermount3(binary, small, open_folder):
    (open_folder / "dev").mkdir()
    # Its owner from here on: binary, shards and all that it makes.
    shutil.copy(binary, open_folder / "wdsfs")
    shutil.copytree(small.folder, open_folder / "set")
    (open_folder / "journey.py").write_text(JOURNEY)
    for path in [open_folder, *open_folder.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", ORDINARY, "sh", open_folder,
         shutil.which("python3", path="/usr/bin:/usr/local/bin:/bin") or "python3",
         open_folder / "journey.py", small.rank("train")[0].fields[0].sha256],
        capture_output=True, text=True, timeout=60, env=mounts.clean_environment(),
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("allowed", [False, True])
def test_a_core_is_left_only_where_it_is_asked_for(mount, small, tmp_path, allowed):
    if pathlib.Path("/proc/sys/fs/suid_dumpable").read_text().strip() != "0":
        pytest.skip("this machine dumps the core of any process")
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("no process may leave a core here")
    if allowed and pathlib.Path("/proc/sys/kernel/core_pattern").read_text().startswith("|"):
        pytest.skip("a program of this machine's takes the cores")
    made = mount(small.folder, "-f", *(["--core"] if allowed else []), start=False)
    process = made.start_in_foreground(
        ["sh", "-c", 'ulimit -c "$(ulimit -H -c)" && exec "$@"', "sh"], cwd=tmp_path
    )
    trees.check_listing(made.point / "train/0", len(small.rank("train")))
    # Of those that leave a core, one that nobody handles or ignores.
    process.send_signal(signal.SIGXCPU)
    # Not by `wait`: it hides whether there is a core.
    _, status = os.waitpid(process.pid, 0)
    process.returncode = status
    assert os.WIFSIGNALED(status)
    assert os.WCOREDUMP(status) == allowed
