"""Simulated typed neurons, with medians and spreads of published features and invented types."""

import numpy as np
import pandas as pd

from sbnn.data.checks import numbered_names
from sbnn.data.ephys_features import HUMAN_RELEASE, release_features
from sbnn.data.typed_cells import typed_cells
from sbnn.errors import check_among

SIMULATED_TYPES = ["LAMP5", "PVALB", "SNCG", "SST", "VIP"]
TYPE_FRACTIONS = {"human": [0.1, 0.5, 0, 0.2, 0.2], "mouse": [0.1, 0.2, 0.1, 0.4, 0.2]}
# share of recordings that ended before the protocol of this family
MISSING_FRACTIONS = {"AP short square": 0.03, "AP ramp": 0.05, "chirp": 0.5}


def simulate_ephys_types(n_cells=300, random_state=0, species="human"):
    """Simulate typed cells with families of features, donors and missing values.

    Cells scatter on four axes around their types and donors; features are mixtures of these axes
    and noise. Both species have the features of the human release; mouse cells also have
    ``type5``, in which SNCG is apart from VIP.
    """
    check_among("species", species, TYPE_FRACTIONS)
    rng = np.random.default_rng([random_state, species == "mouse"])
    features = release_features(HUMAN_RELEASE)
    # types and features are the same in all data sets
    biology = np.random.default_rng(3)
    centres = pd.DataFrame(biology.normal(0, 1.8, (5, 4)), SIMULATED_TYPES)
    loadings = biology.normal(0, 0.25, (4, 93))

    types = rng.choice(SIMULATED_TYPES, n_cells, p=TYPE_FRACTIONS[species])
    donors = rng.integers(n_cells, size=n_cells) // 5
    cells = numbered_names(species, range(n_cells))
    labels = pd.DataFrame({"type": types, "donor": donors}, cells)
    if species == "mouse":
        labels["type5"] = types
        labels["type"] = labels["type"].replace("SNCG", "VIP")
    else:
        labels["condition"] = rng.choice(["acute", "culture"], n_cells)

    of_donors = rng.normal(0, 0.3, (n_cells, 4))
    # the cells of a type and donor have an SD of 1 on each axis
    places = rng.normal(centres.loc[types] + of_donors[donors])
    # rounded, as the last digits depend on the processor
    scores = pd.DataFrame(rng.normal(places @ loadings).round(6), cells, features.index)
    values = scores * features["spread"] + features["median"]
    ended = rng.random((n_cells, 1)) < features["family"].map(MISSING_FRACTIONS).to_numpy()
    return typed_cells(
        values.mask(ended),
        labels,
        features["family"],
        features["unit"],
        name="simulated_ephys",
        source="simulated neurons, with medians and spreads of published features",
    )
