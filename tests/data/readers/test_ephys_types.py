"""Readers of electrophysiology with types, on small tables of the published layout and on the published ones."""

import numpy as np
import pandas as pd
import pytest
from files import published, put

from sbnn.data.datasets import load_dataset
from sbnn.data.ephys_features import feature_table
from sbnn.data.fingerprint import fingerprint_files
from sbnn.data.registry import FILES

MOUSE_TYPES = ["Sst Calb2 Pdlim5", "Pvalb Vipr2", "Vip Gpc3 Slc18a3", "Lamp5 Lsp1", "Sncg Vip Itih5"]
MOUSE_TYPES += [None, "L2/3 x", "Sst x"]


def mouse_tables():
    """Eight recordings: six of the classes (one without features), one without a type, one of another subclass."""
    features = pd.DataFrame(np.random.default_rng(0).normal(size=(8, 45)), columns=feature_table("gouwens_2020").index)
    features.iloc[7] = np.nan
    features.insert(0, "rheobase_sweep_num", 50)
    features["thumbnail_sweep_num"] = 53
    sessions = [100 + i for i in range(8)]
    features["ID"] = [f"sub-{i}_ses-{session}_icephys.nwb" for i, session in enumerate(sessions)]
    genotypes = ["Sst-IRES-Cre/wt;Ai14(RCL-tdT)/wt"] * 6 + ["Cck-IRES-Cre/wt;Vip-IRES-FlpO/wt;Ai65(RCFL-tdT)/wt", None]
    metadata = {
        "cell_specimen_id": [200 + i for i in range(8)],
        "structure": ["VISp2/3", "VISp5", "VISpm6a", "VISl1", "VISp4", "VISp5", "VISp5", "VISp"],
        "donor_id": [7, 7, 8, 8, 8, 9, 9, 9],
        "age": ["P55"] * 7 + [None],
        "full_genotype": genotypes,
        "ephys_session_id": sessions,
        "T-type Label": MOUSE_TYPES,
        "MET-type Label": ["Sst-MET-3", "NULL"] + [None] * 6,
    }
    same = {"biological_sex": "F", "cell_soma_normalized_depth": 0.5, "transcriptomics_batch": "BT035"}
    return features, pd.DataFrame(metadata | same).iloc[::-1]


def human_tables():
    """Six cells of which one has no features, with subclasses revised for one; and a seventh in the metadata alone."""
    features = pd.DataFrame(np.random.default_rng(0).normal(size=(6, 93)), columns=feature_table("lee_2023").index)
    features.iloc[5] = np.nan
    features.insert(0, "specimen_id", range(10, 16))
    metadata = {
        "specimen_id": range(10, 17),
        "Donor": ["H1", "H1", "H2", "H2", "H3", "H3", "H4"],
        "condition": ["acute", "culture"] * 3 + ["acute"],
        "Days_In_culture": [0, 6] * 3 + [0],
        "Cortical_layer": ["3", "5_6", None, "2", "2", "2", "2"],
        "subclass_label": ["PVALB", "SST", "SST", "VIP", "LAMP5/PAX6/Other", "SST", "SST"],
        "Revised_subclass_label": ["PVALB", "PVALB", "SST", "VIP", "LAMP5/PAX6/Other", "SST", "SST"],
        "Virus": [None, "CN1390"] * 3 + [None],
    }
    same = {"structure": "MTG", "lobe": "TemL", "disease_category": "epilepsy", "condition2": "acute_microglial"}
    same |= {"Transcriptomic_type ": "Inh L2-4 SST FRZB", "Genes_Detected": 5000}
    return features, pd.DataFrame(metadata | same)


@pytest.fixture
def load(alone, monkeypatch):
    """Publish tables under the names of a data set, and load it."""

    def from_tables(name, files, tables, **options):
        for file, table in zip(files, tables, strict=True):
            content = table.to_csv(index=False).encode()
            published(monkeypatch, file, content)
            put(alone / "given" / file, content)
        return load_dataset(name, alone / "given", download=False, verbose=False, **options)

    return from_tables


MOUSE_FILES = ("ipfx_features.csv", "20200711_patchseq_metadata_mouse.csv")
HUMAN_FILES = ("LeeDalley_ephys_fx.csv", "LeeDalley_manuscript_metadata.csv")


