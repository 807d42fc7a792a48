"""Effects and known genes come from held-out cells; saved ones must match what is asked."""

import numpy as np
import pandas as pd
import pytest
from made_up import changed
from sklearn.base import clone

from sbnn import (
    SparseBottleneckRegressor,
    SparseReducedRankRegression,
    paper_folds,
    stability_selection,
)
from sbnn.evaluation import interpretation
from sbnn.evaluation.interpretation import interpret_held_out
from sbnn.study.known_genes import find_known_genes

QUICK = {
    "hidden_layers": (32, 16),
    "epochs": (2, 3, 3, 4),
    "standardize": False,
    "device": "cpu",
}
MODEL = SparseBottleneckRegressor(n_genes=25, random_state=42, **QUICK)


def halves_of(data, n_pairs=2):
    linear = SparseReducedRankRegression(rank=2, alpha=0.2)
    return stability_selection(linear, data, n_pairs, verbose=False)


def held_out(data, n_folds):
    """Arrays of the first fold, z-scored by its training cells, independently of the package."""
    train, test = paper_folds(data.n_cells, n_folds)[0]
    sizes = data.counts.sum(1, keepdims=True)
    X = np.log2(data.counts / sizes * np.median(sizes[train]) + 1)
    Y = data.Y.astype(float)
    X = (X - X[train].mean(0)) / X[train].std(0)
    Y = (Y - Y[train].mean(0)) / Y[train].std(0)
    return X[train], Y[train], X[test], Y[test]


def test_an_interpretation_is_of_cells_that_were_not_fitted(data, tmp_path, monkeypatch):
    path = tmp_path / "interpretation.pickle"
    halves = halves_of(data)
    record = interpret_held_out(MODEL, data, halves, results=path)
    X_train, Y_train, X_test, Y_test = held_out(data, 4)
    model = SparseBottleneckRegressor(**MODEL.get_params()).fit(X_train, Y_train)
    assert record.r2 == pytest.approx(model.score(X_test, Y_test), abs=0.02)
    assert abs(record.r2 - model.score(X_train, Y_train)) > 0.04

    with monkeypatch.context() as patch:
        patch.setattr(SparseBottleneckRegressor, "fit", lambda *_: pytest.fail("fitted again"))
        interpret_held_out(MODEL, data, halves, results=path)
    with pytest.raises(ValueError, match="differs in estimator"):
        interpret_held_out(clone(MODEL).set_params(n_genes=9), data, halves, results=path)
    other = changed(data, Y=data.Y[::-1].copy())
    with pytest.raises(ValueError, match="halves: expected a record of the same data"):
        interpret_held_out(MODEL, other, halves, results=path)
    for cells, pairs, what in ((other, 2, "data"), (data, 3, "stability")):
        with pytest.raises(ValueError, match=f"holds a result that differs in .*{what}"):
            interpret_held_out(MODEL, cells, halves_of(cells, pairs), results=path)

    def stop(_, __, cells):
        raise InterruptedError(cells)

    monkeypatch.setattr(interpretation, "with_preselected", stop)
    # genes are chosen on the cells that are fitted
    with pytest.raises(InterruptedError) as stopped:
        interpret_held_out(MODEL, data, halves, preselect=30)
    assert np.array_equal(*stopped.value.args, paper_folds(data.n_cells, 4)[0][0])
    groups = np.arange(data.n_cells) % 5
    with pytest.raises(ValueError, match="groups: .* only the order"):
        interpret_held_out(MODEL, data, halves, groups=pd.Series(groups, data.cell_names[::-1]))
    for its, n_fitted in ((groups, (3, 4)), (groups % 2, (1,))):
        with pytest.raises(InterruptedError) as stopped:
            interpret_held_out(MODEL, data, halves, groups=its)
        [cells] = stopped.value.args
        assert len(set(its[cells])) in n_fitted
        assert not {*its[cells]} & {*np.delete(its, cells)}


def test_known_genes_are_counted_and_r2_is_of_held_out_cells(data, tmp_path):
    how = {"params": [{"noise": 0.5, "seed": 0}], "results": tmp_path / "noise.pickle"}
    [row] = find_known_genes({"paper": MODEL}, [data], **how).table.to_dict("records")
    X_train, Y_train, X_test, Y_test = held_out(data, 5)
    model = SparseBottleneckRegressor(n_genes=8, random_state=42, **QUICK).fit(X_train, Y_train)
    assert row["test_r2"] == pytest.approx(model.score(X_test, Y_test), abs=0.02)
    found = set(data.gene_names[model.get_support()]) & set(data.truth["genes"])
    assert row["precision"] == row["recall"] == pytest.approx(len(found) / 8)
    assert row["best_r2"] == 0.8
    other = SparseBottleneckRegressor(
        n_genes=25, random_state=42, **QUICK | {"epochs": (1, 1, 1, 1)}
    )
    with pytest.raises(ValueError, match="differs in paper; give"):
        find_known_genes({"paper": other}, [data], **how)
    with pytest.raises(ValueError, match="differs in data; give"):
        find_known_genes({"paper": MODEL}, [changed(data, X=data.X + 1)], **how)
