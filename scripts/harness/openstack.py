"""OpenStack Swift's S3 API on loopback, from Debian's packages: one disk, one copy, no replication.

    python -m harness.openstack FOLDER      serves until Ctrl-C; prints endpoint and keys

All four servers run as whoever starts them, with rings and data in FOLDER; the hash suffix is the
one of /etc/swift/swift.conf, as the packages install it.
"""

import getpass
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

from . import servers

PACKAGES = ("swift-proxy", "swift-account", "swift-container", "swift-object", "memcached")

STORAGE = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}/disks
mount_check = false
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""

PROXY = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats s3api tempauth {more}
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{name} = {secret} .admin
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
""" + "".join(
    f"[filter:{name}]\nuse = egg:swift#{name}\n"
    for name in (
        "catch_errors", "gatekeeper", "healthcheck", "listing_formats", "copy", "slo", "dlo",
        "versioned_writes",
    )
)


def is_installed():
    programs = [f"swift-{kind}-server" for kind in ("proxy", "account", "container", "object")]
    return all(map(shutil.which, [*programs, "swift-ring-builder", "memcached"]))


class OpenStackSwift(servers.Scoped):
    """The store; `environment()` is what an S3 client needs to be let in."""

    account, name, secret = "test", "tester", "testing"

    def __init__(self, scratch):
        self.folder = pathlib.Path(scratch).resolve()
        (self.folder / "disks" / "d1").mkdir(parents=True)
        self.parts, self.endpoint = [], None

    def start(self):
        user = getpass.getuser()
        memcached = servers.free_port()
        self.run(memcached, "memcached", "-l", "127.0.0.1", "-p", memcached, "-u", user)
        for kind in ("object", "container", "account"):
            port = servers.free_port()
            self.make_ring(kind, port)
            text = STORAGE.format(port=port, user=user, folder=self.folder, kind=kind)
            self.serve(kind, port, text)
        port = servers.free_port()
        self.serve("proxy", port, PROXY.format(
            port=port, user=user, folder=self.folder, memcached=memcached, account=self.account,
            name=self.name, secret=self.secret, more="copy slo dlo versioned_writes proxy-server",
        ))
        self.endpoint = f"http://127.0.0.1:{port}"

    def make_ring(self, kind, port):
        for words in (
            ("create", 4, 1, 1), ("add", f"r1z1-127.0.0.1:{port}/d1", 1), ("rebalance",),
        ):
            command = ["swift-ring-builder", f"{kind}.builder", *map(str, words)]
            subprocess.run(command, cwd=self.folder, check=True, capture_output=True)

    def serve(self, kind, port, configuration):
        file = self.folder / f"{kind}-server.conf"
        file.write_text(configuration)
        self.run(port, f"swift-{kind}-server", file, "-v")

    def run(self, port, *command):
        part = servers.Server(self.folder / pathlib.Path(command[0]).name)
        part.start_seconds = 90
        self.parts.append(part)
        part.spawn(command)
        part.wait_for_port(port)

    def stop(self):
        for part in reversed(self.parts):
            part.stop()

    def environment(self):
        return {
            "AWS_ACCESS_KEY_ID": f"{self.account}:{self.name}",
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
        }


def main():
    if not is_installed():
        sys.exit(f"OpenStack Swift is not here; as root: apt-get install {' '.join(PACKAGES)}")
    folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="wdsfs-swift-")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with OpenStackSwift(folder) as store:
        print(f"export AWS_ENDPOINT_URL={store.endpoint}")
        for name, value in store.environment().items():
            print(f"export {name}={value}")
        print(f"# data, logs and rings in {folder}; Ctrl-C ends it", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
