"""Pages of documentation, and somebody who types what stands in their blocks."""

import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

from . import mounts

PACKAGE = pathlib.Path(__file__).resolve().parents[2]
STAND_INS = PACKAGE / "Tests/MountTests/stand_ins"
SECONDS = 50


def blocks(page):
    """(line, language, text) of the fenced blocks of a page."""
    found, begin = [], None
    for number, line in enumerate((PACKAGE / page).read_text().splitlines(), 1):
        fence = re.match(r"```(.*)$", line)
        if fence and begin is None:
            begin, language, lines = number, fence[1].strip(), []
        elif fence:
            found.append((begin, language, "\n".join(lines) + "\n"))
            begin = None
        elif begin is not None:
            lines.append(line)
    assert begin is None, f"{page}:{begin}: the block does not end"
    return found


def commands(text):
    """The command lines of a block: what ends in a backslash goes on, what follows ` #` is for the reader."""
    joined = re.sub(r"\\\n\s*", "", text)
    lines = (re.sub(r"(^|\s+)#\s.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line]


class Failed(Exception):
    """What was typed did not end well; with all that it said."""


class Typist:
    """Types blocks in a folder that has the checkout's files, on a machine that stands in for the page's."""

    def __init__(self, folder, binary, store, bucket, places):
        self.folder, self.work, self.binary = folder, folder / "work", binary
        self.point = folder / "mnt"
        programs = folder / "bin"
        for made in (self.work, programs, self.point, folder / "etc", folder / "tmp"):
            made.mkdir()
        (programs / "wdsfs").symlink_to(binary)
        # Not a link: by its place Python knows which packages it has.
        (programs / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (programs / "python3").chmod(0o755)
        for name in ("examples", "scripts", "Tests", "packaging", "Dockerfile"):
            (self.work / name).symlink_to(PACKAGE / name)
        self.places = {
            "s3://bucket/dataset": "s3://bucket/imagenet", "s3://bucket/set": "s3://bucket/imagenet",
            "s3://bucket/old": "s3://bucket/imagenet", "/mnt/wds": str(self.point),
            "/scratch/wds": str(folder / "scratch"), "/data/imagenet": os.path.join(bucket.folder, "imagenet"),
            "/data/set": os.path.join(bucket.folder, "imagenet"), "/etc/wdsfs": str(folder / "etc"),
            "/var/lib/wdsfs": str(folder / "tmp"), "200GB": "64MiB", **places,
        }
        self.environment = {
            **store.environment(
                AWS_ENDPOINT_URL=store.server.endpoint, TMPDIR=folder / "tmp",
                WDSFS_CACHE_DIR=folder / "cache", PYTHON=sys.executable,
                WDSFS_TEST_ETC=folder / "etc", TERM="xterm-256color",
            ),
            "PATH": f"{programs}:{STAND_INS}:{os.environ['PATH']}",
        }

    def here(self, text):
        """The text as it must read on this machine."""
        for place, ours in self.places.items():
            text = text.replace(place, ours)
        return text

    def write(self, text):
        """Writes a block that begins with `# NAME` to that file; says whether it was one."""
        text = self.here(text)
        name = re.match(r"# (\S+\.\w+)\n", text)
        if name:
            (self.work / name[1]).write_text(text)
        return bool(name)

    def type(self, text, **variables):
        """Runs a block as one script."""
        done = subprocess.run(
            ["bash", "-euc", self.here(text)], cwd=self.work, env={**self.environment, **variables},
            timeout=SECONDS, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise Failed(f"exit {done.returncode} of {text}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def watch(self, command, **variables):
        """Runs what goes on until Ctrl-C, on a terminal: types that once something is to be seen."""
        command = self.here(command)
        pid, terminal = pty.fork()
        if pid == 0:
            # A shell that has sent us to the background has made these ignored.
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            os.chdir(self.work)
            os.execvpe("bash", ["bash", "-c", command], {**self.environment, **variables})
        shown, sent, deadline = b"", False, time.monotonic() + SECONDS
        try:
            while time.monotonic() < deadline:
                if select.select([terminal], [], [], 0.05)[0]:
                    try:
                        shown += os.read(terminal, 65536)
                    except OSError:
                        break
                serves = " mount " not in command or mounts.kind_of_mount(self.point)
                if shown and serves and not sent:
                    os.write(terminal, b"\x03")
                    sent = True
            else:
                raise Failed(f"{command} did not end by Ctrl-C:\n{shown.decode()}")
        finally:
            if not sent or time.monotonic() >= deadline:
                os.killpg(pid, signal.SIGKILL)
            os.close(terminal)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status not in (0, 128 + signal.SIGINT, -signal.SIGINT):
            raise Failed(f"exit {status} of {command}\n{shown.decode()}")

    def fstab(self, text):
        """Mounts by a table, looks, and unmounts; where mount(8) finds our helper, seen by this alone."""
        helpers, table = self.folder / "sbin", self.folder / "fstab"
        helpers.mkdir()
        for name in ("mount.wdsfs", "mount.fuse.wdsfs"):
            (helpers / name).symlink_to(self.binary)
        table.write_text(self.here(text))
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-euc",
             f'mount --bind "{helpers}" "{os.path.realpath("/sbin")}"\nmount -a -T "{table}"\n'
             f'ls "{self.point}"\numount "{self.point}"'],
            env=self.environment, timeout=SECONDS, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )
        if done.returncode or not done.stdout.strip():
            raise Failed(f"exit {done.returncode} of {text}\n{done.stdout}\n{done.stderr}")

    def leave(self):
        """Unmounts what was left mounted, and waits for its end."""
        for point, _ in mounts.mounted(below=self.folder):
            mounts.detach(point)
        mounts.wait_until(
            lambda: not mounts.processes_naming(self.folder), 20, "all that the page mounted has ended"
        )


def copy_of_checkout(folder):
    """The checkout's files, for scripts that write there; what was built and installed is that of the original."""
    unwanted = shutil.ignore_patterns(".git", ".build*", ".venv*", "__pycache__", "results")
    shutil.copytree(PACKAGE, folder, ignore=unwanted, symlinks=True)
    for name in (".build", ".venv", ".venv-peers"):
        (PACKAGE / name).mkdir(exist_ok=True)
        (folder / name).symlink_to(PACKAGE / name)
    return folder
