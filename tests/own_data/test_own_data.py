"""Results of a user's data: folds, panels, all that the tables hold, and new cells."""

import json
from hashlib import sha256

import anndata
import numpy as np
import pandas as pd
import pytest
from material.estimators import distilled
from numpy.testing import assert_allclose, assert_array_equal

from sbnn import (
    LeaveOneOutRidge,
    SparseReducedRankRegression,
    StackedRegressor,
    cross_validate,
    fit_full,
    map_trust,
    selection_table,
    stability_selection,
    verdict,
)
from sbnn.cli import main
from sbnn.evaluation.interpretation import interpret_held_out
from sbnn.evaluation.verdict import corrected_difference
from sbnn.metrics import test_fraction as fraction_tested
from sbnn.own_data.new_cells import load_network, predict_cells
from sbnn.own_data.results import choose_folds, read_panel, write_tables

SETTINGS = {"groups": None, "n_pairs": 5}


@pytest.mark.parametrize(
    ("groups", "fast", "n_folds"), [(None, False, 10), (None, True, 2), ("type", False, 6)]
)
def test_folds_test_every_cell_once(groups, fast, n_folds, adata):
    cells = adata[:103]  # not a multiple of the number of folds
    folds = choose_folds(cells, groups, fast=fast)
    assert len(folds) == n_folds
    tested = np.concatenate([test for _, test in folds])
    assert sorted(tested) == [*range(103)]
    if groups is not None:
        assert all(cells.obs[groups].iloc[test].nunique() == 1 for _, test in folds)


# --- panels


MEASURED = pd.Index(["Gad1", "Pvalb", "Sst", "Vip"])


def write_genes(path, *genes):
    """A file as Excel writes it."""
    path.write_text("\r\n".join([*genes, ""]), encoding="utf-8-sig")
    return path


def test_candidates_without_values_are_left_out(tmp_path):
    markers = write_genes(tmp_path / "markers.txt", "Sst")
    probes = write_genes(tmp_path / "probes.txt", "Vip", "Lost", "Sst")
    with pytest.warns(UserWarning, match="1 candidate genes .* left out: Lost"):
        panel = read_panel(MEASURED, markers, probes, n_genes=25)
    assert panel == (["Sst"], ["Vip", "Sst"], 2)


# --- tables


@pytest.fixture(scope="module")
def cells(adata):
    """Cells with a label that nobody knows, which is not written."""
    cells = adata.copy()
    cells.obs["batch"] = "unknown"
    cells.uns["sbnn"]["notes"] = ["a note"]
    return cells


@pytest.fixture(scope="module")
def records(cells):
    """One of each kind, with scores that differ; where networks are slow, of linear models."""
    folds = [(train, test[i:]) for i, (train, test) in enumerate(choose_folds(cells)[:4])]
    network = distilled(n_genes=6, required_genes=["gene07"], random_state=0)
    fit = fit_full(network, cells, preselect=30)
    models = {
        "scores": SparseReducedRankRegression(alpha=0.1),
        "ridge": LeaveOneOutRidge(),
        "stacked": SparseReducedRankRegression(alpha=0.2),
        "of a network": network,
    }
    scores = {}
    for role, model in models.items():
        grid = {"n_components": [2]} if model is network else None
        scores[role] = cross_validate(model, cells, folds, grid, verbose=False)
    chosen = cells[:, fit.gene_names]
    halves = stability_selection(
        SparseReducedRankRegression(alpha=0.5), cells, n_pairs=5, verbose=False
    )
    # two genes that are correlated, of which each half keeps one
    halves.selected[:, 0, 5] = np.arange(10) < 4
    halves.selected[:, 0, 6] = np.arange(10) >= 4
    return {
        "fit": fit,
        "halves": halves,
        "effects": interpret_held_out(network, cells, halves),
        "trust": map_trust(network, chosen, fit, scores.pop("of a network"), seeds=(1, 2)),
        **scores,
    }


@pytest.fixture(scope="module")
def folder(cells, records, tmp_path_factory):
    """Folder with the tables of the records."""
    path = tmp_path_factory.mktemp("tables")
    write_tables(path, cells, records, SETTINGS)
    return path


def interval_of(record, of_folds):
    """Mean of numbers of the folds, and its interval."""
    return corrected_difference(of_folds, fraction_tested(record.folds))._asdict()


