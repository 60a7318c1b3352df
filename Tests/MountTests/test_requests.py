"""What is asked of the store: indexes once, chunks once, and reads that wait for it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from harness import mounts, shards, trees


@pytest.fixture
def medium(store):
    """24 shards of some 2 MB: three times the cache of the tests that want misses."""
    return store.dataset("medium", lambda made: made.add_split("train", [40] * 24, 50_000))


@pytest.fixture
def through_relay(mount, store, watched):
    def make(bucket, *options, **more):
        return mount(
            f"s3://{bucket}", "--endpoint-url", watched.endpoint, *options,
            environment=store.environment(), **more,
        )

    return make


def test_a_second_mount_asks_for_no_data_before_the_first_read(through_relay, watched, medium, equal):
    made = through_relay("medium")
    equal(made, medium)
    made.unmount()
    watched.forget()
    made.start()
    samples = medium.rank("train")
    trees.check_listing(made.point / "train/0", len(samples))
    for position in range(0, len(samples), 7):
        folder = made.point / "train/0" / trees.index_name(position)
        assert sorted(os.listdir(folder)) == sorted(samples[position].listed_names())
        for name, field in zip(samples[position].listed_names(), samples[position].fields):
            assert os.stat(folder / name).st_size == field.size
        assert os.getxattr(folder, "user.wds.key").decode() == samples[position].key
    assert watched.data_requests() == []
    # The listing is what tells it that nothing has changed.
    assert [request for request in watched.requests() if "list-type=2" in request.target]


def test_an_unmount_right_after_a_listing_loses_no_index(mount, tmp_path):
    # More shards, and faster, than their indexes are written meanwhile.
    dataset = shards.Dataset(tmp_path / "set").add_split("train", [1] * 1000, 64)
    made = mount(dataset.folder)
    trees.check_listing(made.point / "train/0", 1000)
    made.unmount()
    made.start()
    trees.check_listing(made.point / "train/0", 1000)
    indexes = json.loads((made.point / ".wdsfs/stats.json").read_text())["indexes"]
    assert (indexes["built"], indexes["loaded"]) == (0, 1000)


def test_a_second_epoch_comes_from_the_cache_kept_across_mounts(through_relay, watched, medium, equal):
    made = through_relay("medium")
    equal(made, medium)
    made.unmount()
    watched.forget()
    made.start()
    equal(made, medium)
    assert watched.data_requests() == []


def test_many_readers_of_one_field_cost_its_bytes_once(through_relay, watched, medium):
    made = through_relay("medium")
    size = os.path.getsize(f"{medium.folder}/train/train-000000.tar")
    trees.check_listing(made.point / "train/0", len(medium.rank("train")))
    wanted = medium.rank("train")[0].fields[0].sha256
    command = ["sha256sum", str(made.point / "train/0/00000000/jpg")]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(16)]
    assert {reader.communicate(timeout=30)[0][:64] for reader in readers} == {wanted}
    first_shard = [r for r in watched.data_requests() if "train-000000.tar" in r.target]
    assert sum(request.bytes for request in first_shard) <= 1.05 * size


def test_an_epoch_costs_its_bytes_about_once(through_relay, watched, medium, equal):
    total = sum(
        os.path.getsize(f"{medium.folder}/train/{name}") for name in medium.splits["train"]
    )
    equal(through_relay("medium"), medium, processes=4)
    assert sum(request.bytes for request in watched.data_requests()) <= 1.05 * total


def test_a_reader_goes_forward_through_hundreds_of_windows(mount, store, medium):
    # With the smallest window each sample begins another; it must not grow beyond all bounds.
    made = mount(
        "s3://medium", *store.options(), "--prefetch", "1", environment=store.environment()
    )
    trees.check_rank(made.point / "train/0", medium.rank("train"))


@pytest.mark.parametrize("place", ["disk", "memory"])
def test_an_epoch_in_order_costs_its_bytes_once_through_a_small_cache(
    through_relay, watched, medium, tmp_path, place
):
    # What is fetched ahead goes neither for what was passed, nor instead of what is being read.
    total = sum(
        os.path.getsize(f"{medium.folder}/train/{name}") for name in medium.splits["train"]
    )
    cache = "memory" if place == "memory" else tmp_path / "cache"
    made = through_relay("medium", "--cache-size", "16MiB", cache_dir=cache)
    trees.check_rank(made.point / "train/0", medium.rank("train"))
    # In memory sixteen chunks are few: now and then one goes before its last sample was read.
    most = 1.05 if place == "disk" else 1.2
    assert sum(request.bytes for request in watched.data_requests()) <= most * total


@pytest.mark.parametrize("is_indexed", [False, True], ids=["unseen", "indexed"])
def test_large_fields_that_nobody_opens_are_not_fetched(mount, tmp_path, is_indexed):
    # Films of 5 MiB beside their captions, 220 MB of them, more than is fetched before it is clear.
    film = os.urandom(5 << 20)
    dataset = shards.Dataset(tmp_path / "films")
    for shard in range(6):
        dataset.add_shard("train", f"train-{shard:06d}.tar", [
            (f"{shard}-{number}", {"json": b"%d" % (shard * 7 + number), "mp4": film}) for number in range(7)
        ])
    made = mount(dataset.folder, "--prefetch", "24MiB", start=False)
    if is_indexed:
        made.start()
        trees.check_listing(made.point / "train/0", 42)
        made.unmount()
    made.start()

    def fetched():
        return json.loads((made.point / ".wdsfs/stats.json").read_text())["cache"]["chunksFetched"]

    for position in range(30):
        folder = made.point / "train/0" / trees.index_name(position)
        assert (folder / "json").read_bytes() == b"%d" % position
    # Of 150 MiB each caption's one, the films of the first samples, and what was under way by then.
    assert fetched() < 90
    # Who opens one after all gets it, and what comes next is fetched again.
    for position in (29, 30, 31, 32, 41):
        folder = made.point / "train/0" / trees.index_name(position)
        assert (folder / "mp4").read_bytes() == film


def test_one_rank_costs_its_own_shards_alone(through_relay, watched, medium):
    made = through_relay("medium", "--world-size", 4)
    trees.check_rank(made.point / "train/2", medium.rank("train", 2, 4))
    touched = {request.target.split("?")[0].rsplit("/", 1)[1] for request in watched.data_requests()}
    assert touched == set(sorted(medium.splits["train"])[2::4])


def test_listing_the_top_and_a_split_touches_no_shard(through_relay, watched, medium):
    made = through_relay("medium", "--world-size", 4)
    assert os.listdir(made.point) == ["train"]
    assert os.listdir(made.point / "train") == ["0", "1", "2", "3"]
    assert watched.data_requests() == []


def test_the_first_sample_waits_for_its_own_shard_alone(through_relay, watched, medium):
    watched.hold("train-0000(0[1-9]|1|2)")
    made = through_relay("medium")
    begin = time.monotonic()
    trees.check_sample(made.point / "train/0/00000000", medium.rank("train")[0])
    assert time.monotonic() - begin < 10
    with os.scandir(made.point / "train/0") as entries:
        assert next(iter(entries)).name == "00000000"
    watched.release()


@pytest.mark.parametrize("shuffle", ["none", "full"])
def test_a_resumed_run_waits_for_the_shard_of_its_place_alone(through_relay, watched, medium, tmp_path, shuffle):
    options = ["--cursor", tmp_path / "cursor.json", "--shuffle", shuffle, "--seed", "7"]
    made = through_relay("medium", *options)
    count = len(medium.rank("train"))
    trees.check_listing(made.point / "train/0", count)
    place = count * 9 // 10
    (made.point / "train/0/.cursor").write_text(f"0:{place}")
    folder = made.point / "train/0" / trees.index_name(place)
    key = os.getxattr(folder, "user.wds.key")
    shard = os.getxattr(folder, "user.wds.shard").decode()
    made.unmount()

    # Another node, with nothing in its cache: only that shard answers.
    number = int(shard.rpartition("-")[2].partition(".")[0])
    others = "|".join(f"{other:06d}" for other in range(24) if other != number)
    watched.hold(f"train-({others})[.]tar")
    again = through_relay("medium", *options, name="again", cache_dir=tmp_path / "empty")
    folder = again.point / "train/0" / trees.index_name(place)
    assert os.getxattr(folder, "user.wds.key") == key
    assert (folder / "jpg").read_bytes()
    watched.release()
    assert os.listdir(again.point / "train/0") == [trees.index_name(place) for place in range(place, count)]


READERS = """
import sys, threading, hashlib, os
point, count = sys.argv[1], int(sys.argv[2])
digests, failures = [None] * count, []
def read(n):
    try:
        with open(f"{point}/train/0/{n:08d}/jpg", "rb") as file:
            digests[n] = hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        failures.append(error)
