"""A folder of results: ``summary.json`` lists its files, so that no file of the user's is lost."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import Any

from sbnn.data.checks import abbreviate
from sbnn.store import ENDING, replacing, write_atomically

SUMMARY = "summary.json"
#: Beginning of a page of results.
HTML = rb'<!doctype html>.{0,80}<meta name="generator" content="sbnn">'
LISTED = b""  # beginning of any file, if the list says whether it may be replaced


def read_summary(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Content of ``summary.json``, or {} if there is none that lists files."""
    try:
        summary = json.loads(Path(folder, SUMMARY).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    is_list = isinstance(summary, dict) and isinstance(summary.get("files"), dict)
    return summary if is_list else {}


def earlier_summary(folder: Path) -> dict[str, Any]:
    """Summary of a folder of results, {} for a new one; an error if it has files of the user's."""
    summary = read_summary(folder)
    present = [path.name for path in _visible(folder)]
    if present and not summary:
        raise ValueError(
            f"{folder} has files that this version of sbnn has not written: "
            f"{abbreviate(sorted(present))}; give a new folder"
        )
    listed = summary.get("files", {})
    _refuse_changed([folder / name for name in listed], listed)
    return summary


def write_files(
    folder: str | os.PathLike[str],
    writers: Mapping[str, Callable[[Path], object]],
    summary: Mapping[str, Any],
) -> dict[str, Path]:
    """Write all files, then replace older ones, and list them in the summary; paths by name."""
    earlier = read_summary(folder)
    files = earlier.get("files", {})
    paths = {name: Path(folder, name) for name in writers}
    _refuse_changed(paths.values(), files)
    if not earlier:  # a summary is ours if it lists files
        _refuse_changed([Path(folder, SUMMARY)], files)
    with ExitStack() as replaced_at_the_end:
        for name, write in writers.items():
            temporary = replaced_at_the_end.enter_context(replacing(paths[name], LISTED))
            write(temporary)
            files[name] = _sha256(temporary)
        paths[SUMMARY] = _write_summary(folder, {**summary, "files": files})
    return paths


@contextmanager
def list_new_files(folder: Path) -> Iterator[None]:
    """Add the files that are written in the block to the list of the summary.

    Records are left out, which say themselves what they are.
    """
    before = {path: path.stat().st_mtime_ns for path in _visible(folder)}
    try:
        yield
    finally:
        summary = read_summary(folder)
        for path in _visible(folder):
            is_new = before.get(path) != path.stat().st_mtime_ns
            if is_new and path.is_file() and not path.name.endswith((ENDING, SUMMARY)):
                summary["files"][path.name] = _sha256(path)
        _write_summary(folder, summary)


def _visible(folder):
    """What is in a folder, without the hidden files of the system."""
    return [path for path in folder.glob("*") if not path.name.startswith(".")]


def _refuse_changed(paths, files):
    """Reject existing files that are not listed, or were changed since."""
    for path in paths:
        if path.exists() and files.get(path.name) != _sha256(path):
            raise ValueError(
                f"{path} is not as this version of sbnn wrote it; move or delete it, or give "
                "another folder"
            )


def _sha256(path):
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _write_summary(folder, summary):
    text = json.dumps(summary, indent=1, allow_nan=False, default=str, ensure_ascii=False)
    path = Path(folder, SUMMARY)
    write_atomically(f"{text}\n".encode(), path, LISTED)
    return path
