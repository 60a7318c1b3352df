"""TLS for tests: an authority of the test's own, and nginx with its certificates before any server."""

import os
import pathlib
import subprocess

from harness import servers

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Authority:
    """A certificate authority in a folder; nobody trusts it who is not told to."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.bundle, self.key = self.folder / "authority.pem", self.folder / "authority.key"
        openssl(
            "req", "-x509", *KEY, "-keyout", self.key, "-out", self.bundle, "-days", 2,
            "-subj", "/CN=wdsfs test authority",
        )

    def certificate(self, name="IP:127.0.0.1", days=2):
        """A certificate and its key, for a subjectAltName; with negative days an expired one."""
        stem = self.folder / f"{name.replace(':', '-')}{days}"
        paths = [stem.with_suffix(suffix) for suffix in (".pem", ".key", ".csr", ".ext")]
        certificate, key, request, extensions = paths
        extensions.write_text(f"subjectAltName={name}\n")
        openssl("req", *KEY, "-keyout", key, "-out", request, "-subj", "/CN=server")
        openssl(
            "x509", "-req", "-in", request, "-CA", self.bundle, "-CAkey", self.key, "-days", days,
            "-extfile", extensions, "-out", certificate,
        )
        return certificate, key


class TLSFront(servers.Nginx):
    """nginx that takes https and hands every request on to an http server, as the client sent it."""

    CONFIGURATION = servers.Nginx.CONFIGURATION.replace(
        'server {{ listen 127.0.0.1:{port}; root "{root}"; }}',
        "server {{ listen 127.0.0.1:{port} ssl; {tls} location / {{ proxy_pass {root};"
        " proxy_set_header Host $http_host; proxy_buffering off; }} }}",
    )

    def __init__(self, upstream, certificate, scratch):
        super().__init__(upstream, scratch)
        pair, key = certificate
        tls = f"ssl_certificate {pair}; ssl_certificate_key {key};"
        self.CONFIGURATION = type(self).CONFIGURATION.replace("{tls}", tls)

    def start(self):
        super().start()
        self.endpoint = self.endpoint.replace("http:", "https:")
