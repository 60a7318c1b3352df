"""Every command block of README and docs, run as somebody would who types them.

The bucket, folders and machine that they speak of are stood in for: `s3://bucket/imagenet` is served here,
`/mnt/wds`, `/scratch/wds`, `/data/imagenet` and `/etc/wdsfs` are folders of the test, and what only a cluster
has is in `stand_ins`. A block that begins with `# NAME` is written to that file first. What builds, tests or
measures the checkout itself is run by `test_a_command_of_the_checkout_works`, some of it with --long.
"""

import dataclasses
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import pytest
from PIL import Image

from harness import bench_page, manual, mounts, pages, reliability, servers, shards

PACKAGE = pages.PACKAGE
GUIDES = sorted(
    path.relative_to(PACKAGE).as_posix()
    for path in [PACKAGE / "README.md", PACKAGE / "CONTRIBUTING.md",
                 *PACKAGE.glob("docs/**/*.md"), *PACKAGE.glob("examples/**/*.md")]
    if path.name != "reference.md"
)
REFERENCE = "docs/reference.md"
# What is shown and not typed: a log, a format, an order's arithmetic.
SHOWN = {"", "json", "text", "yaml"}
WRITTEN = {"python", "toml"}

# Programs that a test machine has not, and what is run in their place (Tests/MountTests/stand_ins).
STOOD_IN = {
    "docker": "no daemon: what the image's program is given is parsed by wdsfs, its options by the stand-in",
    "kubectl": "no cluster: manifests are held to the schemas of Kubernetes",
    "sbatch": "no Slurm: the job script is run as Slurm would start it",
    "srun": "no Slurm: a process for each task",
    "sudo": "there is no other user to become",
    "systemctl": "no systemd: the command of the unit is run; test_service has the rest",
    "torchrun": "torch is not among what these tests want; that of examples/digits is the real one",
}


@dataclasses.dataclass(frozen=True)
class Checkout:
    """How a command that works on the checkout is run by a test."""

    is_long: bool = False
    """Minutes: run with --long."""

    is_this_run: bool = False
    """What started this test is that command, or it is skipped."""

    environment: dict = dataclasses.field(default_factory=dict)
    """Makes it short; the command stays what it is."""

    writes: tuple = ()
    """Files that it must have written anew."""

    wants_torch: bool = False


# By the first line of a block; blocks of several scripts have a line of their own for each.
CHECKOUT = {
    "scripts/quickstart": Checkout(),
    "scripts/test": Checkout(is_this_run=True),
    "scripts/test --long": Checkout(is_this_run=True, is_long=True),
    # Another word than the one of this test.
    "scripts/test cursor": Checkout(is_long=True),
    "scripts/bench --page": Checkout(
        is_long=True, environment={"WDSFS_TEST_BENCH": "--size 20 --rounds 1 --profiles jpg"},
        writes=("docs/performance.md", "docs/performance.svg", "README.md"),
    ),
    "scripts/bench --loaders --page": Checkout(
        is_long=True,
        # A peer that fails is left out there, so that it would be no failure here.
        environment={"WDSFS_TEST_BENCH": "--samples 60 --samples-per-shard 20 --rounds 1 --only wdsfs"},
        writes=("docs/performance.md", "docs/loaders.svg"),
    ),
    "scripts/bench --points --page": Checkout(
        is_long=True, environment={"WDSFS_TEST_BENCH": "--size 20 --rounds 1 --readers 1,2"},
        writes=("docs/performance.md", "docs/points.svg"),
    ),
    "PYTHONPATH=python python examples/digits/runs.py /tmp/digits --svg docs/digits.svg": Checkout(
        is_long=True, environment={"WDSFS_TEST_DIGITS": "--epochs 2"}, wants_torch=True, writes=("docs/digits.svg",),
    ),
    "export PYTHONPATH=python WDSFS_BINARY=.build/release/wdsfs": Checkout(is_long=True, wants_torch=True),
}


def of_the_checkout(text):
    """The commands of a block that works on the checkout, else none: its lines, or the block as a whole."""
    if re.search(r"^(scripts/|swift )", text, re.M):
        return pages.commands(text)
    return [text] if "PYTHONPATH=python " in text else []


