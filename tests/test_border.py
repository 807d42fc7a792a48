"""Arguments of a wrong kind are errors that name them."""

import io
import re

import numpy as np
import pandas as pd
import pytest
from made_up import network_record

import sbnn
from sbnn import dynamics, ephys_types, mechanism_shift, plotting

MODEL = sbnn.LeaveOneOutRidge()
TREES = ephys_types.SparsePCAForest(n_estimators=2)
NETWORK = sbnn.SparseBottleneckRegressor(n_genes=2, epochs=(1, 0, 0, 0))
TRANSFER = ephys_types.TransferAttentionClassifier(n_members=1, n_steps=1)
SOURCE, SCREEN = (np.eye(6), ["a", "b"] * 3), mechanism_shift.simulate_perturbations(2, 3)
PARTS = sbnn.results.Record(
    "", "", "", [], values={"transcriptome": np.ones(3) / 3, "outputs": np.ones(3) / 3}
)
TABLE = lambda data: io.StringIO(data.to_df().to_csv())  # noqa: E731
CALLS = {
    "path": lambda data, record: sbnn.results.load(["a.pickle"]),
    "outputs": lambda data, record: sbnn.read_tables(data.to_df(), 3),
    "drop_columns": lambda data, record: sbnn.read_tables(
        data.to_df(), data.obsm["outputs"], drop_columns=3
    ),
    "data set: 'scalla' .*simulated_grn": lambda data, record: sbnn.load_dataset("scalla"),
    "study": lambda data, record: sbnn.default_dataset(study=["sbnn"]),
    "target: .*'type'": lambda data, record: ephys_types.family_importance(
        TREES, data, 3, target=["type"]
    ),
    "target: expected features": lambda data, record: ephys_types.ZeroShotClassifier().fit(
        *SOURCE, target=5
    ),
    "source: .*features": lambda data, record: TRANSFER.fit(
        *SOURCE, source=(np.eye(6)[:, :2], SOURCE[1])
    ),
    "'classifier' parameter": lambda data, record: ephys_types.ZeroShotClassifier(MODEL).fit(
        *SOURCE
    ),
    "electrophysiological features": lambda data, record: sbnn.to_shared_features(data),
    "params: ": lambda data, record: sbnn.results.Record("fit", "scala", "", 3),
    "figure: ": lambda data, record: plotting.save_figure(record, "a"),
    "recipe: ": lambda data, record: mechanism_shift.SparseShiftVAE(recipe=["a"]).fit(
        np.eye(6) + 1, SOURCE[1]
    ),
    "control: ": lambda data, record: mechanism_shift.SparseShiftVAE().fit(SCREEN, control="none"),
    "x must": lambda data, record: sbnn.preprocessing.log2p1([-3.0, 1.0]),
    "drop_rates": lambda data, record: dynamics.Recipe(drop_rates=0.3),
    "sparsity": lambda data, record: dynamics.Schedule().prunings(2),
    "wrong must": lambda data, record: dynamics.simulate_network(8, 5, wrong=3),
    "kind: 'x'": lambda data, record: dynamics.GeneNetwork.random(8).solve(
        np.ones((1, 8)), [0, 1], "x"
    ),
    "notes: ": lambda data, record: sbnn.paired(data.X, notes=5),
    "ridge: ": lambda data, record: sbnn.verdict(record, data, ridge=5),
    "eval_set: ": lambda data, record: NETWORK.fit(data, eval_set=(data.X, data.X[:, :1])),
    "device: ": lambda data, record: sbnn.SparseBottleneckRegressor(device="gpu").fit(data),
    "no 'size' in adata.obs": lambda data, record: sbnn.cross_validate(MODEL, (data, ["size"])),
    "folds": lambda data, record: sbnn.cross_validate(MODEL, data, [np.arange(40)]),
    "point": lambda data, record: sbnn.verdict(record, data, point=7),
    "groups": lambda data, record: sbnn.verdict(record, data, groups=["a"] * 7),
    "record: .*n_genes": lambda data, record: sbnn.genes_table(record),
    "record: expected a record,": lambda data, record: sbnn.selection_table("halves.pickle"),
    "models": lambda data, record: plotting.accuracy_comparison({}),
    "X: ": lambda data, record: MODEL.fit([[1, 2], [3]], [1, 2]),
    "y: expected a type": lambda data, record: TREES.fit(np.eye(3), ["a", None, "b"]),
    "values: expected columns": lambda data, record: dynamics.trajectories(
        pd.DataFrame({"gene": [1.0, 2.0]})
    ),
    "numbers": lambda data, record: sbnn.metrics.smallest_sufficient(np.ones((3, 2)), ["a", "b"]),
    "'recipe' parameter": lambda data, record: dynamics.PhoenixRegressor(recipe="ALL").fit(data),
    "equations: ": lambda data, record: dynamics.GeneNetwork.from_tables(*[TABLE(data)] * 2),
    "pseudotime": lambda data, record: dynamics.read_pseudotime(data.to_df(), data.obs["type"]),
    "seed must": lambda data, record: sbnn.fit_full(
        sbnn.SparseBottleneckRegressor(random_state=0), data, seed="a"
    ),
    "estimator": lambda data, record: sbnn.fit_full(MODEL, data),
    "labels": lambda data, record: sbnn.paired(
        data.X, data.obsm["outputs"], labels=["a"] * data.n_obs
    ),
    "alphas": lambda data, record: sbnn.LeaveOneOutRidge(alphas=()).fit(data),
    "path_stem": lambda data, record: plotting.save_figure(None, None),
    "length of drop_rates": lambda data, record: dynamics.Recipe(drop_rates=(0.2,)),
    "trajectories: ": lambda data, record: dynamics.PhoenixRegressor().fit(data),
    "rates: .* at .values": lambda data, record: dynamics.GeneNetwork.random(8).rates([0.5] * 7),
    "indices: ": lambda data, record: NETWORK.fit(data).get_support(np.ones(2)),
    "'random_state' parameter": lambda data, record: ephys_types.SparsePCAForest(
        random_state=0.5
    ).fit(*SOURCE),
    "curve: ": lambda data, record: sbnn.verdict(record, data, curve="a"),
    "groups: expected one": lambda data, record: sbnn.stability_selection(
        NETWORK, data, groups=["a"] * 7
    ),
    "titles: ": lambda data, record: plotting.component_variance(PARTS, titles=3),
    "published: ": lambda data, record: plotting.training_curves(network_record(), published="a"),
    "dataset: ": lambda data, record: sbnn.interpret(MODEL.fit(data), data, name=3),
    "dict of seeds and AnnData": lambda data, record: dynamics.evaluate(
        MODEL, data, method="m", condition="c"
    ),
}


