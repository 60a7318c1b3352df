"""Whose credentials botocore would use: the oracle for S3Client's profiles.

Reads a JSON list of cases from a file, each with `config`, `credentials` (the two files' texts),
`environment` and `profile` (null: not named by option). Prints a JSON list: the access key, `none`, or
`error`. No network: STS is a stub whose keys tell who asked for which role, and how.
"""

import json
import os
import sys
import tempfile

import botocore.credentials
import botocore.session


class StubSTS:
    def __init__(self, signer):
        self.signer = signer

    def assume_role(self, RoleArn, RoleSessionName, ExternalId="-", DurationSeconds="-"):
        session = "-" if RoleSessionName.startswith("botocore-session-") else RoleSessionName
        return reply(f"{RoleArn}|{session}|{ExternalId}|{DurationSeconds}<{self.signer}")

    def assume_role_with_web_identity(self, RoleArn, RoleSessionName, WebIdentityToken):
        session = "-" if RoleSessionName.startswith("botocore-session-") else RoleSessionName
        return reply(f"{RoleArn}|{session}|{WebIdentityToken}")


def reply(key):
    return {
        "Credentials": {
            "AccessKeyId": key,
            "SecretAccessKey": "s",
            "SessionToken": "t",
            "Expiration": "2099-01-01T00:00:00Z",
        }
    }


def stub_creator(session, region_name):
    return lambda service, **options: StubSTS(options.get("aws_access_key_id"))


def answer(case, folder):
    kept = {name: os.environ[name] for name in ("PATH",)}
    os.environ.clear()
    os.environ.update(kept, HOME=folder, AWS_EC2_METADATA_DISABLED="true")
    os.environ.update(case["environment"])
    for name, variable in (("config", "AWS_CONFIG_FILE"), ("credentials", "AWS_SHARED_CREDENTIALS_FILE")):
        os.environ[variable] = path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(case[name])
    try:
        found = botocore.session.Session(profile=case.get("profile")).get_credentials()
        return found.get_frozen_credentials().access_key if found else "none"
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return "error"


def main():
    botocore.credentials._get_client_creator = stub_creator
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "token"), "w") as file:
            file.write("web")
        os.chdir(folder)
        print(json.dumps([answer(case, folder) for case in cases]))


main()
