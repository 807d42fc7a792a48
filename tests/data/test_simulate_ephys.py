import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import cross_val_score

from sbnn.data.ephys_features import feature_table, shared_feature_table
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.typed_cells import as_typed

# Beginning of the fingerprint, sum of the values and number of the missing ones, as behind committed records.
KNOWN = {"human": ("99ac8519fd70db0f", 175137.520930415, 1229), "mouse": ("ac4d9d64d5cfa6c2", 207620.299178400, 395)}


@pytest.fixture(scope="module", params=["human", "mouse"])
def species(request):
    return request.param


@pytest.fixture(scope="module")
def data(species):
    return simulate_ephys_types(300, 0, species)


def test_same_parameters_same_data(species):
    one, other = simulate_ephys_types(40, 3, species), simulate_ephys_types(np.int64(40), 3, species)
    np.testing.assert_array_equal(one.X, other.X)
    assert one.obs.equals(other.obs) and as_typed(one).sha256 == as_typed(other).sha256
    changed = simulate_ephys_types(40, 4, species)
    assert as_typed(changed).sha256 != as_typed(one).sha256 and not np.array_equal(changed.X, one.X, equal_nan=True)


def test_bits_are_those_of_the_committed_records(species, data):
    sha256, total, n_missing = KNOWN[species]
    assert as_typed(data).sha256.startswith(sha256) and np.isnan(data.X).sum() == n_missing
    assert np.nansum(data.X) == pytest.approx(total, rel=1e-9)


def test_features_are_published_ones_with_the_medians_of_the_species(species, data):
    shared, own = shared_feature_table(), feature_table("lee_2023" if species == "human" else "gouwens_2020")
    assert data.var_names[:27].tolist() == list(shared.index) and data.n_vars == (43 if species == "human" else 31)
    assert set(data.var_names[27:]) <= set(own.index)
    assert data.var["family"].nunique() == (11 if species == "human" else 7)
    expected = shared["mouse_median"] if species == "mouse" else own["median"]
    table = data.to_df().iloc[:, :27]
    assert ((table.median() - expected[table.columns]) / table.std()).abs().max() < 0.6


def test_types_are_as_rare_as_in_real_data_and_none_is_lost(species, data):
    sizes = data.obs["type"].value_counts()
    assert set(sizes.index) == {"LAMP5", "PVALB", "SST", "VIP"} and sizes.min() >= 15
    assert sizes.index[0] == ("PVALB" if species == "human" else "SST") and sizes.max() > 3 * sizes.min()
    assert simulate_ephys_types(20, 0, species).obs["type"].nunique() == 4
    if species == "mouse":
        assert (data.obs["type5"].replace({"SNCG": "VIP"}) == data.obs["type"]).all()
        assert (data.obs["type5"] == "SNCG").any()
    else:
        labels = simulate_ephys_types(600).obs
        cultured = (labels["condition"] == "culture").groupby(labels["type"]).mean()
        assert cultured["PVALB"] > 0.65 > 0.55 > cultured["LAMP5"]
        assert ((labels["days_in_culture"] > 0) == (labels["condition"] == "culture")).all()
    donors = data.obs["donor"].value_counts()
    assert 20 < len(donors) < 150 and donors.max() > 2


def test_whole_families_are_missing(species, data):
    gone = data.to_df().isna().T.groupby(data.var["family"].to_numpy()).all().T
    assert not gone.all(axis=1).any() and 0.02 < gone.mean()["AP ramp"] < 0.15
    assert species == "mouse" or 0.45 < gone.mean()["chirp"] < 0.7


def test_types_can_be_told_but_not_perfectly(data):
    model = HistGradientBoostingClassifier(max_iter=30, random_state=0)
    assert 0.6 < cross_val_score(model, data.X, data.obs["type"].astype(str), cv=3, scoring="f1_macro").mean() < 0.93
