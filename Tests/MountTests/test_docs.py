"""Every command block of README and docs, run as somebody would who types them.

The bucket, folders and machine that they speak of are stood in for: `s3://bucket/imagenet` is served here,
`/mnt/wds`, `/scratch/wds`, `/data/imagenet` and `/etc/wdsfs` are folders of the test, and what only a
cluster has is in `stand_ins`. A block that begins with `# NAME` is written to that file first.
"""

import io
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from harness import bench_page, manual, mounts, shards

PACKAGE = pathlib.Path(__file__).resolve().parents[2]
STAND_INS = pathlib.Path(__file__).resolve().parent / "stand_ins"
PAGES = sorted(
    path.relative_to(PACKAGE).as_posix()
    for path in [PACKAGE / "README.md", PACKAGE / "CONTRIBUTING.md",
                 *PACKAGE.glob("docs/**/*.md"), *PACKAGE.glob("examples/**/*.md")]
    if path.name != "reference.md"
)
# What is shown and not typed: a line of fstab, a log, a format, an order's arithmetic.
SHOWN = {"", "toml", "python", "json", "text", "yaml"}


def blocks(page):
    """(line, language, text) of the fenced blocks of a page."""
    found, begin = [], None
    for number, line in enumerate((PACKAGE / page).read_text().splitlines(), 1):
        fence = re.match(r"```(.*)$", line)
        if fence and begin is None:
            begin, language, lines = number, fence[1].strip(), []
        elif fence:
            found.append((begin, language, "\n".join(lines) + "\n"))
            begin = None
        elif begin is not None:
            lines.append(line)
    assert begin is None, f"{page}:{begin}: the block does not end"
    return found


def test_links_lead_somewhere():
    for page in [*PAGES, "docs/reference.md"]:
        text = re.sub(r"```.*?```", "", (PACKAGE / page).read_text(), flags=re.S)
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
            if "://" not in target:
                assert ((PACKAGE / page).parent / target).exists(), f"{page}: {target}"


def test_each_test_of_the_reliability_page_is_there():
    names = set()
    for path in [*PACKAGE.glob("Tests/**/*.swift"), *PACKAGE.glob("Tests/**/*.py")]:
        names |= {path.stem, *re.findall(r"\b(?:func|def) (\w+)", path.read_text())}
    everything = " ".join(names)
    rows = [
        line.split(" | ") for line in (PACKAGE / "docs/reliability.md").read_text().splitlines()
        if re.match(r"\| [SLTX]\d", line)
    ]
    assert len(rows) > 60
    for row in rows:
        tests = re.findall(r"`(\w+)`", row[-1])
        assert tests, f"no test: {row}"
        for test in tests:
            assert test in everything, f"{row[0]}: no test bears {test}"


def test_every_block_says_what_it_is():
    for page in PAGES:
        for line, language, text in blocks(page):
            # `console`: for a machine that a test is not, such as one with Docker.
            assert language in SHOWN | {"sh", "console"}, f"{page}:{line}: {language}"
            if language == "python":
                compile(text, f"{page}:{line}", "exec")
            if language == "":
                assert not re.search(r"^(\$ )?wdsfs ", text, re.M), f"{page}:{line}: a command"


def test_the_reference_is_what_the_help_says(binary):
    written = (PACKAGE / "docs/reference.md").read_text()
    assert written == manual.reference(binary), (
        "docs/reference.md is old: PYTHONPATH=scripts python3 -m harness.manual "
        ".build/debug/wdsfs reference > docs/reference.md"
    )


def test_the_readme_has_the_figures_of_the_performance_page():
    measured = (PACKAGE / "docs/performance.md").read_text()
    shown = (PACKAGE / "README.md").read_text()
    table = "".join(line + "\n" for line in bench_page.summary(measured))
    assert table.count("\n") > 5
    assert bench_page.BEGIN + table + bench_page.END in shown, (
        "README.md is old: PYTHONPATH=scripts python3 -m harness.bench_page"
    )


