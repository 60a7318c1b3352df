"""Wrong input: one line that says what, where and what to do; an exit code; nothing half made."""

import os
import socket
import subprocess

import pytest

from harness import mounts, servers


@pytest.fixture
def refused(run, binary, store, small, tmp_path, live):
    """Mounts what cannot be mounted; checks the manners, returns the line."""
    attempted = []

    def attempt(code, *words, remote="s3://small", point=None, environment=None, options=None,
                cache=None):
        target = tmp_path / "mnt" if point is None else point
        if point is None:
            target.mkdir(exist_ok=True)
        attempted.append(mounts.Mount(binary, remote, target))
        live.append(attempted[-1])
        done = run(
            "mount", remote, target,
            *(store.options() if options is None else options),
            *words,
            "--cache-dir", cache or tmp_path / "cache",
            environment=environment or store.environment(),
            seconds=30,
        )
        assert done.returncode == code, done.stderr
        assert done.stdout == ""
        lines = done.stderr.strip().splitlines()
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("wdsfs: ")
        assert store.server.secret_key not in done.stderr
        assert mounts.kind_of_mount(target) is None
        # Arguments of the child that serves would name the point.
        assert mounts.processes_naming(target) == []
        return lines[0]

    yield attempt
    for mount in attempted:
        mount.clear()


def test_no_such_bucket(refused):
    assert "nothing-here" in refused(4, remote="s3://nothing-here/train")


def test_no_shards_below_the_prefix(refused):
    assert "nowhere" in refused(4, remote="s3://small/nowhere")


def test_a_shard_in_place_of_its_folder(refused):
    line = refused(4, remote="s3://small/train/train-000000.tar")
    assert line.endswith("that is the name of a shard: give the folder that it lies in")


def test_a_bucket_without_its_scheme(refused):
    assert "a bucket is written s3://" in refused(4, remote="small", options=[])


def test_a_bucket_of_google(refused):
    line = refused(2, remote="gs://small/train", options=[])
    assert "s3://bucket" in line and "storage.googleapis.com" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_cache_directory_on_a_full_disk(refused, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk], check=True)
    try:
        (disk / "all").write_bytes(bytes(2 << 20))
        line = refused(9, cache=disk / "cache")
        assert f"{disk}/cache" in line and "full" in line and "--cache-dir" in line
    finally:
        subprocess.run(["umount", disk], check=True)


def test_no_such_folder(refused, tmp_path):
    assert "missing" in refused(4, remote=tmp_path / "missing", options=[])


