"""Simulated typed neurons, with medians and spreads of published features and invented types."""

import numpy as np
import pandas as pd
from anndata import AnnData

from sbnn.data.checks import numbered_names
from sbnn.ephys_types.data import typed_cells
from sbnn.ephys_types.features import HUMAN_RELEASE, release_features
from sbnn.errors import check_among

SIMULATED_TYPES = ["LAMP5", "PVALB", "SNCG", "SST", "VIP"]
#: Fractions of the types, in their order.
TYPE_FRACTIONS = {"human": [0.1, 0.5, 0, 0.2, 0.2], "mouse": [0.1, 0.2, 0.1, 0.4, 0.2]}
#: Fraction of the recordings that ended before the protocol of a family.
MISSING_FRACTIONS = {"AP short square": 0.03, "AP ramp": 0.05, "chirp": 0.5}
N_AXES = 4  # on which cells differ
CELLS_PER_DONOR = 5  # on average
TYPE_SD = 1.8  # of the means of types on each axis
LOADING_SD = 0.25
DONOR_SD = 0.3  # of the shifts of donors on each axis


def simulate_ephys_types(
    n_cells: int = 300, random_state: int = 0, species: str = "human"
) -> AnnData:
    """Simulate typed cells with families of features, donors and missing values.

    Cells scatter on four axes around their types and donors; features are mixtures of these axes
    and noise. Both species have the features of the human release; mouse cells also have
    ``type5``, in which SNCG is apart from VIP.

    Parameters
    ----------
    n_cells : int
    random_state : int
    species : {"human", "mouse"}

    Returns
    -------
    AnnData
        As from `sbnn.typed_cells`.
    """
    check_among("species", species, TYPE_FRACTIONS)
    features = release_features(HUMAN_RELEASE)
    # The means of the types and the mixtures are the same in all data sets.
    biology = np.random.default_rng(3)
    means = biology.normal(0, TYPE_SD, (len(SIMULATED_TYPES), N_AXES))
    type_means = pd.DataFrame(means, SIMULATED_TYPES)
    loadings = biology.normal(0, LOADING_SD, (N_AXES, len(features)))

    # Each cell is of a random type and donor; those of mouse and human cells are independent.
    rng = np.random.default_rng([random_state, species == "mouse"])
    types = rng.choice(SIMULATED_TYPES, n_cells, p=TYPE_FRACTIONS[species])
    donors = rng.integers(n_cells, size=n_cells) // CELLS_PER_DONOR
    cells = numbered_names(species, range(n_cells))
    labels = pd.DataFrame({"type": types, "donor": donors}, cells)

    # As in the published data: mouse cells have a fifth type, and human cells a condition.
    if species == "mouse":
        labels["type5"] = types
        labels["type"] = labels["type"].replace("SNCG", "VIP")
    else:
        labels["condition"] = rng.choice(["acute", "culture"], n_cells)

    # Donors shift all their cells; the cells of a type and donor have an SD of 1 on each axis.
    donor_shifts = rng.normal(0, DONOR_SD, (n_cells, N_AXES))
    positions = rng.normal(type_means.loc[types] + donor_shifts[donors])

    # Features mix the axes, with noise of SD 1. They are rounded, as the last digits depend on the
    # processor, and get the spread and the median of the release.
    mixed = rng.normal(positions @ loadings)
    scores = pd.DataFrame(mixed.round(6), cells, features.index)
    values = scores * features["spread"] + features["median"]

    # A recording that ended early lacks the families of all later protocols, which are those with a
    # larger fraction: one random number for each cell decides.
    missing_fraction = features["family"].map(MISSING_FRACTIONS).to_numpy()
    ended = rng.random((n_cells, 1)) < missing_fraction
    return typed_cells(
        values.mask(ended),
        labels,
        families=features["family"],
        units=features["unit"],
        name="simulated_ephys",
        source="simulated neurons, with medians and spreads of published features",
    )
