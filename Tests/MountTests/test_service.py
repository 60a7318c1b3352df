"""The unit of systemd, run as systemd would: its command line, its socket, its signal."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import pytest

from harness import mounts

PACKAGE = pathlib.Path(__file__).resolve().parents[2]
UNIT = PACKAGE / "packaging/wdsfs@.service"


def test_systemd_finds_nothing_wrong_with_the_unit(binary, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    folder = tmp_path / "units"
    folder.mkdir()
    # It wants the program to be there, and the pages only where they are installed.
    text = UNIT.read_text().replace("/usr/bin/wdsfs", binary)
    text = re.sub(r"^Documentation=.*\n", "", text, flags=re.M)
    (folder / "wdsfs@.service").write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(folder / "wdsfs@imagenet.service")],
        capture_output=True, text=True, timeout=60,
    )
    about_us = [line for line in (done.stdout + done.stderr).splitlines() if "wdsfs" in line]
    assert (done.returncode, about_us) == (0, []), done.stderr


def test_the_unit_gives_no_mount_namespace():
    """Any of these makes one, and the mount would be seen by the service alone."""
    text = UNIT.read_text()
    for setting in ("ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "PrivateMounts",
                    "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
                    "ProtectControlGroups", "ReadOnlyPaths", "ReadWritePaths", "InaccessiblePaths",
                    "BindPaths", "TemporaryFileSystem", "RootDirectory", "ProtectProc", "DynamicUser"):
        assert not re.search(rf"^{setting}=(?!no|false)", text, re.M), setting


def commanded(binary, config):
    """The words of ExecStart, for an instance whose file lies elsewhere."""
    line = re.search(r"^ExecStart=(.*)$", UNIT.read_text(), re.M)[1]
    return line.replace("/usr/bin/wdsfs", binary).replace("/etc/wdsfs/%i.toml", str(config)).split()


@pytest.mark.parametrize("abstract", [False, True])
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_the_unit_says_ready_and_stops_by_its_signal(binary, uneven, tmp_path, abstract, ending):
    point, cursor = tmp_path / "mnt", tmp_path / "run.cursor"
    point.mkdir()
    config = tmp_path / "uneven.toml"
    config.write_text(
        f'remote = "{uneven.folder}"\nmountpoint = "{point}"\n'
        f'cursor = "{cursor}"\ncache-dir = "{tmp_path}/cache"\n'
    )
    address = f"\0wdsfs-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(address)
    listener.settimeout(30)
    environment = mounts.clean_environment(NOTIFY_SOCKET=address.replace("\0", "@"))
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            commanded(binary, config), env=environment, cwd="/", stdin=subprocess.DEVNULL,
            stdout=log, stderr=log,
        )
    try:
        told = listener.recv(4096).decode().splitlines()
        assert told[0] == "READY=1"
        assert told[1] == f"STATUS={uneven.folder} at {point}"
        # By then it answers, and a unit that comes after this one may read.
        assert mounts.kind_of_mount(point) == "fuse.wdsfs"
        (point / "train/0/00000000/json").read_bytes()
        process.send_signal(ending)
        assert listener.recv(4096).decode().splitlines()[0] == "STOPPING=1"
        assert process.wait(20) == 0
        assert mounts.kind_of_mount(point) is None
        assert cursor.exists()
    finally:
        listener.close()
        process.kill()
        process.wait()
        if mounts.kind_of_mount(point):
            mounts.detach(point)


def test_what_restarting_does_not_mend_is_not_restarted(run, tmp_path):
    listed = re.search(r"^RestartPreventExitStatus=(.*)$", UNIT.read_text(), re.M)[1].split()
    (tmp_path / "a.toml").write_text("cache_siz = 1\n")
    (tmp_path / "b.toml").write_text(f'remote = "{tmp_path}"\nmountpoint = "{tmp_path}/m"\n')
    (tmp_path / "m").mkdir()
    for name in ("a", "b"):
        done = run("mount", "--config", tmp_path / f"{name}.toml", "--foreground")
        assert str(done.returncode) in listed, done.stderr
