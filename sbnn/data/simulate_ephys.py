"""Simulated electrophysiology of typed neurons of two species: a stand-in for tests, documentation and use offline.

Medians and spreads of the features are those of the two releases, so that units and the shift between species are as in
real data. What tells types apart is made up: nothing is to be learned from it about neurons.
"""

import numpy as np
import pandas as pd

from sbnn.data.ephys_features import HUMAN, MOUSE, feature_table, shared_feature_table
from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.typed_cells import typed_cells

SPECIES = ("human", "mouse")

#: Features of each species beside the shared ones, under their published names.
EXTRA_FEATURES = {
    "human": (
        *("width_rheo", "upstroke_rheo"),
        *("upstroke_downstroke_ratio_hero", "threshold_v_hero", "width_hero", "peak_deltav_hero"),
        *("isi_cv_mean", "adapt_mean", "first_isi_inv_hero"),
        *("isi_adapt_ratio", "width_adapt_ratio", "ahp_delay_ratio_5spike"),
        *("peak_freq_chirp", "3db_freq_chirp", "peak_impedance_chirp", "phase_peak_chirp"),
    ),
    "mouse": (
        *("slow_trough_v_long_square", "slow_trough_v_ramp"),
        *("trough_v_short_square", "threshold_i_short_square"),
    ),
}

# Where the types lie in a space of four axes: fast spiking, excitable, sagging, adapting.
_CENTRES = {
    "LAMP5": (-0.3, -0.5, -1.0, 0.3),
    "PVALB": (1.7, -0.8, -0.3, -0.9),
    "SST": (-0.2, 0.2, 1.1, 0.0),
    "VIP": (-0.8, 1.0, -0.3, 0.9),
    "SNCG": (-0.9, 0.7, -0.6, 0.1),  # a part of VIP, where four types are told apart
}
_SHARES = {
    "human": {"PVALB": 0.53, "SST": 0.22, "VIP": 0.16, "LAMP5": 0.09},
    "mouse": {"SST": 0.43, "PVALB": 0.21, "VIP": 0.19, "LAMP5": 0.11, "SNCG": 0.06},
}
_CELLS_PER_DONOR = {"human": 6, "mouse": 4}
_CELL_SD = {"human": 0.75, "mouse": 0.55}  # of a cell around its type, on each axis
_DONOR_SD = 0.25
_SPECIES_SD = 0.3  # how far types and loadings of the mouse are from those of the human
_LOADED = 0.55  # share of the variance of a feature that the axes explain
_FAMILY = 0.15  # share that the features of a family have in common besides
_MOST_SKEWED = 0.7  # SD of the logarithm
_BIOLOGY = 20110417  # seed of what does not depend on the cells drawn: loadings, and how the species differ

_P_CULTURE = {"PVALB": 0.8, "SST": 0.6, "VIP": 0.45, "LAMP5": 0.3}
_CULTURE_SHIFT = (-0.15, 0.25, 0.1, 0.0)

# How often a protocol was not run or not fit for use, which takes its families from a cell, and single values besides.
_LOST_PROTOCOLS = {
    "human": {"long square": 0.03, "ramp": 0.05, "short square": 0.03, "chirp": 0.56, "train": 0.07},
    "mouse": {"long square": 0.01, "ramp": 0.07, "short square": 0.02, "train": 0.04},
}
_PROTOCOL_OF = {"AP ramp": "ramp", "AP short square": "short square", "chirp": "chirp"} | dict.fromkeys(
    ("f-I train", "ISI statistics", "adaptation ratios"), "train"
)
_LOST_VALUES = 0.01

_FORMAT = 1  # to be raised whenever the same parameters come to give other data


