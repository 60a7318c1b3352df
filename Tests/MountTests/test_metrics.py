"""What a mount tells of itself: `/.wdsfs/metrics`, held to what was done to it."""

import json
import os
import threading
import time

from prometheus_client.parser import text_string_to_metric_families

from harness import trees


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
    # A read is counted when it is answered, which its reader may see a moment earlier.
    deadline = time.monotonic() + 10
    while (after := metrics(made))["wdsfs_read_bytes_total"] != total:
        assert time.monotonic() < deadline, (after["wdsfs_read_bytes_total"], total)
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
