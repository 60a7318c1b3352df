"""Loaders of others on the mount, which know nothing of it: labels and bytes are those that went in."""

import io
import json
import os
import subprocess

import pytest
import torch

import wdsfs
from harness import demo, shards

# Of an environment that has tensorflow-cpu and DALI, gigabytes of wheels.
LOADERS_PYTHON = os.environ.get("WDSFS_TEST_LOADERS_PYTHON")


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits") / "demo"
    dataset = demo.make(folder)
    dataset.wanted = {
        f"digit{number:04d}": (label, shards.sha256(png))
        for number, (png, label) in enumerate(pictures())
    }
    return dataset


def pictures():
    for _, fields in demo.digit_samples():
        yield fields["png"], int(fields["cls"])


@pytest.fixture
def mount(digits):
    with wdsfs.Mount(digits.folder, shuffle="full", seed=3) as made:
        yield made


def listed(mount, split):
    """Keys in the mount's order."""
    folder = mount.rank(split)
    return [folder.info(position).key for position in folder.positions()]


def test_webdataset_over_a_stream(mount, digits):
    import webdataset

    wanted = listed(mount, "val")
    stream = webdataset.WebDataset(f"{mount.point}/.streams/val/0.tar", shardshuffle=False)
    seen = [
        (sample["__key__"], int(sample["cls"]), shards.sha256(sample["png"])) for sample in stream
    ]
    assert seen == [(key, *digits.wanted[key]) for key in wanted]
    assert len(seen) == 360


def test_webdataset_in_torchs_loader_decodes_and_batches(mount, digits):
    import webdataset

    wanted = listed(mount, "val")
    stream = webdataset.WebDataset(f"{mount.point}/.streams/val/0.tar", shardshuffle=False)
    stream = stream.decode("torch").to_tuple("png", "cls", "__key__").batched(60)
    batches = list(torch.utils.data.DataLoader(stream, batch_size=None, num_workers=1))
    assert [key for _, _, keys in batches for key in keys] == wanted
    assert [len(keys) for _, _, keys in batches] == [60] * 6
    labels = torch.cat([torch.as_tensor(labels) for _, labels, _ in batches])
    assert labels.tolist() == [digits.wanted[key][0] for key in wanted]


class Folder(torch.utils.data.Dataset):
    """What people write: a folder of samples, opened by path."""

    def __init__(self, point, names):
        self.point, self.names = point, names

    def __len__(self):
        return len(self.names)

    def __getitem__(self, number):
        from PIL import Image

        sample = f"{self.point}/{self.names[number]}"
        with open(f"{sample}/png", "rb") as file:
            data = file.read()
        with open(f"{sample}/cls", "rb") as file:
            label = int(file.read())
        pixels = torch.tensor(list(Image.open(io.BytesIO(data)).tobytes()))
        return pixels, label, shards.sha256(data)


def test_a_dataset_of_plain_files_in_torchs_loader(mount, digits):
    from PIL import Image

    keys = listed(mount, "val")
    folder = mount.rank("val")
    names = [f"{position:08d}" for position in folder.positions()]
    loader = torch.utils.data.DataLoader(Folder(folder.path, names), batch_size=50, num_workers=2)
    raw = {shards.sha256(png): png for png, _ in pictures()}
    place = 0
    for pixels, labels, digests in loader:
        for row, label, digest in zip(pixels, labels.tolist(), digests):
            assert (label, digest) == digits.wanted[keys[place]]
            assert bytes(row.tolist()) == Image.open(io.BytesIO(raw[digest])).tobytes()
            place += 1
    assert place == 360


def test_a_shell_script(mount, digits):
    # Before it is read: after that the next listing is the next epoch's.
    wanted = [digits.wanted[key] for key in listed(mount, "val")]
    done = subprocess.run(
        [
            "sh", "-c",
            'for sample in "$1"/val/0/*; do echo "$(cat "$sample/cls") $(sha256sum < "$sample/png" | cut -c1-64)"; done',
            "sh", mount.point,
        ],
        capture_output=True, text=True, check=True, timeout=80, stdin=subprocess.DEVNULL,
    )
    assert done.stdout.split("\n")[:-1] == [f"{label} {digest}" for label, digest in wanted]


# By class


@pytest.fixture
def by_class(mount):
    return f"{mount.point}/.classes/val"


def wanted_by_class(digits):
    """(key, label, digest of the picture) of all of `val`."""
    return sorted(
        (sample.key, *digits.wanted[sample.key]) for sample in digits.rank("val")
    )


