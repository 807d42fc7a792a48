"""The accuracy benchmark: its peers do what they are named after, its records resume, its intervals are right."""

import importlib
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from sbnn import LeaveOneOutRidge
from sbnn.data.preprocessing import select_genes
from sbnn.results import load
from sbnn.tables import to_markdown

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
MODULES = ("accuracy", "cell_maps", "neighbours", "peers", "selection_leak")
accuracy, maps, neighbours, peers, selection_leak = map(importlib.import_module, MODULES)


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


def test_pages_show_the_committed_numbers():
    folder = ROOT / "saved_models" / "benchmarks"
    records = {name: load(folder / f"accuracy_{name}.pickle") for name in accuracy.MODELS}
    maps = load(neighbours.PATH)
    assert maps.settings["scaling"] == {name: neighbours.MAPS[name].scaling for name in maps.values}
    tables = [accuracy.accuracy_table(records), accuracy.difference_table(records), neighbours.table(maps)]
    page, readme = ((ROOT / name).read_text() for name in ("benchmarks/README.md", "README.md"))
    for table in tables:
        header, *rows = to_markdown(table).splitlines()
        assert {header, *rows} <= set(page.splitlines())
        for block in re.findall(rf"^{re.escape(header)}\n((?:\|.*\n?)*)", readme, re.M):
            assert set(block.splitlines()) <= set(rows), "the page may leave rows out"


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


MAPS = [maps.TSNEMap, maps.CanonicalCorrelationMap, pytest.param(maps.UMAPMap, marks=pytest.mark.slow)]


@pytest.mark.parametrize("kind", MAPS)
def test_maps_place_new_cells_among_their_like(kind):
    if kind is maps.UMAPMap:
        pytest.importorskip("umap")
    rng = np.random.default_rng(0)
    label = np.arange(120) % 3
    X = rng.normal(size=(120, 12)) + 8 * rng.normal(size=(3, 12))[label]
    Y = X[:, :2] + rng.normal(size=(120, 2))
    cell_map = kind(n_pca=5)
    placed = cell_map.fit_transform(X[:90], Y[:90])
    assert placed.shape == (90, 2)
    nearest = cdist(cell_map.transform(X[90:]), placed).argmin(1)
    assert (label[:90][nearest] == label[90:]).mean() > 0.95
    if kind is maps.TSNEMap:
        np.testing.assert_allclose(np.array(cell_map.embedding_), placed, atol=1e-9)
    np.testing.assert_allclose(clone(cell_map).fit_transform(X[:90], Y[:90]), placed, err_msg="the same again")