def held_out(record, cells, output):
    """Predictions of an output in its units, empty for cells that no fold tests."""
    values = cells.obsm["outputs"].iloc[:, output].to_numpy(float)
    predicted = np.full(len(values), np.nan)
    for (train, test), of_fold in zip(record.folds, record.test_predictions[0], strict=True):
        predicted[test] = of_fold[:, output] * values[train].std() + values[train].mean()
    return predicted


def define_genes(cells, records):
    fit = records["fit"]
    selection = selection_table(records["halves"], data=cells)
    columns = {
        "kept": {gene: gene in fit.kept_genes for gene in cells.var_names},
        "norm": dict(zip(fit.gene_names, fit.gene_norms, strict=True)),
        "frequency": records["halves"].selected.mean(axis=(0, 1)),
        "expected_false": selection["expected_false"],
        "trusted": selection["trusted"],
        "stand_ins": selection["stand_ins"].replace("", np.nan),
        "order": dict(zip(fit.gene_order, range(1, 7), strict=True)),
        "required": cells.var_names == "gene07",
    }
    table = pd.DataFrame(
        {name: pd.Series(values, cells.var_names) for name, values in columns.items()}
    )
    return table.sort_values(["kept", "frequency"], ascending=False, kind="stable")


def define_outputs(cells, records):
    r2 = records["scores"].test_feature_r2[:, 0]
    interval = interval_of(records["scores"], r2)
    columns = {
        "test_r2": r2.mean(axis=0),
        "sd": r2.std(axis=0, ddof=1),
        "low": interval["low"],
        "high": interval["high"],
        "ridge_r2": records["ridge"].test_feature_r2.mean(axis=(0, 1)),
        "stacked_r2": records["stacked"].test_feature_r2.mean(axis=(0, 1)),
    }
    return pd.DataFrame(columns, cells.obsm["outputs"].columns)


def define_cells(cells, records):
    columns = {
        "sbnn_1": records["fit"].latent[:, 0],
        "sbnn_2": records["fit"].latent[:, 1],
        "error": records["trust"].errors,
        "spread": records["trust"].spread,
    }
    for prefix, role in (("predicted", "scores"), ("stacked", "stacked")):
        for i, name in enumerate(cells.obsm["outputs"]):
            columns[f"{prefix}_{name}"] = held_out(records[role], cells, i)
    columns |= {name: cells.obs[name].astype(str) for name in ("family", "type")}
    return pd.DataFrame(columns, cells.obs_names)


def define_effects(cells, records):
    effects = records["effects"]
    columns = {"r2_drop": effects.table["r2_drop"], "shift": effects.table["shift"]}
    for i, name in enumerate(effects.feature_names):
        columns[name] = pd.Series(effects.effects[:, i], effects.kept_genes)
    return pd.DataFrame(columns, effects.table.index)


#: Every table that is written, and the definitions of its columns.
DEFINITIONS = {
    "genes.csv": define_genes,
    "outputs.csv": define_outputs,
    "cells.csv": define_cells,
    "effects.csv": define_effects,
}


def define_scores(record, ridge):
    """Numbers of the summary about a cross-validation."""
    r2 = record.test_r2[:, 0]
    by_output = record.test_feature_r2[:, 0]
    means = pd.Series(by_output.mean(axis=0), record.feature_names)
    is_predicted = interval_of(record, by_output)["low"] > 0
    return {
        "sentence": verdict(record, ridge).sentence,
        "n_folds": 4,
        "test_r2": r2.mean(),
        "interval": interval_of(record, r2),
        "minus_ridge": interval_of(record, r2 - ridge.test_r2[:, 0]),
        "n_outputs": 5,
        "predicted_outputs": means[is_predicted].sort_values(ascending=False).to_dict(),
        "ridge_r2": ridge.test_r2.mean(),
    }


