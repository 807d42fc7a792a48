"""Simulated typed neurons, with published medians and spreads and invented types."""

from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.data.checks import numbered_names
from sbnn.data.ephys_features import HUMAN, MOUSE, feature_table, shared_feature_table
from sbnn.data.typed_cells import typed_cells
from sbnn.errors import check_among

SPECIES = ("human", "mouse")

# features besides the shared ones, under their published names
_TABLES = Path(__file__).parent
_OTHER_FEATURES = pd.read_csv(_TABLES / "simulated_features.csv", index_col="species")["feature"]

# of each type: position on four axes, and shares of each species and of cultured cells
_TYPES = pd.read_csv(_TABLES / "simulated_types.csv", index_col="type")
_CELLS_PER_DONOR = {"human": 6, "mouse": 4}
_CELL_SD = {"human": 0.75, "mouse": 0.55}  # scatter of cells around their type on each axis
_DONOR_SD = 0.25
_SPECIES_SD = 0.3  # of differences between species in centres and loadings
_LOADED = 0.55  # share of variance explained by the axes
_FAMILY = 0.15  # share of variance common to the family
_MOST_SKEWED = 0.7  # largest SD of the logarithm of a feature
# seed of what does not depend on the drawn cells
_BIOLOGY = 20110417

_CULTURE_SHIFT = (-0.15, 0.25, 0.1, 0.0)

# share of cells that lack a protocol, and so all features of its families
_LOST_PROTOCOLS = pd.read_csv(_TABLES / "simulated_protocols.csv", index_col="protocol")
_PROTOCOL_OF = {
    "AP ramp": "ramp",
    "AP short square": "short square",
    "chirp": "chirp",
    "f-I train": "train",
    "ISI statistics": "train",
    "adaptation ratios": "train",
}
_LOST_VALUES = 0.01


def simulate_ephys_types(n_cells=300, random_state=0, species="human"):
    """Simulate typed cells with families of features, donors and missing values.

    Cells scatter on four axes around their types and donors. Each feature is a mixture of these
    axes, a component common to its family, and noise. Human cells in culture are shifted.
    """
    check_among("species", species, SPECIES)
    rng = np.random.default_rng([random_state, SPECIES.index(species)])
    shares = _TYPES[species].dropna().sort_values(ascending=False)
    least = np.ceil(n_cells / 20)
    sizes = (shares * n_cells).round().clip(lower=least).astype(int)
    sizes[sizes.idxmax()] += n_cells - sizes.sum()
    types = rng.permutation(np.repeat(sizes.index.to_numpy(str), sizes))
    n_donors = max(4, n_cells // _CELLS_PER_DONOR[species])
    of_donors = rng.dirichlet(np.full(n_donors, 2.0))
    donors = rng.choice(n_donors, size=n_cells, p=of_donors)
    cells = numbered_names(f"{species}_", range(1, n_cells + 1))
    four_types = np.where(types == "SNCG", "VIP", types)
    labels = pd.DataFrame({"type": four_types}, index=cells)
    labels["donor"] = [f"{species[0].upper()}{i:03d}" for i in donors]
    about = _about(species)
    centres, loadings = _biology(species, len(about))
    place = centres.loc[types].to_numpy()  # on the four axes, shape (n_cells, 4)
    place += _DONOR_SD * rng.standard_normal((n_donors, 4))[donors]
    place += _CELL_SD[species] * rng.standard_normal((n_cells, 4))
    if species == "human":
        chances = _TYPES.loc[types, "cultured"].to_numpy()
        cultured = rng.random(n_cells) < chances
        place[cultured] += _CULTURE_SHIFT
        labels["condition"] = np.where(cultured, "culture", "acute")
        labels["days_in_culture"] = np.where(cultured, rng.integers(3, 10, n_cells), 0)
        name = "simulated_ephys"
    else:
        labels["type5"] = types
        name = "simulated_ephys_mouse"

    family = pd.factorize(about["family"])[0]
    of_families = rng.standard_normal((n_cells, family.max() + 1))
    in_common = of_families[:, family]
    own = rng.standard_normal((n_cells, len(about)))
    z = place @ loadings
    z = z + np.sqrt(_FAMILY) * in_common
    z = z + np.sqrt(1 - _LOADED - _FAMILY) * own
    median = about["median"].to_numpy()
    spread = about["spread"].to_numpy()
    with np.errstate(divide="ignore"):
        skew = np.minimum(spread / np.abs(median), _MOST_SKEWED)
    skewed = median * np.exp(skew * z)
    values = np.where(about["low"].notna(), skewed, median + spread * z)
    values = pd.DataFrame(values, cells, about.index)
    chances = _LOST_PROTOCOLS[species].dropna()
    drawn = rng.random((n_cells, len(chances)))
    lost = pd.DataFrame(drawn < chances.to_numpy(), columns=chances.index)
    lost.loc[lost.all(axis=1), "short square"] = False
    lost["train"] |= lost["long square"]  # spike trains are responses to long squares
    protocols = about["family"].map(_PROTOCOL_OF).fillna("long square")
    mask = lost[protocols].to_numpy()
    mask |= rng.random(mask.shape) < _LOST_VALUES
    mask[mask.all(axis=1), 0] = False
    return typed_cells(
        values.mask(mask),
        labels,
        about["family"],
        about["unit"],
        name=name,
        source=f"simulated {species} neurons of four types, with medians and spreads of published "
        "features",
    )


def _about(species):
    human = feature_table(HUMAN)
    shared = shared_feature_table()
    others = _OTHER_FEATURES[species]
    if species == "human":
        return human.loc[[*shared.index, *others]]
    about = human.loc[shared.index]
    about = about.assign(median=shared["mouse_median"], spread=shared["mouse_spread"])
    return pd.concat([about, feature_table(MOUSE).loc[others]])


def _biology(species, n_features):
    """Centres of the types, and loadings of the features, of shape (4, p)."""
    rng = np.random.default_rng(_BIOLOGY)
    centres = _TYPES.iloc[:, :4]
    shift = _SPECIES_SD * rng.standard_normal(centres.shape)
    # of the shared features
    loadings = rng.standard_normal((4, 27))
    change = _SPECIES_SD * rng.standard_normal((4, 27))
    if species == "mouse":
        centres = centres + shift
        loadings = loadings + change
    others = rng.standard_normal((4, n_features - 27))
    loadings = np.hstack([loadings, others])
    # over all types, cells have about unit variance on each axis
    scale = np.sqrt(_LOADED) / np.linalg.norm(loadings, axis=0)
    return centres, loadings * scale
