"""Published electrophysiological features, and the features shared by mouse and human.

`ephys_features.csv` lists the features of both releases with unit, median and robust SD.
`shared_features.csv` gives the 27 shared features, named as in the human
release, from mouse columns: ``(mouse - minus) * factor + offset``.
"""

import re
from pathlib import Path

import pandas as pd

from sbnn.data.checks import abbreviate
from sbnn.data.fingerprint import annotation_arguments
from sbnn.data.typed_cells import typed_cells

# Gouwens et al. 2020; Lee, Dalley et al. 2023
MOUSE_RELEASE = "gouwens_2020"
HUMAN_RELEASE = "lee_2023"
SPIKE_PART = re.compile("(peak|trough|fast_trough|slow_trough)_([vt])_(.+)")
RELATIVE_QUANTITIES = {"v": "deltav", "t": "lag"}
_FOLDER = Path(__file__).parent


def release_features(release):
    """Family, unit, median and spread of the features."""
    table = pd.read_csv(_FOLDER / "ephys_features.csv").fillna({"unit": ""})
    return table[table["release"] == release].drop(columns="release").set_index("feature")


def shared_features():
    """Mouse columns of the shared features."""
    table = pd.read_csv(_FOLDER / "shared_features.csv", index_col="feature")
    return table.fillna({"unit": "", "minus": ""})


def to_shared_features(data):
    """Express cells of either species in the 27 shared features of the human release.

    Values must be in the units of the releases: others would look like a difference between
    species.
    """
    shared = shared_features()
    table = data.to_df()
    if list(table) == list(shared.index):
        return data
    mouse = shared["mouse"]
    columns = max(mouse, shared.index, key=lambda names: names.isin(table.columns).sum())
    missing = columns[~columns.isin(table.columns)]
    if len(missing):
        raise ValueError(
            f"data: expected all electrophysiological features of the mouse or of the human "
            f"release; missing are {abbreviate(missing)}"
        )
    values = table[list(columns)].set_axis(shared.index, axis=1)  # (n_cells, 27)
    if columns is mouse:
        table[""] = 0.0
        subtracted = table[list(shared["minus"])].to_numpy()
        values = (values - subtracted) * shared["factor"].to_numpy() + shared["offset"].to_numpy()
    return _build_derived_cells(data, values, shared, "shared")


def relative_to_threshold(data):
    """Measure peaks and troughs from the spike threshold."""
    # times of the release begin with the sweep; the lag is a thousand times smaller
    values = data.to_df().copy()
    new_names = {}
    for feature in values:
        of_spike = SPIKE_PART.fullmatch(feature)
        if of_spike:
            part, quantity, stimulus = of_spike.groups()
            values[feature] -= values[f"threshold_{quantity}_{stimulus}"]
            new_names[feature] = f"{part}_{RELATIVE_QUANTITIES[quantity]}_{stimulus}"
    values = values.rename(columns=new_names)
    return _build_derived_cells(data, values, data.var.rename(new_names), "relative")


def _build_derived_cells(data, values, features, ending):
    about = annotation_arguments(data)
    about["name"] = f"{about.get('name', 'custom')}_{ending}"
    return typed_cells(values, data.obs, features["family"], features["unit"], **about)
