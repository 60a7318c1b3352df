"""StreamingDataLoader: the mount's order with any number of workers, and on from any state."""

import json
import os
import signal

import pytest
import torch
from torch.utils.data import DataLoader

import wdsfs
from harness import mounts
from wdsfs import StreamingDataLoader, StreamingWebDataset


def numbers_of(batch):
    return [about["number"] for about in batch["json"]]


def dataset_of(dataset, split="train", decode=json.loads, **options):
    return StreamingWebDataset(dataset.folder, split, schema={"json": decode}, **options)


def loader_of(dataset, batch_size=4, num_workers=0, split="train", loader={}, **options):
    options = {"shuffle": "full", "seed": 5, **options}
    return StreamingDataLoader(
        dataset_of(dataset, split, **options), batch_size=batch_size, num_workers=num_workers,
        collate_fn=as_list, **loader,
    )


def as_list(samples):
    return [sample["json"]["number"] for sample in samples]


@pytest.fixture
def epochs(numbers):
    """The order of each epoch, as the mount lists it."""
    with wdsfs.Mount(numbers.folder, shuffle="full", seed=5) as mount:
        return [
            [json.loads(folder.read(p, ["json"])["json"])["number"] for p in folder.positions()]
            for folder in (mount.rank("train", epoch) for epoch in range(4))
        ]


def flat(batches):
    return [number for batch in batches for number in batch]


# MARK: order


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_batches_come_in_the_mounts_order_epoch_after_epoch(numbers, epochs, num_workers):
    loader = loader_of(numbers, num_workers=num_workers, loader=dict(persistent_workers=num_workers == 3))
    for epoch, wanted in enumerate(epochs):
        batches = list(loader)
        assert flat(batches) == wanted
        assert [len(batch) for batch in batches] == [4] * 13 + [1]
        assert loader.epoch == epoch + 1
    assert sorted(epochs[0]) == list(range(53)) and epochs[0] != epochs[1]
    assert len(loader) == 14


def test_a_dataset_by_itself_goes_on_where_it_was(numbers, epochs):
    dataset = dataset_of(numbers, shuffle=True, seed=5)
    several = iter(dataset)
    first = [next(several)["json"]["number"] for _ in range(10)]
    rest = [sample["json"]["number"] for sample in dataset]
    # The tenth was handed out and nobody asked for the next.
    assert first + rest[1:] == epochs[0] and rest[0] == first[-1]
    assert [sample["json"]["number"] for sample in dataset] == epochs[1]


def test_an_iteration_that_was_left_goes_on(numbers, epochs):
    loader = loader_of(numbers, num_workers=2)
    first = []
    for batch in loader:
        first += batch
        if len(first) == 20:
            break
    assert first + flat(loader) == epochs[0]


def test_epochs_may_be_chosen(numbers, epochs):
    loader = loader_of(numbers)
    for epoch in (3, 1, 1, 2):
        loader.set_epoch(epoch)
        assert flat(loader) == epochs[epoch]
    next(iter(loader))
    loader.set_epoch(0)
    assert flat(loader) == epochs[0]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_drop_last_drops_what_does_not_fill_a_batch(numbers, epochs, num_workers):
    loader = loader_of(numbers, batch_size=10, num_workers=num_workers, loader=dict(drop_last=True))
    for wanted in epochs[:2]:
        assert flat(loader) == wanted[:50]
    assert len(loader) == 5


def test_samples_may_be_left_out_and_batches_with_them(numbers):
    class Chosen(StreamingWebDataset):
        def process_sample(self, sample):
            number = sample["json"]["number"]
            return None if number % 3 == 0 or 8 <= number < 12 else number

    dataset = Chosen(numbers.folder, "train", schema={"json": "json"})
    loader = StreamingDataLoader(dataset, batch_size=4, num_workers=2)
    batches = [batch.tolist() for batch in loader]
    assert flat(batches) == [n for n in range(53) if n % 3 and not 8 <= n < 12]
    assert batches[:3] == [[1, 2], [4, 5, 7], [13, 14]]


