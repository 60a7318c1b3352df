"""What a mount tells of itself, in `/.wdsfs/metrics` and over HTTP, held to what was done to it."""

import http.client
import json
import os
import pathlib
import re
import socket
import threading
import time

import promql_parser
import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness import trees

PACKAGE = pathlib.Path(__file__).resolve().parents[2]


def metrics(mount):
    """Families by name, as the reference parser reads them."""
    text = (mount.point / ".wdsfs/metrics").read_text()
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert family.documentation and family.type != "unknown", family.name
    return {sample.name + labels(sample): sample.value for family in families for sample in family.samples}


def labels(sample):
    pairs = [f'{name}="{value}"' for name, value in sorted(sample.labels.items())]
    return "{" + ",".join(pairs) + "}" if pairs else ""


def read_rank(mount, count, rank=0):
    """Reads the first samples of a rank; returns the bytes they had."""
    total = 0
    for position in range(count):
        folder = mount.point / f"train/{rank}" / trees.index_name(position)
        for file in sorted(folder.iterdir()):
            total += len(file.read_bytes())
    return total


def test_metrics_count_what_was_read(mount_small, small):
    made = mount_small("--world-size", "2")
    before = metrics(made)
    assert before['wdsfs_reads_total{result="hit"}'] == 0
    total = read_rank(made, 5, rank=1)
    # A read is counted when it is answered, which its reader may see a moment earlier; GETs end and
    # chunks reach the disk behind its back.
    deadline = time.monotonic() + 10
    while (after := metrics(made)).get('wdsfs_rank_samples_total{rank="1",split="train"}') != 5 or not (
        after["wdsfs_get_seconds_count"] and after['wdsfs_cache_used_bytes{place="disk"}']
    ):
        assert time.monotonic() < deadline, after
    # Small fields may come to the kernel with their listing, and are never asked for then.
    assert 0 < after["wdsfs_read_bytes_total"] <= total
    reads = sum(after[f'wdsfs_reads_total{{result="{result}"}}'] for result in ("hit", "miss"))
    assert reads > 0 and after['wdsfs_reads_total{result="error"}'] == 0
    assert after['wdsfs_reads_total{result="miss"}'] == after['wdsfs_read_seconds_count{result="miss"}']
    rank = 'rank="1",split="train"'
    assert after[f"wdsfs_rank_position{{{rank}}}"] == 5
    assert after[f"wdsfs_rank_samples_total{{{rank}}}"] == 5
    assert after['wdsfs_samples_total{split="train"}'] == 5
    assert not [name for name in after if 'rank="0"' in name]
    assert after["wdsfs_gets_total"] > 0 and after["wdsfs_get_bytes_total"] > 0
    assert after["wdsfs_get_seconds_count"] > 0
    assert after["wdsfs_get_first_byte_seconds_sum"] <= after["wdsfs_get_seconds_sum"]
    assert 0 < after['wdsfs_cache_used_bytes{place="disk"}'] <= after["wdsfs_cache_budget_bytes"]
    assert after["wdsfs_requests_waiting"] == 0
    assert after['wdsfs_log_events_total{level="info"}'] > 0


def test_looking_at_the_metrics_changes_none_of_them(mount_small):
    made = mount_small()
    read_rank(made, 2)
    metrics(made)
    looks = [metrics(made) for _ in range(3)]
    for name in looks[0]:
        if name.startswith(("wdsfs_read", "wdsfs_samples")):
            assert looks[0][name] == looks[2][name], name


