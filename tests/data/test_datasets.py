"""Named data sets: where files are found, how they are verified, downloads and loading."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from files import CONTENT, published, put, server

from sbnn.data import datasets
from sbnn.data.datasets import (
    DATASETS,
    FILES,
    default_dataset,
    find_file,
    list_datasets,
    load_dataset,
)
from sbnn.data.paired import as_paired

FULL_COUNTS = "final_patch_seq_allcells_exon_allreads.zip"
# with the published tab too many
TERMS = """ID\tSymbol\tName
1\tSst\ta\t
1\tSst\ta\t
2\tKcna1\tb\t
3\tVip\tc\t
4\tRare\td\t
5\tAbsent\te\t
"""


def test_places_are_searched_in_order(alone, monkeypatch):
    published(monkeypatch)
    monkeypatch.setenv("SBNN_DATA", str(alone / "mine"))
    checkout = datasets.ROOT
    places = [
        alone / "mine",
        checkout / "data",
        checkout.parent / "shared" / "data",
        alone / "cache",
    ]
    copies = [put(place / name) for place in places for name in ("tiny/tiny.csv", "tiny.csv")]
    for path in copies:
        assert find_file("tiny.csv") == path
        path.unlink()
    with pytest.raises(FileNotFoundError, match="tiny.csv is missing .*example.org"):
        find_file("tiny.csv")


def test_an_altered_file_is_refused_and_not_passed_over(alone, monkeypatch):
    published(monkeypatch)
    monkeypatch.setenv("SBNN_DATA", str(alone / "mine"))
    put(alone / "cache" / "tiny.csv")  # the right one, later in the order
    for content in (CONTENT[:1000], b"G" + CONTENT[1:]):
        wrong = put(alone / "mine" / "tiny.csv", content)
        with pytest.raises(ValueError, match=f"{wrong} is truncated or altered.*example.org"):
            find_file("tiny.csv")
    published(monkeypatch, sha256="")
    assert find_file("tiny.csv") == wrong, "nothing to verify it by"


def test_a_download_is_kept(alone, monkeypatch):
    with server({"/tiny.csv": CONTENT}) as web:
        published(monkeypatch, url=web.url + "/tiny.csv")
        path = find_file("tiny.csv")
        assert path == alone / "cache" / "tiny" / "tiny.csv"
        assert path.read_bytes() == CONTENT
        assert find_file("tiny.csv") == path
    assert web.asked == ["/tiny.csv"]
    assert "raw" in web.accepted, "else GitHub's blobs come as JSON"


@pytest.mark.parametrize("sha256", [{}, {"sha256": ""}])
def test_an_interrupted_download_leaves_no_file(alone, monkeypatch, sha256):
    with server({"/tiny.csv": CONTENT}, cut=1000) as web:
        published(monkeypatch, url=web.url + "/tiny.csv", **sha256)
        with pytest.raises(FileNotFoundError, match="tiny.csv is missing"):
            find_file("tiny.csv")
        published(monkeypatch, url=web.url + "/elsewhere.csv")
        with pytest.raises(FileNotFoundError, match="tiny.csv is missing .*404"):
            find_file("tiny.csv")
        with pytest.raises(FileNotFoundError, match="not downloaded"):
            find_file("tiny.csv", download=False)
        assert web.asked == ["/tiny.csv", "/elsewhere.csv"]
    assert not [path for path in (alone / "cache").rglob("*") if path.is_file()]


def test_a_download_with_other_content_is_refused(alone, monkeypatch):
    with server({"/tiny.csv": CONTENT}) as web:
        published(monkeypatch, content=CONTENT[1:], url=web.url + "/tiny.csv")
        with pytest.raises(ValueError, match="hash"):
            find_file("tiny.csv")
    assert not [path for path in (alone / "cache").rglob("*") if path.is_file()]


def test_files_have_an_address_of_one_version_and_are_documented():
    readme = (Path(__file__).parents[2] / "data" / "README.md").read_text()
    # at a commit, or the content by its git blob id
    raw = r"https://raw.githubusercontent.com/([\w-]+/[\w-]+)/[0-9a-f]{40}/"
    blob = r"https://api.github.com/repos/([\w-]+/[\w-]+)/git/blobs/[0-9a-f]{40}"
    for file in FILES.values():
        if file.url:
            found = re.match(raw, file.url) or re.match(blob, file.url)
            assert f"https://github.com/{found[1]} " in file.source
    unverified = [name for name, file in FILES.items() if len(file.sha256) != 64]
    assert len(unverified) == 3
    for name, dataset in DATASETS.items():
        assert {*dataset.files, dataset.instead} <= {"", *FILES}
        assert f'"{name}"' in readme


def test_scala_is_read_from_its_layout(small_scala, capsys):
    _, counts, ephys = small_scala
    data = as_paired(load_dataset("scala"))
    assert capsys.readouterr().out.startswith("scala: mouse motor cortex Patch-seq")
    np.testing.assert_array_equal(data.counts, counts.T)
    np.testing.assert_allclose(data.Y, ephys, rtol=1e-6)
    assert data.labels["type"].tolist() == ["L5 PT_1", "L5 ET_1", "L5 PT_2"] + ["Sst Penk"] * 3
    assert data.colors["L5 PT_1"] == data.colors["L5 ET_1"] == "#0D5D7E"
    assert data.about["files"] == {name: FILES[name].sha256 for name in DATASETS["scala"].files}


def test_ion_channel_genes_are_those_of_the_term_list_with_ten_counts(
    small_scala, monkeypatch, tmp_path
):
    folder, counts, _ = small_scala

    def publish(name, content):
        published(monkeypatch, name, content)
        put(folder / name, content)

    publish("go_ion_channel_term_summary.txt", TERMS.encode())
    rest = pd.DataFrame([[5] * 6, [0, 1, 2, 0, 0, 3]], ["Kcna1", "Rare"], counts.columns)
    complete = pd.concat([counts, rest])
    # the last cell is not used, but counts: of Rare nine and ten in all
    for n, genes in ((3, ["Sst", "Vip", "Kcna1"]), (4, ["Sst", "Vip", "Kcna1", "Rare"])):
        complete["extra"] = [0, 0, 0, 0, 0, n]
        packed = {"method": "zip", "archive_name": "counts.txt"}
        complete.to_csv(tmp_path / "a.zip", sep="\t", compression=packed)
        publish(FULL_COUNTS, (tmp_path / "a.zip").read_bytes())
        whole = as_paired(load_dataset("scala_ion_channels", verbose=False))
        assert whole.gene_names.tolist() == genes
        np.testing.assert_array_equal(whole.counts, complete.loc[genes, whole.cell_names].T)
    (folder / FULL_COUNTS).unlink()
    data = as_paired(load_dataset("scala_ion_channels", verbose=False))
    assert data.gene_names.tolist() == ["Sst", "Vip"]
    assert data.sha256 != whole.sha256
    assert "1000 selected genes only" in data.about["source"]
    assert list_datasets().loc["scala_ion_channels", "state"] == "here"


def test_simulated_data_take_the_options_of_the_simulator():
    options = {"random_state": 1, "verbose": False}
    assert load_dataset("simulated", n_cells=50, n_genes=30, n_true_genes=5, **options).n_vars == 30
    screen = load_dataset("simulated_screen", n_perturbations=4, n_control=7, **options)
    assert screen.shape == (4 * 50 + 7, 100), "smaller than the defaults of the simulator"


def test_default_dataset_is_the_real_one_where_it_can_be_had(small_scala, capsys):
    assert default_dataset() == "scala"
    assert capsys.readouterr().out == "data set: scala\n"
    put(small_scala[0] / "gene_counts.csv", b"broken")
    with pytest.raises(ValueError, match="gene_counts.csv is truncated"):
        default_dataset()


@pytest.mark.parametrize("study", datasets._DEFAULTS)
def test_default_dataset_is_simulated_elsewhere_with_the_reason(alone, capsys, study):
    name = default_dataset(study=study)
    assert name.startswith("simulated")
    assert DATASETS[name].study == study
    assert "is missing" in capsys.readouterr().out
    assert default_dataset(name, study=study, verbose=False) == name
    assert capsys.readouterr().out == ""


def test_states_are_listed(small_scala):
    (small_scala[0] / "ephys_values.csv").unlink()  # without an address here
    table = list_datasets()
    assert table.index.tolist() == list(DATASETS)
    assert table.loc[["gouwens", "scala", "simulated"], "state"].tolist() == [
        "download",
        "by hand",
        "here",
    ]
    assert table.loc["scala", "missing"] == ["ephys_values.csv"]
    with pytest.raises(ValueError, match="dataset: 'simulated_ephys'"):
        default_dataset("simulated_ephys")
