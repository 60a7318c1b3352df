"""Training loaders beside each other, decoding included: the same bucket, in one run, in turns.

Each reads an epoch of JPEG pictures and their labels, decodes by PIL in as many workers, and hands out batches of
tensors; twice, in two processes: cold, with an empty cache, and warm, over what the first left on disk. The kernel's
cache of files is dropped before each (root may do that). The clock runs from the dataset's making to the last batch,
imports left out. A run counts only if samples, labels and pixels are those that went in.

webdataset keeps whole shards in its cache_dir; MosaicML Streaming and LitData read the same samples in formats of their
own, converted beforehand. LitData refuses plain http: it gets TLS, by nginx before the same server, and where its client
does not take our authority it is left out.
"""

import argparse
import contextlib
import io
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

from . import bench_page, contenders, loaders, mounts, servers, shards, tls
from .bench import given, keep
from .console import bold, dim, say, size

SECONDS = 1200
SIDE = (448, 336)


def pictures(first, count):
    """Cuts of scikit-learn's two photographs as JPEG, some 50 KB each, with labels."""
    import random

    import sklearn.datasets
    from PIL import Image

    folder = pathlib.Path(sklearn.datasets.__file__).parent / "images"
    photographs = [Image.open(folder / name).convert("RGB") for name in ("china.jpg", "flower.jpg")]
    for number in range(first, first + count):
        chance = random.Random(number)
        photograph = photographs[number % 2]
        left = chance.randrange(photograph.width - SIDE[0])
        top = chance.randrange(photograph.height - SIDE[1])
        file = io.BytesIO()
        cut = photograph.crop((left, top, left + SIDE[0], top + SIDE[1]))
        cut.save(file, "JPEG", quality=92)
        yield f"{number:08d}", {"jpg": file.getvalue(), "cls": b"%d" % (number % 1000)}


def make_data(folder, count, per_shard):
    dataset = shards.Dataset(folder / contenders.BUCKET)
    labels = total = 0
    for number, first in enumerate(range(0, count, per_shard)):
        samples = list(pictures(first, min(per_shard, count - first)))
        dataset.add_shard("train", f"train-{number:06d}.tar", samples)
        labels += sum(int(fields["cls"]) for _, fields in samples)
        total += sum(loaders.digest(loaders.decoded(fields["jpg"])) for _, fields in samples)
    return dataset, (count, labels, total % 2**64)


class Lineup:
    """One bucket on one server, and a way to run each loader once."""

    def __init__(self, binary, python, folder, server, front, authority, workers):
        self.binary, self.python, self.folder = binary, python, folder
        self.server, self.front, self.workers = server, front, workers
        profile = folder / "credentials"
        profile.write_text("[default]\naws_access_key_id = AKIABENCH\naws_secret_access_key = unchecked\n")
        self.environment = mounts.clean_environment(
            AWS_ACCESS_KEY_ID="AKIABENCH", AWS_SECRET_ACCESS_KEY="unchecked", AWS_REGION="us-east-1",
            AWS_SHARED_CREDENTIALS_FILE=str(profile), AWS_ENDPOINT_URL=server.endpoint,
            S3_ENDPOINT_URL=server.endpoint, AWS_CA_BUNDLE=str(authority.bundle),
            SSL_CERT_FILE=str(authority.bundle), WDSFS_BINARY=binary, HOME=str(folder / "home"),
            TMPDIR=str(folder), OMP_NUM_THREADS="1",
            PYTHONPATH=f"{contenders.PACKAGE / 'scripts'}:{contenders.PACKAGE / 'python'}",
        )

    def start(self, name, work):
        process = subprocess.Popen(
            [self.python, "-W", "ignore", "-m", "harness.loaders", name], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=open(self.folder / "log", "wb"), text=True,
            env=self.environment, preexec_fn=servers.die_with_parent,
        )
        process.stdin.write(json.dumps(work) + "\n")
        process.stdin.flush()
        return process

    def convert(self, dataset, buckets):
        process = self.start("convert", {
            "folder": os.path.join(dataset.folder, "train"), "mds": str(buckets / "mds"), "lit": str(buckets / "lit"),
        })
        self.check(process, *process.communicate(timeout=SECONDS))

    def check(self, process, out, _):
        if process.returncode != 0:
            text = (self.folder / "log").read_text(errors="replace")
            raise RuntimeError(f"exit {process.returncode}: {text.strip()[-600:]}")
        return out

    def epoch(self, name, keys, wanted):
        cache = self.folder / "caches" / name.replace(" ", "-")
        process = self.start(name, {
            "remote": f"s3://{contenders.BUCKET}", "mds": "s3://mds", "lit": "s3://lit", "keys": keys,
            "endpoint": self.server.endpoint, "https": self.front.endpoint, "cache": str(cache),
            "workers": self.workers,
        })
        try:
            while (line := process.stdout.readline()) and line != "ready\n":
                pass
            contenders.drop_kernel_cache()
            # As what the others have imported, the program is there already.
            subprocess.run([self.binary, "--version"], check=True, stdout=subprocess.DEVNULL)
            out = self.check(process, *process.communicate("begin\n", timeout=SECONDS))
        finally:
            process.kill()
        found = json.loads(out.splitlines()[-1])
        seen = (found["samples"], found["labels"], found["pixels"])
        if seen != wanted:
            raise RuntimeError(f"samples, labels, pixels are {seen}, {wanted} went in")
        return found["seconds"]

    def clear(self):
        shutil.rmtree(self.folder / "caches", ignore_errors=True)
        # Where streaming-wds keeps what it fetched.
        shutil.rmtree(self.folder / "home", ignore_errors=True)
        (self.folder / "home").mkdir()


