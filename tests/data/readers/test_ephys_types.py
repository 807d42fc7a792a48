"""Readers of electrophysiology with types, on small tables of the published layout and on the published ones."""

import numpy as np
import pandas as pd
import pytest
from files import published, put

from sbnn.data.datasets import load_dataset
from sbnn.data.ephys_units import feature_table
from sbnn.data.fingerprint import fingerprint_files
from sbnn.data.sources import FILES
from sbnn.data.spike_lags import relative_to_threshold
from sbnn.data.unit_mixups import check_units

MOUSE_TYPES = [
    "Sst Calb2 Pdlim5",
    "Pvalb Vipr2",
    "Vip Gpc3 Slc18a3",
    "Lamp5 Lsp1",
    "Sncg Vip Itih5",
    None,
    "L2/3 x",
    "Sst x",
]


@pytest.fixture
def mouse_tables():
    """Eight recordings: six of the classes (one without features), one without a type, one of another subclass."""
    rng = np.random.default_rng(0)
    about = feature_table("gouwens_2020")
    features = pd.DataFrame(rng.normal(size=(8, 45)), columns=about.index)
    features.iloc[7] = np.nan
    features.insert(0, "rheobase_sweep_num", 50)
    features["thumbnail_sweep_num"] = 53
    sessions = [100 + i for i in range(8)]
    features["ID"] = [f"sub-{i}_ses-{session}_icephys.nwb" for i, session in enumerate(sessions)]
    metadata = pd.DataFrame(
        {
            "cell_specimen_id": [200 + i for i in range(8)],
            "structure": ["VISp2/3", "VISp5", "VISpm6a", "VISl1", "VISp4", "VISp5", "VISp5", "VISp"],
            "donor_id": [7, 7, 8, 8, 8, 9, 9, 9],
            "biological_sex": "F",
            "age": ["P55"] * 7 + [None],
            "full_genotype": ["Sst-IRES-Cre/wt;Ai14(RCL-tdT)/wt"] * 6
            + ["Cck-IRES-Cre/wt;Vip-IRES-FlpO/wt;Ai65(RCFL-tdT)/wt", None],
            "cell_soma_normalized_depth": 0.5,
            "transcriptomics_batch": "BT035",
            "ephys_session_id": sessions,
            "T-type Label": MOUSE_TYPES,
            "MET-type Label": ["Sst-MET-3", "NULL"] + [None] * 6,
        }
    )
    return features, metadata.iloc[::-1]


@pytest.fixture
def human_tables():
    """Six cells of which one has no features, with subclasses revised for one; and a seventh in the metadata alone."""
    rng = np.random.default_rng(0)
    features = pd.DataFrame(rng.normal(size=(6, 93)), columns=feature_table("lee_2023").index)
    features.iloc[5] = np.nan
    features.insert(0, "specimen_id", range(10, 16))
    metadata = pd.DataFrame(
        {
            "specimen_id": range(10, 17),
            "cell_name": "x",
            "Donor": ["H1", "H1", "H2", "H2", "H3", "H3", "H4"],
            "structure": "MTG",
            "lobe": "TemL",
            "disease_category": "epilepsy",
            "Transcriptomic_type ": "Inh L2-4 SST FRZB",
            "condition": ["acute", "culture"] * 3 + ["acute"],
            "condition2": "acute_microglial",
            "Days_In_culture": [0, 6] * 3 + [0],
            "Cortical_layer": ["3", "5_6", None, "2", "2", "2", "2"],
            "subclass_label": ["PVALB", "SST", "SST", "VIP", "LAMP5/PAX6/Other", "SST", "SST"],
            "Revised_subclass_label": ["PVALB", "PVALB", "SST", "VIP", "LAMP5/PAX6/Other", "SST", "SST"],
            "Virus": [None, "CN1390"] * 3 + [None],
            "Genes_Detected": 5000,
        }
    )
    return features, metadata


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


