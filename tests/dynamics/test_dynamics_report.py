"""Tables and figures of made-up records."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from pytest import approx
from scipy.stats import ttest_rel

from sbnn.dynamics import plotting, report
from sbnn.dynamics.accuracy import edge_accuracy
from sbnn.results import Record

SAVED = Path(__file__).resolve().parents[2] / "saved_models"
TIMES = np.array([[0.0, 1, 3]] * 2)
NOTHING = [np.nan] * 3


def record(condition="noise_5", values=None, **scores):
    """A record of three seeds."""
    values = {"scores": pd.DataFrame({"seed": [0, 1, 2]} | scores)} | (values or {})
    settings = {"condition": condition}
    return Record("dynamics", "set", "", [{"sparsity": 0.7}], settings=settings, values=values)


@pytest.fixture
def records():
    """Results of two methods under two conditions."""
    return {
        "noise_5_dash": record(balanced_accuracy=[0.7, 0.7, 0.8], kept_wrong=[0.5, 0.25, 0.0]),
        "noise_5_imp": record(balanced_accuracy=[0.5, 0.6, 0.9], mse_ahead=[0.001, 0.002, 0.003]),
        "noise_0_dash": record(balanced_accuracy=[1.0] * 3, kept_wrong=NOTHING),
    }


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", [np.nan, np.nan]),
        ("0.000 ± 0.000", [0.0, 0.0]),
        ("9.5e-03 ± 6e-04", [0.009, 0.0099]),
        ("-5.0e-03", [-0.005, np.nan]),
        ("0.010 ± 0.000", [0.01, 0.01]),
        ("9.999", [9.999]),
        ("0.41 ± 0.01", [0.40, 0.4142]),
        ("11 ± 1", [10.0, 12.0]),
    ],
)
def test_numbers_have_digits_by_their_size(text, values):
    assert report._spread(pd.Series(values)) == text


def test_methods_are_in_display_order_with_mean_and_sd(records):
    table = report.methods_table(records, "noise_5")
    assert table.index.tolist() == ["IMP", "DASH"]
    assert table["BA"].tolist() == ["0.67 ± 0.21", "0.73 ± 0.06"]
    assert table["one-step MSE"].tolist() == ["2.0e-03 ± 1e-03", ""]
    real = {
        "real_prior": record(mse_ahead=[0.1, 0.2, 0.3]),
        "real_sparse": record(mse_ahead=[0.1, 0.1, 0.1]),
    }
    relative = report.methods_table(real, "real")["one-step MSE / no change"]
    assert relative["SparseRegulation"] == "0.500 ± 0.000"
    assert relative["no change; edges of the prior"] == "1.00 ± 0.50"


def test_networks_help_if_they_predict_better_than_every_model_without_one():
    errors = pd.Series({"prior": 3.0, "ridge": 2, "none": 2, "dash": 1})
    assert report.helps(errors).tolist() == ["", "", "no", "yes"]


def test_precision_of_older_records_follows_from_their_other_scores(rng):
    """The saved scores have neither the precision nor the share of new edges that is right."""
    genes = list("abcdefgh")
    tables = np.zeros((3, 64))
    tables[:, rng.permutation(64)[:20]] = 1
    for table in tables[1:]:
        table[:] = rng.permutation(table)
    truth, prior, found = [pd.DataFrame(t.reshape(8, 8), genes, genes) for t in tables]
    of_prior = edge_accuracy(prior, truth, prior) | {"sparsity": 44 / 64}
    scores = edge_accuracy(found, truth, prior)
    old = pd.DataFrame([scores]).drop(columns=["precision", "new_right"])
    new = report._with_precision(old, of_prior)
    for name in ("precision", "new_right"):
        assert new[name][0] == approx(scores[name])


@pytest.mark.parametrize("condition", ["noise_5", "real"])
def test_differences_are_by_seed_with_an_interval(condition):
    a = [0.7, 0.75, 0.9]
    b = [0.5, 0.6, 0.65]
    imp = {f"{condition}_imp": record(balanced_accuracy=b)}
    both = imp | {f"{condition}_dash": record(balanced_accuracy=a)}
    [(name, text)] = report.differences_table(both, condition)["BA"].items()
    assert name == "DASH minus IMP"
    difference = np.subtract(a, b)
    expected = f"{difference.mean():.2f} ± {difference.std(ddof=1):.2f}"
    if condition == "noise_5":
        low, high = ttest_rel(a, b).confidence_interval()
        expected = f"{difference.mean():+.3g} [{low:+.3g}, {high:+.3g}]"
    assert text == expected
    assert report.differences_table(imp, condition).empty


def test_sparsities_include_that_of_the_comparison_of_methods(records):
    scores = {"method": "dash", "asked": [0.9, 0.9, 0.5], "balanced_accuracy": 0.6}
    found = {"noise_5_dash": records["noise_5_dash"], "sparsities": record(**scores)}
    assert report.by_sparsity(found)["asked"].tolist() == [0.5, 0.7, 0.7, 0.7, 0.9, 0.9]
    [row] = report.sparsities_table(found).to_dict("records")
    expected = {"0.5": "0.600", "0.7": "0.73 ± 0.06", "0.9": "0.600 ± 0.000"}
    assert row == expected | {"published": "0.906 at 0.946"}


def test_every_committed_record_has_a_table_and_a_figure():
    records = report.read(SAVED / "simulated_grn")
    [(condition, of)] = report.by_condition(records).items()
    methods, *_, sizes = report.all_tables(records).values()
    assert len(methods) == len(of) == len(plotting.scores_of_methods(of).axes[0].get_yticks())
    assert set(sizes["method"]) == {"DASH", "SparseRegulation"}


def test_scores_are_drawn_by_method_and_seed(records):
    of = {"imp": records["noise_5_imp"], "dash": records["noise_5_dash"]}
    figure = plotting.scores_of_methods(of)
    accuracy, error = figure.axes
    assert error.get_title() == "one-step MSE"
    for y, (name, of_method) in enumerate(of.items()):
        dots, mean = accuracy.lines[2 * y : 2 * y + 2]
        assert_array_equal(dots.get_xdata(), of_method.scores["balanced_accuracy"])
        assert set(dots.get_ydata()) == {y}
        assert mean.get_xdata() == approx(of_method.scores["balanced_accuracy"].mean())
        assert dots.get_color() == plotting.COLORS[name]
    assert accuracy.lines[-1].get_xdata() == [0.5, 0.5]
    assert [label.get_text() for label in accuracy.get_yticklabels()] == ["IMP", "DASH"]
    assert "dashed: chance" in figure._suptitle.get_text()


def test_paths_are_drawn_with_predictions_and_those_outside_are_counted(rng):
    test = rng.random((2, 3, 6))
    prediction = test + 0.1
    prediction[0, 1, 0] = -2
    prior = record(values={"test": test, "times": TIMES, "gene_names": np.arange(6)})
    sparse = record(values={"predicted": prediction})
    *genes, square = plotting.predicted_paths(prior, {"sparse": sparse}).axes
    assert sorted(ax.get_title() for ax in genes) == list("012345")
    for ax in genes:
        for line, path in zip(ax.lines, (test, prediction), strict=True):
            assert line.get_xdata().tolist() == [0, 1, 3]
            assert_array_equal(line.get_ydata(), path[0, :, int(ax.get_title())])
    true = test[:, 1:].ravel()
    predicted = prediction[:, 1:].ravel()
    above, below, _ = square.lines
    [counts] = square.collections
    limits = 2 * [(true.min(), true.max())]
    shown = predicted.clip(true.min(), true.max())
    expected, *_ = np.histogram2d(true, shown, plotting.N_BINS, limits)
    assert_array_equal(counts.get_array().filled(0), expected.T)
    assert_array_equal(above.get_xdata(), true[predicted > true.max()])
    assert set(above.get_ydata()) == {true.max()}
    assert below.get_xydata().tolist() == [[test[0, 1, 0], true.min()]]
    title = f"MSE {((predicted - true) ** 2).mean():.2g}\n{len(above.get_xdata()) + 1} of 24"
    assert title in square.get_title()
    assert square.get_xlabel() == "true, without noise"


def test_genes_are_chosen_to_differ():
    """Of twenty genes that move alike, one is shown, and all five that move in other ways."""
    true = np.zeros((1, 6, 25))
    true[0, 1:, :20] = 1 + 1e-3 * np.arange(20)
    true[0, range(1, 6), range(20, 25)] = -0.9
    chosen = plotting._most_moving(true)
    assert chosen[0] == 19
    assert set(chosen) == {19, 20, 21, 22, 23, 24}
