"""Test R2 of models, widths and outputs, and how often genes are kept."""

import numpy as np
import pytest
from drawn import colors_of, error_bars, heights, labels_of, lines_of, tick_names
from figure_records import OUTPUTS, folds_record, halves, linear, networks_by_width, ridge
from made_up import figure_text
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose

from sbnn import plotting
from sbnn.plotting.colors import BLUE, GREEN, MODEL_COLORS, VERMILLION

COLORS = [to_hex(MODEL_COLORS["linear"]), to_hex(BLUE)]


@pytest.fixture(scope="module")
def models():
    """Ranks 2 and 16 (points 0 to 4 and 5 to 9), and ridge in four folds."""
    return {"linear": (linear(), {"rank": 16}), "ridge": ridge()}


@pytest.fixture(scope="module")
def accuracy(models):
    """With at most six genes, which is point 7."""
    [ax] = plotting.accuracy_comparison(models, n_genes=6).axes
    return ax


@pytest.fixture(scope="module")
def shown_r2(models):
    """Of the models that are drawn, one row for each."""
    return [models["linear"][0].test_r2[:, 7], models["ridge"].test_r2[:, 0]]


def mean_text(r2):
    return f"{r2.mean():.3f} ± {r2.std(ddof=1):.3f}"


def test_models_have_mean_r2_with_sd(accuracy, shown_r2):
    for y, (container, r2) in enumerate(zip(accuracy.containers, shown_r2, strict=True)):
        assert_allclose(error_bars(container), [[r2.mean(), y, r2.std(ddof=1), 0]])
    assert [text.get_text() for text in accuracy.texts] == list(map(mean_text, shown_r2))


def test_dots_are_folds_in_order(accuracy, shown_r2):
    for y, (line, r2) in enumerate(zip(lines_of(accuracy, markersize=2.5), shown_r2, strict=True)):
        places = np.linspace(y - 0.28, y + 0.28, len(r2))
        assert_allclose(line.get_xydata().T, [r2, places])


def test_models_have_names_and_colours_of_their_kind(accuracy):
    assert tick_names(accuracy.yaxis) == [
        "linear, 6 genes, scaled per fold",
        "ridge, 12 genes, scaled per fold",
    ]
    assert colors_of(accuracy.containers) == colors_of(accuracy.texts) == COLORS


def test_first_model_is_at_the_top(accuracy):
    low, high = accuracy.get_ylim()
    assert low > high


@pytest.fixture(scope="module")
def failing_ridge():
    """On 9, 12 and 12 genes; two of three folds lie below -1."""
    record = folds_record("LeaveOneOutRidge", [{}])
    record.settings = record.settings | {"scaling": "all"}
    record.values["preselected"] = np.arange(40) < [[9], [12], [12]]
    record.values["test_r2"] = np.array([[-1.5], [-7.5], [0.5]])
    return record


@pytest.fixture(scope="module")
def accuracy_of_failing(failing_ridge, models):
    return plotting.accuracy_comparison({"other": failing_ridge, **models})


@pytest.mark.parametrize(
    "text",
    ["other, 11 genes, scaled over all cells", "−2.833", "mean ± SD over 3 or 4 folds"],
)
def test_accuracy_names_genes_scaling_and_folds(accuracy_of_failing, text):
    assert text in figure_text(accuracy_of_failing)


def test_failed_folds_lie_outside_the_panel(accuracy_of_failing):
    low, high = accuracy_of_failing.axes[0].get_xlim()
    assert -1.3 < low < -1
    assert high < 1.2


@pytest.fixture(scope="module")
def summary(models):
    """R2 by width, genes kept by the fits, and R2 of outputs."""
    widths = networks_by_width()
    networks = {
        "distilled": (widths["distilled"], {}),
        "published": (widths["published"], {"pretraining": True}),
    }
    selections = {"halves": halves(), "seeds": halves(1), "repeats": halves(2)}
    for name, kind in {"seeds": "Sparse", "repeats": "Distilled"}.items():
        model = f"sbnn.{kind}BottleneckRegressor"
        selections[name].settings = {"estimator": {"class": model, "params": {}}}
    return plotting.width_and_stability(networks, selections, models=models).axes


