"""The table and the plots of `scripts/bench --points` in docs/performance.md."""

import statistics

from .console import say

BEGIN = "<!-- points: written by scripts/bench --points -->\n"
END = "<!-- end of points -->\n"


def figures(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(runs):
    yield "| server | | median | least to most | |"
    yield "| --- | --- | ---: | ---: | --- |"
    for run in runs:
        values = run["values"]
        yield (
            f"| {run['server']} | {run['what']} | {figures(statistics.median(values))} "
            f"| {figures(min(values))} to {figures(max(values))} | {run['unit']} |"
        )


def write(document, package):
    """Puts the figures between their marks, and draws them."""
    machine = document["machine"]
    lines = [
        f"{machine['cpus']} cores ({machine['model']}), {document['bytes'] / 1e6:,.0f} MB in samples of 100 KB, medians of "
        f"{document['rounds']} rounds; {document['time'][:10]}, at {document['commit']}.",
        "", "![readers at once, waits of one reader, an epoch as it goes](points.svg)", "", *table(document["runs"]), "",
    ]
    page = package / "docs/performance.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(before + BEGIN + "\n".join(lines) + END + after, encoding="utf-8")
    draw(document, package / "docs/points.svg")
    say("wrote docs/performance.md and docs/points.svg")


# MARK: plots

COLORS = {"nginx": "#d9622b", "nginx, slow": "#4c78a8", "rclone serve s3": "#d9622b"}


def draw(document, path):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "wdsfs"
    from matplotlib import pyplot

    figure, (scaling, waits, epoch) = pyplot.subplots(3, 1, figsize=(9, 9))
    draw_scaling(scaling, document["runs"])
    draw_waits(waits, document["curves"])
    draw_epochs(epoch, document["curves"])
    for axis in (scaling, waits, epoch):
        axis.tick_params(labelsize=7)
        axis.spines["top"].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def draw_scaling(axis, runs):
    """Each beside what it is with two readers, since files on disk are many times as fast."""
    for kind, color in (("all in memory", COLORS["nginx"]), ("files on disk", "#999999")):
        rates = {
            int(run["what"].split()[0]): run["values"] for run in runs
            if run["what"].endswith((f" reader, {kind}", f" readers, {kind}"))
        }
        if 2 not in rates:
            continue
        unit = statistics.median(rates[2])
        middle = [statistics.median(values) / unit for values in rates.values()]
        least = [value - min(values) / unit for value, values in zip(middle, rates.values())]
        most = [max(values) / unit - value for value, values in zip(middle, rates.values())]
        axis.errorbar(
            range(len(rates)), middle, yerr=[least, most], color=color, marker="o", capsize=3,
            label=f"{'wdsfs, ' if kind == 'all in memory' else ''}{kind}: {unit:,.0f} samples/s with 2",
        )
        axis.set_xticks(range(len(rates)), [str(count) for count in rates])
    axis.set_ylim(bottom=0)
    axis.set_title("Readers at once, beside two readers", fontsize=9, loc="left")
    axis.set_xlabel("reading processes", fontsize=8)
    axis.set_ylabel("times the rate of 2", fontsize=8)
    axis.legend(fontsize=7, frameon=False)


def draw_waits(axis, curves):
    for server, found in curves.items():
        # None where an epoch is over within its first second.
        shares = [share for share, _ in found["waits"]]
        axis.plot(shares, [value for _, value in found["waits"]], color=COLORS.get(server), label=server)
    axis.set_yscale("log")
    for ticks in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
        ticks("{x:g}")
    axis.tick_params(which="both", labelsize=7)
    axis.set_title("How long one reader waits for a sample, after its first second, cache on disk", fontsize=9, loc="left")
    axis.set_xlabel("percent of the samples", fontsize=8)
    axis.set_ylabel("ms", fontsize=8)
    axis.legend(fontsize=7, frameon=False)


def draw_epochs(axis, curves):
    cached = axis.twinx()
    for server, found in curves.items():
        seconds = [row[0] for row in found["epochs"]]
        axis.plot(seconds, [row[1] for row in found["epochs"]], color=COLORS.get(server), label=f"{server}: read")
        cached.plot(
            seconds, [row[2] for row in found["epochs"]], color=COLORS.get(server), linestyle=":",
            label=f"{server}: in the cache",
        )
    axis.set_ylim(bottom=0)
    cached.set_ylim(bottom=0)
    cached.tick_params(labelsize=7)
    cached.spines["top"].set_visible(False)
    axis.set_title("Two epochs, one after the other, as the cache on disk fills: two readers", fontsize=9, loc="left")
    axis.set_xlabel("seconds since the mount", fontsize=8)
    axis.set_ylabel("MB/s read", fontsize=8)
    cached.set_ylabel("MB in the cache (dotted)", fontsize=8)
    axis.legend(fontsize=7, frameon=False, loc="lower right")