def run_all(arguments, binary, python):
    runs, left_out = [], {}
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="wdsfs-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        # nginx's workers are nobody in particular, and read the buckets.
        folder.chmod(0o755)
        buckets = folder / "buckets"
        buckets.mkdir()
        dataset, wanted = make_data(buckets, arguments.samples, arguments.samples_per_shard)
        if contenders.FAST_SERVER.exists():
            server = contenders.FastS3(buckets, folder / "server")
        else:
            server = servers.RcloneS3(buckets, folder / "server", public=True)
        stack.enter_context(server)
        authority = tls.Authority(folder / "authority")
        front = tls.TLSFront(server.endpoint, authority.certificate(), folder / "front")
        stack.enter_context(front)
        lineup = Lineup(binary, python, folder, server, front, authority, arguments.workers)
        lineup.clear()
        say(
            f"{dataset.sample_count():,} pictures, {size(dataset.byte_count())}, {len(dataset.splits['train'])} "
            f"shards; {arguments.workers} workers, {arguments.rounds} rounds in turn"
        )
        lineup.convert(dataset, buckets)
        keys = [f"{contenders.BUCKET}/train/{name}" for name in sorted(dataset.splits["train"])]
        for number in range(arguments.rounds):
            lineup.clear()
            for name in (name for name in loaders.LOADERS if arguments.only.lower() in name.lower()):
                for state in ("cold", "warm"):
                    if name in left_out:
                        continue
                    try:
                        seconds = lineup.epoch(name, keys, wanted)
                    except (RuntimeError, subprocess.TimeoutExpired) as error:
                        if name.startswith("wdsfs"):
                            raise
                        left_out[name] = str(error)
                        say(dim(f"  {name} is left out: {error}"))
                        continue
                    rate = wanted[0] / seconds
                    runs.append({
                        "loader": name, "state": state, "round": number, "seconds": seconds, "samples_per_second": rate,
                    })
                    say(dim(f"  round {number + 1}  {name:28} {state} {rate:8,.0f} samples/s {seconds:7.2f} s"))
    return runs, left_out


def print_table(runs):
    say(bold(f"\n  {'samples/s, medians':28}{'cold':>9}{'warm':>9}"))
    for name in loaders.LOADERS:
        rates = [
            [run["samples_per_second"] for run in runs if (run["loader"], run["state"]) == (name, state)]
            for state in ("cold", "warm")
        ]
        if all(rates):
            say(f"  {name:28}" + "".join(f"{statistics.median(of):9,.0f}" for of in rates))


def main():
    parser = argparse.ArgumentParser(
        prog="scripts/bench --loaders", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--binary", type=os.path.abspath, help=argparse.SUPPRESS)
    parser.add_argument("--peers", help=argparse.SUPPRESS)
    parser.add_argument("--loaders", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--samples", type=int, default=6000, help="pictures (%(default)s)")
    parser.add_argument("--samples-per-shard", type=int, default=500, help="(%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="that decode (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many (%(default)s)")
    parser.add_argument("--only", default="", metavar="PART", help="loaders whose names have this in them")
    parser.add_argument("--page", action="store_true", help="write the figures into docs/performance.md")
    parser.add_argument("--out", default=str(contenders.PACKAGE / "bench/results"), help="folder for the JSON")
    arguments = parser.parse_args(given())
    runs, left_out = run_all(arguments, arguments.binary, arguments.peers)
    print_table(runs)
    document = {
        "version": 1,
        "samples": arguments.samples,
        "workers": arguments.workers,
        "rounds": arguments.rounds,
        "left_out": left_out,
        "runs": runs,
    }
    keep(document, "loaders", arguments.out)
    if arguments.page:
        bench_page.write_loaders(document, contenders.PACKAGE)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except (mounts.MountFailed, RuntimeError, OSError, TimeoutError) as error:
        sys.exit(f"bench: {error}")
