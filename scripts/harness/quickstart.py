"""The first five minutes with wdsfs: the demo bucket from end to end, or your own bucket looked at."""

import argparse
import contextlib
import itertools
import os
import pathlib
import shlex
import shutil
import signal
import sys
import tempfile
import time

from . import demo, mounts, servers, shards, trees
from .console import Progress, Steps, bold, dim, green, red, say, size

DESCRIPTION = """
Without a remote: makes a bucket of real images, serves it on this machine as S3 does, mounts it,
reads every sample and compares every byte. With one (s3://bucket/prefix, https://.../{000..146}.tar
or a folder): mounts yours, shows its tree and reads a few samples; options are those of wdsfs mount.
"""


def stop_on_signals():
    """Termination unwinds like Ctrl-C does, so that everything is cleared away."""

    def stop(number, _):
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)


@contextlib.contextmanager
def scratch_folder():
    """A temporary folder that is gone afterwards; never removed while something is mounted in it."""
    folder = tempfile.mkdtemp(prefix="wdsfs-quickstart-")
    try:
        yield pathlib.Path(folder)
    finally:
        for point, _ in mounts.mounted(below=folder):
            mounts.detach(point)
        if mounts.mounted(below=folder):
            say(red(f"      {folder} is still mounted below and therefore left as it is"))
        else:
            shutil.rmtree(folder, ignore_errors=True)


def show_tree(point, samples_shown=2):
    """An excerpt, as `find` would show it: the first samples of each split's first rank."""
    for split in sorted(os.listdir(point)):
        for rank in sorted(os.listdir(f"{point}/{split}"), key=int)[:1]:
            with os.scandir(f"{point}/{split}/{rank}") as entries:
                for entry in itertools.islice(entries, samples_shown):
                    for name in sorted(os.listdir(entry.path)):
                        field = f"{entry.path}/{name}"
                        bytes_text = size(os.stat(field).st_size).rjust(10)
                        say(f"      {bytes_text}  {os.path.relpath(field, point)}")
            say(dim(f"                  {split}/{rank}/..."))


