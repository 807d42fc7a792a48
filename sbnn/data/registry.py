"""Published files: `sources.csv` has their checksums and addresses; each file is verified whenever it is used."""

import csv
import hashlib
import os
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import NamedTuple
from urllib.parse import urlsplit

import pooch
from filelock import FileLock

from sbnn.errors import attempt

#: Seconds without a single byte (including name look-up and connection) after which a server counts
#: as unreachable.
TIMEOUT = 3.0
#: Header that requests the file itself from GitHub's blob addresses, which otherwise wrap the file
#: in JSON.
_HEADERS = {"Accept": "application/vnd.github.raw+json, */*"}


class DataFile(NamedTuple):
    """A published file; if its sha256 has not been published, the file is verified by its git blob id, `git_sha1`."""

    name: str
    folder: str  # subfolder of each place that is searched
    source: str  # page from which it can be downloaded by hand
    size: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None
    url: str | None = None  # stable address of exactly this version; None if there is none


class FoundFile(NamedTuple):
    """A verified file, its sha256 and the place that held it, such as ``"$SBNN_DATA"``."""

    path: Path
    sha256: str
    place: str


class DataIntegrityError(ValueError):
    """Error for a truncated or altered file: its checksum differs from the published checksum."""


with Path(__file__).with_name("sources.csv").open(newline="") as _table:
    _rows = [{key: value or None for key, value in row.items()} for row in csv.DictReader(_table)]
#: Every file that can be found by name.
FILES = {row["name"]: DataFile(**row | {"size": row["size"] and int(row["size"])}) for row in _rows}


def find_file(name: str, path=None, *, download: bool = True, verbose: bool = True) -> Path:
    """Find or download one file of `FILES`; `path` is a folder to search first, or the file itself under any name."""
    return Search(path, download, verbose).find([name])[name].path


class Search(NamedTuple):
    """A search for files, first in `path`; missing files are downloaded if `download` is True."""

    path: str | Path | None = None
    download: bool = True
    verbose: bool = True

    def find(self, names) -> dict[str, FoundFile]:
        """Find or download files and verify each; the first failed download ends the search.

        A file with the right name but different content raises an error wherever it is found, since
        it was put there to be used.
        """
        names, places = list(names), search_places(self.path)
        located = {name: locate_file(FILES[name], places) for name in names}
        found = {
            name: FoundFile(at[0], check_file(FILES[name], at[0]), at[1])
            for name, at in located.items()
            if at
        }
        missing = [FILES[name] for name in names if name not in found]
        without_address = [f"{file.folder}/{file.name}" for file in missing if file.url is None]
        reason = "" if self.download else "downloading was switched off (download=False)"
        if without_address:
            reason = f"no download address is known for {', '.join(without_address)}"
        elif missing and places["cache"] is None:
            reason = "there is no folder to download to, since the home folder of the user is unknown; set HOME"
        while missing and not reason:
            file, target = missing[0], places["cache"] / missing[0].folder / missing[0].name
            try:
                found[file.name] = download_file(file, target, verbose=self.verbose)
                missing.pop(0)
            except OSError as error:
                # requests wraps it
                cause = getattr(error.args[0] if error.args else None, "reason", error)
                text = (
                    str(cause) or f"no response for {TIMEOUT:g} s; is there a network connection?"
                )
                reason = f"downloading {file.name} from {urlsplit(file.url).netloc} failed: {text}"
        if missing:
            looked = "\n".join(
                f"  {place}: {folder or 'not set'}" for place, folder in places.items()
            )
            sources = "\n".join(dict.fromkeys(f"  {file.source}" for file in missing))
            raise FileNotFoundError(
                f"cannot find {', '.join(f'{file.folder}/{file.name}' for file in missing)}\n"
                f"looked in (directly and in that subfolder):\n{looked}\nand {reason}\npublic source:\n{sources}\n"
                f"{'' if without_address else 'to fetch: sbnn data get ' + ' '.join(names) + ', or '}"
                "put the missing files into one of these places by hand (see data/README.md)"
            )
        return {name: found[name] for name in names}


