import re
from pathlib import Path

import pytest
from files import CONTENT, published, put, server

from sbnn.data import registry
from sbnn.data.datasets import DATASETS
from sbnn.data.registry import FILES, DataFile, DataIntegrityError, Search, find_file

# --- finding


def test_places_are_searched_in_order(alone, monkeypatch):
    published(monkeypatch)
    checkout = alone / "repository" / "checkout"
    monkeypatch.setattr(registry, "checkout_folder", lambda: checkout)
    monkeypatch.setenv("SBNN_DATA", str(alone / "mine"))
    folders = {"path": alone / "given", "$SBNN_DATA": alone / "mine", "data/": checkout / "data"}
    folders |= {
        "../shared/data": alone / "repository" / "shared" / "data",
        "cache": alone / "cache",
    }
    inside = ("tiny/tiny.csv", "tiny.csv")
    for place, path in [
        (place, put(folder / name)) for place, folder in folders.items() for name in inside
    ]:
        found = Search(alone / "given").find(["tiny.csv"])["tiny.csv"]
        assert (found.place, found.path) == (place, path)
        assert found.sha256 == FILES["tiny.csv"].sha256
        path.unlink()
    with pytest.raises(FileNotFoundError, match="no download address is known for tiny.csv"):
        Search(alone / "given").find(["tiny.csv"])


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (CONTENT[:1000], "truncated"),
        (b"G" + CONTENT[1:], "altered"),
        (CONTENT + b"\n", "altered"),
        (b"", "truncated"),
    ],
)
def test_a_wrong_file_is_refused_and_not_passed_over(alone, monkeypatch, content, state):
    published(monkeypatch)
    monkeypatch.setenv("SBNN_DATA", str(alone / "mine"))
    wrong = put(alone / "mine" / "tiny" / "tiny.csv", content)
    put(alone / "cache" / "tiny" / "tiny.csv")  # the right one, later in the order
    with pytest.raises(DataIntegrityError, match=f"{wrong} is {state}"):
        find_file("tiny.csv")


TEXT = DataFile(
    "a.txt",
    "sub",
    "https://example.org",
    6,
    sha256="5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
)


def test_a_file_is_in_the_folder_of_its_data_set_or_beside(tmp_path):
    places = {"path": tmp_path, "cache": None}
    assert registry.locate_file(TEXT, places) is None
    beside = put(tmp_path / "a.txt", b"hello\n")
    assert registry.locate_file(TEXT, places) == (beside, "path")
    inside = put(tmp_path / "sub" / "a.txt", b"hello\n")
    assert registry.locate_file(TEXT, places) == (inside, "path")
    renamed = put(tmp_path / "other", b"hello\n")
    places = {"$SBNN_DATA": None, "path": renamed}
    assert registry.locate_file(TEXT, places) == (renamed, "path")


def test_a_file_without_sha256_is_verified_by_git(tmp_path):
    # the name that `git hash-object` gives to this text
    by_git = TEXT._replace(sha256=None, git_sha1="ce013625030ba8dba906f756967f9e9ca394464a")
    right = put(tmp_path / "a.txt", b"hello\n")
    wrong = put(tmp_path / "b.txt", b"hullo\n")
    for file in (TEXT, by_git):
        assert registry.check_file(file, right) == TEXT.sha256
        with pytest.raises(DataIntegrityError, match="here is altered"):
            registry.check_file(file, wrong, "here")
        with pytest.raises(DataIntegrityError, match="b.txt is truncated"):
            registry.check_file(file._replace(size=7), wrong)


def test_the_given_folder_comes_first_and_the_cache_last():
    assert [*registry.search_places("here")][0] == "path"
    assert [*registry.search_places()][0] == "$SBNN_DATA"
    assert [*registry.search_places()][-1] == "cache"
    assert registry.search_places("~/x")["path"].is_absolute()


# --- downloading


def test_download_is_verified_and_kept(alone, monkeypatch, capsys):
    with server({"/tiny.csv": CONTENT}) as web:
        published(monkeypatch, url=web.url + "/tiny.csv")
        path = find_file("tiny.csv", verbose=False)
        assert path == alone / "cache" / "tiny" / "tiny.csv"
        assert path.read_bytes() == CONTENT
        assert find_file("tiny.csv") == path
        assert web.asked == ["/tiny.csv"]
        # else GitHub's blobs come as JSON
        assert web.accepted.startswith("application/vnd.github.raw+json")
    assert capsys.readouterr() == ("", "")


def test_a_missing_page_and_a_silent_server_leave_nothing(alone, monkeypatch):
    monkeypatch.setattr(registry, "TIMEOUT", 0.2)
    names = ["one.csv", "two.csv", "three.csv"]
    with server({f"/{name}": None for name in names}) as web:
        for name in ("tiny.csv", *names):
            published(monkeypatch, name, url=f"{web.url}/{name}")
        with pytest.raises(FileNotFoundError, match="downloading tiny.csv from .*failed: 404"):
            find_file("tiny.csv", verbose=False)
        with pytest.raises(
            FileNotFoundError, match="cannot find tiny/one.csv, tiny/two.csv, tiny/three.csv"
        ) as caught:
            Search(verbose=False).find(names)
        assert "downloading one.csv from 127.0.0.1" in str(caught.value)
        assert web.asked == ["/tiny.csv", "/one.csv"], "a silent one is asked once"
        with pytest.raises(
            FileNotFoundError, match=r"and downloading was switched off \(download=False\)\npublic"
        ):
            find_file("one.csv", download=False)
        monkeypatch.setattr(registry, "cache_folder", lambda: None)
        with pytest.raises(FileNotFoundError, match="there is no folder to download to"):
            find_file("one.csv")
    assert not [path for path in (alone / "cache").rglob("*") if path.is_file()]


# --- the registry


def test_every_file_can_be_verified_and_traced():
    readme = (Path(__file__).parents[2] / "data" / "README.md").read_text()
    version = r"https://(raw.githubusercontent.com|api.github.com/repos)/([\w-]+/[\w-]+)/(git/blobs/)?([0-9a-f]{40})"
    for name, file in FILES.items():
        assert file.name == name
        assert file.source.startswith("https://")
        digest, length = (file.sha256, 64) if file.sha256 else (file.git_sha1, 40)
        assert len(digest) == length
        assert set(digest) <= set("0123456789abcdef")
        assert f"{file.folder}/{file.name}" in readme
        assert digest in readme
        # a version that cannot change: at a commit, or the content by its git blob id
        if file.url is not None:
            host, repository, _, blob = re.match(version, file.url).groups()
            assert host.startswith("raw") or file.git_sha1 in (None, blob)
            assert f"https://github.com/{repository} " in file.source
    for name, dataset in DATASETS.items():
        assert {*dataset.files, *dataset.instead.values()} <= FILES.keys()
        assert f'"{name}"' in readme
        assert dataset.instead.keys() <= {*dataset.files}
