"""plan, warm, cache and doctor, from outside."""

import fcntl
import json
import os
import pty
import re
import socket
import struct
import termios

import pytest

from harness import mounts


@pytest.fixture
def small_options(store):
    return ["s3://small", *store.options()]


# MARK: plan


def test_a_plan_costs_listings_only(run, watched, store, small, tmp_path):
    options = ["--endpoint-url", watched.endpoint, "--shuffle", "full", "--world-size", 2]
    done = run("plan", "s3://small", *options, "--json", environment=store.environment())
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["version"] == 1
    shards = {split["name"]: split["shards"] for split in plan["splits"]}
    assert shards == {"train": 4, "val": 2}
    total = sum(os.path.getsize(os.path.join(small.folder, split, name))
                for split in shards for name in os.listdir(os.path.join(small.folder, split)))
    assert sum(split["bytes"] for split in plan["splits"]) == total
    assert all("list-type=2" in request.target for request in watched.requests())


def test_a_plan_on_the_screen_and_as_a_page(run, uneven, tmp_path):
    options = [uneven.folder, "--shuffle", "full", "--world-size", 2, "--samples", "train=26"]
    done = run("plan", *options)
    assert done.returncode == 0, done.stderr
    assert "26 samples" in done.stdout and "range GETs" in done.stdout
    assert "\x1b" not in done.stdout
    page = tmp_path / "plan.html"
    done = run("plan", *options, "--html", page)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    text = page.read_text()
    assert text.startswith("<!doctype html>") and text.count("<svg") == 1 + 2 * 2
    # Nothing from elsewhere, and nothing runs.
    assert not re.search(r"https?://|<script|src=", text.replace(str(uneven.folder), ""))
    done = run("plan", *options, "--html", tmp_path / "none/plan.html")
    assert done.returncode == 2 and "cannot write the page" in done.stderr


def test_a_plan_of_what_cannot_be_is_refused(run, uneven):
    for words, says in [
        (["--local-ranks", 2], "there are 1 to 1 ranks"), (["--samples", "x"], "is no number of"),
        (["--lanes", 0], "--lanes"), (["--cache-size", "x"], "--cache-size"),
        # As the mount would.
        (["--cache-size", "2MB"], "give --cache-size 16MiB or more"),
        (["--samples", "tarin=26"], "there is no split tarin; there are: train, val"),
    ]:
        done = run("plan", uneven.folder, *words)
        assert done.returncode == 2 and says in done.stderr, done.stderr
    assert run("plan").returncode == 2
    assert run("plan", "/nonexistent").returncode == 4


def test_a_plan_knows_what_a_published_index_states(run, store, tmp_path):
    def make(dataset):
        dataset.add_split("train", [5, 7, 3])
        dataset.add_split("val", [4])

    store.dataset("stated", make)
    words = ["s3://stated", *store.options(), "--cache-dir", tmp_path / "cache"]

    def plan():
        done = run("plan", *words, "--json", environment=store.environment())
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        return document, {split["name"]: split for split in document["splits"]}

    _, splits = plan()
    assert not splits["train"]["isSampleCountKnown"] and splits["train"]["partition"] == "shards"
    done = run("index", *words, "--publish", environment=store.environment())
    assert done.returncode == 0, done.stderr
    document, splits = plan()
    assert [(splits[name]["samples"], splits[name]["isSampleCountKnown"]) for name in ("train", "val")] == [
        (15, True), (4, True),
    ]
    assert splits["train"]["partition"] == "samples" and splits["train"]["countingRequests"] == 0
    # Both splits together, and nothing to count.
    assert [warning["text"].split(":")[0] for warning in document["warnings"]] == ["train, val"]


def on_a_terminal(binary, *words, columns=100, exit_codes=(0,), **more):
    """What a command shows to somebody who watches."""
    pid, master = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        os.execve(binary, ["wdsfs", *map(str, words)], mounts.clean_environment(**more))
    shown = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) in exit_codes
    return shown.decode()


def test_colours_are_for_terminals_that_want_them(binary, uneven):
    words = ["plan", uneven.folder, "--shuffle", "full"]
    assert "\x1b[" in on_a_terminal(binary, *words, TERM="xterm")
    assert "\x1b[" in on_a_terminal(binary, *words, TERM="xterm", NO_COLOR="")
    assert "\x1b" not in on_a_terminal(binary, *words, TERM="xterm", NO_COLOR="1")
    assert "\x1b" not in on_a_terminal(binary, *words, TERM="dumb")


