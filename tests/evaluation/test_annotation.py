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
    effects, told = sbnn.interpret(model, adata), adata.copy()
    sbnn.annotate(told, model, cross_validated, halves, effects)
    again = read_back(told, tmp_path)
    assert (
        again.obs_names.tolist() == data.cell_names.tolist()
        and again.var_names.tolist() == data.gene_names.tolist()
    )
    predictions, table = again.obsm["sbnn_predictions"], sbnn.selection_table(halves)
    assert (
        predictions.columns.tolist() == data.feature_names.tolist()
        and again.var["sbnn_trusted"].dtype == bool
    )
    for found, expected in (
        (again.obsm["X_sbnn"], model.transform(adata)),
        (predictions, model.predict(adata)),
        (again.var["sbnn_kept"], model.get_support()),
        (again.var["sbnn_norm"], model.gene_norms_),
        (again.var["sbnn_frequency"][table.index], table["frequency"]),
        (again.varm["sbnn_effects"].loc[effects.kept_genes], effects.effects),
        (again.uns["sbnn"]["cross-validation"]["test_r2"], cross_validated.test_r2[:, 0]),
        (again.uns["sbnn"]["stability selection"]["test_r2"], halves.test_r2[:, 0]),
    ):
        np.testing.assert_array_equal(found, expected)
    assert again.varm["sbnn_effects"].notna().any(axis=1).sum() == 6
    notes = again.uns["sbnn"]
    assert notes.keys() >= {
        "name",
        "model",
        "cross-validation",
        "stability selection",
        "interpretation",
    }
    assert json.loads(notes["model"]["params"])["n_genes"] == 6
    assert notes["cross-validation"]["sha256"] == data.sha256


def test_held_out_predictions_are_in_the_units_of_the_outputs(adata, data, cross_validated):
    adata = adata.copy()
    sbnn.annotate(adata, cross_validated)
    train, test = cross_validated.folds[1]
    Y = data.Y.astype(float)
    expected = cross_validated.test_predictions[0][1] * Y[train].std(0) + Y[train].mean(0)
    np.testing.assert_allclose(adata.obsm["sbnn_held_out"].iloc[test], expected, rtol=1e-6)
    assert set(adata.obs["sbnn_fold"].iloc[test]) == {1}
    # cells of fold 0 are tested again in fold 2
    again = [(train[1:], test), *cross_validated.folds[:2]]
    sbnn.annotate(adata, sbnn.cross_validate(LINEAR, data, again, verbose=False))
    assert set(adata.obs["sbnn_fold"].iloc[test]) == {0}, "the first"
    record = sbnn.cross_validate(LINEAR, data, 4, scaling="all", verbose=False)
    sbnn.annotate(adata, record)
    train, test = record.folds[0]
    expected = record.test_predictions[0][0] * Y.std(0) + Y[train].mean(0)
    np.testing.assert_allclose(adata.obsm["sbnn_held_out"].iloc[test], expected, rtol=1e-5)


def test_cells_and_genes_are_matched_by_name(adata, data, model, cross_validated, tmp_path):
    other = adata.copy()[::-1, np.r_[39:-1:-1]]
    new = anndata.AnnData(other.X[:2], obs=pd.DataFrame(index=["new1", "new2"]), var=other.var)
    other = anndata.concat([other[:50], new])
    sbnn.annotate(other, sbnn.fit_full(NETWORK, data), cross_validated, data=data)
    again = read_back(other, tmp_path)
    assert (
        np.isnan(again.obsm["X_sbnn"][-2:]).all() and np.isfinite(again.obsm["X_sbnn"][:-2]).all()
    )
    assert again.obs["sbnn_fold"].isna().tolist() == [False] * 50 + [True] * 2
    whole = adata.copy()
    sbnn.annotate(whole, cross_validated)
    cell = other.obs_names[7]
    np.testing.assert_array_equal(
        again.obsm["sbnn_held_out"].loc[cell], whole.obsm["sbnn_held_out"].loc[cell]
    )
    with pytest.raises(ValueError, match="data, point: expected the data"):
        sbnn.annotate(whole[:60].copy(), cross_validated)
    with pytest.raises(ValueError, match="expected the cells of the result .* got new1"):
        sbnn.annotate(other[-2:].copy(), cross_validated, data=data)
    strange = adata.copy()
    strange.var_names = [f"other{j}" for j in range(40)]
    with pytest.raises(ValueError, match="X: no values for 6 of the 6 genes of the model"):
        sbnn.annotate(strange, model)
    with pytest.raises(ValueError, match="expected the genes of the result .* got other0"):
        sbnn.annotate(
            strange,
            sbnn.selection_table(sbnn.stability_selection(LINEAR, data, n_pairs=1, verbose=False)),
        )


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