def test_without_batches_samples_come_one_by_one(numbers):
    loader = StreamingDataLoader(dataset_of(numbers), batch_size=None, num_workers=2)
    assert [sample["json"]["number"] for sample in loader] == list(range(53))


def test_where_a_sample_comes_from_is_told(numbers):
    loader = StreamingDataLoader(dataset_of(numbers, info=True), batch_size=3)
    batch = next(iter(loader))
    assert batch["__key__"] == ["000000", "000001", "000002"]
    assert batch["__shard__"] == ["train/train-000000.tar"] * 3
    assert batch["__number__"].tolist() == batch["__position__"].tolist() == [0, 1, 2]


def test_what_cannot_be_stacked_stays_a_list():
    collated = wdsfs.collate([{"a": 1, "b": {"x": 1}, "c": "s"}, {"a": 2, "b": {"y": 1}, "d": b"t"}])
    assert torch.equal(collated.pop("a"), torch.tensor([1, 2]))
    assert collated == {"b": [{"x": 1}, {"y": 1}], "c": ["s", None], "d": [None, b"t"]}
    assert [part.tolist() for part in wdsfs.collate([(1, 2.0), (3, 4.0)])] == [[1, 3], [2.0, 4.0]]


# MARK: state


@pytest.mark.parametrize("before, after", [(0, 0), (1, 3), (3, 0), (2, 4)])
def test_a_state_goes_on_with_any_number_of_workers(numbers, epochs, before, after):
    first = loader_of(numbers, num_workers=before)
    flat(first)
    seen, state = [], None
    for step, batch in enumerate(first):
        seen += batch
        if step == 5:
            state = json.loads(json.dumps(first.state_dict()))
            break
    del first
    second = loader_of(numbers, num_workers=after)
    second.load_state_dict(state)
    assert second.epoch == 1
    assert seen + flat(second) == epochs[1]
    assert flat(second) == epochs[2]


def test_a_state_may_be_loaded_back_and_forth(numbers, epochs):
    loader = loader_of(numbers, num_workers=2)
    states = [loader.state_dict()]
    for batch in loader:
        states.append(loader.state_dict())
    for step in (7, 0, 13, 3):
        loader.load_state_dict(states[step])
        assert flat(loader) == epochs[0][4 * step :]


def test_a_state_of_an_epochs_end_gives_nothing_more_of_it(numbers, epochs):
    loader = loader_of(numbers)
    for batch in loader:
        state = loader.state_dict()
    after = loader.state_dict()
    for saved, first in ((state, []), (after, epochs[1])):
        other = loader_of(numbers)
        other.load_state_dict(saved)
        other.set_epoch(other.epoch)
        assert flat(other) == first
        assert flat(other) == epochs[1 if saved is state else 2]


def test_the_old_iteration_ends_when_a_state_is_loaded(numbers):
    loader = loader_of(numbers)
    batches = iter(loader)
    next(batches)
    loader.load_state_dict(loader.state_dict())
    with pytest.raises(RuntimeError, match="this iterator is over"):
        next(batches)


@pytest.mark.parametrize("world_sizes", [(4, 2, 3), (1, 3, 2), (2, 2, 1)])
def test_a_state_goes_on_at_other_world_sizes(numbers, world_sizes):
    """Every rank in this process; what torch.distributed gathers is put together by hand."""
    states, seen = None, {0: [], 1: []}
    for time, world_size in enumerate(world_sizes):
        loaders = [
            loader_of(numbers, rank=rank, world_size=world_size, num_workers=rank % 2)
            for rank in range(world_size)
        ]
        if states:
            together = {**states[0], "cursors": [c for state in states for c in state["cursors"]]}
            for loader in loaders:
                loader.load_state_dict(together)
        last = time == len(world_sizes) - 1
        for loader in loaders:
            for batch in loader:
                seen[0] += batch
                if not last and len(batch) == 4 and len(seen[0]) % 8 == 0:
                    break
        if last:
            for loader in loaders:
                seen[1] += flat(loader)
        states = [loader.state_dict() for loader in loaders]
        for loader in loaders:
            loader.streaming.close()
    assert sorted(seen[0]) == sorted(seen[1]) == list(range(53))