def test_torchvisions_image_folder(torchvision, by_class, digits):
    from PIL import Image

    folder = torchvision.datasets.ImageFolder(by_class)
    assert folder.classes == [str(label) for label in range(10)]
    seen = []
    for path, target in folder.samples:
        with open(path, "rb") as file:
            key = os.path.basename(path).removesuffix(".png")
            seen.append((key, int(folder.classes[target]), shards.sha256(file.read())))
    assert sorted(seen) == wanted_by_class(digits)
    # And as it is used: decoded, by workers, in a sampler's order.
    raw = {digest: png for png, _ in pictures() for digest in [shards.sha256(png)]}
    generator = torch.Generator().manual_seed(1)
    loader = torch.utils.data.DataLoader(
        folder, batch_size=40, num_workers=2, shuffle=True, generator=generator, collate_fn=list
    )
    found = [(target, image.tobytes()) for batch in loader for image, target in batch]
    wanted = [
        (label, Image.open(io.BytesIO(raw[digest])).convert("RGB").tobytes())
        for _, label, digest in wanted_by_class(digits)
    ]
    assert sorted(found) == sorted(wanted)


def test_hugging_faces_imagefolder(by_class, digits, tmp_path, monkeypatch):
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    import datasets

    loaded = datasets.load_dataset(
        "imagefolder", data_dir=by_class, split="train", cache_dir=str(tmp_path / "cache")
    )
    names = loaded.features["label"].names
    assert names == [str(label) for label in range(10)]
    seen = []
    for row in loaded.cast_column("image", datasets.Image(decode=False)):
        with open(row["image"]["path"], "rb") as file:
            data = file.read()
        key = os.path.basename(row["image"]["path"]).removesuffix(".png")
        seen.append((key, int(names[row["label"]]), shards.sha256(data)))
    assert sorted(seen) == wanted_by_class(digits)
    assert {image.size for image in loaded["image"]} == {(8, 8)}


def test_a_shell_by_class(by_class, digits):
    done = subprocess.run(
        ["sh", "-c", 'cd "$1" && for file in */*.png; do echo "$file $(sha256sum < "$file" | cut -c1-64)"; done', "sh", by_class],
        capture_output=True, text=True, check=True, timeout=80, stdin=subprocess.DEVNULL,
    )
    wanted = [f"{label}/{key}.png {digest}" for key, label, digest in wanted_by_class(digits)]
    assert sorted(done.stdout.splitlines()) == sorted(wanted)


# Those whose wheels are gigabytes: with --long, in an environment of their own.


@pytest.fixture
def elsewhere(tmp_path):
    """Runs a script by the Python that has the large loaders; what it prints is JSON."""
    if not LOADERS_PYTHON:
        pytest.skip("tensorflow-cpu and DALI are not installed; scripts/test --long does it")

    def run(text, *words):
        path = tmp_path / "loader.py"
        path.write_text(text)
        done = subprocess.run(
            [LOADERS_PYTHON, str(path), *words], capture_output=True, text=True, timeout=250,
            stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


TF_DATA = """
import hashlib, json, sys
import tensorflow as tf

files = tf.data.Dataset.list_files(sys.argv[1] + "/*/*.png", seed=1)
read = lambda path: (path, tf.io.read_file(path), tf.io.decode_png(tf.io.read_file(path)))
rows = []
for paths, data, pixels in files.map(read, num_parallel_calls=4).batch(32).prefetch(2):
    for path, bytes, image in zip(paths.numpy(), data.numpy(), pixels.numpy()):
        label, name = path.decode().split("/")[-2:]
        rows.append((name[:-4], int(label), hashlib.sha256(bytes).hexdigest(), image.tobytes().hex()))
print(json.dumps(rows))
"""

DALI = """
import hashlib, json, os, sys
from nvidia.dali import fn, pipeline_def

@pipeline_def(batch_size=30, num_threads=2, device_id=None)
def files():
    data, labels = fn.readers.file(file_root=sys.argv[1], random_shuffle=True, seed=1, name="files")
    return data, labels

pipeline = files()
pipeline.build()
names = sorted(os.listdir(sys.argv[1]))
rows = []
for _ in range(int(sys.argv[2]) // 30):
    data, labels = pipeline.run()
    for at in range(30):
        rows.append((int(names[int(labels.at(at)[0])]), hashlib.sha256(data.at(at).tobytes()).hexdigest()))
print(json.dumps(rows))
"""


@pytest.mark.long
@pytest.mark.limit(600)
def test_tf_data(elsewhere, by_class, digits):
    from PIL import Image

    raw = {shards.sha256(png): png for png, _ in pictures()}
    seen = sorted(map(tuple, elsewhere(TF_DATA, by_class)))
    assert [row[:3] for row in seen] == wanted_by_class(digits)
    for _, _, digest, pixels in seen:
        assert bytes.fromhex(pixels) == Image.open(io.BytesIO(raw[digest])).tobytes()


@pytest.mark.long
@pytest.mark.limit(600)
def test_dalis_file_reader(elsewhere, by_class, digits):
    wanted = wanted_by_class(digits)
    assert len(wanted) == 360
    seen = elsewhere(DALI, by_class, str(len(wanted)))
    assert sorted(map(tuple, seen)) == sorted((label, digest) for _, label, digest in wanted)
