import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sbnn.data.ephys_units import feature_table
from sbnn.data.shared_features import shared_feature_table, to_shared_features
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.unit_mixups import check_units


def forest():
    return make_pipeline(SimpleImputer(), RandomForestClassifier(200, class_weight="balanced", random_state=0))


def macro_f1(model, data):
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return f1_score(data.y, cross_val_predict(model, data.X, data.y, cv=folds), average="macro")


@pytest.fixture(scope="module", params=["human", "mouse"])
def species(request):
    return request.param


@pytest.fixture(scope="module")
def data(species):
    return simulate_ephys_types(300, 0, species)


def test_same_parameters_same_data(species):
    one, other = simulate_ephys_types(40, 3, species), simulate_ephys_types(np.int64(40), 3, species)
    np.testing.assert_array_equal(one.X, other.X)
    assert one.labels.equals(other.labels) and one.sha256 == other.sha256
    changed = simulate_ephys_types(40, 4, species)
    assert changed.sha256 != one.sha256 and not np.array_equal(changed.X, one.X, equal_nan=True)


def test_global_random_state_is_neither_used_nor_changed():
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    simulate_ephys_types(20)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_features_are_the_shared_ones_and_others_under_their_published_names(species, data):
    shared = shared_feature_table()
    assert data.feature_names[:27].tolist() == list(shared.index)
    own = feature_table("lee_2023" if species == "human" else "gouwens_2020")
    assert 0 < len(data.feature_names[27:]) and set(data.feature_names[27:]) <= set(own.index)
    assert len(data.families) == (11 if species == "human" else 7)
    assert not len(check_units(data))
    assert to_shared_features(data).n_cells == 300


def test_medians_are_those_of_the_species(species, data):
    expected = shared_feature_table()["mouse_median"] if species == "mouse" else feature_table("lee_2023")["median"]
    shared = data.table.iloc[:, :27]
    off = (shared.median() - expected[shared.columns]) / shared.std()
    assert off.abs().max() < 0.6


def test_types_are_as_rare_as_in_real_data_and_none_is_lost(species, data):
    sizes = data.labels["type"].value_counts()
    assert set(sizes.index) == {"LAMP5", "PVALB", "SST", "VIP"} and sizes.min() >= 15
    assert sizes.index[0] == ("PVALB" if species == "human" else "SST") and sizes.max() > 3 * sizes.min()
    assert simulate_ephys_types(20, 0, species).labels["type"].value_counts().min() >= 1
    if species == "mouse":
        joined = data.labels["type5"].replace({"SNCG": "VIP"})
        assert (joined == data.labels["type"]).all() and (data.labels["type5"] == "SNCG").any()
    donors = data.labels["donor"].value_counts()
    assert 20 < len(donors) < 150 and donors.max() > 2


def test_whole_families_are_missing(species, data):
    present = data.families.present(data.X)
    assert not present.all() and present.any(axis=1).all()
    share = dict(zip(data.families.names, 1 - present.mean(axis=0), strict=True))
    assert 0.02 < share["AP ramp"] < 0.15
    if species == "human":
        assert 0.45 < share["chirp"] < 0.7
    gone = np.isnan(data.X[:, data.families.columns["AP ramp"]])
    assert gone.all(axis=1).sum() > 5, "together"


def test_culture_goes_with_the_type():
    labels = simulate_ephys_types(600).labels
    cultured = (labels["condition"] == "culture").groupby(labels["type"]).mean()
    assert cultured["PVALB"] > 0.65 > 0.55 > cultured["LAMP5"]
    assert ((labels["days_in_culture"] > 0) == (labels["condition"] == "culture")).all()


def test_types_can_be_told_but_not_perfectly(species, data):
    assert 0.65 < macro_f1(forest(), data) < 0.93


def test_one_species_is_of_some_use_in_the_other():
    mouse, human = (to_shared_features(simulate_ephys_types(400, 0, species)) for species in ("mouse", "human"))
    scale = make_pipeline(SimpleImputer(), StandardScaler())  # each by its own statistics
    model = RandomForestClassifier(200, class_weight="balanced", random_state=0)
    model.fit(scale.fit_transform(mouse.X), mouse.y)
    transferred = f1_score(human.y, model.predict(scale.fit_transform(human.X)), average="macro")
    assert 0.35 < transferred < macro_f1(forest(), human) - 0.1


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_cells": 19}, ValueError, "n_cells must be at least 20, got 19"),
        ({"n_cells": 50.0}, TypeError, "n_cells must be an integer, got 50.0"),
        ({"random_state": None}, TypeError, "random_state must be an integer, got None"),
        ({"random_state": -1}, ValueError, "random_state must not be negative"),
        ({"species": "rat"}, ValueError, "species must be 'human' or 'mouse', got 'rat'"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters, error, message):
    with pytest.raises(error, match=message):
        simulate_ephys_types(**parameters)
