"""Which data sets and files are here, and in what state: what ``sbnn data`` tells."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sbnn.data.catalogue import DATASETS, find_dataset
from sbnn.data.registry import DataIntegrityError, FoundFile, check_file, find_files, locate_file, search_places
from sbnn.data.sources import FILES


class DatasetState(NamedTuple):
    """What `list_datasets` tells of a data set.

    Attributes
    ----------
    name, about : str
    state : {"here", "here in part", "downloadable", "to be fetched by hand", "made here"}
        ``"here"`` when every file is found, whether intact or not (that is for `check_files`); ``"here in part"`` when
        another file stands in for one that is not.
    missing : tuple of str
        Files that no place holds.
    """

    name: str
    about: str
    state: str
    missing: tuple[str, ...]


class FileState(NamedTuple):
    """What `check_files` tells of a file.

    Attributes
    ----------
    name : str
    state : {"ok", "corrupt", "absent"}
    path : Path or None
        The copy that was read; ``None`` for a file that no place holds.
    detail : str
        What is wrong with a corrupt file, else empty.
    """

    name: str
    state: str
    path: Path | None
    detail: str


def list_datasets(path=None) -> list[DatasetState]:
    """Tell of every data set what it is and whether its files are here. Nothing is read or downloaded.

    Parameters
    ----------
    path : path-like, optional
        Folder to look in first.

    Returns
    -------
    list of DatasetState
        In the order of `DATASETS`.
    """
    places = search_places(None if path is None else Path(path).expanduser())

    def is_here(file: str) -> bool:
        return locate_file(FILES[file], places) is not None

    states = []
    for name, dataset in DATASETS.items():
        missing = tuple(file for file in dataset.files if not is_here(file))
        needed = [dataset.instead.get(file, file) for file in missing]
        if not dataset.files:
            state = "made here"
        elif all(map(is_here, needed)):
            state = "here in part" if missing else "here"
        elif all(FILES[file].url for file in needed if not is_here(file)):
            state = "downloadable"
        else:
            state = "to be fetched by hand"
        states.append(DatasetState(name, dataset.about, state, missing))
    return states


def get_files(names: Iterable[str], path=None, *, download: bool = True, verbose: bool = True) -> dict[str, FoundFile]:
    """Find or download the files of data sets, verified.

    Parameters
    ----------
    names : iterable of str
        Data sets, or files of the registry.
    path, download, verbose
        As for `load_dataset`.

    Returns
    -------
    dict of str to FoundFile

    Raises
    ------
    ValueError
        A name that is neither.
    FileNotFoundError, DataIntegrityError
        As for `load_dataset`.

    Warns
    -----
    UserWarning
        Where another file stands in for one that cannot be had.
    """
    names = list(names)
    _require_known(names)
    found: dict[str, FoundFile] = {}
    for name in names:
        if name in FILES:
            found |= find_files([name], path, download=download, verbose=verbose)
        elif DATASETS[name].files:
            found |= find_dataset(name, path, download=download, verbose=verbose)
    return found


def check_files(names: Iterable[str] = (), path=None) -> list[FileState]:
    """Read the files that are here and compare their checksums. Nothing is downloaded.

    Parameters
    ----------
    names : iterable of str
        Data sets, or files of the registry; all files by default.
    path : path-like, optional
        Folder to look in first.

    Returns
    -------
    list of FileState
        Of each file the copy that would be used.

    Raises
    ------
    ValueError
        A name that is neither.
    """
    names = list(names)
    _require_known(names)
    listed = [file for name in names for file in ((name,) if name in FILES else _all_files(name))] if names else FILES
    places = search_places(None if path is None else Path(path).expanduser())
    states = []
    for name in dict.fromkeys(listed):
        located = locate_file(FILES[name], places)
        if located is None:
            states.append(FileState(name, "absent", None, ""))
            continue
        try:
            check_file(FILES[name], located[0])
        except DataIntegrityError as error:
            states.append(FileState(name, "corrupt", located[0], str(error)))
        else:
            states.append(FileState(name, "ok", located[0], ""))
    return states


def _all_files(name: str) -> tuple[str, ...]:
    return (*DATASETS[name].files, *DATASETS[name].instead.values())


def _require_known(names: list[str]) -> None:
    unknown = [name for name in names if name not in DATASETS and name not in FILES]
    if unknown:
        raise ValueError(
            f"unknown name(s) {unknown}; the data sets are {', '.join(DATASETS)}, the files {', '.join(FILES)}"
        )


def main(arguments: list[str] | None = None, prog="sbnn data") -> int:
    """Run ``sbnn data``.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of the command line.
    prog : str
        What the help calls the command.

    Returns
    -------
    int
        Exit status, 1 when a file cannot be had or is corrupt.
    """
    parser = argparse.ArgumentParser(prog=prog, description="List, fetch or check the data sets.")
    commands = parser.add_subparsers(required=True, dest="command")
    about = {
        "list": "name the data sets and say which are here",
        "get": "find or download the files of data sets, verified",
        "check": "read the files that are here and compare their checksums",
    }
    for command, help in about.items():
        subparser = commands.add_parser(command, help=help)
        subparser.add_argument("--path", help="folder to look in first")
        if command != "list":
            several = "+" if command == "get" else "*"
            subparser.add_argument("names", nargs=several, metavar="name", help="data set, or file of the registry")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "list":
            for dataset in list_datasets(chosen.path):
                lacks = f", lacks {', '.join(dataset.missing)}" if dataset.missing else ""
                print(f"{dataset.name}: {dataset.about} [{dataset.state}{lacks}]")
        elif chosen.command == "get":
            for file in get_files(chosen.names, chosen.path).values():
                print(f"{file.path}  sha256 {file.sha256}")
        else:
            states = check_files(chosen.names, chosen.path)
            for file in states:
                print("  ".join(filter(None, (f"{file.state:7}", file.name, file.detail or str(file.path or "")))))
            return int(any(file.state == "corrupt" for file in states))
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
