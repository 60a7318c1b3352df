"""Mounts with wdsfs, and clears away whatever such a mount may have left."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import time

# A build that is slow, with a sanitizer in it, gets so many times as long.
PATIENCE = int(os.environ.get("WDSFS_TEST_PATIENCE", "1"))
MOUNT_SECONDS = 60 * PATIENCE

# What would steer a mount from outside; a harness starts from nothing.
STEERING = ("AWS_", "WDSFS_", "SLURM_", "OMPI_")
STEERING_NAMES = {"WORLD_SIZE", "RANK", "LOCAL_RANK", "XDG_CACHE_HOME"}


class MountFailed(Exception):
    """`wdsfs mount` said no."""

    def __init__(self, code, stderr):
        super().__init__(f"exit {code}: {stderr.strip()}")
        self.code, self.stderr = code, stderr


def clean_environment(**more):
    """Our environment without what steers a mount, and with what is given."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(STEERING) and name not in STEERING_NAMES
    }
    # The user's own AWS files must not speak in a test.
    kept["AWS_CONFIG_FILE"] = kept["AWS_SHARED_CREDENTIALS_FILE"] = "/dev/null"
    kept["AWS_EC2_METADATA_DISABLED"] = "true"
    kept.update({name: str(value) for name, value in more.items()})
    return kept


def mounted(below=None):
    """Mount points with their file system types, the latest first; all, or those below a folder."""
    prefix = None if below is None else os.path.realpath(below).rstrip("/") + "/"
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            words = line.split()
            point = words[4].encode("utf-8", "surrogateescape").decode("unicode_escape")
            kind = words[words.index("-") + 1]
            if prefix is None or (point + "/").startswith(prefix):
                found.append((point, kind))
    return found[::-1]


def kind_of_mount(point):
    """The file system type mounted at a point, or None; asks the table, never the mount."""
    wanted = os.path.abspath(point)
    return next((kind for mount_point, kind in mounted() if mount_point == wanted), None)


def detach(point):
    """Takes a mount out of the tree, whatever state it is in."""
    for command in (["fusermount3", "-uz", str(point)], ["umount", "-l", str(point)]):
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=20)
            if done.returncode == 0:
                return True
    return False


def processes_naming(text, sources=("cmdline",)):
    """Processes, other than ours, that have a text in their arguments (or `environ`, if asked)."""
    wanted, found = os.fsencode(str(text)), []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) not in (os.getpid(), os.getppid()):
            for source in sources:
                try:
                    with open(f"/proc/{entry}/{source}", "rb") as file:
                        named = wanted in file.read()
                except OSError:
                    continue
                if named:
                    found.append(int(entry))
                    break
    return found


def wait_until(condition, seconds, what):
    """Waits for a condition; returns how long it took."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            raise TimeoutError(f"after {seconds} s still not: {what}")
        time.sleep(0.01)
    return time.monotonic() - begin


class Mount:
    """One wdsfs mount: made, used, unmounted, and gone even if that fails."""

    def __init__(self, binary, remote, point, *options, environment=None, cache_dir=None):
        self.binary, self.remote, self.point = str(binary), str(remote), pathlib.Path(point)
        self.options = [str(option) for option in options]
        self.environment = clean_environment() if environment is None else environment
        self.cache_dir = pathlib.Path(cache_dir or f"{self.point}.cache")
        self.log = pathlib.Path(f"{self.point}.log")

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            # Interrupted half way: what is being mounted must not come up behind our back.
            self.clear()
            raise

    def __exit__(self, *_):
        self.clear()

    def command(self):
        words = [self.binary, "mount", self.remote, str(self.point), *self.options]
        for name, value in (("--cache-dir", self.cache_dir), ("--log-file", self.log)):
            if not any(option.split("=")[0] == name for option in self.options):
                words += [name, str(value)]
        return words

    def start(self):
        """Mounts in the background; returns once the mount answers."""
        # Without a look at what is there: where a mount has died, every look fails.
        with contextlib.suppress(FileExistsError):
            self.point.mkdir(parents=True)
        # Files, not pipes: a daemon that kept a pipe open would keep us waiting for its end.
        with open(f"{self.point}.stderr", "w+b") as errors:
            done = subprocess.run(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env=self.environment,
                timeout=MOUNT_SECONDS,
            )
            errors.seek(0)
            text = errors.read().decode(errors="replace")
        if done.returncode != 0:
            raise MountFailed(done.returncode, text)
        return self

    def start_in_foreground(self, prefix=(), **options):
        """Runs a mount that was given `-f`; returns its process once something is mounted."""
        with contextlib.suppress(FileExistsError):
            self.point.mkdir(parents=True)
        with open(f"{self.point}.stderr", "wb") as errors:
            process = subprocess.Popen(
                [*map(str, prefix), *self.command()],
                stdin=subprocess.DEVNULL,
                env=self.environment,
                start_new_session=True,
                **{"stdout": errors, "stderr": errors, **options},
            )
        wait_until(
            lambda: kind_of_mount(self.point) or process.poll() is not None, MOUNT_SECONDS, "mounted"
        )
        return process

    def pids(self):
        """The processes that serve this mount."""
        program, found = os.path.realpath(self.binary), []
        for pid in processes_naming(self.point):
            try:
                # A program that was built anew since has " (deleted)" behind its name.
                if os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)") == program:
                    found.append(pid)
            except OSError:
                continue
        return found

    def kill(self):
        """Ends it as a crash would: no unmount, no saving."""
        pids = self.pids()
        if not pids:
            raise RuntimeError(f"no process of {self.binary} serves {self.point}")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.pids(), 10, "the killed mount is gone")

    def unmount(self):
        """By `wdsfs unmount`; the process must be gone soon after."""
        done = subprocess.run(
            [self.binary, "unmount", str(self.point)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=MOUNT_SECONDS,
        )
        if done.returncode != 0:
            raise MountFailed(done.returncode, done.stderr)
        wait_until(lambda: not self.pids(), 10, "the unmounted process is gone")

    def clear(self):
        """Leaves no mount and no process, whatever happened before."""
        if kind_of_mount(self.point):
            detach(self.point)
        deadline = time.monotonic() + 3
        while self.pids() and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        while kind_of_mount(self.point) and detach(self.point):
            pass