def define_summary(cells, records, folder):
    fit, scores, stacked = (records[role] for role in ("fit", "scores", "stacked"))
    genes = pd.read_csv(folder / "genes.csv", index_col="gene")
    gain = interval_of(scores, stacked.test_r2[:, 0] - scores.test_r2[:, 0])
    files = {name: (folder / name).read_bytes() for name in (*DEFINITIONS, "cells.h5ad")}
    return {
        "data": {
            "name": cells.uns["sbnn"]["name"],
            "n_cells": 120,
            "n_genes": 40,
            "n_outputs": 5,
            "sha256": fit.sha256,
            "notes": ["a note"],
        },
        "settings": SETTINGS,
        "model": fit.settings["estimator"] | {"preselect": 30},
        "verdict": define_scores(scores, records["ridge"]),
        "stacked": define_scores(stacked, records["ridge"]) | {"minus_network": gain},
        "kept_genes": genes.index[genes["kept"]].tolist(),
        "trusted_genes": genes.index[genes["trusted"]].tolist(),
        "agreement_of_maps": records["trust"].agreement.tolist(),
        "versions": fit.versions,
        "written_by_sbnn": {name: sha256(content).hexdigest() for name, content in files.items()},
    }


@pytest.mark.parametrize("file", DEFINITIONS)
def test_every_column_is_its_definition(file, folder, cells, records):
    written = pd.read_csv(folder / file, index_col=0)
    expected = DEFINITIONS[file](cells, records)
    # columns could not be exchanged unseen
    assert (expected.nunique() > 1).all()
    assert not expected.T.duplicated().any()
    pd.testing.assert_frame_equal(
        written, expected, check_dtype=False, check_names=False, rtol=1e-5
    )


def test_every_table_has_definitions(folder):
    assert {path.name for path in folder.glob("*.csv")} == DEFINITIONS.keys()


def test_every_number_of_the_summary_is_its_definition(folder, cells, records):
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    expected = define_summary(cells, records, folder)
    assert 0 < len(expected["verdict"]["predicted_outputs"]) < 5
    assert summary == json.loads(json.dumps(expected))


def test_an_annotated_file_has_all_results(folder, cells, records):
    annotated = anndata.read_h5ad(folder / "cells.h5ad")
    assert_array_equal(annotated.X, cells.X)
    assert_array_equal(annotated.layers["counts"], cells.layers["counts"])
    assert annotated.obs.astype(str).equals(cells.obs.astype(str))
    genes = define_genes(cells, records).loc[cells.var_names].fillna({"stand_ins": ""})
    found = annotated.var.astype({"stand_ins": str, "order": float})
    pd.testing.assert_frame_equal(found, genes, check_dtype=False)
    table = define_cells(cells, records)
    expected = {"X_sbnn": table.filter(like="sbnn_")}
    for key in ("predicted", "stacked"):
        expected[key] = table.filter(like=f"{key}_")
        assert [*annotated.obsm[key].add_prefix(f"{key}_")] == [*expected[key]]
    assert annotated.obsm.keys() == cells.obsm.keys() | expected
    for key, values in expected.items():
        assert_allclose(annotated.obsm[key], values, rtol=1e-5)


def test_halves_may_be_of_the_candidate_genes(adata, records, tmp_path):
    model = SparseReducedRankRegression(alpha=0.1)
    halves = stability_selection(model, adata[:, 5:20], n_pairs=2, verbose=False)
    write_tables(tmp_path, adata, {"fit": records["fit"], "halves": halves})
    genes = pd.read_csv(tmp_path / "genes.csv", index_col="gene")
    assert set(genes.index[genes["frequency"].notna()]) == set(adata.var_names[5:20])
    assert not genes["trusted"][genes["frequency"].isna()].any()


def test_truth_values_are_those_of_r_and_excel(folder):
    genes = pd.read_csv(folder / "genes.csv", dtype=str)
    assert set(genes["kept"]) == {"TRUE", "FALSE"}


def test_an_annotated_file_has_no_results_of_an_earlier_fit(folder, cells, records, tmp_path):
    earlier = anndata.read_h5ad(folder / "cells.h5ad")
    write_tables(tmp_path, earlier, {"fit": records["fit"]})
    written = anndata.read_h5ad(tmp_path / "cells.h5ad")
    assert [*written.var] == ["kept", "norm", "order", "required"]
    assert written.obsm.keys() == {*cells.obsm, "X_sbnn"}


def test_names_with_slashes_are_written(adata, tmp_path):
    outputs = adata.obsm["outputs"].add_prefix("mV/s ")
    pair = adata.to_df(), outputs
    fit = fit_full(SparseReducedRankRegression(alpha=0.3), pair)
    write_tables(tmp_path, pair, {"fit": fit})
    written = anndata.read_h5ad(tmp_path / "cells.h5ad").obsm["outputs"]
    assert written.columns[0] == "mV|s output1"


# --- new cells


