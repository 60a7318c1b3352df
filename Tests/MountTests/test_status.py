"""`wdsfs status`: once, as JSON, in a pipe, and live on a terminal."""

import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
import fcntl

import pytest

from harness import mounts, trees


def read_some(mount, count=10):
    for position in range(count):
        folder = mount.point / "train/0" / trees.index_name(position)
        for file in folder.iterdir():
            file.read_bytes()


def test_status_once_shows_what_was_read(mount_small, run):
    made = mount_small()
    read_some(made)
    shown = run("status", made.point, "--once", "--interval", "0.2")
    assert shown.returncode == 0, shown.stderr
    assert "\x1b" not in shown.stdout
    lines = shown.stdout.splitlines()
    assert lines[0].startswith(f"wdsfs s3://small on {made.point}")
    assert [line.split()[0] for line in lines[2:7]] == ["read", "cache", "network", "retries", "process"]
    assert re.search(r"^train/0 .*10", shown.stdout, re.M)


def test_status_as_json_holds_the_numbers(mount_small, run):
    made = mount_small()
    read_some(made)
    report = json.loads(run("status", made.point, "--once", "--json", "--interval", "0.2").stdout)
    assert report["version"] == 1
    assert report["remote"] == "s3://small"
    assert report["ranks"][0]["split"] == "train" and report["ranks"][0]["position"] == 10
    waits = report["ranks"][0]["waits"]
    assert abs(sum(waits.values()) - 1) < 1e-6
    assert 0.2 <= report["intervalSeconds"] < 5


def test_status_into_a_pipe_writes_a_line_for_each_look_until_the_mount_ends(mount_small, binary):
    made = mount_small()
    read_some(made)
    command = [binary, "status", str(made.point), "--interval", "0.2"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=mounts.clean_environment(),
    ) as process:
        for _ in range(2):
            assert re.match(r"up \d.*, read .*/s, .* samples/s, ", process.stdout.readline())
        made.unmount()
        process.stdout.read()
        assert process.wait(20) == 0
        assert "the mount has ended" in process.stderr.read()


def test_status_where_nothing_is_mounted_says_so(run, tmp_path):
    shown = run("status", tmp_path, "--once")
    assert shown.returncode == 4
    assert shown.stderr == f"wdsfs: no wdsfs is mounted there: {tmp_path}; see findmnt -t fuse.wdsfs\n"


@pytest.mark.parametrize("width", [120, 44])
def test_status_live_redraws_and_gives_the_terminal_back(mount_small, binary, width):
    made = mount_small("--world-size", "3")
    read_some(made, 3)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 20, width, 0, 0))
    before = termios.tcgetattr(slave)
    process = subprocess.Popen(
        [binary, "status", str(made.point), "--interval", "0.2"],
        stdin=slave, stdout=slave, stderr=slave,
        env=mounts.clean_environment(TERM="xterm-256color"),
    )
    seen = ""

    def see(condition, what):
        nonlocal seen
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, f"{what} is missing in {seen!r}"
            if select.select([master], [], [], 0.1)[0]:
                seen += os.read(master, 65536).decode()

    try:
        # The screen is drawn again and again, on the terminal's other page.
        see(lambda: seen.count("\x1b[H") >= 4 and "train/0" in seen, "the screen")
        assert seen.startswith("\x1b[?1049h")
        for line in re.split(r"\r\n|\x1b\[H", seen):
            assert len(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line)) <= width
        os.write(master, b"q")
        assert process.wait(10) == 0
        see(lambda: "\x1b[?1049l" in seen, "the way back")
        assert termios.tcgetattr(slave) == before
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)
