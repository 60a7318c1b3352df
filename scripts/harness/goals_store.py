"""Measures what readers notice of a store on a bad day: the network's part of harness.goals."""

import concurrent.futures
import errno
import pathlib
import threading
import time

from . import faults, mounts, servers, shards, soak, trees

# The mixture of docs/reliability.md: of a hundred GETs so many.
MIXTURE = "slow_down=10,short_body=5,reset_inside=5,stall=2"
EPOCHS = 4
READERS = 4
THOUSAND = 1000

# Of the mixture: five times 23,040 fields under faults, and as many without, from 64 MB of data.
SMALL_SHARDS = [160] * 48
SMALL_BYTES = 8_000
SMALL_EPOCHS = 5


# A worker takes so many samples at a time, as a loader's do: nobody falls far behind.
BLOCK = 32


def read_block(folder, samples, first):
    """A block of an epoch, each byte compared."""
    for position, sample in enumerate(samples, first):
        trees.check_sample(folder / trees.index_name(position), sample)


def read_epoch(pool, mount, samples, epoch):
    """A whole epoch by the processes of a pool; how long that took."""
    begin, folder = time.perf_counter(), mount.point / f".epochs/{epoch}/train/0"
    blocks = [
        pool.submit(read_block, folder, samples[first:first + BLOCK], first) for first in range(0, len(samples), BLOCK)
    ]
    for block in blocks:
        block.result()
    return time.perf_counter() - begin


def small(bucket):
    """The shards of the mixture; made before their server looks for its buckets."""
    return shards.Dataset(bucket).add_split("train", SMALL_SHARDS, SMALL_BYTES)