def first_line(command):
    return command.splitlines()[0]


IN_CHECKOUT = [
    pytest.param(
        f"{page}:{line}", command, id=first_line(command)[:60],
        marks=[pytest.mark.long] if CHECKOUT.get(first_line(command), Checkout()).is_long else [],
    )
    for page in GUIDES
    for line, language, text in pages.blocks(page) if language == "sh"
    for command in of_the_checkout(text)
]


def test_links_lead_somewhere():
    for page in [*GUIDES, REFERENCE]:
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


def test_each_row_of_the_reliability_page_has_its_figure():
    for line in filter(reliability.is_row, (PACKAGE / "docs/reliability.md").read_text().splitlines()):
        cells = reliability.cells_of(line)
        assert len(cells) == 5 and re.fullmatch(r"[\d,]+ cases?(, .*)?: 0 wrong, 0 hung", cells[3]), (
            f"scripts/test, then PYTHONPATH=scripts python3 -m harness.reliability write, for {line}"
        )


def test_the_figures_of_the_reliability_page_are_summed_by_the_names_of_their_rows():
    page = "| id | fault | promise | test |\n| --- | --- | --- | --- |\n"
    page += "| S1, S2 | a | b | `FaultTests`, `that_passes` |\n| X1 | c | d | `owner_alone` |\n\n"
    page += reliability.BEGIN + reliability.END
    kept = {
        "floors": {"S3ClientTests.FaultTests/one()": {"cases": 3}, "OtherTests/two()": {"cases": 9}},
        "mounts": {
            "test_a.py::test_a_fault_that_passes": {"cases": 2, "faults": 1, "fields": 1200, "bytes": 1_500_000},
            "test_b.py::test_files_are_the_owner_alone": {"cases": 1, "faults": 0, "fields": 0, "bytes": 0},
        },
        "run": {"commit": "abc1234", "day": "1 May 2026"},
    }
    written = reliability.write(page, kept)
    assert "| S1, S2 | a | b | 5 cases, 1 fault by proxy, 1,200 fields of 1.5 MB: 0 wrong, 0 hung | `FaultTests`" in written
    assert "| X1 | c | d | 1 case: 0 wrong, 0 hung | `owner_alone` |" in written
    assert "All rows together, each test once: 6 cases, 1,200 fields and 1,500,000 bytes" in written
    assert reliability.write(written, kept) == written


def test_every_block_says_what_it_is():
    for page in [*GUIDES, REFERENCE]:
        for line, language, text in pages.blocks(page):
            assert language in SHOWN | WRITTEN | {"sh", "fstab"}, f"{page}:{line}: {language}"
            if language == "python":
                compile(text, f"{page}:{line}", "exec")
            if language in ("", "text") and page != REFERENCE:
                assert not re.search(r"^(\$ )?(wdsfs|scripts/\S+) ", text, re.M), f"{page}:{line}: a command"


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


def fill(dataset):
    """A small imagenet, with images that can be decoded."""
    image = io.BytesIO()
    Image.effect_noise((60, 45), 40).convert("RGB").save(image, "JPEG")
    for split, counts in {"train": [19, 18, 17, 19], "val": [4, 2]}.items():
        for number, count in enumerate(counts):
            samples = shards.pictures(sum(counts[:number]), count, 100)
            dataset.add_shard(
                f"imagenet/{split}",
                f"{split}-{number:06d}.tar",
                [(key, {**fields, "jpg": image.getvalue()}) for key, fields in samples],
            )


@pytest.fixture
def typist(store, binary, tmp_path):
    """Somebody who types what a page says."""
    folder = tmp_path / "page"
    folder.mkdir()
    made = pages.Typist(folder, binary, store, store.dataset("bucket", fill), {})
    yield made
    made.leave()


