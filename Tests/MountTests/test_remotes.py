"""The remotes of section 2: S3, web servers, folders."""

import os
import shutil

import pytest

from harness import mounts, servers, shards, trees


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """Shards at the top of a folder, as they lie on a web server."""
    dataset = shards.Dataset(tmp_path_factory.mktemp("web") / "www")
    return dataset.add_split("", [5, 7, 3, 6], name="digits")


def pattern(server):
    return f"{server.endpoint}/digits-{{000000..000003}}.tar"


@pytest.mark.parametrize("kind", [servers.Nginx, servers.PythonHTTP])
def test_a_web_server_by_brace_expansion(mount, web, tmp_path, kind):
    with kind(web.folder, tmp_path / "server") as server:
        made = mount(pattern(server), "--world-size", 2)
        assert os.listdir(made.point) == ["digits"]
        for rank in range(2):
            samples = web.rank("", rank, 2)
            trees.check_listing(made.point / "digits" / str(rank), len(samples))
            trees.check_rank(made.point / "digits" / str(rank), samples)
        made.unmount()


def test_larger_shards_from_a_server_without_ranges(mount, tmp_path):
    dataset = shards.Dataset(tmp_path / "www")
    dataset.add_split("", [40, 40], picture_bytes=300_000, name="big")
    with servers.PythonHTTP(dataset.folder, tmp_path / "server") as server:
        made = mount(f"{server.endpoint}/big-{{000000..000001}}.tar")
        trees.check_rank(made.point / "big/0", dataset.rank(""))
        made.unmount()


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_folder(mount, small, equal, form):
    equal(mount(form.format(small.folder)), small)


def test_a_relative_folder(mount, small, equal, monkeypatch):
    monkeypatch.chdir(os.path.dirname(small.folder))
    equal(mount("small"), small)


@pytest.mark.limit(180)
def test_more_than_a_thousand_keys_are_all_listed(mount, equal, tmp_path):
    dataset = shards.Dataset(tmp_path / "root/many").add_split("train", [1] * 2345, 64)
    with servers.RcloneS3(tmp_path / "root", tmp_path / "server") as server:
        made = mount(
            "s3://many", "--endpoint-url", server.endpoint,
            environment=mounts.clean_environment(**server.environment()),
        )
        equal(made, dataset)
        made.unmount()


def test_keys_with_odd_characters(mount, store, equal):
    def make(dataset):
        names = ["a b", "a+b", "a%20b", "a#b", "a&b=c", "ä", "日本", "a'b", "(a)"]
        for number, name in enumerate(sorted(names, key=str.encode)):
            dataset.add_shard("train", f"{name}-{number:06d}.tar", shards.pictures(number * 2, 2, 100))

    dataset = store.dataset("odd", make)
    # Sorted by bytes, as S3 does; Python's text order is the same.
    equal(mount("s3://odd", *store.options(), environment=store.environment()), dataset)


def test_what_is_no_shard_is_left_out(mount, small, tmp_path, equal):
    folder = tmp_path / "set"
    shutil.copytree(small.folder, folder)
    (folder / "README.md").write_text("about")
    (folder / "train" / "digits.json").write_text("{}")
    (folder / "other").mkdir()
    (folder / "other" / "notes.txt").write_text("x")
    made = mount(folder)
    assert sorted(os.listdir(made.point)) == ["train", "val"]
    equal(made, small)


def test_a_public_bucket_needs_no_credentials(mount, small, equal, tmp_path):
    # rclone without keys lets everybody in.
    server = servers.RcloneS3(os.path.dirname(small.folder), tmp_path / "server", public=True)
    with server:
        made = mount(
            "s3://small", "--no-sign-request", "--endpoint-url", server.endpoint,
            environment=mounts.clean_environment(AWS_REGION="us-east-1"),
        )
        equal(made, small)
        made.unmount()


def test_endpoint_and_keys_from_the_environment_alone(mount, store, small, equal):
    equal(
        mount("s3://small", environment=store.environment(AWS_ENDPOINT_URL=store.server.endpoint)),
        small,
    )
