"""Credentials of roles, helper programs and containers against real servers; and no secret anywhere."""

import http.server
import json
import os
import secrets
import threading

import pytest

from harness import mounts, servers, shards, trees

pytestmark = pytest.mark.limit(180)

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}
ALLOWED = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}


class Cloud:
    """A bucket of shards behind moto's IAM, a user who may do nothing but assume a role."""

    def __init__(self, server, folder):
        self.server = server
        self.dataset = shards.Dataset(folder / "shards").add_split("train", [3, 2])
        s3, iam = server.client("s3"), server.client("iam")
        s3.create_bucket(
            Bucket="cloud", CreateBucketConfiguration={"LocationConstraint": server.region}
        )
        for path in sorted((folder / "shards").rglob("*.tar")):
            s3.put_object(
                Bucket="cloud",
                Key=str(path.relative_to(folder / "shards")),
                Body=path.read_bytes(),
            )
        self.role = iam.create_role(
            RoleName="reader", AssumeRolePolicyDocument=json.dumps(TRUST)
        )["Role"]["Arn"]
        policy = iam.create_policy(PolicyName="all", PolicyDocument=json.dumps(ALLOWED))
        iam.attach_role_policy(RoleName="reader", PolicyArn=policy["Policy"]["Arn"])
        iam.create_user(UserName="me")
        iam.attach_user_policy(UserName="me", PolicyArn=policy["Policy"]["Arn"])
        made = iam.create_access_key(UserName="me")["AccessKey"]
        self.key, self.secret = made["AccessKeyId"], made["SecretAccessKey"]
        server.check_signatures()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cloud")
    server = servers.Moto(folder / "server")
    server.region = "eu-west-1"
    with server:
        yield Cloud(server, folder)


@pytest.fixture
def environment(cloud, tmp_path):
    """Writes the two AWS files; returns the environment that names them."""

    def write(config="", credentials="", **more):
        for name, text in (("config", config), ("credentials", credentials)):
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o600)
        return mounts.clean_environment(
            AWS_CONFIG_FILE=tmp_path / "config",
            AWS_SHARED_CREDENTIALS_FILE=tmp_path / "credentials",
            AWS_ENDPOINT_URL=cloud.server.endpoint,
            AWS_REGION=cloud.server.region,
            **more,
        )

    return write


def read_all(mount, cloud):
    ranks = {("train", 0): cloud.dataset.rank("train", 0, 1)}
    trees.check_tree(mount.point, ranks, 1)


def test_a_role_is_assumed_from_a_source_profile(mount, environment, cloud):
    variables = environment(
        config=f"[profile r]\nrole_arn={cloud.role}\nsource_profile=me\nrole_session_name=s\n",
        credentials=f"[me]\naws_access_key_id={cloud.key}\naws_secret_access_key={cloud.secret}\n",
    )
    made = mount("s3://cloud", "--profile", "r", "--log-level", "debug", environment=variables)
    read_all(made, cloud)
    log = made.log.read_text()
    assert "event=cred.source" in log and "the profile 'r'" in log and "until=20" in log
    assert cloud.secret not in log


def test_a_role_is_assumed_by_a_web_identity(mount, environment, cloud, tmp_path):
    (tmp_path / "token").write_text("a.web.token\n")
    variables = environment(
        AWS_ROLE_ARN=cloud.role, AWS_WEB_IDENTITY_TOKEN_FILE=tmp_path / "token"
    )
    # That request is signed by nobody, which moto has no mind for where it checks.
    cloud.server.check_signatures(False)
    try:
        made = mount("s3://cloud", "--log-level", "debug", environment=variables)
        read_all(made, cloud)
    finally:
        cloud.server.check_signatures()
    assert "by web identity" in made.log.read_text()