threading.stack_size(256 * 1024)
threads = [threading.Thread(target=read, args=(n,)) for n in range(count)]
for thread in threads: thread.start()
print("started", flush=True)
for thread in threads: thread.join()
assert not failures, failures[:3]
print(*digests, sep="\\n")
"""


def indexed_but_not_cached(made, samples):
    """Mounts so that all indexes are known, and the data of the first half is not cached."""
    trees.check_listing(made.point / "train/0", len(samples))
    # More than the cache holds, so that whatever was used before it has gone.
    trees.check_rank(made.point / "train/0", samples, first=len(samples) // 2)
    made.unmount()
    made.start()


@pytest.mark.limit(180)
def test_thousands_of_reads_wait_and_all_are_answered(through_relay, watched, store):
    dataset = store.dataset("waiting", lambda made: made.add_split("train", [125] * 16, 20_000))
    samples = dataset.rank("train")
    made = through_relay("waiting", "--cache-size", "16MiB")
    indexed_but_not_cached(made, samples)
    watched.hold("GET .*[.]tar")
    count = len(samples)
    reader = subprocess.Popen(
        [sys.executable, "-c", READERS, str(made.point), str(count)], stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout.readline() == "started\n"
    begin = time.monotonic()
    # What needs no data is answered meanwhile.
    for position in range(0, count, 100):
        assert os.listdir(made.point) == ["train"]
        os.stat(made.point / f"train/0/{trees.index_name(position)}/cls")
        (made.point / ".wdsfs/stats.json").read_bytes()
    assert time.monotonic() - begin < 5
    assert reader.poll() is None
    watched.release()
    output, _ = reader.communicate(timeout=120)
    assert reader.returncode == 0
    assert output.split() == [sample.fields[0].sha256 for sample in samples]


@pytest.fixture
def held(through_relay, watched, medium):
    """A mount for which shard 5 is held back; and a field in it, with the sample it belongs to."""
    made = through_relay("medium", "--cache-size", "16MiB")
    samples = medium.rank("train")
    indexed_but_not_cached(made, samples)
    watched.hold("GET .*train-000005[.]tar")
    yield made, made.point / f"train/0/{trees.index_name(230)}/jpg", samples[230]
    watched.release()


def read_through_pages(path):
    return subprocess.Popen(["cat", path], stdout=subprocess.DEVNULL)


def read_past_pages(path):
    words = ["dd", f"if={path}", "of=/dev/null", "bs=1M", "iflag=direct"]
    return subprocess.Popen(words, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("read", [read_through_pages, read_past_pages])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_reader_killed_while_waiting_is_gone_at_once(held, watched, number, read):
    _, path, _ = held
    reader = read(path)
    mounts.wait_until(lambda: watched.held() > 0, 20, "the read waits for the store")
    reader.send_signal(number)
    begin = time.monotonic()
    reader.wait(5)
    assert time.monotonic() - begin < 1


@pytest.mark.limit(180)
def test_a_fetch_ends_with_the_last_reader_that_waits_for_it(through_relay, watched, medium):
    made = through_relay("medium", "--cache-size", "16MiB", "--prefetch", "0B")
    indexed_but_not_cached(made, medium.rank("train"))
    watched.hold("GET .*train-000005[.]tar")
    paths = [made.point / f"train/0/{trees.index_name(position)}/jpg" for position in (230, 231)]
    # For the pages of its cache the kernel waits on, whoever wanted them.
    readers = [read_past_pages(path) for path in paths]

    def figures():
        return json.loads((made.point / ".wdsfs/stats.json").read_bytes())

    mounts.wait_until(lambda: figures()["reads"]["waiting"] == 2, 20, "both reads wait for the store")
    readers[0].kill()
    mounts.wait_until(lambda: figures()["reads"]["waiting"] == 1, 20, "one of them is gone")
    mounts.wait_until(lambda: figures()["store"]["inFlight"] == 1, 20, "the fetch goes on for the other")
    readers[1].kill()
    mounts.wait_until(lambda: figures()["store"]["inFlight"] == 0, 20, "nothing is asked of the store any more")
    watched.release()
    for reader in readers:
        reader.wait(10)
    assert shards.sha256(paths[0].read_bytes()) == medium.rank("train")[230].fields[0].sha256


def test_others_go_on_while_one_shard_stalls(held, watched, medium):
    made, path, sample = held
    readers = [subprocess.Popen(["cat", path], stdout=subprocess.PIPE) for _ in range(64)]
    try:
        mounts.wait_until(lambda: watched.held() > 0, 20, "the reads wait for the store")
        trees.check_rank(made.point / "train/0", medium.rank("train")[:80])
        assert not [reader for reader in readers if reader.poll() is not None]
    finally:
        watched.release()
    for reader in readers:
        assert shards.sha256(reader.communicate(timeout=60)[0]) == sample.fields[0].sha256


@pytest.mark.limit(180)
def test_a_crowd_at_a_shard_that_stalls_holds_up_no_read_of_another(through_relay, watched, store):
    # More chunks of the one shard are waited for than there are requests, or room in memory.
    dataset = store.dataset("crowded", lambda made: made.add_split("train", [64, 8], 1_100_000))
    samples = dataset.rank("train")
    made = through_relay("crowded", "--cache-size", "16MiB", "--prefetch", "0B", "--retry-timeout", "600s")
    paths = [made.point / f"train/0/{trees.index_name(position)}/jpg" for position in range(72)]
    for path in paths:
        os.stat(path)
    # Mounted anew, it has no more of the data than its disk holds.
    made.unmount()
    made.start()
    watched.hold("GET .*train-000000[.]tar")
    readers = [read_past_pages(path) for path in paths[:64]]

    def waiting():
        # Reads, not requests: what is asked for at about the same time shares some of these.
        return json.loads((made.point / ".wdsfs/stats.json").read_bytes())["reads"]["waiting"]

    def alive():
        return len([reader for reader in readers if reader.poll() is None])

    try:
        try:
            mounts.wait_until(lambda: watched.held() > 0 and waiting() >= 32, 60, "the reads wait for the store")
        except TimeoutError as error:
            raise AssertionError(
                f"{watched.held()} requests held, {waiting()} reads wait, {alive()} readers are left; the log ends: "
                f"{made.log.read_text()[-2000:]}"
            ) from error
        for position in range(64, 72):
            assert shards.sha256(paths[position].read_bytes()) == samples[position].fields[0].sha256
        assert alive() > 16
    finally:
        for reader in readers:
            reader.kill()
        watched.release()
    for reader in readers:
        reader.wait(20)


def test_a_waiting_reader_that_handles_a_signal_ends_well(held, watched):
    # A handled signal: EINTR where the kernel passes it on, else the bytes.
    program = (
        "import signal, sys, hashlib\n"
        "signal.signal(signal.SIGALRM, lambda *_: None)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)\n"
        "print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())\n"
    )
    _, path, sample = held
    reader = subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True)
    mounts.wait_until(lambda: watched.held() > 0, 20, "the read waits for the store")
    with pytest.raises(subprocess.TimeoutExpired):
        reader.wait(0.5)
    watched.release()
    output, _ = reader.communicate(timeout=30)
    assert output.strip() == sample.fields[0].sha256


@pytest.mark.limit(180)
def test_no_time_of_a_read_is_spent_while_the_mount_is_stopped(through_relay, watched, medium):
    made = through_relay("medium", "--cache-size", "16MiB", "--retry-timeout", "8s")
    samples = medium.rank("train")
    indexed_but_not_cached(made, samples)
    watched.hold("GET .*train-000005[.]tar")
    path = made.point / f"train/0/{trees.index_name(230)}/jpg"
    reader = subprocess.Popen(["cat", path], stdout=subprocess.PIPE)
    mounts.wait_until(lambda: watched.held() > 0, 20, "the read waits for the store")
    (pid,) = made.pids()
    os.kill(pid, signal.SIGSTOP)
    try:
        # What is held is too old by then, and is asked for once more.
        time.sleep(14)
    finally:
        os.kill(pid, signal.SIGCONT)
    asked = len(watched.requests())
    mounts.wait_until(lambda: len(watched.requests()) > asked, 20, "it is asked for again")
    watched.release()
    assert shards.sha256(reader.communicate(timeout=60)[0]) == samples[230].fields[0].sha256


@pytest.mark.limit(180)
def test_a_read_that_fails_is_waited_for_once(through_relay, watched, medium):
    made = through_relay("medium", "--cache-size", "16MiB", "--retry-timeout", "3s")
    indexed_but_not_cached(made, medium.rank("train"))
    watched.hold("GET .*train-000005[.]tar")
    with open(made.point / f"train/0/{trees.index_name(230)}/jpg", "rb") as file:
        with pytest.raises(OSError, match="Input/output error"):
            file.read()
        # The kernel asked twice, for what it read ahead and then for the reader's part alone.
        lines = made.log.read_text().splitlines()
        assert len([line for line in lines if "event=read.failed" in line]) == 1
        watched.release()
        assert shards.sha256(file.read()) == medium.rank("train")[230].fields[0].sha256


def test_sigterm_while_reads_wait(held, watched):
    made, path, _ = held
    reader = subprocess.Popen(["cat", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    mounts.wait_until(lambda: watched.held() > 0, 20, "the read waits for the store")
    (pid,) = made.pids()
    os.kill(pid, signal.SIGTERM)
    mounts.wait_until(lambda: mounts.kind_of_mount(made.point) is None, 10, "detached")
    watched.release()
    reader.wait(40)
    mounts.wait_until(lambda: not made.pids(), 40, "the process is gone")


def folder_bytes(folder):
    return sum(
        os.stat(os.path.join(path, name)).st_blocks * 512
        for path, _, names in os.walk(folder)
        for name in names
    )


def test_the_cache_keeps_within_its_budget(mount, store, medium, tmp_path):
    budget = 16 << 20
    made = mount(
        "s3://medium", *store.options(), "--cache-size", "16MiB", environment=store.environment()
    )
    largest, stop = 0, threading.Event()

    def watch():
        nonlocal largest
        while not stop.is_set():
            try:
                largest = max(largest, folder_bytes(made.cache_dir))
            except FileNotFoundError:
                continue
            stop.wait(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        trees.check_rank(made.point / "train/0", medium.rank("train"))
    finally:
        stop.set()
        watcher.join()
    # Indexes lie beside the budget; those of 24 small shards are small.
    assert 0 < largest <= budget + (1 << 20)


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["RssAnon"].split()[0]) * 1024 + int(fields["RssShmem"].split()[0]) * 1024


@pytest.mark.limit(180)
def test_looking_at_every_sample_does_not_grow_the_process(mount, store):
    dataset = store.dataset("flat", lambda made: made.add_split("train", [1000] * 10, 64))
    made = mount("s3://flat", *store.options(), environment=store.environment())
    subprocess.run(["find", made.point, "-type", "f", "-size", "+1G"], check=True, timeout=60)
    (pid,) = made.pids()
    before = resident_bytes(pid)
    for _ in range(3):
        subprocess.run(["find", made.point, "-type", "f", "-size", "+1G"], check=True, timeout=60)
    assert resident_bytes(pid) <= before + (8 << 20)
    assert len(dataset.rank("train")) == 10_000


def test_few_descriptors_are_enough(mount, store, medium, equal):
    made = mount("s3://medium", *store.options(), environment=store.environment(), start=False)
    made.point.mkdir()
    subprocess.run(
        ["prlimit", "--nofile=64:64", *made.command()],
        check=True, stdin=subprocess.DEVNULL, env=made.environment, timeout=30,
    )
    equal(made, medium)
