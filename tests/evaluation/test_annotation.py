"""What is written into an AnnData comes back from a file, by the names of cells and genes."""

import json

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest

import sbnn

SHORT = sbnn.DistilledSettings(steps_of_teachers=5, steps_of_student=5)
NETWORK = sbnn.DistilledBottleneckRegressor(n_genes=6, distillation=SHORT, random_state=0)
LINEAR = sbnn.SparseReducedRankRegression(rank=2, alpha=0.3)


@pytest.fixture(scope="module")
def model(adata):
    return sbnn.DistilledBottleneckRegressor(**NETWORK.get_params()).fit(adata)


@pytest.fixture(scope="module")
def cross_validated(data):
    return sbnn.cross_validate(LINEAR, data, 4, verbose=False)


def read_back(adata, folder):
    adata.write_h5ad(folder / "a.h5ad")
    return anndata.read_h5ad(folder / "a.h5ad")


def test_all_that_is_found_comes_back_from_a_file(adata, data, model, cross_validated, tmp_path):
    halves = sbnn.stability_selection(LINEAR, data, n_pairs=3, verbose=False)
    effects = sbnn.interpret(model, adata)
    told = adata.copy()
    sbnn.annotate(told, model, cross_validated, halves, effects)
    again = read_back(told, tmp_path)
    assert again.obs_names.tolist() == data.cell_names.tolist()
    assert again.var_names.tolist() == data.gene_names.tolist()
    equal = np.testing.assert_array_equal

    equal(again.obsm["X_sbnn"], model.transform(adata))
    predictions = again.obsm["sbnn_predictions"]
    equal(predictions, model.predict(adata))
    assert predictions.columns.tolist() == data.feature_names.tolist()
    equal(again.var["sbnn_kept"], model.get_support())
    equal(again.var["sbnn_norm"], model.gene_norms_)
    notes = again.uns["sbnn"]
    assert json.loads(notes["model"]["params"])["n_genes"] == 6

    table = sbnn.selection_table(halves)
    equal(again.var["sbnn_frequency"][table.index], table["frequency"])
    assert again.var["sbnn_trusted"].dtype == bool
    equal(notes["stability selection"]["test_r2"], halves.test_r2[:, 0])

    written = again.varm["sbnn_effects"]
    equal(written.loc[effects.kept_genes], effects.effects)
    assert written.notna().any(axis=1).sum() == 6
    assert notes["interpretation"]["r2"] == effects.r2

    equal(notes["cross-validation"]["test_r2"], cross_validated.test_r2[:, 0])
    assert notes["cross-validation"]["sha256"] == data.sha256


def test_held_out_predictions_are_in_the_units_of_the_outputs(adata, data, cross_validated):
    told = adata.copy()
    sbnn.annotate(told, cross_validated)
    train, test = cross_validated.folds[1]
    Y = data.Y.astype(float)
    predicted = cross_validated.test_predictions[0][1]
    expected = predicted * Y[train].std(0) + Y[train].mean(0)
    np.testing.assert_allclose(told.obsm["sbnn_held_out"].iloc[test], expected, rtol=1e-6)
    assert set(told.obs["sbnn_fold"].iloc[test]) == {1}


def test_a_cell_is_in_the_first_fold_that_tests_it(adata, data, cross_validated):
    train, test = cross_validated.folds[1]
    folds = [(train[1:], test), *cross_validated.folds[:2]]
    told = adata.copy()
    sbnn.annotate(told, sbnn.cross_validate(LINEAR, data, folds, verbose=False))
    assert set(told.obs["sbnn_fold"].iloc[test]) == {0}


