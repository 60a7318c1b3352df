"""`wdsfs index`: what it reads, keeps and says, and that it goes on where it was stopped."""

import ctypes
import gzip
import hashlib
import json
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from harness import mounts, servers, shards


@pytest.fixture
def index(run, store, tmp_path):
    """Runs `wdsfs index REMOTE` against the S3 server, with a cache of this test's own."""

    def command(remote, *options, environment=None, cache="cache", **more):
        return run(
            "index", remote, *store.options(), "--cache-dir", tmp_path / cache, *options,
            environment=environment or store.environment(), **more,
        )

    return command


def report(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_indexed_dataset_is_listed_without_a_get(index, mount, store, small, tmp_path):
    found = report(index("s3://small", "--json"))
    assert (found["version"], found["complete"], found["known"]) == (1, True, 0)
    assert {s["name"]: (s["shards"], s["samples"]) for s in found["splits"]} == {
        "train": (4, 21),
        "val": (2, 6),
    }
    assert found["bytes"] == sum(
        os.path.getsize(os.path.join(small.folder, split, name))
        for split in small.splits
        for name in small.splits[split]
    )
    made = mount(
        "s3://small", *store.options(), environment=store.environment(), cache_dir=tmp_path / "cache"
    )
    assert len(os.listdir(made.point / "train" / "0")) == 21
    statistics = json.loads((made.point / ".wdsfs" / "stats.json").read_text())
    assert statistics["store"]["bytesReceived"] < 20_000
    assert statistics["indexes"]["built"] == 0
    assert statistics["indexes"]["loaded"] >= 4


def test_of_large_members_the_headers_only_are_fetched_and_small_ones_are_streamed(
    run, store, watched, tmp_path
):
    samples, clip = 6, bytes(4_000_000)

    def make(dataset):
        for number in range(2):
            dataset.add_shard("clips", f"clips-{number:06d}.tar", [
                (f"{number}-{place}", {"json": b"{}", "mp4": clip}) for place in range(samples)
            ])
        dataset.add_shard("words", "words-000000.tar", [
            (f"{place:06d}", {"txt": b"a word" * 80}) for place in range(2000)
        ])

    store.dataset("clips", make)
    watched.forget()
    done = run(
        "index", "s3://clips", "--endpoint-url", watched.endpoint, "--cache-dir", tmp_path / "cache", "--json",
        environment=store.environment(),
    )
    found = report(done)
    assert {s["name"]: s["samples"] for s in found["splits"]} == {"clips": 2 * samples, "words": 2000}
    asked = {"clips": [], "words": []}
    for request in watched.data_requests():
        asked[request.target.split("/")[2]].append(request.bytes)
    # What tells that members are large, then 8 KiB a clip, which hold the next sample's json as well.
    assert sum(asked["clips"]) <= 2 * (64 + samples * 8) * 1024, asked
    assert sum(asked["clips"]) < found["bytes"] / 100
    words = os.path.getsize(store.root / "clips/words/words-000000.tar")
    assert words > 2_000_000
    assert sum(asked["words"]) >= words
    assert len(asked["words"]) <= 5, asked


def test_a_second_run_knows_all_and_says_so(index, small):
    assert "6 shards indexed" in index("s3://small").stdout
    again = index("s3://small")
    assert again.returncode == 0
    assert "6 of them known already" in again.stdout
    assert re.search(r"^train +4 +21 +63 ", again.stdout, re.M), again.stdout


def test_two_ranks_share_the_work(index, small):
    parts = [report(index("s3://small", "--json", "--world-size", 2, "--rank", rank)) for rank in (0, 1)]
    assert [part["shards"] for part in parts] == [3, 3]
    assert sum(part["samples"] for part in parts) == 27
    assert report(index("s3://small", "--json"))["known"] == 6


def test_what_was_done_before_a_kill_is_not_read_again(binary, run, tmp_path):
    dataset = shards.Dataset(tmp_path / "set")
    dataset.add_split("train", [40] * 60, picture_bytes=20_000)
    cache = tmp_path / "cache"
    command = [binary, "index", dataset.folder, "--cache-dir", str(cache), "--jobs", "2"]
    kept = cache / "wdsfs-1" / "indexes"

    def done():
        return len([n for n in os.listdir(kept) if n.endswith(".idx")]) if kept.exists() else 0

    for how in (signal.SIGKILL, signal.SIGINT):
        before = done()
        process = subprocess.Popen(
            command, env=mounts.clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        mounts.wait_until(lambda: done() > before or process.poll() is not None, 20, "an index")
        process.send_signal(how)
        output, errors = process.communicate(timeout=20)
        if how == signal.SIGINT and process.returncode:
            assert process.returncode == 1
            assert b"the same command goes on there" in errors
    before = done()
    assert before > 0
    found = json.loads(run(*command[1:], "--json").stdout)
    assert found["complete"] and found["shards"] == 60 and found["samples"] == 2400
    assert before <= found["known"] < 60 or before == 60
    assert done() == 60


def test_a_terminal_gets_a_bar(binary, tmp_path):
    dataset = shards.Dataset(tmp_path / "set")
    dataset.add_split("train", [60] * 40, picture_bytes=60_000)
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [binary, "index", dataset.folder, "--cache-dir", str(tmp_path / "cache"), "--jobs", "1"],
        env=mounts.clean_environment(), stdout=subprocess.DEVNULL, stderr=terminal,
    )
    os.close(terminal)
    shown, deadline = b"", time.monotonic() + 30
    while time.monotonic() < deadline:
        ready, _, _ = select.select([main], [], [], 0.1)
        if ready:
            try:
                more = os.read(main, 4096)
            except OSError:
                break
            if not more:
                break
            shown += more
    os.close(main)
    assert process.wait(timeout=10) == 0
    # The bar is gone at the end, whatever was shown before.
    assert shown.endswith(b"\r\x1b[K")


def test_wrong_words_are_refused(index, small, tmp_path):
    for options, words in (
        (("--jobs", 0), "--jobs 0: write a number from 1 to 64"),
        (("--rank", 2, "--world-size", 2), "--rank"),
    ):
        done = index("s3://small", *options)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
    done = index("s3://small", "--cache-dir", "memory")
    assert done.returncode == 2
    assert "keeps no index" in done.stderr
    done = index("s3://no-such-bucket")
    assert done.returncode == 4


# Published


@pytest.fixture
def bucket(store, tmp_path, request):
    """A bucket of this test's own: 4 shards of 5, 7, 3 and 6 samples."""
    name = "index-" + re.sub("[^a-z0-9]+", "-", request.node.name.lower())[:40].strip("-")
    return store.dataset(name, lambda d: d.add_split("train", [5, 7, 3, 6])), f"s3://{name}"


@pytest.fixture
def mount_bucket(mount, store, bucket):
    def make(*options, **more):
        return mount(bucket[1], *store.options(), *options, environment=store.environment(), **more)

    return make


def packs(dataset):
    folder = os.path.join(dataset.folder, ".wdsfs", "index")
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def rank_samples(made, rank):
    folder = made.point / "train" / str(rank)
    return [os.getxattr(folder / name, "user.wds.key").decode() for name in sorted(os.listdir(folder))]


def stats(made):
    return json.loads((made.point / ".wdsfs" / "stats.json").read_text())


def test_a_published_index_has_auto_choose_samples(index, mount_bucket, bucket):
    before = mount_bucket("--world-size", 2, name="before")
    assert [len(rank_samples(before, rank)) for rank in (0, 1)] == [8, 13]
    found = report(index(bucket[1], "--publish", "--json"))
    assert found["published"]["objects"] == [".wdsfs/index/00000-of-00001.000.pack"]
    made = mount_bucket("--world-size", 2, name="after")
    # Known without a header or a listing.
    assert os.getxattr(made.point / "train" / "0", "user.wds.samples") == b"11"
    assert [len(os.listdir(made.point / "train" / str(rank))) for rank in (0, 1)] == [11, 10]
    keys = [rank_samples(made, rank) for rank in (0, 1)]
    assert sorted(keys[0] + keys[1]) == sorted(s.key for s in bucket[0].rank("train"))
    assert stats(made)["indexes"]["built"] == 0
    # The cache of the machine has no say, one way or the other.
    again = mount_bucket("--world-size", 2, "--partition", "shards", name="shards")
    assert [len(rank_samples(again, rank)) for rank in (0, 1)] == [8, 13]
    assert stats(again)["indexes"]["built"] == 0


def test_a_local_index_alone_changes_no_order(index, mount_bucket, bucket, tmp_path):
    report(index(bucket[1], "--json"))
    made = mount_bucket("--world-size", 2, cache_dir=tmp_path / "cache")
    assert [len(rank_samples(made, rank)) for rank in (0, 1)] == [8, 13]


def test_what_auto_chose_stays_in_the_cursor(index, mount_bucket, bucket, tmp_path):
    cursor = tmp_path / "a.cursor"
    made = mount_bucket("--world-size", 2, "--cursor", cursor, name="first")
    (made.point / "train" / "0" / "00000000" / "cls").read_bytes()
    made.unmount()
    report(index(bucket[1], "--publish", "--json"))
    again = mount_bucket("--cursor", cursor, name="second")
    assert len(rank_samples(again, 1)) == 13


def test_of_a_replaced_shard_only_it_is_indexed_again(index, mount_bucket, bucket):
    dataset, remote = bucket
    report(index(remote, "--publish", "--json"))
    dataset.add_shard("train", "train-000002.tar", shards.pictures(500, 9, 2000))
    made = mount_bucket("--partition", "samples", name="between")
    assert len(rank_samples(made, 0)) == 27
    assert stats(made)["indexes"]["built"] == 1
    # Another machine: nothing but the bucket is known there.
    found = report(index(remote, "--publish", "--json", cache="other"))
    assert (found["known"], found["shards"], found["samples"]) == (3, 4, 27)
    after = mount_bucket("--world-size", 2, name="after")
    assert [len(rank_samples(after, rank)) for rank in (0, 1)] == [14, 13]
    assert stats(after)["indexes"]["built"] == 0


def test_two_ranks_publish_two_parts_of_one_index(index, mount_bucket, bucket):
    for rank in (0, 1):
        report(
            index(
                bucket[1], "--publish", "--json", "--world-size", 2, "--rank", rank,
                cache=f"node{rank}",
            )
        )
        made = mount_bucket("--world-size", 2, name=f"mnt{rank}")
        lengths = [len(os.listdir(made.point / "train" / str(r))) for r in (0, 1)]
        # Half an index states nothing of the whole.
        assert lengths == ([8, 13] if rank == 0 else [11, 10])
    assert packs(bucket[0]) == ["00000-of-00002.000.pack", "00001-of-00002.000.pack"]


def flip(dataset, change):
    path = os.path.join(dataset.folder, ".wdsfs", "index", packs(dataset)[0])
    with open(path, "rb") as file:
        data = bytearray(file.read())
    change(data)
    with open(path, "wb") as file:
        file.write(data)


def test_a_damaged_published_index_is_not_used_and_the_log_says_so(index, mount_bucket, bucket):
    report(index(bucket[1], "--publish", "--json"))

    def spoil(data):
        data[70] ^= 1

    flip(bucket[0], spoil)
    made = mount_bucket("--world-size", 2)
    assert [len(rank_samples(made, rank)) for rank in (0, 1)] == [8, 13]
    assert "event=index.refused" in made.log.read_text()


def xxh3(data):
    library = ctypes.CDLL("libxxhash.so.0")
    library.XXH3_64bits.restype = ctypes.c_uint64
    library.XXH3_64bits.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
    return library.XXH3_64bits(data, len(data)).to_bytes(8, "little")


def test_a_published_count_that_lies_is_an_error_never_a_wrong_order(index, mount_bucket, bucket):
    """The table says 8 samples of a shard with 7, in an otherwise perfect pack."""
    report(index(bucket[1], "--publish", "--json"))

    def lie(data):
        entries = int.from_bytes(data[20:24], "little")
        end = 64 + 48 * entries
        for at in range(64, end, 48):
            if int.from_bytes(data[at + 32 : at + 40], "little") == 7:
                data[at + 32 : at + 40] = (8).to_bytes(8, "little")
        data[8:16] = xxh3(bytes(data[16:end]))

    flip(bucket[0], lie)
    made = mount_bucket()
    folder = made.point / "train" / "0"
    # 22 are promised; the shard that lied is refused as soon as that is known, all others are right.
    with pytest.raises(OSError, match="Input/output error"):
        os.listdir(folder)
    natural = [sample.key for sample in bucket[0].rank("train")]
    found = []
    for position in range(22):
        try:
            found.append(os.getxattr(folder / f"{position:08d}", "user.wds.key").decode())
        except OSError as error:
            assert error.errno == 5
            found.append(None)
    assert found[:5] + found[13:] == natural[:5] + natural[12:]
    # What was shown of it before its end was seen stood where it belongs.
    assert all(key in (None, right) for key, right in zip(found[5:12], natural[5:12]))
    assert found[12] is None
    assert "event=shard.count_wrong" in made.log.read_text()
    assert "states 8 samples" in made.log.read_text()
    # Whole shards need no counts.
    other = mount_bucket("--partition", "shards", name="shards")
    assert rank_samples(other, 0) == natural


def test_a_directory_is_published_to_as_well(run, mount, tmp_path):
    dataset = shards.Dataset(tmp_path / "set")
    dataset.add_split("train", [5, 7, 3, 6])
    done = run("index", dataset.folder, "--publish", "--cache-dir", tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert "published in 1 object" in done.stdout
    assert packs(dataset) == ["00000-of-00001.000.pack"]
    made = mount(dataset.folder, "--world-size", 2)
    assert [len(rank_samples(made, rank)) for rank in (0, 1)] == [11, 10]
    assert stats(made)["indexes"]["built"] == 0


def test_a_web_server_is_not_published_to(run, tmp_path):
    dataset = shards.Dataset(tmp_path / "set")
    dataset.add_split("train", [5, 7])
    with servers.PythonHTTP(dataset.folder, tmp_path / "http") as server:
        remote = f"{server.endpoint}/train/train-{{000000..000001}}.tar"
        done = run("index", remote, "--publish", "--cache-dir", tmp_path / "cache")
        assert done.returncode == 2
        assert "a web server takes no objects" in done.stderr
        done = run("index", remote, "--cache-dir", tmp_path / "cache", "--json")
        assert json.loads(done.stdout)["samples"] == 12


# Counts of other tools


def counts_of(dataset):
    return {name: len(samples) for name, samples in sorted(dataset.splits["train"].items())}


def put(dataset, name, data):
    path = os.path.join(dataset.folder, name)
    with open(path, "wb") as file:
        file.write(data if isinstance(data, bytes) else json.dumps(data).encode())


def leave_idx(dataset, counts):
    """As wds2idx of DALI writes it: a line for each sample, with all of its members."""
    for name, count in counts.items():
        samples = {}
        for member, (offset, length) in shards.members(os.path.join(dataset.folder, "train", name)).items():
            key, _, field = member.partition(".")
            samples.setdefault(key, []).append(f"{field} {offset} {length} {member}")
        lines = [f"v1.2 {count}", *(" ".join(members) for members in samples.values())]
        put(dataset, f"train/{name[:-4]}.idx", "".join(line + "\n" for line in lines).encode())


def leave_stats(dataset, counts):
    """As img2dataset writes it: what it tried, and what is in the shard."""
    for name, count in counts.items():
        about = {
            "count": count + 4, "successes": count, "failed_to_download": 3, "failed_to_resize": 1, "duration": 1.5,
            "start_time": 1700000000.5, "end_time": 1700000002.0,
            "status_dict": {"success": count, "HTTP Error 404: Not Found": 3, "Image decoding error": 1},
        }
        put(dataset, f"train/{name[:-4]}_stats.json", json.dumps(about, indent=4).encode())


def leave_wids(dataset, counts):
    """As `widsindex create` of wids 0.1.11 writes it."""
    listed = []
    for name, count in counts.items():
        path = pathlib.Path(dataset.folder, "train", name)
        sum_of_bytes = hashlib.md5(path.read_bytes()).hexdigest()
        listed.append({"url": name, "md5sum": sum_of_bytes, "nsamples": count, "filesize": path.stat().st_size})
    about = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": listed, "name": "train"}
    put(dataset, "train/index.json", json.dumps(about, indent=2).encode())


def leave_streaming(dataset, counts):
    """As `DatasetIndex` of streaming-wds 0.1.28 encodes it."""
    listed = [{"key": f"train/{name}", "num_samples": count} for name, count in counts.items()]
    about = {"num_shards": len(listed), "num_items": sum(counts.values()), "shards": listed}
    put(dataset, "train/index.wds", gzip.compress(json.dumps(about).encode()))


def leave_webshart(dataset, counts):
    """As `webshart extract-metadata` 0.4.6 writes it: members in no order, with the JSON of their sample."""
    for name, count in counts.items():
        path = os.path.join(dataset.folder, "train", name)
        members = shards.members(path)
        files = {}
        for member, (offset, length) in sorted(members.items(), reverse=True):
            files[member] = {"path": member, "offset": offset, "length": length}
            sidecar = f"{member.partition('.')[0]}.json"
            if member != sidecar:
                beside = {"json_path": sidecar, "json_offset": members[sidecar][0], "json_length": members[sidecar][1]}
                files[member] |= {**beside, "json_metadata": {"number": 1}}
        if len(files) > 3 * count:
            files = dict(sorted(files.items(), key=lambda item: item[1]["offset"])[: 3 * count])
        for extra in range(count - len(dataset.splits["train"][name])):
            files[f"more{extra}.jpg"] = {"offset": 1 << 40, "length": 1}
        put(dataset, f"train/{name[:-4]}.json", {"path": name, "filesize": os.path.getsize(path), "files": files})


TOOLS = [leave_idx, leave_stats, leave_wids, leave_streaming, leave_webshart]


@pytest.mark.parametrize("leave", TOOLS)
def test_counts_of_another_tool_have_auto_choose_samples(leave, mount, tmp_path):
    dataset = shards.Dataset(tmp_path / "set")
    dataset.add_split("train", [5, 7, 3, 6]).add_split("val", [4, 2])
    leave(dataset, counts_of(dataset))
    made = mount(dataset.folder, "--world-size", 2)
    # Before any header was read.
    assert os.getxattr(made.point / "train" / "1", "user.wds.samples") == b"10"
    assert stats(made)["indexes"] == {"built": 0, "loaded": 0, "damagedShards": 0}
    assert [len(rank_samples(made, rank)) for rank in (0, 1)] == [11, 10]
    # Nothing is said of val.
    assert [len(os.listdir(made.point / "val" / str(rank))) for rank in (0, 1)] == [4, 2]


@pytest.mark.parametrize("leave", [leave_idx, leave_wids])
@pytest.mark.parametrize("wrong", [-1, 1])
def test_a_wrong_count_of_another_tool_is_an_error_for_its_shard(leave, wrong, mount, tmp_path):
    dataset = shards.Dataset(tmp_path / "set")
    dataset.add_split("train", [5, 7, 3, 6])
    counts = counts_of(dataset)
    counts["train-000001.tar"] += wrong
    leave(dataset, counts)
    made = mount(dataset.folder)
    folder = made.point / "train" / "0"
    good = list(range(5)) + list(range(12 + wrong, 21 + wrong))
    natural = [sample.key for sample in dataset.rank("train")]
    keys = natural[:5] + natural[12:]
    for position in range(21 + wrong):
        path = folder / f"{position:08d}"
        if position in good:
            assert os.getxattr(path, "user.wds.key").decode() == keys[good.index(position)]
        else:
            # What is shown of the shard before its end is seen stands where it belongs.
            try:
                assert os.getxattr(path, "user.wds.key").decode() == natural[position]
                assert position < 11
            except OSError as error:
                assert error.errno == 5
    assert "event=shard.count_wrong" in made.log.read_text()
    other = mount(dataset.folder, "--partition", "shards", name="other")
    assert rank_samples(other, 0) == natural


def test_half_the_counts_are_none(mount, tmp_path):
    dataset = shards.Dataset(tmp_path / "set")
    dataset.add_split("train", [5, 7, 3, 6])
    counts = counts_of(dataset)
    del counts["train-000003.tar"]
    leave_idx(dataset, counts)
    put(dataset, "train/train-000003.idx", b"v9 nothing")
    made = mount(dataset.folder, "--world-size", 2)
    assert [len(rank_samples(made, rank)) for rank in (0, 1)] == [8, 13]
