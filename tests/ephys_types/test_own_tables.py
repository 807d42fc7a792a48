"""Cells of elsewhere: warnings, cells that stay untyped, and the way from tables to tables."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import f1_score

from sbnn import cli
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.typed_cells import as_typed
from sbnn.ephys_types import EphysTypeClassifier
from sbnn.ephys_types.base import FeatureScaling
from sbnn.ephys_types.distance import Surroundings
from sbnn.ephys_types.own_tables import held_out_sentence, predict_table
from sbnn.results import Record, load, save


@pytest.fixture(scope="module")
def told():
    """Training cells, and a model that knows their donors."""
    data = simulate_ephys_types(240, random_state=1)
    model = EphysTypeClassifier(n_steps=10, random_state=0)
    return data, model.fit(data.to_df(), data.obs["type"], data.var["family"], data.obs["donor"])


@pytest.fixture(scope="module")
def new():
    return simulate_ephys_types(120, random_state=2).to_df()


def test_far_cells_and_moved_features_are_as_rare_as_promised_among_like_cells():
    """Of donors that were not trained on; each rule warns of a table in 5 % of the cases."""
    far, warned = [], []
    for seed in range(12):
        cells = as_typed(simulate_ephys_types(400, random_state=seed))
        donors = cells.labels["donor"].to_numpy(str)
        new = np.isin(donors, np.unique(donors)[::3])
        scaling = FeatureScaling().fit(cells.X[~new])
        around = Surroundings(scaling.transform(cells.X[~new]), donors[~new])
        scores = scaling.transform(cells.X[new])
        far.append(around.far(scores))
        warned.append([around.too_many(far[-1]), around.moved(scores).any()])
        moved = scores + 0.6 * (np.arange(scores.shape[1]) == 4)
        assert (
            around.moved(moved)[4] and around.moved(moved).sum() <= 1 + around.moved(scores).sum()
        )
        assert around.far(np.full((1, scores.shape[1]), np.nan)).all()
    assert 0.002 < np.concatenate(far).mean() < 0.03
    assert np.mean(warned) < 0.2


def test_predict_warns_in_one_sentence_of_what_is_far(told, new):
    _, model = told
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(new)
    with pytest.warns(UserWarning, match=r"1 of 43 features shifted in mean \(tau\)") as said:
        model.predict(new.assign(tau=3 * new["tau"]))
    assert len(said) == 1 and said[0].filename == __file__
    odd = new.copy()
    odd.iloc[:9] = odd.iloc[:9] * np.where(np.arange(43) % 2, 6, 0.1)
    with pytest.warns(UserWarning, match=r"of 120 cells far .*human_001"):
        model.predict(odd)
    with (
        pytest.warns(UserWarning, match="feature names"),
        pytest.warns(UserWarning, match=r"\(0, 1, 2"),
    ):
        model.predict(odd.to_numpy())
    with pytest.raises(ValueError, match="abstain"):
        model.predict(odd, 1)


def test_unknown_is_no_type(told):
    data, _ = told
    types = data.obs["type"].astype(str).to_numpy()
    model = EphysTypeClassifier(n_steps=2, power=1.0, random_state=0)
    alone = model.fit(data.X[20:], types[20:], groups=data.obs["donor"][20:]).predict_proba(data.X)
    types[:20] = "unknown"
    with pytest.warns(UserWarning, match="20 of 240 cells left out, .* 'unknown'") as said:
        model.fit(data.X, types, groups=data.obs["donor"])
    assert said[0].filename == __file__ and "unknown" not in model.classes_
    assert_array_equal(model.predict_proba(data.X), alone)
    with (
        pytest.raises(ValueError, match="more than one class"),
        pytest.warns(UserWarning, match="240 of 240"),
    ):
        model.fit(data.X, np.full(240, "unknown"))


def test_the_power_is_that_of_left_out_donors(told):
    """The loss of held-out probabilities is least at it; types stay as they were."""
    data, model = told
    codes = np.searchsorted(model.classes_, data.obs["type"])
    logs = np.log(model.held_out_probabilities_)

    def loss(power):
        p = np.exp(power * logs)
        return -np.log(p[np.arange(240), codes] / p.sum(axis=1)).mean()

    assert loss(1) < min(loss(0.9), loss(1.1))
    plain = EphysTypeClassifier(n_steps=10, power=1.0, random_state=0)
    plain.fit(data.to_df(), data.obs["type"], data.var["family"])
    assert plain.power_ == 1 != model.power_
    p = plain.predict_proba(data.to_df()) ** model.power_
    assert_allclose(model.predict_proba(data.to_df()), p / p.sum(axis=1, keepdims=True))
    assert (
        model.held_out_probabilities_.max(axis=1).mean()
        < plain.predict_proba(data.to_df()).max(axis=1).mean()
    )
    with pytest.warns(UserWarning, match="not calibrated, because all cells belong to one group"):
        assert (
            plain.set_params(power="groups")
            .fit(data.X, data.obs["type"], groups=np.zeros(240))
            .power_
            == 1
        )
    of_type = data.obs["type"] == "SST"
    rare = np.where(of_type & (of_type.cumsum() > 2), "VIP", data.obs["type"])
    with pytest.warns(UserWarning, match="not calibrated: .* SST"):
        assert (
            plain.fit(data.X, rare, groups=np.where(rare == "SST", "a", data.obs["donor"])).power_
            == 1
        )


def test_features_are_matched_by_name(told, new):
    _, model = told
    with pytest.warns(UserWarning, match="lacks 1 of the 43 features of the model: tau$"):
        found = predict_table(model, new.drop(columns="tau").iloc[:, ::-1].assign(other=1.0))
    cells = new.assign(tau=np.nan)
    p = model.predict_proba(cells)
    assert_array_equal(found["type"], model.predict(cells))
    assert_allclose(found["probability"].astype(float), p.max(axis=1))
    assert_allclose(found.filter(like="p(").astype(float), p)
    assert_array_equal(found["far"].astype(bool), model.far(cells))
    assert found.index.name == "cell"


def test_cells_without_any_value_stay_untyped(told, new):
    _, model = told
    cells = new.copy()
    cells.iloc[3] = np.nan
    with pytest.warns(UserWarning, match="untyped: "):
        found = predict_table(model, cells)
    assert found["type"].iloc[3] == "unknown"
    assert found["far"].iloc[3]
    assert np.isnan(found["probability"].iloc[3])
    assert (found["type"] == "unknown").sum() == 1
    nameless = EphysTypeClassifier(members=["kernel"], power=1.0)
    nameless.fit(told[0].X, told[0].obs["type"])
    with pytest.raises(ValueError, match="^model: "):
        predict_table(nameless, new)
    assert held_out_sentence(nameless) == "not calibrated"


def test_the_accuracy_on_held_out_donors_is_told(told):
    data, model = told
    predicted = model.classes_[model.held_out_probabilities_.argmax(axis=1)]
    f1 = f1_score(data.obs["type"], predicted, average="macro")
    assert f"macro-F1 {f1:.3f}" in held_out_sentence(model)


def test_a_saved_model_predicts_the_same(told, new, tmp_path):
    _, model = told
    again = EphysTypeClassifier.load(model.save(tmp_path / "model.pickle"))
    assert_array_equal(again.predict_proba(new), model.predict_proba(new))
    assert_array_equal(again.far(new), model.far(new))
    with pytest.raises(ValueError, match="expected a saved EphysTypeClassifier"):
        EphysTypeClassifier.load(save(Record("other", "x", "y", [{}]), tmp_path / "other.pickle"))


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Tables of typed and of new cells in the working folder."""
    monkeypatch.chdir(tmp_path)
    typed = simulate_ephys_types(150, random_state=3)
    typed.to_df().assign(type=typed.obs["type"].astype(str), donor=typed.obs["donor"]).to_csv(
        "typed.csv"
    )
    new = simulate_ephys_types(60, random_state=4)
    table = new.to_df()
    table.iloc[3] = np.nan
    table.assign(sag=1000 * table["sag"], other=1.0).drop(columns="tau").to_excel("new.xlsx")
    return new.obs["type"].to_numpy(str)


