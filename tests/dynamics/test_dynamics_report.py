"""Tables and figures of made-up and of committed records."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from made_up import assert_tidy
from numpy.testing import assert_array_equal
from same import ROOT
from scipy.stats import ttest_rel

from sbnn.dynamics import plotting, report
from sbnn.plotting import style
from sbnn.results import Record

BA = {"prior": [0.9, 0.9, 0.9], "imp": [0.5, 0.6, 0.65], "dash": [0.7, 0.75, 0.9]}
ERRORS = {"prior": [0.1, 0.2, 0.3], "imp": [0.01, 0.02, 0.03], "dash": [0.1, 0.1, 0.1]}


@pytest.fixture
def records():
    """Results of three methods, and of DASH at another sparsity."""
    found = {}
    for name in BA:
        scores = {"seed": [0, 1, 2], "sparsity": 0.9}
        scores |= {"balanced_accuracy": BA[name], "mse_ahead": ERRORS[name]}
        settings = {"estimator": {"params": {"sparsity": 0.9}}}
        values = {"scores": pd.DataFrame(scores)}
        record = Record("dynamics", "set", "", [{}], settings=settings, values=values)
        found[f"noise_5_{name}"] = record
    curve = pd.DataFrame({"method": "dash", "asked": 0.5, "seed": [0, 1, 2], "sparsity": 0.5})
    curve["balanced_accuracy"] = 0.6
    found["sparsities"] = Record("dynamics", "set", "", [{}], values={"scores": curve})
    return found


def test_tables_have_means_sds_and_intervals_of_differences_by_seed(records):
    table = report.methods_table(records, "noise_5")
    assert table.index.tolist() == [report.METHODS["prior"], "IMP", "DASH"]
    assert table["BA"].tolist() == ["0.900 ± 0", "0.583 ± 0.08", "0.783 ± 0.1"]
    assert table["one-step MSE / no change"]["DASH"] == "0.500 ± 0"
    difference = np.subtract(BA["dash"], BA["imp"])
    low, high = ttest_rel(BA["dash"], BA["imp"]).confidence_interval()
    expected = f"{difference.mean():+.3g} [{low:+.3g}, {high:+.3g}]"
    differences = report.differences_table(records, "noise_5")
    assert differences.loc["DASH minus IMP", "BA"] == expected
    assert report._spread(pd.Series([np.nan] * 2)) == ""
    [row] = report.sparsities_table(records).to_dict("records")
    assert row == {0.5: "0.600 ± 0", 0.9: "0.783 ± 0.1", "published": "0.906 at 0.946"}


def test_paths_are_those_of_the_genes_that_change_most(rng):
    test = rng.random((2, 3, 9))
    times = np.array([[0.0, 1, 3]] * 2)
    prior = SimpleNamespace(test=test, times=times, gene_names=np.arange(9), dataset="set")
    predicted = test + 0.1
    figure = plotting.predicted_paths(prior, {"sparse": SimpleNamespace(predicted=predicted)})
    most = np.argsort(-np.ptp(test[0], axis=0))[:6]
    assert [ax.get_title() for ax in figure.axes] == most.astype(str).tolist()
    for ax, gene in zip(figure.axes, most, strict=True):
        for line, values in zip(ax.lines, (test, predicted), strict=True):
            assert_array_equal(line.get_xydata().T, [times[0], values[0, :, gene]])


def test_figures_of_committed_records_are_tidy():
    grn = report.read(ROOT / "saved_models" / "simulated_grn")
    yeast = report.read(ROOT / "saved_models" / "yeast_pramila")
    shown = {name: yeast[f"real_{name}"] for name in ("imp", "dash", "sparse")}
    with style():
        assert_tidy(plotting.accuracy_by_sparsity(grn))
        assert_tidy(plotting.predicted_paths(yeast["real_prior"], shown))
