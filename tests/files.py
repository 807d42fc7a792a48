"""Files of the registry that tests make, and a web server that has them."""

import hashlib
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sbnn.data.registry import FILES, DataFile

CONTENT = b"gene,cell\nGad1,7\n" * 500


def published(monkeypatch, name="tiny.csv", content=CONTENT, url=None, **changes):
    """Add a file to the registry, for the length of a test."""
    about = {
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "url": url,
    } | changes
    file = DataFile(name, "tiny", "https://example.org/tiny", **about)
    monkeypatch.setitem(FILES, name, file)
    return file


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@contextmanager
def server(bodies, cuts=(), pause=0):
    """A local web server: path -> what it sends (None: nothing); `cuts` end answers early."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            web.asked.append(self.path)
            web.accepted = self.headers["Accept"]
            if self.path not in bodies:
                self.send_error(404)
                return
            content = bodies[self.path]
            if content is None:
                web.stop.wait(60)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            body = content[: left.pop(0) if left else None]
            for at in range(0, len(body), 5000):
                web.sent += self.wfile.write(body[at : at + 5000])
                web.stop.wait(pause)

        def handle(self):
            with suppress(OSError):  # whoever asked was killed
                super().handle()

        def log_message(self, *_):
            pass

    left = list(cuts)
    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.daemon_threads = True
    web.asked = []
    web.sent = 0
    web.stop = threading.Event()
    web.url = f"http://127.0.0.1:{web.server_port}"
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        web.stop.set()
        web.shutdown()
        web.server_close()
        thread.join()
