"""Measures what hostile listings cost, and looks for secrets: a part of harness.goals."""

import http.server
import os
import pathlib
import subprocess
import threading

from . import mounts, trees

MIB = 1 << 20
ROUNDS = 3


def page(inside):
    return f'<?xml version="1.0"?><ListBucketResult>{inside}</ListBucketResult>'.encode()


def entities(count):
    rows = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "x"}">' for n in range(count))
    return f'<?xml version="1.0"?><!DOCTYPE a [{rows}]><ListBucketResult><Name>&a{count - 1};</Name>'.encode()


# What a listing may be, with the exit code of a mount over it.
LISTINGS = {
    "entities within entities": (5, entities(10)),
    "an entity from a file": (5, b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><ListBucketResult/>'),
    "a hundred thousand elements deep": (5, b"<a>" * 100_000 + b"</a>" * 100_000),
    "a key of 200 kB": (4, page(f"<Contents><Key>{'k' * 200_000}</Key><Size>1</Size></Contents>")),
    "ten thousand odd entries": (4, page("<Contents><Size>-1</Size></Contents>" * 10_000)),
    "no end": (5, None),
    "cut": (5, page("<Contents><Key>a.tar</Key>")[:60]),
    "a page in HTML": (5, b"<html><body>sign in</body></html>"),
    "nothing": (5, b""),
    "no UTF-8": (5, page("<Contents><Key>?</Key></Contents>").replace(b"?", b"\xff")),
    "the same token again": (
        4, page("<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"),
    ),
}


class Handler(http.server.BaseHTTPRequestHandler):
    body = b""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(200)
        if self.body is not None:
            self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        try:
            if self.body is not None:
                self.wfile.write(self.body)
            while self.body is None:
                self.wfile.write(b"<ListBucketResult>" + b" " * 65_536)
        except OSError:
            self.close_connection = True


def cost(binary, endpoint, scratch):
    """Of a mount that cannot be: its exit code, its CPU seconds, and the most memory it had."""
    point = scratch / "mnt-hostile"
    point.mkdir(exist_ok=True)
    words = [
        binary, "mount", "s3://hostile", point, "--endpoint-url", endpoint, "--no-sign-request", "-f",
        "--cache-dir", "memory", "--region", "us-east-1",
    ]
    process = subprocess.Popen(
        [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=mounts.clean_environment(),
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def listings(binary, scratch, goals):
    """G18: beside a listing of nothing, which is refused as well."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"

    def least(body):
        Handler.body = body
        tries = [cost(binary, endpoint, scratch) for _ in range(ROUNDS)]
        return tries[0][0], min(t[1] for t in tries), min(t[2] for t in tries)

    _, plain_seconds, plain_bytes = least(page("<IsTruncated>false</IsTruncated>"))
    seconds, memory, others = {}, {}, []
    for name, (code, body) in LISTINGS.items():
        found, took, held = least(body)
        if found != code:
            others.append(f"{name}: {found}")
        # A reply that makes no sense is asked for three times.
        seconds[name], memory[name] = (took - plain_seconds) * 1000, (held - plain_bytes) / MIB
    server.shutdown()
    slowest, largest = max(seconds, key=seconds.get), max(memory, key=memory.get)
    told = "".join(f" ({other})" for other in others)
    goals.add(f"G18 other exit codes than wanted, of {len(LISTINGS)} hostile listings{told}", len(others), "", 0)
    goals.add(f"G18 CPU time of the slowest, tries and all ({slowest})", seconds[slowest], "ms", 50)
    goals.add(f"G18 memory of the largest ({largest})", memory[largest], "MiB", 16)


def secrets(words, server, scratch, samples, goals):
    """G16: nothing that a mount writes or shows has the secret, or a signature made with it."""
    mount = mounts.Mount(
        words.binary, "s3://goals", scratch / "mnt-secret", "--endpoint-url", server.endpoint, "--log-level",
        "trace", "--cursor", scratch / "secret.cursor", environment=mounts.clean_environment(**server.environment()),
    )
    places = {}
    with mount:
        trees.check_rank(mount.point / "train/0", samples[:200])
        for path in (mount.point / ".wdsfs").iterdir():
            if path.is_file():
                places[path] = path.read_bytes()
        for pid in mount.pids():
            places[pid] = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        mount.unmount()
    for path in [mount.log, scratch / "secret.cursor", *mount.cache_dir.rglob("*")]:
        if path.is_file():
            places[path] = path.read_bytes()
    hits = sum(
        secret in text
        for text in places.values()
        for secret in (server.secret_key.encode(), b"AWS4-HMAC", b"Signature=")
    )
    goals.add(f"G16 secrets and signatures in {len(places)} files and arguments, log level trace", hits, "", 0)


def measure(words, server, scratch, samples, goals):
    listings(words.binary, scratch, goals)
    secrets(words, server, scratch, samples, goals)
