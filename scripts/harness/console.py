"""Numbered steps, timings and a progress line, made for a person's eyes."""

import contextlib
import os
import shutil
import sys
import time

COLOURS = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text, code):
    return f"\x1b[{code}m{text}\x1b[0m" if COLOURS else text


def bold(text):
    return styled(text, "1")


def dim(text):
    return styled(text, "2")


def green(text):
    return styled(text, "32")


def red(text):
    return styled(text, "31")


def seconds(value):
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def size(count):
    """Bytes as people write them."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def say(text=""):
    print(text, flush=True)


class Steps:
    """Counts the steps aloud: `[2/7] what ...` and, when done, how long it took."""

    def __init__(self, total):
        self.total, self.number = total, 0

    @contextlib.contextmanager
    def step(self, title):
        self.number += 1
        say(bold(f"\n[{self.number}/{self.total}] {title}"))
        begin = time.monotonic()
        yield
        say(dim(f"      {seconds(time.monotonic() - begin)}"))


class Progress:
    """One line that fills up; where nobody watches it is printed once, at the end."""

    def __init__(self, what, total):
        self.what, self.total, self.done, self.bytes = what, total, 0, 0
        self.begin, self.shown = time.monotonic(), 0.0
        self.live = sys.stdout.isatty()

    def advance(self, samples, byte_count):
        self.done += samples
        self.bytes += byte_count
        now = time.monotonic()
        if self.live and now - self.shown > 0.1:
            self.shown = now
            self._draw()

    def finish(self):
        if self.live:
            self._draw()
            say()
        else:
            say(self._line(bar=False))

    def _line(self, bar):
        elapsed = max(time.monotonic() - self.begin, 1e-6)
        text = (
            f"{self.done:,}/{self.total:,} samples, {size(self.bytes)}, "
            f"{self.done / elapsed:,.0f} samples/s"
        )
        if not bar:
            return f"      {self.what}: {text}"
        width = max(8, min(30, shutil.get_terminal_size().columns - len(text) - len(self.what) - 14))
        filled = width * self.done // max(self.total, 1)
        return f"      {self.what} [{'#' * filled}{'.' * (width - filled)}] {text}"

    def _draw(self):
        print("\r\x1b[K" + self._line(bar=True), end="", flush=True)
