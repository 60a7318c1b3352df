"""Which host botocore asks: the oracle for S3Client's addresses.

Reads a JSON list of cases from a file, each with `service`, `region`, `isFIPS`, `isDualStack` and `bucket` (for
S3: a name or an ARN). Prints a JSON list: the host, or `error`. No network: a request is made and caught before
it is sent.
"""

import json
import sys
import urllib.parse

import botocore.session
from botocore.config import Config

SESSION = botocore.session.Session()


class Caught(Exception):
    """Carries a request that was to be sent."""


def catch(request, **_):
    raise Caught(request.url)


def answer(case):
    config = Config(
        use_fips_endpoint=case["isFIPS"],
        use_dualstack_endpoint=case["isDualStack"],
        retries={"total_max_attempts": 1},
    )
    try:
        client = SESSION.create_client(
            case["service"], region_name=case["region"], config=config,
            aws_access_key_id="k", aws_secret_access_key="s",
        )
        if case["service"] != "s3":
            return urllib.parse.urlsplit(client.meta.endpoint_url).netloc
        client.meta.events.register("before-send.s3", catch)
        client.get_object(Bucket=case["bucket"], Key="x.tar")
    except Exception as error:
        caught = getattr(error, "kwargs", {}).get("error", error)
        if isinstance(caught, Caught):
            return urllib.parse.urlsplit(str(caught)).netloc
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    return "error"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        print(json.dumps([answer(case) for case in json.load(file)]))


main()
