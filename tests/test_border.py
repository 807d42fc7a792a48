"""Arguments of a wrong kind are errors that name them."""

import re

import numpy as np
import pandas as pd
import pytest

import sbnn
from sbnn import dynamics, ephys_types, plotting

MODEL = sbnn.LeaveOneOutRidge()
TREES = ephys_types.SparsePCAForest(n_estimators=2)
CALLS = {
    "path": lambda data, record: sbnn.results.load(["a.pickle"]),
    "outputs": lambda data, record: sbnn.read_tables(data.to_df(), 3),
    "drop_columns": lambda data, record: sbnn.read_tables(data.to_df(), data.obsm["outputs"], drop_columns=3),
    "data set": lambda data, record: sbnn.load_dataset(["scala"]),
    "simulate_patchseq": lambda data, record: sbnn.simulate_patchseq(n_cells=40, noise="none"),
    "no 'size' in adata.obs": lambda data, record: sbnn.cross_validate(MODEL, (data, ["size"])),
    "folds": lambda data, record: sbnn.cross_validate(MODEL, data, [np.arange(40)]),
    "point": lambda data, record: sbnn.verdict(record, data, point=7),
    "groups": lambda data, record: sbnn.verdict(record, data, groups=["a"] * 7),
    "with n_genes": lambda data, record: sbnn.genes_table(record),
    "complementary pairs": lambda data, record: sbnn.selection_table("halves.pickle"),
    "models": lambda data, record: plotting.accuracy_comparison({}),
    "X and y": lambda data, record: MODEL.fit([[1, 2], [3]], [1, 2]),
    "families": lambda data, record: sbnn.typed_cells(data.to_df(), families=5),
    "y: expected a type": lambda data, record: TREES.fit(np.eye(3), ["a", None, "b"]),
    "values and times": lambda data, record: dynamics.trajectories(pd.DataFrame({"gene": [1.0, 2.0]})),
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