def typed(path):
    """A path as one would type it here."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def demo_journey(binary):
    steps = Steps(7)
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(scratch_folder())
        with steps.step("Make a bucket of real images: scikit-learn's digits and photographs"):
            dataset = demo.make(folder / "store")
            splits = shards.load_manifest(folder / "store" / "manifest.json")
            for split, samples in sorted(splits.items()):
                names = {sample.shard for sample in samples}
                count = sum(sample.byte_count() for sample in samples)
                noun = "shard " if len(names) == 1 else "shards"
                say(f"      {split:7} {len(names):3} {noun} {len(samples):6,} samples  {size(count)}")
        with steps.step("Serve it as S3 on this machine, signatures checked"):
            server = servers.RcloneS3(folder / "store", folder / "server")
            stack.enter_context(server)
            say(f"      rclone serve s3: {server.endpoint}, bucket 'bucket', random keys")
        environment = mounts.clean_environment(**server.environment())
        cursor = folder / "run.cursor"
        mount = mounts.Mount(
            binary, "s3://bucket", folder / "mnt", "--endpoint-url", server.endpoint,
            "--shuffle", "full", "--seed", "7", "--cursor", cursor,
            environment=environment, cache_dir=folder / "cache",
        )
        with steps.step("Mount it, shuffled, with a cursor"):
            say(f"      wdsfs mount s3://bucket {mount.point} --endpoint-url {server.endpoint} \\")
            say(f"        --shuffle full --seed 7 --cursor {cursor}")
            stack.enter_context(mount)
            show_tree(mount.point)
        by_key = {split: {sample.key: sample for sample in samples} for split, samples in splits.items()}
        sizes = {}

        def listed():
            return [
                (split, name)
                for split in sorted(splits)
                for name in sorted(os.listdir(f"{mount.point}/{split}/0"))
            ]

        def read(part, title):
            progress = Progress(title, len(part))
            for split, name in part:
                path = f"{mount.point}/{split}/0/{name}"
                key = os.fsdecode(os.getxattr(path, "user.wds.key"))
                count = trees.check_sample(path, by_key[split][key])
                sizes[split, key] = count
                progress.advance(1, count)
            progress.finish()

        everything = listed()
        half = len(everything) // 2
        with steps.step("Read the first half, comparing every byte with what went in"):
            for split, samples in splits.items():
                trees.check_listing(f"{mount.point}/{split}/0", len(samples))
            read(everything[:half], "reading")
        with steps.step("Kill the mount with SIGKILL and mount again: it resumes by its cursor"):
            mount.kill()
            try:
                os.listdir(mount.point)
            except OSError as error:
                say(f"      killed: {error.strerror}")
            mount.start()
            left = listed()
            again = len(left) - (len(everything) - half)
            if not 0 <= again <= half:
                raise trees.Difference(f"{len(left)} samples are left after {half} were read")
            say(f"      read: {half:,}, listed now: {len(left):,}; saved each second, so {again:,} come again")
        with steps.step("Read what is left"):
            read(left, "reading")
        with steps.step("Unmount"):
            mount.unmount()
    total = sum(sizes.values())
    say(
        green("\nAll right: ")
        + f"{len(sizes):,} samples, {size(total)}, each of them read and every byte as it went in "
        + dim(f"({time.monotonic() - begin:.0f} s; server, mount and files are gone again)")
    )
    if dataset.byte_count() != total:
        raise trees.Difference(f"read {total} bytes in all, {dataset.byte_count()} went in")
    say(bold("\nTry next"))
    program = typed(binary)
    say(
        f"  scripts/quickstart s3://your-bucket/prefix      your own bucket, your own credentials\n"
        f"  scripts/demo-bucket /tmp/wds-demo               the demo bucket, to keep\n"
        f"  mkdir -p /tmp/wds && {program} mount /tmp/wds-demo/bucket /tmp/wds\n"
        f"  ls -l /tmp/wds/train/0/00000042                 one sample; one file per field\n"
        f"  cat /tmp/wds/train/0/00000042/cls               a field by its bare name\n"
        f"  {program} unmount /tmp/wds"
    )


def own_journey(binary, remote, options):
    steps = Steps(3)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(scratch_folder())
        # The user's own credentials, settings and cache decide here, so all the environment stays.
        mount = mounts.Mount(
            binary, remote, folder / "mnt", *options, environment=dict(os.environ),
            cache_dir=folder / "cache",
        )
        with steps.step(f"Mount {remote}"):
            stack.enter_context(mount)
            show_tree(mount.point, samples_shown=3)
        with steps.step("Read the first samples of each split"):
            for split in sorted(os.listdir(mount.point)):
                for rank in sorted(os.listdir(mount.point / split), key=int)[:1]:
                    begin, count, total = time.monotonic(), 0, 0
                    with os.scandir(mount.point / split / rank) as entries:
                        for entry in itertools.islice(entries, 20):
                            count += 1
                            for name in os.listdir(entry.path):
                                total += len(pathlib.Path(entry.path, name).read_bytes())
                    say(
                        f"      {split}: {count} samples, {size(total)} in "
                        f"{(time.monotonic() - begin) * 1000:.0f} ms"
                    )
        with steps.step("Unmount"):
            mount.unmount()
    program = typed(binary)
    words = shlex.join([program, "mount", remote, "/mnt/wds", *options])
    say(
        bold("\nTo keep it mounted") + f"\n  mkdir -p /mnt/wds && {words}\n"
        f"  ls /mnt/wds                     its splits; below them a folder for each rank\n"
        f"  {program} unmount /mnt/wds"
    )


def main():
    binary = os.path.abspath(sys.argv.pop(1))
    parser = argparse.ArgumentParser(
        prog="scripts/quickstart",
        usage="%(prog)s [REMOTE [options of wdsfs mount]]",
        description=DESCRIPTION,
    )
    parser.add_argument("remote", nargs="?")
    arguments, options = parser.parse_known_args()
    if options and not arguments.remote:
        parser.error(f"unexpected {options[0]}; options follow a remote")
    stop_on_signals()
    try:
        if arguments.remote:
            own_journey(binary, arguments.remote, options)
        else:
            demo_journey(binary)
    except KeyboardInterrupt:
        say(red("\nStopped. ") + "Server, mount and files are gone again.")
        sys.exit(130)
    except mounts.MountFailed as error:
        say(red("\nThe mount did not come up: ") + error.stderr.strip())
        sys.exit(error.code)
    except (trees.Difference, OSError, RuntimeError, TimeoutError) as error:
        say(red("\nThat went wrong: ") + str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
