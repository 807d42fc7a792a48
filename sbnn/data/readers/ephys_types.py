"""Electrophysiology and types of Patch-seq neurons from mouse visual and from human cortex."""

import numpy as np
import pandas as pd

from sbnn.data.ephys_features import HUMAN, MOUSE, feature_table, relative_to_threshold
from sbnn.data.readers.scala import select_labels
from sbnn.data.typed_cells import typed_cells

#: First word of a mouse t-type -> class. Sncg cells, rare in the human data, count as VIP.
MOUSE_CLASSES = {"Lamp5": "LAMP5", "Pvalb": "PVALB", "Sst": "SST", "Vip": "VIP", "Sncg": "VIP"}
#: Revised subclass of a human cell -> class.
HUMAN_CLASSES = {"LAMP5/PAX6/Other": "LAMP5", "PVALB": "PVALB", "SST": "SST", "VIP": "VIP"}


def read_gouwens_ephys(features_path, metadata_path, relative=False, **about):
    """Read 4215 of 4435 mouse cells, from 982 donors, with 45 features in 7 families.

    `tau` and `avg_isi` are in ms, other times in s. ``type5`` separates SNCG from VIP.
    """
    table = _read(features_path)
    metadata = _read(metadata_path)
    session = table["ID"].str.extract(r"ses-(\d+)", expand=False)
    metadata = metadata.set_index(_texts(metadata["ephys_session_id"])).loc[session]
    metadata = metadata.set_index(_texts(metadata["cell_specimen_id"]))
    labels = select_labels("gouwens_ephys", metadata)
    labels["t_type"] = labels["t_type"].fillna("").str.strip()
    labels["met_type"] = labels["met_type"].fillna("").replace("NULL", "")
    subclass = labels["t_type"].str.split(" ").str[0]
    labels.insert(0, "subclass", subclass)
    labels.insert(0, "type5", subclass.map(MOUSE_CLASSES | {"Sncg": "SNCG"}))
    labels.insert(0, "type", subclass.map(MOUSE_CLASSES))
    area = metadata["structure"].str.extract(r"^(?P<area>\D*)(?P<layer>\d.*)?$")
    labels = labels.join(area.fillna(""))
    labels["age_days"] = pd.to_numeric(metadata["age"].str.lstrip("P"), errors="coerce")
    # "Sst-IRES-Cre" of "Sst-IRES-Cre/wt;Ai14(RCL-tdT)/wt"
    drivers = labels["genotype"].fillna("").str.findall(r"(?:^|;)(?!\s*Ai)\s*([^/;]+)")
    labels["cre"] = drivers.str.join(";")
    reasons = {
        "no t-type": labels["subclass"] == "",
        "subclass other than Lamp5, Pvalb, Sst, Vip and Sncg": labels["type"].isna(),
    }
    data = _chosen(table, MOUSE, labels, reasons, **about)
    return relative_to_threshold(data) if relative else data


def read_lee_human(features_path, metadata_path, **about):
    """Read 702 human cells from 109 donors, with 93 features in 11 families.

    ``condition`` (acute or culture) and ``virus`` are uneven over types.
    """
    table = _read(features_path)
    metadata = _read(metadata_path)
    metadata = metadata.set_index(_texts(metadata["specimen_id"]))
    metadata = metadata.loc[_texts(table["specimen_id"])]
    labels = select_labels("lee_human", metadata)
    labels["virus"] = labels["virus"].fillna("none")
    labels["layer"] = labels["layer"].fillna("").str.replace("_", "/")
    subclass = metadata["Revised_subclass_label"].fillna("").str.strip()
    labels.insert(0, "subclass", subclass)
    labels.insert(0, "type", subclass.map(HUMAN_CLASSES))
    reasons = {"no subclass": labels["subclass"] == ""}
    return _chosen(table, HUMAN, labels, reasons, **about)


def _chosen(table, release, labels, reasons, **about):
    features = feature_table(release)
    values = table[features.index].set_axis(labels.index, axis=0).astype(np.float64)
    reasons["no measured feature"] = values.isna().all(axis=1)
    reason = np.select(list(reasons.values()), list(reasons), "")  # the first one
    kept = reason == ""
    return typed_cells(
        values[kept],
        labels[kept],
        features["family"],
        features["unit"],
        dropped={why: values.index[reason == why] for why in reasons},
        **about,
    )


def _read(path):
    table = pd.read_csv(path, low_memory=False)
    return table.rename(columns=str.strip)  # one published column name ends in a space


def _texts(values):
    numbers = pd.to_numeric(values).astype("Int64")
    return numbers.astype(str).to_numpy()
