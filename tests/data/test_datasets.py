"""Named data sets: where files are found, how they are verified, downloads and loading."""

import hashlib

import numpy as np
import pytest
from material.files import CONTENT, published, put, server

from sbnn.data import datasets
from sbnn.data.datasets import default_dataset, find_file, list_datasets, load_dataset
from sbnn.data.paired import as_paired

FULL_COUNTS = "final_patch_seq_allcells_exon_allreads.zip"
TERM_LIST = "go_ion_channel_term_summary.txt"
# with the published tab too many
TERMS = b"""ID\tSymbol\tName
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
    places = [alone / "mine", datasets.DATA_FOLDER, alone / "cache"]
    copies = [put(place / name) for place in places for name in ("tiny/tiny.csv", "tiny.csv")]
    for path in copies:
        assert find_file("tiny.csv") == path
        path.unlink()
    with pytest.raises(FileNotFoundError, match="tiny.csv is missing .*example.org"):
        find_file("tiny.csv")


def test_a_download_is_verified_and_kept(alone, monkeypatch):
    put(alone / "web" / "tiny.csv")
    with server(alone / "web") as web:
        published(monkeypatch, url=web.url + "/tiny.csv", sha256="0" * 64)
        with pytest.raises(ValueError, match="hash"):
            find_file("tiny.csv")
        published(monkeypatch, url=web.url + "/tiny.csv")
        with pytest.raises(FileNotFoundError):
            find_file("tiny.csv", download=False)
        path = find_file("tiny.csv")
    assert path == alone / "cache" / "tiny" / "tiny.csv"
    assert path.read_bytes() == CONTENT
    assert "raw" in web.accepted, "else GitHub's blobs come as JSON"


def test_files_have_an_address_of_one_version_and_a_checksum():
    urls = datasets.FILES["url"]
    # at a commit, or the content by its git blob id
    assert urls[urls != ""].str.contains("/[0-9a-f]{40}").all()
    assert (datasets.FILES["sha256"].str.len() != 64).sum() == 3


def test_scala_is_read_from_its_layout(small_scala, capsys):
    _, counts, ephys = small_scala
    data = as_paired(load_dataset("scala"))
    assert "Patch-seq: 6 cells x 4 genes -> 2 electrophys" in capsys.readouterr().out
    np.testing.assert_array_equal(data.counts, counts.T)
    np.testing.assert_allclose(data.Y, ephys, rtol=1e-6)
    assert data.labels["type"].tolist() == ["L5 PT_1", "L5 ET_1", "L5 PT_2"] + ["Sst Penk"] * 3
    assert data.colors["L5 PT_1"] == "#0D5D7E"
    assert data.name == "scala" and data.about["source"].startswith("Scala et al., Nature")


def test_the_checksum_of_a_file_without_a_known_one_is_printed(small_scala, monkeypatch, capsys):
    published(monkeypatch, "gene_counts.csv", sha256="")
    adata = load_dataset("scala")
    *_, line = capsys.readouterr().out.splitlines()
    checksum = hashlib.sha256((small_scala[0] / "gene_counts.csv").read_bytes()).hexdigest()
    assert line.split()[0] == "gene_counts.csv" and line.endswith(checksum)
    assert adata.uns["sbnn"]["files"]["gene_counts.csv"] == checksum


def test_ion_channel_genes_are_those_of_the_term_list_with_ten_counts(small_scala, monkeypatch):
    folder, counts, _ = small_scala
    complete = counts.assign(unused=0)  # of the cells, but its counts matter
    complete.loc["Kcna1"] = [0, 1, 2, 0, 0, 3, 4]
    complete.loc["Rare"] = [0, 1, 2, 0, 0, 3, 3]
    complete.to_csv(folder / FULL_COUNTS, sep="\t")
    put(folder / TERM_LIST, TERMS)
    for name in (FULL_COUNTS, TERM_LIST):
        published(monkeypatch, name, (folder / name).read_bytes())
    whole = as_paired(load_dataset("scala_ion_channels"))
    assert whole.gene_names.tolist() == ["Sst", "Vip", "Kcna1"]
    np.testing.assert_array_equal(whole.counts, complete.loc[whole.gene_names, whole.cell_names].T)
    (folder / FULL_COUNTS).unlink()
    assert load_dataset("scala_ion_channels").var_names.tolist() == ["Sst", "Vip"]


def test_the_default_is_the_real_data_set_if_it_is_intact(small_scala, capsys):
    assert default_dataset() == "scala"
    assert capsys.readouterr().out == "data set: scala\n"
    put(small_scala[0] / "gene_counts.csv", b"broken")
    with pytest.raises(ValueError, match="gene_counts.csv is truncated"):
        default_dataset()


def test_elsewhere_the_default_is_simulated_with_the_reason(alone, capsys):
    simulated = [default_dataset(system=system) for system in datasets.DATASETS["system"].unique()]
    assert simulated == ["simulated", "simulated_ephys", "simulated_screen", "simulated_grn"]
    lines = capsys.readouterr().out.splitlines()
    for line, file in zip(lines, ("gene_counts.csv", "Lee", "response", "rate"), strict=True):
        assert f", because {file}" in line
    states = list_datasets()["state"]
    assert {*states.index[states == "here"]} == {*simulated}


def test_options_are_those_of_the_user():
    adata = load_dataset("simulated_screen", n_cells_per=2, n_perturbations=6, verbose=False)
    assert adata.n_obs == 12
