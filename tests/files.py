"""Files of the registry that tests make."""

import hashlib
from pathlib import Path

from sbnn.data.registry import FILES, DataFile

CONTENT = b"gene,cell\nGad1,7\n" * 500


def published(monkeypatch, name="tiny.csv", content=CONTENT, url=None, **changes):
    """Add a file to the registry, for the length of a test."""
    about = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "url": url} | changes
    file = DataFile(name, "tiny", "https://example.org/tiny", **about)
    monkeypatch.setitem(FILES, name, file)
    return file


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
