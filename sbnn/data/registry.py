"""How a file that a data set is made of is found, checked and, if need be, downloaded.

A file is taken from the first of these places that holds it:

1. the `path` the caller gave, 2. ``$SBNN_DATA``, 3. ``data/`` in the checkout, 4. ``../shared/data`` beside it,
5. the local cache, 6. its public source (stored in the cache).

Its checksum is verified wherever it comes from. A file of the right name with other content is an error in every
place rather than a reason to look further: whoever put it there believes that it is used, and would otherwise never
learn that it is not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import NamedTuple
from urllib.parse import urlsplit

import pooch
from filelock import FileLock

from sbnn.data.sources import FILES, DataFile

#: Seconds without a single byte after which a server counts as unreachable (name look-up and connection included).
TIMEOUT = 3.0
#: What GitHub's blob addresses are asked for: the file itself, which they would otherwise wrap in JSON.
_HEADERS = {"Accept": "application/vnd.github.raw+json, */*"}


class DataIntegrityError(ValueError):
    """A file is truncated or altered: its checksum is not that of the published file."""


class FoundFile(NamedTuple):
    """Where a file was found.

    Attributes
    ----------
    path : Path
        The file, verified.
    sha256 : str
        Of its content.
    place : str
        The place that held it, as in ``"$SBNN_DATA"``.
    """

    path: Path
    sha256: str
    place: str


def find_file(name: str, path=None, *, download: bool = True, verbose: bool = True) -> Path:
    """Find one published file, or download it, and verify it.

    Parameters
    ----------
    name : str
        A key of `FILES`.
    path : path-like, optional
        The file itself (under any name), or a folder to look in first.
    download : bool
        Whether to go to the public source when no place holds the file.
    verbose : bool
        Whether to tell of a download.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        An unknown name.
    FileNotFoundError
        No place holds the file and it cannot be downloaded; the message says what to do.
    DataIntegrityError
        The file is truncated or altered.
    """
    return find_files([name], path, download=download, verbose=verbose)[name].path


def find_files(names: Iterable[str], path=None, *, download: bool = True, verbose: bool = True, hint: str = ""):
    """Find several published files, or download them, and verify each.

    The first download that fails ends the search: an unreachable host is asked once, not once for every file.

    Parameters
    ----------
    names : iterable of str
        Keys of `FILES`.
    path : path-like, optional
        A folder to look in first, or the file itself if there is but one.
    download, verbose
        As for `find_file`.
    hint : str
        What the fetching command is to be called with, by default the names.

    Returns
    -------
    dict of str to FoundFile
        In the order of `names`.

    Raises
    ------
    ValueError, FileNotFoundError, DataIntegrityError
        As for `find_file`.
    """
    names = list(names)
    unknown = [name for name in names if name not in FILES]
    if unknown:
        raise ValueError(f"unknown file(s) {unknown}; the registry holds {sorted(FILES)}")
    if path is not None:
        path = Path(path).expanduser()
        if not path.exists():
            raise FileNotFoundError(f"path: there is no folder or file {str(path)!r}")
        if path.is_file() and len(names) > 1:
            raise ValueError(f"path must be a folder that holds {', '.join(names)}, got the file {str(path)!r}")
    places = search_places(path)
    found = {name: _look_for(FILES[name], places) for name in names}
    missing = [FILES[name] for name in names if found[name] is None]
    reason = "" if download else "downloading was switched off (download=False)"
    if any(file.url is None for file in missing):
        reason = "no address to download from is known for " + _listed(f for f in missing if f.url is None)
    for file in list(missing):
        if reason:
            break
        cache = places["cache"]
        if cache is None:
            reason = (
                "there is no folder to download to, since the home of the user is not known: set HOME or $SBNN_DATA"
            )
            break
        target = cache / file.folder / file.name
        try:
            found[file.name] = download_file(file, target, verbose=verbose)
        except OSError as error:
            reason = f"downloading {file.name} from {urlsplit(file.url).netloc} failed: {_cause(error)}"
            if kept := _size(_part_of(target)):
                reason += f"; its first {kept} bytes are kept, the same command goes on from there"
        else:
            missing.remove(file)
    if missing:
        raise FileNotFoundError(_how_to_get(missing, places, reason, hint or " ".join(names)))
    return found


def search_places(path: Path | None = None) -> dict[str, Path | None]:
    """List the local places in the order they are searched; ``None`` for one that is not set."""
    shared = os.environ.get("SBNN_DATA")
    places = {} if path is None else {"path": path}
    places["$SBNN_DATA"] = Path(shared).expanduser() if shared else None
    checkout = checkout_folder()
    if checkout is not None:
        places["data/"] = checkout / "data"
        places["../shared/data"] = checkout.parent / "shared" / "data"
    places["cache"] = cache_folder()
    return places


def checkout_folder() -> Path | None:
    """Tell where the repository is checked out; ``None`` for an installed copy of the package."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() else None


def cache_folder() -> Path | None:
    """Tell where downloads are kept: the cache folder of the operating system; ``None`` where nobody has a home."""
    try:
        return Path(pooch.os_cache("sbnn"))
    except RuntimeError:
        return None