@pytest.mark.limit(180)
@pytest.mark.parametrize("page", GUIDES)
def test_the_commands_of_a_page_work(typist, page):
    if "getfattr" in (PACKAGE / page).read_text() and not shutil.which("getfattr"):
        pytest.skip("no getfattr here")
    for line, language, text in pages.blocks(page):
        try:
            if language == "fstab" and os.geteuid() == 0:
                typist.fstab(text)
            elif language in WRITTEN:
                typist.write(text)
            elif language == "sh" and not of_the_checkout(text):
                typist.write(text) or typist.type(text)
        except (pages.Failed, subprocess.TimeoutExpired) as error:
            pytest.fail(f"{page}:{line}: {error}")


def test_what_is_stood_in_for_is_named():
    assert {path.name for path in pages.STAND_INS.iterdir()} - {"processes.py", "__pycache__"} == set(STOOD_IN)


def test_scripts_are_what_a_shell_can_read():
    scripts = [
        path for folder in ("scripts", "examples", ".ci") for path in (PACKAGE / folder).glob("**/*")
        if path.is_file() and re.match(rb"#!.*\b(ba)?sh\b|# Sourced by", path.read_bytes()[:40])
    ]
    assert len(scripts) >= 10
    for path in scripts:
        done = subprocess.run(["bash", "-n", path], capture_output=True, text=True, timeout=20)
        assert (done.returncode, done.stderr) == (0, ""), path
    checked("shellcheck", "-x", "-P", "SCRIPTDIR", "-S", "warning", *(path for path in scripts if path.name != "setup.sh"))


def test_the_dockerfile_is_sound():
    checked("hadolint", PACKAGE / "Dockerfile")