@pytest.fixture(scope="module")
def record(adata):
    return sbnn.cross_validate(MODEL, adata, 3, verbose=False)


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_argument_is_named(adata, record, name):
    with pytest.raises((TypeError, ValueError, KeyError)) as error:
        CALLS[name](adata, record)
    assert re.search(name, str(error.value))


@pytest.mark.parametrize("name", sbnn.read_tables._skl_parameter_constraints)
def test_options_of_tables_are_checked(adata, name):
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        sbnn.read_tables(adata.to_df(), adata.obsm["outputs"], **{name: 0.5})


def test_damaged_and_empty_tables_and_a_single_mark_of_missing_values(adata, tmp_path):
    (tmp_path / "a.csv").write_text("cell,x,y\n" + "".join(f"c{i},{i}\0.5,2\n" for i in range(60)))
    with pytest.raises(ValueError, match="outputs .*NUL"):
        sbnn.read_tables(tmp_path / "a.csv", tmp_path / "a.csv")
    (tmp_path / "a.csv").write_bytes(b"")
    with pytest.raises(ValueError, match="outputs .*no sheet 'a'"):
        sbnn.read_tables(adata.to_df(), (tmp_path / "a.csv", "a"))
    with pytest.raises(ValueError, match="outputs .*empty"):
        sbnn.read_tables(adata.to_df(), tmp_path / "a.csv")
    outputs = adata.obsm["outputs"].astype(object)
    outputs.iloc[0, 0] = "ND!"
    assert (
        sbnn.read_tables(adata.to_df(), outputs, missing="cells", missing_marks="ND!").n_obs
        == adata.n_obs - 1
    )


def test_one_penalty_and_families_by_name_work(adata):
    assert sbnn.LeaveOneOutRidge(alphas=(2.0,)).fit(adata).alpha_ == 2
    model = ephys_types.ZeroShotClassifier(TREES).fit(
        *SOURCE, families={"a": [0, 1, 2], "b": [3, 4, 5]}
    )
    assert [*model.classifier_.families_] == ["a", "b"]
