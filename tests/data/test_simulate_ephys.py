"""Simulated neurons have the units, spreads, types and gaps of the releases."""

import numpy as np
import pytest

from sbnn.data import simulate_ephys
from sbnn.data.ephys_features import HUMAN, MOUSE, feature_table, shared_feature_table
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.typed_cells import as_typed

RELEASES = {"human": HUMAN, "mouse": MOUSE}
SHAPES = {"human": (43, 11), "mouse": (31, 7)}


@pytest.mark.parametrize("species", RELEASES)
def test_features_have_the_medians_and_spreads_of_the_release(species):
    data = simulate_ephys_types(3000, 1, species)
    n_features, n_families = SHAPES[species]
    assert data.n_vars == n_features and data.var["family"].nunique() == n_families
    assert data.var_names[:27].tolist() == shared_feature_table().index.tolist()
    release = feature_table(RELEASES[species]).loc[data.var_names[27:]]
    values = data.to_df()[release.index]
    distance = (values.median() - release["median"]).abs() / release["spread"]
    assert distance.max() < 0.6
    fixed = values.loc[:, release["low"].notna()]
    assert (np.sign(fixed).nunique() == 1).all()


def test_human_cells_in_culture_are_shifted():
    obs = simulate_ephys_types(2000, 0).obs
    cultured = obs["condition"] == "culture"
    days = obs["days_in_culture"]
    assert 0.1 < cultured.mean() < 0.9
    assert (cultured == days.between(3, 9)).all()


@pytest.mark.parametrize("species", RELEASES)
def test_a_missing_protocol_empties_whole_families(species):
    data = simulate_ephys_types(3000, 0, species)
    missing = data.to_df().isna()
    assert not missing.all(axis=1).any()
    empty = missing.T.groupby(data.var["family"]).all().T
    chances = simulate_ephys._LOST_PROTOCOLS[species]
    # spike trains need long squares too
    train = 1 - (1 - chances["train"]) * (1 - chances["long square"])
    assert empty["f-I train"].mean() == pytest.approx(train, abs=0.02)
    # single values are missing in addition
    alone = missing.loc[~empty["f-I train"], data.var["family"] == "f-I train"]
    assert alone.mean().mean() == pytest.approx(0.01, abs=0.005)


def test_seeds_and_species_give_other_cells():
    made = [simulate_ephys_types(40, seed, name) for seed in (0, 1) for name in RELEASES]
    assert len({as_typed(data).sha256 for data in made}) == 4
    medians = [np.nanmedian(data.X[:, 0]) for data in made[:2]]
    assert medians == pytest.approx([-62.91684485221704, -67.312266712314]), "as committed"
