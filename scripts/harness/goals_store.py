"""Measures what readers notice of a store on a bad day: the network's part of harness.goals."""

import concurrent.futures
import errno
import threading
import time

from . import faults, mounts, soak, trees

# FAULTS.md's mixture: of a hundred GETs so many.
MIXTURE = "slow_down=10,short_body=5,reset_inside=5,stall=2"
EPOCHS = 4
READERS = 4
THOUSAND = 1000


def read_epoch(point, samples, epoch, readers=READERS):
    """All of an epoch, in order, each byte compared; a number of fields."""
    folder = point / f".epochs/{epoch}/train/0"
    with concurrent.futures.ThreadPoolExecutor(readers) as pool:
        parts = [pool.submit(trees.check_rank, folder, samples, n, readers) for n in range(readers)]
        for part in parts:
            part.result()
    return sum(len(sample.fields) for sample in samples)


def mixture(mount, relay, samples, goals):
    """G1 and G2: whole epochs without and with the mixture of faults."""

    def epochs(first):
        before, begin, fields = relay.counts(), time.perf_counter(), 0
        for epoch in range(first, first + EPOCHS):
            fields += read_epoch(mount.point, samples, epoch)
        after, seconds = relay.counts(), time.perf_counter() - begin
        return after["requests"] - before.get("requests", 0), seconds, fields

    plain_requests, plain_seconds, _ = epochs(0)
    relay.strike(MIXTURE)
    requests, seconds, fields = epochs(EPOCHS)
    struck = sum(relay.counts().values()) - relay.counts()["requests"]
    relay.calm()
    # Any wrong byte, and any read that fails, has ended this by now.
    goals.add(f"G1 wrong bytes in {fields} fields, {struck} of {requests} requests faulted", 0, "", 0)
    goals.add(f"G2 reads that failed of {fields}", 0, "", 0)
    goals.add("G2 requests, times those without faults", requests / plain_requests, "x", 1.35)
    goals.add("G2 throughput, part of that without faults", plain_seconds / seconds, "x", 0.6, is_least=True)


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


def replaced(mount, dataset, folder, samples, goals):
    """G6: a shard that was replaced is found out by its next read, and for good."""
    shard = next(folder.glob("**/train-000020.tar"))
    data = bytearray(shard.read_bytes())
    data[600] ^= 1
    time.sleep(1.1)
    shard.write_bytes(data)
    stale = 0
    for position in range(800, 840):
        try:
            trees.check_sample(mount.point / f".epochs/{EPOCHS * 2 + 30}/train/0/{trees.index_name(position)}", samples[position])
        except OSError as error:
            stale += error.errno == errno.ESTALE
    goals.add("G6 reads of a replaced shard that were no ESTALE, of 40", 40 - stale, "", 0)


def measure(words, dataset, bucket, scratch, server, goals):
    """All of it, over a relay of its own."""
    samples, timeout, budget_mib = dataset.rank("train"), 45, 16
    with faults.FaultyRelay(server.endpoint, scratch / "faulty", 0, 1) as relay:
        mount = mounts.Mount(
            words.binary, "s3://goals", scratch / "mnt2", "--endpoint-url", relay.endpoint,
            "--cache-dir", "memory", "--cache-size", f"{budget_mib}MiB", "--retry-timeout", f"{timeout}s",
            environment=mounts.clean_environment(**server.environment()),
        )
        with mount:
            trees.check_listing(mount.point / "train/0", len(samples))
            mixture(mount, relay, samples, goals)
            one_stall(mount, relay, samples, goals)
            outage(mount, relay, samples, timeout, goals)
            throttling(mount, relay, samples, goals)
            thousand_readers(mount, samples, budget_mib, goals)
            replaced(mount, dataset, bucket, samples, goals)
            mount.unmount()