def test_every_column_of_new_cells_is_its_definition(adata, tmp_path):
    """Of a folder, which stands for its network, and of network and ridge together."""
    network = distilled(random_state=0)
    files = tmp_path / "model.safetensors", tmp_path / "stacked.safetensors"
    for model, file in zip((network, StackedRegressor(network)), files, strict=True):
        fit_full(model, adata[:80], model_file=file)
    network, both = (load_network(file) for file in files)
    counts = adata[80:].to_df("counts")
    counts.to_csv(tmp_path / "counts.csv")
    logs = both.normalizer_.transform(counts)
    outside = (logs < network.x_min_) | (logs > network.x_max_)
    columns = {
        "sbnn_1": network.transform(logs)[:, 0],
        "sbnn_2": network.transform(logs)[:, 1],
        "genes_outside": outside.loc[:, network.support_].sum(axis=1),
    }
    names = network.output_names_
    columns |= dict(zip("predicted_" + names, network.predict(logs).T, strict=True))
    of_both = dict(zip("stacked_" + names, both.predict(logs).T, strict=True))
    for model, added in ((tmp_path, {}), (files[1], of_both)):
        path = tmp_path / "predictions.csv"
        assert main(["predict", str(model), str(tmp_path / "counts.csv"), "--out", str(path)]) == 0
        expected = pd.DataFrame(columns | added, counts.index)
        assert (expected.nunique() > 1).all()
        written = pd.read_csv(path, index_col="cell")
        pd.testing.assert_frame_equal(written, expected, check_names=False, rtol=1e-4)


@pytest.fixture(scope="module")
def network(adata):
    """Fitted to the first 80 cells."""
    model = distilled(random_state=0)
    return model.fit(adata[:80])


@pytest.fixture
def new_counts(adata):
    return adata[80:].to_df("counts")


def test_genes_in_rows_are_found(network, new_counts, tmp_path):
    new_counts.T.to_csv(tmp_path / "new.tsv", sep="\t")
    placed = predict_cells(network, tmp_path / "new.tsv")
    pd.testing.assert_frame_equal(placed, predict_cells(network, new_counts))


def test_a_file_of_anndata_is_read(network, adata, new_counts, tmp_path):
    adata[80:].copy().write_h5ad(tmp_path / "new.h5ad")
    placed = predict_cells(network, tmp_path / "new.h5ad")
    pd.testing.assert_frame_equal(placed, predict_cells(network, new_counts))


@pytest.mark.filterwarnings("ignore:expression. kept genes are not those")
def test_genes_outside_the_range_of_the_fit_are_counted(network, adata):
    kept = network.feature_names_in_[network.support_]
    cells = adata[:4].to_df().copy()
    cells.loc[cells.index[1], kept[:2]] = adata.to_df()[kept[:2]].max() + 1
    cells.iloc[2] = -1
    placed = predict_cells(network, cells)
    assert placed.columns[2] == "genes_outside"
    assert placed["genes_outside"].tolist() == [0, 2, 5, 0]


def scale(cells):
    return (cells - cells.mean()) / cells.std()


@pytest.mark.filterwarnings("error")
def test_cells_of_another_kind_than_those_of_the_fit_are_told(adata):
    """Scaled cells for a fit to logs, and logs for a fit to scaled cells."""
    logs, Y = adata.to_df(), adata.obsm["outputs"]
    model = distilled(random_state=0)
    for cells, others in ((logs, scale(logs)), (scale(logs), logs)):
        model.fit(cells[:80], Y[:80])
        predict_cells(model, cells[80:])
        with pytest.warns(UserWarning, match="not those of the training cells: gene.*in the fit"):
            predict_cells(model, others[80:])
    model.set_params(standardize=False).fit(logs[:80], Y[:80])  # SDs are not known, but the range
    predict_cells(model, 0.4 * logs[80:])
    with pytest.warns(UserWarning, match="of 40 cells have some outside"):
        predict_cells(model, scale(logs)[80:])


def test_a_shift_of_all_genes_within_their_range_is_told(network, adata):
    """As by logarithms to another base."""
    logs = adata[80:].to_df()
    with pytest.warns(UserWarning, match="kept genes are not those .*; 0 of 40 cells"):
        assert not predict_cells(network, 0.4 * logs)["genes_outside"].any()
    predict_cells(network, 0.4 * logs[:19])  # too few cells to compare means
