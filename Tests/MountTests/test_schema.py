"""Fields that the mount decodes: `--schema` and `--on-decode-error`, docs/schema.md."""

import bz2
import errno
import gzip
import io
import json
import lzma
import os
import pathlib
import signal
import stat
import subprocess

import lz4.frame
import numpy
import pytest
import zstandard
from PIL import Image

from harness import mounts, shards


def picture(seed, width=200, height=150):
    """A picture with soft and sharp parts, of any size."""
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    soft = numpy.stack([x * 255 / width, y * 255 / height, (x + y) * 127 / width], axis=2)
    soft[height // 4 : height // 2, width // 3 : width // 2] = random.integers(0, 256, 3)
    return Image.fromarray(numpy.clip(soft + random.normal(0, 6, soft.shape), 0, 255).astype("u1"))


def encoded(image, kind, **options):
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def resized(image, width, height):
    """As torchvision: Resize to just cover, then CenterCrop; by PIL alone."""
    image = image.convert("RGB")
    if width * image.height >= height * image.width:
        size = (width, max(height, width * image.height // image.width))
    else:
        size = (max(width, height * image.width // image.height), height)
    image = image.resize(size, Image.BILINEAR)
    left, top = round((size[0] - width) / 2), round((size[1] - height) / 2)
    return numpy.asarray(image.crop((left, top, left + width, top + height)))


def difference(found, wanted):
    assert found.dtype == numpy.uint8 and found.shape == wanted.shape
    return numpy.abs(found.astype(int) - wanted.astype(int)).mean()


@pytest.fixture
def make(tmp_path):
    """A dataset of one split from samples `(key, {field: bytes})`, in shards of a few."""

    def build(samples, a_shard=8, name="set"):
        dataset = shards.Dataset(tmp_path / name)
        for first in range(0, len(samples), a_shard):
            dataset.add_shard("train", f"a-{first:06d}.tar", samples[first : first + a_shard])
        return dataset.folder

    return build


def sample_folder(mount, position):
    return mount.point / f"train/0/{position:08d}"


def load(path):
    return numpy.load(path, allow_pickle=False)


def events(mount, name):
    return [line for line in mount.log.read_text().splitlines() if f"event={name}" in line]


# Images


@pytest.fixture
def images(make):
    kinds = [("jpg", "JPEG", {"quality": 90}), ("png", "PNG", {}), ("webp", "WEBP", {"quality": 90})]
    samples = []
    for number in range(6):
        field, kind, options = kinds[number % 3]
        image = picture(number, 160 + 37 * number, 120 + 11 * (number % 5))
        samples.append((f"{number:04d}", {field: encoded(image, kind, **options), "cls": b"%d" % number}))
    return samples, make(samples)


RULES = ("--schema", "jpg=npy{0}", "--schema", "png=npy{0}", "--schema", "webp=npy{0}")


@pytest.mark.parametrize("size", [(96, 96), (64, 32), (150, 250)])
def test_images_become_arrays_of_just_the_size_that_was_asked_for(mount, images, size):
    samples, remote = images
    mounted = mount(remote, *(word.format(":%dx%d" % size) for word in RULES))
    for position, (key, fields) in enumerate(samples):
        folder = sample_folder(mounted, position)
        assert sorted(os.listdir(folder)) == [f"{key}.cls", f"{key}.npy"]
        path = folder / f"{key}.npy"
        assert path.stat().st_size == 128 + size[0] * size[1] * 3
        original = Image.open(io.BytesIO(next(iter(fields.values()))))
        assert difference(load(path), resized(original, *size)) < 1.5


def test_an_image_without_a_size_is_what_pil_makes_of_it(mount, images):
    samples, remote = images
    mounted = mount(remote, *(word.format("") for word in RULES))
    for position, (key, fields) in enumerate(samples):
        path = sample_folder(mounted, position) / f"{key}.npy"
        field = next(iter(fields))
        wanted = numpy.asarray(Image.open(io.BytesIO(fields[field])).convert("RGB"))
        found = load(path)
        assert path.stat().st_size == 128 + wanted.size
        # JPEG and WebP by other versions of their libraries may round otherwise.
        assert difference(found, wanted) == 0 if field == "png" else difference(found, wanted) < 0.5


def test_short_keeps_the_shape_of_an_image(mount, images):
    samples, remote = images
    mounted = mount(remote, *(word.format(":short=96") for word in RULES))
    for position, (key, fields) in enumerate(samples):
        image = Image.open(io.BytesIO(next(iter(fields.values())))).convert("RGB")
        width, height = image.size
        wanted = (96 * width // height, 96) if height <= width else (96, 96 * height // width)
        found = load(sample_folder(mounted, position) / f"{key}.npy")
        assert difference(found, numpy.asarray(image.resize(wanted, Image.BILINEAR))) < 1.5


def test_every_kind_of_image_becomes_rgb_as_pil_converts_it(mount, make):
    image = picture(1, 90, 60)
    deep = numpy.asarray(image.convert("L")).astype("u2") * 256 + 77
    clear = image.copy()
    clear.putalpha(Image.linear_gradient("L").resize(image.size))
    turned = Image.Exif()
    turned[0x0112] = 6
    kinds = {
        "grey": encoded(image.convert("L"), "JPEG"),
        "ink": encoded(image.convert("CMYK"), "JPEG"),
        "progressive": encoded(image, "JPEG", progressive=True, quality=70),
        "turned": encoded(image, "JPEG", exif=turned),
        "palette": encoded(image.convert("P"), "PNG"),
        "bits": encoded(image.convert("1"), "PNG"),
        "alpha": encoded(clear, "PNG"),
        "greyalpha": encoded(clear.convert("LA"), "PNG"),
        "deep": encoded(Image.fromarray(deep), "PNG"),
        "clear": encoded(clear, "WEBP", lossless=True, exact=True),
    }
    remote = make([(name, {"img": data}) for name, data in kinds.items()])
    mounted = mount(remote, "--schema", "img=npy")
    for position, (name, data) in enumerate(kinds.items()):
        wanted = Image.open(io.BytesIO(data)).convert("RGB")
        if name == "deep":
            wanted = Image.fromarray((deep >> 8).astype("u1")).convert("RGB")
        found = load(sample_folder(mounted, position) / f"{name}.npy")
        assert difference(found, numpy.asarray(wanted)) < 0.6, name


# Numbers, JSON, MessagePack, compressed, text


def test_labels_arrays_and_packed_fields_are_decoded_without_loss(mount, make):
    text = json.dumps({"caption": "naïve"}, ensure_ascii=False).encode()
    packed = b"\x82\xa1a\x93\x01\xcb\x40\x04\x00\x00\x00\x00\x00\x00\xc0\xa1b\xa5na\xc3\xafv"
    fields = {
        "cls": b"417\n",
        "weight.txt": b"-0.25",
        "box.json": b"[[1, 2, 3], [4, 5, 9007199254740993]]",
        "meta.json.gz": gzip.compress(text),
        "a.zst": zstandard.compress(text),
        "b.lz4": lz4.frame.compress(text),
        "c.bz2": bz2.compress(text),
        "d.xz": lzma.compress(text),
        "mp": packed,
        "caption": text,
    }
    rules = ["cls=npy", "weight.txt=npy", "box.json=npy", "meta.json.gz=raw", "mp=json", "caption=txt"]
    rules += [f"{name}=raw" for name in ("a.zst", "b.lz4", "c.bz2", "d.xz")]
    options = [word for rule in rules for word in ("--schema", rule)]
    mounted = mount(make([("k", fields)]), *options)
    folder = sample_folder(mounted, 0)
    assert sorted(os.listdir(folder)) == [
        "k.a", "k.b", "k.box.npy", "k.c", "k.d", "k.json", "k.meta.json", "k.npy", "k.txt",
        "k.weight.npy",
    ]
    label = load(folder / "k.npy")
    assert (label.dtype, label.shape, int(label)) == (numpy.int64, (), 417)
    weight = load(folder / "k.weight.npy")
    assert (weight.dtype, float(weight)) == (numpy.float64, -0.25)
    boxes = load(folder / "k.box.npy")
    assert boxes.tolist() == [[1, 2, 3], [4, 5, 9007199254740993]]
    for name in ("k.meta.json", "k.a", "k.b", "k.c", "k.d", "k.txt"):
        assert (folder / name).read_bytes() == text
        assert (folder / name).stat().st_size == len(text)
    assert json.loads((folder / "k.json").read_bytes()) == {"a": [1, 2.5, None], "b": "naïv"}


# Names


def test_beside_the_raw_field_both_are_there(mount, images):
    samples, remote = images
    mounted = mount(remote, "--schema", "jpg+npy:32x32", "--schema", "cls+npy")
    for position, (key, fields) in enumerate(samples):
        folder = sample_folder(mounted, position)
        wanted = {f"{key}.{field}" for field in fields} | {f"{key}.cls.npy"}
        if "jpg" in fields:
            wanted.add(f"{key}.npy")
        # The label has its own name, also where there is no image to be taken for.
        assert set(os.listdir(folder)) == wanted
        for field, data in fields.items():
            assert (folder / f"{key}.{field}").read_bytes() == data
        assert int(load(folder / f"{key}.cls.npy")) == position


def test_a_raw_field_that_is_decoded_in_place_cannot_be_reached_by_name(mount, images):
    samples, remote = images
    mounted = mount(remote, "--schema", "jpg=npy:32x32")
    key = samples[0][0]
    for name in (f"{key}.jpg", "jpg"):
        with pytest.raises(FileNotFoundError):
            open(sample_folder(mounted, 0) / name)
    assert load(sample_folder(mounted, 0) / "npy").shape == (32, 32, 3)
    assert (sample_folder(mounted, 0) / "npy").stat().st_ino == (
        sample_folder(mounted, 0) / f"{key}.npy"
    ).stat().st_ino


def test_bare_names_are_listed_where_they_are_asked_for(mount, images):
    samples, remote = images
    mounted = mount(remote, "--schema", "jpg=npy:32x32", "--names", "field")
    assert sorted(os.listdir(sample_folder(mounted, 0))) == ["cls", "npy"]
    assert load(sample_folder(mounted, 0) / f"{samples[0][0]}.npy").shape == (32, 32, 3)


def test_a_raw_field_keeps_its_name_before_a_decoded_one(mount, make):
    image = encoded(picture(1), "JPEG")
    mounted = mount(make([("k", {"jpg": image, "npy": b"raw"})]), "--schema", "jpg=npy:16x16")
    folder = sample_folder(mounted, 0)
    assert sorted(os.listdir(folder)) == ["k.jpg.npy", "k.npy"]
    assert (folder / "k.npy").read_bytes() == b"raw"
    assert load(folder / "k.jpg.npy").shape == (16, 16, 3)


def test_shards_and_streams_stay_raw_and_other_epochs_are_decoded(mount, images):
    samples, remote = images
    mounted = mount(remote, "--schema", "jpg=npy:32x32")
    key, fields = samples[0]
    folder = mounted.point / ".shards/train/a-000000.tar.d/00000000"
    assert (folder / f"{key}.jpg").read_bytes() == fields["jpg"]
    assert load(mounted.point / f".epochs/0/train/0/00000000/{key}.npy").shape == (32, 32, 3)
    stream = (mounted.point / ".streams/train/0.tar").read_bytes()
    assert fields["jpg"] in stream and b"NUMPY" not in stream


def test_a_decoded_field_says_where_it_comes_from(mount, images):
    samples, remote = images
    mounted = mount(remote, "--schema", "jpg=npy:32x32")
    path = sample_folder(mounted, 0) / f"{samples[0][0]}.npy"
    assert os.getxattr(path, "user.wds.key").decode() == samples[0][0]
    status = path.stat()
    assert stat.S_ISREG(status.st_mode) and int(status.st_mtime) == shards.MTIME


# When it is decoded


@pytest.fixture
def counted(tmp_path):
    """A decoder of the user's that leaves a file for each run."""
    folder = tmp_path / "runs"
    folder.mkdir()
    program = tmp_path / "count"
    program.write_text(f"#!/bin/sh\ntouch {folder}/$$\ntr a-z A-Z\n")
    program.chmod(0o755)
    return program, lambda: len(os.listdir(folder))


def test_a_listing_runs_no_decoder_and_a_look_runs_one(mount, make, counted):
    program, runs_so_far = counted
    samples = [(f"{number:02d}", {"txt": b"words %d" % number, "cls": b"1"}) for number in range(10)]
    mounted = mount(make(samples), "--schema", f"txt=pipe:{program}")
    for position in range(10):
        folder = sample_folder(mounted, position)
        with os.scandir(folder) as entries:
            found = {entry.name: (entry.is_file(), entry.inode()) for entry in entries}
        assert set(found) == {f"{position:02d}.cls", f"{position:02d}.txt"}
    subprocess.run(["find", mounted.point / "train", "-name", "*.txt"], check=True, stdout=subprocess.DEVNULL)
    assert runs_so_far() == 0
    path = sample_folder(mounted, 3) / "03.txt"
    assert path.stat().st_size == len("WORDS 3")
    assert path.stat().st_ino == found["09.txt"][1] - (6 << 12)
    assert runs_so_far() == 1
    assert path.read_bytes() == b"WORDS 3"
    assert runs_so_far() == 1


def test_who_reads_on_finds_the_next_fields_decoded_and_each_once(mount, make, counted):
    program, runs_so_far = counted
    samples = [(f"{number:02d}", {"txt": b"words %d" % number}) for number in range(24)]
    mounted = mount(make(samples, a_shard=24), "--schema", f"txt=pipe:{program}")
    for position in range(3):
        assert (sample_folder(mounted, position) / "txt").read_bytes() == b"WORDS %d" % position
    mounts.wait_until(lambda: runs_so_far() > 10, 50, "fields are decoded that nobody has asked for")
    for position in range(24):
        assert (sample_folder(mounted, position) / "txt").read_bytes() == b"WORDS %d" % position
    assert runs_so_far() == 24


def test_a_field_that_no_sample_has_is_warned_of_in_compressed_shards_too(mount, make):
    remote = pathlib.Path(make([("k", {"txt": b"x"})]))
    [shard] = remote.glob("**/*.tar")
    shard.with_suffix(".tar.gz").write_bytes(gzip.compress(shard.read_bytes()))
    shard.unlink()
    mounted = mount(remote, "--schema", "jpg=npy", "--schema", "txt=pipe:tr a-z A-Z")
    assert (sample_folder(mounted, 0) / "k.txt").read_bytes() == b"X"
    mounts.wait_until(lambda: events(mounted, "schema.no_field"), 30, "the warning")


def test_an_exact_size_is_known_without_decoding(mount, make):
    samples = [("k", {"jpg": b"no image at all"})]
    mounted = mount(make(samples), "--schema", "jpg=npy:20x10")
    assert (sample_folder(mounted, 0) / "k.npy").stat().st_size == 128 + 600
    assert not events(mounted, "read.failed")


# Fields that cannot be decoded


@pytest.fixture
def broken(make):
    """Eight samples, of which the fourth has half an image."""
    samples = []
    for number in range(8):
        image = encoded(picture(number), "JPEG")
        data = image[: len(image) // 2] if number == 3 else image
        samples.append((f"{number:04d}", {"jpg": data, "cls": b"%d" % number}))
    return samples, make(samples)


@pytest.mark.parametrize("rule", ["jpg=npy:32x32", "jpg=npy"])
def test_a_field_that_cannot_be_decoded_fails_alone_and_is_named(mount, broken, rule):
    samples, remote = broken
    mounted = mount(remote, "--schema", rule)
    for position, (key, fields) in enumerate(samples):
        path = sample_folder(mounted, position) / f"{key}.npy"
        if position == 3:
            with pytest.raises(OSError) as error:
                path.read_bytes()
            assert error.value.errno == errno.EIO
        else:
            assert load(path).shape[2] == 3
        assert (sample_folder(mounted, position) / f"{key}.cls").read_bytes() == fields["cls"]
    lines = events(mounted, "read.failed")
    assert lines and all("a-000000.tar" in line and "0003" in line for line in lines)
    assert all("key=0003" in line for line in lines)


@pytest.mark.parametrize("rule", ["jpg=npy:32x32", "jpg+npy"])
def test_raw_shows_the_raw_bytes_of_what_cannot_be_decoded(mount, broken, rule):
    samples, remote = broken
    mounted = mount(remote, "--schema", rule, "--on-decode-error", "raw")
    path = sample_folder(mounted, 3) / "0003.npy"
    assert path.read_bytes() == samples[3][1]["jpg"]
    assert path.stat().st_size == len(samples[3][1]["jpg"])
    assert load(sample_folder(mounted, 4) / "0004.npy").shape[2] == 3
    [line] = events(mounted, "decode.failed")
    assert "key=0003" in line and "a-000000.tar" in line


def test_skip_leaves_out_what_cannot_be_decoded(mount, broken):
    samples, remote = broken
    mounted = mount(remote, "--schema", "jpg=npy:32x32", "--on-decode-error", "skip")
    assert not (sample_folder(mounted, 3) / "0003.npy").exists()
    assert (sample_folder(mounted, 3) / "0003.cls").read_bytes() == b"3"
    assert load(sample_folder(mounted, 4) / "0004.npy").shape == (32, 32, 3)
    assert len(events(mounted, "decode.failed")) == 1


# Programs


def test_a_program_decodes_in_place_beside_and_under_another_name(mount, make):
    samples = [("k", {"txt": b"small words"})]
    for number, (rule, wanted) in enumerate([
        ("txt=pipe:tr a-z A-Z", {"k.txt": b"SMALL WORDS"}),
        ("txt+pipe:tr a-z A-Z", {"k.txt": b"small words", "k.pipe": b"SMALL WORDS"}),
        ("txt=pipe.big:sh -c 'tr a-z A-Z; echo'", {"k.big": b"SMALL WORDS\n"}),
    ]):
        mounted = mount(make(samples, name=f"set{number}"), "--schema", rule, name=f"mnt{number}")
        folder = sample_folder(mounted, 0)
        assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == wanted


def test_a_program_that_fails_is_an_error_with_what_it_said(mount, make):
    mounted = mount(make([("k", {"txt": b"x"})]), "--schema", "txt=pipe:sh -c 'echo cannot do that >&2; exit 4'")
    with pytest.raises(OSError) as error:
        (sample_folder(mounted, 0) / "k.txt").read_bytes()
    assert error.value.errno == errno.EIO
    assert any("cannot do that" in line and "status 4" in line for line in events(mounted, "read.failed"))


def test_a_program_sees_no_credentials(mount_small, store):
    environment = store.environment(AWS_SESSION_TOKEN="canary", COLOUR="green")
    mounted = mount_small("--schema", "cls=pipe.env:env", environment=environment)
    [name] = [name for name in os.listdir(mounted.point / "train/0/00000000") if name.endswith(".env")]
    text = (mounted.point / "train/0/00000000" / name).read_text()
    assert "COLOUR=green" in text and "AWS_" not in text


def test_an_unmount_ends_the_programs_that_run(mount, make, tmp_path):
    mark = tmp_path / "pid"
    mounted = mount(make([("k", {"txt": b"x"})]), "--schema", f"txt=pipe:sh -c 'echo $$ > {mark}; sleep 1000'")
    reader = subprocess.Popen(
        ["cat", sample_folder(mounted, 0) / "k.txt"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    mounts.wait_until(lambda: mark.exists() and mark.read_text().strip(), 30, "the program runs")
    pid = int(mark.read_text())
    reader.send_signal(signal.SIGKILL)
    reader.wait(timeout=30)
    mounted.unmount()
    mounts.wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 10, "the program is gone")


# What is refused, and what is warned of


@pytest.mark.parametrize(
    "rule, words",
    [
        ("jpg=numpy", ["unknown format 'numpy'", "npy:WxH"]),
        ("jpg", ["FIELD=FORMAT"]),
        ("jpg=npy:big", ["npy:224x224"]),
        ("jpg=pipe:no-such-decoder -x", ["no-such-decoder", "PATH"]),
        ("jpg=pipe:/no/such/decoder", ["/no/such/decoder", "missing"]),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_mounted(mount, images, rule, words):
    with pytest.raises(mounts.MountFailed) as failure:
        mount(images[1], "--schema", rule)
    assert failure.value.code == 2
    assert all(word in failure.value.stderr for word in words), failure.value.stderr
    assert "--schema" in failure.value.stderr


def test_a_field_that_no_sample_has_is_warned_of(mount, images):
    mounted = mount(images[1], "--schema", "jpeg=npy", "--schema", "jpg=npy")
    [line] = events(mounted, "schema.no_field")
    assert "jpeg" in line and "cls, jpg, png, webp" in line


def test_rules_come_from_the_environment_and_a_file_too(mount, images, tmp_path):
    samples, remote = images
    environment = mounts.clean_environment(WDSFS_SCHEMA="jpg=npy:8x8 cls=npy")
    mounted = mount(remote, environment=environment, name="a")
    assert sorted(os.listdir(sample_folder(mounted, 0))) == ["0000.cls.npy", "0000.npy"]
    config = tmp_path / "set.toml"
    config.write_text('schema = ["jpg=npy:8x8", "cls=pipe.up:tr 0-9 a-j"]\n')
    mounted = mount(remote, "--config", config, name="b")
    assert (sample_folder(mounted, 0) / "0000.up").read_bytes() == b"a"
    mounted = mount(remote, "-o", "schema=jpg=npy:8x8", name="c")
    assert load(sample_folder(mounted, 0) / "0000.npy").shape == (8, 8, 3)


# Reading an epoch


@pytest.fixture
def many(make):
    samples = [
        (f"{number:04d}", {"jpg": encoded(picture(number, 160, 120), "JPEG"), "cls": b"%d" % number})
        for number in range(48)
    ]
    return samples, make(samples, a_shard=12)


def read_rank(mount, count=None):
    """Reads arrays and labels in order; gives the labels."""
    labels = []
    root = mount.point / "train/0"
    for name in sorted(os.listdir(root))[:count]:
        [array] = [entry for entry in os.listdir(root / name) if entry.endswith(".npy")]
        assert load(root / name / array).shape == (24, 32, 3)
        [label] = [entry for entry in os.listdir(root / name) if entry.endswith(".cls")]
        labels.append(int((root / name / label).read_bytes()))
    return labels


def test_reading_decoded_fields_consumes_and_resumes_as_raw_ones_do(mount, many, tmp_path):
    samples, remote = many
    options = ("--schema", "jpg=npy:32x24", "--shuffle", "full", "--seed", 3)
    whole = read_rank(mount(remote, *options, name="whole"))
    assert sorted(whole) == list(range(48))
    cursor = ("--cursor", tmp_path / "run.cursor")
    first = mount(remote, *options, *cursor, name="first")
    assert read_rank(first, 20) == whole[:20]
    first.unmount()
    second = mount(remote, "--schema", "jpg=npy:32x24", *cursor, name="second")
    assert read_rank(second) == whole[20:]
    # The epoch is over, by decoded reads as well as by raw ones: the next one is listed.
    assert len(os.listdir(second.point / "train/0")) == 48


def test_arrays_alone_consume_their_samples(mount, many, tmp_path):
    samples, remote = many
    mounted = mount(
        remote, "--schema", "jpg=npy:32x24", "--cursor", tmp_path / "run.cursor", name="first"
    )
    for position in range(30):
        load(sample_folder(mounted, position) / "npy")
    mounted.unmount()
    again = mount(remote, "--schema", "jpg=npy:32x24", "--cursor", tmp_path / "run.cursor", name="again")
    assert sorted(os.listdir(again.point / "train/0"))[0] == "00000030"


def test_a_small_cache_keeps_to_its_budget_and_gives_the_same_bytes(mount, make):
    texts = [numpy.random.default_rng(number).bytes(200_000) * 2 for number in range(40)]
    samples = [(f"{number:02d}", {"bin.zst": zstandard.compress(text)}) for number, text in enumerate(texts)]
    remote = make(samples)
    tight = ("--schema", "bin.zst=raw", "--cache-dir", "memory", "--cache-size")
    mounted = mount(remote, *tight, "24MiB", name="tight")
    # Twice what may be kept, by readers that go at their own pace.
    readers = [
        subprocess.Popen(
            ["sh", "-c", f"cat {mounted.point}/train/0/*/bin | sha256sum"], stdout=subprocess.PIPE
        )
        for _ in range(3)
    ]
    sums = {reader.communicate(timeout=50)[0].split()[0].decode() for reader in readers}
    assert sums == {shards.sha256(b"".join(texts))}
    with pytest.raises(mounts.MountFailed) as failure:
        mount(remote, *tight, "16MiB", name="none")
    assert "24MiB" in failure.value.stderr


def test_what_is_larger_than_the_decoded_part_of_the_cache_says_so(mount, make):
    samples = [("k", {"bin.gz": gzip.compress(bytes(9 << 20))})]
    mounted = mount(
        make(samples), "--schema", "bin.gz=raw", "--cache-dir", "memory", "--cache-size", "24MiB"
    )
    with pytest.raises(OSError) as error:
        (sample_folder(mounted, 0) / "k.bin").read_bytes()
    assert error.value.errno == errno.EIO
    assert any("--cache-size" in line for line in events(mounted, "read.failed"))