def test_cells_and_genes_are_matched_by_name(adata, data, cross_validated, tmp_path):
    other = adata.copy()[::-1, np.r_[39:-1:-1]]
    names = pd.DataFrame(index=["new1", "new2"])
    new = anndata.AnnData(other.X[:2], obs=names, var=other.var)
    other = anndata.concat([other[:50], new])
    sbnn.annotate(other, sbnn.fit_full(NETWORK, data), cross_validated, data=data)
    again = read_back(other, tmp_path)
    latent = again.obsm["X_sbnn"]
    assert np.isnan(latent[-2:]).all()
    assert np.isfinite(latent[:-2]).all()
    assert again.obs["sbnn_fold"].isna().tolist() == [False] * 50 + [True] * 2
    whole = adata.copy()
    sbnn.annotate(whole, cross_validated)
    cell = other.obs_names[7]
    found = again.obsm["sbnn_held_out"].loc[cell]
    np.testing.assert_array_equal(found, whole.obsm["sbnn_held_out"].loc[cell])
    with pytest.raises(ValueError, match="data: expected"):
        sbnn.annotate(whole[:60].copy(), cross_validated)
    with pytest.raises(ValueError, match="adata: expected the cells"):
        sbnn.annotate(other[-2:].copy(), cross_validated, data=data)


def test_an_object_without_the_genes_of_a_result_is_rejected(adata, data, model):
    strange = adata.copy()
    strange.var_names = [f"other{j}" for j in range(40)]
    with pytest.raises(ValueError, match="X: no values for 6 of the 6 genes"):
        sbnn.annotate(strange, model)
    halves = sbnn.stability_selection(LINEAR, data, n_pairs=1, verbose=False)
    with pytest.raises(ValueError, match="adata: expected the genes"):
        sbnn.annotate(strange, sbnn.selection_table(halves))


def test_a_mudata_is_written_to_where_its_genes_are(adata, data, model):
    rna = adata.copy()
    rna.obs["type"] = rna.obs["type"].where(np.arange(120) > 9)
    mdata = mudata.MuData({"rna": rna, "prot": anndata.AnnData(rna.obsm.pop("outputs"))})
    record = sbnn.cross_validate(LINEAR, mdata, 3, verbose=False)
    sbnn.annotate(mdata, model, record)
    assert mdata["rna"].obsm["sbnn_held_out"].shape == mdata["rna"].obsm["sbnn_predictions"].shape
    told = sbnn.neighbour_accuracy(mdata)
    assert told.index.tolist() == ["family", "type"]
    known = data.labels["type"].where(np.arange(120) > 9, "unknown")
    assert told["type"] == sbnn.neighbour_accuracy(model.transform(mdata), known.to_numpy())
    assert sbnn.verdict(record, (mdata, "prot")).p == sbnn.verdict(record, mdata).p <= 0.05


def test_a_grid_point_is_written_under_another_key(adata, data):
    grid = sbnn.cross_validate(LINEAR, data, 4, {"alpha": [0.6, 0.2]}, verbose=False)
    with pytest.raises(TypeError, match="point"):
        sbnn.annotate(adata.copy(), grid)
    told = adata.copy()
    sbnn.annotate(told, grid, point=1, key="my")
    np.testing.assert_array_equal(told.var["my_kept_in_folds"], grid.selected[:, 1].mean(0))
    notes = told.uns["my"]["cross-validation"]
    np.testing.assert_array_equal(notes["test_r2"], grid.test_r2[:, 1])
    np.testing.assert_array_equal(notes["test_feature_r2"], grid.test_feature_r2[:, 1])
    params = json.loads(notes["params"])
    assert (params["point"], params["params"]["rank"]) == ({"alpha": 0.2}, 2)


def test_genes_kept_by_seeds_are_written_as_shares(adata, data):
    seeds = sbnn.results.Record(
        "repeated fits",
        data.name,
        data.sha256,
        [{"random_state": 1}, {"random_state": 2}],
        settings={"estimator": {"params": {}}},
        values={
            "selected": np.array([[np.arange(40) < 2, np.arange(40) < 1]]),
            "train_r2": np.array([[0.5, 0.25]]),
            "gene_names": data.gene_names,
        },
    )
    told = adata[:, ::-1].copy()
    sbnn.annotate(told, seeds)
    assert told.var["sbnn_kept_by_seeds"].iloc[-3:].tolist() == [0, 0.5, 1]
    assert told.uns["sbnn"]["repeated fits"]["train_r2"].tolist() == [0.5, 0.25]