def test_who_waits_is_seen_to_wait_for_the_network(mount, store, watched, small):
    watched.hold("GET .*[.]tar")
    made = mount(
        "s3://small", "--world-size", "2", "--endpoint-url", watched.endpoint,
        environment=store.environment(),
    )
    folder = made.point / "train/1" / trees.index_name(0)
    reader = threading.Thread(target=lambda: os.listdir(folder))
    reader.start()
    try:
        deadline = time.monotonic() + 20
        while True:
            stats = json.loads((made.point / ".wdsfs/stats.json").read_text())
            if stats["ranks"] and stats["ranks"][0]["networkSeconds"] > 0.5:
                break
            assert time.monotonic() < deadline, stats
        assert stats["reads"]["waiting"] == 1
        assert [rank["rank"] for rank in stats["ranks"]] == [1]
        assert stats["ranks"][0]["waiting"] == 1
        assert stats["ranks"][0]["throttleSeconds"] == 0
        assert stats["store"]["inFlight"] > 0
    finally:
        watched.release()
        reader.join()
    after = metrics(made)
    assert after["wdsfs_requests_waiting"] == 0
    assert after['wdsfs_rank_wait_seconds_total{cause="network",rank="1",split="train"}'] > 0.5


def names_in(expression):
    return set(re.findall(r"\b(?:wdsfs|process)_[a-z_]+", expression))


def test_the_grafana_dashboard_asks_for_what_a_mount_tells(mount_small):
    board = json.loads((PACKAGE / "examples/grafana/wdsfs.json").read_text())
    made = mount_small()
    # A rank's length is told once all of its shards are counted.
    os.listdir(made.point / "train/0")
    read_rank(made, 2)
    told = {}
    for name in metrics(made):
        family, _, rest = name.partition("{")
        told.setdefault(family, set()).update(re.findall(r'(\w+)="', rest))
    asked = set()
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")
            promql_parser.parse(expression)
            names = names_in(expression)
            assert names and names <= told.keys(), (panel["title"], names - told.keys())
            known = {"instance"}.union(*(told[name] for name in names))
            labels = set(re.findall(r'[{,]\s*(\w+)\s*[!=]~?"', expression))
            for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
                labels.update(re.findall(r"\w+", group))
            labels.update(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert labels <= known, (panel["title"], labels - known)
            asked |= names
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            assert names_in(variable["query"]["query"]) <= told.keys()
    # A dashboard that shows little is no dashboard.
    assert len(asked) > 15
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def ask(port, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    reply = connection.getresponse()
    return reply.status, reply.headers, reply.read().decode()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_metrics_and_a_page_are_served_where_they_are_asked_for(mount_small):
    port = free_port()
    made = mount_small("--metrics-addr", f"127.0.0.1:{port}")
    read_rank(made, 3)
    status, headers, text = ask(port, "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["wdsfs_rank_position"].samples[0].value == 3
    status, headers, page = ask(port, "/")
    assert status == 200 and "default-src 'none'" in headers["Content-Security-Policy"]
    # Nothing from elsewhere, and nothing within the page that the policy would stop.
    for name in ("page.css", "page.js"):
        status, _, text = ask(port, f"/{name}")
        assert status == 200 and text and f'"{name}"' in page
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == []
    assert not re.search(r"https?://|<style|style=|onclick|<script>", page)
    assert json.loads(ask(port, "/stats.json")[2])["ranks"][0]["position"] == 3
    assert ask(port, "/etc/passwd")[0] == 404
    assert ask(port, "/metrics", Host="evil.example")[0] == 421
    made.unmount()
    with pytest.raises(ConnectionRefusedError):
        ask(port, "/metrics")


def test_a_mount_serves_nothing_over_the_network_unless_asked(mount_small):
    made = mount_small()
    for pid in made.pids():
        names = [os.readlink(file) for file in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
        inodes = {name[8:-1] for name in names if name.startswith("socket:")}
        rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
        # 0A is LISTEN.
        assert [row for row in rows if row[9] in inodes and row[3] == "0A"] == []


def test_a_port_that_is_taken_fails_the_mount_with_advice(mount_small, store, run, small, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "other").mkdir()
        shown = run(
            "mount", "s3://small", tmp_path / "other", *store.options(), "--metrics-addr", address,
            environment=store.environment(),
        )
    assert shown.returncode == 2
    assert shown.stderr.startswith(f"wdsfs: cannot serve metrics at {address}: ")
    assert "--metrics-addr" in shown.stderr
