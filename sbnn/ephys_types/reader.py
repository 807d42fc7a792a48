"""Electrophysiology and types of Patch-seq neurons from mouse visual and from human cortex."""

from os import PathLike

import numpy as np
import pandas as pd
from anndata import AnnData

from sbnn.data.checks import match_rows
from sbnn.data.readers.scala import select_labels
from sbnn.ephys_types.data import typed_cells
from sbnn.ephys_types.features import (
    HUMAN_RELEASE,
    MOUSE_RELEASE,
    relative_to_threshold,
    release_features,
)

#: First word of a mouse t-type -> class. Sncg cells, rare in the human data, count as VIP.
MOUSE_CLASSES = {"Lamp5": "LAMP5", "Pvalb": "PVALB", "Sst": "SST", "Vip": "VIP", "Sncg": "VIP"}
#: Revised subclass of a human cell -> class.
HUMAN_CLASSES = {"LAMP5/PAX6/Other": "LAMP5", "PVALB": "PVALB", "SST": "SST", "VIP": "VIP"}


def read_gouwens_ephys(
    features_path: str | PathLike[str],
    metadata_path: str | PathLike[str],
    relative: bool = False,
    **about: object,
) -> AnnData:
    """Read 4215 of 4435 mouse cells, from 982 donors, with 45 features in 7 families.

    `tau` and `avg_isi` are in ms, other times in s. ``type5`` separates SNCG from VIP.
    """
    table = _read_stripped_csv(features_path)
    metadata = _read_stripped_csv(metadata_path)
    # sessions tell which recording is of which cell
    session = table["ID"].str.extract(r"ses-(\d+)", expand=False)
    metadata = metadata.set_index(_ids_as_text(metadata["ephys_session_id"]))
    metadata = match_rows(metadata, session.to_numpy(), "metadata")
    metadata = metadata.set_index(_ids_as_text(metadata["cell_specimen_id"]))

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
    genotype = labels["genotype"].fillna("")
    drivers = genotype.str.findall(r"(?:^|;)(?!\s*Ai)\s*([^/;]+)")
    labels["cre"] = drivers.str.join(";")

    reasons = {
        "no t-type": labels["subclass"] == "",
        "subclass other than Lamp5, Pvalb, Sst, Vip and Sncg": labels["type"].isna(),
    }
    data = _build_labelled_cells(table, MOUSE_RELEASE, labels, reasons=reasons, about=about)
    return relative_to_threshold(data) if relative else data


def read_lee_human(
    features_path: str | PathLike[str], metadata_path: str | PathLike[str], **about: object
) -> AnnData:
    """Read 702 human cells from 109 donors, with 93 features in 11 families.

    ``condition`` (acute or culture) and ``virus`` are uneven over types.
    """
    table = _read_stripped_csv(features_path)
    metadata = _read_stripped_csv(metadata_path)
    metadata = metadata.set_index(_ids_as_text(metadata["specimen_id"]))
    metadata = match_rows(metadata, _ids_as_text(table["specimen_id"]), "metadata")

    labels = select_labels("lee_human", metadata)
    labels["virus"] = labels["virus"].fillna("none")
    labels["layer"] = labels["layer"].fillna("").str.replace("_", "/")
    subclass = metadata["Revised_subclass_label"].fillna("").str.strip()
    labels.insert(0, "subclass", subclass)
    labels.insert(0, "type", subclass.map(HUMAN_CLASSES))

    reasons = {"no subclass": labels["subclass"] == ""}
    return _build_labelled_cells(table, HUMAN_RELEASE, labels, reasons=reasons, about=about)


def _build_labelled_cells(table, release, labels, reasons, about):
    """Cells with the features of a release, without those that are dropped for some reason.

    `reasons` holds a mask of the cells for each reason; features and labels are in the same order.
    """
    features = release_features(release)
    values = table[features.index].set_axis(labels.index, axis=0).astype(np.float64)
    masks = reasons | {"no measured feature": values.isna().all(axis=1)}
    reason = np.select(list(masks.values()), list(masks), "")  # the first one
    dropped = {name: values.index[reason == name] for name in masks}
    kept = reason == ""
    return typed_cells(
        values[kept],
        labels[kept],
        families=features["family"],
        units=features["unit"],
        dropped=dropped,
        **about,
    )


def _read_stripped_csv(path):
    table = pd.read_csv(path, low_memory=False)
    return table.rename(columns=str.strip)  # one published column name ends in a space


def _ids_as_text(values):
    """Whole numbers as text; those of a column with missing values are read as floats."""
    whole_numbers = pd.to_numeric(values).astype("Int64")
    return whole_numbers.astype(str).to_numpy()
