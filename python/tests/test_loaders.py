"""Loaders of others on the mount, which know nothing of it: labels and bytes are those that went in."""

import io
import subprocess

import pytest
import torch

import wdsfs
from harness import demo, shards


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