@pytest.mark.parametrize("columns", [50, 80])
def test_what_is_said_in_sentences_fits_a_narrow_terminal(binary, uneven, tmp_path, columns):
    for words in (["plan", "--shuffle", "full", "--world-size", 8], ["doctor", "--cache-dir", tmp_path]):
        shown = on_a_terminal(binary, words[0], uneven.folder, *words[1:], columns=columns, NO_COLOR="1")
        lines = shown.replace("\r", "").splitlines()
        # A path is one word, however long.
        assert [line for line in lines if len(line) > columns and "/" not in line] == [], shown
        assert any(len(line) > columns * 3 // 4 for line in lines), shown


def test_warming_shows_a_bar_on_a_terminal(binary, uneven, tmp_path):
    shown = on_a_terminal(binary, "warm", uneven.folder, "--cache-dir", tmp_path / "c", TERM="xterm")
    assert "10 shards" in shown


SCREENS = [
    "info SET --cache-dir CACHE", "plan SET --shuffle full --world-size 4", "doctor SET --cache-dir CACHE",
    "index SET --cache-dir CACHE", "warm SET --cache-dir CACHE", "cache list SET --cache-dir CACHE",
    "cursor show CURSOR --samples 40000", "verify LEDGER", "mount SET /mnt/wds --seed 7 --print-config",
]


@pytest.mark.limit(180)
@pytest.mark.parametrize("columns", [60, 80, 160])
def test_no_screen_is_wider_than_its_terminal(binary, mount_run, uneven, tmp_path, columns):
    places = {
        "SET": uneven.folder, "CACHE": tmp_path / "cache", "CURSOR": tmp_path / "a.cursor",
        "LEDGER": tmp_path / "a.tsv",
    }
    made = mount_run("--world-size", 3, "--ledger", places["LEDGER"], cursor="a.cursor")
    (made.point / "train/1/00000000/cls").read_bytes()
    made.unmount()
    for screen in SCREENS:
        words = [places.get(word, word) for word in screen.split()]
        # A ledger of one sample verifies nothing; doctor may dislike the machine.
        codes = range(8) if words[0] in ("doctor", "verify") else (0,)
        shown = on_a_terminal(binary, *words, columns=columns, exit_codes=codes, TERM="xterm")
        plain = re.sub(r"\x1b\[[0-9;]*[mK]", "", shown).replace("\r\n", "\n")
        lines = [line.rpartition("\r")[2] for line in plain.split("\n")]
        assert len(lines) > 1, shown
        for line in lines:
            # A path has no blank to be broken at.
            assert len(line) <= columns or re.search(r"\S{24}", line), f"{screen}: {line}"


# MARK: warm and cache


def test_what_was_warmed_is_not_fetched_again(run, watched, store, small, mount, equal, tmp_path):
    cache, environment = tmp_path / "cache", store.environment()
    remote = ["s3://small", "--endpoint-url", watched.endpoint, "--cache-dir", cache]
    done = run("warm", *remote, environment=environment)
    assert done.returncode == 0, done.stderr
    assert "6 shards" in done.stdout and "the rest was there" not in done.stdout
    done = run("warm", *remote, environment=environment)
    assert "fetched, the rest was there)" in done.stdout

    done = run("cache", "list", *remote, "--json", environment=environment)
    held = json.loads(done.stdout)
    assert held["shards"] == held["indexes"] == 6
    assert [split["shardsThere"] for split in held["splits"]] == [4, 2]
    assert [split["indexesThere"] for split in held["splits"]] == [4, 2]

    before = len(watched.requests())
    made = mount("s3://small", "--endpoint-url", watched.endpoint, environment=environment,
                 cache_dir=cache)
    equal(made, small)
    made.unmount()
    later = watched.requests()[before:]
    assert later and all("list-type=2" in request.target for request in later)


def test_warming_takes_what_is_read_first_and_what_fits(run, store, tmp_path):
    def make(dataset):
        dataset.add_split("train", [40] * 6, picture_bytes=100_000)

    store.dataset("warmed", make)
    cache = tmp_path / "cache"
    remote = ["s3://warmed", *store.options(), "--cache-dir", cache, "--cache-size", "17MiB"]
    done = run("warm", *remote, "--json", environment=store.environment())
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert 2 <= report["shards"] < 6 and report["leftOutShards"] == 6 - report["shards"]
    done = run("cache", "list", *remote, environment=store.environment())
    assert f"{report['shards']} of 6" in done.stdout and "train" in done.stdout


def test_a_cache_is_cleared(run, store, small, tmp_path):
    cache, environment = tmp_path / "cache", store.environment()
    remote = ["s3://small", *store.options(), "--cache-dir", cache]

    def held():
        return json.loads(run("cache", "list", "--cache-dir", cache, "--json").stdout)

    assert held()["shards"] == 0
    assert run("cache", "list", "--cache-dir", cache).stdout == f"nothing is kept in {cache}\n"
    assert not cache.exists()
    (tmp_path / "file").touch()
    for words in (["list"], ["clear"]):
        done = run("cache", *words, "--cache-dir", tmp_path / "file")
        assert done.returncode == 9 and f"a file: {tmp_path}/file; name another" in done.stderr
    assert run("cache", "clear", "--cache-dir", cache).returncode == 0
    assert run("warm", *remote, environment=environment).returncode == 0
    done = run("cache", "clear", *remote, "--split", "val", "--keep-indexes", environment=environment)
    assert done.returncode == 0 and "freed" in done.stdout, done.stderr
    assert (held()["shards"], held()["indexes"]) == (4, 6)
    assert run("cache", "clear", "--cache-dir", cache).returncode == 0
    assert (held()["shards"], held()["indexes"], held()["chunkBytes"]) == (0, 0, 0)


def test_clearing_under_a_mount_costs_it_nothing_but_time(run, mount_small, small, equal, tmp_path):
    cache = tmp_path / "cache"
    made = mount_small(cache_dir=cache)
    equal(made, small)
    done = run("cache", "list", "--cache-dir", cache)
    assert "a mount uses it" in done.stdout
    assert run("cache", "clear", "--cache-dir", cache).returncode == 0
    equal(made, small)


def test_what_cannot_be_warmed_is_refused(run, uneven, tmp_path):
    for words, says in [
        ([uneven.folder], "read where they lie"), ([uneven.folder, "--cache-dir", "memory"], "memory"),
        ([uneven.folder, "--cache-dir", tmp_path / "c", "--limit", 3], "--limit"),
    ]:
        done = run("warm", *words)
        assert done.returncode == 2 and says in done.stderr, done.stderr
    assert run("warm", "/nonexistent", "--cache-dir", tmp_path / "c").returncode == 4


def test_a_local_folder_is_warmed_where_a_place_is_named(run, uneven, tmp_path):
    done = run("warm", uneven.folder, "--cache-dir", tmp_path / "c", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["shards"] == 10


# MARK: doctor


def findings(done):
    return {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}


def test_doctor_finds_this_machine_fit(run, tmp_path):
    done = run("doctor", "--cache-dir", tmp_path / "cache")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert lines[0] == "✓ FUSE         /dev/fuse can be opened"
    assert "✗" not in done.stdout and "\x1b" not in done.stdout
    assert any(line.startswith("– credentials") for line in lines)


def test_doctor_tries_a_remote(run, store, small, small_options, tmp_path):
    cache = ["--cache-dir", tmp_path / "cache", "--json"]
    done = run("doctor", *small_options, *cache, environment=store.environment())
    found = findings(done)
    assert done.returncode == 0, done.stdout
    assert found["credentials"]["state"] == found["reading"]["state"] == "good"
    assert found["listing"]["text"].startswith("6 shards, ")

    wrong = {**store.environment(), "AWS_SECRET_ACCESS_KEY": "wrong"}
    done = run("doctor", *small_options, *cache, environment=wrong)
    assert (done.returncode, findings(done)["credentials"]["state"]) == (3, "bad")
    done = run("doctor", "s3://small", *cache, "--endpoint-url", f"http://127.0.0.1:{closed_port()}",
               environment=store.environment())
    assert (done.returncode, findings(done)["endpoint"]["state"]) == (5, "bad")
    done = run("doctor", "s3://none", *store.options(), *cache, environment=store.environment())
    assert (done.returncode, findings(done)["listing"]["state"]) == (4, "bad")
    assert findings(done)["listing"]["advice"]


def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_doctor_tells_why_a_configured_source_fails(run, tmp_path):
    (tmp_path / "config").write_text("[profile a]\ncredential_process = false\n")
    variables = mounts.clean_environment(AWS_CONFIG_FILE=tmp_path / "config")
    cache = ["--cache-dir", tmp_path / "cache"]
    done = run("doctor", *cache, "--json", environment=variables)
    assert "none found" in done.stdout
    for profile, reason in (("a", "exit status 1"), ("b", "no profile 'b'")):
        done = run("doctor", *cache, "--json", "--profile", profile, environment=variables)
        assert done.returncode == 3 and reason in done.stdout, done.stdout
        assert "s3://" not in done.stdout


def test_doctor_names_a_cache_that_cannot_be(run, tmp_path):
    (tmp_path / "file").write_text("")
    done = run("doctor", "--cache-dir", tmp_path / "file")
    assert done.returncode == 9
    assert "✗ cache" in done.stdout and "→ give another with --cache-dir" in done.stdout


def test_doctor_finds_a_dead_mount(run, mount_run, tmp_path):
    made = mount_run()
    made.kill()
    done = run("doctor", "--cache-dir", tmp_path / "c")
    assert done.returncode == 6
    words = " ".join(done.stdout.split())
    assert f"{made.point}: its wdsfs was killed" in words
    assert f"wdsfs unmount --lazy {made.point}" in words
