"""Published files that tests make, one that would do harm, and a web server that has them."""

import hashlib
import os
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd

from sbnn.data import datasets

CONTENT = b"gene,cell\nGad1,7\n" * 500


class Payload:
    """Its pickle would run a command."""

    def __reduce__(self):
        return os.system, ("echo run > owned",)


def published(monkeypatch, name="tiny.csv", content=CONTENT, url="", **changes):
    """Add a file to those of the data sets, for the length of a test."""
    sha256 = hashlib.sha256(content).hexdigest()
    row = {"folder": "tiny", "sha256": sha256, "url": url, "source": "https://example.org/tiny"}
    files = datasets.FILES.copy()
    files.loc[name] = pd.Series(row | changes)
    monkeypatch.setattr(datasets, "FILES", files)


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@contextmanager
def server(folder):
    """A local web server of the files in a folder."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            web.accepted = self.headers["Accept"]

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as web:
        web.url = f"http://127.0.0.1:{web.server_port}"
        thread = threading.Thread(target=web.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield web
        finally:
            web.shutdown()
            thread.join()
