"""Says what a test run left behind in its folder, and clears it away.

    python -m harness.sweep FOLDER

Only mounts below that folder are touched, and processes that name it in their arguments or were
started with it in their environment (it is their TMPDIR). Exits 1 if there were any.
"""

import os
import signal
import sys

from . import mounts


def sweep(folder):
    left = [f"mount {point} ({kind})" for point, kind in mounts.mounted(below=folder)]
    for pid in mounts.processes_naming(folder, sources=("cmdline", "environ")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().replace(b"\0", b" ").decode(errors="replace")
            os.kill(pid, signal.SIGKILL)
            left.append(f"process {pid}: {words.strip()}")
        except OSError:
            continue
    for point, _ in mounts.mounted(below=folder):
        mounts.detach(point)
    return left


def main():
    left = sweep(sys.argv[1])
    for line in left:
        print(f"left behind: {line}"[:300])
    sys.exit(1 if left else 0)


if __name__ == "__main__":
    main()
