"""Runs train.py as it goes in life: uninterrupted, killed again and again, and on other numbers of ranks.

    runs.py FOLDER [--svg FILE]

makes the bucket and three runs in FOLDER, says how each went, and draws their losses. WDSFS_TEST_DIGITS in the
environment holds options that go before those of the command line.
"""

import argparse
import json
import os
import pathlib
import random
import shlex
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRAIN = str(pathlib.Path(__file__).resolve().parent / "train.py")
# For a machine that does much else.
PATIENCE_SECONDS = 900
# A socket's name has 107 bytes at most, and the last 32 are those of Python's workers: /pymp-xxxxxxxx/listener-xxxxxxxx.
MOST_TEMPORARY_BYTES = 75

sys.path.insert(0, str(ROOT / "scripts"))

import bucket  # noqa: E402
from harness import mounts  # noqa: E402


class Run:
    """A run's folder, and the processes that work in it."""

    def __init__(self, remote, folder, epochs, batch_size=32, workers=1, checkpoint_every=10):
        self.remote, self.folder = str(remote), pathlib.Path(folder)
        self.options = [
            "--epochs", epochs, "--batch-size", batch_size, "--workers", workers,
            "--checkpoint-every", checkpoint_every,
        ]
        self.temporary = self.folder.absolute() / "tmp"
        if workers > 0 and len(os.fsencode(self.temporary)) > MOST_TEMPORARY_BYTES:
            raise ValueError(
                f"{self.folder}: workers have sockets in it, whose names may not be so long; name a shorter folder"
            )
        self.temporary.mkdir(parents=True, exist_ok=True)
        self.kills = []

    def start(self, world_size=1):
        launch = [TRAIN]
        if world_size > 1:
            launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={world_size}", TRAIN]
        environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'python'}:{ROOT / 'scripts'}",
            "TMPDIR": str(self.temporary),
            "WDSFS_CACHE_DIR": str(self.folder / "cache"),
            "OMP_NUM_THREADS": "1",
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        }
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [sys.executable, *launch, self.remote, str(self.folder), *map(str, self.options)],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment,
            start_new_session=True,
        )

    def finish(self):
        """Lets it come to its end; returns its result."""
        code = self.process.wait(PATIENCE_SECONDS)
        if code != 0:
            raise RuntimeError(f"exit {code}: {self.text()}")
        return json.loads((self.folder / "result.json").read_text())

    def kill_after(self, steps, delay=0.0):
        """Kills trainers, workers and mounts, at once and for good, when so many more steps are done."""
        wanted = len(self.lines("attempts.jsonl")) + steps
        end = time.monotonic() + PATIENCE_SECONDS
        while len(self.lines("attempts.jsonl")) < wanted:
            if self.process.poll() is not None:
                raise RuntimeError(f"ended by itself, exit {self.process.returncode}: {self.text()}")
            if time.monotonic() > end:
                raise RuntimeError(f"no {wanted} steps in {PATIENCE_SECONDS} s: {self.text()}")
            time.sleep(0.01)
        time.sleep(delay)
        self.kills.append(len(self.lines("attempts.jsonl")))
        self.kill()

    def kill(self):
        for pid in mounts.processes_naming(self.folder):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    # The one that clears away what the mount leaves may live: it is made for this.
                    if b"wdsfs-watch" not in file.read():
                        os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        self.process.wait()
        mounts.wait_until(lambda: not mounts.mounted(below=self.folder), 300, "the dead mounts are cleared")

    def text(self):
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def lines(self, name):
        """The whole lines of a file; the last may be torn by a kill."""
        try:
            text = (self.folder / name).read_text()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def uninterrupted(remote, folder, epochs, **options):
    run = Run(remote, folder, epochs, **options)
    run.start()
    run.result = run.finish()
    return run


def killed(remote, folder, epochs, times, generator, longest=60, **options):
    """Killed so many times after 1 to `longest` steps, then let go."""
    run = Run(remote, folder, epochs, **options)
    for _ in range(times):
        run.start()
        run.kill_after(generator.randint(1, longest), generator.uniform(0, 0.05))
    run.start()
    run.result = run.finish()
    return run


