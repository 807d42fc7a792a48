"""Downloads that are cut off, or come twice at once; each function gives how often that was tried."""

import hashlib
import random
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from victims import Victim

from sbnn.data.registry import DataFile, DataIntegrityError, download_file

CONTENT = np.random.default_rng(0).bytes(100_000)
ABOUT = {"name": "tiny.bin", "folder": "tiny", "source": "https://example.org/tiny", "size": len(CONTENT)}
ABOUT |= {"sha256": hashlib.sha256(CONTENT).hexdigest()}


@contextmanager
def server(cuts=(), content=CONTENT, pause=0):
    """A web server whose answers end after so many bytes, one number per request; ``sent`` counts what was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
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
    web.daemon_threads, web.sent, web.stop = True, 0, threading.Event()
    web.file = ABOUT | {"url": f"http://127.0.0.1:{web.server_port}/tiny.bin"}
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        web.stop.set()
        web.shutdown()
        web.server_close()
        thread.join()


def fetch(web, folder):
    """Download, after every interruption again: the file is there, and nothing beside it."""
    target = Path(folder, "tiny.bin")
    while not target.exists():
        with suppress(OSError):
            download_file(DataFile(**web.file), target, verbose=False)
    assert target.read_bytes() == CONTENT
    assert list(Path(folder).iterdir()) == [target]


def cut_off(folder, seed, times=3):
    """The connection breaks at random places."""
    rng = random.Random(seed)
    with server([rng.randrange(1, 90_000) for _ in range(times)]) as web:
        fetch(web, folder)
    return times


def wrong_content(folder, seed):
    """A random byte is another one: an error that tells the checksums, and nothing is kept."""
    rng, content = random.Random(seed), bytearray(CONTENT)
    content[rng.randrange(len(CONTENT))] ^= 1 << rng.randrange(8)
    with server(content=bytes(content)) as web:
        with pytest.raises(DataIntegrityError, match="altered: expected 100000 bytes and sha256") as caught:
            fetch(web, folder)
        assert web.file["url"] in str(caught.value)
    assert list(Path(folder).iterdir()) == []
    return 1


def killed(folder, seed, times=4):
    """The process that downloads is killed at random moments, and begun again."""
    rng, target = random.Random(seed), Path(folder, "tiny.bin")
    with server(pause=0.01) as web:
        for _ in range(times):
            victim = Victim("download", web.file, str(target))
            victim.ends_within(rng.uniform(0, 0.25))
            victim.kill()
            assert not target.exists() or target.read_bytes() == CONTENT
        fetch(web, folder)
    return times


def two_at_once(folder, seed):
    """Of two processes one downloads, the other takes what it has got; or begins anew, if the first was killed."""
    rng = random.Random(seed)
    with server(pause=0.005) as web:
        first, *others = [Victim("download", web.file, str(Path(folder, "tiny.bin"))) for _ in range(3)]
        if seed % 2:
            first.ends_within(rng.uniform(0, 0.1))
            first.kill()
        assert [other.end() for other in others] == [0, 0], [other.error for other in others]
        first.end()
        sent = web.sent
        fetch(web, folder)
        assert web.sent == sent <= len(CONTENT) * (1 + seed % 2)
    return 1
