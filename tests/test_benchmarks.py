"""The accuracy benchmark: its peers do what they are named after, its records resume, its intervals are right."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pages import contradictions, rows
from scipy.stats import ttest_rel
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from sbnn import LeaveOneOutRidge
from sbnn.data.preprocessing import select_genes
from sbnn.evaluation.identity import described
from sbnn.results import load

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
accuracy, peers = importlib.import_module("accuracy"), importlib.import_module("peers")
neighbours, selection_leak = map(importlib.import_module, ("neighbours", "selection_leak"))


@pytest.fixture(scope="module")
def arrays(data):
    return tuple((a - a.mean(0)) / a.std(0) for a in (data.X.astype(np.float64), data.Y.astype(np.float64)))


SELECTORS = {
    "group lasso": (peers.GroupLasso(), None),
    "elastic net": (peers.GroupLasso(0.5), None),
    "greedy": (peers.GreedyForward(), None),
    "LassoNet": (peers.LassoNetPath((8,), M=1.0, path_multiplier=2.0, n_iters=(100, 50), patience=50), "lassonet"),
    "STG": (peers.StochasticGates(strengths=(0.3, 1.0), hidden_dims=(8,), learning_rate=0.02, epochs=60), "stg"),
}


@pytest.fixture(params=SELECTORS)
def selector(request):
    selector, package = SELECTORS[request.param]
    if package is not None:
        pytest.importorskip(package)
    return selector


def test_selectors_find_true_genes_and_no_more_than_asked_for(selector, data, arrays):
    generator = torch.get_rng_state()
    few, many = selector.select(*arrays, [3, 8])
    assert torch.equal(generator, torch.get_rng_state())
    assert 1 <= len(few) <= 3 and len(few) <= len(many) <= 8
    assert len(set(many)) == len(many)
    true = np.isin(data.gene_names, data.truth["genes"])
    assert true[many].mean() > 2 * true.mean()
    again = selector.select(*arrays, [3, 8])
    np.testing.assert_array_equal(many, again[1])


def test_greedy_selection_takes_the_gene_that_leaves_least_error(arrays):
    X, Y = arrays
    chosen = []
    for _ in range(4):
        errors = [np.linalg.lstsq(X[:, [*chosen, j]], Y)[1].sum() for j in range(X.shape[1]) if j not in chosen]
        chosen.append([j for j in range(X.shape[1]) if j not in chosen][int(np.argmin(errors))])
    np.testing.assert_array_equal(peers.GreedyForward().select(X, Y, [4])[0], chosen)


def test_kernel_ridge_chooses_by_the_error_of_left_out_cells(arrays):
    X, Y = arrays[0][:25, :6], arrays[1][:25]
    Y = Y - Y.mean(0)  # scikit-learn's has no intercept
    alphas, gammas = (0.1, 1.0, 10.0), (0.1, 1.0)
    model = peers.LeaveOneOutKernelRidge(alphas, gammas).fit(X, Y)
    errors = {}
    for alpha in alphas:
        for gamma in gammas:
            plain = KernelRidge(alpha=alpha, kernel="rbf", gamma=gamma / 6)
            errors[alpha, gamma] = ((Y - cross_val_predict(plain, X, Y, cv=LeaveOneOut())) ** 2).sum()
    assert (model.alpha_, model.gamma_) == min(errors, key=errors.get)
    plain = KernelRidge(alpha=model.alpha_, kernel="rbf", gamma=model.gamma_ / 6).fit(X, Y)
    np.testing.assert_allclose(model.predict(arrays[0][25:, :6]), plain.predict(arrays[0][25:, :6]), atol=1e-10)


def test_paired_difference_is_the_t_interval_with_the_correction_for_shared_training_cells(rng):
    a, b = rng.normal(size=(2, 10))
    mean, half = accuracy.paired_difference(a, b, test_share=0)
    plain = ttest_rel(a, b).confidence_interval()
    np.testing.assert_allclose([mean - half, mean + half], [plain.low, plain.high])
    _, wider = accuracy.paired_difference(a, b, test_share=1 / 9)
    np.testing.assert_allclose(wider / half, np.sqrt((1 / 10 + 1 / 9) / (1 / 10)))
    assert accuracy.paired_difference(a[:4], b, 0) == accuracy.paired_difference(a[:4], b[:4], 0)
    assert accuracy.paired_difference(a[:1], b, 0) == (a[0] - b[0], np.inf)


def test_measuring_resumes_and_extends(data, tmp_path, monkeypatch):
    peer = peers.SelectThenRegress(peers.GroupLasso(), LeaveOneOutRidge())
    model = accuracy.Model("lasso", peer, genes=(6,), folds=2)
    record = accuracy.measure("lasso", model, data, tmp_path)
    more = accuracy.measure("lasso", replace(model, genes=(3, 6)), data, tmp_path, n_folds=3)
    assert more.test_r2.shape == (3, 2) and "test_predictions" not in more.values
    np.testing.assert_array_equal(more.test_r2[:2, more.find(n_genes=6)], record.test_r2[:, 0])
    for method in ("fit", "fit_path"):
        monkeypatch.setattr(peers.SelectThenRegress, method, lambda *_: pytest.fail("fitted again"))
    np.testing.assert_array_equal(accuracy.measure("lasso", model, data, tmp_path, n_folds=1).test_r2, more.test_r2)


def test_committed_records_belong_to_the_rows_of_the_script():
    for path in accuracy.RECORDS.glob("accuracy_*.pickle"):
        record, model = load(path), accuracy.MODELS[path.stem.removeprefix("accuracy_")]
        assert record.settings["estimator"] == described(model.estimator, record.settings["estimator"])
        assert record.settings["scaling"] == "all"


def test_pages_show_the_committed_numbers():
    folder = ROOT / "saved_models" / "benchmarks"
    records = {name: load(folder / f"accuracy_{name}.pickle") for name in accuracy.MODELS}
    maps = load(neighbours.PATH)
    assert maps.settings["scaling"] == {name: neighbours.MAPS[name].scaling for name in maps.values}
    tables = [accuracy.accuracy_table(records), accuracy.difference_table(records), neighbours.table(maps)]
    page, readme = ((ROOT / name).read_text() for name in ("benchmarks/README.md", "README.md"))
    for table in tables:
        assert set(rows(table)) <= set(page.splitlines())
        assert not contradictions(readme, table)


def test_selection_inside_the_fold_sees_no_test_cell(data):
    train, test = np.arange(20, data.n_cells), np.arange(20)
    compared = selection_leak.compare(LeaveOneOutRidge(), data.counts, data.Y, [(train, test)], n_genes=12)
    other = data.counts.copy()
    outside = ~select_genes(data.counts[train], 12).selected
    other[np.ix_(test, outside)] = 1000
    changed = selection_leak.compare(LeaveOneOutRidge(), other, data.Y, [(train, test)], n_genes=12)
    assert changed.loc[0, "training cells"] == compared.loc[0, "training cells"]
    whole = select_genes(data.counts, 12).selected
    assert compared.loc[0, "shared"] == (whole & ~outside).sum()
