"""The stores of docs/stores.md that are not in every test: the same dataset, read back from each."""

import pathlib

import pytest

from harness import mounts, openstack, servers, shards, trees

NAMES = ["a b", "a+b", "a%20b", "a#b", "a?b", "a&b=c", "ä", "日本", "a'b", "(a)"]


def upload(store, folder, bucket):
    """Puts the files below a folder into a bucket, by boto3."""
    boto3 = pytest.importorskip("boto3")
    from botocore.config import Config

    variables = store.environment()
    client = boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        region_name=variables["AWS_REGION"],
        config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
    )
    client.create_bucket(Bucket=bucket)
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.is_file():
            key = str(path.relative_to(folder))
            client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    return client


@pytest.fixture(scope="module", params=["moto", "openstack-swift"])
def other(request, tmp_path_factory):
    scratch = tmp_path_factory.mktemp(request.param) / "store"
    if request.param == "moto":
        pytest.importorskip("moto.server")
        made = servers.Moto(scratch)
    else:
        if not openstack.is_installed():
            pytest.skip("apt-get install " + " ".join(openstack.PACKAGES))
        made = openstack.OpenStackSwift(scratch)
    with made:
        yield made


def options(store):
    return ["--endpoint-url", store.endpoint]


@pytest.mark.limit(180)
def test_a_dataset_is_read_back_whole(mount, other, equal, tmp_path):
    dataset = shards.Dataset(tmp_path / "set")
    dataset.add_split("train", [5, 7, 3, 6]).add_split("val", [40], picture_bytes=300_000)
    upload(other, dataset.folder, "small-set")
    environment = mounts.clean_environment(**other.environment())
    equal(mount("s3://small-set", *options(other), environment=environment), dataset)


@pytest.mark.limit(180)
def test_a_listing_of_many_pages_names_every_shard(mount, other, tmp_path):
    # 1,000 keys fill one page; three more begin behind other digits.
    dataset = shards.Dataset(tmp_path / "many").add_split("train", [1] * 3200, 16)
    upload(other, dataset.folder, "many-shards")
    environment = mounts.clean_environment(**other.environment())
    made = mount("s3://many-shards", *options(other), environment=environment)
    names = sorted(path.name for path in (made.point / ".shards/train").iterdir())
    listed = [name for name in names if not name.endswith(".d")]
    assert listed == sorted(path.name for path in (tmp_path / "many/train").iterdir())


@pytest.mark.limit(120)
def test_keys_with_odd_characters(mount, other, equal, tmp_path):
    dataset = shards.Dataset(tmp_path / "odd")
    for number, name in enumerate(sorted(NAMES, key=str.encode)):
        dataset.add_shard("train", f"{name}-{number:06d}.tar", shards.pictures(number * 2, 2, 100))
    client = upload(other, dataset.folder, "odd-keys")
    environment = mounts.clean_environment(**other.environment())
    made = mount("s3://odd-keys", *options(other), environment=environment)
    equal(made, dataset)
    made.unmount()
    first = next(iter(sorted((tmp_path / "odd/train").iterdir())))
    client.put_object(Bucket="odd-keys", Key="deep/a//b-000000.tar", Body=first.read_bytes())
    made = mount("s3://odd-keys/deep", *options(other), environment=environment, name="deep")
    (split,) = [path for path in made.point.iterdir()]
    for sample in dataset.rank("train")[:2]:
        folder = split / "0" / trees.index_name(dataset.rank("train").index(sample))
        for field in sample.fields:
            assert shards.sha256((folder / field.name).read_bytes()) == field.sha256


def test_who_is_not_let_in_and_what_is_not_there_is_told_apart(run, other, tmp_path):
    (tmp_path / "mnt").mkdir()
    command = ["mount", "s3://no-such-bucket", tmp_path / "mnt", "--cache-dir", "memory"]
    ended = run(
        *command, *options(other), environment=mounts.clean_environment(**other.environment())
    )
    assert ended.returncode == 4 and "no-such-bucket" in ended.stderr, ended.stderr
    if isinstance(other, servers.Moto):
        return
    wrong = {**other.environment(), "AWS_SECRET_ACCESS_KEY": "wrong"}
    ended = run(*command, *options(other), environment=mounts.clean_environment(**wrong))
    assert ended.returncode == 3 and "wrong" not in ended.stderr.replace("wrong key", ""), ended.stderr
