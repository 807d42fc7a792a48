"""Simulated neurons have the medians, spreads and families of the release, types and gaps."""

import numpy as np
import pytest

from sbnn.data.ephys_features import HUMAN_RELEASE, release_features, shared_features
from sbnn.data.simulate_ephys import MISSING_FRACTIONS, TYPE_FRACTIONS, simulate_ephys_types
from sbnn.data.typed_cells import as_typed


@pytest.mark.parametrize("species", TYPE_FRACTIONS)
def test_features_have_the_medians_and_spreads_of_the_release(species):
    data = simulate_ephys_types(3000, 1, species)
    release = release_features(HUMAN_RELEASE)
    assert data.var_names.tolist() == release.index.tolist()
    assert set(shared_features().index) < set(data.var_names)
    assert data.var["family"].tolist() == release["family"].tolist()
    distance = (data.to_df().median() - release["median"]).abs() / release["spread"]
    assert distance.max() < 1.5


@pytest.mark.parametrize("species", TYPE_FRACTIONS)
def test_a_missing_protocol_empties_whole_families(species):
    data = simulate_ephys_types(3000, 0, species)
    missing = data.to_df().isna().T.groupby(data.var["family"])
    empty = missing.all().T
    assert empty.equals(missing.any().T)
    shares = empty.mean()
    assert shares[list(MISSING_FRACTIONS)].to_dict() == pytest.approx(MISSING_FRACTIONS, abs=0.03)
    assert (shares.drop(list(MISSING_FRACTIONS)) == 0).all()


def test_types_have_their_shares_and_mouse_cells_a_fifth_type():
    mouse = simulate_ephys_types(3000, 0, "mouse").obs
    assert mouse.loc[mouse["type5"] == "SNCG", "type"].unique().tolist() == ["VIP"]
    shares = mouse["type5"].value_counts(normalize=True).sort_index()
    assert shares.tolist() == pytest.approx(TYPE_FRACTIONS["mouse"], abs=0.03)
    human = simulate_ephys_types(3000, 0).obs
    assert human["type"].value_counts()["PVALB"] == pytest.approx(1500, abs=100)
    assert set(human["condition"]) == {"acute", "culture"}


def test_seeds_and_species_give_other_cells_and_the_same_seed_the_same():
    made = [simulate_ephys_types(40, seed, name) for seed in (0, 1) for name in TYPE_FRACTIONS]
    assert len({as_typed(data).sha256 for data in made}) == 4
    again = simulate_ephys_types(40, 1, "mouse")
    assert as_typed(again).sha256 == as_typed(made[3]).sha256
    medians = [np.nanmedian(data.X[:, 0]) for data in made[:2]]
    assert medians == pytest.approx([2.3285193616, 1.9759950931999999]), "as committed"