def test_what_was_read_ahead_is_not_lost_by_a_kill(numbers, script, tmp_path):
    """The mount's own cursor, for those who keep no state."""
    cursor = tmp_path / "run.cursor"
    text = """
import json, sys, time
from wdsfs import StreamingDataLoader, StreamingWebDataset

def as_list(samples):
    return [sample["json"]["number"] for sample in samples]

dataset = StreamingWebDataset(sys.argv[1], "train", schema={"json": "json"}, cursor=sys.argv[2])
loader = StreamingDataLoader(dataset, batch_size=4, num_workers=3, collate_fn=as_list)
for number, batch in enumerate(loader):
    print(json.dumps(batch), flush=True)
    if number == int(sys.argv[3]):
        time.sleep(60)
"""
    process = script(text, numbers.folder, cursor, 5)
    seen = [json.loads(process.stdout.readline()) for _ in range(6)]
    # The last batch was handed out and its training is not over.
    mounts.wait_until(lambda: cursor.exists() and '"0:20"' in cursor.read_text(), 5, "saved")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    mounts.wait_until(lambda: not mounts.mounted(below=os.environ["TMPDIR"]), 20, "unmounted")
    process = script(text, numbers.folder, cursor, 99)
    out, errors = process.communicate(timeout=60)
    rest = [json.loads(line) for line in out.splitlines()]
    assert flat(seen[:5]) + flat(rest) == list(range(53)), errors


# MARK: what is refused


def test_a_state_of_another_dataset_or_order_is_refused(numbers, formats, tmp_path):
    state = loader_of(numbers).state_dict()
    other = StreamingDataLoader(StreamingWebDataset(formats.folder, shuffle=True, seed=5))
    with pytest.raises(wdsfs.StateError, match="split 'train' has 7 shards.*, here 1 shards"):
        other.load_state_dict(state)
    with pytest.raises(wdsfs.StateError, match="of the split 'train', and this dataset reads 'val'"):
        loader_of(numbers, split="val").load_state_dict(state)
    with pytest.raises(wdsfs.StateError, match="another order: seed is 5 there and 6 here"):
        loader_of(numbers, seed=6).load_state_dict(state)
    for nonsense in ({}, {"epoch": 1}, None, {**state, "version": 9}):
        with pytest.raises(wdsfs.StateError):
            other.load_state_dict(nonsense)


def test_a_state_of_another_world_size_wants_a_mount_of_our_own(numbers):
    with wdsfs.Mount(numbers.folder) as mount:
        loader = StreamingDataLoader(StreamingWebDataset(mount.point, "train"))
        state = loader.state_dict()
        next(iter(loader))
        loader.load_state_dict(state)
        state["cursors"] *= 2
        with pytest.raises(wdsfs.StateError, match="mount anew with --cursor"):
            loader.load_state_dict(state)


def test_what_would_break_the_order_is_refused(numbers):
    dataset = dataset_of(numbers)
    for option in ("sampler", "batch_sampler", "in_order"):
        with pytest.raises(TypeError, match=f"takes no {option}"):
            StreamingDataLoader(dataset, **{option: None})
    with pytest.raises(ValueError, match="give shuffle to the dataset"):
        StreamingDataLoader(dataset, shuffle=True)
    with pytest.raises(TypeError, match="wants a StreamingWebDataset, not list"):
        StreamingDataLoader([1, 2])


@pytest.mark.parametrize("num_workers", [0, 2])
def test_errors_of_workers_say_where(numbers, num_workers):
    loader = StreamingDataLoader(
        StreamingWebDataset(numbers.folder, "train", schema={"json": "PIL"}), num_workers=num_workers
    )
    with pytest.raises(wdsfs.DecodeError, match=r"sample 0 of .*/train/0: the field 'json'"):
        next(iter(loader))


# MARK: torch's own loaders, and torchdata's


