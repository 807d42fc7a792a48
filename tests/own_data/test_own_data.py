"""What a user's run writes, in whole numbers of folds, and what becomes of new cells."""

import json

import anndata
import numpy as np
import pandas as pd
import pytest
from material.estimators import distilled
from numpy.testing import assert_allclose

from sbnn import (
    DistilledBottleneckRegressor,
    LeaveOneOutRidge,
    SparseReducedRankRegression,
    StackedRegressor,
    cross_validate,
    fit_full,
    interpret,
    stability_selection,
    verdict,
)
from sbnn.data.paired import as_paired
from sbnn.own_data.new_cells import predict_cells
from sbnn.own_data.results import choose_folds, read_panel, write_tables


@pytest.mark.parametrize(("fast", "n_folds"), [(False, 10), (True, 2)])
def test_folds_test_every_cell_once(fast, n_folds, adata):
    cells = adata[:103]  # not a multiple of the number of folds
    folds = choose_folds(cells, fast=fast)
    assert len(folds) == n_folds
    tested = np.concatenate([test for _, test in folds])
    assert sorted(tested) == [*range(103)]


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


@pytest.mark.parametrize(
    ("require", "candidates", "message"),
    [
        (["SST"], ["Vip"], "require: 1 of 1 genes are not among the 4 genes of the data: SST"),
        (["Sst", "Vip"], ["Vip"], "require: 2 genes are more than the 1 of the panel"),
        (["Sst"], ["VIP"], "candidates: none of 1 genes is in the data: VIP"),
        ([], ["Vip"], "markers.txt has no name of a gene"),
    ],
)
def test_impossible_panels_are_refused(require, candidates, message, tmp_path):
    markers = write_genes(tmp_path / "markers.txt", *require)
    probes = write_genes(tmp_path / "probes.txt", *candidates)
    with pytest.raises(ValueError, match=message):
        read_panel(MEASURED, markers, probes, n_genes=1)


# --- tables


@pytest.fixture(scope="module")
def records(adata):
    """All but the stability of a map, of a linear model."""
    model = SparseReducedRankRegression(alpha=0.1)
    stacked = StackedRegressor(distilled())
    folds = choose_folds(adata)[:3]
    fitted = SparseReducedRankRegression(alpha=0.1).fit(adata)
    return {
        "fit": fit_full(model, adata, preselect=30),
        "scores": cross_validate(model, adata, folds, verbose=False),
        "ridge": cross_validate(LeaveOneOutRidge(), adata, folds, verbose=False),
        "stacked": cross_validate(stacked, adata, folds, verbose=False),
        "halves": stability_selection(model, adata, n_pairs=2, verbose=False),
        "effects": interpret(fitted, adata),
    }


@pytest.fixture(scope="module")
def folder(adata, records, tmp_path_factory):
    """Folder with the tables of the records."""
    path = tmp_path_factory.mktemp("tables")
    write_tables(path, adata, records, {"groups": None})
    return path


def test_genes_of_the_fit_are_kept_in_their_table(folder, adata, records):
    genes = pd.read_csv(folder / "genes.csv", index_col="gene")
    assert set(genes.index) == set(adata.var_names)  # also those that were not preselected
    assert set(genes.index[genes["kept"]]) == set(records["fit"].kept_genes)


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


@pytest.mark.parametrize("role", ["ridge", "stacked"])
def test_outputs_are_beside_other_models(folder, records, role):
    outputs = pd.read_csv(folder / "outputs.csv", index_col="output")
    expected = records[role].test_feature_r2[:, 0].mean(0)
    assert_allclose(outputs[f"{role}_r2"], expected, rtol=1e-4)


@pytest.mark.parametrize(("role", "prefix"), [("scores", "predicted_"), ("stacked", "stacked_")])
def test_predictions_of_cells_are_those_of_their_fold(folder, adata, records, role, prefix):
    cells = pd.read_csv(folder / "cells.csv", index_col="cell")
    train, test = records[role].folds[1]
    Y = as_paired(adata).Y.astype(float)
    scaled = records[role].test_predictions[0][1]
    expected = scaled * Y[train].std(0) + Y[train].mean(0)
    predicted = cells.iloc[test].filter(like=prefix)
    assert_allclose(predicted, expected, rtol=1e-3)


def test_untested_cells_are_empty(folder, records):
    cells = pd.read_csv(folder / "cells.csv", index_col="cell")
    tested = np.concatenate([test for _, test in records["scores"].folds])
    assert cells["predicted_output1"].notna().sum() == len(tested)


def test_effects_have_a_column_for_each_output(folder, records):
    effects = pd.read_csv(folder / "effects.csv", index_col="gene")
    expected = pd.DataFrame(records["effects"].effects, records["effects"].kept_genes)
    assert_allclose(effects["output2"], expected.loc[effects.index, 1], rtol=1e-4)