def check_file(file: DataFile, path, where: str | None = None) -> str:
    """Verify that a file is the published one.

    Parameters
    ----------
    file : DataFile
        What it should be.
    path : path-like
        The file to read.
    where : str, optional
        How the message calls it, by default `path`.

    Returns
    -------
    str
        Hexadecimal sha256 of the content.

    Raises
    ------
    DataIntegrityError
        With expected and found size and checksum.
    """
    size = Path(path).stat().st_size
    sha256, git_sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with open(path, "rb") as content:
        while chunk := content.read(2**20):
            sha256.update(chunk)
            git_sha1.update(chunk)
    if file.sha256:
        kind, expected, got = "sha256", file.sha256, sha256.hexdigest()
    else:
        kind, expected, got = "git blob sha1", file.git_sha1, git_sha1.hexdigest()
    if got != expected:
        state = "truncated" if file.size is not None and size < file.size else "altered"
        bytes_expected = "" if file.size is None else f"{file.size} bytes and "
        raise DataIntegrityError(
            f"{where or path} is {state}: expected {bytes_expected}{kind} {expected}, found {size} bytes and {kind} "
            f"{got}. Delete it or replace it by the published file ({file.source}); to work on data of your own, "
            f"build a PairedData from it."
        )
    return sha256.hexdigest()


def download_file(file: DataFile, target: Path, *, verbose: bool = True) -> FoundFile:
    """Download a file; it appears under its name only once it is complete and verified.

    What has come is kept beside it, as ``<name>.part``: an interrupted download goes on where it stopped. Of two
    processes the second waits, and takes what the first has got.

    Parameters
    ----------
    file : DataFile
        With a `url`.
    target : Path
        Where to put it. Folders are made.
    verbose : bool
        Whether to print a line and show progress.

    Returns
    -------
    FoundFile

    Raises
    ------
    OSError
        Nothing came within `TIMEOUT` seconds, the server refused, or the target cannot be written.
    DataIntegrityError
        What came is not the published file; nothing is kept.
    """
    part = _part_of(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")) as lock:
        try:
            if not target.is_file():  # else another process has got it meanwhile
                if verbose:
                    print(f"downloading {file.name} from {urlsplit(file.url).netloc} to {target.parent}")
                _complete(part, file, verbose)
                part.replace(target)
        finally:
            if part.is_file() and not _size(part):
                part.unlink()
            with suppress(OSError):
                os.unlink(lock.lock_file)  # while it is held: who waits for it notices
    return FoundFile(target, check_file(file, target), "download")


def _complete(part: Path, file: DataFile, verbose: bool) -> None:
    """Fetch what is missing, and verify the whole; anew where the two do not fit together."""
    resumed = _size(part) > 0
    _fetch(file.url, part, progressbar=verbose)
    try:
        check_file(file, part, where=f"the download from {file.url}")
    except DataIntegrityError:
        part.unlink()
        if not resumed:
            raise
        _complete(part, file, verbose)


def _part_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _fetch(url: str, output: Path, progressbar: bool) -> None:
    """Stream an address into a file, from where the file ends, and give up when no byte arrives for `TIMEOUT` seconds.

    The timeouts of sockets do not cover the look-up of a name and hold for each address of a host, so a network that
    swallows packets costs minutes. A thread that can be abandoned bounds the whole.
    """
    errors: list[Exception] = []
    with open(output, "ab", buffering=0) as sink:
        there = sink.tell()
        rest = {"Range": f"bytes={there}-", "Accept-Encoding": "identity"} if there else {}

        def begin(response, **_) -> None:
            if response.status_code == 200:  # all of it, whatever was asked for
                sink.truncate(0)

        def work() -> None:
            options = {"headers": _HEADERS | rest, "hooks": {"response": begin}}
            try:
                pooch.HTTPDownloader(timeout=TIMEOUT, progressbar=progressbar, **options)(url, sink, None)
            except Exception as error:  # handed to the waiting thread, which raises it
                if getattr(getattr(error, "response", None), "status_code", None) != 416:  # there is no more to send
                    errors.append(error)

        worker = Thread(target=work, daemon=True)
        worker.start()
        written = -1
        while worker.is_alive() and sink.tell() != written:
            written = sink.tell()
            worker.join(TIMEOUT)
        if worker.is_alive():
            raise TimeoutError(f"nothing came from {urlsplit(url).netloc} for {TIMEOUT:g} s; is there a network?")
    if errors:
        raise errors[0]


def locate_file(file: DataFile, places: dict[str, Path | None]) -> tuple[Path, str] | None:
    """Tell path and place of the copy of a file that would be used, without reading it; ``None`` where there is none.

    Parameters
    ----------
    file : DataFile
    places : dict of str to Path or None
        As `search_places` gives them.

    Returns
    -------
    tuple of Path and str, or None
    """
    for place, folder in places.items():
        if folder is None:
            continue
        candidates = [folder] if folder.is_file() else [folder / file.folder / file.name, folder / file.name]
        for path in candidates:
            if path.is_file():
                return path, place
    return None


def _look_for(file: DataFile, places: dict[str, Path | None]) -> FoundFile | None:
    located = locate_file(file, places)
    return None if located is None else FoundFile(located[0], check_file(file, located[0]), located[1])


def _how_to_get(missing: list[DataFile], places: dict[str, Path | None], reason: str, hint: str) -> str:
    looked = "\n".join(f"  {place}: {folder or 'not set'}" for place, folder in places.items())
    sources = "\n".join(dict.fromkeys(f"  {file.source}" for file in missing))
    return (
        f"cannot find {_listed(missing)}\n"
        f"looked in (with that folder and without):\n{looked}\n"
        f"and {reason}\n"
        f"public source:\n{sources}\n"
        f"to fetch: sbnn data get {hint}\n"
        f"or put the file(s) into one of these places by hand (data/README.md)"
    )


def _listed(files: Iterable[DataFile]) -> str:
    return ", ".join(f"{file.folder}/{file.name}" for file in files)


def _cause(error: OSError) -> object:
    """Take what a person wants to know out of the wrapping that requests puts around it."""
    return getattr(error.args[0] if error.args else None, "reason", error)