def test_from_tables_to_types(tables, capsys, recwarn):
    assert cli.main(["ephys-types", "fit", "typed.csv", "--model", "m.pickle", "--fast"]) == 0
    assert "held-out donors: macro-F1 0." in capsys.readouterr().out
    saved = load("m.pickle")
    assert (
        len(set(saved.groups)) < 75
        and len(saved.families) == 11
        and saved.params[0]["n_steps"] == 20
    )
    asked = ["new.xlsx", "--model", "m.pickle", "--out", "p.csv", "--abstain", "0"]
    assert cli.main(["ephys-types", "predict", *asked]) == 0
    warned = " ".join(str(warning.message) for warning in recwarn)
    for part in (
        "lacks 1 of the 43 features of the model: tau",
        "untyped: human_04",
        "mean (sag",
    ):
        assert part in warned
    found = pd.read_csv("p.csv", index_col="cell")
    assert (
        len(found) == 60
        and found.loc["human_04", "type"] == "unknown"
        and found.loc["human_04", "far"]
    )
    sure = found["type"] != "unknown"
    assert (found["type"] == tables)[sure].mean() > 0.6
    assert_allclose(found.filter(like="p(").max(axis=1), found["probability"])


def test_wrong_input_is_one_sentence(tables, told, capsys):
    told[1].save("m.pickle")
    pd.DataFrame({"a": [1.0, 2.0]}, ["c1", "c2"]).to_csv("other.csv")
    for command, message in (
        ("fit new.xlsx --model m.pickle", "no cell has a type"),
        ("predict new.xlsx --model typed.csv", "typed.csv is not a record"),
        ("predict nowhere.csv --model m.pickle", "nowhere.csv"),
        ("predict other.csv --model m.pickle", "no cell has a value for any feature of the model"),
        ("predict new.xlsx --model m.pickle --abstain 2", "abstain"),
        (
            "predict new.xlsx --model m.pickle --out typed.csv",
            "typed.csv exists and is another kind of file",
        ),
        ("predict other.csv --model m.pickle --sheet a", "no sheet 'a'"),
    ):
        assert cli.main(["ephys-types", *command.split()]) == 1
        *_, last = capsys.readouterr().err.strip().splitlines()
        assert message in last and last.startswith("sbnn ephys-types:")
