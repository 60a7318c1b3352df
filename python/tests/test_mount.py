"""A mount of our own: found, made, used, and gone after every end."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

import wdsfs
from harness import mounts


def points():
    return [point for point, _ in mounts.mounted(below=os.environ["TMPDIR"])]


def test_a_remote_is_mounted_and_unmounted(numbers):
    with wdsfs.Mount(numbers.folder) as mount:
        assert points() == [mount.point]
        assert sorted(os.listdir(mount.point)) == ["train", "val"]
        folder = mount.rank("train")
        assert (folder.epoch, folder.sample_count) == (0, None)
        assert list(folder.positions()) == list(range(53))
        assert folder.sample_count == 53
        assert folder.read(7) == {"json": b'{"number": 7}', "cls": b"0"}
        assert folder.read(7, ["cls"]) == {"cls": b"0"}
        assert folder.info(7) == ("000007", "train/train-000001.tar", 2)
    assert points() == [] and os.listdir(os.environ["TMPDIR"]) == []
    mount.close()


def test_a_mount_that_is_there_is_used_and_left(numbers):
    with wdsfs.Mount(numbers.folder, names="field") as mount:
        other = wdsfs.Mount(mount.point)
        assert not other.is_own
        assert other.rank("val").read(0) == {"json": b'{"number": 0}', "cls": b"0"}
        other.close()
        assert points() == [mount.point]
        with pytest.raises(wdsfs.MountFailed, match="mounted with --shuffle none, not full"):
            wdsfs.Mount(mount.point, shuffle="full")


def test_a_mount_of_other_ranks_is_refused(numbers):
    with wdsfs.Mount(numbers.folder) as mount:
        with pytest.raises(wdsfs.MountFailed, match="mounted for 1 ranks: mount it with --world-size"):
            wdsfs.Mount(mount.point, rank=2, world_size=4)


@pytest.mark.parametrize("end", ["exit", "exception", "os.fork", "SIGTERM", "SIGKILL"])
def test_it_is_unmounted_however_the_process_ends(numbers, script, end):
    process = script(
        """
import os, sys, wdsfs
mount = wdsfs.Mount(sys.argv[1])
if sys.argv[2] == "os.fork":
    child = os.fork()
    if child == 0:
        # Ends as any program does, with all that is done at exit.
        sys.exit(0)
    os.waitpid(child, 0)
    assert os.listdir(mount.point)
print("mounted", flush=True)
if sys.argv[2] == "exception":
    raise ValueError("as it goes")
if sys.argv[2].startswith("SIG"):
    import time
    time.sleep(60)
""",
        numbers.folder, end,
    )
    assert process.stdout.readline() == "mounted\n", process.stderr.read()
    if end.startswith("SIG"):
        assert len(points()) == 1
        process.send_signal(getattr(signal, end))
    process.communicate(timeout=30)
    if end.startswith("SIG"):
        mounts.wait_until(lambda: not points(), 20, "unmounted by the watcher")
        mounts.wait_until(lambda: not os.listdir(os.environ["TMPDIR"]), 10, "its folder is gone")
    assert points() == [] and os.listdir(os.environ["TMPDIR"]) == []


def test_what_a_killed_watcher_left_is_cleared_by_the_next(numbers, script):
    process = script(
        "import sys, time, wdsfs; m = wdsfs.Mount(sys.argv[1]); print(m.point, flush=True); time.sleep(60)",
        numbers.folder,
    )
    point = process.stdout.readline().strip()
    folder = os.path.dirname(point)
    for pid in mounts.processes_naming("wdsfs-watch"):
        if folder.encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    process.kill()
    process.communicate()
    assert points() == [point]
    with wdsfs.Mount(numbers.folder) as mount:
        assert points() == [mount.point]
        # One that is alive is left alone.
        with wdsfs.Mount(numbers.folder) as other:
            assert sorted(points()) == sorted([mount.point, other.point])
    assert points() == []


def test_the_binary_is_named_or_in_the_path(binary, monkeypatch, tmp_path):
    assert wdsfs.find_binary() == binary
    monkeypatch.setenv("WDSFS_BINARY", str(tmp_path / "none"))
    with pytest.raises(wdsfs.BinaryNotFound, match="WDSFS_BINARY names .*none"):
        wdsfs.find_binary()
    monkeypatch.delenv("WDSFS_BINARY")
    (tmp_path / "wdsfs").symlink_to(binary)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert wdsfs.find_binary() == str(tmp_path / "wdsfs")


def test_without_a_binary_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv("WDSFS_BINARY")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("wdsfs.mount.__file__", str(tmp_path / "a/b/mount.py"))
    with pytest.raises(wdsfs.BinaryNotFound, match="set WDSFS_BINARY to it"):
        wdsfs.find_binary()


@pytest.mark.parametrize(
    "remote, options, code, said",
    [("/nowhere/at/all", {}, 4, "nowhere"), (None, {"no_such": 1}, 2, "no-such")],
)
def test_what_the_mount_says_is_the_error(numbers, remote, options, code, said):
    with pytest.raises(wdsfs.MountFailed, match=said) as caught:
        wdsfs.Mount(remote or numbers.folder, **options)
    assert caught.value.code == code
    assert points() == [] and os.listdir(os.environ["TMPDIR"]) == []


def test_a_split_must_be_named_where_there_are_several(numbers):
    with wdsfs.Mount(numbers.folder) as mount:
        with pytest.raises(wdsfs.SplitError, match="several splits: name one of train, val"):
            mount.split()
        with pytest.raises(wdsfs.SplitError, match="no split 'test': name one of train, val"):
            mount.split("test")


def test_without_torch_there_are_mounts_and_a_word_about_it(numbers, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('none')")
    done = subprocess.run(
        [sys.executable, "-c", """
import sys, wdsfs
with wdsfs.Mount(sys.argv[1]) as mount:
    print(mount.rank("train").read(0, ["cls"]))
try:
    wdsfs.StreamingWebDataset
except ImportError as error:
    print(error)
try:
    wdsfs.nonsense
except AttributeError as error:
    print(error)
""", numbers.folder],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ['PYTHONPATH']}"},
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    assert "{'cls': b'0'}" in done.stdout
    assert "wants torch, which is not installed here: pip install torch" in done.stdout
    assert "no attribute 'nonsense'" in done.stdout