def mixture(words, server, dataset, scratch, goals):
    """G1, G2 and G18: whole epochs without and with the mixture of faults, in turn."""
    samples = dataset.rank("train")
    fields = sum(len(sample.fields) for sample in samples) * SMALL_EPOCHS
    mebibytes = sum(-(-path.stat().st_size // (1 << 20)) for path in pathlib.Path(dataset.folder).rglob("*.tar"))
    requests, seconds, struck = {}, {}, 0
    with faults.FaultyRelay(server.endpoint, scratch / "faulty-small", 0, 1) as relay:
        mount = mounts.Mount(
            words.binary, f"s3://{pathlib.Path(dataset.folder).name}", scratch / "mnt-small", "--endpoint-url", relay.endpoint,
            "--cache-dir", "memory", "--cache-size", "32MiB", environment=mounts.clean_environment(**server.environment()),
        )
        with mount, concurrent.futures.ProcessPoolExecutor(READERS) as pool:
            trees.check_listing(mount.point / "train/0", len(samples))
            goals.add("G18 requests for a MiB begun of what is indexed", relay.counts()["requests"] / mebibytes, "", 1)
            # In turn, so that what else the machine does weighs on both.
            for epoch in range(2 * SMALL_EPOCHS):
                is_struck = epoch % 2 == 1
                if is_struck:
                    relay.strike(MIXTURE)
                else:
                    relay.calm()
                before = relay.counts()
                took = read_epoch(pool, mount, samples, epoch)
                after = relay.counts()
                seconds[is_struck] = seconds.get(is_struck, 0) + took
                requests[is_struck] = requests.get(is_struck, 0) + after["requests"] - before["requests"]
                struck += sum(after.values()) - sum(before.values()) - after["requests"] + before["requests"]
            pool.shutdown()
            mount.unmount()
    # Any wrong byte, and any read that fails, has ended this by now.
    goals.add(f"G1 wrong bytes in {fields} fields, {struck} of {requests[True]} requests faulted", 0, "", 0)
    goals.add(f"G2 reads that failed of {fields}", 0, "", 0)
    goals.add("G2 requests, times those without faults", requests[True] / requests[False], "x", 1.35)
    goals.add("G2 throughput, part of that without faults", seconds[False] / seconds[True], "x", 0.6, is_least=True)


def one_stall(mount, relay, samples, goals):
    """G3: what one stalled body costs, and what a store that says nothing does to a read."""
    # Behind the third of its request that comes.
    position = 18
    folder = mount.point / f".epochs/{EPOCHS * 2}/train/0"
    relay.strike("stall=100")
    first, begin = relay.counts(), time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        whole = pool.submit(trees.check_sample, folder / trees.index_name(position), samples[position])
        mounts.wait_until(lambda: relay.counts().get("stall", 0) > first.get("stall", 0), 30, "one stalls")
        relay.calm()
        whole.result()
    goals.add("G3 a read with one stall", time.perf_counter() - begin, "s", 10)


def outage(mount, relay, samples, timeout, goals):
    """G3 and G4: nothing answers, for longer than a read waits; and then all does again."""
    relay.strike("close_before=100")
    path = mount.point / f".epochs/{EPOCHS * 2 + 1}/train/0"
    waits, errors = [], []

    def read(position):
        begin = time.perf_counter()
        try:
            trees.check_sample(path / trees.index_name(position), samples[position])
        except OSError as error:
            errors.append(error.errno)
        waits.append(time.perf_counter() - begin)

    # Of as many shards as readers.
    places = [40 * n for n in range(8)]
    readers = [threading.Thread(target=read, args=(place,)) for place in places]
    for reader in readers:
        reader.start()
    time.sleep(30)
    before = relay.counts()["requests"]
    time.sleep(10)
    goals.add("G4 requests a second after 30 s of outage", (relay.counts()["requests"] - before) / 10, "", 1)
    for reader in readers:
        reader.join()
    goals.add(f"G3 the longest read, --retry-timeout {timeout} s", max(waits), "s", timeout + 1)
    goals.add("G3 reads that did not end with EIO", len([e for e in errors if e != errno.EIO]), "", 0)
    relay.calm()
    begin = time.perf_counter()
    trees.check_sample(path / trees.index_name(0), samples[0])
    goals.add("G4 the first read after the outage", time.perf_counter() - begin, "s", 5)


def throttling(mount, relay, samples, goals):
    """G5: a store that takes eight requests a second."""
    relay.allow(8)
    ended = threading.Event()

    def read():
        epoch = EPOCHS * 2 + 2
        while not ended.is_set():
            for position in range(0, len(samples), 10):
                if ended.is_set():
                    break
                trees.check_sample(mount.point / f".epochs/{epoch}/train/0/{trees.index_name(position)}", samples[position])
            epoch += 1

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(30)
    before = relay.counts()
    time.sleep(15)
    after = relay.counts()
    ended.set()
    relay.calm()
    reader.join()
    refused = after.get("slow_down", 0) - before.get("slow_down", 0)
    requests = max(1, after["requests"] - before["requests"])
    goals.add("G5 refused of a hundred requests, after 30 s of throttling", refused * 100 / requests, "%", 20)


def thousand_readers(mount, samples, budget_mib, goals):
    """G11 and G12: a thousand files open and read at once."""
    (pid,) = mount.pids()
    watch = soak.Watch(pid)
    watch.start()
    folder = mount.point / f".epochs/{EPOCHS * 2 + 20}/train/0"

    def read(number):
        position = number * 7 % len(samples)
        trees.check_sample(folder / trees.index_name(position), samples[position])

    threading.stack_size(512 * 1024)
    readers = [threading.Thread(target=read, args=(number,)) for number in range(THOUSAND)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    watch.taken.append(soak.figures(pid))
    taken = watch.stop()
    goals.add(f"G11 resident memory with {THOUSAND} readers", max(t[0] for t in taken) / (1 << 20), "MiB", budget_mib + 64)
    goals.add(f"G12 descriptors with {THOUSAND} readers", max(t[1] for t in taken), "", 350)
    goals.add(f"G12 threads with {THOUSAND} readers", max(t[2] for t in taken), "", 32)


def replaced(words, bucket, scratch, samples, goals):
    """G6: a shard that was replaced is found out by its next read from the store, and for good."""
    # A server of its own, which looks at its folder each time.
    server = servers.RcloneS3(bucket.parent, scratch / "server-replaced", listings_kept="1ms")
    with server:
        mount = mounts.Mount(
            words.binary, f"s3://{bucket.name}", scratch / "mnt-replaced", "--endpoint-url", server.endpoint,
            "--cache-dir", "memory", "--cache-size", "16MiB", "--prefetch", "0B",
            environment=mounts.clean_environment(**server.environment()),
        )
        with mount:
            trees.check_listing(mount.point / "train/0", len(samples))
            # Nothing of the first shards is in memory once so many others were read.
            trees.check_rank(mount.point / "train/0", samples, 200)
            shard = next(bucket.glob("**/train-000002.tar"))
            original = shard.read_bytes()
            # A file's time is told in seconds.
            time.sleep(1.1)
            shard.write_bytes(original[:600] + bytes([original[600] ^ 1]) + original[601:])
            stale = 0
            for position in range(80, 120):
                try:
                    trees.check_sample(mount.point / f"train/0/{trees.index_name(position)}", samples[position])
                except OSError as error:
                    stale += error.errno == errno.ESTALE
            shard.write_bytes(original)
            mount.unmount()
    goals.add("G6 reads of a replaced shard that were no ESTALE, of 40", 40 - stale, "", 0)


def measure(words, dataset, bucket, scratch, server, goals):
    """All but the mixture, over a relay of its own."""
    samples, timeout, budget_mib = dataset.rank("train"), 45, 16
    with faults.FaultyRelay(server.endpoint, scratch / "faulty", 0, 1) as relay:
        mount = mounts.Mount(
            words.binary, "s3://goals", scratch / "mnt2", "--endpoint-url", relay.endpoint,
            "--cache-dir", "memory", "--cache-size", f"{budget_mib}MiB", "--retry-timeout", f"{timeout}s",
            environment=mounts.clean_environment(**server.environment()),
        )
        with mount:
            trees.check_listing(mount.point / "train/0", len(samples))
            one_stall(mount, relay, samples, goals)
            outage(mount, relay, samples, timeout, goals)
            throttling(mount, relay, samples, goals)
            thousand_readers(mount, samples, budget_mib, goals)
            mount.unmount()
    replaced(words, bucket, scratch, samples, goals)
