"""Published electrophysiological features, and the features shared by mouse and human.

`ephys_features.csv` lists the features of both releases with unit, median and robust SD.
`shared_features.csv` gives the 27 shared features, named as in the human
release, from mouse columns: ``(mouse - minus) * factor + offset``.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from sbnn.data.checks import abbreviate
from sbnn.data.fingerprint import annotation_arguments
from sbnn.ephys_types.data import typed_cells

# Gouwens et al. 2020; Lee, Dalley et al. 2023
MOUSE_RELEASE = "gouwens_2020"
HUMAN_RELEASE = "lee_2023"
SPIKE_PART = re.compile("(peak|trough|fast_trough|slow_trough)_([vt])_(.+)")
RELATIVE_QUANTITIES = {"v": "deltav", "t": "lag"}
_FOLDER = Path(__file__).parent


def release_features(release: str) -> pd.DataFrame:
    """Family, unit, median and spread of the features of a release."""
    table = pd.read_csv(_FOLDER / "ephys_features.csv").fillna({"unit": ""})
    of_release = table[table["release"] == release]
    return of_release.drop(columns="release").set_index("feature")


def shared_features() -> pd.DataFrame:
    """Mouse columns of the shared features."""
    table = pd.read_csv(_FOLDER / "shared_features.csv", index_col="feature")
    return table.fillna({"unit": "", "minus": ""})


def to_shared_features(data: AnnData) -> AnnData:
    """Express cells of either species in the 27 shared features of the human release.

    Values must be in the units of the releases: others would look like a difference between
    species.
    """
    shared = shared_features()
    table = data.to_df()
    if list(table) == list(shared.index):
        return data
    mouse_columns = list(shared["mouse"])
    human_columns = list(shared.index)
    n_mouse = np.isin(mouse_columns, table.columns).sum()
    n_human = np.isin(human_columns, table.columns).sum()
    is_mouse = n_mouse >= n_human
    columns = mouse_columns if is_mouse else human_columns
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ValueError(
            f"data: expected all electrophysiological features of the mouse or of the human "
            f"release; missing are {abbreviate(missing)}"
        )
    values = table[columns].set_axis(shared.index, axis=1)  # (n_cells, 27)
    if is_mouse:
        # (mouse - minus) * factor + offset, where minus is 0 for most features
        table[""] = 0.0
        subtracted = table[list(shared["minus"])].to_numpy()
        factor = shared["factor"].to_numpy()
        offset = shared["offset"].to_numpy()
        values = (values - subtracted) * factor + offset
    return _build_derived_cells(data, values, shared, ending="shared")


def relative_to_threshold(data: AnnData) -> AnnData:
    """Measure peaks and troughs from the spike threshold."""
    # times of the release begin with the sweep; the lag is a thousand times smaller
    values = data.to_df().copy()
    new_names = {}
    for feature in values:
        match = SPIKE_PART.fullmatch(feature)
        if match:
            part, quantity, stimulus = match.groups()
            values[feature] -= values[f"threshold_{quantity}_{stimulus}"]
            new_names[feature] = f"{part}_{RELATIVE_QUANTITIES[quantity]}_{stimulus}"
    values = values.rename(columns=new_names)
    features = data.var.rename(new_names)
    return _build_derived_cells(data, values, features, ending="relative")


def _build_derived_cells(data, values, features, ending):
    """Cells with other features, under the name of the data with an ending."""
    arguments = annotation_arguments(data)
    name = arguments.pop("name", "custom")
    return typed_cells(
        values,
        data.obs,
        families=features["family"],
        units=features["unit"],
        name=f"{name}_{ending}",
        **arguments,
    )
