"""Credentials of roles, helper programs and containers against real servers; and no secret anywhere."""

import hashlib
import json
import os
import pathlib
import secrets
import subprocess
import time

import pytest

from harness import mounts, servers, shards, trees
from harness.services import CredentialServices, iso8601

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
        self.many = shards.Dataset(folder / "many").add_split("train", [1] * 8)
        s3, iam = server.client("s3"), server.client("iam")
        for bucket, dataset in (("cloud", self.dataset), ("many", self.many)):
            s3.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": server.region}
            )
            for path in sorted(pathlib.Path(dataset.folder).rglob("*.tar")):
                key = str(path.relative_to(dataset.folder))
                s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
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


@pytest.fixture
def services(cloud):
    """Container endpoint, instance and SSO; each key that they give is another session of the role."""

    def give():
        client = cloud.server.client("sts", (cloud.key, cloud.secret, None))
        made = client.assume_role(RoleArn=cloud.role, RoleSessionName="session")["Credentials"]
        return made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]

    with CredentialServices(give) as made:
        yield made


def test_a_container_endpoint_is_asked_past_any_proxy(mount, environment, cloud, services, tmp_path):
    (tmp_path / "token").write_text("pod-token")
    variables = environment(
        AWS_CONTAINER_CREDENTIALS_FULL_URI=services.endpoint + "/creds",
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=tmp_path / "token",
        # Nobody listens there; only the store is excepted from it.
        http_proxy="http://127.0.0.1:9",
        no_proxy="localhost",
    )
    variables["AWS_ENDPOINT_URL"] = cloud.server.endpoint.replace("127.0.0.1", "localhost")
    made = mount("s3://cloud", "--log-level", "debug", environment=variables)
    read_all(made, cloud)
    assert services.asked == [("/creds", "pod-token")]
    log = made.log.read_text()
    assert "the container endpoint" in log and f"until={iso8601(services.end)}" in log
    assert "pod-token" not in log
    told = subprocess.run(
        [made.binary, "doctor", "s3://cloud"], env=variables, capture_output=True, text=True, timeout=60
    ).stdout
    assert f"the container endpoint, which end at {iso8601(services.end)}" in " ".join(told.split())
    assert "pod-token" not in told


def test_an_instance_is_asked_in_a_session(mount, environment, cloud, services):
    variables = environment(
        AWS_EC2_METADATA_SERVICE_ENDPOINT=services.endpoint, AWS_EC2_METADATA_DISABLED="false"
    )
    made = mount("s3://cloud", "--log-level", "debug", environment=variables)
    read_all(made, cloud)
    roles = "/latest/meta-data/iam/security-credentials/"
    assert services.asked == [
        ("/latest/api/token", "21600"), (roles, "an-instance-session"),
        (roles + "reader", "an-instance-session"),
    ]
    log = made.log.read_text()
    assert "the instance metadata service" in log and "an-instance-session" not in log


SSO = """
[profile dev]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = reader
[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://corp.awsapps.com/start
"""


@pytest.fixture
def logged_in(environment, services, tmp_path):
    """A home as `aws sso login` leaves it, with a token of some age; returns the environment and its file."""

    def make(seconds, **more):
        folder = tmp_path / "home/.aws/sso/cache"
        folder.mkdir(parents=True)
        file = folder / (hashlib.sha1(b"corp").hexdigest() + ".json")
        token = {"accessToken": "login", "expiresAt": iso8601(time.time() + seconds), **more}
        file.write_text(json.dumps(token))
        variables = environment(
            config=SSO,
            HOME=tmp_path / "home",
            AWS_ENDPOINT_URL_SSO=services.endpoint,
            AWS_ENDPOINT_URL_SSO_OIDC=services.endpoint,
        )
        return variables, file

    return make


def test_a_login_by_sso_is_renewed_and_kept_for_the_cli(mount, logged_in, cloud, services):
    variables, file = logged_in(
        -60, refreshToken="refresh", clientId="c", clientSecret="canary-client",
        registrationExpiresAt="2099-01-01T00:00:00Z",
    )
    made = mount("s3://cloud", "--profile", "dev", "--log-level", "trace", environment=variables)
    read_all(made, cloud)
    assert services.asked == [("/token", "refresh"), ("/federation/credentials", "canary-renewed")]
    kept = json.loads(file.read_text())
    assert kept["accessToken"] == "canary-renewed" and kept["refreshToken"] == "canary-refresh"
    log = made.log.read_text()
    assert "the profile 'dev' by SSO" in log and "until=20" in log
    assert not [word for word in ("canary-renewed", "canary-refresh", "canary-client") if word in log]


def test_a_login_that_is_over_is_to_be_renewed_by_its_user(run, logged_in, tmp_path):
    variables, _ = logged_in(-60)
    (tmp_path / "mnt").mkdir()
    done = run("mount", "s3://cloud", tmp_path / "mnt", "--profile", "dev", environment=variables)
    assert done.returncode == 3 and len(done.stderr.splitlines()) == 1
    assert "run `aws sso login --profile dev`" in done.stderr


def test_reads_go_on_while_credentials_are_renewed(mount, environment, cloud, services):
    services.life_seconds = 6
    variables = environment(AWS_CONTAINER_CREDENTIALS_FULL_URI=services.endpoint + "/creds")
    made = mount("s3://many", "--log-level", "debug", environment=variables)
    # Each is asked for when it is read, not before.
    unread = sorted(pathlib.Path(cloud.many.folder, "train").iterdir())

    def read():
        path = unread.pop()
        assert (made.point / ".shards/train" / path.name).read_bytes() == path.read_bytes()

    read()
    services.open.clear()
    mounts.wait_until(lambda: time.time() > services.end - 0.5, 60, "the end is near")
    read()
    mounts.wait_until(lambda: len(services.asked) > services.given, 60, "new ones are asked for")
    # Nobody has answered yet.
    read()
    services.life_seconds = 3600
    services.open.set()
    mounts.wait_until(lambda: "event=cred.refresh" in made.log.read_text(), 60, "they are in use")
    read()
    assert services.asked == [("/creds", None)] * services.given
