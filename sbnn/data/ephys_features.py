"""Published features of electrophysiology: families, units and usual values; features that mouse and human share.

`ephys_features.csv`: features of both releases, the range in which the median of a data set in this unit lies (narrower
than a factor of 1000), and the median and robust SD of the release. `shared_features.csv`: how the 27 shared features,
named as in the human release, are made of mouse columns, ``(mouse - minus) * factor + offset``; `r` is the correlation
over `n` mouse cells of which both kinds were published.
"""

from importlib.resources import files as package_files

import numpy as np
import pandas as pd

from sbnn.data.checks import some
from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.typed_cells import as_typed, typed_cells

MOUSE, HUMAN = "gouwens_2020", "lee_2023"  # Gouwens et al. 2020, Lee, Dalley et al. 2023
PARTS = ("peak", "trough", "fast_trough", "slow_trough")
STIMULI = ("long_square", "ramp", "short_square")


def feature_table(release):
    """Features of ``"gouwens_2020"`` or ``"lee_2023"``: family, unit, low, high, median and spread of each."""
    with (package_files("sbnn.data") / "ephys_features.csv").open() as table:
        table = pd.read_csv(table, keep_default_na=False, na_values={"low": [""], "high": [""]})
    return table[table["release"] == release].drop(columns="release").set_index("feature")


def shared_feature_table():
    """Shared features: what each is made of, and its median and spread over the mouse release."""
    with (package_files("sbnn.data") / "shared_features.csv").open() as table:
        return pd.read_csv(table, index_col="feature", keep_default_na=False, na_values={"r": [""], "n": [""]})


def known_features(names):
    """Rows of `feature_table` of these names, from the release that has more of them: both have ``tau``."""
    releases = [feature_table(release) for release in (HUMAN, MOUSE)]
    return max((table[table.index.isin(list(names))] for table in releases), key=len)


def unlikely_units(table, units):
    """Features whose median is not where that of published data is, as sentences; a unit of one's own is not judged."""
    found = []
    for feature, about in known_features(table.columns).dropna(subset="low").iterrows():
        median = table[feature].median()
        if units.get(feature, about["unit"]) == about["unit"] and not about["low"] <= median <= about["high"]:
            expected = f"{about['low']:g} to {about['high']:g} {about['unit']}".rstrip()
            found.append(f"the median of {feature} is {median:.3g}, expected {expected}")
    return found


def to_shared_features(data):
    """Express cells of either species in the 27 shared features, with the names and units of the human release.

    Parameters
    ----------
    data : AnnData of typed cells
        With the columns of the mouse or of the human release; others are left out.

    Returns
    -------
    AnnData
        The same cells with 27 features in 7 families, called as `data` with ``_shared`` added.

    Raises
    ------
    ValueError
        Columns that are missing; values that look like another unit, which transfer would take for biology.
    """
    cells, shared = as_typed(data), shared_feature_table()
    if list(cells.feature_names) == list(shared.index):
        return data
    table = pd.DataFrame(cells.X, cells.cell_names, cells.feature_names)
    doubts, usual = unlikely_units(table, {}), known_features(table.columns)["unit"]
    units = dict(zip(cells.feature_names, cells.units, strict=True))
    doubts += [
        f"{name} is in {units[name]}, not {unit}" for name, unit in usual.items() if units[name] not in ("", unit)
    ]
    if doubts:
        raise ValueError(f"{cells.name}: values in another unit than those of the release? {'; '.join(doubts)}")
    human = shared.index.isin(table.columns).sum() > shared["mouse"].isin(table.columns).sum()
    needed = [shared.index] if human else [shared["mouse"], shared["minus"][shared["minus"] != ""]]
    missing = pd.Index(np.concatenate(needed)).unique().difference(table.columns)
    if len(missing):
        raise ValueError(f"{cells.name}: no column {some(missing)} of the {'human' if human else 'mouse'} release")
    if human:
        values = table[list(shared.index)]
    else:
        values = pd.DataFrame(index=table.index)
        for feature, how in shared.iterrows():
            column = table[how["mouse"]] - table[how["minus"]] if how["minus"] else table[how["mouse"]]
            values[feature] = column * how["factor"] + how["offset"]
    parameters = {"shared features of": cells.sha256, "features": list(shared.index)}
    return _derived(data, values, shared["family"], shared["unit"].to_dict(), "shared", parameters)


def relative_to_threshold(data):
    """Measure the parts of each spike from its threshold, in data with the columns of the mouse release.

    There the time of a peak or a trough counts from the beginning of the sweep: the lag, a thousand times smaller, is
    lost to whatever looks at one feature at a time. ``peak_t_ramp`` becomes ``peak_lag_ramp``, its difference from
    ``threshold_t_ramp``, and ``peak_v_ramp`` ``peak_deltav_ramp``. Boosted trees gain 0.01 macro-F1 by it.
    """
    cells = as_typed(data)
    table = pd.DataFrame(cells.X, cells.cell_names, cells.feature_names)
    values, renamed = table.copy(), {}
    for stimulus in STIMULI:
        for part in PARTS:
            for quantity, called in (("v", "deltav"), ("t", "lag")):
                feature = f"{part}_{quantity}_{stimulus}"
                if feature in table:
                    values[feature] -= table[f"threshold_{quantity}_{stimulus}"]
                    renamed[feature] = f"{part}_{called}_{stimulus}"
    values = values.rename(columns=renamed)
    units = dict(zip(values.columns, cells.units, strict=True))
    return _derived(data, values, cells.families, units, "relative", {"relative to threshold": cells.sha256})


def _derived(data, values, families, units, ending, parameters):
    """The same cells with other features."""
    about = {"name": "custom"} | data.uns.get("sbnn", {}) | {"sha256": fingerprint_parameters(parameters)}
    about = about | {"name": f"{about['name']}_{ending}", "content_sha256": None}
    return typed_cells(values, data.obs, families, units, **about)
