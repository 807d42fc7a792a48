"""Published electrophysiological features, and the features shared by mouse and human.

`ephys_features.csv` lists the features of both releases with unit, median, robust SD, and the range
expected of a median in this unit. `shared_features.csv` gives the 27 shared features, named as in
the human release, from mouse columns: ``(mouse - minus) * factor + offset``. Its column `r` is the
correlation between both versions over `n` mouse cells.
"""

import itertools
from pathlib import Path

import pandas as pd

from sbnn.data.checks import some
from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.typed_cells import as_typed, typed_cells

MOUSE, HUMAN = "gouwens_2020", "lee_2023"  # Gouwens et al. 2020; Lee, Dalley et al. 2023
PARTS = ("peak", "trough", "fast_trough", "slow_trough")
STIMULI = ("long_square", "ramp", "short_square")
_FOLDER = Path(__file__).parent


def feature_table(release):
    """Family, unit, low, high, median and spread of the features."""
    numbers = {"low": [""], "high": [""]}  # other columns are texts, which may be empty
    path = _FOLDER / "ephys_features.csv"
    table = pd.read_csv(path, keep_default_na=False, na_values=numbers)
    return table[table["release"] == release].drop(columns="release").set_index("feature")


def shared_feature_table():
    """Mouse columns of the shared features."""
    numbers = {"r": [""], "n": [""]}
    path = _FOLDER / "shared_features.csv"
    return pd.read_csv(path, index_col="feature", keep_default_na=False, na_values=numbers)


def to_shared_features(data):
    """Express cells of either species in the 27 shared features of the human release.

    Missing columns raise an error. Values must be in the units of the releases: others would look
    like a difference between species.
    """
    cells = as_typed(data)
    shared = shared_feature_table()
    if list(cells.feature_names) == list(shared.index):
        return data
    table = pd.DataFrame(cells.X, cells.cell_names, cells.feature_names)
    from_human = shared.index.isin(table.columns).sum()
    from_mouse = shared["mouse"].isin(table.columns).sum()
    columns = shared.index if from_human > from_mouse else shared["mouse"]
    missing = columns[~columns.isin(table.columns)]
    if len(missing):
        raise ValueError(
            f"data: expected all electrophysiological features of the mouse or of the human "
            f"release; missing are {some(missing)}"
        )
    values = table[list(columns)].set_axis(shared.index, axis=1)  # (n_cells, 27)
    if from_human <= from_mouse:
        table[""] = 0.0
        subtracted = table[list(shared["minus"])].to_numpy()
        values = (values - subtracted) * shared["factor"].to_numpy() + shared["offset"].to_numpy()
    parameters = {"shared features of": cells.sha256, "features": list(shared.index)}
    return _derived(data, values, shared["family"], shared["unit"].to_dict(), "shared", parameters)


def relative_to_threshold(data):
    """Measure peaks and troughs from the spike threshold."""
    # times of the release begin with the sweep; the lag is a thousand times smaller
    cells = as_typed(data)
    values = pd.DataFrame(cells.X.copy(), cells.cell_names, cells.feature_names)
    new_names = {}
    for stimulus, part in itertools.product(STIMULI, PARTS):
        for quantity, relative in (("v", "deltav"), ("t", "lag")):
            feature = f"{part}_{quantity}_{stimulus}"
            if feature in values:
                values[feature] -= values[f"threshold_{quantity}_{stimulus}"]
                new_names[feature] = f"{part}_{relative}_{stimulus}"
    values = values.rename(columns=new_names)
    units = dict(zip(values.columns, cells.units, strict=True))
    parameters = {"relative to threshold": cells.sha256}
    return _derived(data, values, cells.families, units, "relative", parameters)


def _derived(data, values, families, units, ending, parameters):
    about = dict(data.uns.get("sbnn", {}))
    kept = {key: about[key] for key in ("source", "files", "dropped", "notes") if key in about}
    name = f"{about.get('name', 'custom')}_{ending}"
    sha256 = fingerprint_parameters(parameters)
    return typed_cells(values, data.obs, families, units, name=name, sha256=sha256, **kept)
