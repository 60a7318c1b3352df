"""A relay between an HTTP client and a server that counts requests and can hold them back.

    python -m harness.relay UPSTREAM      (http://host:port)

A process of its own, so that nobody waits for a mount that waits for him. The Host header is handed
on as it came: signatures cover it. Commands arrive on stdin, one line each, and are answered on
stdout by one line of JSON:

    requests          every request so far: method, target, range, status, bytes
    forget            forget them
    hold PATTERN      from now on, requests whose "METHOD target" matches wait
    release           let all go on, and hold no more
    held              how many wait now
"""

import dataclasses
import http.client
import http.server
import json
import pathlib
import re
import subprocess
import sys
import threading
import urllib.parse

from .servers import Server

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}
PIECE_BYTES = 256 * 1024


@dataclasses.dataclass
class Request:
    """One request that passed, and what became of it."""

    method: str
    target: str
    range: str
    status: int = 0
    bytes: int = 0


class State:
    """What the relay has seen and whom it holds."""

    def __init__(self):
        self.changed = threading.Condition()
        self.requests, self.pattern, self.held = [], None, 0

    def admit(self, request):
        with self.changed:
            self.requests.append(request)
            self.held += 1
            subject = f"{request.method} {request.target}"
            self.changed.wait_for(lambda: not (self.pattern and self.pattern.search(subject)))
            self.held -= 1

    def obey(self, line):
        verb, _, rest = line.strip().partition(" ")
        with self.changed:
            if verb == "requests":
                return [dataclasses.asdict(request) for request in self.requests]
            if verb == "forget":
                self.requests.clear()
            elif verb == "hold":
                self.pattern = re.compile(rest)
            elif verb == "release":
                self.pattern = None
                self.changed.notify_all()
            elif verb == "held":
                return self.held
            else:
                return f"unknown: {verb}"
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    """Hands one request on and its reply back."""

    protocol_version = "HTTP/1.1"
    state, upstream = None, None

    def log_message(self, *_):
        pass

    def do_GET(self):
        request = Request(self.command, self.path, self.headers.get("Range", ""))
        self.state.admit(request)
        connection = http.client.HTTPConnection(self.upstream, timeout=60)
        try:
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.endheaders()
            self.hand_back(connection.getresponse(), request)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            connection.close()

    do_HEAD = do_GET

    def hand_back(self, reply, request):
        request.status = reply.status
        self.send_response_only(reply.status, reply.reason)
        for name, value in reply.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        bodiless = self.command == "HEAD" or reply.status in (204, 304)
        if reply.getheader("Content-Length") is None and not bodiless:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        while piece := reply.read(PIECE_BYTES):
            request.bytes += len(piece)
            self.wfile.write(piece)


class Listener(http.server.ThreadingHTTPServer):
    """As many threads as clients; none of them keeps the process alive."""

    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request, client_address):
        """A client that hangs up in mid-sentence is no news."""


class Relay(Server):
    """The relay as its users see it: an endpoint, and questions about what passed."""

    def __init__(self, upstream, scratch):
        super().__init__(scratch)
        self.upstream, self.endpoint = upstream, None

    def command(self):
        return [sys.executable, "-m", "harness.relay", self.upstream]

    def start(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
                cwd=pathlib.Path(__file__).parent.parent,
            )
        self.endpoint = self.process.stdout.readline().strip()
        if not self.endpoint:
            self.fail()

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def requests(self):
        return [Request(**request) for request in self.ask("requests")]

    def data_requests(self):
        """Those for an object's bytes; listings and HEADs do not count."""
        return [r for r in self.requests() if r.method == "GET" and ".tar" in r.target.split("?")[0]]

    def forget(self):
        self.ask("forget")

    def hold(self, pattern):
        self.ask(f"hold {pattern}")

    def release(self):
        self.ask("release")

    def held(self):
        return self.ask("held")


def main():
    Handler.state = State()
    Handler.upstream = urllib.parse.urlsplit(sys.argv[1]).netloc
    listener = Listener(("127.0.0.1", 0), Handler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{listener.server_port}", flush=True)
    # Ends when our user does: its end of the pipe is then closed.
    for line in sys.stdin:
        print(json.dumps(Handler.state.obey(line)), flush=True)


if __name__ == "__main__":
    main()
