"""What `--schema jpg=npy:WxH` costs beside PIL: images per CPU second, decoded, resized, cropped, as arrays.

Both give the same arrays of the same photographs, and both sides' CPU time is all that their processes took: the
reader's, and on the mount's side also the mount's own, which reads the shards, decodes and answers the kernel. One
after the other, in turns, so that a busy machine is busy for both.
"""

import argparse
import io
import pathlib
import subprocess
import sys
import tempfile

import numpy
from PIL import Image
from sklearn.datasets import load_sample_images

from . import mounts, shards


def photographs(count, width=500, height=400):
    """Cut-outs of two photographs, as JPEG of 4:2:0 and quality 92: about 70 KB."""
    originals = [Image.fromarray(image) for image in load_sample_images().images]
    random = numpy.random.default_rng(1)
    for number in range(count):
        original = originals[number % len(originals)]
        share = random.uniform(0.75, 1)
        box_width, box_height = int(original.width * share), int(original.height * share)
        left = random.integers(0, original.width - box_width + 1)
        top = random.integers(0, original.height - box_height + 1)
        picture = original.resize(
            (width, height), Image.BICUBIC, box=(left, top, left + box_width, top + box_height)
        )
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=92)
        yield f"{number:06d}", {"jpg": data.getvalue(), "cls": b"%d" % (number % 2)}


def resized(data, width, height):
    """As torchvision: Resize to just cover, then CenterCrop."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    if width * image.height >= height * image.width:
        size = (width, max(height, width * image.height // image.width))
    else:
        size = (max(width, height * image.width // image.height), height)
    image = image.resize(size, Image.BILINEAR)
    left, top = round((size[0] - width) / 2), round((size[1] - height) / 2)
    return numpy.asarray(image.crop((left, top, left + width, top + height)))


# A reader as a process of its own, which prints the CPU seconds that it took for its samples.
READ = """
import glob, sys, time
from harness import decoding
names = sorted(glob.glob(sys.argv[1] + "/train/0/*/*." + sys.argv[2]))
width, height = int(sys.argv[3]), int(sys.argv[4])
begin = time.process_time()
for name in names:
    array = decoding.READERS[sys.argv[2]](name, width, height)
    assert array.shape == (height, width, 3)
print(time.process_time() - begin)
"""


def read_jpg(name, width, height):
    with open(name, "rb") as file:
        return resized(file.read(), width, height)


def read_npy(name, *_):
    return numpy.load(name)


READERS = {"jpg": read_jpg, "npy": read_npy}


def cpu_of(pid):
    """CPU time of a process so far, in seconds: of each thread by the scheduler, finer than clock ticks."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def measure(binary, remote, folder, field, options, size):
    """CPU seconds of one pass over a fresh mount: the reader's for its samples, and the mount's."""
    with mounts.Mount(binary, remote, folder / "mnt", "--cache-dir", "memory", *options) as mount:
        [pid] = mount.pids()
        idle = cpu_of(pid)
        words = [sys.executable, "-c", READ, str(mount.point), field, *map(str, size)]
        reader = float(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
        return reader, cpu_of(pid) - idle


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench-decode", description=__doc__.splitlines()[0])
    parser.add_argument("binary", help=argparse.SUPPRESS)
    parser.add_argument("--images", type=int, default=400, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--size", default="224x224", metavar="WxH")
    options = parser.parse_args()
    size = tuple(int(edge) for edge in options.size.split("x"))
    with tempfile.TemporaryDirectory(prefix="wdsfs-decode-") as name:
        folder = pathlib.Path(name)
        dataset = shards.Dataset(folder / "set")
        samples = list(photographs(options.images))
        for first in range(0, len(samples), 100):
            dataset.add_shard("train", f"a-{first:06d}.tar", samples[first : first + 100])
        raw_bytes = sum(len(fields["jpg"]) for _, fields in samples) // len(samples)
        print(f"{options.images} photographs of 500 x 400 pixels, {raw_bytes / 1000:.0f} KB each, to {options.size}")
        best = {}
        for _ in range(options.rounds):
            for side, field, words in [
                ("PIL", "jpg", []),
                ("mount", "npy", ["--schema", f"jpg=npy:{options.size}"]),
            ]:
                spent = measure(options.binary, dataset.folder, folder, field, words, size)
                best[side] = min(best.get(side, spent), spent, key=sum)
        with mounts.Mount(options.binary, dataset.folder, folder / "mnt", "--schema",
                          f"jpg=npy:{options.size}", "--cache-dir", "memory") as mount:
            steps = [
                numpy.abs(
                    numpy.load(mount.point / f"train/0/{position:08d}/npy").astype(int)
                    - resized(fields["jpg"], *size)
                ).mean()
                for position, (_, fields) in enumerate(samples[:50])
            ]
    rates = {side: options.images / sum(spent) for side, spent in best.items()}
    for side, (reader, mount) in best.items():
        print(f"{side:>6}: {rates[side]:7.0f} images per CPU second "
              f"(reader {1000 * reader / options.images:.2f} ms, mount {1000 * mount / options.images:.2f} ms an image)")
    print(f" ratio: {rates['mount'] / rates['PIL']:.2f}; mean difference {numpy.mean(steps):.2f} of 255")


if __name__ == "__main__":
    main()
