"""Simulated neurons have the medians, spreads and families of the release, types and gaps."""

import numpy as np
import pytest

from sbnn.data.ephys_features import HUMAN_RELEASE, release_features, shared_features
from sbnn.data.simulate_ephys import MISSING_FRACTIONS, TYPE_FRACTIONS, simulate_ephys_types
from sbnn.data.typed_cells import as_typed


@pytest.fixture(scope="module", params=["human", "mouse"])
def cells(request):
    """3000 cells of either species."""
    return simulate_ephys_types(3000, 1, request.param)


@pytest.fixture(scope="module")
def release():
    return release_features(HUMAN_RELEASE)


def test_features_and_families_are_those_of_the_release(cells, release):
    assert cells.var_names.tolist() == release.index.tolist()
    assert cells.var["family"].tolist() == release["family"].tolist()


def test_the_shared_features_are_among_them(cells):
    assert set(shared_features().index) < set(cells.var_names)


def test_features_have_the_medians_of_the_release(cells, release):
    distance = (cells.to_df().median() - release["median"]).abs()
    assert (distance / release["spread"]).max() < 1.5


def test_a_missing_protocol_empties_whole_families(cells):
    missing = cells.to_df().isna().T.groupby(cells.var["family"])
    assert missing.all().equals(missing.any())


def test_later_protocols_are_missing_more_often(cells):
    missing = cells.to_df().isna().T.groupby(cells.var["family"])
    fractions = missing.all().mean(axis=1)
    later = list(MISSING_FRACTIONS)
    assert fractions[later].to_dict() == pytest.approx(MISSING_FRACTIONS, abs=0.03)
    assert (fractions.drop(later) == 0).all()


def test_mouse_cells_have_a_fifth_type():
    labels = simulate_ephys_types(3000, 0, "mouse").obs
    is_fifth = labels["type5"] == "SNCG"
    assert labels.loc[is_fifth, "type"].unique().tolist() == ["VIP"]


def test_mouse_types_have_their_fractions():
    labels = simulate_ephys_types(3000, 0, "mouse").obs
    fractions = labels["type5"].value_counts(normalize=True).sort_index()
    assert fractions.tolist() == pytest.approx(TYPE_FRACTIONS["mouse"], abs=0.03)


def test_half_of_the_human_cells_are_pvalb():
    labels = simulate_ephys_types(3000, 0).obs
    assert (labels["type"] == "PVALB").sum() == pytest.approx(1500, abs=100)


def test_human_cells_are_acute_or_cultured():
    labels = simulate_ephys_types(3000, 0).obs
    assert set(labels["condition"]) == {"acute", "culture"}


def test_seeds_and_species_give_other_cells():
    fingerprints = set()
    for seed in (0, 1):
        for species in TYPE_FRACTIONS:
            data = simulate_ephys_types(40, seed, species)
            fingerprints.add(as_typed(data).sha256)
    assert len(fingerprints) == 4


def test_the_same_seed_gives_the_same_cells():
    first = simulate_ephys_types(40, 1, "mouse")
    second = simulate_ephys_types(40, 1, "mouse")
    assert as_typed(first).sha256 == as_typed(second).sha256


@pytest.mark.parametrize(
    ("species", "median"), [("human", 2.3285193616), ("mouse", 1.9759950931999999)]
)
def test_cells_are_those_of_committed_results(species, median):
    data = simulate_ephys_types(40, 0, species)
    assert np.nanmedian(data.X[:, 0]) == pytest.approx(median)
