"""Files that are written in one step, and replace only files of the same kind.

Everything that the package writes passes `replacing`, so that no file of the user's is lost: an
existing file must begin as those that the caller writes. In a folder of results, ``summary.json``
lists every file as it is written, with its sha256, and a file that was changed since stays.
"""

import json
import lzma
import os
import re
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import file_digest
from os import PathLike
from pathlib import Path
from typing import Any

SUMMARY = "summary.json"
LIST = "written_by_sbnn"  # entry of a summary: name of a file -> sha256
#: Beginning of a file that has none by which it is known, but is in the list.
LISTED = None
BYTES_OF_BEGINNING = 2**12


def write_atomically(content: bytes, path: str | PathLike[str], beginning: bytes | None) -> None:
    """Write bytes such that the file is either unchanged or complete, see `replacing`."""
    with replacing(path, beginning) as temporary:
        temporary.write_bytes(content)


def require_writable(path: str | PathLike[str], beginning: bytes) -> None:
    """Raise the error of `replacing` before hours of fits instead of after."""
    with _temporary_file(path, beginning):
        pass


@contextmanager
def replacing(path: str | PathLike[str], beginning: bytes | None) -> Iterator[Path]:
    """Temporary file, which replaces a file in one step if the block ends without an error.

    An existing file has to match the regular expression `beginning` at its start, or, if that is
    `LISTED`, to be in the list of its folder. It keeps its permissions.
    """
    with _temporary_file(path, beginning) as (temporary, target):
        yield temporary
        _replace(temporary, target)
        summary = read_summary(target.parent)
        if summary:
            summary[LIST][target.name] = _sha256(target)
            write_summary(target.parent, summary)


def read_summary(folder: str | PathLike[str]) -> dict[str, Any]:
    """Content of ``summary.json``, or {} if there is none with a list of files."""
    try:
        summary = json.loads(Path(folder, SUMMARY).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    has_list = isinstance(summary, dict) and isinstance(summary.get(LIST), dict)
    return summary if has_list else {}


def write_summary(folder: str | PathLike[str], summary: Mapping[str, Any]) -> Path:
    """Write ``summary.json`` with the list of files, by default the one that it had before."""
    earlier = read_summary(folder)
    path = Path(folder, SUMMARY)
    beginning = b"" if earlier else LISTED  # a summary is ours if it has a list
    content = {**summary, LIST: summary.get(LIST, earlier.get(LIST, {}))}
    text = json.dumps(content, indent=1, allow_nan=False, default=str, ensure_ascii=False)
    with _temporary_file(path, beginning) as (temporary, target):
        temporary.write_text(f"{text}\n", encoding="utf-8")
        _replace(temporary, target)
    return path


def refuse_other_file(path: Path, beginning: bytes | None) -> None:
    """Reject a folder, and a file that does not begin as those of the caller or was changed."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the path of a file")
    if not path.exists():
        return
    sha256 = read_summary(path.parent).get(LIST, {}).get(path.name)
    is_ours = sha256 is not None if beginning is LISTED else _begins_with(path, beginning)
    is_changed = sha256 is not None and sha256 != _sha256(path)
    if not is_ours or is_changed:
        raise ValueError(
            f"{path} is not as this version of sbnn has written it; move or delete it, or give "
            "another path"
        )


def _begins_with(path, beginning):
    """Whether a file, which may be compressed, matches a regular expression, or is empty."""
    with path.open("rb") as file:
        content = file.read(BYTES_OF_BEGINNING)
    with suppress(lzma.LZMAError):
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        content = decompressor.decompress(content, max_length=BYTES_OF_BEGINNING) or content
    return not content or re.match(beginning, content, re.DOTALL) is not None


def _sha256(path):
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


@contextmanager
def _temporary_file(path, beginning):
    """Temporary file for what is to replace a file, and the path of the file itself."""
    refuse_device(path)
    target = Path(path).resolve()  # the file, not a link to it, is replaced
    refuse_other_file(target, beginning)
    target.parent.mkdir(parents=True, exist_ok=True)
    # another process may write the same file at the same time; the later one wins
    # and it is short, as names may be the longest, with the ending by which writers know formats
    temporary = target.with_name(f".{uuid.uuid4().hex}.tmp{target.suffix}")
    try:
        temporary.touch()
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        yield temporary, target
    except OSError as error:
        message = f"cannot write {target}: {error.strerror}; an existing file is left unchanged"
        raise type(error)(error.errno, message) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _replace(temporary, target):
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, target)


def refuse_device(path: str | PathLike[str]) -> None:
    """Reject a path that can be no file; the system's error names one that is too long, or a loop.

    A device or pipe would be read without end, and replaced by a file.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError(f"{path} is a device, pipe or socket; give the path of a file")