def test_mouse_cells_are_joined_by_session(load, mouse_tables):
    data = load("gouwens_ephys", MOUSE_FILES, mouse_tables)
    assert data.cell_names.tolist() == ["200", "201", "202", "203", "204"], "those with a class and a feature"
    assert data.y.tolist() == ["SST", "PVALB", "VIP", "LAMP5", "VIP"]
    assert data.labels["type5"].tolist() == ["SST", "PVALB", "VIP", "LAMP5", "SNCG"]
    features = mouse_tables[0]
    assert not [name for name in data.feature_names if name.endswith("_sweep_num")] and data.n_features == 45
    np.testing.assert_allclose(data.X, features[data.feature_names].iloc[:5])
    assert data.dropped == {
        "no t-type": ["205"],
        "subclass other than Lamp5, Pvalb, Sst, Vip and Sncg": ["206"],
        "no measured feature": ["207"],
    }
    labels = data.labels
    assert labels["donor"].tolist() == ["7", "7", "8", "8", "8"] and labels["age_days"].tolist() == [55] * 5
    assert labels["area"].tolist() == ["VISp", "VISp", "VISpm", "VISl", "VISp"]
    assert labels["layer"].tolist() == ["2/3", "5", "6a", "1", "4"]
    assert set(labels["cre"]) == {"Sst-IRES-Cre"} and labels["met_type"].tolist() == ["Sst-MET-3", "", "", "", ""]
    assert data.families.names[0] == "passive" and len(data.families) == 7
    assert data.units["tau"] == "ms" and data.units["sag"] == ""
    assert data.files == {name: FILES[name].sha256 for name in MOUSE_FILES}
    assert data.sha256 == fingerprint_files(data.files) and data.name == "gouwens_ephys"


def test_spikes_may_be_measured_from_their_threshold(load, mouse_tables):
    data = load("gouwens_ephys", MOUSE_FILES, mouse_tables)
    relative = load("gouwens_ephys", MOUSE_FILES, mouse_tables, relative=True)
    raw, table = data.table, relative.table
    for part in ("peak", "trough", "fast_trough", "slow_trough"):
        for stimulus in ("long_square", "ramp", "short_square"):
            for old, new in (("v", "deltav"), ("t", "lag")):
                expected = raw[f"{part}_{old}_{stimulus}"] - raw[f"threshold_{old}_{stimulus}"]
                np.testing.assert_allclose(table[f"{part}_{new}_{stimulus}"], expected)
    same = [name for name in raw if name in table]
    assert len(same) == 45 - 24 and raw[same].equals(table[same]) and "threshold_t_ramp" in same
    assert relative.families.family_of == data.families.family_of
    assert relative.units["peak_lag_ramp"] == "s" and relative.units["peak_deltav_ramp"] == "mV"
    assert relative.name == "gouwens_ephys_relative" and relative.sha256 != data.sha256
    assert relative.labels.equals(data.labels)
    with pytest.raises(ValueError, match="no feature such as peak_v_ramp"):
        relative_to_threshold(relative)


