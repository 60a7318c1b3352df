"""How the remote is reached: TLS and whom it believes, proxies, limits."""

import contextlib
import socket
import threading
import time

import pytest

from harness import mounts, servers, tls


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return tls.Authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture
def front(store, small, authority, tmp_path):
    """The S3 server behind TLS: `front(certificate)`, for the certificate's own authority by default."""
    fronts = []

    def make(name="IP:127.0.0.1", days=2):
        certificate = authority.certificate(name, days)
        made = tls.TLSFront(store.server.endpoint, certificate, tmp_path / f"front{len(fronts)}")
        fronts.append(made)
        return made.__enter__().endpoint

    yield make
    for made in fronts:
        made.stop()


def test_a_bundle_of_the_users_own_is_believed(mount, store, small, equal, front, authority):
    endpoint = front()
    for number, (options, variables) in enumerate([
        (["--ca-bundle", authority.bundle], {}),
        ([], {"AWS_CA_BUNDLE": authority.bundle}),
    ]):
        made = mount(
            "s3://small", "--endpoint-url", endpoint, *options, name=f"mnt{number}",
            environment=store.environment(**variables),
        )
        equal(made, small)
        made.unmount()


def test_no_verify_ssl_mounts_with_a_warning(mount, store, small, equal, front):
    made = mount(
        "s3://small", "--endpoint-url", front(), "--no-verify-ssl", environment=store.environment()
    )
    equal(made, small)
    assert "event=tls.unverified" in (made.point / ".wdsfs/log").read_text()


@pytest.mark.parametrize(
    "name, days, is_told",
    [("IP:127.0.0.1", 2, False), ("IP:127.0.0.1", -1, True), ("DNS:elsewhere.test", 2, True)],
    ids=["unknown authority", "expired", "for another host"],
)
def test_who_is_not_the_server_is_refused(
    run, store, small, front, authority, tmp_path, name, days, is_told
):
    (tmp_path / "mnt").mkdir()
    bundle = ["--ca-bundle", authority.bundle] if is_told else []
    begin = time.monotonic()
    ended = run(
        "mount", "s3://small", tmp_path / "mnt", "--endpoint-url", front(name, days), *bundle,
        "--cache-dir", "memory", environment=store.environment(),
    )
    assert ended.returncode == 5, ended.stderr
    assert "certificate" in ended.stderr and time.monotonic() - begin < 10
    assert mounts.kind_of_mount(tmp_path / "mnt") is None


class Cutter(threading.Thread):
    """Hands bytes on both ways, and ends the first connections after some thousands from the server."""

    def __init__(self, port, cuts):
        super().__init__(daemon=True)
        self.port, self.cuts, self.made = port, cuts, 0
        self.listener = socket.create_server(("127.0.0.1", 0))

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            left = self.cuts[self.made] if self.made < len(self.cuts) else None
            self.made += 1
            threading.Thread(target=self.hand_on, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self.hand_on, args=(server, client, left), daemon=True).start()

    @staticmethod
    def hand_on(source, target, left):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data if left is None else data[:left])
                if left is not None and (left := left - len(data)) <= 0:
                    break
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def test_connections_that_break_within_a_record_of_tls_are_not_seen(mount, store, equal, front, authority):
    # Without a close_notify: what has come so far is no end of anything.
    dataset = store.dataset("records", lambda made: made.add_split("train", [30] * 3, 50_000))
    port = int(front().rpartition(":")[2])
    cutter = Cutter(port, [100, 2_000, 20_001, 300_007, 700_003, 40_009, 1_000_003])
    cutter.start()
    try:
        made = mount(
            "s3://records", "--endpoint-url", f"https://127.0.0.1:{cutter.listener.getsockname()[1]}",
            "--ca-bundle", authority.bundle, environment=store.environment(),
        )
        equal(made, dataset)
        assert cutter.made > 4
    finally:
        cutter.listener.close()


def test_a_bundle_that_is_not_there_is_a_mistake_in_the_command_line(run, store, tmp_path):
    (tmp_path / "mnt").mkdir()
    ended = run(
        "mount", "s3://small", tmp_path / "mnt", "--ca-bundle", tmp_path / "none.pem",
        "--cache-dir", "memory", *store.options(), environment=store.environment(),
    )
    assert ended.returncode == 2 and "none.pem" in ended.stderr, ended.stderr


def test_a_store_is_reached_by_ipv6(mount, store, small, equal, tmp_path):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with servers.RcloneS3(store.root, tmp_path / "server", host="[::1]") as server:
        environment = mounts.clean_environment(**server.environment())
        equal(mount("s3://small", "--endpoint-url", server.endpoint, environment=environment), small)
        assert server.endpoint.startswith("http://[::1]:")


def test_limits_slow_a_mount_and_change_no_byte(mount_small, small, equal):
    equal(mount_small("--bwlimit", "2MB", "--tpslimit", 20, "--max-workers", 3), small)
