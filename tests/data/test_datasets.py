"""Named data sets: loading, what replaces missing files, summaries, and ``sbnn data``."""

import numpy as np
import pandas as pd
import pytest
from files import published, put

from sbnn.data import datasets
from sbnn.data.datasets import DATASETS, default_dataset, load_dataset
from sbnn.data.fingerprint import fingerprint_files
from sbnn.data.paired import as_paired, paired
from sbnn.data.registry import FILES, DataIntegrityError

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


def test_scala_is_read_from_its_layout(small_scala, capsys):
    folder, counts, ephys = small_scala
    data = as_paired(load_dataset("scala", folder))
    printed = capsys.readouterr().out
    assert printed.startswith("scala: 6 cells x 4 genes -> 2 outputs; families: PT 3, Sst 3\n")
    assert printed.endswith("[path]\n")
    np.testing.assert_array_equal(data.counts, counts.T)
    np.testing.assert_allclose(data.Y, ephys, rtol=1e-6)
    assert data.labels["type"].tolist() == ["L5 PT_1", "L5 ET_1", "L5 PT_2"] + ["Sst Penk"] * 3
    assert data.colors["L5 PT_1"] == data.colors["L5 ET_1"] == "#0D5D7E"
    assert data.about["files"] == {name: FILES[name].sha256 for name in DATASETS["scala"].files}
    assert data.sha256 == fingerprint_files(data.about["files"])


def test_ion_channel_genes_are_those_of_the_term_list_with_ten_counts(
    small_scala, monkeypatch, tmp_path
):
    folder, counts, _ = small_scala

    def publish(name, content):
        published(monkeypatch, name, content)
        put(folder / "tiny" / name, content)

    publish("go_ion_channel_term_summary.txt", TERMS.encode())
    rest = pd.DataFrame([[5] * 6, [0, 1, 2, 0, 0, 3]], ["Kcna1", "Rare"], counts.columns)
    complete = pd.concat([counts, rest])
    # the last cell is not used, but counts: of Rare nine and ten in all
    for n, genes in ((3, ["Sst", "Vip", "Kcna1"]), (4, ["Sst", "Vip", "Kcna1", "Rare"])):
        complete["extra"] = [0, 0, 0, 0, 0, n]
        packed = {"method": "zip", "archive_name": "counts.txt"}
        complete.to_csv(tmp_path / "a.zip", sep="\t", compression=packed)
        publish(FULL_COUNTS, (tmp_path / "a.zip").read_bytes())
        whole = as_paired(load_dataset("scala_ion_channels", folder, verbose=False))
        assert whole.gene_names.tolist() == genes
        np.testing.assert_array_equal(whole.counts, complete.loc[genes, whole.cell_names].T)
    (folder / "tiny" / FULL_COUNTS).unlink()
    with pytest.warns(UserWarning, match=f"gene_counts.csv replaces the missing {FULL_COUNTS}"):
        data = as_paired(load_dataset("scala_ion_channels", folder, download=False))
    assert data.gene_names.tolist() == ["Sst", "Vip"]
    assert data.sha256 != whole.sha256
    assert "1000 selected genes only" in data.about["source"]
    state = datasets.list_datasets(folder)["scala_ion_channels"]
    assert state == ("partly available", (FULL_COUNTS,))
    put(folder / "tiny" / FULL_COUNTS, b"broken")
    with pytest.raises(DataIntegrityError, match="final_patch_seq.*is truncated"):
        load_dataset("scala_ion_channels", folder)


def test_simulated_data_take_the_options_of_the_simulator():
    options = {"random_state": 1, "verbose": False}
    assert load_dataset("simulated", n_cells=50, n_genes=30, n_true_genes=5, **options).n_vars == 30
    screen = load_dataset("simulated_screen", n_perturbations=4, n_control=7, **options)
    assert screen.shape == (4 * 50 + 7, 100), "smaller than the defaults of the simulator"


def test_default_dataset_is_the_real_one_where_it_can_be_had(small_scala, capsys):
    folder = small_scala[0]
    assert default_dataset(path=folder) == "scala"
    assert capsys.readouterr().out == "data set: scala, because its files are in path\n"
    put(folder / "tiny" / "gene_counts.csv", b"broken")
    with pytest.raises(DataIntegrityError, match="gene_counts.csv is truncated"):
        default_dataset(path=folder)


@pytest.mark.parametrize("study", datasets.STUDIES)
def test_default_dataset_is_simulated_elsewhere_with_the_reason(alone, capsys, study):
    name = default_dataset(download=False, study=study)
    assert name.startswith("simulated")
    assert DATASETS[name].study == study
    assert "cannot find" in capsys.readouterr().out
    assert default_dataset(name, study=study, verbose=False) == name
    assert capsys.readouterr().out == ""


def test_data_sets_belong_to_a_study():
    names = [name for study in datasets.STUDIES for name in datasets.names_of(study)]
    assert sorted(names) == sorted(DATASETS)
    datasets.require_study("scala")
    datasets.require_study("mine")  # a name of a user's own
    with pytest.raises(ValueError, match="'grn_350'.*scala"):
        datasets.require_study("grn_350")
    with pytest.raises(ValueError, match="dataset: 'simulated_ephys'"):
        default_dataset("simulated_ephys")


@pytest.mark.parametrize("option", ["download", "verbose"])
def test_flags_are_flags(option):
    with pytest.raises(ValueError, match=option):
        load_dataset("simulated", **{option: "yes"})


def test_a_summary_has_the_size_the_largest_groups_and_the_notes():
    labels = pd.DataFrame({"family": [*"aabcdefghijklmn"]}, [f"cell_{i}" for i in range(15)])
    data = paired(np.eye(15), np.eye(15)[:, :2], labels=labels, notes=["logs", "two"], source="us")
    first, *others = datasets.summary(data).splitlines()
    assert first.startswith("custom: 15 cells x 15 genes -> 2 outputs; families: a 2, ")
    assert first.endswith(" and 2 more")
    assert others == ["  source: us", "  note: logs", "  note: two"]
    types = load_dataset("simulated_ephys", n_cells=20, random_state=1, verbose=False)
    assert "20 cells x 43 features; types: PVALB 11" in datasets.summary(types)


# --- sbnn data


def test_the_command_gets_lists_and_checks(small_scala, capsys):
    folder = small_scala[0]
    there = ["--path", str(folder)]
    assert datasets.main(["get", "scala", "ephys_values.csv", *there]) == 0
    printed = capsys.readouterr().out
    for name in DATASETS["scala"].files:
        assert f"{folder / 'tiny' / name}  sha256 {FILES[name].sha256}" in printed
    assert datasets.main(["list", *there]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == list(DATASETS)
    assert lines[0].endswith("features [available]")
    assert lines[-1].endswith("[available (simulated)]")
    assert "[downloadable] PS_v5" in lines[3]
    assert datasets.main(["check", "scala", *there]) == 0
    put(folder / "tiny" / "ephys_values.csv", b"broken")
    (folder / "tiny" / "gene_counts.csv").unlink()  # registered without an address here
    capsys.readouterr()
    assert datasets.main(["check", *there]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["absent", "corrupt"]
    assert len(lines) == len(FILES)
    assert datasets.list_datasets(folder)["scala"] == ("manual download", ("gene_counts.csv",))
    assert datasets.main(["get", "gene_counts.csv", *there]) == 1
    assert "gene_counts.csv" in capsys.readouterr().err
    for wrong in (["get"], ["check", "nonsense"]):
        with pytest.raises(SystemExit):
            datasets.main(wrong)
