"""Tables and figures of made-up records."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from pytest import approx
from scipy.stats import ttest_rel

from sbnn.dynamics import figures, report
from sbnn.results import Record

SAVED = Path(__file__).resolve().parents[2] / "saved_models"
TIMES = np.array([[0.0, 1, 3]] * 2)


def record(condition="noise_5", params=(), **values):
    """A record of three seeds, with scores in the columns given as lists."""
    scores = {name: of for name, of in values.items() if isinstance(of, list)}
    others = {name: of for name, of in values.items() if name not in scores}
    values = others | {"scores": pd.DataFrame({"seed": [0, 1, 2]} | scores)}
    settings = {"condition": condition}
    return Record("dynamics methods", "set", "", [dict(params)], settings=settings, values=values)


@pytest.fixture
def records():
    imp = record(
        balanced_accuracy=[0.5, 0.6, 0.9], recall_missing=[0.1, 0.2, 0.2], seconds=[20] * 3
    )
    dash = record(balanced_accuracy=[0.7, 0.7, 0.8], mse_ahead=[0.001, 0.002, 0.003])
    clean = record(balanced_accuracy=[1.0, 1.0, 1.0], recall_missing=[np.nan] * 3)
    return {"noise_5_dash": dash, "noise_5_imp": imp, "noise_0_dash": clean, "sizes": None}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", [np.nan, np.nan]),
        ("0.000 ± 0.000", [0.0, 0.0]),
        ("9.5e-03 ± 6e-04", [0.009, 0.0099]),
        ("-5.0e-03", [-0.005, np.nan]),
        ("0.010 ± 0.000", [0.01, 0.01]),
        ("9.999", [9.999]),
        ("11 ± 1", [10.0, 12.0]),
    ],
)
def test_numbers_have_digits_by_their_size(text, values):
    assert report._spread(pd.Series(values)) == text


def test_methods_are_in_display_order_with_mean_and_sd(records):
    found = report.by_condition(records)
    assert list(found) == ["noise_0", "noise_5"]
    assert list(found["noise_0"]) == ["dash"]
    assert list(found["noise_5"]) == ["imp", "dash"]
    table = report.methods_table(records, "noise_5")
    assert table.index.tolist() == ["IMP", "DASH"]
    assert table["BA"].tolist() == ["0.667 ± 0.208", "0.733 ± 0.058"]
    assert table["CPU s"].tolist() == ["20 ± 0", ""]
    assert table["one-step MSE"].tolist() == ["", "2.0e-03 ± 1e-03"]


def test_errors_on_real_data_are_relative_to_no_change():
    records = {
        "real_prior": record(mse_ahead=[0.1, 0.2, 0.3]),
        "real_sparse": record(mse_ahead=[0.1, 0.1, 0.1]),
    }
    table = report.methods_table(records, "real")
    column = table["one-step MSE / no change"]
    assert column["SparseRegulation"] == "0.500 ± 0.000"
    assert column["no change; edges of the prior"] == "1.000 ± 0.500"


def test_the_overview_has_conditions_side_by_side_without_empty_columns():
    dash = {"balanced_accuracy": [0.7, 0.7, 0.8], "kept_wrong": [0.5, 0.25, 0.0]}
    nothing = {"recall_missing": [np.nan] * 3}
    imp = {"balanced_accuracy": [1.0] * 3, "kept_wrong": [np.nan] * 3}
    records = {
        "noise_5_dash": record(**dash, **nothing),
        "noise_0_dash": record(**imp, **nothing),
        "noise_0_imp": record(**imp, **nothing),
    }
    table = report.overview_table(records)
    assert table.to_dict("index") == {
        "IMP": {"BA, 0 %": "1.000 ± 0.000", "BA, 5 %": "", "wrong kept, 5 %": ""},
        "DASH": {
            "BA, 0 %": "1.000 ± 0.000",
            "BA, 5 %": "0.733 ± 0.058",
            "wrong kept, 5 %": "0.250 ± 0.250",
        },
    }
    assert table.index.tolist() == ["IMP", "DASH"]


@pytest.mark.parametrize("condition", ["noise_5", "real"])
def test_differences_are_by_seed_with_an_interval(condition):
    a = [0.7, 0.75, 0.9]
    b = [0.5, 0.6, 0.65]
    records = {
        f"{condition}_dash": record(balanced_accuracy=a),
        f"{condition}_imp": record(balanced_accuracy=b),
    }
    [(name, text)] = report.differences_table(records, condition)["BA"].items()
    assert name == "DASH minus IMP"
    difference = np.subtract(a, b)
    if condition == "real":
        assert text == f"{difference.mean():.3f} ± {difference.std(ddof=1):.3f}"
    else:
        interval = ttest_rel(a, b).confidence_interval()
        assert text == f"{difference.mean():+.3g} [{interval.low:+.3g}, {interval.high:+.3g}]"
    one = {name: record for name, record in records.items() if name.endswith("imp")}
    assert report.differences_table(one, condition).empty


def test_sparsities_include_that_of_the_comparison_of_methods():
    scores = pd.DataFrame(
        {"method": "dash", "asked": [0.9, 0.9, 0.5], "seed": [0, 1, 0], "balanced_accuracy": 0.6}
    )
    curve = Record("", "", "", [], values={"scores": scores})
    dash = record(params={"sparsity": 0.7}, balanced_accuracy=[0.7, 0.7, 0.8])
    found = {"noise_5_dash": dash, "sparsities": curve}
    assert report.by_sparsity(found)["asked"].tolist() == [0.5, 0.7, 0.7, 0.7, 0.9, 0.9]
    table = report.sparsities_table(found)
    assert table.columns.tolist() == ["0.5", "0.7", "0.9", "published"]
    assert table.loc["DASH", "0.7"] == "0.733 ± 0.058"
    assert table.loc["DASH", "published"] == "0.906 at 0.946"


def test_every_committed_record_has_a_table_and_a_figure():
    for folder in ("grn_350", "yeast_pramila", "hematopoiesis", "simulated_grn"):
        records = report.read(SAVED / folder)
        tables = report.all_tables(records)
        for condition, of in report.by_condition(records).items():
            assert len(tables[f"Methods, {report.TITLES[condition]}"]) == len(of)
            assert figures.scores_of_methods(of).axes
    table = report.sizes_table(records)
    assert set(table["method"]) == {"DASH", "SparseRegulation"}


def test_scores_are_drawn_by_method_and_seed(records):
    of = {"imp": records["noise_5_imp"], "dash": records["noise_5_dash"]}
    figure = figures.scores_of_methods(of)
    accuracy, error = figure.axes
    assert "balanced accuracy" in accuracy.get_title()
    assert error.get_title() == "one-step MSE"
    dots, mean, *others = accuracy.lines
    assert dots.get_xdata().tolist() == [0.5, 0.6, 0.9]
    assert dots.get_ydata().tolist() == [0, 0, 0]
    assert mean.get_xdata() == approx(2 / 3)
    assert others[0].get_color() == figures.COLORS["dash"]
    assert others[-1].get_xdata() == [0.5, 0.5], "chance"
    assert len(error.lines) == 2
    labels = [label.get_text() for label in accuracy.get_yticklabels()]
    assert labels == ["IMP", "DASH"]
    assert "dashed: chance" in figure._suptitle.get_text()
    only_errors = figures.scores_of_methods({"ar1": record(mse_ahead=[0.1, 0.2, 0.3])})
    assert "chance" not in only_errors._suptitle.get_text()


@pytest.fixture
def paths(rng):
    """Paths of six genes."""
    test = rng.random((2, 3, 6))
    names = np.array([f"gene_{i}" for i in range(6)])
    prior = record(test=test, times=TIMES, gene_names=names)
    return prior, record(predicted=test + 0.1)


def test_paths_are_drawn_with_predictions(paths):
    prior, sparse = paths
    figure = figures.predicted_paths(prior, {"sparse": sparse})
    *genes, square = figure.axes
    assert len(genes) == 6
    titles = {ax.get_title() for ax in genes}
    assert titles == {f"gene_{i}" for i in range(6)}
    for ax in genes:
        gene = int(ax.get_title()[-1])
        true, predicted = ax.lines
        assert true.get_xdata().tolist() == [0, 1, 3]
        assert_array_equal(true.get_ydata(), prior.test[0, :, gene])
        assert_array_equal(predicted.get_ydata(), sparse.predicted[0, :, gene])
    assert square.get_xlabel() == "true, without noise"


def test_values_beyond_the_panel_are_counted_and_drawn_at_its_edge(paths):
    prior, sparse = paths
    sparse.predicted[0, 1, 0] = -2
    prior.settings["condition"] = "real"
    square = figures.predicted_paths(prior, {"sparse": sparse}).axes[-1]
    true = prior.test[:, 1:].ravel()
    predicted = sparse.predicted[:, 1:].ravel()
    assert square.get_xlim() == square.get_ylim() == (true.min(), true.max())
    dots, above, below, diagonal = square.lines
    assert_array_equal(dots.get_xydata(), np.stack([true, predicted], axis=1))
    assert_array_equal(above.get_xdata(), true[predicted > true.max()])
    assert set(above.get_ydata()) == {true.max()}
    assert below.get_xydata().tolist() == [[prior.test[0, 1, 0], true.min()]]
    n_beyond = len(above.get_xdata()) + 1
    mse = ((predicted - true) ** 2).mean()
    assert square.get_title() == (
        f"SparseRegulation: MSE {mse:.2g}\n{n_beyond} of 24 outside the panel"
    )
    assert square.get_xlabel() == "measured"


def test_genes_are_chosen_to_differ():
    """Of twenty genes that move alike, one is shown, and all five that move in other ways."""
    true = np.zeros((1, 6, 25))
    true[0, 1:, :20] = 1 + 1e-3 * np.arange(20)
    for i in range(5):
        true[0, i + 1, 20 + i] = -0.9
    chosen = figures._most_moving(true)
    assert set(chosen) == {19, 20, 21, 22, 23, 24}
    assert chosen[0] == 19
