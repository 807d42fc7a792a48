"""Cells of elsewhere: warnings, cells that stay untyped, and the way from tables to tables."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from sklearn.metrics import f1_score

from sbnn import cli
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.ephys_types import EphysTypeClassifier
from sbnn.ephys_types.own_tables import held_out_sentence, predict_table
from sbnn.results import Record, load, save


@pytest.fixture(scope="module")
def data():
    return simulate_ephys_types(240, random_state=1)


@pytest.fixture(scope="module")
def model(data):
    """A model that knows the donors of its training cells."""
    model = EphysTypeClassifier(n_steps=10, random_state=0)
    return model.fit(data.to_df(), data.obs["type"], data.var["family"], data.obs["donor"])


@pytest.fixture(scope="module")
def new():
    return simulate_ephys_types(120, random_state=2).to_df()


def test_predict_warns_in_one_sentence_of_what_is_far(model, new):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(new)
    with pytest.warns(UserWarning, match=r"1 of 43 features shifted in mean \(tau\)") as said:
        model.predict(new.assign(tau=3 * new["tau"]))
    assert len(said) == 1
    assert said[0].filename == __file__
    odd = new.copy()
    odd.iloc[:9] *= np.where(np.arange(43) % 2, 6, 0.1)
    with pytest.warns(UserWarning, match=r"of 120 cells far .*human_001"):
        model.predict(odd)
    with pytest.raises(ValueError, match="abstain"):
        model.predict(odd, 1)


def test_unknown_is_no_type(data):
    types = data.obs["type"].to_numpy(object, copy=True)
    donors = data.obs["donor"]
    model = EphysTypeClassifier(n_steps=2, power=1.0, random_state=0)
    alone = model.fit(data.X[20:], types[20:], groups=donors[20:]).predict_proba(data.X)
    types[:20] = "unknown"
    with pytest.warns(UserWarning, match="y: 20 of 240 cells left out"):
        model.fit(data.X, types, groups=donors)
    assert_array_equal(model.predict_proba(data.X), alone)


def test_the_power_is_that_of_left_out_donors(data, model):
    codes = np.searchsorted(model.classes_, data.obs["type"])
    logs = np.log(model.held_out_probabilities_)

    def loss(power):
        p = np.exp(power * logs)
        return -np.log(p[np.arange(240), codes] / p.sum(axis=1)).mean()

    assert minimize_scalar(loss, (0.5, 1)).x == pytest.approx(1, abs=1e-3)
    plain = EphysTypeClassifier(n_steps=10, power=1.0, random_state=0)
    plain.fit(data.to_df(), data.obs["type"], data.var["family"])
    p = plain.predict_proba(data.to_df()) ** model.power_
    assert_allclose(model.predict_proba(data.to_df()), p / p.sum(axis=1, keepdims=True))
    # the probabilities are of cells that were not trained on
    accuracy = (model.held_out_probabilities_.argmax(axis=1) == codes).mean()
    assert 0.6 < accuracy < (p.argmax(axis=1) == codes).mean()
    predicted = model.classes_[model.held_out_probabilities_.argmax(axis=1)]
    f1 = f1_score(data.obs["type"], predicted, average="macro")
    assert f"macro-F1 {f1:.3f}, log loss {loss(1):.3f}" in held_out_sentence(model)


def test_what_cannot_be_calibrated_is_warned_of(data):
    model = EphysTypeClassifier(members=["kernel"])
    y = data.obs["type"].to_numpy(str)
    with pytest.warns(UserWarning, match="not calibrated, because all cells belong to one group"):
        model.fit(data.X, y, groups=np.zeros(240))
    with pytest.warns(UserWarning, match="not calibrated: .* SST"):
        model.fit(data.X, y, groups=np.where(y == "SST", "a", data.obs["donor"]))
    assert model.power_ == 1
    assert held_out_sentence(model) == "not calibrated"


def test_features_are_matched_by_name(model, new):
    given = new.drop(columns="tau").iloc[:, ::-1].assign(other=1.0)
    given.iloc[3] = np.nan
    with (
        pytest.warns(UserWarning, match="lacks 1 of the 43 features of the model: tau$"),
        pytest.warns(UserWarning, match="untyped: human_00"),
    ):
        found = predict_table(model, given)
    assert found.index.name == "cell"
    assert found.iloc[3][["type", "far"]].tolist() == ["unknown", True]
    assert found.iloc[3].isna().sum() == 1 + 4  # probabilities
    cells = new.assign(tau=np.nan).drop(index=new.index[3])
    found = found.drop(index=new.index[3])
    p = model.predict_proba(cells)
    assert_array_equal(found["type"], model.predict(cells))
    assert_allclose(found["probability"], p.max(axis=1))
    assert_allclose(found[[f"p({name})" for name in model.classes_]], p)
    assert_array_equal(found["far"], model.far(cells))
    nameless = EphysTypeClassifier(members=["kernel"], power=1.0).fit(
        new.to_numpy(), np.arange(120) % 2
    )
    with pytest.raises(ValueError, match="^model: "):
        predict_table(nameless, new)


def test_a_saved_model_predicts_the_same(model, new, tmp_path):
    again = EphysTypeClassifier.load(model.save(tmp_path / "model.pickle"))
    assert_array_equal(again.predict_proba(new), model.predict_proba(new))
    assert_array_equal(again.far(new), model.far(new))
    assert_array_equal(again.held_out_probabilities_, model.held_out_probabilities_)
    with pytest.raises(ValueError, match="expected a saved EphysTypeClassifier"):
        EphysTypeClassifier.load(save(Record("other", "x", "y", [{}]), tmp_path / "other.pickle"))


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Tables of typed and of new cells in the working folder."""
    monkeypatch.chdir(tmp_path)
    typed = simulate_ephys_types(150, random_state=3)
    typed.to_df().join(typed.obs[["type", "donor"]]).to_csv("typed.csv")
    new = simulate_ephys_types(60, random_state=4)
    table = new.to_df().assign(other=1.0).drop(columns="tau")
    table.iloc[3] = np.nan
    table.to_excel("new.xlsx")
    return new.obs["type"].to_numpy(str)


def run(command):
    return cli.main(["ephys-types", *command.split()])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_from_tables_to_types(tables, capsys):
    assert run("fit typed.csv --model m.pickle --fast") == 0
    assert "held-out donors: macro-F1 0." in capsys.readouterr().out
    saved = load("m.pickle")
    assert len(set(saved.groups)) < 75
    assert len(saved.families) == 11
    assert saved.params[0]["n_steps"] == 20
    assert run("predict new.xlsx --model m.pickle --out p.csv --abstain 0") == 0
    found = pd.read_csv("p.csv", index_col="cell")
    sure = found["type"] != "unknown"
    assert not sure.iloc[3]
    assert (found["type"] == tables)[sure].mean() > 0.6


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_wrong_input_is_one_sentence(tables, model, capsys):
    model.save("m.pickle")
    pd.DataFrame({"a": [1.0, 2.0]}, ["c1", "c2"]).to_csv("other.csv")
    for command, message in (
        ("fit new.xlsx --model m.pickle", "no cell has a type"),
        ("predict nowhere.csv --model m.pickle", "nowhere.csv"),
        ("predict other.csv --model m.pickle", "no cell has a value for any feature of the model"),
        ("predict new.xlsx --model m.pickle --out typed.csv", "typed.csv exists and is another"),
        ("predict other.csv --model m.pickle --sheet a", "no sheet 'a'"),
    ):
        assert run(command) == 1
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert message in last
        assert last.startswith("sbnn ephys-types:")