def test_mouse_cells_are_joined_by_session(load):
    tables = mouse_tables()
    data = load("gouwens_ephys", MOUSE_FILES, tables)
    assert data.obs_names.tolist() == ["200", "201", "202", "203", "204"], "those with a class and a feature"
    assert data.obs["type"].tolist() == ["SST", "PVALB", "VIP", "LAMP5", "VIP"]
    assert data.obs["type5"].tolist() == ["SST", "PVALB", "VIP", "LAMP5", "SNCG"]
    features = tables[0]
    assert not [name for name in data.var_names if name.endswith("_sweep_num")] and data.n_vars == 45
    np.testing.assert_allclose(data.X, features[data.var_names].iloc[:5])
    assert data.uns["sbnn"]["dropped"] == {
        "no t-type": ["205"],
        "subclass other than Lamp5, Pvalb, Sst, Vip and Sncg": ["206"],
        "no measured feature": ["207"],
    }
    labels = data.obs
    assert labels["donor"].tolist() == ["7", "7", "8", "8", "8"] and labels["age_days"].tolist() == [55] * 5
    assert labels["area"].tolist() == ["VISp", "VISp", "VISpm", "VISl", "VISp"]
    assert labels["layer"].tolist() == ["2/3", "5", "6a", "1", "4"]
    assert set(labels["cre"]) == {"Sst-IRES-Cre"} and labels["met_type"].tolist() == ["Sst-MET-3", "", "", "", ""]
    assert data.var["family"].iloc[0] == "passive" and data.var["family"].nunique() == 7
    assert data.var["unit"]["tau"] == "ms" and data.var["unit"]["sag"] == ""
    about = data.uns["sbnn"]
    assert about["files"] == {name: FILES[name].sha256 for name in MOUSE_FILES}
    assert about["sha256"] == fingerprint_files(about["files"]) and about["name"] == "gouwens_ephys"
    relative = load("gouwens_ephys", MOUSE_FILES, tables, relative=True)
    assert "peak_lag_ramp" in relative.var_names and relative.uns["sbnn"]["name"] == "gouwens_ephys_relative"


def test_human_cells_have_the_revised_subclass(load):
    tables = human_tables()
    data = load("lee_human", HUMAN_FILES, tables)
    assert data.obs_names.tolist() == ["10", "11", "12", "13", "14"]
    assert data.obs["type"].tolist() == ["PVALB", "PVALB", "SST", "VIP", "LAMP5"]
    assert data.obs["subclass_unrevised"].tolist()[1] == "SST"
    assert data.uns["sbnn"]["dropped"] == {"no measured feature": ["15"]}
    np.testing.assert_allclose(data.X, tables[0].iloc[:5, 1:])
    labels = data.obs
    assert labels["donor"].tolist() == ["H1", "H1", "H2", "H2", "H3"]
    assert labels["condition"].tolist() == ["acute", "culture"] * 2 + ["acute"]
    assert labels["days_in_culture"].tolist() == [0, 6, 0, 6, 0]
    assert labels["virus"].tolist() == ["none", "CN1390", "none", "CN1390", "none"]
    assert labels["layer"].tolist() == ["3", "5/6", "", "2", "2"]
    assert labels["t_type"].tolist() == ["Inh L2-4 SST FRZB"] * 5, "whose column is named with a blank"
    assert data.var["family"].nunique() == 11 and data.var["unit"]["tau"] == "s"


# --- the real data


def real(name):
    try:
        return load_dataset(name, download=False, verbose=False)
    except FileNotFoundError:
        pytest.skip(f"the files of {name} are not on this machine")


def test_real_mouse_cells():
    data = real("gouwens_ephys")
    assert (*data.shape, data.var["family"].nunique()) == (4215, 45, 7)
    assert data.obs["type"].value_counts().to_dict() == {"SST": 1823, "VIP": 1029, "PVALB": 888, "LAMP5": 475}
    assert data.obs["type5"].value_counts()[["VIP", "SNCG"]].tolist() == [796, 233]
    assert data.obs["donor"].nunique() == 982 and "unknown" not in set(data.obs["donor"])
    assert {why: len(names) for why, names in data.uns["sbnn"]["dropped"].items()} == {
        "no t-type": 165,
        "subclass other than Lamp5, Pvalb, Sst, Vip and Sncg": 49,
        "no measured feature": 6,
    }
    missing = data.to_df().isna().mean()
    assert missing[missing > 0.45].index.str.startswith("slow_trough").all() and (missing > 0.45).sum() == 6
    assert (data.obs["layer"] == "").sum() == 1 and data.obs["age_days"].median() == 55


def test_real_human_cells():
    data = real("lee_human")
    assert (*data.shape, data.var["family"].nunique()) == (702, 93, 11)
    assert data.obs["type"].value_counts().to_dict() == {"PVALB": 369, "SST": 155, "VIP": 111, "LAMP5": 67}
    assert data.obs["donor"].nunique() == 109
    assert data.obs["condition"].value_counts().to_dict() == {"culture": 455, "acute": 247}
    assert (~np.isnan(data.X).any(axis=1)).sum() == 14
    chirp = ~np.isnan(data.X[:, data.var["family"] == "chirp"]).all(axis=1)
    assert chirp.mean() == pytest.approx(0.44, abs=0.01)
    assert ((data.obs["virus"] == "none") & (data.obs["condition"] == "culture")).sum() == 2
