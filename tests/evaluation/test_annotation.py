"""What is written into an AnnData comes back from a file, by the names of cells and genes."""

import json

import anndata
import numpy as np
import pandas as pd
import pytest

import sbnn
from sbnn.evaluation.folds import held_out_means

SHORT = sbnn.DistilledSettings(n_teachers=2, n_trees=5, steps_of_teachers=5, steps_of_student=5)
NETWORK = sbnn.DistilledBottleneckRegressor(n_genes=6, distillation=SHORT, random_state=0)
LINEAR = sbnn.SparseReducedRankRegression(rank=2, alpha=0.3)
equal = np.testing.assert_array_equal


@pytest.fixture(scope="module")
def model(adata):
    return sbnn.DistilledBottleneckRegressor(**NETWORK.get_params()).fit(adata)


@pytest.fixture(scope="module")
def halves(data):
    return sbnn.stability_selection(LINEAR, data, n_pairs=3, verbose=False)


@pytest.fixture(scope="module")
def grid(data):
    """Two grid points; the first fold is tested again, and the last one is not."""
    folds = sbnn.paper_folds(data.n_cells, 4)[:3]
    folds.append((folds[0][0][1:], folds[0][1]))
    return sbnn.cross_validate(LINEAR, data, folds, {"alpha": [0.6, 0.2]}, verbose=False)


def test_all_that_is_found_comes_back_from_a_file(adata, data, model, halves, tmp_path):
    effects = sbnn.interpret(model, adata)
    seeds = sbnn.evaluation.fits.repeat_fits(NETWORK, data, 2, verbose=False)
    told = adata.copy()
    sbnn.annotate(told, model, halves, effects, seeds)
    told.write_h5ad(tmp_path / "a.h5ad")
    again = anndata.read_h5ad(tmp_path / "a.h5ad")
    equal(again.obsm["X_sbnn"], model.transform(adata))
    predictions = again.obsm["sbnn_predictions"]
    equal(predictions, model.predict(adata))
    equal(predictions.columns, data.feature_names)
    table = sbnn.selection_table(halves).loc[data.gene_names]
    for name, values in {
        "kept": model.get_support(),
        "norm": model.gene_norms_,
        "frequency": table.frequency,
        "trusted": table.trusted,
        "kept_by_seeds": seeds.selected[0].mean(0),
    }.items():
        equal(again.var[f"sbnn_{name}"], values)
    assert again.var["sbnn_trusted"].dtype == bool
    written = again.varm["sbnn_effects"]
    equal(written.loc[effects.kept_genes], effects.effects)
    equal(written.notna().all(axis=1), model.get_support())
    equal(again.var["sbnn_r2_drop"][effects.kept_genes], effects.r2_drops)
    notes = again.uns["sbnn"]
    assert json.loads(notes["model"]["params"])["params"]["n_genes"] == 6
    assert notes["interpretation"]["r2"] == effects.r2
    equal(notes["stability selection"]["test_r2"], halves.test_r2[:, 0])
    equal(notes["repeated fits"]["train_r2"], seeds.train_r2[0])
    assert notes["repeated fits"]["sha256"] == data.sha256


def test_held_out_cells_and_genes_are_matched_by_name(adata, data, grid):
    """Of a part of the cells and genes in another order, with two new cells."""
    part = adata[::-1, np.r_[39:9:-1]].copy()
    new = anndata.AnnData(part.X[:2], pd.DataFrame(index=["new1", "new2"]), part.var)
    told = anndata.concat([part[:100], new])
    fit = sbnn.fit_full(NETWORK, data)
    sbnn.annotate(told, fit, grid, data=data, point=1, key="my")
    cells = np.r_[119:19:-1]
    held_out = held_out_means(grid, data.Y, 1)
    for name, values in (("X_my", fit.latent), ("my_held_out", held_out)):
        equal(told.obsm[name][:100], values[cells])
        assert np.isnan(told.obsm[name][100:]).all(axis=None)
    equal(told.obsm["my_held_out"].columns, data.feature_names)
    for fold, cell in zip(told.obs["my_fold"], [*cells, None, None], strict=True):
        tests = [f for f, (_, test) in enumerate(grid.folds) if cell in test]
        assert fold == tests[0] if tests else pd.isna(fold)
    equal(told.var["my_kept_in_folds"], grid.selected[:, 1].mean(0)[39:9:-1])
    equal(told.var["my_kept"], fit.selected[39:9:-1])
    notes = told.uns["my"]["cross-validation"]
    equal(notes["test_r2"], grid.test_r2[:, 1])
    assert json.loads(notes["params"])["point"] == {"alpha": 0.2}
    assert told.uns["my"]["fit"]["train_r2"] == fit.train_r2


def test_results_of_other_cells_genes_or_data_are_refused(adata, data, model, halves, grid):
    strange = adata.copy()
    strange.var_names = [f"other{j}" for j in range(40)]
    strange.obs_names = [f"new{i}" for i in range(120)]
    for result, how, message in (
        (model, {}, "X: no values for 6 of the 6 genes"),
        (sbnn.selection_table(halves), {}, "adata: expected the genes"),
        (grid, {"data": data, "point": 0}, "adata: expected the cells"),
        (grid, {"point": 0}, "data: expected"),
        (grid, {"data": data, "point": 2}, "point"),
    ):
        with pytest.raises(ValueError, match=message):
            sbnn.annotate(strange, result, **how)
    with pytest.raises(TypeError, match="point"):
        sbnn.annotate(adata, grid)