def test_networks_have_r2_by_width(summary):
    """The second network is 3 % to the right."""
    distilled, published = networks_by_width().values()
    r2_by_network = [distilled.test_r2, published.test_r2[:, [1, 3, 5]]]
    widths = [[1, 2, 4, 8, 16], np.multiply([2, 16, 64], 1.03)]
    for container, width, r2 in zip(summary[0].containers, widths, r2_by_network, strict=True):
        sd = r2.std(axis=0, ddof=1)
        assert_allclose(error_bars(container).T, [width, r2.mean(axis=0), 0 * sd, sd])
    assert labels_of(summary[0].containers) == ["distilled", "published"]
    assert colors_of(summary[0].containers) == [to_hex(GREEN), to_hex(VERMILLION)]


def test_widths_have_a_logarithmic_axis(summary):
    assert summary[0].get_xscale() == "log"
    assert tick_names(summary[0].xaxis) == ["1", "2", "4", "8", "16", "64"]


def test_axis_of_widths_names_genes_and_folds(summary):
    settings = "8 or 10 genes, mean ± SD over 3 or 4 folds, scaled per fold"
    assert summary[0].get_xlabel() == f"units of the bottleneck, d ({settings})"


@pytest.fixture(scope="module")
def kept_genes():
    """The ten genes that the first fits keep."""
    return halves().gene_names[:10]


def test_bars_are_frequencies_of_first_fits(summary, kept_genes):
    bars = [bar.get_height() for bar in summary[1].patches]
    assert_allclose(bars, [1, 1, *np.arange(8, 0, -1) / 20])
    assert tick_names(summary[1].xaxis) == kept_genes.tolist()
    assert summary[1].get_xlim()[1] > 9.36, "the last bar has room"


def test_markers_are_frequencies_of_other_fits(summary, kept_genes):
    for seed, line in enumerate(summary[1].lines, start=1):
        frequencies = dict(zip(halves(seed).gene_names, [1, 1, *np.arange(8, 0, -1) / 20]))
        expected = [frequencies.get(gene, 0) for gene in kept_genes]
        assert_allclose(np.nan_to_num(line.get_ydata()), expected)
        assert_allclose(line.get_xdata(), np.arange(10) + 0.4 * seed - 0.6)
    assert colors_of(summary[1].lines) == [to_hex(VERMILLION), to_hex(GREEN)]


def test_fits_count_genes_that_they_keep(summary):
    texts = [text.get_text() for text in summary[1].get_legend().get_texts()]
    genes = "2 genes in all fits, 10 in any"
    assert texts == [f"{name}: {genes}" for name in ("seeds", "repeats", "halves")]


def test_frequencies_are_percentages(summary):
    assert "100%" in tick_names(summary[1].yaxis)


def test_outputs_are_sorted_by_the_first_model(summary, models):
    r2_of_first = models["linear"][0].test_feature_r2[:, 5]  # with the most genes up to 25
    order = np.argsort(-r2_of_first.mean(axis=0))
    assert tick_names(summary[2].yaxis) == [OUTPUTS[place] for place in order]
    r2_of_models = [r2_of_first, models["ridge"].test_feature_r2[:, 0]]
    shifts = [-0.07, 0.07]
    for container, r2, shift in zip(summary[2].containers, r2_of_models, shifts, strict=True):
        sd = r2.std(axis=0, ddof=1)[order]
        rows = [r2.mean(axis=0)[order], np.arange(11) + shift, sd, 0 * sd]
        assert_allclose(error_bars(container).T, rows)
    assert labels_of(summary[2].containers) == ["linear", "ridge"]
    assert colors_of(summary[2].containers) == COLORS


def test_models_of_other_outputs_are_refused(models):
    other = folds_record("LeaveOneOutRidge", [{}])
    other.values["feature_names"] = np.array([f"other {name}" for name in OUTPUTS])
    with pytest.raises(ValueError, match="'made up' has no test R² of output '"):
        plotting.output_accuracy({"ridge": models["ridge"], "other": other})
