"""The yardstick itself: servers, relay and demo bucket do what the other tests take for granted."""

import filecmp
import os
import pathlib

import pytest

from harness import demo, mounts, relay, servers, shards, trees


def test_the_s3_server_refuses_a_wrong_signature(store, small):
    from botocore.exceptions import ClientError

    body = store.server.client().get_object(Bucket="small", Key="val/val-000000.tar")["Body"].read()
    assert body == pathlib.Path(small.folder, "val/val-000000.tar").read_bytes()
    stranger = servers.RcloneS3(store.root, store.root.parent / "stranger")
    stranger.endpoint, stranger.access_key = store.server.endpoint, store.server.access_key
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        stranger.client().list_objects_v2(Bucket="small")


def test_the_relay_counts_and_holds(store, small, watched):
    path = "small/val/val-000000.tar"
    whole = pathlib.Path(store.root, path).read_bytes()
    with servers.Nginx(store.root, watched.scratch / "nginx") as web:
        with relay.Relay(web.endpoint, watched.scratch / "relay") as before:
            import urllib.request

            ask = urllib.request.Request(f"{before.endpoint}/{path}", headers={"Range": "bytes=5-9"})
            with urllib.request.urlopen(ask) as reply:
                assert (reply.status, reply.read()) == (206, whole[5:10])
            assert [(r.range, r.status, r.bytes) for r in before.data_requests()] == [("bytes=5-9", 206, 5)]
            before.hold("GET")
            import concurrent.futures

            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(urllib.request.urlopen, f"{before.endpoint}/{path}")
                mounts.wait_until(lambda: before.held() == 1, 5, "held")
                assert not waiting.done()
                before.release()
                assert waiting.result(5).read() == whole


def test_our_shards_are_what_tarfile_reads(small):
    path = pathlib.Path(small.folder, "train/train-000000.tar")
    whole = path.read_bytes()
    found = shards.members(path)
    wanted = {f"{s.key}.{f.name}": f for s in small.rank("train")[:5] for f in s.fields}
    assert {n: shards.sha256(whole[o : o + size]) for n, (o, size) in found.items()} == {
        n: f.sha256 for n, f in wanted.items()
    }


def test_dealing_gives_each_sample_once(small):
    for world_size in (1, 2, 3, 5):
        dealt = [s for rank in range(world_size) for s in small.rank("train", rank, world_size)]
        assert sorted(s.key for s in dealt) == sorted(s.key for s in small.rank("train"))


def test_a_comparison_finds_a_changed_byte(small, tmp_path):
    sample = small.rank("val")[0]
    whole = {name: data for name, data in next(iter(shards.pictures(0, 1, 2000)))[1].items()}
    for name in sample.listed_names():
        (tmp_path / name).write_bytes(whole[name.split(".")[1]])
    assert trees.check_sample(tmp_path, sample) == sample.byte_count()
    changed = bytearray(whole["jpg"])
    changed[100] ^= 1
    (tmp_path / sample.listed_names()[0]).write_bytes(changed)
    with pytest.raises(trees.Difference):
        trees.check_sample(tmp_path, sample)


def test_the_demo_bucket_is_the_same_each_time(tmp_path):
    for name in ("one", "two"):
        demo.make(tmp_path / name)
    files = [p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file()]
    _, different, failed = filecmp.cmpfiles(tmp_path / "one", tmp_path / "two", files, shallow=False)
    assert len(files) == 15 and not different and not failed
    splits = shards.load_manifest(tmp_path / "one/manifest.json")
    assert {split: len(samples) for split, samples in splits.items()} == {
        "photos": 2, "train": 1437, "val": 360
    }
    for split, samples in splits.items():
        found = {}
        for shard in sorted(os.listdir(tmp_path / "one/bucket" / split)):
            path = tmp_path / "one/bucket" / split / shard
            whole = path.read_bytes()
            for name, (offset, size) in shards.members(path).items():
                found[name] = shards.sha256(whole[offset : offset + size])
        assert found == {f"{s.key}.{f.name}": f.sha256 for s in samples for f in s.fields}