def test_a_role_that_is_not_there_is_told(run, environment, cloud, tmp_path):
    (tmp_path / "mnt").mkdir()
    variables = environment(
        config="[profile r]\nrole_arn=arn:aws:iam::123456789012:role/none\nsource_profile=me\n",
        credentials="[me]\naws_access_key_id=AKIANOBODY0000000000\naws_secret_access_key=canary\n",
    )
    done = run("mount", "s3://cloud", tmp_path / "mnt", "--profile", "r", environment=variables)
    assert done.returncode == 3
    assert "cannot assume the role" in done.stderr and len(done.stderr.splitlines()) == 1
    assert "canary" not in done.stderr


def test_no_secret_shows_anywhere(mount, environment, cloud, tmp_path):
    """X1 and G16: not in logs, arguments, control files, cursor, or the helper's environment."""
    helper = tmp_path / "helper"
    answer = {"Version": 1, "AccessKeyId": cloud.key, "SecretAccessKey": cloud.secret}
    (tmp_path / "answer").write_text(json.dumps(answer))
    helper.write_text(
        f"#!/bin/sh\nenv > {tmp_path}/seen\ncat /proc/$PPID/cmdline >> {tmp_path}/seen\n"
        f"echo canary-stderr >&2\ncat {tmp_path}/answer\n"
    )
    helper.chmod(0o700)
    canary = "canary" + secrets.token_hex(8)
    variables = environment(
        config=f"[profile p]\ncredential_process = {helper} --secret {canary}-argument\n",
        AWS_ACCESS_KEY_ID="AKIAOTHER",
        AWS_SECRET_ACCESS_KEY=canary,
        AWS_SESSION_TOKEN=canary,
    )
    made = mount(
        "s3://cloud", "--profile", "p", "--log-level", "trace", "--cursor", tmp_path / "run.cursor",
        environment=variables,
    )
    read_all(made, cloud)
    control = {
        name: (made.point / ".wdsfs" / name).read_bytes()
        for name in ("stats.json", "metrics", "config.json", "cursor.json", "log")
    }
    arguments = b"".join(
        open(f"/proc/{pid}/cmdline", "rb").read() for pid in made.pids()
    )
    assert made.pids()
    seen = (tmp_path / "seen").read_bytes()
    made.unmount()
    texts = {
        **control,
        "arguments": arguments,
        "environment of the helper": seen,
        "log file": made.log.read_bytes(),
        "cursor": (tmp_path / "run.cursor").read_bytes(),
    }
    for folder, _, names in os.walk(made.cache_dir):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                texts[name] = file.read()
    for place, text in texts.items():
        for secret in (cloud.secret, canary, "canary-stderr", "AWS4-HMAC", "Signature="):
            assert secret.encode() not in text, (place, secret)


class Endpoint(http.server.ThreadingHTTPServer):
    """A container endpoint; keeps the tokens by which it is asked."""

    daemon_threads = True

    def __init__(self, cloud):
        super().__init__(("127.0.0.1", 0), EndpointHandler)
        self.cloud, self.tokens = cloud, []

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/creds"


class EndpointHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.tokens.append(self.headers.get("Authorization"))
        cloud = self.server.cloud
        answer = {
            "AccessKeyId": cloud.key,
            "SecretAccessKey": cloud.secret,
            "Expiration": "2099-01-01T00:00:00Z",
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_a_container_endpoint_is_asked_past_any_proxy(mount, environment, cloud, tmp_path):
    (tmp_path / "token").write_text("pod-token")
    with Endpoint(cloud) as endpoint:
        variables = environment(
            AWS_CONTAINER_CREDENTIALS_FULL_URI=endpoint.url(),
            AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=tmp_path / "token",
            # Nobody listens there; only the store is excepted from it.
            http_proxy="http://127.0.0.1:9",
            no_proxy="localhost",
        )
        variables["AWS_ENDPOINT_URL"] = cloud.server.endpoint.replace("127.0.0.1", "localhost")
        made = mount("s3://cloud", "--log-level", "debug", environment=variables)
        read_all(made, cloud)
        assert endpoint.tokens == ["pod-token"]
        assert "the container endpoint" in made.log.read_text()
