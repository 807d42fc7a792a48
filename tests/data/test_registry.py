"""Published files: where they are found, how they are verified, and failing downloads."""

import re
from pathlib import Path

import pytest
from files import CONTENT, published, put, server

from sbnn.data import registry
from sbnn.data.datasets import DATASETS
from sbnn.data.registry import FILES, DataIntegrityError, Search, find_file


def test_places_are_searched_in_order(alone, monkeypatch):
    file = published(monkeypatch)
    checkout = alone / "repository" / "checkout"
    monkeypatch.setattr(registry, "checkout_folder", lambda: checkout)
    monkeypatch.setenv("SBNN_DATA", str(alone / "mine"))
    search = Search(alone / "given")
    folders = {
        "path": alone / "given",
        "$SBNN_DATA": alone / "mine",
        "data/": checkout / "data",
        "../shared/data": alone / "repository" / "shared" / "data",
        "cache": alone / "cache",
    }
    copies = [
        (place, put(folder / name))
        for place, folder in folders.items()
        for name in ("tiny/tiny.csv", "tiny.csv")
    ]
    for place, path in copies:
        assert search.find(["tiny.csv"]) == {"tiny.csv": (path, file.sha256, place)}
        path.unlink()
    with pytest.raises(FileNotFoundError, match="no download address is known for tiny.csv"):
        search.find(["tiny.csv"])
    renamed = put(alone / "renamed.csv")
    assert find_file("tiny.csv", renamed) == renamed


@pytest.mark.parametrize(
    ("content", "state"),
    [(CONTENT[:1000], "truncated"), (b"G" + CONTENT[1:], "altered"), (CONTENT + b"\n", "altered")],
)
def test_a_wrong_file_is_refused_and_not_passed_over(alone, monkeypatch, content, state):
    monkeypatch.setenv("SBNN_DATA", str(alone / "mine"))
    wrong = put(alone / "mine" / "tiny" / "tiny.csv", content)
    put(alone / "cache" / "tiny" / "tiny.csv")  # the right one, later in the order
    for sha256 in ({}, {"sha256": "", "git_sha1": "9ea2"}):
        published(monkeypatch, **sha256)
        with pytest.raises(DataIntegrityError, match=f"{wrong} is {state}"):
            find_file("tiny.csv")


def test_a_file_without_sha256_is_verified_by_git(tmp_path, monkeypatch):
    # the name that `git hash-object` gives to this text
    git_sha1 = "ce013625030ba8dba906f756967f9e9ca394464a"
    file = published(monkeypatch, content=b"hello\n")
    right = put(tmp_path / "a.txt", b"hello\n")
    assert registry.check_file(file._replace(sha256="", git_sha1=git_sha1), right) == file.sha256


def test_a_download_is_verified_and_kept(alone, monkeypatch, capsys):
    with server({"/tiny.csv": CONTENT}) as web:
        published(monkeypatch, url=web.url + "/tiny.csv")
        path = find_file("tiny.csv", verbose=False)
        assert path == alone / "cache" / "tiny" / "tiny.csv"
        assert path.read_bytes() == CONTENT
        assert find_file("tiny.csv") == path
        assert web.asked == ["/tiny.csv"]
        assert "raw" in web.accepted, "else GitHub's blobs come as JSON"
    assert capsys.readouterr() == ("", "")


def test_a_missing_page_and_a_silent_server_leave_nothing(alone, monkeypatch):
    monkeypatch.setattr(registry, "TIMEOUT", 0.2)
    names = ["one.csv", "two.csv"]
    with server({f"/{name}": None for name in names}) as web:
        for name in ("tiny.csv", *names):
            published(monkeypatch, name, url=f"{web.url}/{name}")
        with pytest.raises(FileNotFoundError, match=r"(?s)tiny.csv.*looked in.*: 404"):
            find_file("tiny.csv", verbose=False)
        with pytest.raises(FileNotFoundError, match=r"(?s)one.csv.*two.csv.*no response from"):
            Search(verbose=False).find(names)
        with pytest.raises(FileNotFoundError, match="download=False"):
            find_file("one.csv", download=False)
        assert web.asked == ["/tiny.csv", "/one.csv"], "a silent one is asked once"
    assert not [path for path in (alone / "cache").rglob("*") if path.is_file()]


def test_every_file_can_be_verified_and_traced():
    readme = (Path(__file__).parents[2] / "data" / "README.md").read_text()
    # a version that cannot change: at a commit, or the content by its git blob id
    raw = r"https://raw.githubusercontent.com/([\w-]+/[\w-]+)/[0-9a-f]{40}/"
    blob = r"https://api.github.com/repos/([\w-]+/[\w-]+)/git/blobs/([0-9a-f]{40})"
    for name, file in FILES.items():
        assert file.name == name
        assert len(file.sha256) == 64 or len(file.git_sha1) == 40
        assert f"{file.folder}/" in readme and name.rsplit("/")[-1] in readme
        if file.url:
            found = re.match(raw, file.url) or re.match(blob, file.url)
            assert f"https://github.com/{found[1]} " in file.source
            assert file.git_sha1 in ("", found[found.lastindex])
    for name, dataset in DATASETS.items():
        assert {*dataset.files, *dataset.instead.values()} <= FILES.keys()
        assert f'"{name}"' in readme
        assert dataset.instead.keys() <= {*dataset.files}
