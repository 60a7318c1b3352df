"""What a reader sees of a sick network: a faulting proxy between the mount and a real S3 server.

The proxy belongs to the specification, beside this checkout; without it FaultTests of the S3 client,
which bring a server of their own, stand alone.
"""

import errno
import json
import os
import pathlib
import re
import sys
import urllib.request

import pytest

from harness import mounts, servers, trees

PROXY = pathlib.Path(__file__).resolve().parents[3] / "shared/faults/faulty_s3.py"

pytestmark = pytest.mark.skipif(not PROXY.is_file(), reason=f"no {PROXY}")


class FaultyS3(servers.Server):
    def __init__(self, store, scratch):
        super().__init__(scratch)
        self.store, self.endpoint, self.control = store, None, None

    def start(self):
        upstream = self.store.server
        self.spawn(
            [
                sys.executable, "-B", PROXY, "--upstream", upstream.endpoint.removeprefix("http://"),
                "--upstream-key", f"{upstream.access_key},{upstream.secret_key}", "--aws-like",
            ]
        )
        ports = json.loads(self.wait_for_log(r"\{.*\}\n").group(0))
        self.endpoint = f"http://127.0.0.1:{ports['listen']}"
        self.control = f"http://127.0.0.1:{ports['control']}"

    def ask(self, method, path, body=None):
        request = urllib.request.Request(
            self.control + path, method=method, data=json.dumps(body).encode() if body else None
        )
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.loads(reply.read())

    def break_by(self, fault, match=None, **args):
        rule = {"id": "r", "fault": fault, "args": args, "match": match or {}}
        self.ask("PUT", "/config", {"rules": [rule]})

    def requests(self):
        return self.ask("GET", "/requests")


@pytest.fixture
def faulty(store, tmp_path):
    with FaultyS3(store, tmp_path / "faulty") as made:
        yield made
        rules = made.ask("GET", "/stats")["rules"].values()
        trees.compared["faults"] += sum(rule["applied"] for rule in rules)


@pytest.fixture
def parted(store):
    """Shards larger than a chunk, which are asked for in parts; a small one is asked for whole."""
    return store.dataset("parted", lambda made: made.add_split("train", [60] * 3, 50_000))


@pytest.fixture
def mount_faulty(mount, store, small, faulty):
    def make(*options, bucket="small", **more):
        return mount(
            f"s3://{bucket}", "--endpoint-url", faulty.endpoint, "--stall-timeout", "500ms", *options,
            environment=store.environment(), **more,
        )

    return make


def log(made):
    return (made.point / ".wdsfs/log").read_text()


@pytest.mark.parametrize(
    "fault, args, event",
    [
        ("slowdown", {}, "s3.throttled"),
        ("too_many_requests", {}, "s3.throttled"),
        ("internal_error", {"body": "html"}, "s3.retry"),
        ("bad_gateway", {}, "s3.retry"),
        ("reset", {"where": "request"}, "s3.retry"),
        ("close", {"where": "headers"}, "s3.retry"),
        ("reset", {"where": "body", "after": 3000}, None),
        ("close", {"where": "body", "after": 3000}, None),
        ("stall", {"after": 3000}, "s3.stalled"),
        ("blackhole", {}, "s3.stalled"),
        ("huge_header", {}, "s3.bad_reply"),
        ("wrong_length", {}, None),
        ("gzip", {}, "s3.bad_reply"),
        ("chunked", {}, None),
        ("http10", {}, None),
        ("bad_status_line", {}, "s3.bad_reply"),
        ("endless_body", {}, None),
        ("etag_missing", {}, "s3.no_etag"),
    ],
)
def test_a_fault_that_passes_is_not_seen(mount_faulty, faulty, small, equal, fault, args, event):
    faulty.break_by(fault, {"kind": "GetObject", "per": "key", "times": 1}, **args)
    made = mount_faulty()
    equal(made, small)
    # Each shard has one GET more than without, or one for what is left of a broken one.
    assert len([entry for entry in faulty.requests() if "GetObject" in json.dumps(entry)]) <= 40
    if event:
        assert f"event={event} " in log(made)


@pytest.mark.parametrize(
    "fault, args, event",
    [
        ("wrong_content_range", {"mode": "shift"}, "s3.bad_range"),
        ("wrong_content_range", {"mode": "total"}, "s3.bad_range"),
        ("wrong_content_range", {"mode": "garbage"}, "s3.bad_range"),
        ("wrong_content_range", {"mode": "missing"}, "s3.bad_range"),
        ("clipped", {}, None),
    ],
)
def test_a_wrong_part_is_asked_for_again(mount_faulty, faulty, parted, equal, fault, args, event):
    faulty.break_by(fault, {"kind": "GetObject", "per": "key", "times": 1}, **args)
    made = mount_faulty(bucket="parted")
    equal(made, parted)
    seen = faulty.ask("GET", "/stats")
    # A reply to a request for the whole has no part to be wrong about.
    assert seen["requests"]["by_status"].get("206") and seen["rules"]["r"]["applied"], seen
    if event:
        assert f"event={event} " in log(made)


@pytest.mark.parametrize(
    "fault, number",
    [
        ("no_such_key", errno.ENOENT), ("access_denied", errno.EACCES),
        ("invalid_object_state", errno.EACCES), ("precondition_failed", errno.ESTALE),
        ("invalid_range", errno.ESTALE), ("internal_error", errno.EIO),
    ],
)
def test_what_lasts_has_its_errno(mount_faulty, faulty, fault, number):
    made = mount_faulty("--retry-timeout", "1s")
    faulty.break_by(fault, {"kind": "GetObject"})
    with pytest.raises(OSError) as caught:
        # Its shard is not indexed yet.
        os.listdir(made.point / "train/0" / trees.index_name(0))
    assert caught.value.errno == number, log(made)


@pytest.mark.parametrize(
    "variant, code, most",
    [
        ("html", 5, 3), ("cut", 5, 3), ("empty", 5, 3), ("not_xml", 5, 3), ("bomb", 5, 3),
        ("external_entity", 5, 3), ("deep", 5, 3), ("loop_token", 4, 3), ("missing_token", 4, 3),
        ("bad_utf8", 5, 3), ("long_keys", 4, 1),
    ],
)
def test_a_listing_that_is_none_is_never_an_empty_bucket(
    run, store, small, faulty, tmp_path, variant, code, most
):
    faulty.break_by("list_xml", {"kind": "ListObjects"}, variant=variant)
    (tmp_path / "mnt").mkdir()
    ended = run(
        "mount", "s3://small", tmp_path / "mnt", "--endpoint-url", faulty.endpoint,
        "--cache-dir", "memory", environment=store.environment(),
    )
    assert ended.returncode == code, ended.stderr
    assert len(re.findall("wdsfs: ", ended.stderr)) == 1, ended.stderr
    assert len(faulty.requests()) <= most
    assert mounts.kind_of_mount(tmp_path / "mnt") is None


def test_nobody_else_is_told_our_credentials(mount_faulty, faulty):
    made = mount_faulty()
    faulty.break_by("redirect", {"kind": "GetObject"}, status=307, to="trap")
    with pytest.raises(OSError) as caught:
        os.listdir(made.point / "train/0" / trees.index_name(0))
    assert caught.value.errno == errno.EIO
    assert "event=s3.redirect " in log(made)
    assert "uthorization" not in json.dumps(faulty.ask("GET", "/trap"))
