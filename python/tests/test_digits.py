"""Training for real, by examples/digits: killed at any moment, the run is the one that was never killed."""

import collections
import os
import pathlib
import random
import subprocess
import sys

import pytest
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples/digits"))

import bucket  # noqa: E402
import runs  # noqa: E402

LONG = bool(os.environ.get("WDSFS_TEST_LONG"))
EPOCHS = 8
KEYS = [f"digit{number:04d}" for number in range(1797) if number % 5 != 4]


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    return bucket.make(tmp_path_factory.mktemp("digits") / "bucket").folder


@pytest.fixture(scope="session")
def whole(digits, binary, tmp_path_factory):
    """The run that nobody kills."""
    os.environ["WDSFS_BINARY"] = binary
    return runs.uninterrupted(digits, tmp_path_factory.mktemp("whole") / "run", EPOCHS)


@pytest.fixture
def generator():
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    return random.Random(seed)


def test_a_folder_too_long_for_the_sockets_of_workers_is_refused(digits, tmp_path):
    with pytest.raises(ValueError, match="name a shorter folder"):
        runs.Run(digits, tmp_path / ("run" * 30), EPOCHS)


def weights(run):
    return torch.load(run.folder / "weights.pt", weights_only=True)


def keys_by_epoch(run):
    found = collections.defaultdict(list)
    for line in run.lines("steps.jsonl"):
        for keys in line["keys"]:
            found[line["epoch"]] += keys
    return found


def check_each_once(run, binary):
    for epoch, keys in keys_by_epoch(run).items():
        assert sorted(keys) == KEYS, f"epoch {epoch}"
    done = subprocess.run(
        [binary, "verify", run.folder / "ledger.tsv", "--samples", f"train={len(KEYS)}"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.limit(900)
def test_digits_are_learned(whole, binary):
    assert whole.result["accuracy"] >= 0.95
    assert len(keys_by_epoch(whole)) == EPOCHS
    check_each_once(whole, binary)


@pytest.mark.limit(3600)
@pytest.mark.parametrize("workers", [1, 3])
def test_a_killed_run_is_the_uninterrupted_one_to_the_bit(digits, whole, binary, generator, tmp_path, workers):
    times = 10 if LONG else 2
    run = runs.killed(
        digits, tmp_path / "run", EPOCHS, times, generator, longest=EPOCHS * 40 // times, workers=workers
    )
    assert len(run.kills) == times
    # Keys in order and losses in hexadecimal; with any number of workers.
    assert run.lines("steps.jsonl") == whole.lines("steps.jsonl")
    for name, value in weights(whole).items():
        assert torch.equal(weights(run)[name], value), name
    assert run.result == whole.result
    # What a kill took back was done again in the same way.
    for line in run.lines("attempts.jsonl"):
        assert line == whole.lines("steps.jsonl")[line["step"]]
    check_each_once(run, binary)


@pytest.mark.limit(3600)
@pytest.mark.parametrize(
    "world_sizes", [(4, 2, 3), pytest.param((3, 4, 1, 2), marks=pytest.mark.long)], ids=str
)
def test_a_run_goes_on_at_other_world_sizes(digits, binary, generator, tmp_path, world_sizes):
    parts = [(size, generator.randint(11, 60 // size)) for size in world_sizes[:-1]]
    run = runs.elastic(
        digits, tmp_path / "run", 3, [*parts, (world_sizes[-1], None)], generator, batch_size=16, workers=0,
        checkpoint_every=5,
    )
    check_each_once(run, binary)
    seen = [line["ranks"] for line in run.lines("steps.jsonl")]
    assert list(dict.fromkeys(seen)) == list(world_sizes)
    # Every rank had a batch in every step, so none waited for the others.
    assert all(keys for line in run.lines("steps.jsonl") for keys in line["keys"])
    # And the sizes of a step are the same, but at an epoch's end.
    sizes = [len(keys) for line in run.lines("steps.jsonl") for keys in line["keys"]]
    assert sizes.count(16) >= 0.8 * len(sizes)
