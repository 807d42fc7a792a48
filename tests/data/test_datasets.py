import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from files import published, put

from sbnn.data import datasets
from sbnn.data.datasets import DATASETS, default_dataset, load_dataset
from sbnn.data.fingerprint import fingerprint_files
from sbnn.data.paired import as_paired, paired
from sbnn.data.registry import FILES, DataIntegrityError
from sbnn.data.simulate_perturbations import simulate_perturbations


def load(name, path=None, **options):
    return as_paired(load_dataset(name, path, verbose=False, **options))


FULL_COUNTS = "final_patch_seq_allcells_exon_allreads.zip"


def test_scala_is_read_from_its_layout(small_scala, capsys):
    folder, counts, ephys = small_scala
    data = as_paired(load_dataset("scala", folder))
    printed = capsys.readouterr().out
    assert printed.startswith("scala: 6 cells x 4 genes -> 2 outputs; families: PT 3, Sst 3\n")
    assert printed.endswith("[path]\n")
    assert printed.count("\n") == 2

    np.testing.assert_array_equal(data.counts, counts.T)
    np.testing.assert_allclose(data.Y, ephys, rtol=1e-6)
    assert data.labels["type"].tolist() == ["L5 PT_1", "L5 ET_1", "L5 PT_2"] + ["Sst Penk"] * 3
    assert data.colors["L5 PT_1"] == data.colors["L5 ET_1"] == "#0D5D7E"
    assert data.about["files"] == {name: FILES[name].sha256 for name in DATASETS["scala"].files}
    assert data.sha256 == fingerprint_files(data.about["files"])


def test_ion_channel_genes_are_those_of_the_term_list_with_ten_counts(
    small_scala, monkeypatch, capsys
):
    folder, counts, _ = small_scala

    def publish(name, content):
        published(monkeypatch, name, content)
        put(folder / "tiny" / name, content)

    lines = [
        "MGI Gene/Marker ID\tSymbol\tName",
        "MGI:1\tSst\tsomatostatin\t",
        "MGI:1\tSst\tsomatostatin\t",
    ]
    lines += [
        f"MGI:{i}\t{gene}\tchannel\t" for i, gene in enumerate(["Kcna1", "Vip", "Rare", "Absent"])
    ] + [""]
    # with the published tab too many
    publish("go_ion_channel_term_summary.txt", "\r\n".join(lines).encode())
    rest = pd.DataFrame(
        [[5] * 6, [0, 1, 2, 0, 0, 3], [9] * 6], ["Kcna1", "Rare", "Cacna1a"], counts.columns
    )
    complete = pd.concat([counts, rest]).assign(extra=[0, 0, 0, 0, 0, 3, 0], other=0)
    found = {}
    # of Rare, which has six counts in the cells that are used: nine and ten in all
    for extra in (3, 4):
        complete.loc["Rare", "extra"] = extra
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as writer:
            table = complete.rename(columns=lambda cell: cell.replace("sample", "_sample_"))
            writer.writestr("counts.txt", table.to_csv(sep="\t", index_label="gene"))
        publish(FULL_COUNTS, archive.getvalue())
        found[extra] = load("scala_ion_channels", folder)
    whole = found[3]
    assert whole.gene_names.tolist() == ["Sst", "Vip", "Kcna1"]
    assert "Rare" in found[4].gene_names
    np.testing.assert_array_equal(whole.counts, complete.loc[whole.gene_names, whole.cell_names].T)
    assert whole.cell_names.tolist() == load("scala", folder).cell_names.tolist()
    assert whole.labels["type"].tolist()[0] == "L5 PT_1" and whole.colors["L5 PT_1"] == "#0D5D7E"

    (folder / "tiny" / FULL_COUNTS).unlink()
    with pytest.warns(UserWarning, match=f"gene_counts.csv replaces the missing {FULL_COUNTS}"):
        data = as_paired(load_dataset("scala_ion_channels", folder, download=False))
    assert data.gene_names.tolist() == ["Sst", "Vip"]
    assert data.sha256 != whole.sha256
    assert "among the 1000 selected genes only" in capsys.readouterr().out
    assert datasets.list_datasets(folder)["scala_ion_channels"] == (
        "partly available",
        (FULL_COUNTS,),
    )
    put(folder / "tiny" / FULL_COUNTS, b"broken")
    with pytest.raises(DataIntegrityError, match="final_patch_seq.*is truncated"):
        load_dataset("scala_ion_channels", folder)


def test_simulated_data_take_the_options_of_the_simulator(capsys):
    assert load_dataset(
        "simulated", n_cells=50, n_genes=30, n_true_genes=5, random_state=1
    ).shape == (50, 30)
    assert "50 cells x 30 genes" in capsys.readouterr().out
    screen = load_dataset(
        "simulated_screen", n_perturbations=4, n_control=7, random_state=1, verbose=False
    )
    assert screen.shape == (4 * 50 + 7, 100)
    whole = load_dataset("simulated_screen", verbose=False)
    assert (
        whole.uns["sbnn"]["sha256"]
        == simulate_perturbations(50, 100, 15, 100).uns["sbnn"]["sha256"]
    )


