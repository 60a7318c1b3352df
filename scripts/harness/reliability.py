"""Keeps what tests counted, and writes it into the rows of docs/reliability.md.

    python -m harness.reliability keep SCRATCH      (scripts/test does it, of tests that passed)
    python -m harness.reliability write

`keep` adds the figures of a run to .build/tested.json: test by test, the newest count. `write` sums them for each
row by the names in its column of tests, as a run with these for its filters would choose them.
"""

import contextlib
import json
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as tree

PACKAGE = pathlib.Path(__file__).resolve().parents[2]
PAGE = PACKAGE / "docs/reliability.md"
KEPT = PACKAGE / ".build/tested.json"
BEGIN, END = "<!-- counted -->\n", "<!-- /counted -->\n"


def floors(report):
    """The cases of Swift's tests: a test of many arguments is told once for each."""
    counts = {}
    for case in tree.parse(report).iter("testcase"):
        if case.find("skipped") is None:
            count = counts.setdefault(f"{case.get('classname')}/{case.get('name')}", {"cases": 0})
            count["cases"] += 1
    return counts


def load():
    return json.loads(KEPT.read_text()) if KEPT.exists() else {"floors": {}, "mounts": {}, "run": {"commit": "", "day": ""}}


def keep(scratch):
    kept = load()
    for part, path in (
        ("floors", scratch / "steady-floors/report-swift-testing.xml"), ("mounts", scratch / "figures.json"),
    ):
        if path.exists():
            kept[part] |= floors(path) if part == "floors" else json.loads(path.read_text())
    words = ["git", "-C", PACKAGE, "rev-parse", "--short", "HEAD"]
    with contextlib.suppress(OSError):
        commit = subprocess.run(words, capture_output=True, text=True).stdout.strip()
        kept["run"] = {"commit": commit, "day": time.strftime("%-d %B %Y", time.gmtime())}
    KEPT.parent.mkdir(exist_ok=True)
    # Whole or not at all, whenever a run is stopped.
    fresh = KEPT.with_suffix(".new")
    fresh.write_text(json.dumps(kept, indent=1))
    fresh.replace(KEPT)


def sums(words, kept):
    """What the tests that bear one of the words have counted together; None where none of them was run."""
    chosen = [count for name, count in kept["floors"].items() if any(re.search(word, name) for word in words)]
    chosen += [
        count for name, count in kept["mounts"].items() if any(word.lower() in name.lower() for word in words)
    ]
    if not chosen:
        return None
    return {unit: sum(count.get(unit, 0) for count in chosen) for unit in ("cases", "faults", "fields", "bytes")}


def size(count):
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            break
        count /= 1000
    else:
        unit = "GB"
    return f"{count:.3g} {unit}" if count < 1000 else f"{count:.0f} {unit}"


def figure(count):
    """A row's figure. What failed or hung has failed its run, which is then not kept."""
    words = [f"{count['cases']:,} case" + ("s" if count["cases"] != 1 else "")]
    if count["faults"]:
        words.append(f"{count['faults']:,} fault" + ("s" if count["faults"] != 1 else "") + " by proxy")
    if count["fields"]:
        words.append(f"{count['fields']:,} fields of {size(count['bytes'])}")
    return ", ".join(words) + ": 0 wrong, 0 hung"


def is_row(line):
    return re.match(r"\| [SLTX]\d", line) is not None


def cells_of(line):
    """Of a row: id, fault, promise, its figure once it has one, and tests."""
    return [cell.strip() for cell in line.strip("| ").split(" | ")]


def tests(cells):
    return re.findall(r"`(\w+)`", cells[-1])


def row(cells):
    return "| " + " | ".join(cells) + " |"


def write(text, kept):
    everything, lines = {}, []
    for line in text.splitlines():
        cells = cells_of(line)
        if is_row(line):
            count = sums(tests(cells), kept)
            if count is None:
                raise SystemExit(f"no test of this row was run: {line}")
            everything |= dict.fromkeys(tests(cells))
            line = row([*cells[:3], figure(count), cells[-1]])
        elif cells[:1] == ["id"] and len(cells) == 4:
            line = row([*cells[:3], "figure", cells[3]])
        elif lines and cells_of(lines[-1])[:1] == ["id"]:
            line = row(["---"] * 5)
        lines.append(line)
    text = "".join(line + "\n" for line in lines)
    total, run = sums(list(everything), kept), kept["run"]
    said = (
        f"All rows together, each test once: {total['cases']:,} cases, {total['fields']:,} fields and "
        f"{total['bytes']:,} bytes compared. Wrong bytes: 0. Hangs: 0. Counted on {run['day']}, commit {run['commit']}.\n"
    )
    head, _, rest = text.partition(BEGIN)
    return head + BEGIN + said + END + rest.partition(END)[2]


def main():
    if sys.argv[1:2] == ["keep"] and len(sys.argv) == 3:
        keep(pathlib.Path(sys.argv[2]))
    elif sys.argv[1:] == ["write"]:
        PAGE.write_text(write(PAGE.read_text(), load()))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
