import gzip
import hashlib
import io
import runpy
import socket
import sys
import threading
import warnings
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn import inventory, registry
from sbnn.datasets import DATASETS, default_dataset, load_dataset, type_colors
from sbnn.fingerprint import fingerprint_files
from sbnn.registry import DataIntegrityError, find_file, find_files
from sbnn.sources import FILES, DataFile

FULL_COUNTS = "final_patch_seq_allcells_exon_allreads.zip"
CONTENT = b"gene,cell\nGad1,7\n" * 500


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """No data place but an empty cache, no proxy, and no way out of this machine."""
    for name in ("SBNN_DATA", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(registry, "checkout_folder", lambda: None)
    monkeypatch.setattr(registry, "cache_folder", lambda: tmp_path / "cache")
    connect = socket.socket.connect

    def connect_to_loopback(self, address):
        if address[0] not in ("127.0.0.1", "localhost"):
            raise OSError(f"no network in tests, wanted {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_to_loopback)
    return tmp_path


@pytest.fixture
def server():
    """A web server on this machine; ``bodies`` maps a path to what it serves, ``asked`` lists what was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            web.asked.append(self.path)
            web.accepted = self.headers["Accept"]
            body = web.bodies.get(self.path)
            if body == "silence":
                web.stop.wait(60)
                return
            if body is None:
                self.send_error(404)
                return
            promised = len(body)
            if isinstance(body, tuple):
                body, promised = body
            self.send_response(200)
            self.send_header("Content-Length", str(promised))
            self.end_headers()
            self.wfile.write(body)
            if self.path.endswith("stall"):
                self.wfile.flush()
                web.stop.wait(60)

        def log_message(self, *_):
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.daemon_threads = True
    web.asked, web.bodies, web.stop = [], {}, threading.Event()
    web.url = f"http://127.0.0.1:{web.server_port}"
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield web
    web.stop.set()
    web.shutdown()
    web.server_close()
    thread.join()


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


# --- finding


def test_places_are_searched_in_order(alone, monkeypatch):
    published(monkeypatch)
    checkout = alone / "repository" / "checkout"
    monkeypatch.setattr(registry, "checkout_folder", lambda: checkout)
    monkeypatch.setenv("SBNN_DATA", str(alone / "mine"))
    expected = [
        ("path", put(alone / "given" / "tiny" / "tiny.csv")),
        ("path", put(alone / "given" / "tiny.csv")),
        ("$SBNN_DATA", put(alone / "mine" / "tiny" / "tiny.csv")),
        ("$SBNN_DATA", put(alone / "mine" / "tiny.csv")),
        ("data/", put(checkout / "data" / "tiny" / "tiny.csv")),
        ("data/", put(checkout / "data" / "tiny.csv")),
        ("../shared/data", put(alone / "repository" / "shared" / "data" / "tiny" / "tiny.csv")),
        ("cache", put(alone / "cache" / "tiny" / "tiny.csv")),
    ]
    for place, path in expected:
        found = find_files(["tiny.csv"], alone / "given")["tiny.csv"]
        assert (found.place, found.path) == (place, path)
        assert found.sha256 == FILES["tiny.csv"].sha256
        path.unlink()
    with pytest.raises(FileNotFoundError):
        find_files(["tiny.csv"], alone / "given")


def test_path_may_be_the_file_under_another_name(alone, monkeypatch):
    published(monkeypatch)
    path = put(alone / "renamed.dat")
    assert find_file("tiny.csv", path) == path
    with pytest.raises(ValueError, match="path must be a folder that holds gene_counts.csv, ephys_values.csv"):
        load_dataset("scala", path)
    with pytest.raises(FileNotFoundError, match="no folder or file .*nowhere"):
        find_file("tiny.csv", alone / "nowhere")


def test_this_checkout_is_searched():
    root = Path(__file__).resolve().parents[1]
    places = registry.search_places()
    assert places["data/"] == root / "data"
    assert places["../shared/data"] == root.parent / "shared" / "data"
    assert list(places)[-1] == "cache"


@pytest.mark.parametrize(
    ("content", "state"),
    [(CONTENT[:1000], "truncated"), (b"G" + CONTENT[1:], "altered"), (CONTENT + b"\n", "altered"), (b"", "truncated")],
)
def test_a_wrong_file_is_refused_and_not_passed_over(alone, monkeypatch, content, state):
    file = published(monkeypatch)
    monkeypatch.setenv("SBNN_DATA", str(alone / "mine"))
    wrong = put(alone / "mine" / "tiny" / "tiny.csv", content)
    put(alone / "cache" / "tiny" / "tiny.csv")  # the right one, later in the order
    with pytest.raises(DataIntegrityError) as caught:
        find_file("tiny.csv")
    message = str(caught.value)
    assert f"{wrong} is {state}" in message
    assert f"expected {file.size} bytes and sha256 {file.sha256}" in message
    assert f"found {len(content)} bytes and sha256 {hashlib.sha256(content).hexdigest()}" in message


def test_a_file_known_by_its_git_blob_is_verified(alone, monkeypatch):
    # facts of git: `printf 'hello\n' | git hash-object --stdin`
    published(
        monkeypatch, content=b"hello\n", sha256=None, size=None, git_sha1="ce013625030ba8dba906f756967f9e9ca394464a"
    )
    path = put(alone / "cache" / "tiny.csv", b"hello\n")
    found = find_files(["tiny.csv"])["tiny.csv"]
    assert found.sha256 == hashlib.sha256(b"hello\n").hexdigest()
    path.write_bytes(b"hullo\n")
    with pytest.raises(DataIntegrityError, match="git blob sha1 ce013625030ba8dba906f756967f9e9ca394464a, found 6"):
        find_file("tiny.csv")


def test_an_unknown_file_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown file.*gene_count.csv.*gene_counts.csv"):
        find_file("gene_count.csv")


def test_the_error_tells_what_to_do(alone, monkeypatch):
    monkeypatch.setenv("SBNN_DATA", str(alone / "mine"))
    with pytest.raises(FileNotFoundError) as caught:
        load_dataset("scala", alone, download=False)
    message = str(caught.value)
    for expected in (
        "cannot find scala_2020/gene_counts.csv, scala_2020/ephys_values.csv, scala_2020/mini-atlas-meta-data.csv",
        f"path: {alone}\n",
        f"$SBNN_DATA: {alone / 'mine'}",
        f"cache: {alone / 'cache'}",
        "https://github.com/berenslab/sBNN",
        "python -m sbnn.datasets get scala\n",
        "download=False",
    ):
        assert expected in message


def test_a_file_without_an_address_says_so(alone, monkeypatch):
    published(monkeypatch)
    with pytest.raises(FileNotFoundError, match="no address to download from is known for tiny/tiny.csv"):
        find_file("tiny.csv")


# --- downloading


def test_download_is_verified_and_kept(alone, server, monkeypatch, capsys):
    server.bodies["/tiny.csv"] = CONTENT
    published(monkeypatch, url=server.url + "/tiny.csv")
    path = find_file("tiny.csv", verbose=False)
    assert path == alone / "cache" / "tiny" / "tiny.csv" and path.read_bytes() == CONTENT
    assert find_file("tiny.csv") == path
    assert server.asked == ["/tiny.csv"]
    assert server.accepted.startswith("application/vnd.github.raw+json")  # else GitHub's blobs come as JSON
    assert capsys.readouterr() == ("", "")


def test_download_is_announced(alone, server, monkeypatch, capsys):
    server.bodies["/tiny.csv"] = CONTENT
    published(monkeypatch, url=server.url + "/tiny.csv")
    find_file("tiny.csv")
    assert capsys.readouterr().out == (
        f"downloading tiny.csv from 127.0.0.1:{server.server_port} to {alone / 'cache' / 'tiny'}\n"
    )


def test_download_can_be_switched_off(alone, server, monkeypatch):
    published(monkeypatch, url=server.url + "/tiny.csv")
    with pytest.raises(FileNotFoundError, match="download=False"):
        find_file("tiny.csv", download=False)
    assert server.asked == []


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (CONTENT[:100], DataIntegrityError, "download from http://127.0.0.1.* is truncated"),
        ((CONTENT[:100], len(CONTENT)), FileNotFoundError, "downloading tiny.csv from .* failed: .*IncompleteRead"),
        (CONTENT.lower(), DataIntegrityError, "download from http://127.0.0.1.* is altered"),
        (None, FileNotFoundError, "downloading tiny.csv from .* failed: 404"),
    ],
)
def test_a_bad_download_is_refused_and_leaves_nothing(alone, server, monkeypatch, body, error, message):
    server.bodies["/tiny.csv"] = body
    published(monkeypatch, url=server.url + "/tiny.csv")
    with pytest.raises(error, match=message):
        find_file("tiny.csv", verbose=False)
    assert [path for path in (alone / "cache").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("body", ["silence", (CONTENT[:100], len(CONTENT))])
def test_a_server_that_falls_silent_is_asked_once(alone, server, monkeypatch, body):
    monkeypatch.setattr(registry, "TIMEOUT", 0.2)
    names = ["one.csv", "two.csv", "three.csv"]
    for name in names:
        server.bodies[f"/{name}/stall"] = body
        published(monkeypatch, name, url=f"{server.url}/{name}/stall")
    with pytest.raises(FileNotFoundError, match="cannot find tiny/one.csv, tiny/two.csv, tiny/three.csv") as caught:
        find_files(names, verbose=False)
    assert "downloading one.csv from 127.0.0.1" in str(caught.value)
    assert server.asked == ["/one.csv/stall"]
    assert [path for path in (alone / "cache").rglob("*") if path.is_file()] == []


def test_a_name_look_up_that_hangs_is_given_up(alone, monkeypatch):
    monkeypatch.setattr(registry, "TIMEOUT", 0.2)
    release, asked = threading.Event(), []

    def hang(host, *_, **__):
        asked.append(host)
        release.wait(60)
        raise socket.gaierror("released")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    published(monkeypatch, url="http://data.invalid/tiny.csv")
    with pytest.raises(FileNotFoundError, match=r"nothing came from data.invalid for 0.2 s"):
        find_file("tiny.csv", verbose=False)
    release.set()
    assert asked == ["data.invalid"]


def test_no_network_costs_less_than_five_seconds():
    # the waiting itself is tested above with a shorter time
    assert registry.TIMEOUT < 5


def test_a_refused_connection_is_an_error_at_once(alone, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    published(monkeypatch, url=f"http://127.0.0.1:{port}/tiny.csv")
    with pytest.raises(FileNotFoundError, match="downloading tiny.csv from .* failed: .*127.0.0.1"):
        find_file("tiny.csv", verbose=False)


def test_a_cache_that_cannot_be_written_is_an_error(alone, server, monkeypatch):
    server.bodies["/tiny.csv"] = CONTENT
    published(monkeypatch, url=server.url + "/tiny.csv")
    put(alone / "cache" / "tiny")  # a file where the folder should be
    with pytest.raises(FileNotFoundError, match="downloading tiny.csv from .* failed"):
        find_file("tiny.csv", verbose=False)


def test_a_killed_download_is_not_taken_for_the_file(alone, server, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(url, output, progressbar):
        Path(output).write_bytes(CONTENT[:100])
        raise Killed

    published(monkeypatch, url=server.url + "/tiny.csv")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(registry, "_fetch", killed)
        find_file("tiny.csv", verbose=False)
    assert not (alone / "cache" / "tiny" / "tiny.csv").exists()
    server.bodies["/tiny.csv"] = CONTENT
    assert find_file("tiny.csv", verbose=False).read_bytes() == CONTENT


# --- the registry


def test_every_registered_file_can_be_verified_and_traced():
    for name, file in FILES.items():
        assert file.name == name and file.source.startswith("https://")
        digest, length = (file.sha256, 64) if file.sha256 else (file.git_sha1, 40)
        assert len(digest) == length and set(digest) <= set("0123456789abcdef")
        if file.url is not None:
            # a version that cannot change: at a commit, or the very content by its git blob id
            host, repository, version = file.url.split("/")[2], file.url.split("/")[3:], file.url.split("/")[5]
            if host == "api.github.com":
                repository, version = file.url.split("/")[4:], file.url.split("/")[-1]
                assert file.git_sha1 in (None, version)
            else:
                assert host == "raw.githubusercontent.com"
            assert f"https://github.com/{repository[0]}/{repository[1]} " in file.source
            assert len(version) == 40 and set(version) <= set("0123456789abcdef")
    for dataset in DATASETS.values():
        assert {*dataset.files, *dataset.instead.values()} <= FILES.keys() and dataset.instead.keys() <= {
            *dataset.files
        }


def test_the_data_readme_names_every_file():
    readme = (Path(__file__).parents[1] / "data" / "README.md").read_text()
    for file in FILES.values():
        assert f"{file.folder}/{file.name}" in readme
        assert (file.sha256 or file.git_sha1) in readme
    for name in DATASETS:
        assert f'"{name}"' in readme


# --- loading


@pytest.fixture
def small_scala(alone, monkeypatch):
    """The three Scala files with the published layout, but of six cells, in the registry and in a folder."""
    rng = np.random.default_rng(0)
    cells = [f"20180918sample{i}" for i in range(6)]
    counts = pd.DataFrame(rng.integers(0, 500, (4, 6)), index=["Gad1", "Sst", "Vip", "Pvalb"], columns=cells)
    ephys = pd.DataFrame(rng.normal(size=(6, 2)), index=cells, columns=["AP width", "Tau"])
    metadata = pd.DataFrame(
        {
            "Cell": [f"20180918_sample_{i}" for i in (5, 3, 4, 0, 1, 2, 9)],
            "Mouse": "mouse_A",
            "Targeted layer": ["5", "2/3", "5", "5", "6", "1", "5"],
            "Cre": "SST+",
            "RNA family": ["Sst"] * 3 + ["PT"] * 3 + ["low quality"],
            "RNA type": ["Sst Penk"] * 3 + ["L5 PT_1", "L5 ET_1", "L5 PT_2", None],
            "RNA type confidence": 0.9,
            "Soma depth (µm)": ["700.5"] * 6 + ["Slice Lost"],
        }
    )
    contents = {
        "gene_counts.csv": counts.to_csv(index_label="gene").encode(),
        "ephys_values.csv": ephys.to_csv().encode(),
        "mini-atlas-meta-data.csv": metadata.to_csv(sep="\t", index=False).encode(),
    }
    for name, content in contents.items():
        published(monkeypatch, name, content)
        put(alone / "given" / "tiny" / name, content)
    return alone / "given", counts, ephys


def test_scala_is_read_from_its_layout(small_scala, capsys):
    folder, counts, ephys = small_scala
    data = load_dataset("scala", folder)
    printed = capsys.readouterr().out
    assert printed.startswith("scala: 6 cells x 4 genes -> 2 outputs; families: PT 3, Sst 3\n")
    assert printed.endswith("[path]\n") and printed.count("\n") == 2

    raw = counts.to_numpy().T
    np.testing.assert_array_equal(data.counts, raw)
    assert data.counts.dtype.kind == "i"
    library = raw.sum(1, keepdims=True)
    np.testing.assert_allclose(data.X, np.log2(raw / library * np.median(library) + 1), rtol=1e-5)
    np.testing.assert_allclose(data.Y, ephys, rtol=1e-6)
    assert data.gene_names.tolist() == list(counts.index)
    assert data.feature_names.tolist() == ["AP width", "Tau"]
    assert data.cell_names.tolist() == list(ephys.index)
    assert data.labels["type"].tolist() == ["L5 PT_1", "L5 ET_1", "L5 PT_2"] + ["Sst Penk"] * 3
    assert data.labels.loc["20180918sample3", "layer"] == "2/3"
    assert data.labels["soma_depth_um"].tolist() == [700.5] * 6
    assert data.colors["L5 PT_1"] == data.colors["L5 ET_1"] == "#0D5D7E"
    assert data.files == {name: FILES[name].sha256 for name in DATASETS["scala"].files}
    assert data.sha256 == fingerprint_files(data.files)


@pytest.fixture
def small_ion_channels(small_scala, monkeypatch):
    """The Scala files, a term list with the published tab too many, and complete counts of two cells more."""
    folder, counts, _ = small_scala
    lines = ["MGI Gene/Marker ID\tSymbol\tName", "MGI:1\tSst\tsomatostatin\t", "MGI:1\tSst\tsomatostatin\t"]
    lines += [f"MGI:{i}\t{gene}\tchannel\t" for i, gene in enumerate(["Kcna1", "Vip", "Rare", "Absent"])] + [""]
    rest = pd.DataFrame(
        [[5] * 6, [0, 1, 2, 0, 0, 3], [9] * 6], index=["Kcna1", "Rare", "Cacna1a"], columns=counts.columns
    )
    complete = pd.concat([counts, rest]).assign(extra=[0, 0, 0, 0, 0, 3, 0], other=0)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        text = complete.rename(columns=lambda cell: cell.replace("sample", "_sample_")).to_csv(
            sep="\t", index_label="gene"
        )
        writer.writestr("final_patch_seq_allcells_exon_allreads.txt", text)
    contents = {"go_ion_channel_term_summary.txt": "\r\n".join(lines).encode(), FULL_COUNTS: archive.getvalue()}
    for name, content in contents.items():
        published(monkeypatch, name, content)
        put(folder / "tiny" / name, content)
    return folder, complete


def test_ion_channel_genes_are_those_of_the_term_list_with_ten_counts(small_ion_channels, recwarn):
    folder, complete = small_ion_channels
    data = load_dataset("scala_ion_channels", folder, verbose=False)
    # Rare has six counts in the cells that are used and nine in all: too few in any case
    assert data.gene_names.tolist() == ["Sst", "Vip", "Kcna1"]
    np.testing.assert_array_equal(data.counts, complete.loc[data.gene_names, data.cell_names].T)
    assert data.cell_names.tolist() == load_dataset("scala", folder, verbose=False).cell_names.tolist()
    assert data.labels["type"].tolist()[0] == "L5 PT_1" and data.colors["L5 PT_1"] == "#0D5D7E"
    assert data.files.keys() == {*DATASETS["scala_ion_channels"].files} and "complete counts" in data.source
    assert not recwarn.list


def test_counts_of_cells_without_electrophysiology_make_an_ion_channel_gene_too(small_ion_channels, monkeypatch):
    folder, complete = small_ion_channels
    complete.loc["Rare", "extra"] = 4  # ten now
    content = complete.to_csv(sep="\t").encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("counts.txt", content)
    published(monkeypatch, FULL_COUNTS, archive.getvalue())
    put(folder / "tiny" / FULL_COUNTS, archive.getvalue())
    assert "Rare" in load_dataset("scala_ion_channels", folder, verbose=False).gene_names


def test_ion_channels_without_the_complete_counts(small_ion_channels, capsys):
    folder, _ = small_ion_channels
    whole = load_dataset("scala_ion_channels", folder, verbose=False)
    (folder / "tiny" / FULL_COUNTS).unlink()
    with pytest.warns(UserWarning, match=f"gene_counts.csv stands in for {FULL_COUNTS}, which cannot be had"):
        data = load_dataset("scala_ion_channels", folder, download=False)
    assert data.gene_names.tolist() == ["Sst", "Vip"] and data.sha256 != whole.sha256
    assert "among the 1000 selected genes only" in capsys.readouterr().out
    state = {dataset.name: dataset for dataset in inventory.list_datasets(folder)}["scala_ion_channels"]
    assert state.state == "here in part" and state.missing == (FULL_COUNTS,)
    put(folder / "tiny" / FULL_COUNTS, b"broken")
    with pytest.raises(DataIntegrityError, match="final_patch_seq.*is truncated"):
        load_dataset("scala_ion_channels", folder)


def test_verbose_false_is_silent(small_scala, capsys):
    load_dataset("scala", small_scala[0], verbose=False)
    assert capsys.readouterr() == ("", "")


def test_raw_counts_are_read_from_their_layout(alone, monkeypatch):
    counts = pd.DataFrame([[0, 0], [3, 40], [0, 7]], index=["Zero", "Gad1", "Sst"])
    counts.columns = ["20200403_sample_1", "20200403_sample_2"]
    metadata = pd.DataFrame(
        {
            "Cell": counts.columns,
            "Mouse": "mouse_A",
            "Targeted layer": 5,
            "Cre": "SST+",
            "RNA family": ["ET", "low quality"],
            "RNA type": ["L5 ET_1", None],
            "Soma depth (µm)": [700, 701],
        }
    )
    for name, content in {
        "m1_patchseq_phys_temp_exon_counts.csv.gz": gzip.compress(counts.to_csv().encode()),
        "m1_patchseq_phys_temp_meta_data.csv": metadata.to_csv(sep="\t", index=False).encode(),
    }.items():
        published(monkeypatch, name, content)
        put(alone / "given" / name, content)
    data = load_dataset("scala_34c_counts", alone / "given", verbose=False)
    np.testing.assert_array_equal(data.X, counts.T)
    assert sparse.issparse(data.counts) and data.n_outputs == 0
    assert data.cell_names.tolist() == ["20200403sample1", "20200403sample2"]
    assert data.labels["type"].tolist() == ["L5 ET_1", "unknown"]
    assert data.colors == {"L5 ET_1": "#0D5D7E", "unknown": "#808080"}


def test_simulated_takes_the_options_of_the_simulator(capsys):
    data = load_dataset("simulated", n_cells=50, n_genes=30, n_true_genes=5, random_state=1)
    assert data.X.shape == (50, 30)
    assert "50 cells x 30 genes" in capsys.readouterr().out
    again = load_dataset("simulated", n_cells=50, n_genes=30, n_true_genes=5, random_state=1, verbose=False)
    assert data.sha256 == again.sha256
    np.testing.assert_array_equal(data.X, again.X)


def test_bad_requests_are_named(tmp_path):
    with pytest.raises(ValueError, match="unknown data set 'scalla'; the known ones are scala, scala_ion_channels, "):
        load_dataset("scalla")
    with pytest.raises(TypeError, match="'scala' takes no options, got n_cells"):
        load_dataset("scala", n_cells=10)
    with pytest.raises(TypeError, match="'stoeckius' takes the options n_genes, log_proteins, got n_cells"):
        load_dataset("stoeckius", n_cells=10)
    with pytest.raises(ValueError, match="not read from files"):
        load_dataset("simulated", tmp_path)


def test_default_dataset_is_the_real_one_where_it_can_be_had(small_scala, capsys):
    assert default_dataset(small_scala[0]) == "scala"
    assert capsys.readouterr().out == "data set: scala, because its files are in path\n"


def test_default_dataset_is_simulated_elsewhere_and_says_why(alone, capsys):
    assert default_dataset(download=False) == "simulated"
    printed = capsys.readouterr().out
    assert printed.startswith(
        "data set: simulated, because the real data cannot be had. cannot find scala_2020/gene_counts.csv"
    )
    assert "python -m sbnn.datasets get scala" in printed
    assert default_dataset(download=False, verbose=False) == "simulated"
    assert capsys.readouterr() == ("", "")


def test_default_dataset_does_not_pass_over_a_broken_file(small_scala):
    folder = small_scala[0]
    put(folder / "tiny" / "gene_counts.csv", b"broken")
    with pytest.raises(DataIntegrityError, match="gene_counts.csv is truncated"):
        default_dataset(folder)


def test_type_colors_are_those_of_the_taxonomy():
    colors = type_colors()
    assert len([name for name in colors if " ET_" not in name]) == 88
    assert colors["Sst Chodl"] == "#FFFF00" and colors["L6b Kcnip1"] == "#573D90"
    assert [colors[f"L5 ET_{i}"] for i in (1, 2, 3, 4)] == [colors[f"L5 PT_{i}"] for i in (1, 2, 3, 4)]


# --- the command


def test_command_gets_and_lists(small_scala, capsys):
    folder = small_scala[0]
    assert inventory.main(["get", "scala", "--path", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert all(f"{folder / 'tiny' / name}  sha256 {FILES[name].sha256}" in printed for name in DATASETS["scala"].files)
    assert inventory.main(["list", "--path", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == list(DATASETS)
    assert lines[0].endswith("features [here]") and lines[-1].endswith("[made here]")


def test_command_checks(small_scala, capsys):
    folder = small_scala[0]
    assert inventory.main(["check", "scala", "--path", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["ok", name] for name in DATASETS["scala"].files]
    put(folder / "tiny" / "ephys_values.csv", b"broken")
    assert inventory.main(["check", "--path", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["ok", "corrupt"] and "is truncated: expected" in lines[1]
    assert len(lines) == len(FILES)


def test_command_fails_with_a_message(alone, monkeypatch, capsys):
    published(monkeypatch)
    assert inventory.main(["get", "tiny.csv"]) == 1
    assert "cannot find tiny/tiny.csv" in capsys.readouterr().err
    for command in ("get", "check"):
        assert inventory.main([command, "scalla"]) == 1
        assert "unknown name(s) ['scalla']; the data sets are scala, " in capsys.readouterr().err


def test_states_of_data_sets_and_files(small_scala, monkeypatch):
    folder = small_scala[0]
    states = {dataset.name: dataset for dataset in inventory.list_datasets(folder)}
    assert states["scala"].state == "here" and states["scala"].missing == ()
    assert states["simulated"].state == "made here"
    assert states["gouwens"].state == "downloadable" and states["gouwens"].missing == DATASETS["gouwens"].files
    (folder / "tiny" / "gene_counts.csv").unlink()  # registered without an address here
    states = {dataset.name: dataset for dataset in inventory.list_datasets(folder)}
    assert states["scala"].state == "to be fetched by hand" and states["scala"].missing == ("gene_counts.csv",)
    files = {file.name: file for file in inventory.check_files(["scala"], folder)}
    assert files["gene_counts.csv"] == ("gene_counts.csv", "absent", None, "")
    assert files["ephys_values.csv"].state == "ok"
    assert list(inventory.get_files(["ephys_values.csv", "simulated"], folder)) == ["ephys_values.csv"]


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_command_runs_as_a_module(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sbnn.datasets", "list"])
    with pytest.raises(SystemExit) as exit:
        runpy.run_module("sbnn.datasets", run_name="__main__")
    assert exit.value.code == 0
    assert capsys.readouterr().out.startswith("scala: ")


# --- the real data

SCALA = {"Pvalb": 286, "Sst": 271, "IT": 244, "Vip": 152, "CT": 102, "Lamp5": 92, "PT": 48, "Sncg": 13, "NP": 5}
CD8 = {"CD8 off": 522, "CD8 intermediate": 522, "CD8 high": 442, "CD8 low": 288}
#: shape (cells, genes, outputs), families, number of types
EXPECTED = {
    "scala": ((1213, 1000, 16), SCALA, 77),
    "scala_ion_channels": ((1213, 55, 16), SCALA, 77),
    "scala_34c_counts": (
        (185, 30749, 0),
        {"Sst": 110, "IT": 43, "ET": 12, "Pvalb": 10, "low quality": 8, "NP": 2},
        30,
    ),
    "gouwens": ((3395, 1252, 55), None, None),
    "stoeckius": ((7652, 1000, 13), None, 8),
    "citeseq_cd8": ((1774, 1000, 5), CD8, 4),
    "pbmc_5k_protein": ((200, 1000, 29), {"unknown": 200}, 0),
    "pbmc_10k_protein": ((200, 1000, 14), {"unknown": 200}, 0),
}


@pytest.fixture(scope="module", params=EXPECTED)
def real(request):
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*stands in for.*")
            return load_dataset(request.param, download=False, verbose=False)
    except FileNotFoundError:
        pytest.skip(f"the files of {request.param} are not on this machine")


def test_real_data_is_what_was_published(real):
    shape, families, n_types = EXPECTED[real.name]
    if real.name == "scala_ion_channels" and FULL_COUNTS in real.files:
        shape = (1213, 423, 16)
    assert (real.n_cells, real.n_genes, real.n_outputs) == shape
    if families is not None:
        assert real.labels["family"].value_counts().to_dict() == families
    types = set(real.labels["type"]) - {"unknown"}
    if n_types is not None:
        assert len(types) == n_types
    if real.name.startswith("scala"):
        assert {name: real.colors[name] for name in types} == {name: type_colors()[name] for name in types}
    if real.name != "gouwens":
        assert real.counts.shape == real.X.shape and real.counts.dtype.kind == "i"


def test_real_data_is_normalised_but_not_scaled(real):
    if real.name == "gouwens":
        pytest.skip("the expression was normalised by others")
    if real.name == "scala_34c_counts":
        np.testing.assert_array_equal(real.X, real.counts.toarray())
        return
    library = np.exp2(real.X.astype(np.float64)).sum(1) - real.n_genes
    np.testing.assert_allclose(library, np.median(real.counts.sum(1)), rtol=1e-4)
    np.testing.assert_array_equal(real.X == 0, real.counts == 0)
    if "AP width" in real.feature_names:
        width = real.Y[:, list(real.feature_names).index("AP width")]
        assert 0.1 < width.min() and width.max() < 5  # milliseconds
    else:
        proteins = real.Y if real.name == "stoeckius" else np.exp2(real.Y.astype(np.float64)) - 1
        np.testing.assert_allclose(proteins, np.round(proteins), atol=1e-2)
