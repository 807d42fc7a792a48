"""Arguments of a wrong kind are errors that name them."""

import io
import re

import numpy as np
import pandas as pd
import pytest

import sbnn
from sbnn import dynamics, ephys_types, mechanism_shift, plotting

MODEL = sbnn.LeaveOneOutRidge()
TREES = ephys_types.SparsePCAForest(n_estimators=2)
TABLE = lambda data: io.StringIO(data.to_df().to_csv())  # noqa: E731
CALLS = {
    "path": lambda data, record: sbnn.results.load(["a.pickle"]),
    "outputs": lambda data, record: sbnn.read_tables(data.to_df(), 3),
    "drop_columns": lambda data, record: sbnn.read_tables(data.to_df(), data.obsm["outputs"], drop_columns=3),
    "data set": lambda data, record: sbnn.load_dataset(["scala"]),
    "noise": lambda data, record: sbnn.simulate_patchseq(n_cells=40, noise="none"),
    "no 'size' in adata.obs": lambda data, record: sbnn.cross_validate(MODEL, (data, ["size"])),
    "folds": lambda data, record: sbnn.cross_validate(MODEL, data, [np.arange(40)]),
    "point": lambda data, record: sbnn.verdict(record, data, point=7),
    "groups": lambda data, record: sbnn.verdict(record, data, groups=["a"] * 7),
    "record: expected one from genes_curve": lambda data, record: sbnn.genes_table(record),
    "complementary pairs": lambda data, record: sbnn.selection_table("halves.pickle"),
    "models": lambda data, record: plotting.accuracy_comparison({}),
    "X and y": lambda data, record: MODEL.fit([[1, 2], [3]], [1, 2]),
    "families": lambda data, record: sbnn.typed_cells(data.to_df(), families=5),
    "y: expected a type": lambda data, record: TREES.fit(np.eye(3), ["a", None, "b"]),
    "values: expected columns": lambda data, record: dynamics.trajectories(pd.DataFrame({"gene": [1.0, 2.0]})),
    "n_cells_per": lambda data, record: mechanism_shift.simulate_perturbations(n_cells_per=np.nan),
    "Y_pred": lambda data, record: sbnn.metrics.pooled_r2([[1, 2], [3, 4]], [[1, 2], [3]], 0),
    "numbers": lambda data, record: sbnn.metrics.smallest_sufficient(np.ones((3, 2)), ["a", "b"]),
    "'recipe' parameter": lambda data, record: dynamics.PhoenixRegressor(recipe="ALL").fit(data),
    "equations and names": lambda data, record: dynamics.GeneNetwork.from_tables(*[TABLE(data)] * 2),
    "pseudotime": lambda data, record: dynamics.read_pseudotime(data.to_df(), data.obs["type"]),
    "seed must": lambda data, record: sbnn.fit_full(sbnn.SparseBottleneckRegressor(random_state=0), data, seed="a"),
    "keep": lambda data, record: sbnn.cross_validate(MODEL, data, 3, keep=["predictions"]),
    "estimator": lambda data, record: sbnn.fit_full(MODEL, data),
    "n must": lambda data, record: dynamics.GeneNetwork.random(8).simulate(0),
    "n_genes must": lambda data, record: dynamics.GeneNetwork.random(2),
    "labels": lambda data, record: sbnn.paired(data.X, data.obsm["outputs"], labels=["a"] * data.n_obs),
    "X: expected numbers": lambda data, record: sbnn.paired(np.zeros((5, 2), "M8[s]"), np.eye(5)),
    "alphas": lambda data, record: sbnn.LeaveOneOutRidge(alphas=()).fit(data),
    "path_stem": lambda data, record: plotting.save_figure(None, None),
    "seed to AnnData": lambda data, record: dynamics.evaluate(MODEL, data, method="m", condition="c"),
}


@pytest.fixture(scope="module")
def record(adata):
    return sbnn.cross_validate(MODEL, adata, 3, verbose=False)


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_argument_is_named(adata, record, name):
    with pytest.raises((TypeError, ValueError, KeyError)) as error:
        CALLS[name](adata, record)
    assert re.search(name, str(error.value))


def test_a_table_with_nul_characters_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("cell,x,y\n" + "".join(f"c{i},{i}\0.5,2\n" for i in range(60)))
    with pytest.raises(ValueError, match="outputs .*NUL"):
        sbnn.read_tables(tmp_path / "a.csv", tmp_path / "a.csv")


def test_the_source_of_a_transfer_is_named():
    X, y = np.eye(6), ["a", "b"] * 3
    for source in (5, (X,), (X, y[:3]), (X[:, :2], y)):
        with pytest.raises((TypeError, ValueError), match="source: "):
            ephys_types.TransferAttentionClassifier(n_members=1, n_steps=1).fit(X, y, source=source)


def test_an_empty_table_and_a_single_mark_of_missing_values(adata, tmp_path):
    (tmp_path / "a.csv").write_bytes(b"")
    with pytest.raises(ValueError, match="outputs .*empty"):
        sbnn.read_tables(adata.to_df(), tmp_path / "a.csv")
    outputs = adata.obsm["outputs"].astype(object)
    outputs.iloc[0, 0] = "ND!"
    assert sbnn.read_tables(adata.to_df(), outputs, missing="cells", missing_marks="ND!").n_obs == adata.n_obs - 1
