"""The pages for people, as a browser draws them."""

import html.parser
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest

from harness import mounts, trees

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.limit(150),
    pytest.mark.skipif(not BROWSER, reason="no chromium here; apt-get install chromium"),
]


class Page(html.parser.HTMLParser):
    """What a browser made of a page: its elements with their attributes and text."""

    def __init__(self, document):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(document)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), []))
        self.open.append(self.elements[-1])

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        for _, _, texts in self.open:
            texts.append(data)

    def all(self, tag, **wanted):
        return [
            (attributes, " ".join("".join(texts).split())) for name, attributes, texts in self.elements
            if name == tag and all(attributes.get(key) == value for key, value in wanted.items())
        ]


@pytest.fixture
def browse(tmp_path):
    """Draws an address and gives its elements, having held it to what every page of ours keeps to."""

    def draw(address, width=1280, height=900):
        picture, net = tmp_path / "page.png", tmp_path / "net.json"
        done = subprocess.run(
            [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--hide-scrollbars",
             # What the browser asks its maker stays here as well.
             "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"--user-data-dir={tmp_path}/profile", f"--log-net-log={net}",
             "--enable-logging=stderr", "--virtual-time-budget=8000", "--dump-dom",
             f"--screenshot={picture}", f"--window-size={width},{height}", address],
            capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
            env=mounts.clean_environment(HOME=tmp_path, XDG_RUNTIME_DIR=tmp_path),
        )
        assert done.returncode == 0, done.stderr
        # Errors of scripts, and whatever the page's own policy had to stop.
        assert "CONSOLE" not in done.stderr, done.stderr
        events = [event.get("params", {}) for event in json.loads(net.read_text())["events"]]
        # What pages ask for has their origin; the browser's own has none.
        asked = {
            event["url"] for event in events
            if "url" in event and event.get("initiator", "not an origin") != "not an origin"
        }
        foreign = {url for url in asked if urlsplit(url).netloc != urlsplit(address).netloc}
        assert not foreign, foreign
        assert picture.stat().st_size > 10_000
        return Page(done.stdout)

    return draw


def points(page):
    """The lines that are drawn, each as its points."""
    return [attributes["points"].split() for attributes, _ in page.all("polyline")]


@pytest.fixture
def served(mount_small):
    """The address of the live page of a mount of which 5 of 13 samples of `train/1` were read."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    made = mount_small("--world-size", "2", "--metrics-addr", f"127.0.0.1:{port}")
    # Once all of the rank's shards are counted it has a bar.
    os.listdir(made.point / "train/1")
    for position in range(5):
        for file in (made.point / "train/1" / trees.index_name(position)).iterdir():
            file.read_bytes()
    return f"http://127.0.0.1:{port}/"


@pytest.fixture
def steady(served):
    """The same page where each look sees a second more, in which always the same was done."""
    looks = 0

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            nonlocal looks
            try:
                with urllib.request.urlopen(served + self.path[1:], timeout=20) as reply:
                    body, kind = reply.read(), reply.headers["Content-Type"]
            except urllib.error.HTTPError as error:
                self.send_error(error.code)
                return
            if self.path == "/stats.json":
                stats = json.loads(body)
                stats["uptimeSeconds"] = 100 + looks
                stats["reads"].update(bytes=50_000_000 * looks, hits=90 * looks, waits=10 * looks)
                stats["store"].update(bytesReceived=20_000_000 * looks)
                stats["ranks"][0].update(samples=2 * looks, consumed=min(13, 5 + looks))
                # Of each hundred requests half took 4 to 8 ms, half 8 to 16.
                counts = stats["store"]["requestSeconds"]["counts"]
                counts[:] = [0] * len(counts)
                counts[11] = counts[12] = 50 * looks
                body = json.dumps(stats).encode()
                looks += 1
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_the_live_page_draws_what_the_mount_does(served, browse):
    page = browse(served)
    assert page.all("title") == [({}, "wdsfs s3://small")]
    (state,) = page.all("span", id="state")
    assert re.match(r"up \d", state[1]) and state[0]["class"] == ""
    captions = [text for _, text in page.all("figcaption")]
    for words in ("throughput", "hit rate", "read latency", "request latency"):
        assert any(text.startswith(words) for text in captions), captions
    # Drawn over several looks: of throughput both lines, and all within the plot.
    lines = points(page)
    assert sum(len(line) >= 3 for line in lines) >= 2, lines
    for x, y in (point.split(",") for line in lines for point in line):
        assert 0 <= float(x) <= 480 and 0 <= float(y) <= 150
    assert len(page.all("div", **{"class": "card"})) == 6
    (rank,) = page.all("progress")
    assert rank[0]["aria-label"] == "train/1"
    assert 5 <= float(rank[0]["value"]) < float(rank[0]["max"])


def test_the_live_page_works_out_rates(steady, browse):
    page = browse(steady)
    captions = " ".join(text for _, text in page.all("figcaption"))
    for words in ("read 50.0 MB/s", "network 20.0 MB/s", "hits 90.0 %", "median 8.19 ms"):
        assert words in captions, captions
    # The top of the plot is 50 MB/s: where its first line lies all along, and its second at 20.
    read, network = points(page)[:2]
    assert len(read) == len(network) >= 3
    assert {point.split(",")[1] for point in read} == {"16.0"}
    assert {point.split(",")[1] for point in network} == {"86.8"}


def test_what_a_page_gets_from_elsewhere_would_be_seen(browse, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><title>page</title><img src='https://example.org/picture.png'>")
    with pytest.raises(AssertionError, match="example.org"):
        browse(page.as_uri())


def test_the_page_of_info_draws_its_plots(uneven, run, browse, tmp_path):
    done = run("info", uneven.folder, "--html", tmp_path / "info.html")
    assert done.returncode == 0, done.stderr
    page = browse((tmp_path / "info.html").as_uri())
    assert page.all("svg") and page.all("table")


def test_the_page_of_plan_draws_its_plots(uneven, run, browse, tmp_path):
    done = run("plan", uneven.folder, "--shuffle", "full", "--html", tmp_path / "plan.html")
    assert done.returncode == 0, done.stderr
    page = browse((tmp_path / "plan.html").as_uri())
    assert len(page.all("svg")) >= 3
