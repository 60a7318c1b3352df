"""Fields that the mount decodes: `mount_schema`, and the arrays that come of it."""

import io

import numpy
import pytest

import wdsfs
from harness import shards
from wdsfs.dataset import _rules

COUNT = 12


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    from PIL import Image

    def samples():
        for number in range(COUNT):
            file = io.BytesIO()
            shade = numpy.linspace(0, 200 + number, 40 * 30 * 3).reshape(30, 40, 3).astype("uint8")
            Image.fromarray(shade).save(file, "JPEG", quality=90)
            yield f"{number:04d}", {"jpg": file.getvalue(), "cls": b"%d" % number}

    dataset = shards.Dataset(tmp_path_factory.mktemp("pictures") / "set")
    dataset.add_shard("train", "train-000000.tar", list(samples()))
    dataset.fields = dict(samples())
    return dataset


def by_pil(fields):
    from PIL import Image

    return numpy.asarray(Image.open(io.BytesIO(fields["jpg"])).convert("RGB"))


def test_rules_may_be_said_in_several_ways():
    assert _rules({"jpg": "npy:8x8", ".cls": "npy"}) == ["jpg=npy:8x8", "cls=npy"]
    assert _rules("jpg=npy") == _rules(["jpg=npy"]) == ["jpg=npy"]


@pytest.mark.parametrize("rules, num_workers", [({".jpg": "npy"}, 0), ("jpg=npy", 2)], ids=str)
def test_the_mount_decodes_for_the_loader(pictures, rules, num_workers):
    dataset = wdsfs.StreamingWebDataset(
        pictures.folder, mount_schema=rules, schema={"npy": "npy", "cls": int}, info=True
    )
    loader = wdsfs.StreamingDataLoader(dataset, batch_size=5, num_workers=num_workers)
    seen = {}
    for batch in loader:
        assert set(batch) == {"npy", "cls", "__key__", "__shard__", "__number__", "__position__"}
        for key, label, array in zip(batch["__key__"], batch["cls"].tolist(), batch["npy"].numpy()):
            seen[key] = label, array
    assert list(seen) == list(pictures.fields)
    for key, fields in pictures.fields.items():
        label, array = seen[key]
        assert label == int(fields["cls"])
        # Two builds of one library may round a colour differently.
        assert array.dtype == numpy.uint8 and array.shape == (30, 40, 3)
        assert numpy.abs(array.astype(int) - by_pil(fields)).max() <= 2
    dataset.close()


def test_sizes_of_the_mounts_making(pictures):
    dataset = wdsfs.WdsfsDataset(
        pictures.folder, mount_schema={"jpg": "npy:16x12"}, schema={"npy": "npy"}, fields=["npy"]
    )
    assert len(dataset) == COUNT
    assert [dataset[number]["npy"].shape for number in range(COUNT)] == [(12, 16, 3)] * COUNT
    dataset.close()


def test_a_mount_that_is_there_has_its_own_schema(pictures):
    with wdsfs.Mount(pictures.folder, schema=["jpg=npy"]) as mount:
        for given in (mount, mount.point):
            with pytest.raises(ValueError, match="is mounted already.*give the rules there"):
                wdsfs.StreamingWebDataset(given, mount_schema={"jpg": "npy"})
        dataset = wdsfs.StreamingWebDataset(mount, schema={"npy": "npy", "cls": int})
        assert [sample["cls"] for sample in dataset] == list(range(COUNT))


def test_a_rule_that_is_none_is_the_mounts_to_refuse(pictures):
    with pytest.raises(wdsfs.MountFailed, match="nonsense"):
        wdsfs.StreamingWebDataset(pictures.folder, mount_schema={"jpg": "nonsense"})
