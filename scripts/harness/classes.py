"""What `/.classes` takes with many samples: the time to index, to list a class and all of them, and memory.

`scripts/bench --classes`: tars of tiny samples with a label each are made, indexed by one mount and looked at through
another, as on a machine that mounts again.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile
import time

from . import contenders, mounts


def header(name, count):
    """A ustar header of a plain file, as POSIX has it."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108], block[108:116], block[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    block[124:136], block[136:148] = b"%011o\0" % count, b"00000000000\0"
    block[148:156], block[156] = b" " * 8, ord("0")
    block[257:265] = b"ustar\00000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def write_shard(path, numbers, class_count):
    with open(path, "wb", buffering=1 << 20) as file:
        for number in numbers:
            label = b"%d" % (number * 7919 % class_count)
            for field, data in (("cls", label), ("txt", b"x")):
                file.write(header(b"%08d.%s" % (number, field.encode()), len(data)))
                file.write(data.ljust(512, b"\0"))
        file.write(bytes(1024))


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))


def timed(what, body):
    begin = time.monotonic()
    value = body()
    print(f"  {what:58} {time.monotonic() - begin:8.3f} s", flush=True)
    return value


def look(mount):
    """Lists classes, one class and all of them; returns how many files were seen."""
    [pid] = mount.pids()
    idle = resident(pid)
    top = mount.point / ".classes/train"
    classes = timed("the first look: all classes' names", lambda: sorted(os.listdir(top)))
    known = resident(pid)
    first = timed("a class listed for the first time", lambda: os.listdir(top / classes[0]))
    timed("the same again", lambda: os.listdir(top / classes[0]))
    timed("ls -l of another class", lambda: subprocess.run(
        ["ls", "-l", str(top / classes[1])], check=True, stdout=subprocess.DEVNULL))
    count = timed("every class listed", lambda: sum(len(os.listdir(top / name)) for name in classes))
    print(f"  {len(classes):,} classes, {len(first):,} files in the first, {count:,} in all")
    print(f"  mount's memory: {idle / 1e6:.0f} MB before, {known / 1e6:.0f} MB with the classes known, "
          f"{resident(pid) / 1e6:.0f} MB after all listings, {contenders.peak_bytes(pid) / 1e6:.0f} MB at most")
    return count


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench --classes", description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=os.path.abspath, help=argparse.SUPPRESS)
    parser.add_argument("--classes", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--samples", type=int, default=1_000_000, help="(%(default)s)")
    parser.add_argument("--samples-per-shard", type=int, default=10_000, help="(%(default)s)")
    parser.add_argument("--class-count", type=int, default=1000, help="(%(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wdsfs-classes-") as name:
        folder = pathlib.Path(name)
        split = folder / "set/train"
        split.mkdir(parents=True)
        for shard, first in enumerate(range(0, arguments.samples, arguments.samples_per_shard)):
            numbers = range(first, min(first + arguments.samples_per_shard, arguments.samples))
            write_shard(split / f"train-{shard:06d}.tar", numbers, arguments.class_count)
        print(f"{arguments.samples:,} samples, {arguments.class_count:,} classes")
        for title in ("without an index", "with the index that the first mount left"):
            print(title)
            set_folder, point, cache = folder / "set", folder / "mnt", folder / "cache"
            with mounts.Mount(arguments.binary, set_folder, point, "--cache-dir", cache) as mount:
                if look(mount) != arguments.samples:
                    raise RuntimeError("not every sample's files were listed")


if __name__ == "__main__":
    main()
