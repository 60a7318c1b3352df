"""How batches come into memory makes no difference to what is in them."""

import io

import numpy
import pytest
import torch

import wdsfs
from harness import shards
from wdsfs import memory
from wdsfs.decoders import Schema

COUNT = 24


def as_file(array, version=None):
    file = io.BytesIO()
    numpy.lib.format.write_array(file, array, version=version)
    return file.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        numpy.arange(24, dtype="uint8").reshape(2, 3, 4), numpy.array(3), numpy.array(2.5), numpy.zeros((0, 4)),
        numpy.arange(6, dtype=">i4"), numpy.array([True, False]), numpy.asfortranarray(numpy.arange(6.0).reshape(2, 3)),
        numpy.array([(1, 2.0)], dtype=[("a", "<i4"), ("b", "<f8")]), numpy.array(["a", "bc"]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
@pytest.mark.parametrize("version", [(1, 0), (2, 0)], ids=str)
def test_arrays_are_what_numpy_makes_of_them(array, version):
    data = as_file(array, version)
    found = Schema({"npy": "npy"}).decode({"npy": data}, "")["npy"]
    wanted = numpy.load(io.BytesIO(data))
    assert found.dtype == wanted.dtype and found.shape == wanted.shape and (found == wanted).all()
    assert found.flags.writeable


@pytest.mark.parametrize("damage", [slice(0, -1), slice(0, 40), slice(0, 9)], ids=str)
def test_an_array_that_ends_early_is_none(damage):
    data = as_file(numpy.arange(100))[damage]
    with pytest.raises(wdsfs.DecodeError, match="cannot be decoded by npy"):
        Schema({"npy": "npy"}).decode({"npy": data}, "here")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Arrays that can be stacked, some that cannot, and text."""
    dataset = shards.Dataset(tmp_path_factory.mktemp("mixed") / "set")
    dataset.add_shard("train", "train-000000.tar", [
        (f"{number:04d}", {
            "big.npy": as_file(numpy.full((90, 100, 3), number, "uint8")),
            "odd.npy": as_file(numpy.arange(number % 3)),
            "txt": b"%d" % number,
        })
        for number in range(COUNT)
    ])
    return dataset


def mark(number):
    torch.set_num_threads(1)
    mark.worker = number


def with_worker(value):
    return numpy.array(getattr(mark, "worker", -1))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_are_as_torchs_own_collate_makes_them(mixed, num_workers):
    dataset = wdsfs.StreamingWebDataset(
        mixed.folder, schema={"big.npy": "npy", "odd.npy": "npy", "txt": "txt"}
    )
    loader = wdsfs.StreamingDataLoader(dataset, batch_size=8, num_workers=num_workers)
    # Kept until the end: no batch may lie where another one lies.
    batches = list(loader)
    assert len(batches) == COUNT // 8
    for first, batch in zip(range(0, COUNT, 8), batches):
        numbers = range(first, first + 8)
        big = batch["big.npy"]
        assert big.dtype == torch.uint8 and big.shape == (8, 90, 100, 3) and big.is_contiguous()
        assert [int(one.float().mean()) for one in big] == list(numbers)
        assert [one.tolist() for one in batch["odd.npy"]] == [list(range(number % 3)) for number in numbers]
        assert batch["txt"] == [str(number) for number in numbers]
        big += 1
    dataset.close()


def test_the_users_own_start_of_a_worker_runs_too(mixed):
    dataset = wdsfs.StreamingWebDataset(mixed.folder, schema={"txt": with_worker}, fields=["txt"])
    loader = wdsfs.StreamingDataLoader(dataset, batch_size=4, num_workers=2, worker_init_fn=mark)
    assert {int(number) for batch in loader for number in batch["txt"]} == {0, 1}
    dataset.close()


def test_without_glibc_all_goes_on(monkeypatch):
    monkeypatch.setattr(memory, "_libc", None)
    memory.keep()
    memory.touch(torch.zeros(10_000))


def test_fields_of_every_size_are_read_whole(tmp_path):
    sizes = {"none": 0, "small": 10, "page": 32 << 10, "odd": 100_003, "requests": (3 << 20) + 17}
    fields = {name: numpy.random.default_rng(size).bytes(size) for name, size in sizes.items()}
    dataset = shards.Dataset(tmp_path / "set")
    dataset.add_shard("train", "train-000000.tar", [("one", fields)])
    with wdsfs.Mount(dataset.folder) as mount:
        for folder in (mount.rank("train"), mount.rank("train", 0)):
            for asked in (None, list(fields), ["odd", "missing"]):
                for writable in ((), ("odd", "requests", "none")):
                    found = folder.read(0, asked, writable)
                    assert found == {name: fields[name] for name in asked or fields if name in fields}
                    for name, data in found.items():
                        assert type(data) is (bytearray if name in writable else bytes)