def test_human_cells_have_the_revised_subclass(load, human_tables, capsys):
    data = load("lee_human", HUMAN_FILES, human_tables)
    assert data.cell_names.tolist() == ["10", "11", "12", "13", "14"]
    assert data.y.tolist() == ["PVALB", "PVALB", "SST", "VIP", "LAMP5"]
    assert data.labels["subclass_unrevised"].tolist()[1] == "SST"
    assert data.dropped == {"no measured feature": ["15"]}
    np.testing.assert_allclose(data.X, human_tables[0].iloc[:5, 1:])
    labels = data.labels
    assert labels["donor"].tolist() == ["H1", "H1", "H2", "H2", "H3"]
    assert labels["condition"].tolist() == ["acute", "culture"] * 2 + ["acute"]
    assert labels["days_in_culture"].tolist() == [0, 6, 0, 6, 0]
    assert labels["virus"].tolist() == ["none", "CN1390", "none", "CN1390", "none"]
    assert labels["layer"].tolist() == ["3", "5/6", "", "2", "2"]
    assert labels["t_type"].tolist() == ["Inh L2-4 SST FRZB"] * 5, "whose column is named with a blank"
    assert len(data.families) == 11 and data.units["tau"] == "s"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, m: (f.drop(columns="ri"), m), r"ipfx_features.csv lacks the column\(s\) ri"),
        (lambda f, m: (f, m.drop(columns="age")), r"metadata_mouse.csv lacks the column\(s\) age"),
        (lambda f, m: (f, m[m["ephys_session_id"] != 103]), r"no row for 1 session\(s\): 103"),
        (lambda f, m: (f.assign(ID="a.nwb"), m), r"no session \(ses-<number>\) in the ID 'a.nwb'"),
        (lambda f, m: (pd.concat([f, f.iloc[:1]]), m), "sessions"),
        (lambda f, m: (f, pd.concat([m, m.iloc[:1]])), "ephys_session_id"),
        (lambda f, m: (f, m.assign(cell_specimen_id=1)), "cell_specimen_id"),
        (lambda f, m: (f.assign(ri="?"), m), "gouwens_ephys: features that are not numbers"),
        (lambda f, m: (f, m.assign(**{"T-type Label": "Meis2 Adamts19"})), "no cell has a type and a measured feature"),
    ],
)
def test_broken_mouse_tables_are_refused(load, mouse_tables, change, message):
    with pytest.raises(ValueError, match=message):
        load("gouwens_ephys", MOUSE_FILES, change(*mouse_tables))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, m: (f.drop(columns="sag"), m), r"LeeDalley_ephys_fx.csv lacks the column\(s\) sag"),
        (lambda f, m: (f, m.drop(columns="Virus")), r"metadata.csv lacks the column\(s\) Virus"),
        (lambda f, m: (f, m.iloc[1:]), r"no row for 1 specimen\(s\): 10"),
        (lambda f, m: (f.assign(specimen_id=10), m), "specimen_id"),
        (lambda f, m: (f, m.assign(Revised_subclass_label="PAX6")), "unknown Revised_subclass_label PAX6"),
    ],
)
def test_broken_human_tables_are_refused(load, human_tables, change, message):
    with pytest.raises(ValueError, match=message):
        load("lee_human", HUMAN_FILES, change(*human_tables))


# --- the real data


def real(name):
    try:
        return load_dataset(name, download=False, verbose=False)
    except FileNotFoundError:
        pytest.skip(f"the files of {name} are not on this machine")


def test_real_mouse_cells():
    data = real("gouwens_ephys")
    assert (data.n_cells, data.n_features, len(data.families)) == (4215, 45, 7)
    assert data.labels["type"].value_counts().to_dict() == {"SST": 1823, "VIP": 1029, "PVALB": 888, "LAMP5": 475}
    assert data.labels["type5"].value_counts()[["VIP", "SNCG"]].tolist() == [796, 233]
    assert data.labels["donor"].nunique() == 982 and "unknown" not in set(data.labels["donor"])
    assert {why: len(names) for why, names in data.dropped.items()} == {
        "no t-type": 165,
        "subclass other than Lamp5, Pvalb, Sst, Vip and Sncg": 49,
        "no measured feature": 6,
    }
    assert not len(check_units(data))
    missing = data.table.isna().mean()
    assert missing[missing > 0.45].index.str.startswith("slow_trough").all() and (missing > 0.45).sum() == 6
    assert (data.labels["layer"] == "").sum() == 1 and data.labels["age_days"].median() == 55


def test_real_human_cells():
    data = real("lee_human")
    assert (data.n_cells, data.n_features, len(data.families)) == (702, 93, 11)
    assert data.labels["type"].value_counts().to_dict() == {"PVALB": 369, "SST": 155, "VIP": 111, "LAMP5": 67}
    assert data.labels["donor"].nunique() == 109
    assert data.labels["condition"].value_counts().to_dict() == {"culture": 455, "acute": 247}
    assert not len(check_units(data))
    assert (~np.isnan(data.X).any(axis=1)).sum() == 14
    chirp = data.families.present(data.X)[:, data.families.names.index("chirp")]
    assert chirp.mean() == pytest.approx(0.44, abs=0.01)
    assert ((data.labels["virus"] == "none") & (data.labels["condition"] == "culture")).sum() == 2