def checked(program, *words):
    """Runs a checker that full runs install."""
    path = os.path.join(os.path.dirname(sys.executable), program)
    if not os.path.exists(path):
        pytest.skip(f"no {program} here; a full run of scripts/test installs it")
    done = subprocess.run([path, *words], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr


# MARK: what works on the checkout itself


def test_every_command_of_the_checkout_is_run_somewhere():
    shown = {first_line(parameter.values[1]) for parameter in IN_CHECKOUT}
    assert shown == set(CHECKOUT), "a command that no test runs, or one that no page shows"


@pytest.fixture
def short_folder():
    """In place of /tmp, and the pages' /tmp/run: Python's workers have sockets there, whose names may not be long."""
    folder = tempfile.mkdtemp(prefix="wdsfs-", dir="/tmp")
    yield folder
    for point, _ in mounts.mounted(below=folder):
        mounts.detach(point)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.limit(1800)
@pytest.mark.parametrize("place, command", IN_CHECKOUT)
def test_a_command_of_the_checkout_works(place, command, binary, tmp_path, short_folder):
    how = CHECKOUT[first_line(command)]
    if how.is_this_run:
        if os.environ.get("WDSFS_TEST_RUN") != command:
            pytest.skip(f"it is no part of `{command}`, which runs itself")
        return
    if how.wants_torch and not list((PACKAGE / ".venv").glob("lib/python*/site-packages/torch")):
        pytest.skip("no torch here; scripts/test --long installs it")
    # What tests builds, for which a copy is another place; the others write to where they are.
    folder = PACKAGE if command.startswith("scripts/test") else pages.copy_of_checkout(tmp_path / "checkout")
    for name in how.writes:
        (folder / name).touch()
        os.utime(folder / name, (0, 0))
    environment = {
        **os.environ, **how.environment, "WDSFS_TEST_BINARY": binary, "TMPDIR": short_folder,
        "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}:{os.path.dirname(binary)}",
    }
    text = re.sub("/tmp/(digits|run)", rf"{short_folder}/\1", command).replace(".build/release/wdsfs", binary)
    done = subprocess.run(
        ["bash", "-euc", text], cwd=folder, env=environment, timeout=1700, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    assert done.returncode == 0, f"{place}: {command}\n{done.stdout[-4000:]}"
    for name in how.writes:
        assert os.stat(folder / name).st_mtime > 0, f"{place}: {command} did not write {name}"


# MARK: the examples of the help

# What the examples take up: an epoch that eight ranks have read on two nodes.
EARLIER = r"""
for node in 0 1; do
  wdsfs mount s3://bucket/imagenet /mnt/wds --world-size 8 --shuffle full --seed 7 --partition samples \
    --cursor node-$node.cursor --ledger node$node.tsv
  for place in 0 1 2 3; do cat /mnt/wds/*/$((4 * node + place))/*/cls >labels; done
  wdsfs unmount /mnt/wds
done
wdsfs cursor merge node-0.cursor node-1.cursor -o run7.cursor
"""
CONFIG = '# imagenet.toml\nremote = "s3://bucket/imagenet"\nmountpoint = "/mnt/wds"\n'


def examples():
    """(command, its blocks) of the reference, which is made from the help."""
    found = {}
    headings = [
        (number, line.removeprefix("## "))
        for number, line in enumerate((PACKAGE / REFERENCE).read_text().splitlines(), 1) if line.startswith("## ")
    ]
    for line, language, text in pages.blocks(REFERENCE):
        if language == "sh":
            found.setdefault([name for number, name in headings if number < line][-1], []).append((line, text))
    return found


EXAMPLES = examples()


@pytest.fixture
def reader(store, binary, tmp_path):
    """Somebody who types the examples of the help: what they publish is in a bucket that no page has."""
    folder, web = tmp_path / "page", tmp_path / "web"
    for made in (folder, web):
        made.mkdir()
    bucket = store.dataset("published", fill)
    shard = os.path.join(bucket.folder, "imagenet/val/val-000000.tar")
    for number in range(147):
        os.link(shard, web / f"set-{number:06d}.tar")
    keys = store.server.environment()
    (folder / "credentials").write_text(
        f"[lab]\naws_access_key_id = {keys['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {keys['AWS_SECRET_ACCESS_KEY']}\n"
    )
    with servers.Nginx(web, tmp_path / "nginx") as server:
        made = pages.Typist(folder, binary, store, bucket, {
            "s3://bucket/": "s3://published/", "http://minio:9000": store.server.endpoint,
            "https://host/": f"{server.endpoint}/", "=1281167": "=73", "1281167": "73", "=50000": "=6",
            "12800": "1", "--interval 10": "--interval 1",
        })
        made.environment |= {
            "SLURM_PROCID": "1", "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        }
        yield made
        made.leave()


@pytest.fixture(scope="session")
def left_over(tmp_path_factory):
    """What EARLIER leaves, kept for the examples that come after."""
    return tmp_path_factory.mktemp("earlier")


@pytest.mark.limit(180)
@pytest.mark.parametrize("command", EXAMPLES)
def test_the_examples_of_the_help_work(reader, left_over, command):
    blocks = EXAMPLES[command]
    if any(re.search("node|run7", text) for _, text in blocks):
        if not any(left_over.iterdir()):
            reader.type(EARLIER)
            for path in [*reader.work.glob("*.cursor"), *reader.work.glob("*.tsv")]:
                shutil.copy(path, left_over)
        shutil.copytree(left_over, reader.work, dirs_exist_ok=True)
    reader.write(CONFIG)
    for line, text in blocks:
        try:
            type_example(reader, text)
        except (pages.Failed, subprocess.TimeoutExpired) as error:
            pytest.fail(f"{REFERENCE}:{line}: {error}")


def type_example(reader, text):
    """Types a block line by line: examples follow each other without what one would type between them."""
    is_mounted = False
    for command in pages.commands(text):
        mounts_it = command.startswith("wdsfs mount ") and "--print-config" not in command
        if mounts_it and is_mounted:
            reader.type("wdsfs unmount /mnt/wds")
        if command.startswith(("wdsfs status ", "wdsfs unmount ", "ls ", "cat ")) and not is_mounted:
            reader.type("wdsfs mount s3://bucket/imagenet /mnt/wds")
            is_mounted = True
        if not shutil.which("jq"):
            command = command.partition(" | jq ")[0]
        if " -f " in command or command.startswith("wdsfs status ") and "--once" not in command:
            reader.watch(command)
        else:
            reader.type(command)
            is_mounted = mounts_it or is_mounted and not command.startswith("wdsfs unmount ")
    if is_mounted:
        reader.type("wdsfs unmount /mnt/wds")
