import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from sbnn.data.ephys_features import feature_table, shared_feature_table, to_shared_features
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.typed_cells import as_typed


def forest():
    return make_pipeline(SimpleImputer(), RandomForestClassifier(200, class_weight="balanced", random_state=0))


def macro_f1(model, data):
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    y = data.obs["type"].to_numpy(str)
    return f1_score(y, cross_val_predict(model, data.X, y, cv=folds), average="macro")


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


def test_features_are_the_shared_ones_and_others_under_their_published_names(species, data):
    shared = shared_feature_table()
    assert data.var_names[:27].tolist() == list(shared.index)
    own = feature_table("lee_2023" if species == "human" else "gouwens_2020")
    assert 0 < len(data.var_names[27:]) and set(data.var_names[27:]) <= set(own.index)
    assert data.var["family"].nunique() == (11 if species == "human" else 7)
    assert to_shared_features(data).shape == (300, 27)


def test_medians_are_those_of_the_species(species, data):
    expected = shared_feature_table()["mouse_median"] if species == "mouse" else feature_table("lee_2023")["median"]
    shared = data.to_df().iloc[:, :27]
    off = (shared.median() - expected[shared.columns]) / shared.std()
    assert off.abs().max() < 0.6


def test_types_are_as_rare_as_in_real_data_and_none_is_lost(species, data):
    sizes = data.obs["type"].value_counts()
    assert set(sizes.index) == {"LAMP5", "PVALB", "SST", "VIP"} and sizes.min() >= 15
    assert sizes.index[0] == ("PVALB" if species == "human" else "SST") and sizes.max() > 3 * sizes.min()
    assert simulate_ephys_types(20, 0, species).obs["type"].value_counts().min() >= 1
    if species == "mouse":
        joined = data.obs["type5"].replace({"SNCG": "VIP"})
        assert (joined == data.obs["type"]).all() and (data.obs["type5"] == "SNCG").any()
    donors = data.obs["donor"].value_counts()
    assert 20 < len(donors) < 150 and donors.max() > 2


def test_whole_families_are_missing(species, data):
    gone = data.to_df().isna().T.groupby(data.var["family"].to_numpy()).all().T
    assert gone.to_numpy().any() and not gone.all(axis=1).any()
    share = gone.mean()
    assert 0.02 < share["AP ramp"] < 0.15
    if species == "human":
        assert 0.45 < share["chirp"] < 0.7


def test_culture_goes_with_the_type():
    labels = simulate_ephys_types(600).obs
    cultured = (labels["condition"] == "culture").groupby(labels["type"]).mean()
    assert cultured["PVALB"] > 0.65 > 0.55 > cultured["LAMP5"]
    assert ((labels["days_in_culture"] > 0) == (labels["condition"] == "culture")).all()


def test_types_can_be_told_but_not_perfectly(species, data):
    assert 0.65 < macro_f1(forest(), data) < 0.93
