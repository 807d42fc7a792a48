"""Cells of elsewhere: warnings, cells that stay untyped, and the way from tables to tables."""

import re
import warnings
from copy import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score

from sbnn import cli
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.ephys_types import EphysTypeClassifier, held_out
from sbnn.ephys_types.own_tables import predict_table, study
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


def test_probabilities_of_a_strong_penalty_are_raised_to_a_high_power():
    cells = simulate_ephys_types(60, random_state=0)
    model = EphysTypeClassifier(members=["logistic"])
    training = cells.X, cells.obs["type"], cells.var["family"], cells.obs["donor"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(*training)
    codes = np.searchsorted(model.classes_, cells.obs["type"])
    logs = np.log(model.held_out_probabilities_)
    # derivative of the log loss with respect to a further power, which is 0 at the best one
    excess = (model.held_out_probabilities_ * logs).sum(axis=1) - logs[np.arange(60), codes]
    assert excess.mean() == pytest.approx(0, abs=1e-3)


def test_what_cannot_be_calibrated_is_warned_of(data):
    model = EphysTypeClassifier(members=["kernel"])
    y = data.obs["type"].to_numpy(str)
    with pytest.warns(UserWarning, match="not calibrated, because all cells belong to one group"):
        model.fit(data.X, y, groups=np.zeros(240))
    with pytest.warns(UserWarning, match="not calibrated: .* SST"):
        model.fit(data.X, y, groups=np.where(y == "SST", "a", data.obs["donor"]))
    assert model.power_ == 1
    assert model.held_out_probabilities_ is None


def test_baselines_are_fitted_and_scored_on_the_parts_of_the_calibration(data, model):
    X = data.X.copy()
    X[::5, 0] = np.nan
    other = copy(model)
    other._cells = X
    y = data.obs["type"].to_numpy(str)
    donors = data.obs["donor"].to_numpy()
    majority = np.empty(240, object)
    shares = np.empty(240)
    logistic = np.empty((240, 4))
    tested = []
    for train, test in model._parts():
        assert not set(donors[train]) & set(donors[test])
        tested.extend(test)
        types, n = np.unique(y[train], return_counts=True)
        majority[test] = types[n.argmax()]
        shares[test] = [n[types == name][0] / n.sum() for name in y[test]]
        mean = np.nanmean(X[train], axis=0)
        scores = (X - mean) / np.nanstd(X[train], axis=0)
        scores[np.isnan(X)] = 0
        weights = (len(train) / 4 / n)[np.searchsorted(types, y[train])]
        regression = LogisticRegression(max_iter=2000).fit(scores[train], y[train], weights)
        logistic[test] = regression.predict_proba(scores[test])
    assert sorted(tested) == list(range(240))
    probabilities = held_out.held_out_probabilities(other)
    assert_allclose(probabilities["logistic regression"], logistic, rtol=0.02, atol=1e-4)
    table = held_out.scores_table(other, probabilities)
    own = model.held_out_probabilities_
    codes = np.searchsorted(model.classes_, y)
    for name, predicted, of_true in (
        ("majority", majority.astype(str), shares),
        ("logistic regression", model.classes_[logistic.argmax(axis=1)], None),
        ("EphysTypeClassifier", model.classes_[own.argmax(axis=1)], own[np.arange(240), codes]),
    ):
        row = table.loc[name]
        assert row["macro-F1"] == pytest.approx(f1_score(y, predicted, average="macro"))
        assert row["accuracy"] == pytest.approx((predicted == y).mean())
        assert row["balanced accuracy"] == pytest.approx(balanced_accuracy_score(y, predicted))
        if of_true is not None:
            assert row["log loss"] == pytest.approx(-np.log(of_true).mean(), rel=1e-3)


def test_the_error_of_a_gain_is_the_jackknife_over_donors(data, model):
    probabilities = held_out.held_out_probabilities(model)
    y = data.obs["type"].to_numpy(str)
    own, other = (
        model.classes_[probabilities[name].argmax(axis=1)]
        for name in ("EphysTypeClassifier", "logistic regression")
    )

    def gain(kept):
        return balanced_accuracy_score(y[kept], own[kept]) - balanced_accuracy_score(
            y[kept], other[kept]
        )

    donors = data.obs["donor"].to_numpy()
    without = np.array([gain(donors != donor) for donor in np.unique(donors)])
    n = len(without)
    found = held_out.gains_over_baselines(model, probabilities)["logistic regression"]
    assert found.mean == pytest.approx(gain(donors != ""))
    assert found.se**2 == pytest.approx((n - 1) / n * np.sum((without - without.mean()) ** 2))


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
    printed = capsys.readouterr().out
    start = printed.index("on cells of held-out donors: macro-F1 0.")
    lines = printed[start:].splitlines()
    page = Path("types.html").read_text(encoding="utf-8")
    lines = [line.replace("-0.", "−0.") for line in lines]
    assert lines[0] in page
    for row in lines[3:6]:
        for cell in row.strip("| ").split(" | "):
            assert f"<td>{cell}</td>" in page
    assert page.count("<img") == 1
    saved = load("m.pickle")
    assert len(set(saved.groups)) < 75
    assert len(saved.families) == 11
    assert saved.params[0]["n_steps"] == 20
    assert run("predict new.xlsx --model m.pickle --out p.csv --abstain 0") == 0
    found = pd.read_csv("p.csv", index_col="cell")
    sure = found["type"] != "unknown"
    assert not sure.iloc[3]
    assert (found["type"] == tables)[sure].mean() > 0.6
    page = Path("p_summary.html").read_text(encoding="utf-8")
    assert f"{sure.sum()} of 60 cells have a predicted type; {found['far'].sum()} far" in page
    assert "lacks 1 of the 43 features of the model: tau</li>" in page
    for name, n in found["type"].value_counts().items():
        assert re.search(rf"<td>{name}</td>\s*<td>{n}</td>", page)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_without_calibration_the_page_has_no_scores_but_the_caution(tmp_path):
    data = simulate_ephys_types(100, random_state=5)
    data.obs["donor"] = "the only one"
    data.uns["sbnn"]["dropped"] = {"cells <odd>": ["c7"]}
    sentence, scores = study(data, tmp_path / "model.pickle", 5)
    assert "not calibrated" in sentence
    assert scores.empty
    page = (tmp_path / "types.html").read_text(encoding="utf-8")
    assert "all cells belong to one group</li>" in page
    assert "1 left out (cells &lt;odd&gt;): c7" in page


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_wrong_input_is_one_sentence(tables, model, capsys):
    model.save("m.pickle")
    pd.DataFrame({"a": [1.0, 2.0]}, ["c1", "c2"]).to_csv("other.csv")
    for command, message in (
        ("fit new.xlsx --model m.pickle", "labels: no column of types; there are"),
        ("predict nowhere.csv --model m.pickle", "nowhere.csv"),
        ("predict other.csv --model m.pickle", "no cell has a value for any feature of the model"),
        ("predict new.xlsx --model m.pickle --out typed.csv", "typed.csv exists and is another"),
        ("predict other.csv --model m.pickle --sheet a", "with a sheet 'a'"),
    ):
        assert run(command) == 1
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert message in last
        assert last.startswith("sbnn ephys-types:")
