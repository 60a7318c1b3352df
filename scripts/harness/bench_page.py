"""The page and the plot that a benchmark's figures are shown by, and the short table of the README.

    python3 -m harness.bench_page       the README's table anew, from docs/performance.md
"""

import pathlib
import re
import statistics

from .console import say

BEGIN, END = "<!-- figures: written by scripts/bench -->\n", "<!-- end of figures -->\n"
LOADERS_BEGIN = "<!-- loaders: written by scripts/bench --loaders -->\n"
LOADERS_END = "<!-- end of loaders -->\n"
TITLES = {
    ("jpg", "nginx"): "Samples of 100 KB, a server without delay",
    ("jpg", "nginx, slow"): "Samples of 100 KB, 20 ms to the first byte and 60 MB/s a connection",
    ("tiny", "nginx"): "Samples of 2 KB, a server without delay",
    ("tiny", "nginx, slow"): "Samples of 2 KB, 20 ms to the first byte and 60 MB/s a connection",
    ("jpg", "rclone serve s3"): "Samples of 100 KB, rclone serve s3",
    ("tiny", "rclone serve s3"): "Samples of 2 KB, rclone serve s3",
}


def median(runs, name):
    values = [run[name] for run in runs if name in run]
    return statistics.median(values) if values else None


def peers(rows):
    """Who reads the same bucket without wdsfs."""
    return {
        name: runs for name, runs in rows.items()
        if not name.startswith("wdsfs") and name != "files on disk"
    }


def table(rows):
    rates = {name: median(runs, "samples_per_second") for name, runs in rows.items()}
    best = max(rates[name] for name in peers(rows))
    yield "| | samples/s | least to most | MB/s | × best peer | mount's CPU s/GB | mount's peak MB |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name in sorted(rates, key=lambda name: -rates[name]):
        runs = rows[name]
        all_rates = [run["samples_per_second"] for run in runs]
        cpu, peak = median(runs, "mount_cpu_seconds"), median(runs, "mount_peak_resident_bytes")
        shown = f"**{name}**" if name.startswith("wdsfs") else name
        yield (
            f"| {shown} | {rates[name]:,.0f} | {min(all_rates):,.0f} to {max(all_rates):,.0f} "
            f"| {median(runs, 'megabytes_per_second'):,.0f} | {rates[name] / best:.2f} "
            f"| {'' if cpu is None else format(cpu / runs[0]['bytes'] * 1e9, '.2f')} "
            f"| {'' if peak is None else format(peak / 1e6, '.0f')} |"
        )


