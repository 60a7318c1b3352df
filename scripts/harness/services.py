"""Stand-ins for what gives credentials on machines that a test cannot have: a container's endpoint, an instance, SSO."""

import http.server
import json
import threading
import time
import urllib.parse


def iso8601(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class CredentialServices(http.server.ThreadingHTTPServer):
    """All of them on one port of loopback; `give()` returns the key that they hand out next.

    A key is a triple of identifier, secret and session token; it is said to end after `life_seconds`. While
    `open` is not set, whoever asks for a key waits.
    """

    daemon_threads = True

    def __init__(self, give, life_seconds=3600):
        super().__init__(("127.0.0.1", 0), CredentialHandler)
        self.give, self.life_seconds = give, life_seconds
        self.open = threading.Event()
        self.open.set()
        # What was asked so far, as (path, token), how many keys were given, and when the latest ends.
        self.asked, self.given, self.end = [], 0, 0
        # What SSO takes for a login, and what it gives for a refresh token.
        self.logins, self.refreshed = {"login"}, {"refresh": "canary-renewed"}
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.open.set()
        self.shutdown()
        self.server_close()

    def key(self):
        self.open.wait()
        key = self.give()
        self.given += 1
        self.end = int(time.time()) + self.life_seconds
        return key


class CredentialHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, value, status=200):
        body = (value if isinstance(value, str) else json.dumps(value)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def session(self):
        """Credentials as containers and instances get them."""
        identifier, secret, token = self.server.key()
        answer = {
            "Code": "Success", "AccessKeyId": identifier, "SecretAccessKey": secret,
            "Expiration": iso8601(self.server.end),
        }
        return {**answer, "Token": token} if token else answer

    def note(self, token):
        self.server.asked.append((urllib.parse.urlsplit(self.path).path, token))

    def do_PUT(self):
        self.note(self.headers.get("x-aws-ec2-metadata-token-ttl-seconds"))
        self.answer("an-instance-session")

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        if path == "/creds":
            self.note(self.headers.get("Authorization"))
            self.answer(self.session())
        elif path.startswith("/latest/meta-data/iam/security-credentials/"):
            token = self.headers.get("x-aws-ec2-metadata-token")
            self.note(token)
            if token != "an-instance-session":
                self.answer("", 401)
            else:
                self.answer("reader\n" if path.endswith("/") else self.session())
        elif path == "/federation/credentials":
            token = self.headers.get("x-amz-sso_bearer_token")
            self.note(token)
            if token not in self.server.logins:
                self.answer({"message": "Session token not found or invalid"}, 401)
            else:
                identifier, secret, token = self.server.key()
                role = {"accessKeyId": identifier, "secretAccessKey": secret, "sessionToken": token}
                self.answer({"roleCredentials": {**role, "expiration": self.server.end * 1000}})
        else:
            self.answer("", 404)

    def do_POST(self):
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.note(wanted.get("refreshToken"))
        token = self.server.refreshed.get(wanted.get("refreshToken"))
        if self.path != "/token" or wanted.get("grantType") != "refresh_token" or not token:
            return self.answer({"error": "invalid_grant"}, 400)
        self.server.logins.add(token)
        return self.answer({"accessToken": token, "expiresIn": 28800, "refreshToken": "canary-refresh"})
