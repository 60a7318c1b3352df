"""Credentials, files and buckets that are wrong: one line, exit 3, no secret; and a clock that is put right."""

import datetime
import email.utils
import http.server
import io
import json
import tarfile
import threading
import time

import pytest

from harness import mounts

CANARY = "canary-7d1f"
KEYS = f"aws_access_key_id = AKIACANARY\naws_secret_access_key = {CANARY}\n"

# A profile's settings, and what its refusal says.
PROFILES = {
    "no keys": ("output = json\n", "no credentials found in the profile 'x'"),
    "half a key": ("aws_access_key_id = AKIACANARY\n", "no aws_secret_access_key"),
    "a program that fails": (
        f"credential_process = sh -c 'echo {CANARY} >&2; exit 7'\n", "exit status 7",
    ),
    "a program that prints garbage": (f"credential_process = echo {CANARY}\n", "no JSON object"),
    "no such program": ("credential_process = /no/such/program\n", "cannot be started"),
    "an unknown section": ("sso_session = corp\nsso_account_id = 1\nsso_role_name = r\n", "corp"),
    "no login": (
        "sso_start_url = https://x\nsso_region = r\nsso_account_id = 1\nsso_role_name = r\n",
        "aws sso login --profile x",
    ),
    "a device's code": (
        f"role_arn = R\nsource_profile = y\nmfa_serial = m\n[profile y]\n{KEYS}", "mfa_serial",
    ),
    "aws login": ("login_session = arn:aws:iam::1:user/me\n", "export-credentials --profile x"),
    "nobody to assume the role": ("role_arn = R\n", "source_profile"),
    "a circle": (
        "role_arn = R\nsource_profile = y\n[profile y]\nrole_arn = S\nsource_profile = x\n",
        "leads back",
    ),
    "a region that is none": ("region = eu west\n" + KEYS, "eu west"),
}


@pytest.fixture
def refused(run, tmp_path):
    """Mounts what cannot be mounted; checks the manners, returns the line."""

    def attempt(code, remote, *words, environment):
        (tmp_path / "mnt").mkdir(exist_ok=True)
        done = run(
            "mount", remote, tmp_path / "mnt", *words, "--cache-dir", "memory",
            environment=environment, seconds=60,
        )
        assert done.returncode == code, done.stderr
        lines = done.stderr.strip().splitlines()
        assert done.stdout == "" and len(lines) == 1, done.stderr
        assert lines[0].startswith("wdsfs: ") and CANARY not in done.stderr
        assert mounts.kind_of_mount(tmp_path / "mnt") is None
        return lines[0]

    return attempt


@pytest.fixture
def environment(tmp_path):
    """Writes the config file; returns the environment that names it."""

    def write(config, **more):
        (tmp_path / "config").write_text(config)
        (tmp_path / "config").chmod(0o600)
        return mounts.clean_environment(
            AWS_CONFIG_FILE=tmp_path / "config", HOME=tmp_path / "home", **more
        )

    return write


@pytest.mark.parametrize("settings, reason", PROFILES.values(), ids=PROFILES)
def test_a_profile_that_gives_nothing(refused, environment, settings, reason):
    variables = environment("[profile x]\n" + settings)
    assert reason in refused(3, "s3://b", "--profile", "x", environment=variables)


def test_an_unknown_profile_is_told_with_those_that_are_there(refused, environment):
    line = refused(3, "s3://b", environment=environment("[profile a]\n", AWS_PROFILE="x"))
    assert "'x'" in line and "there are: a" in line


def test_a_malformed_file_is_told_with_its_line(refused, environment, tmp_path):
    variables = environment(f"[default]\nregion = r\n{CANARY}\n")
    assert f"{tmp_path}/config, line 3" in refused(3, "s3://b", environment=variables)


# MARK: - What a store refuses


def shard():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        member = tarfile.TarInfo("0.cls")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"7"))
    return file.getvalue()


class Store(http.server.ThreadingHTTPServer):
    """A bucket with one shard, which is given to nobody but whom the bucket's name is made for."""

    daemon_threads = True

    # Ahead of this machine.
    offset = datetime.timedelta(0)

    def __init__(self):
        super().__init__(("127.0.0.1", 0), StoreHandler)
        self.shard, self.regions, self.skewed = shard(), [], 0
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def now(self):
        return datetime.datetime.now(datetime.timezone.utc) + self.offset


class StoreHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        self.send_response_only(status)
        date = email.utils.format_datetime(self.server.now(), usegmt=True)
        for name, value in {"Date": date, "Content-Length": len(body), **dict(headers)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, code, message="", more=""):
        body = f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>"
        self.answer(status, body.encode())

    def do_GET(self):
        bucket = self.path.split("?")[0].split("/")[1]
        region = self.headers["Authorization"].split("/")[2]
        signed_at = datetime.datetime.strptime(
            self.headers["x-amz-date"] + "+0000", "%Y%m%dT%H%M%SZ%z"
        )
        if abs(self.server.now() - signed_at) > datetime.timedelta(minutes=15):
            self.server.skewed += 1
            self.refuse(403, "RequestTimeTooSkewed", "The difference is too large.")
        elif bucket == "expired":
            self.refuse(400, "ExpiredToken", "The provided token has expired.")
        elif bucket == "unsaid":
            self.refuse(400, "AuthorizationHeaderMalformed", "the region is wrong")
        elif bucket == "european" and region != "eu-west-1":
            self.server.regions.append(region)
            self.refuse(400, "AuthorizationHeaderMalformed", "", "<Region>eu-west-1</Region>")
        elif self.headers.get("x-amz-expected-bucket-owner", "222222222222") != "222222222222":
            self.refuse(403, "AccessDenied", "Access Denied")
        elif bucket == "somebodys":
            self.refuse(403, "AccessDenied", "Access Denied")
        else:
            self.give()

    def give(self):
        data = self.server.shard
        if "list-type" in self.path:
            body = (
                "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>train/a.tar</Key>"
                f"<ETag>&quot;e&quot;</ETag><Size>{len(data)}</Size></Contents></ListBucketResult>"
            )
            self.answer(200, body.encode())
        elif wanted := self.headers.get("Range"):
            first, last = wanted.removeprefix("bytes=").split("-")
            part = data[int(first) : int(last) + 1]
            span = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
            self.answer(206, part, {"Content-Range": span, "ETag": '"e"'})
        else:
            self.answer(200, data, {"ETag": '"e"'})


@pytest.fixture
def server():
    with Store() as made:
        yield made


@pytest.mark.parametrize(
    "bucket, words, reason",
    [
        ("expired", [], "ExpiredToken"),
        ("unsaid", [], "AuthorizationHeaderMalformed"),
        ("somebodys", [], "AccessDenied"),
        ("mine", ["--expected-bucket-owner", "111111111111"], "AccessDenied"),
    ],
    ids=["an expired token", "a wrong region", "somebody else's", "another owner's"],
)
def test_a_bucket_that_is_refused(refused, environment, server, bucket, words, reason):
    variables = environment("[profile x]\n" + KEYS)
    options = ["--endpoint-url", server.endpoint, "--profile", "x", *words]
    line = refused(3, f"s3://{bucket}", *options, environment=variables)
    assert reason in line and "the profile 'x'" in line and bucket in line


def test_a_region_that_the_store_tells_is_taken(mount, environment, server):
    made = mount(
        "s3://european", "--endpoint-url", server.endpoint, "--profile", "x",
        environment=environment("[profile x]\n" + KEYS),
    )
    (name,) = (made.point / "train/0/00000000").iterdir()
    assert name.read_bytes() == b"7"
    assert server.regions == ["us-east-1"] and "event=s3.region" in made.log.read_text()


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_off_by_an_hour_is_told_and_corrected(mount, environment, server, hours):
    server.offset = datetime.timedelta(hours=hours)
    made = mount(
        "s3://mine", "--endpoint-url", server.endpoint, "--profile", "x",
        environment=environment("[profile x]\n" + KEYS),
    )
    (name,) = (made.point / "train/0/00000000").iterdir()
    assert name.read_bytes() == b"7"
    assert server.skewed == 1
    log = made.log.read_text()
    assert "event=s3.clock_offset" in log and ("behind" if hours > 0 else "ahead of") in log
