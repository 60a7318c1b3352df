"""A relay that does to each request what networks and servers do on a bad day.

    python -m harness.faults UPSTREAM MIX SEED      (http://host:port)

MIX says how many of a hundred GETs of an object each kind of fault strikes: one number for all kinds, or
`stall=2,slow_down=10`. A LIST is left alone. What strikes is drawn by a generator of the seed. Commands arrive on stdin, one line
each, and are answered on stdout by one line of JSON:

    counts            requests so far, and how often each fault struck
    calm              from now on nothing is done to them
    strike MIX        from now on this is done to them
    allow N           no more than N a second from now on; others are told to slow down
"""

import collections
import json
import random
import socket
import struct
import sys
import threading
import time
import urllib.parse

from . import relay

SLOW_DOWN = (
    b'<?xml version="1.0"?><Error><Code>%s</Code><Message>test</Message></Error>'
)


class Fault:
    """What can be done to one reply: each method is a kind, called with the handler and the reply."""

    @staticmethod
    def late(handler, reply, request):
        time.sleep(0.2)
        handler.pass_on(reply, request)

    @staticmethod
    def slow_down(handler, reply, request):
        handler.answer(503, SLOW_DOWN % b"SlowDown")

    @staticmethod
    def too_many_requests(handler, reply, request):
        handler.answer(429, SLOW_DOWN % b"TooManyRequests", {"Retry-After": "1"})

    @staticmethod
    def internal_error(handler, reply, request):
        handler.answer(500, SLOW_DOWN % b"InternalError")

    @staticmethod
    def bad_gateway_page(handler, reply, request):
        handler.answer(502, b"<html><h1>Bad Gateway</h1></html>", {"Content-Type": "text/html"})

    @staticmethod
    def reset_before(handler, reply, request):
        handler.reset()

    @staticmethod
    def close_before(handler, reply, request):
        handler.close_connection = True

    @staticmethod
    def reset_inside(handler, reply, request):
        body = reply.read()
        handler.head(reply)
        handler.wfile.write(body[: len(body) // 2])
        handler.reset()

    @staticmethod
    def short_body(handler, reply, request):
        body = reply.read()
        handler.head(reply)
        handler.wfile.write(body[: len(body) * 3 // 4])
        handler.close_connection = True

    @staticmethod
    def stall(handler, reply, request):
        body = reply.read()
        handler.head(reply)
        handler.wfile.write(body[: len(body) // 3])
        handler.wfile.flush()
        # Longer than whoever waits for it should wait.
        time.sleep(30)
        handler.reset()

    @staticmethod
    def no_answer(handler, reply, request):
        time.sleep(30)
        handler.reset()

    @staticmethod
    def other_range(handler, reply, request):
        """Says that these are other bytes, and sends the right ones."""
        given = reply.getheader("Content-Range", "")
        handler.head(reply, {"Content-Range": given.replace("bytes ", "bytes 7")})
        handler.wfile.write(reply.read())

    @staticmethod
    def no_range(handler, reply, request):
        """As many bytes as wanted and no word of which."""
        handler.head(reply, {"Content-Range": None})
        handler.wfile.write(reply.read())

    @staticmethod
    def less_than_said(handler, reply, request):
        body = reply.read()[:-100]
        handler.head(reply, {"Content-Length": str(len(body))})
        handler.wfile.write(body)

    @staticmethod
    def more_than_said(handler, reply, request):
        body = reply.read() + b"x" * 100
        handler.head(reply, {"Content-Length": str(len(body))})
        handler.wfile.write(body)

    @staticmethod
    def no_status(handler, reply, request):
        handler.wfile.write(b"\x00\xff\x13garbage\r\n\r\n" * 50)
        handler.close_connection = True


KINDS = {name: kind for name, kind in vars(Fault).items() if isinstance(kind, staticmethod)}


def shares_of(mix):
    """How many of one GET each kind strikes, by its name."""
    if "=" not in mix:
        return dict.fromkeys(KINDS, float(mix) / 100)
    pairs = [part.split("=") for part in mix.split(",")]
    return {name: float(percent) / 100 for name, percent in pairs}


class State:
    """Draws the faults and counts them."""

    def __init__(self, mix, seed):
        self.lock, self.generator = threading.Lock(), random.Random(seed)
        self.shares, self.counts = shares_of(mix), collections.Counter()
        self.allowed, self.latest = None, collections.deque()

    def draw(self):
        with self.lock:
            self.counts["requests"] += 1
            place = self.generator.random()
            name = "slow_down" if self.is_too_many() else None
            for kind, share in self.shares.items():
                if name is None and place < share:
                    name = kind
                place -= share
            if name is None:
                return None
            self.counts[name] += 1
            return getattr(Fault, name)

    def is_too_many(self):
        if self.allowed is None:
            return False
        now = time.monotonic()
        while self.latest and now - self.latest[0] > 1:
            self.latest.popleft()
        if len(self.latest) >= self.allowed:
            return True
        self.latest.append(now)
        return False

    def obey(self, line):
        verb, _, rest = line.strip().partition(" ")
        with self.lock:
            if verb == "calm":
                self.shares, self.allowed = {}, None
            elif verb == "strike":
                self.shares = shares_of(rest)
            elif verb == "allow":
                self.allowed = int(rest)
            return dict(self.counts)


class Handler(relay.Handler):
    """Hands one request on, and its reply back as the draw wants it."""

    faults = None

    class Everybody:
        def admit(self, request):
            """Nobody is held back."""

    state = Everybody()

    def hand_back(self, reply, request):
        is_data = self.command == "GET" and ".tar" in self.path.split("?")[0]
        fault = self.faults.draw() if is_data and reply.status in (200, 206) else None
        try:
            if fault:
                fault(self, reply, request)
            else:
                self.pass_on(reply, request)
        except OSError:
            # Who asked has hung up meanwhile.
            self.close_connection = True

    def pass_on(self, reply, request):
        super().hand_back(reply, request)

    def head(self, reply, changes=None):
        """The reply's head, with changed headers; None leaves one out."""
        changes = changes or {}
        self.send_response_only(reply.status, reply.reason)
        for name, value in reply.getheaders():
            if name.lower() not in relay.HOP_BY_HOP and name not in changes:
                self.send_header(name, value)
        for name, value in changes.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()

    def answer(self, status, body, headers=None):
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def reset(self):
        """Ends the connection by RST."""
        self.wfile.flush()
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True


class FaultyRelay(relay.Relay):
    """The relay as its users see it: an endpoint, and the counts."""

    def __init__(self, upstream, scratch, mix, seed):
        super().__init__(upstream, scratch)
        self.mix, self.seed = mix, seed

    def command(self):
        return [sys.executable, "-m", "harness.faults", self.upstream, str(self.mix), str(self.seed)]

    def counts(self):
        return self.ask("counts")

    def calm(self):
        self.ask("calm")

    def strike(self, mix):
        self.ask(f"strike {mix}")

    def allow(self, count):
        self.ask(f"allow {count}")


def main():
    Handler.upstream = urllib.parse.urlsplit(sys.argv[1]).netloc
    Handler.faults = State(sys.argv[2], sys.argv[3])
    listener = relay.Listener(("127.0.0.1", 0), Handler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{listener.server_port}", flush=True)
    for line in sys.stdin:
        print(json.dumps(Handler.faults.obey(line)), flush=True)


if __name__ == "__main__":
    main()
