"""One epoch by one loader, in a process of its own: `python -m harness.loaders NAME`, its work as JSON on stdin.

Says `ready` once all is imported, begins at the next line, and prints what it read and how long that took. All
decode in the same way: JPEG to pixels by PIL, in workers, in batches of tensors; but for the row that says it is the
mount.
"""

import io
import json
import os
import sys
import time
import types

BATCH = 32


def decoded(jpeg):
    """What every loader makes of a picture: RGB bytes, height by width by 3."""
    import numpy
    from PIL import Image

    return numpy.array(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def pixels(jpeg):
    import torch

    return torch.from_numpy(decoded(jpeg))


def digest(array):
    """All bytes, eight by eight, added up: so cheap that it takes no time from the loader that is measured."""
    return int(array.reshape(-1).view("uint64").sum())


def drain(batches):
    """Samples, labels and pixels, added up: a loader that reads something else shows."""
    samples = labels = total = 0
    for images, numbers in batches:
        samples += len(numbers)
        labels += int(sum(numbers))
        total += digest(images.numpy())
    return samples, labels, total % 2**64


def as_pair(batch, picture=".jpg", number=".cls"):
    return batch[picture], batch[number]


# MARK: loaders


def wdsfs_loader(work, picture="jpg", decoder=pixels, **options):
    import wdsfs

    def run():
        dataset = wdsfs.StreamingWebDataset(
            work["remote"], "train", schema={picture: decoder, "cls": int}, fields=[picture, "cls"],
            endpoint_url=work["endpoint"], cache_dir=work["cache"], **options,
        )
        loader = wdsfs.StreamingDataLoader(dataset, batch_size=BATCH, num_workers=work["workers"])
        try:
            return drain(as_pair(batch, picture, "cls") for batch in loader)
        finally:
            dataset.close()

    return run


def wdsfs_native(work):
    """The mount decodes, and workers have arrays to read."""
    return wdsfs_loader(work, "npy", "npy", mount_schema={"jpg": "npy"})


def streaming_wds(work):
    from streaming_wds import StreamingDataLoader, StreamingWebDataset

    class Pictures(StreamingWebDataset):
        def process_sample(self, sample):
            return {".jpg": pixels(sample[".jpg"]), ".cls": int(sample[".cls"])}

    def run():
        dataset = Pictures(remote=work["remote"], split="train", profile="default", max_workers=4)
        # Only what it needs is collated; the keys that it adds are taken out for its own use.
        loader = StreamingDataLoader(
            dataset, batch_size=BATCH, num_workers=work["workers"], collate_fn=collate_dicts
        )
        return drain(as_pair(batch) for batch in loader)

    return run


def collate_dicts(samples):
    import torch

    return {
        ".jpg": torch.stack([sample[".jpg"] for sample in samples]),
        ".cls": torch.tensor([sample[".cls"] for sample in samples]),
    }


class Decoded:
    """webdataset's samples as pairs; at the top level, for workers that are spawned."""

    def __call__(self, sample):
        return pixels(sample["jpg"]), int(sample["cls"])


def webdataset_loader(work):
    import torch
    import webdataset

    def run():
        os.makedirs(work["cache"], exist_ok=True)
        urls = [f"pipe:curl -sf {work['endpoint']}/{key}" for key in work["keys"]]
        dataset = webdataset.WebDataset(
            urls, shardshuffle=False, cache_dir=work["cache"], workersplitter=webdataset.split_by_worker
        ).map(Decoded())
        return drain(torch.utils.data.DataLoader(dataset, batch_size=BATCH, num_workers=work["workers"]))

    return run


def mosaic(work):
    import torch
    from streaming import StreamingDataset
    from streaming.base.util import clean_stale_shared_memory

    class Pictures(StreamingDataset):
        def __getitem__(self, place):
            sample = super().__getitem__(place)
            # Of a list of places it asks for each by itself.
            return (pixels(sample["jpg"]), int(sample["cls"])) if isinstance(sample, dict) else sample

    clean_stale_shared_memory()

    def run():
        dataset = Pictures(
            remote=f"{work['mds']}/train", local=work["cache"], batch_size=BATCH, shuffle=False
        )
        return drain(torch.utils.data.DataLoader(dataset, batch_size=BATCH, num_workers=work["workers"]))

    return run


def lit_data(work):
    import litdata

    class Pictures(litdata.StreamingDataset):
        def __getitem__(self, place):
            sample = super().__getitem__(place)
            return pixels(sample["jpg"]), int(sample["cls"])

    def run():
        dataset = Pictures(
            f"{work['lit']}/train", cache_dir=work["cache"], shuffle=False,
            storage_options={
                "endpoint_url": work["https"],
                "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
                "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
                "region_name": "us-east-1",
            },
        )
        loader = litdata.StreamingDataLoader(dataset, batch_size=BATCH, num_workers=work["workers"])
        return drain(loader)

    return run


LOADERS = {
    "wdsfs StreamingDataLoader": wdsfs_loader,
    "wdsfs, the mount decodes": wdsfs_native,
    "streaming-wds": streaming_wds,
    "webdataset": webdataset_loader,
    "MosaicML Streaming": mosaic,
    "LitData over TLS": lit_data,
}


# MARK: the formats of others


def as_read(folder):
    import webdataset

    names = sorted(name for name in os.listdir(folder) if name.endswith(".tar"))
    for sample in webdataset.WebDataset([f"{folder}/{name}" for name in names], shardshuffle=False):
        yield {"jpg": sample["jpg"], "cls": int(sample["cls"])}


def same(sample):
    return sample


def convert(work):
    """The same samples as MDS and as LitData's chunks, before any clock runs."""
    import litdata
    from streaming import MDSWriter

    with MDSWriter(out=f"{work['mds']}/train", columns={"jpg": "bytes", "cls": "int"}) as writer:
        for sample in as_read(work["folder"]):
            writer.write(sample)
    litdata.optimize(
        fn=same, inputs=list(as_read(work["folder"])), output_dir=f"{work['lit']}/train",
        chunk_bytes="64MB", num_workers=1,
    )


def without_torchvisions_operators():
    """PyPI's torchvision is of a CUDA build, whose operators torch's CPU build does not load: nobody asks for them."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.modules["torchvision._meta_registrations"] = types.ModuleType("none")
    except ImportError:
        pass


def main():
    without_torchvisions_operators()
    work = json.loads(sys.stdin.readline())
    if sys.argv[1] == "convert":
        return convert(work)
    import torch

    torch.set_num_threads(1)
    run = LOADERS[sys.argv[1]](work)
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.monotonic()
    samples, labels, total = run()
    seconds = time.monotonic() - begin
    print(json.dumps({"samples": samples, "labels": labels, "pixels": total, "seconds": seconds}), flush=True)
    return None


if __name__ == "__main__":
    main()
