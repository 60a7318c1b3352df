"""Memory that workers write to again and again: what somebody still looks at is never among it."""

import gc
import io

import numpy
import pytest
import torch

import wdsfs
from harness import shards
from wdsfs import lending

COUNT, BATCH, WORKERS = 400, 4, 2
SHAPE = (50, 200, 3)


def as_file(array):
    file = io.BytesIO()
    numpy.save(file, array)
    return file.getvalue()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Arrays of 30 KB, each of one number, in batches of more than a slot's least."""
    dataset = shards.Dataset(tmp_path_factory.mktemp("pictures") / "set")
    dataset.add_shard("train", "train-000000.tar", [
        (f"{number:04d}", {"npy": as_file(numpy.full(SHAPE, number % 251, "uint8")), "cls": b"%d" % number})
        for number in range(COUNT)
    ])
    return dataset


@pytest.fixture
def dataset(pictures):
    dataset = wdsfs.StreamingWebDataset(pictures.folder, schema={"npy": "npy", "cls": int})
    yield dataset
    dataset.close()


def is_right(images, numbers):
    return all((image == number % 251).all() for image, number in zip(images, numbers))


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_memory_is_used_again_once_nobody_looks_at_it(dataset, context):
    loader = wdsfs.StreamingDataLoader(
        dataset, batch_size=BATCH, num_workers=WORKERS, multiprocessing_context=context
    )
    places, seen = set(), []
    for batch in loader:
        assert batch["npy"].shape == (BATCH, *SHAPE) and is_right(batch["npy"], batch["cls"])
        batch["npy"] += 1
        places.add(batch["npy"].data_ptr())
        seen += batch["cls"].tolist()
    assert seen == list(range(COUNT))
    assert len(places) < COUNT // BATCH // 2


@pytest.mark.parametrize("look", ["whole", "slice", "array", "flat"])
def test_what_is_still_looked_at_stays(dataset, look):
    looks = {
        "whole": lambda images: images,
        "slice": lambda images: images[1:, ::2],
        "array": lambda images: images.numpy()[1:],
        "flat": lambda images: images.view(-1)[-10_000:].view(1, -1),
    }
    first = {"whole": 0, "slice": 1, "array": 1, "flat": BATCH - 1}[look]
    kept = []
    loader = wdsfs.StreamingDataLoader(dataset, batch_size=BATCH, num_workers=WORKERS)
    # More of them than there are slots, and others that are not kept in between.
    for batch in loader:
        if batch["cls"][0] % 12:
            kept.append((looks[look](batch["npy"]), batch["cls"][first:]))
    assert len(kept) > lending._SLOTS * WORKERS
    for images, numbers in kept:
        assert is_right(images, numbers)


@pytest.mark.parametrize("keeps_workers", [False, True])
def test_what_is_kept_of_an_epoch_is_not_written_to_in_the_next(dataset, keeps_workers):
    loader = wdsfs.StreamingDataLoader(
        dataset, batch_size=BATCH, num_workers=WORKERS, persistent_workers=keeps_workers
    )
    kept = list(loader)[:8]
    for _ in range(2):
        for batch in loader:
            assert is_right(batch["npy"], batch["cls"])
        assert all(is_right(batch["npy"], batch["cls"]) for batch in kept)
        kept = kept[4:] + [batch]
    del batch
    kept.clear()
    # Let go of when the pass is over.
    gc.collect()


def test_many_kept_and_let_go_of_in_any_order(dataset):
    loader = wdsfs.StreamingDataLoader(dataset, batch_size=BATCH, num_workers=WORKERS, prefetch_factor=4)
    kept = {}
    for step, batch in enumerate(loader):
        kept[step] = batch
        if step % 3 == 2:
            gone = sorted(kept)[(step * 7) % len(kept)]
            del kept[gone]
        del batch
    assert all(is_right(batch["npy"], batch["cls"]) for batch in kept.values())


class Odd(wdsfs.StreamingWebDataset):
    """A large array, then something that cannot be stacked, in one column."""

    def process_sample(self, sample):
        return {"both": [sample["npy"], torch.zeros(int(sample["cls"]) % 3)], "npy": sample["npy"], "cls": sample["cls"]}


def test_nothing_stays_lent_of_what_cannot_be_stacked(pictures):
    dataset = Odd(pictures.folder, schema={"npy": "npy", "cls": int})
    loader = wdsfs.StreamingDataLoader(dataset, batch_size=BATCH, num_workers=1)
    places = set()
    for batch in loader:
        assert is_right(batch["npy"], batch["cls"]) and is_right([one[0] for one in batch["both"]], batch["cls"])
        places.add(batch["npy"].data_ptr())
    assert len(places) < lending._SLOTS
    dataset.close()


def own_collate(samples):
    batch = wdsfs.collate(samples)
    batch["npy"] = batch["npy"].float() / 2
    return batch


def test_the_users_own_collate_gets_tensors(dataset):
    loader = wdsfs.StreamingDataLoader(dataset, batch_size=BATCH, num_workers=WORKERS, collate_fn=own_collate)
    for batch in loader:
        assert is_right(batch["npy"] * 2, batch["cls"])


def test_what_grows_gets_more_room():
    loan = lending.Lending(1)
    places = []
    for count in (70_000, 200_000, 150_000, 1_000_000, 60_000):
        slot = loan._take(count)
        assert loan._own[slot].nbytes >= count
        places.append(slot)
        loan.marks[0, slot] = 0
    assert places == [0, 1, 1, 2, 0]
    taken = [loan._take(2_000_000) for _ in range(2 * lending._SLOTS)]
    # All of them are taken, and grown where they were too small.
    assert set(taken[: lending._SLOTS]) == set(range(lending._SLOTS))
    assert taken[lending._SLOTS :] == [None] * lending._SLOTS


def test_of_a_pass_that_is_over_nothing_arrives():
    loan = lending.Lending(1)
    number = loan.number
    del loan
    gc.collect()
    assert lending._arrive(number, 0, 0, None, torch.uint8, (1,)) is None