def test_no_help_is_broken_by_a_terminal_of_80_columns(binary):
    for command in manual.commands(binary):
        for line in command.discussion.splitlines():
            assert len(line) < 80, f"{command.name()}: {line}"


@pytest.fixture(scope="session")
def bucket(store):
    """`s3://bucket/imagenet`, small, with images that can be decoded."""
    image = io.BytesIO()
    Image.effect_noise((60, 45), 40).convert("RGB").save(image, "JPEG")

    def make(dataset):
        for split, counts in {"train": [19, 18, 17, 19], "val": [4, 2]}.items():
            for number, count in enumerate(counts):
                samples = shards.pictures(sum(counts[:number]), count, 100)
                dataset.add_shard(
                    f"imagenet/{split}",
                    f"{split}-{number:06d}.tar",
                    [(key, {**fields, "jpg": image.getvalue()}) for key, fields in samples],
                )

    return store.dataset("bucket", make)


@pytest.fixture
def typed(store, bucket, binary, tmp_path):
    """Runs a script as a reader of the page would type it, in a folder with the checkout's files."""
    work, programs = tmp_path / "work", tmp_path / "bin"
    for folder in (work, programs, tmp_path / "mnt", tmp_path / "etc", tmp_path / "tmp"):
        folder.mkdir()
    (programs / "wdsfs").symlink_to(binary)
    # Not a link: by its place Python knows which packages it has.
    (programs / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python3").chmod(0o755)
    for name in ("examples", "scripts", "Tests", "packaging"):
        (work / name).symlink_to(PACKAGE / name)
    places = {
        "s3://bucket/dataset": "s3://bucket/imagenet", "/mnt/wds": str(tmp_path / "mnt"), "/scratch/wds": str(tmp_path / "scratch"),
        "/data/imagenet": os.path.join(bucket.folder, "imagenet"),
        "/etc/wdsfs": str(tmp_path / "etc"), "/var/lib/wdsfs": str(tmp_path / "tmp"),
        "200GB": "64MiB",
    }
    environment = {
        **store.environment(
            AWS_ENDPOINT_URL=store.server.endpoint, TMPDIR=tmp_path / "tmp",
            WDSFS_CACHE_DIR=tmp_path / "cache", PYTHON=sys.executable,
        ),
        "PATH": f"{programs}:{STAND_INS}:{os.environ['PATH']}",
    }

    def here(text):
        for place, ours in places.items():
            text = text.replace(place, ours)
        return text

    def run(text):
        text = here(text)
        name = re.match(r"# (\S+\.\w+)\n", text)
        if name:
            (work / name[1]).write_text(text)
            return None
        done = subprocess.run(
            ["bash", "-euc", text], cwd=work, env=environment, timeout=50,
            capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )
        return done if done.returncode else None

    yield run
    for point, _ in mounts.mounted(below=tmp_path):
        mounts.detach(point)
    mounts.wait_until(
        lambda: not mounts.processes_naming(tmp_path), 20, "all that the page mounted has ended"
    )


@pytest.mark.limit(180)
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work(typed, page):
    if "getfattr" in (PACKAGE / page).read_text() and not shutil.which("getfattr"):
        pytest.skip("no getfattr here")
    for line, language, text in blocks(page):
        if language in ("sh", "python", "toml"):
            # Those of the checkout build and test by themselves; that they are there must do.
            if language == "sh" and text.startswith(("scripts/", "swift ")):
                for script in re.findall(r"^scripts/[\w-]+", text, re.M):
                    assert os.access(PACKAGE / script, os.X_OK), f"{page}:{line}: {script}"
                continue
            if language == "python" and not text.startswith("# "):
                continue
            failed = typed(text)
            assert not failed, f"{page}:{line}:\n{failed.stdout}\n{failed.stderr}"