@pytest.mark.parametrize("num_workers, batch_size", [(0, 1), (2, 1), (3, 4)])
def test_torchs_own_loader_gets_each_sample_once(numbers, epochs, num_workers, batch_size):
    dataset = dataset_of(numbers, shuffle=True, seed=5, batch_size=batch_size)
    loader = DataLoader(dataset, batch_size=4, num_workers=num_workers, collate_fn=as_list)
    for epoch in (0, 1):
        dataset.set_epoch(epoch)
        got = flat(loader)
        assert sorted(got) == list(range(53))
        if batch_size == 4 or num_workers == 0:
            assert got == epochs[epoch]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_torchdatas_loader_resumes(numbers, epochs, num_workers):
    from torchdata.stateful_dataloader import StatefulDataLoader

    def made():
        dataset = dataset_of(numbers, shuffle=True, seed=5, batch_size=4)
        return dataset, StatefulDataLoader(dataset, batch_size=4, num_workers=num_workers, collate_fn=as_list)

    dataset, loader = made()
    dataset.set_epoch(1)
    seen = []
    for step, batch in enumerate(loader):
        seen += batch
        if step == 6:
            state = loader.state_dict()
            break
    del loader
    dataset.close()
    dataset, loader = made()
    loader.load_state_dict(state)
    assert seen + flat(loader) == epochs[1]
    dataset.set_epoch(2)
    assert flat(loader) == epochs[2]
    dataset.close()


# MARK: the other datasets


def test_a_map_style_dataset_shows_all_by_number(numbers, epochs):
    dataset = wdsfs.WdsfsDataset(numbers.folder, "train", schema={"json": "json"}, shuffle=True, seed=5)
    assert len(dataset) == 53
    for epoch in (0, 2):
        dataset.set_epoch(epoch)
        loader = DataLoader(dataset, batch_size=8, num_workers=2, collate_fn=as_list)
        assert flat(loader) == epochs[epoch]
    assert dataset[-1]["json"]["number"] == epochs[2][-1]
    assert dataset[3]["cls"] == b"%d" % (epochs[2][3] % 7)
    for number in (53, -54):
        with pytest.raises(IndexError, match=f"sample {number} of 53"):
            dataset[number]
    # Nothing of it counts.
    assert dataset.mount.rank("train").progress() == (0, 0, False)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_stream_gives_the_same(numbers, epochs, num_workers):
    dataset = wdsfs.StreamDataset(numbers.folder, "train", schema={"json": "json"}, shuffle=True, seed=5)
    loader = DataLoader(dataset, batch_size=4, num_workers=num_workers, collate_fn=as_list)
    for epoch in (0, 1):
        dataset.set_epoch(epoch)
        assert flat(loader) == epochs[epoch]


def test_a_stream_goes_on_where_it_was(numbers, epochs):
    dataset = wdsfs.StreamDataset(numbers.folder, "train", schema={"json": "json"}, shuffle=True, seed=5)
    several = iter(dataset)
    first = [next(several)["json"]["number"] for _ in range(10)]
    several.close()
    rest = [sample["json"]["number"] for sample in dataset]
    assert first[:9] + rest == epochs[0]


def test_a_stream_wants_one_worker(numbers):
    dataset = wdsfs.StreamDataset(numbers.folder, "train")
    with pytest.raises(wdsfs.WdsfsError, match="one stream and here are 2 workers: say num_workers=1"):
        next(iter(DataLoader(dataset, num_workers=2)))


# MARK: the other library's example


def test_the_example_of_streaming_wds_runs_with_another_import(formats):
    from wdsfs import StreamingDataLoader, StreamingWebDataset

    class Halved(StreamingWebDataset):
        def process_sample(self, sample):
            sample[".jpg"] = torch.tensor(list(sample[".jpg"].resize((3, 2)).tobytes()))
            return sample

    for kind in (StreamingWebDataset, Halved):
        dataset = kind(
            remote=formats.folder, split="train", profile="your_aws_profile", shuffle=True, max_workers=4,
            schema={".jpg": "PIL", ".json": "json"},
        )
        dataloader = StreamingDataLoader(dataset, batch_size=32, num_workers=4)
        for batch in dataloader:
            assert batch[".json"]["label"].tolist() == [3]
            if kind is Halved:
                assert batch[".jpg"].shape == (1, 18)
            else:
                assert batch[".jpg"][0].size == (6, 4)
        state_dict = dataloader.state_dict()
        dataloader.load_state_dict(state_dict)
        dataset.close()