def test_a_folder_without_shards(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(4, remote=tmp_path / "empty", options=[])


def test_no_such_split(refused):
    assert "test" in refused(4, "--split", "test")


def test_a_wrong_secret(refused, store):
    environment = {**store.environment(), "AWS_SECRET_ACCESS_KEY": "wrong" * 8}
    assert "s3://small" in refused(3, environment=environment)


def test_an_unknown_access_key(refused, store):
    refused(3, environment={**store.environment(), "AWS_ACCESS_KEY_ID": "AKIANOBODY"})


def test_no_credentials(refused, tmp_path):
    environment = mounts.clean_environment(HOME=tmp_path, AWS_REGION="us-east-1")
    refused(3, environment=environment)


def test_an_endpoint_where_nobody_listens(refused):
    endpoint = f"http://127.0.0.1:{servers.free_port()}"
    assert endpoint.removeprefix("http://") in refused(5, options=["--endpoint-url", endpoint])


def test_an_endpoint_of_no_name(refused):
    line = refused(5, options=["--endpoint-url", "http://nowhere.invalid:9000"])
    assert "nowhere.invalid" in line


def test_an_endpoint_that_never_answers(refused):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        refused(5, options=["--endpoint-url", f"http://127.0.0.1:{silent.getsockname()[1]}"])


def test_a_web_server_without_the_shards(refused, tmp_path):
    (tmp_path / "www").mkdir()
    with servers.PythonHTTP(tmp_path / "www", tmp_path / "server") as server:
        refused(4, remote=f"{server.endpoint}/a-{{000000..000003}}.tar", options=[])


@pytest.mark.parametrize(
    "remote",
    ["", "ftp://host/a.tar", "s3://", "s3:///train", "http://host/a-{1..2.tar", "http://host/{3..9999999}.tar"],
)
def test_a_remote_that_is_none(refused, remote):
    refused(2, remote=remote, options=[])


@pytest.mark.parametrize(
    "words",
    [
        ["--no-such-option"],
        ["--world-size", "0"],
        ["--world-size", "-1"],
        ["--world-size", "many"],
        ["--world-size", "2", "--rank", "2"],
        ["--rank", "1"],
        ["--rank", "-1"],
        ["--cache-size", "some"],
        ["--max-workers", "0"],
        ["--names", "neither"],
        ["--log-level", "loud"],
        ["--world-size"],
    ],
    ids=" ".join,
)
def test_options_that_make_no_sense(refused, words):
    refused(2, *words)


def test_an_environment_that_makes_no_sense(refused, store):
    assert "WORLD_SIZE" in refused(2, environment=store.environment(WORLD_SIZE="0", RANK="0"))


def test_no_arguments_are_a_usage_error(run):
    done = run()
    assert (done.returncode, done.stderr) == (
        2, "wdsfs: no remote is given; see wdsfs --help, and wdsfs mount --help\n"
    )
    assert run("mount").returncode == 2
    assert run("unmount").returncode == 2
    assert run("no-such-command", "--x").returncode == 2


def test_a_misspelt_command_is_told_with_the_right_one(run):
    done = run("mout", "s3://bucket/imagenet", "/mnt/wds")
    assert (done.returncode, done.stderr) == (
        2, "wdsfs: no such command: 'mout'; did you mean wdsfs mount? See wdsfs --help\n"
    )
    assert "did you mean wdsfs doctor?" in run("docter", "--x").stderr


def test_a_misspelt_option_is_told_with_the_right_one(run):
    done = run("mount", "s3://bucket", "/mnt", "--shufle", "full")
    assert (done.returncode, done.stderr) == (
        2, "wdsfs: unknown option '--shufle'; did you mean '--shuffle'? See wdsfs mount --help\n"
    )


def test_a_mountpoint_that_is_missing(refused, tmp_path):
    assert "nowhere" in refused(6, point=tmp_path / "nowhere")


def test_a_mountpoint_that_is_a_file(refused, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "file" in refused(6, point=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_mountpoint_that_is_not_empty(refused, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("mine")
    assert "empty" in refused(6, point=tmp_path / "full")
    assert os.listdir(tmp_path / "full") == ["mine"]


def test_a_mountpoint_that_is_mounted_already(mount_small, run, store, small, equal):
    mount = mount_small()
    done = run("mount", "s3://small", mount.point, *store.options(), environment=store.environment())
    assert done.returncode == 6
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(mount.point) in done.stderr
    equal(mount, small)


@pytest.mark.skipif(os.geteuid() != 0, reason="a private /dev is root's to make")
def test_no_fuse_device(binary, run, store, small, tmp_path):
    (tmp_path / "mnt").mkdir()
    # A mount namespace of its own, where /dev is empty.
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c",
         'mount -t tmpfs none /dev && mknod /dev/null c 1 3 && exec "$@"', "sh",
         binary, "mount", "s3://small", str(tmp_path / "mnt"), *store.options(),
         "--cache-dir", str(tmp_path / "cache")],
        capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, env=store.environment(),
    )
    assert done.returncode == 6, done.stderr
    assert "/dev/fuse" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_unmounting_what_is_not_mounted(run, tmp_path):
    done = run("unmount", tmp_path)
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_cache_that_cannot_be_made(refused, tmp_path):
    (tmp_path / "plain").write_text("a file")
    assert "plain" in refused(9, cache=tmp_path / "plain" / "cache")


def test_a_cache_that_others_may_write(refused, tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert "open" in refused(9, cache=tmp_path / "open")


def test_a_cache_that_is_a_link(refused, tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert "link" in refused(9, cache=tmp_path / "link")