def elastic(remote, folder, epochs, parts, generator, **options):
    """On as many ranks as each part says, killed after its steps; the last part is let go."""
    run = Run(remote, folder, epochs, **options)
    for world_size, steps in parts:
        run.start(world_size)
        if steps is not None:
            run.kill_after(steps, generator.uniform(0, 0.05))
    run.result = run.finish()
    return run


# MARK: the plot

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760, 300, 56, 30, 44
HIGHEST = 2.4


def curve(lines):
    """Samples trained on and the loss, as the mean of about 8 steps."""
    points, seen, window = [], 0, []
    for line in lines:
        seen += sum(len(keys) for keys in line["keys"])
        window = [*window[-7:], float.fromhex(line["loss"])]
        points.append((seen, sum(window) / len(window)))
    return points


def plot(runs):
    """An SVG of the losses; `runs` are (name, colour, width, lines, steps at which it was killed)."""
    most = max(points[-1][0] for points in (curve(lines) for _, _, _, lines, _ in runs))

    def place(seen, loss):
        x = LEFT + (WIDTH - LEFT - 12) * seen / most
        return f"{x:.1f},{TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(loss, HIGHEST) / HIGHEST):.1f}"

    bottom = HEIGHT - BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<path d="M{LEFT},{TOP}V{bottom}H{WIDTH - 12}" fill="none" stroke="#555"/>',
        f'<text x="{(LEFT + WIDTH) // 2}" y="{HEIGHT - 8}" text-anchor="middle">samples trained on</text>',
        f'<text x="16" y="{(TOP + bottom) // 2}" transform="rotate(-90 16 {(TOP + bottom) // 2})" '
        'text-anchor="middle">loss</text>',
    ]
    for loss in (0, 0.5, 1, 1.5, 2):
        x, y = place(0, loss).split(",")
        parts.append(f'<path d="M{x},{y}H{WIDTH - 12}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{loss:g}</text>')
    for seen in range(2000, most + 1, 2000):
        x = place(seen, 0).split(",")[0]
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{seen:,}</text>')
    for number, (name, colour, width, lines, kills) in enumerate(runs):
        points = curve(lines)
        path = " ".join(place(*point) for point in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>')
        for step in kills:
            x, y = place(*points[min(step, len(points) - 1)]).split(",")
            parts.append(f'<circle cx="{x}" cy="{y}" r="4" fill="white" stroke="{colour}" stroke-width="1.5"/>')
        x, y = WIDTH - 330, TOP + 8 + 18 * number
        parts.append(f'<path d="M{x},{y - 4}h24" stroke="{colour}" stroke-width="{width}"/>')
        parts.append(f'<text x="{x + 30}" y="{y}">{name}</text>')
    return "\n".join([*parts, "</svg>\n"])


def kill_steps(run):
    """The step of its own at which each kill came."""
    return [run.lines("attempts.jsonl")[count - 1]["step"] for count in run.kills]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--svg", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args([*shlex.split(os.environ.get("WDSFS_TEST_DIGITS", "")), *sys.argv[1:]])
    generator = random.Random(options.seed)
    remote = options.folder / "bucket"
    bucket.make(remote)
    epochs = options.epochs
    a = uninterrupted(remote, options.folder / "a", epochs)
    print(f"(a) uninterrupted: {a.result}")
    # 45 steps an epoch, so that some are left after the last kill.
    b = killed(remote, options.folder / "b", epochs, 4, generator, longest=min(60, epochs * 9))
    same = a.lines("steps.jsonl") == b.lines("steps.jsonl")
    print(f"(b) killed at steps {kill_steps(b)}: {b.result}; the same losses to the bit: {same}")
    steps = epochs * 15
    c = elastic(
        remote, options.folder / "c", epochs, [(4, steps), (2, steps), (3, None)], generator, batch_size=8
    )
    print(f"(c) killed at steps {kill_steps(c)}: {c.result}")
    if options.svg:
        options.svg.write_text(plot([
            ("(a) one rank, uninterrupted", "#9cc3e6", 5, a.lines("steps.jsonl"), []),
            ("(b) one rank, killed at the circles", "#1f4e79", 1.3, b.lines("steps.jsonl"), kill_steps(b)),
            ("(c) 4 ranks, killed, 2, killed, 3", "#c55a11", 1.3, c.lines("steps.jsonl"), kill_steps(c)),
        ]))


if __name__ == "__main__":
    main()