def simulate_ephys_types(n_cells=300, random_state=0, species="human"):
    """Simulate features of cells of four types, in families, with donors, imbalance and missing families.

    Types lie apart in four dimensions, and cells scatter around them and their donors. A feature mixes the dimensions,
    something its family has in common and noise, with the median and spread that it has in the release of its species.
    Mouse and human differ a little in where the types lie and in how features depend on the dimensions. Protocols, and
    with them all features of their families, go missing, the chirp of human cells in more than half. Culture of human
    cells shifts their features, and is more frequent in some types.

    Parameters
    ----------
    n_cells : int
        At least 20. The shares of the types follow the release, with at least n/20 cells of each.
    random_state : int
        Seed. The same parameters give the same data.
    species : {"human", "mouse"}
        Human: 43 features in 11 families; mouse: 31 in 7. The 27 shared ones come first, with names and units of
        `to_shared_features`.

    Returns
    -------
    AnnData
        As of `typed_cells`; ``obs`` has ``type``, ``donor``; human ``condition`` and ``days_in_culture``; mouse
        ``type5``, with SNCG apart from VIP.
    """
    about = _about(species)
    rng = np.random.default_rng([random_state, SPECIES.index(species)])
    types = rng.permutation(_types(n_cells, _SHARES[species]))
    n_donors = max(4, n_cells // _CELLS_PER_DONOR[species])
    donors = rng.choice(n_donors, size=n_cells, p=rng.dirichlet(np.full(n_donors, 2.0)))
    labels = {
        "type": np.where(types == "SNCG", "VIP", types),
        "donor": [f"{species[0].upper()}{i:03d}" for i in donors],
    }
    centres, loadings = _biology(species, about)
    place = np.array([centres[name] for name in types])
    place += _DONOR_SD * rng.standard_normal((n_donors, 4))[donors]
    place += _CELL_SD[species] * rng.standard_normal((n_cells, 4))
    if species == "human":
        cultured = rng.random(n_cells) < [_P_CULTURE[name] for name in types]
        place[cultured] += _CULTURE_SHIFT
        labels["condition"] = np.where(cultured, "culture", "acute")
        labels["days_in_culture"] = np.where(cultured, rng.integers(3, 10, n_cells), 0)
    else:
        labels["type5"] = types

    families = list(dict.fromkeys(about["family"]))
    in_common = rng.standard_normal((n_cells, len(families)))[:, [families.index(name) for name in about["family"]]]
    own = rng.standard_normal((n_cells, len(about)))
    z = place @ loadings + np.sqrt(_FAMILY) * in_common + np.sqrt(1 - _LOADED - _FAMILY) * own
    values = _in_units(z, about)
    values[_lost(species, about, n_cells, rng)] = np.nan
    cells = [f"{species}_{i:0{len(str(n_cells))}d}" for i in range(1, n_cells + 1)]
    parameters = {"n_cells": n_cells, "random_state": random_state, "species": species}
    return typed_cells(
        pd.DataFrame(values, cells, about.index),
        pd.DataFrame(labels, index=cells),
        about["family"],
        about["unit"].to_dict(),
        name="simulated_ephys" if species == "human" else "simulated_ephys_mouse",
        source=f"simulated {species} neurons of four types, with medians and spreads of published features",
        sha256=fingerprint_parameters({"generator": "simulate_ephys_types", "format": _FORMAT} | parameters),
    )


def _about(species):
    """Family, unit, sign, median and spread of each feature: the shared ones, then those of the species alone."""
    human, shared, extras = feature_table(HUMAN), shared_feature_table(), list(EXTRA_FEATURES[species])
    if species == "human":
        return human.loc[[*shared.index, *extras]]
    about = human.loc[shared.index].assign(median=shared["mouse_median"], spread=shared["mouse_spread"])
    return pd.concat([about, feature_table(MOUSE).loc[extras]])


def _types(n_cells, shares):
    """Types of the cells, at least a twentieth of each; the most frequent one takes what rounding leaves."""
    sizes = {name: max(round(share * n_cells), -(-n_cells // 20)) for name, share in shares.items()}
    sizes[max(sizes, key=sizes.get)] += n_cells - sum(sizes.values())
    return np.repeat(list(sizes), list(sizes.values()))


def _biology(species, about):
    """Centres of the types, and loadings of the features on the axes (4, p)."""
    rng = np.random.default_rng(_BIOLOGY)
    shift = {name: _SPECIES_SD * rng.standard_normal(4) for name in _CENTRES}
    loadings = rng.standard_normal((4, 27))  # of the shared features, the same in both species
    change = _SPECIES_SD * rng.standard_normal((4, 27))
    if species == "mouse":
        loadings = loadings + change
    loadings = np.hstack([loadings, rng.standard_normal((4, len(about) - 27))])
    # Cells of all types together have about unit variance on each axis.
    loadings *= np.sqrt(_LOADED) / np.linalg.norm(loadings, axis=0)
    moved = species == "mouse"
    return {name: np.array(centre) + (shift[name] if moved else 0) for name, centre in _CENTRES.items()}, loadings


def _in_units(z, about):
    """Features in their units; those of one sign are skewed and keep it."""
    median, spread = about["median"].to_numpy(), about["spread"].to_numpy()
    one_sign = about["low"].notna().to_numpy()
    with np.errstate(divide="ignore"):
        skew = np.minimum(np.where(median != 0, spread / np.abs(median), 0), _MOST_SKEWED)
    return np.where(one_sign, median * np.exp(np.where(one_sign, skew, 0) * z), median + spread * z)


def _lost(species, about, n_cells, rng):
    """Mask (n_cells, p) of what is missing; no cell misses everything."""
    chances = _LOST_PROTOCOLS[species]
    lost = rng.random((n_cells, len(chances))) < list(chances.values())
    lost[lost.all(axis=1), list(chances).index("short square")] = False
    of_protocol = {name: lost[:, i] for i, name in enumerate(chances)}
    of_protocol["train"] = of_protocol["train"] | of_protocol["long square"]  # trains are long squares
    mask = np.column_stack([of_protocol[_PROTOCOL_OF.get(family, "long square")] for family in about["family"]])
    mask |= rng.random(mask.shape) < _LOST_VALUES
    mask[mask.all(axis=1), 0] = False
    return mask
