"""Published files of `sources.csv`, verified when used."""

import csv
import hashlib
import os
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import pooch
from filelock import FileLock

#: Seconds without a byte.
TIMEOUT = 3.0
#: GitHub's blob addresses otherwise wrap the file in JSON.
_HEADERS = {"Accept": "application/vnd.github.raw+json, */*"}


class DataFile(NamedTuple):
    """A published file, with its sha256 or git blob id."""

    name: str
    folder: str  # subfolder of each place
    source: str  # page to download it by hand
    size: int = 0  # 0 if unknown
    sha256: str = ""
    git_sha1: str = ""
    url: str = ""  # stable address of this version; may be empty


class FoundFile(NamedTuple):
    """A verified file and its place, such as ``"$SBNN_DATA"``."""

    path: Path
    sha256: str
    place: str


class DataIntegrityError(ValueError):
    """A file differs from its checksum."""


def rows_of(name: str) -> list[dict[str, str]]:
    """Rows of a table beside this module."""
    with Path(__file__).with_name(name).open(newline="") as table:
        return list(csv.DictReader(table))


def _read_files():
    files = {}
    for row in rows_of("sources.csv"):
        row["size"] = int(row["size"] or 0)
        files[row["name"]] = DataFile(**row)
    return files


FILES = _read_files()


def find_file(name: str, path=None, *, download: bool = True, verbose: bool = True) -> Path:
    """Find or download one of `FILES`, first in or at `path`."""
    return Search(path, download, verbose).find([name])[name].path


class Search(NamedTuple):
    """A search for files, first in `path`, with or without `download`."""

    path: str | Path | None = None
    download: bool = True
    verbose: bool = True

    def find(self, names) -> dict[str, FoundFile]:
        """Find or download files and verify each."""
        places = search_places(self.path)
        found = dict.fromkeys(names)
        missing = []
        for name in found:
            file = FILES[name]
            located = locate_file(file, places)
            if located is None:
                missing.append(file)
            else:
                path, place = located
                found[name] = FoundFile(path, check_file(file, path), place)
        try:
            self._require_addresses(missing, places)
            while missing:
                file = missing[0]
                target = places["cache"] / file.folder / file.name
                found[file.name] = download_file(file, target, verbose=self.verbose)
                missing.pop(0)
        except OSError as error:
            raise FileNotFoundError(_not_found(missing, places, error)) from error
        return found

    def _require_addresses(self, missing, places):
        unknown = [file.name for file in missing if not file.url]
        if unknown:
            raise FileNotFoundError(f"no download address is known for {', '.join(unknown)}")
        if missing and not self.download:
            raise FileNotFoundError("downloading was switched off (download=False)")
        if missing and "cache" not in places:
            raise FileNotFoundError("there is no folder to download to; set HOME")


def _not_found(missing, places, error) -> str:
    wanted = "\n".join(f"  {file.folder}/{file.name} from {file.source}" for file in missing)
    looked = "\n".join(f"  {place}: {folder}" for place, folder in places.items())
    return (
        f"cannot find these files:\n{wanted}\n"
        f"looked in (directly and in that subfolder):\n{looked}\n"
        f"and cannot download them: {error}\n"
        "put the missing files into one of these places by hand (see data/README.md)"
    )


def search_places(path=None) -> dict[str, Path]:
    """Folders of local places, in the order of the search."""
    places = {}
    if path is not None:
        places["path"] = Path(path).expanduser()
    if os.environ.get("SBNN_DATA"):
        places["$SBNN_DATA"] = Path(os.environ["SBNN_DATA"]).expanduser()
    checkout = checkout_folder()
    if checkout is not None:
        places["data/"] = checkout / "data"
        places["../shared/data"] = checkout.parent / "shared" / "data"
    cache = cache_folder()
    if cache is not None:
        places["cache"] = cache
    return places


def checkout_folder() -> Path | None:
    """Root of the checkout of the repository; ``None`` for an installed copy."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() else None


def cache_folder() -> Path | None:
    """Folder in the user's cache; ``None`` without a home folder."""
    try:
        return Path(pooch.os_cache("sbnn"))
    except RuntimeError:
        return None


def locate_file(file: DataFile, places: dict[str, Path]) -> tuple[Path, str] | None:
    """Path and place of a file, or ``None``; it is not read."""
    for place, folder in places.items():
        for path in (folder, folder / file.folder / file.name, folder / file.name):
            if path.is_file():
                return path, place
    return None


def check_file(file: DataFile, path) -> str:
    """Verify the published file at `path` and return its sha256."""
    with open(path, "rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
        size = content.tell()
        content.seek(0)
        blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)  # as git names it
        git_sha1 = hashlib.file_digest(content, lambda: blob).hexdigest()
    expected = file.sha256 or file.git_sha1
    if expected not in (found, git_sha1):
        state = "truncated" if size < file.size else "altered"
        raise DataIntegrityError(
            f"{path} is {state}: expected {file.size} bytes and checksum {expected}, "
            f"found {size} bytes and sha256 {found}. Get the published file from {file.source}"
        )
    return found


def download_file(file: DataFile, target: Path, *, verbose: bool = True) -> FoundFile:
    """Download a file, which gets its name once it is verified."""
    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")) as lock:
        try:
            if not target.is_file():  # otherwise another process has downloaded it
                if verbose:
                    print(f"downloading {file.url} to {target.parent}")
                _fetch(file.url, part, verbose)
                check_file(file, part)
                part.replace(target)
        finally:
            part.unlink(missing_ok=True)
            with suppress(OSError):
                # while the lock is held, so that a waiting process notices
                os.unlink(lock.lock_file)
    return FoundFile(target, check_file(file, target), "download")


def _fetch(url: str, output: Path, progressbar: bool) -> None:
    """Download to a file; raise TimeoutError if no byte arrives for `TIMEOUT` seconds.

    Socket timeouts do not cover name look-up, so the download runs in a thread that can be
    abandoned.
    """
    download = pooch.HTTPDownloader(timeout=2 * TIMEOUT, progressbar=progressbar, headers=_HEADERS)
    done: Future = Future()
    with open(output, "wb", buffering=0) as sink:
        Thread(target=_run, args=(download, url, sink, done), daemon=True).start()
        written = -1
        while not done.done() and sink.tell() != written:
            written = sink.tell()
            wait([done], TIMEOUT)
    if not done.done():
        raise TimeoutError(f"no response from {url} for {TIMEOUT:g} s; is there a connection?")
    done.result()


def _run(download, url, sink, done):
    try:
        done.set_result(download(url, sink, None))
    except Exception as error:
        done.set_exception(error)
