"""Published files, with checksums and addresses in `sources.csv`; each is verified when used."""

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

#: Seconds without a single byte (including name look-up and connection) after which a server counts
#: as unreachable.
TIMEOUT = 3.0
#: Header that requests the file itself from GitHub's blob addresses, which otherwise wrap the file
#: in JSON.
_HEADERS = {"Accept": "application/vnd.github.raw+json, */*"}


class DataFile(NamedTuple):
    """A published file; without a published sha256, it is verified by its git blob id."""

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


def _data_file(row):
    entries = {key: value or None for key, value in row.items()}
    if entries["size"]:
        entries["size"] = int(entries["size"])
    return DataFile(**entries)


with Path(__file__).with_name("sources.csv").open(newline="") as _table:
    #: Every file that can be found by name.
    FILES = {row["name"]: _data_file(row) for row in csv.DictReader(_table)}


def find_file(name: str, path=None, *, download: bool = True, verbose: bool = True) -> Path:
    """Find or download one of `FILES`, first in the folder `path`, or at `path` itself."""
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
        names = list(names)
        places = search_places(self.path)
        found = {}
        missing = []
        for name in names:
            file = FILES[name]
            located = locate_file(file, places)
            if located is None:
                missing.append(file)
            else:
                path, place = located
                found[name] = FoundFile(path, check_file(file, path), place)
        cache = places["cache"]
        obstacle = self._obstacle(missing, cache)
        while missing and not obstacle:
            file = missing[0]
            try:
                target = cache / file.folder / file.name
                found[file.name] = download_file(file, target, verbose=self.verbose)
                missing.pop(0)
            except OSError as error:
                server = urlsplit(file.url).netloc
                obstacle = f"downloading {file.name} from {server} failed: {error}"
        if missing:
            raise FileNotFoundError(_not_found(missing, places, obstacle))
        return {name: found[name] for name in names}

    def _obstacle(self, missing, cache) -> str:
        """Reason for which the missing files cannot be downloaded, or an empty text."""
        without_address = [file.name for file in missing if file.url is None]
        if without_address:
            return f"no download address is known for {', '.join(without_address)}"
        if not self.download:
            return "downloading was switched off (download=False)"
        if cache is None:
            return "there is no folder to download to; set HOME"
        return ""


def _not_found(missing, places, obstacle) -> str:
    wanted = ", ".join(f"{file.folder}/{file.name}" for file in missing)
    looked = "\n".join(f"  {place}: {folder or 'not set'}" for place, folder in places.items())
    sources = "\n".join(dict.fromkeys(f"  {file.source}" for file in missing))
    return (
        f"cannot find {wanted}\n"
        f"looked in (directly and in that subfolder):\n{looked}\n"
        f"and {obstacle}\n"
        f"public source:\n{sources}\n"
        "put the missing files into one of these places by hand (see data/README.md)"
    )


def search_places(path=None) -> dict[str, Path | None]:
    """Map the local places to their folders (``None`` if not set), in the order of the search."""
    places: dict[str, Path | None] = {}
    if path is not None:
        places["path"] = Path(path).expanduser()
    own = os.environ.get("SBNN_DATA")
    places["$SBNN_DATA"] = Path(own).expanduser() if own else None
    checkout = checkout_folder()
    if checkout is not None:
        places["data/"] = checkout / "data"
        places["../shared/data"] = checkout.parent / "shared" / "data"
    places["cache"] = cache_folder()
    return places


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
    """Path and place of the copy of a file that would be used, or ``None``; it is not read."""
    for place, folder in places.items():
        if folder is None:
            continue
        candidates = [folder / file.folder / file.name, folder / file.name]
        if folder.is_file():
            candidates = [folder]
        for path in candidates:
            if path.is_file():
                return path, place
    return None


def check_file(file: DataFile, path, where: str | None = None) -> str:
    """Verify that `path` holds the published file and return its sha256; errors name `where`."""
    with open(path, "rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
        size = content.tell()
        if file.sha256:
            right = found == file.sha256
        else:
            content.seek(0)
            right = _git_sha1(content, size) == file.git_sha1
    if not right:
        state = "altered"
        if file.size is not None and size < file.size:
            state = "truncated"
        expected = f"sha256 {file.sha256}" if file.sha256 else f"git blob {file.git_sha1}"
        raise DataIntegrityError(
            f"{where or path} is {state}: expected {file.size} bytes and {expected}, found {size} "
            f"bytes and sha256 {found}. Get the published file {file.name} ({file.source})"
        )
    return found


def _git_sha1(content, size) -> str:
    """Name under which git stores a file."""
    blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    return hashlib.file_digest(content, lambda: blob).hexdigest()


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
                    server = urlsplit(file.url).netloc
                    print(f"downloading {file.name} from {server} to {target.parent}")
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
    download = pooch.HTTPDownloader(timeout=TIMEOUT, progressbar=progressbar, headers=_HEADERS)
    done: Future = Future()
    with open(output, "wb", buffering=0) as sink:
        Thread(target=_run, args=(download, url, sink, done), daemon=True).start()
        written = -1
        while not done.done() and sink.tell() != written:
            written = sink.tell()
            wait([done], TIMEOUT)
    if not done.done():
        raise TimeoutError(f"no response for {TIMEOUT:g} s; is there a network connection?")
    done.result()


def _run(download, url, sink, done):
    """Download in a thread; errors are raised where the result of `done` is asked for."""
    try:
        done.set_result(download(url, sink, None))
    except Exception as error:
        done.set_exception(error)
