"""Servers on loopback, each a child process on a port of its own that dies with us."""

import ctypes
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

START_SECONDS = 20


def die_with_parent():
    """Run in the child: be ended when the thread that started us is gone."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def rclone_path():
    """The pinned rclone beside this Python, or one that the environment names."""
    return os.environ.get("WDSFS_TEST_RCLONE") or str(pathlib.Path(sys.executable).parent / "rclone")


class Scoped:
    """Runs within a `with`: what has a `start` and a `stop`, stopped too where it did not start whole."""

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()


class Server(Scoped):
    """A child process that is ready once its log or port says so."""

    start_seconds = START_SECONDS

    def __init__(self, scratch):
        self.scratch = pathlib.Path(scratch)
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.log = self.scratch / "server.log"
        self.process = None

    def spawn(self, command, **options):
        with open(self.log, "wb") as log:
            # A session of its own: Ctrl-C at the terminal reaches us first, and we stop it in turn.
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
                **options,
            )

    def wait_for_log(self, pattern):
        """The first match of a pattern in the log; waits for it."""
        deadline = time.monotonic() + self.start_seconds
        while time.monotonic() < deadline:
            if match := re.search(pattern, self.log.read_text(errors="replace")):
                return match
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.fail()

    def wait_for_port(self, port):
        deadline = time.monotonic() + self.start_seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        self.fail()

    def fail(self):
        self.stop()
        text = self.log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{type(self).__name__} did not start:\n{text}")

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class RcloneS3(Server):
    """`rclone serve s3`: the folders of ROOT are buckets, and every signature is checked.

    An access key needs three characters or more: with fewer it starts, and knows nobody by it
    (InvalidAccessKeyId). It takes the MD5 of each object at its first listing, answers ranges with status 200 and a
    Content-Range, and ignores If-Match.
    """

    def __init__(self, root, scratch, region="us-east-1", public=False, listings_kept="5m",
                 host="127.0.0.1"):
        super().__init__(scratch)
        self.root, self.region, self.public, self.host = str(root), region, public, host
        # It looks again for new files only after so long; at 0s its timers would keep a whole core busy.
        self.listings_kept = listings_kept
        self.access_key = "AKIA" + secrets.token_hex(8).upper()
        self.secret_key = secrets.token_hex(20)
        self.endpoint = None

    def start(self):
        # As --auth-key, but by environment: arguments are in everyone's `ps`. The value is CSV, and
        # the pair one field of it.
        keys = {"RCLONE_AUTH_KEY": f'"{self.access_key},{self.secret_key}"'}
        self.spawn(
            [
                rclone_path(), "serve", "s3", "--addr", f"{self.host}:0", "--config", "",
                "--dir-cache-time", self.listings_kept, "-v", self.root,
            ],
            env={**os.environ, **({} if self.public else keys)},
        )
        self.endpoint = self.wait_for_log(r"s3 server on \[(http://[0-9a-f.:\[\]]+)/\]").group(1)

    def environment(self):
        """What an S3 client needs to be let in."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
        }

    def client(self):
        """A boto3 client, for tests that want a second opinion."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )


class Moto(Server):
    """moto's server: S3 with AWS's pages and error bodies, IAM and STS, in memory.

    Until `check_signatures` nobody is asked who they are; from then on every request must be signed by
    a key that exists, sessions of roles included, and be allowed by its policies.
    """

    region = "us-east-1"

    # It reads the descriptions of all of AWS first.
    start_seconds = 120

    def __init__(self, scratch):
        super().__init__(scratch)
        self.endpoint = None

    def start(self):
        port = free_port()
        self.spawn([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)])
        self.wait_for_port(port)
        self.endpoint = f"http://127.0.0.1:{port}"

    def environment(self):
        """What an S3 client needs to be let in: anything."""
        return {
            "AWS_ACCESS_KEY_ID": "AKIAMOTO",
            "AWS_SECRET_ACCESS_KEY": "moto-secret",
            "AWS_REGION": self.region,
        }

    def client(self, service, key=("setup", "setup", None)):
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=key[0],
            aws_secret_access_key=key[1],
            aws_session_token=key[2],
        )

    def check_signatures(self, checks=True):
        request = urllib.request.Request(
            f"{self.endpoint}/moto-api/reset-auth",
            data=b"0" if checks else b"inf",
            # Else it takes the body for a form.
            headers={"Content-Type": "text/plain"},
            method="POST",
        )
        urllib.request.urlopen(request, timeout=10).close()


class Nginx(Server):
    """A real nginx that serves the files of ROOT, ranges and ETags included."""

    CONFIGURATION = """
daemon off; worker_processes 1; pid {scratch}/nginx.pid; error_log stderr warn; {user}
events {{ worker_connections 1024; }}
http {{
  access_log {scratch}/access.log;
  client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy;
  fastcgi_temp_path {scratch}/fastcgi; uwsgi_temp_path {scratch}/uwsgi;
  scgi_temp_path {scratch}/scgi; default_type application/octet-stream; sendfile on;
  server {{ listen 127.0.0.1:{port}; root "{root}"; }}
}}
"""

    def __init__(self, root, scratch):
        super().__init__(scratch)
        self.root, self.endpoint = str(root), None

    def start(self):
        program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if program is None:
            raise RuntimeError("no nginx here: apt-get install nginx-light")
        port = free_port()
        configuration = self.scratch / "nginx.conf"
        configuration.write_text(
            self.CONFIGURATION.format(
                scratch=self.scratch,
                port=port,
                root=self.root,
                # Its workers would else leave root for a user that cannot enter our folder.
                user="user root;" if os.geteuid() == 0 else "",
            )
        )
        self.spawn([program, "-p", self.scratch, "-e", "stderr", "-c", configuration])
        self.wait_for_port(port)
        self.endpoint = f"http://127.0.0.1:{port}"


class PythonHTTP(Server):
    """`python -m http.server`: no ranges, no ETags, one whole file for every GET."""

    def __init__(self, root, scratch):
        super().__init__(scratch)
        self.root, self.endpoint = str(root), None

    def start(self):
        self.spawn(
            [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "-d", self.root]
        )
        port = self.wait_for_log(r"Serving HTTP on 127\.0\.0\.1 port (\d+)").group(1)
        self.endpoint = f"http://127.0.0.1:{port}"


def answers(url):
    """The HTTP status a URL gives to a plain GET."""
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code
