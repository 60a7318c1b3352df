"""`wdsfs info`: what it says of a dataset, as text, JSON and page."""

import html.parser
import json
import re

import pytest

from harness import shards


@pytest.fixture
def odd_set(tmp_path):
    """Three shards in two splits; one sample lacks its label, one shard is damaged."""
    dataset = shards.Dataset(tmp_path / "set")
    dataset.add_split("train", [20, 30], picture_bytes=5000).add_split("val", [4])
    samples = list(shards.pictures(900, 3, 5000))
    del samples[1][1]["cls"]
    dataset.add_shard("train", "train-000002.tar", samples)
    path = dataset.add_shard("val", "val-000001.tar", shards.pictures(950, 5, 5000))
    with open(path, "r+b") as file:
        file.truncate(30_000)
    return dataset


@pytest.fixture
def info(run, odd_set, tmp_path):
    def command(*options):
        done = run("info", odd_set.folder, "--cache-dir", tmp_path / "cache", *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return command


def test_it_says_what_is_there_and_what_is_odd(info):
    text = info()
    assert "2 splits, 5 shards" in text
    assert re.search(r"^train: 3 shards of .* 53 samples", text, re.M)
    assert re.search(r"^  cls +52 ", text, re.M)
    assert "train: 1 sample lacks cls, first 000000901 in train/train-000002.tar" in text
    assert "val: val/val-000001.tar is damaged: truncated-data" in text
    assert "\u2588" in text


def test_programs_get_the_same_as_json(info, odd_set):
    found = json.loads(info("--json"))
    assert found["version"] == 1
    assert found["shards"] == 5
    train = next(s for s in found["splits"] if s["name"] == "train")
    jpg = next(f for f in train["fields"] if f["name"] == "jpg")
    sizes = [
        field.size
        for sample in odd_set.rank("train")
        for field in sample.fields
        if field.name == "jpg"
    ]
    assert jpg["samples"] == 53
    assert (jpg["sizes"]["bytes"], jpg["sizes"]["least"], jpg["sizes"]["most"]) == (
        sum(sizes), min(sizes), max(sizes)
    )
    assert sum(count for _, count in jpg["sizes"]["histogram"]) == 53
    assert all(low & (low - 1) == 0 for low, _ in jpg["sizes"]["histogram"])


def test_the_page_needs_nothing_beside_it_and_shows_pictures(info, tmp_path):
    page = tmp_path / "set.html"
    assert info("--html", page) == ""
    sources, opened = [], []

    class Reader(html.parser.HTMLParser):
        void = {"meta", "img", "link"}

        def handle_starttag(self, tag, attributes):
            if tag not in self.void:
                opened.append(tag)
            for name, value in attributes:
                if name in ("src", "href"):
                    sources.append(value)

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    Reader().feed(page.read_text())
    assert opened == []
    assert sources and all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "000000901" in page.read_text()