def draw(groups, path):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "wdsfs"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(groups), 1, figsize=(9, 2.6 * len(groups)))
    for axis, ((profile, server), rows) in zip([axes] if len(groups) == 1 else axes, groups.items()):
        # Files that were unpacked beforehand would make every other bar a stub.
        rows = {name: runs for name, runs in rows.items() if name != "files on disk"}
        names = sorted(rows, key=lambda name: median(rows[name], "samples_per_second"))
        middle = [median(rows[name], "samples_per_second") for name in names]
        spread = [
            [at - min(run["samples_per_second"] for run in rows[name]) for name, at in zip(names, middle)],
            [max(run["samples_per_second"] for run in rows[name]) - at for name, at in zip(names, middle)],
        ]
        colors = ["#d9622b" if name.startswith("wdsfs") else "#8a9ba8" for name in names]
        axis.barh(names, middle, xerr=spread, color=colors, ecolor="#444444", capsize=2)
        axis.set_title(TITLES.get((profile, server), f"{profile}, {server}"), fontsize=9, loc="left")
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel("samples/s, median with least and most", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def write(document, grouped, package):
    """Puts the figures into docs/performance.md, between its marks, and draws its plot."""
    groups = grouped(document["runs"])
    machine = document["machine"]
    lines = [
        f"{machine['cpus']} cores ({machine['model']}), Linux {machine['kernel']}, which carry the "
        f"readers, the mount and the server; {document['processes']} reading processes; medians of "
        f"{document['rounds']} rounds; {document['time'][:10]}, at {document['commit']}.",
        "",
        "![samples a second, by contender](performance.svg)",
        "",
    ]
    for (profile, server), rows in groups.items():
        lines += [f"### {TITLES.get((profile, server), f'{profile}, {server}')}", "", *table(rows), ""]
    replace_figures(package / "docs/performance.md", "\n".join(lines))
    draw(groups, package / "docs/performance.svg")
    write_summary(package)
    say("wrote docs/performance.md, docs/performance.svg and the table of README.md")


def replace_figures(page, figures):
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(before + BEGIN + figures + END + after, encoding="utf-8")


def summary(page):
    """Of each contender the samples a second, a column for each table of docs/performance.md."""
    titles, rates = [], {}
    for line in page.partition(BEGIN)[2].partition(END)[0].splitlines():
        if line.startswith("### "):
            titles.append(line[4:])
        row = re.match(r"\| ([^|]+) \| ([\d,]+) \|", line)
        if row:
            rates.setdefault(row[1], {})[titles[-1]] = row[2]
    yield "| samples/s | " + " | ".join(title[0].lower() + title[1:] for title in titles) + " |"
    yield "| --- |" + " ---: |" * len(titles)
    last = {name: int(of.get(titles[-1], "0").replace(",", "")) for name, of in rates.items()}
    for name in sorted(rates, key=lambda name: -last[name]):
        yield f"| {name} | " + " | ".join(rates[name].get(title, "–") for title in titles) + " |"


def write_summary(package):
    page = (package / "docs/performance.md").read_text(encoding="utf-8")
    replace_figures(package / "README.md", "".join(line + "\n" for line in summary(page)))


def loader_rates(document):
    """Medians of samples a second by loader and state; loaders that were left out are not in it."""
    rates = {}
    for run in document["runs"]:
        states = rates.setdefault(run["loader"], {})
        states.setdefault(run["state"], []).append(run["samples_per_second"])
    return {
        name: {state: statistics.median(all_rates) for state, all_rates in states.items()}
        for name, states in rates.items() if len(states) == 2
    }


def write_loaders(document, package):
    """Puts the loaders' figures into docs/performance.md, between marks of their own, and draws their plot."""
    rates = loader_rates(document)
    lines = [
        f"{document['samples']:,} pictures, {document['workers']} workers, medians of {document['rounds']} rounds.",
        "", "![samples a second, by loader](loaders.svg)", "", "| samples/s | cold | warm |", "| --- | ---: | ---: |",
    ]
    for name in sorted(rates, key=lambda name: -rates[name]["warm"]):
        shown = f"**{name}**" if name.startswith("wdsfs") else name
        lines.append(f"| {shown} | {rates[name]['cold']:,.0f} | {rates[name]['warm']:,.0f} |")
    lines += [f"\n{name} was left out: {why.splitlines()[-1]}" for name, why in document["left_out"].items()]
    page = package / "docs/performance.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(LOADERS_BEGIN)
    _, _, after = rest.partition(LOADERS_END)
    page.write_text(before + LOADERS_BEGIN + "\n".join(lines) + "\n" + LOADERS_END + after, encoding="utf-8")
    draw_loaders(rates, package / "docs/loaders.svg")
    say("wrote docs/performance.md and docs/loaders.svg")


def draw_loaders(rates, path):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "wdsfs"
    from matplotlib import pyplot

    names = sorted(rates, key=lambda name: rates[name]["warm"])
    figure, axis = pyplot.subplots(figsize=(9, 0.6 + 0.5 * len(names)))
    for number, name in enumerate(names):
        color = "#d9622b" if name.startswith("wdsfs") else "#8a9ba8"
        axis.barh(number + 0.2, rates[name]["cold"], 0.38, color=color, alpha=0.6)
        axis.barh(number - 0.2, rates[name]["warm"], 0.38, color=color)
    axis.set_yticks(range(len(names)), names, fontsize=7)
    axis.tick_params(axis="x", labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel("samples/s, medians: above cold, below warm", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    write_summary(pathlib.Path(__file__).resolve().parents[2])
