"""What programs may read has the fields that docs/json.md names, and no others."""

import json
import re

import pytest

from harness import mounts, pages, shards

PAGE = (pages.PACKAGE / "docs/json.md").read_text()

# The heading of each document, and what writes it.
COMMANDS = {
    "`wdsfs info --json`": "wdsfs info SET --json",
    "`wdsfs index --json`": "wdsfs index SET --publish --json",
    "`wdsfs plan --json`": "wdsfs plan SET --world-size 64 --json",
    "`wdsfs warm --json`": "wdsfs warm SET --json",
    "`wdsfs cache list --json`": "wdsfs cache list SET --json",
    "`wdsfs doctor --json`": "wdsfs doctor SET --json",
    "`wdsfs cursor show --json`": "wdsfs cursor show run.cursor --json",
    "`wdsfs verify --json`": "wdsfs verify run.tsv --json",
    "`wdsfs status --json`": "wdsfs status mnt --once --json",
    "`.wdsfs/stats.json`": "cat mnt/.wdsfs/stats.json",
    "`.wdsfs/config.json`": "cat mnt/.wdsfs/config.json",
    "The cursor": "cat mnt/.wdsfs/cursor.json",
}


def sections():
    """Heading -> the text below it."""
    _, *parts = re.split(r"^## (.*)\n", PAGE, flags=re.M)
    return dict(zip(parts[::2], parts[1::2]))


def told(text):
    """(fields that are always there, fields that may be missing) of a section."""
    names = "".join(line.split(" | ")[0] + "\n" for line in text.splitlines() if line.startswith(("| `", "| *`")))
    optional = set(re.findall(r"\*`([^`]+)`\*", names))
    return set(re.findall(r"`([^`]+)`", names)) - optional, optional


def fields(value, name=""):
    """The fields of a document, as the page writes them."""
    if isinstance(value, dict):
        return {inner for key, each in value.items() for inner in fields(each, f"{name}.{key}" if name else key)}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {inner for each in value for inner in fields(each, f"{name}[]")}
    name = re.sub(r"(retriesByCause)\.\w+", r"\1.CAUSE", name)
    name = re.sub(r"(lengths|committed)\.\d+", r"\1.RANK", name)
    # A list or table of which there is nothing to see has its bare name.
    return {re.sub(r"^splits\.(train|val)", "splits.SPLIT", name)} if name else set()


@pytest.fixture
def folder(mount, binary, tmp_path):
    """Where the commands find all they speak of: a damaged shard, a sample without its label, a run under way."""
    dataset = shards.Dataset(tmp_path / "SET")
    dataset.add_split("train", [20, 30]).add_split("val", [4])
    samples = list(shards.pictures(900, 3, 100))
    del samples[1][1]["cls"]
    dataset.add_shard("train", "train-000002.tar", samples)
    path = dataset.add_shard("val", "val-000001.tar", shards.pictures(950, 5, 5000))
    with open(path, "r+b") as file:
        file.truncate(12_000)
    made = mount(
        dataset.folder, "--world-size", 2, "--cursor", tmp_path / "run.cursor", "--ledger", tmp_path / "run.tsv",
        cache_dir=tmp_path / "kept",
    )
    (made.point / "train/0/00000000/cls").read_bytes()
    (made.point / "train/1/.cursor").write_text("3\n")
    mounts.wait_until(lambda: (tmp_path / "run.cursor").exists(), 20, "the cursor is saved")
    mounts.wait_until(lambda: "\tok" in (tmp_path / "run.tsv").read_text(), 20, "the ledger is written")
    return tmp_path


def test_every_document_is_tried():
    assert list(sections()) == [*COMMANDS, "The ledger"]


def document(run, folder, command):
    program, *words = command.split()
    words = [str(folder / word) if (folder / word).exists() else word for word in words]
    if program == "cat":
        return json.loads(open(words[0]).read())
    options = ["--cache-dir", folder / "kept"] if str(folder / "SET") in words else []
    return json.loads(run(*words, *options).stdout)


@pytest.mark.limit(120)
def test_documents_have_the_fields_that_are_told(run, folder):
    for heading, command in COMMANDS.items():
        found = document(run, folder, command)
        assert found["version"] == 1
        always, sometimes = told(sections()[heading])
        seen = fields(found)
        # Of an empty list or table the fields of what it would hold are not seen.
        bare = {name for name in seen if any(each.startswith((f"{name}[]", f"{name}.")) for each in always | sometimes)}
        assert seen - bare - always - sometimes == set(), f"{heading}: there, but not told"
        missing = {name for name in always - seen if not name.startswith(tuple(f"{each}[]" for each in bare))}
        assert missing == set(), f"{heading}: told, but not there"


def test_the_ledger_has_the_columns_that_are_told(folder):
    version, header, line, *_ = (folder / "run.tsv").read_text().splitlines()
    told_columns, _ = told(sections()["The ledger"])
    assert f"`{version}`" in sections()["The ledger"]
    assert set(header.split("\t")) == told_columns and len(line.split("\t")) == len(told_columns)
