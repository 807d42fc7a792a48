import gzip
import io
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest
from files import published, put
from scipy import sparse

from sbnn.data import inventory
from sbnn.data.catalogue import names_of, require_study
from sbnn.data.datasets import DATASETS, default_dataset, load_dataset, type_colors
from sbnn.data.fingerprint import fingerprint_files
from sbnn.data.paired import PairedData
from sbnn.data.perturbation_screen import PerturbationScreen
from sbnn.data.registry import DataIntegrityError
from sbnn.data.simulate_perturbations import simulate_perturbations
from sbnn.data.sources import FILES

FULL_COUNTS = "final_patch_seq_allcells_exon_allreads.zip"


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
    assert "sbnn data get scala" in printed
    assert default_dataset(download=False, verbose=False) == "simulated"
    assert capsys.readouterr() == ("", "")


def test_default_dataset_does_not_pass_over_a_broken_file(small_scala):
    folder = small_scala[0]
    put(folder / "tiny" / "gene_counts.csv", b"broken")
    with pytest.raises(DataIntegrityError, match="gene_counts.csv is truncated"):
        default_dataset(folder)


def test_default_dataset_of_the_other_studies(alone, capsys):
    assert default_dataset(download=False, study="ephys_types") == "simulated_ephys"
    assert "cannot find lee_2023_human/LeeDalley_ephys_fx.csv" in capsys.readouterr().out
    assert default_dataset(study="mechanism_shift") == "simulated_screen"
    printed = capsys.readouterr().out
    assert "cannot find papalexi_2021/response_cells_x_genes.npz" in printed
    assert "no address to download from is known" in printed and "Katsevich-Lab/sceptredata" in printed
    assert default_dataset(download=False, study="dynamics") == "simulated_grn"
    with pytest.raises(ValueError, match="study must be one of .*, mechanism_shift, dynamics, got 'chemistry'"):
        default_dataset(study="chemistry")


def test_each_study_has_data_sets_of_its_own():
    of_sbnn, of_types, of_screens = names_of(), names_of("ephys_types"), names_of("mechanism_shift")
    of_dynamics = names_of("dynamics")
    assert sorted([*of_sbnn, *of_types, *of_screens, *of_dynamics]) == sorted(DATASETS)
    assert of_dynamics == ("grn_350", "grn_690", "yeast_pramila", "breast_desmedt", "simulated_grn")
    assert of_types == ("gouwens_ephys", "lee_human", "simulated_ephys") and "scala" in of_sbnn
    assert of_screens == ("papalexi", "simulated_screen")
    assert load_dataset("simulated_ephys", n_cells=20, verbose=False).n_obs == 20
    assert isinstance(load_dataset("simulated", n_cells=20, verbose=False), PairedData)
    require_study("a name of one's own")
    require_study("lee_human", "ephys_types")
    with pytest.raises(ValueError, match="'lee_human' is of the study 'ephys_types'; those of 'sbnn' are scala, "):
        require_study("lee_human")
    with pytest.raises(
        ValueError, match="'papalexi' is of the study 'mechanism_shift'; those of 'ephys_types' are gou"
    ):
        require_study("papalexi", "ephys_types")


def test_simulated_screen_takes_the_options_of_the_simulator(capsys):
    data = load_dataset("simulated_screen", n_perturbations=4, n_control=7, random_state=1)
    assert isinstance(data, PerturbationScreen) and data.counts.shape == (4 * 50 + 7, 100)
    assert data.truth["shifts"].shape == (4, 15)
    assert "207 cells x 100 genes, 4 perturbations of 50 to 50 cells; control 'control' 7" in capsys.readouterr().out
    whole = load_dataset("simulated_screen", verbose=False)
    assert whole.counts.shape == (5000, 100) and len(whole.targets) == 100
    assert whole.sha256 == simulate_perturbations(50, 100, 15, 100).sha256
    with pytest.raises(TypeError, match="'papalexi' takes the options confident_only, got n_cells"):
        load_dataset("papalexi", n_cells=10)


def test_type_colors_are_those_of_the_taxonomy():
    colors = type_colors()
    assert len([name for name in colors if " ET_" not in name]) == 88
    assert colors["Sst Chodl"] == "#FFFF00" and colors["L6b Kcnip1"] == "#573D90"
    assert [colors[f"L5 ET_{i}"] for i in (1, 2, 3, 4)] == [colors[f"L5 PT_{i}"] for i in (1, 2, 3, 4)]


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