def test_default_dataset_is_the_real_one_where_it_can_be_had(small_scala, capsys):
    folder = small_scala[0]
    assert default_dataset(path=folder) == "scala"
    assert capsys.readouterr().out == "data set: scala, because its files are in path\n"
    put(folder / "tiny" / "gene_counts.csv", b"broken")
    with pytest.raises(DataIntegrityError, match="gene_counts.csv is truncated"):
        default_dataset(path=folder)


def test_default_dataset_is_simulated_elsewhere_with_the_reason(alone, capsys):
    for study, simulated, missing in (
        ("sbnn", "simulated", "scala_2020/gene_counts.csv"),
        ("ephys_types", "simulated_ephys", "lee_2023_human/LeeDalley_ephys_fx.csv"),
        ("mechanism_shift", "simulated_screen", "papalexi_2021/response_cells_x_genes.npz"),
        ("dynamics", "simulated_grn", "grn_simulated/rate_equations_350.csv"),
    ):
        assert default_dataset(download=False, study=study) == simulated
        printed = capsys.readouterr().out
        assert printed.startswith(f"data set: {simulated}, because")
        assert f"cannot find {missing}" in printed
    assert default_dataset(download=False, verbose=False) == "simulated"
    assert capsys.readouterr() == ("", "")


def test_data_sets_belong_to_a_study():
    for study in datasets.STUDIES:
        names = datasets.names_of(study)
        assert names
        assert {DATASETS[name].study for name in names} == {study}
    datasets.require_study("scala")
    datasets.require_study("mine")  # a name of a user's own
    with pytest.raises(ValueError, match="'grn_350'.*scala"):
        datasets.require_study("grn_350")
    with pytest.raises(ValueError, match="dataset: 'simulated_ephys'"):
        default_dataset("simulated_ephys")
    assert default_dataset("simulated_ephys", study="ephys_types") == "simulated_ephys"


@pytest.mark.parametrize("option", ["download", "verbose"])
def test_flags_are_flags(option):
    with pytest.raises((TypeError, ValueError), match=option):
        load_dataset("simulated", **{option: "yes"})


def test_a_summary_has_the_size_the_groups_and_the_notes():
    labels = pd.DataFrame({"family": ["b", "a", "b"]}, ["cell_0", "cell_1", "cell_2"])
    outputs = [[1, 2], [3, 4], [5, 7]]
    data = paired(np.eye(3), outputs, labels=labels, notes=["logs", "two"], name="own", source="us")
    lines = datasets.summary(data).splitlines()
    assert lines[0] == "own: 3 cells x 3 genes -> 2 outputs; families: b 2, a 1"
    assert lines[1:] == ["  source: us", "  note: logs", "  note: two"]


@pytest.mark.parametrize(("n_families", "more"), [(12, ""), (13, " and 1 more")])
def test_a_summary_lists_the_largest_groups(n_families, more):
    families = [f"f{i:02}" for i in range(n_families)]
    cells = [f"cell_{i}" for i in range(n_families)]
    data = paired(np.eye(n_families), labels=pd.DataFrame({"family": families}, cells))
    first = datasets.summary(data).splitlines()[0]
    assert "-> no outputs" in first
    assert first.endswith(f"f11 1{more}")


def test_summaries_of_other_kinds_of_data():
    network = datasets.summary(load_dataset("simulated_grn", n_genes=5, n_samples=2, n_test=1))
    assert "15 times x 5 genes; split: train 10, test 5" in network
    types = datasets.summary(load_dataset("simulated_ephys", n_cells=20, random_state=1))
    assert "20 cells x 43 features; types: PVALB 11" in types


# --- sbnn data


def test_command_of_unknown_names(capsys):
    assert datasets.main(["get", "nonsense"]) == 1
    assert "nonsense" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        datasets.main(["get"])
    assert ended.value.code == 2


def test_command_that_cannot_get_a_file(alone, monkeypatch, capsys):
    published(monkeypatch)
    assert datasets.main(["get", "tiny.csv"]) == 1
    assert "tiny.csv" in capsys.readouterr().err


def test_command_gets_and_lists(small_scala, capsys):
    folder = small_scala[0]
    assert datasets.main(["get", "scala", "ephys_values.csv", "--path", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert all(
        f"{folder / 'tiny' / name}  sha256 {FILES[name].sha256}" in printed
        for name in DATASETS["scala"].files
    )
    assert datasets.main(["list", "--path", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == list(DATASETS)
    assert lines[0].endswith("features [available]")
    assert lines[-1].endswith("[available (simulated)]")
    assert "gouwens: mouse visual cortex" in lines[3]
    assert "[downloadable, lacks PS_v5" in lines[3]


def test_command_checks(small_scala, capsys):
    folder = small_scala[0]
    assert datasets.main(["check", "scala", "--path", str(folder)]) == 0
    put(folder / "tiny" / "ephys_values.csv", b"broken")
    (folder / "tiny" / "gene_counts.csv").unlink()  # registered without an address here
    capsys.readouterr()
    assert datasets.main(["check", "--path", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == [
        "absent",
        "corrupt",
    ]
    assert "is truncated: expected" in lines[1]
    assert len(lines) == len(FILES)
    states = datasets.list_datasets(folder)
    assert states["scala"] == ("manual download", ("gene_counts.csv",))
    assert states["gouwens"] == ("downloadable", DATASETS["gouwens"].files)