def test_the_summary_holds_the_verdict(folder, records):
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    sentence = verdict(records["scores"], records["ridge"]).sentence
    assert summary["verdict"]["sentence"] == sentence
    assert summary["settings"] == {"groups": None}
    outputs = pd.read_csv(folder / "outputs.csv", index_col="output")
    predicted = outputs.query("low > 0")["test_r2"].sort_values(ascending=False)
    assert [*summary["verdict"]["predicted_outputs"]] == [*predicted.index]
    assert summary["verdict"]["n_outputs"] == len(outputs) > len(predicted) > 0


def test_an_annotated_file_has_map_and_genes(folder, adata, records):
    annotated = anndata.read_h5ad(folder / "cells.h5ad")
    assert_allclose(annotated.obsm["X_sbnn"], records["fit"].latent)
    assert annotated.var_names.equals(adata.var_names)
    kept = annotated.var_names[annotated.var["kept"]]
    assert set(kept) == set(records["fit"].kept_genes)
    cells = pd.read_csv(folder / "cells.csv", index_col="cell")
    for key in ("predicted", "stacked"):
        assert_allclose(annotated.obsm[key], cells.filter(like=f"{key}_"), rtol=1e-4)


def test_an_annotated_file_has_no_results_of_an_earlier_fit(adata, records, tmp_path):
    earlier = adata.copy()
    earlier.var[["kept", "trusted"]] = False
    earlier.obsm["stacked"] = np.zeros((earlier.n_obs, 1))
    write_tables(tmp_path, earlier, {"fit": records["fit"]})
    written = anndata.read_h5ad(tmp_path / "cells.h5ad")
    assert set(written.var_names[written.var["kept"]]) == set(records["fit"].kept_genes)
    assert "trusted" not in written.var  # which this fit was not asked for
    assert "stacked" not in written.obsm


def test_names_with_slashes_are_written(adata, tmp_path):
    outputs = adata.obsm["outputs"].add_prefix("mV/s ")
    pair = adata.to_df(), outputs
    fit = fit_full(SparseReducedRankRegression(alpha=0.3), pair)
    write_tables(tmp_path, pair, {"fit": fit})
    written = anndata.read_h5ad(tmp_path / "cells.h5ad").obsm["outputs"]
    assert written.columns[0] == "mV|s output1"


def test_records_of_other_cells_are_refused(adata, records, tmp_path):
    with pytest.raises(ValueError, match="expected the cells of data"):
        write_tables(tmp_path, adata[::-1], records)


# --- new cells


@pytest.fixture(scope="module")
def network(adata):
    """Fitted to the first 80 cells."""
    model = distilled(random_state=0)
    return model.fit(adata[:80])


@pytest.fixture
def new_counts(adata):
    return adata[80:].to_df("counts")


def test_new_counts_are_normalised_like_the_fit(network, new_counts):
    expression = network.normalizer_.transform(new_counts)
    placed = predict_cells(network, new_counts)
    assert_allclose(placed[["sbnn_1", "sbnn_2"]], network.transform(expression))
    assert_allclose(placed["predicted_output3"], network.predict(expression)[:, 2])


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


def test_missing_genes_are_named(network, new_counts):
    gene = network.feature_names_in_[network.support_][0]
    with pytest.raises(ValueError, match=f"no values for 1 of the 5 genes .*{gene}"):
        predict_cells(network, new_counts.drop(columns=gene))


def test_counts_for_a_model_of_logs_are_refused(network, new_counts, tmp_path):
    path = network.save(tmp_path / "model.safetensors")
    model = DistilledBottleneckRegressor.load(path)
    model.normalizer_ = None
    with pytest.raises(ValueError, match="fitted to log values"):
        predict_cells(model, new_counts)


def test_a_folder_stands_for_its_model(network, new_counts, tmp_path):
    network.save(tmp_path / "model.safetensors")
    placed = predict_cells(tmp_path, new_counts)
    assert_allclose(placed, predict_cells(network, new_counts), rtol=1e-5)


def test_a_stacked_model_adds_its_predictions(adata, new_counts, tmp_path):
    network = distilled(random_state=0)
    files = {"network": tmp_path / "model.safetensors", "both": tmp_path / "stacked.safetensors"}
    fit_full(network, adata[:80], model_file=files["network"])
    fit_full(StackedRegressor(network), adata[:80], model_file=files["both"])
    of_network, of_both = (predict_cells(file, new_counts) for file in files.values())
    # the map and the first predictions are those of the network
    assert_allclose(of_both[of_network.columns], of_network, rtol=1e-6)
    both = StackedRegressor.load(files["both"])
    stacked = of_both.drop(columns=of_network.columns)
    assert [*stacked] == [f"stacked_{name}" for name in both.output_names_]
    assert_allclose(stacked, both.predict(both.normalizer_.transform(new_counts)))
    assert np.abs(stacked.to_numpy() - of_network.iloc[:, 3:]).to_numpy().max() > 0.01
