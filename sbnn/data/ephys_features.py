"""Published electrophysiological features: families, units, usual values, and the features shared
by mouse and human.

`ephys_features.csv` lists the features of both releases with their unit, their median and robust SD
in the release, and the range (narrower than a factor of 1000) in which the median of any data set
in this unit is expected. `shared_features.csv` describes how to compute the 27 shared features,
named as in the human release, from mouse columns: ``(mouse - minus) * factor + offset``. The column
`r` is the correlation between the mouse and the human version of a feature over the `n` mouse cells
for which both versions were published.
"""

import itertools
from pathlib import Path

import pandas as pd

from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.typed_cells import as_typed, typed_cells
from sbnn.errors import documented, naming

MOUSE, HUMAN = "gouwens_2020", "lee_2023"  # Gouwens et al. 2020; Lee, Dalley et al. 2023
PARTS = ("peak", "trough", "fast_trough", "slow_trough")
STIMULI = ("long_square", "ramp", "short_square")


def feature_table(release):
    """Table of the features in ``"gouwens_2020"`` or ``"lee_2023"``: family, unit, low, high, median and spread."""
    table = Path(__file__).with_name("ephys_features.csv")
    table = pd.read_csv(table, keep_default_na=False, na_values={"low": [""], "high": [""]})
    return table[table["release"] == release].drop(columns="release").set_index("feature")


def shared_feature_table():
    """Table of the shared features: their mouse columns, and their median and spread in the mouse release."""
    table = Path(__file__).with_name("shared_features.csv")
    return pd.read_csv(
        table, index_col="feature", keep_default_na=False, na_values={"r": [""], "n": [""]}
    )


def known_features(names):
    """Rows of `feature_table` for the given names, from the release that contains more of these names."""
    releases = [feature_table(release) for release in (HUMAN, MOUSE)]
    return max((table[table.index.isin(list(names))] for table in releases), key=len)


def unlikely_units(table, units):
    """Describe features whose median is outside the expected range; skip features that are declared in another unit."""
    found = []
    for feature, about in known_features(table.columns).dropna(subset="low").iterrows():
        median = table[feature].median()
        if (
            units.get(feature, about["unit"]) == about["unit"]
            and not about["low"] <= median <= about["high"]
        ):
            expected = f"{about['low']:g} to {about['high']:g} {about['unit']}".rstrip()
            found.append(f"the median of {feature} is {median:.3g}, expected {expected}")
    return found


@documented
def to_shared_features(data):
    """Express cells of either species in the 27 shared features, with the names and units of the
    human release.

    Parameters
    ----------
    data : AnnData of typed cells
        Cells with the columns of the mouse or of the human release; other columns are left out.

    Returns
    -------
    AnnData
        The same cells with 27 features in 7 families; the name of the data set gets the suffix
        ``_shared``.

    Raises
    ------
    ValueError
        If columns are missing, or if values seem to be in another unit, since a wrong unit would
        look like a difference between species.
    """
    cells, shared = as_typed(data), shared_feature_table()
    if list(cells.feature_names) == list(shared.index):
        return data
    table = pd.DataFrame(cells.X, cells.cell_names, cells.feature_names)
    doubts, usual = unlikely_units(table, {}), known_features(table.columns)["unit"]
    units = dict(zip(cells.feature_names, cells.units, strict=True))
    others = ((name, unit) for name, unit in usual.items() if units[name] not in ("", unit))
    doubts += [f"{name} is in {units[name]}, not {unit}" for name, unit in others]
    if doubts:
        raise ValueError(
            f"{cells.name}: convert these values to the units of the release: {'; '.join(doubts)}"
        )
    human = shared.index.isin(table.columns).sum() > shared["mouse"].isin(table.columns).sum()
    with naming(
        "data: expected all electrophysiological features of the mouse or of the human release"
    ):
        table = table.assign(**{"": 0.0})
        values = table[list(shared.index if human else shared["mouse"])].set_axis(
            shared.index, axis=1
        )
        if not human:
            values = (values - table[list(shared["minus"])].to_numpy()) * shared[
                "factor"
            ].to_numpy()
            values += shared["offset"].to_numpy()
    parameters = {"shared features of": cells.sha256, "features": list(shared.index)}
    return _derived(data, values, shared["family"], shared["unit"].to_dict(), "shared", parameters)


def relative_to_threshold(data):
    """Convert times and voltages of peaks and troughs of mouse cells to values relative to the spike threshold."""
    # The release gives the times of peaks and troughs from the beginning of the sweep. Their lag
    # after the threshold is a thousand times smaller, so methods that use one feature at a time
    # cannot see it. Boosted trees gain 0.01 in macro-F1 from the relative times.
    cells = as_typed(data)
    values, renamed = pd.DataFrame(cells.X.copy(), cells.cell_names, cells.feature_names), {}
    for stimulus, part, (quantity, called) in itertools.product(
        STIMULI, PARTS, (("v", "deltav"), ("t", "lag"))
    ):
        feature = f"{part}_{quantity}_{stimulus}"
        if feature in values:
            values[feature] -= values[f"threshold_{quantity}_{stimulus}"]
            renamed[feature] = f"{part}_{called}_{stimulus}"
    values = values.rename(columns=renamed)
    units = dict(zip(values.columns, cells.units, strict=True))
    return _derived(
        data, values, cells.families, units, "relative", {"relative to threshold": cells.sha256}
    )


def _derived(data, values, families, units, ending, parameters):
    """The same cells with derived features."""
    about = {"name": "custom"} | data.uns.get("sbnn", {})
    about = {
        key: about[key] for key in ("name", "source", "files", "dropped", "notes") if key in about
    }
    about |= {"name": f"{about['name']}_{ending}", "sha256": fingerprint_parameters(parameters)}
    return typed_cells(values, data.obs, families, units, **about)