def search_places(path=None) -> dict[str, Path | None]:
    """Map the local places to their folders (``None`` if not set), in the order in which they are searched."""
    own, checkout = os.environ.get("SBNN_DATA"), checkout_folder()
    places = (
        {}
        if path is None
        else {"path": attempt("path: expected a folder", Path, path).expanduser()}
    )
    places["$SBNN_DATA"] = Path(own).expanduser() if own else None
    if checkout is not None:
        places |= {
            "data/": checkout / "data",
            "../shared/data": checkout.parent / "shared" / "data",
        }
    return places | {"cache": cache_folder()}


def checkout_folder() -> Path | None:
    """Root of the checkout of the repository; ``None`` for an installed copy of the package."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() else None


def cache_folder() -> Path | None:
    """Folder for downloads in the user's cache; ``None`` if there is no home folder."""
    try:
        return Path(pooch.os_cache("sbnn"))
    except RuntimeError:
        return None


def locate_file(file: DataFile, places: dict[str, Path | None]) -> tuple[Path, str] | None:
    """Path and place of the copy of a file that would be used, or ``None`` if there is no copy.

    The file is not read.
    """
    for place, folder in places.items():
        if folder is not None:
            for path in (
                [folder]
                if folder.is_file()
                else [folder / file.folder / file.name, folder / file.name]
            ):
                if path.is_file():
                    return path, place
    return None


def check_file(file: DataFile, path, where: str | None = None) -> str:
    """Verify that `path` holds the published file and return its sha256; errors name `where`, by default the path."""
    with open(path, "rb") as content:
        sha256 = got = hashlib.file_digest(content, "sha256").hexdigest()
        size, kind, expected = content.tell(), "sha256", file.sha256
        if expected is None:
            content.seek(0)
            blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
            got, kind, expected = (
                hashlib.file_digest(content, lambda: blob).hexdigest(),
                "git blob sha1",
                file.git_sha1,
            )
    if got != expected:
        state = "truncated" if file.size is not None and size < file.size else "altered"
        bytes_expected = "" if file.size is None else f"{file.size} bytes and "
        raise DataIntegrityError(
            f"{where or path} is {state}: expected {bytes_expected}{kind} {expected}, found {size} bytes and {kind} "
            f"{got}. {'Try again or' if where else 'Delete it and'} get the published file {file.name} ({file.source})"
        )
    return sha256


def download_file(file: DataFile, target: Path, *, verbose: bool = True) -> FoundFile:
    """Download a file, which gets its final name only once it is complete and verified.

    If another process is downloading the same file, this process waits and then uses the downloaded
    file.
    """
    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")) as lock:
        try:
            if not target.is_file():  # otherwise another process has downloaded the file meanwhile
                if verbose:
                    print(
                        f"downloading {file.name} from {urlsplit(file.url).netloc} to {target.parent}"
                    )
                _fetch(file.url, part, verbose)
                check_file(file, part, where=f"the download from {file.url}")
                part.replace(target)
        finally:
            part.unlink(missing_ok=True)
            with suppress(OSError):
                # deleted while the lock is held, so that a waiting process notices
                os.unlink(lock.lock_file)
    return FoundFile(target, check_file(file, target), "download")


def _fetch(url: str, output: Path, progressbar: bool) -> None:
    """Download from a URL to a file; raise TimeoutError if no byte arrives for `TIMEOUT` seconds.

    Socket timeouts do not cover name look-up and apply to each address of a host separately, so on
    a network that drops packets a download could block for minutes. The download therefore runs in
    a thread that can be abandoned.
    """
    done: Future = Future()
    with open(output, "wb", buffering=0) as sink:

        def work() -> None:
            try:
                pooch.HTTPDownloader(timeout=TIMEOUT, progressbar=progressbar, headers=_HEADERS)(
                    url, sink, None
                )
                done.set_result(None)
            except Exception as error:
                done.set_exception(error)

        Thread(target=work, daemon=True).start()
        written = -1
        while not done.done() and sink.tell() != written:
            written = sink.tell()
            wait([done], TIMEOUT)
    done.result(timeout=0)
