"""Experiments are told by held-out cells, and saved ones are taken for the same question only."""

import shutil

import numpy as np
import pytest
from made_up import changed
from sklearn.preprocessing import StandardScaler

from sbnn import SparseBottleneckRegressor, SparseReducedRankRegression, paper_folds, stability_selection
from sbnn.study import experiments


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    """With the halves of the cells that an interpretation takes its stabilities from, of a quick model."""
    folder = tmp_path_factory.mktemp("results")
    model = SparseReducedRankRegression(rank=2, alpha=0.2)
    stability_selection(model, data, 2, results=folder / "halves_default.pickle", verbose=False)
    return folder


def held_out(data, n_folds):
    """Arrays of the first fold, z-scored by its training cells: independent of what the package does."""
    train, test = paper_folds(data.n_cells, n_folds)[0]
    counts = data.counts.astype(float)
    logs = np.log2(counts / counts.sum(1, keepdims=True) * np.median(counts[train].sum(1)) + 1)
    scalers = StandardScaler().fit(logs[train]), StandardScaler().fit(data.Y[train].astype(float))
    return [
        scaler.transform(a[cells]) for cells in (train, test) for scaler, a in zip(scalers, (logs, data.Y), strict=True)
    ]


def interpreted(data, folder):
    return experiments.run_interpretation(data, folder / "interpretation.pickle", fast=True)


def test_an_interpretation_is_of_cells_that_were_not_fitted(data, folder, monkeypatch):
    record = interpreted(data, folder)
    X_train, Y_train, X_test, Y_test = held_out(data, 4)
    model = experiments.network(data, True, protocol="distilled").fit(X_train, Y_train)
    assert record.r2 == pytest.approx(model.score(X_test, Y_test), abs=0.02)
    assert abs(record.r2 - model.score(X_train, Y_train)) > 0.04

    def stop(_, __, cells):
        raise InterruptedError(cells.tolist() == paper_folds(data.n_cells, 4)[0][0].tolist())

    monkeypatch.setattr(experiments, "with_preselected", stop)
    with pytest.raises(InterruptedError, match="True"):  # genes are chosen on the cells that are fitted
        interpreted(data, folder)


def test_an_interpretation_of_other_data_is_not_taken(data, folder, monkeypatch):
    interpreted(data, folder)
    monkeypatch.setattr(SparseBottleneckRegressor, "fit", lambda *_: pytest.fail("fitted again"))
    interpreted(data, folder)
    other = changed(data, Y=data.Y[::-1].copy())
    with pytest.raises(ValueError, match="halves_default.pickle is of other data"):
        interpreted(other, folder)
    model = SparseReducedRankRegression(rank=2, alpha=0.2)
    shutil.copytree(folder, others := folder / "of others")
    for cells, n_pairs, place, message in ((other, 2, others, "another data"), (data, 3, folder, "another stability")):
        halves = {"results": place / "halves_default.pickle", "overwrite": True}
        stability_selection(model, cells, n_pairs, verbose=False, **halves)
        with pytest.raises(ValueError, match=f"holds another interpretation .* {message}"):
            interpreted(cells, place)


def test_noise_is_told_by_held_out_cells_and_true_genes(monkeypatch, tmp_path, data):
    path = tmp_path / "noise.pickle"
    monkeypatch.setattr(experiments, "simulate_patchseq", lambda noise, random_state: data)
    model = experiments.network(data, True, n_genes=8)
    table = experiments.run_noise(path, fast=True).table
    row = table[table.model == "paper"].iloc[0]
    X_train, Y_train, X_test, Y_test = held_out(data, 5)
    model.fit(X_train, Y_train)
    assert row.test_r2 == pytest.approx(model.score(X_test, Y_test), abs=0.02)
    found = set(data.gene_names[model.get_support()]) & set(data.truth["genes"])
    assert row.precision == row.recall == pytest.approx(len(found) / 8) and row.best_r2 == 1 / (1 + row.noise**2)

    monkeypatch.setattr(experiments, "_known_genes", lambda *_: pytest.fail("computed again"))
    experiments.run_noise(path, fast=True)
    with monkeypatch.context() as patched, pytest.raises(ValueError, match="another paper; give"):
        patched.setitem(experiments.FAST, "epochs", (1, 1, 1, 1))
        experiments.run_noise(path, fast=True)
    monkeypatch.setattr(experiments, "simulate_patchseq", lambda **_: changed(data, X=data.X + 1))
    with pytest.raises(ValueError, match="another data; give"):
        experiments.run_noise(path, fast=True)
