"""Experiments are told by held-out cells, and saved ones are taken for the same question only."""

import shutil

import numpy as np
import pandas as pd
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


def test_an_interpretation_is_of_cells_that_were_not_fitted(data, folder):
    record = experiments.run_interpretation(data, folder, fast=True)
    X_train, Y_train, X_test, Y_test = held_out(data, 4)
    model = experiments.network(data, True, protocol="distilled").fit(X_train, Y_train)
    assert record.r2 == pytest.approx(model.score(X_test, Y_test), abs=0.02)
    assert abs(record.r2 - model.score(X_train, Y_train)) > 0.04


def test_an_interpretation_of_other_data_is_not_taken(data, folder, monkeypatch):
    experiments.run_interpretation(data, folder, fast=True)
    monkeypatch.setattr(SparseBottleneckRegressor, "fit", lambda *_: pytest.fail("fitted again"))
    experiments.run_interpretation(data, folder, fast=True)
    other = changed(data, Y=data.Y[::-1].copy())
    with pytest.raises(ValueError, match="halves_default.pickle is of other data"):
        experiments.run_interpretation(other, folder, fast=True)
    of_others = folder / "of others"
    of_others.mkdir()
    stability_selection(
        SparseReducedRankRegression(rank=2, alpha=0.2),
        other,
        2,
        results=of_others / "halves_default.pickle",
        verbose=False,
    )
    shutil.copy(folder / "interpretation.pickle", of_others)
    with pytest.raises(ValueError, match="interpretation.pickle holds another interpretation .* another data"):
        experiments.run_interpretation(other, of_others, fast=True)
    stability_selection(
        SparseReducedRankRegression(rank=2, alpha=0.2), data, 3, results=folder / "halves_default.pickle", verbose=False
    )
    with pytest.raises(ValueError, match="another stability; give"):
        experiments.run_interpretation(data, folder, fast=True)


def test_noise_is_told_by_held_out_cells_and_true_genes(monkeypatch, tmp_path, data):
    monkeypatch.setattr(experiments, "simulate_patchseq", lambda noise, random_state: data)
    model = experiments.network(data, True, n_genes=8)
    record = experiments.run_noise(tmp_path / "noise.pickle", fast=True)
    row = record.table[record.table.model == "paper"].iloc[0]
    X_train, Y_train, X_test, Y_test = held_out(data, 5)
    model.fit(X_train, Y_train)
    assert row.test_r2 == pytest.approx(model.score(X_test, Y_test), abs=0.02)
    found = set(data.gene_names[model.get_support()]) & set(data.truth["genes"])
    assert row.precision == row.recall == pytest.approx(len(found) / 8)


def test_noise_records_of_other_models_or_draws_are_not_taken(monkeypatch, tmp_path, data):
    path = tmp_path / "noise.pickle"
    monkeypatch.setattr(experiments, "simulate_patchseq", lambda noise, random_state: data)
    monkeypatch.setattr(experiments, "_known_genes", lambda *_: pd.DataFrame({"precision": [1.0]}))
    experiments.run_noise(path, fast=True)
    monkeypatch.setattr(experiments, "_known_genes", lambda *_: pytest.fail("computed again"))
    experiments.run_noise(path, fast=True)
    with monkeypatch.context() as patched, pytest.raises(ValueError, match="another paper; give"):
        patched.setitem(experiments.FAST, "epochs", (1, 1, 1, 1))
        experiments.run_noise(path, fast=True)
    other = changed(data, X=data.X + 1)
    with monkeypatch.context() as patched, pytest.raises(ValueError, match="another data; give"):
        patched.setattr(experiments, "simulate_patchseq", lambda **_: other)
        experiments.run_noise(path, fast=True)
