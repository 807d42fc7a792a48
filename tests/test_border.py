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
CALLS = {}


def names(pattern):
    """Register a call whose error must match the pattern."""

    def registered(call):
        CALLS[pattern] = call
        return call

    return registered


@names("path")
def _(data, record):
    sbnn.results.load(["a.pickle"])


@names("outputs")
def _(data, record):
    sbnn.read_tables(data.to_df(), 3)


@names("drop_columns")
def _(data, record):
    sbnn.read_tables(data.to_df(), data.obsm["outputs"], drop_columns=3)


@names("data set: 'scalla' .*simulated_grn")
def _(data, record):
    sbnn.load_dataset("scalla")


@names("study")
def _(data, record):
    sbnn.default_dataset(study=["sbnn"])


@names("target: .*'type'")
def _(data, record):
    ephys_types.family_importance(TREES, data, 3, target=["type"])


@names("target: expected features")
def _(data, record):
    ephys_types.ZeroShotClassifier().fit(*SOURCE, target=5)


@names("source: .*features")
def _(data, record):
    TRANSFER.fit(*SOURCE, source=(np.eye(6)[:, :2], SOURCE[1]))


@names("'classifier' parameter")
def _(data, record):
    ephys_types.ZeroShotClassifier(MODEL).fit(*SOURCE)


@names("electrophysiological features")
def _(data, record):
    sbnn.to_shared_features(data)


@names("params: ")
def _(data, record):
    sbnn.results.Record("fit", "scala", "", 3)


@names("figure: ")
def _(data, record):
    plotting.save_figure(record, "a")


@names("recipe: ")
def _(data, record):
    mechanism_shift.SparseShiftVAE(recipe=["a"]).fit(np.eye(6) + 1, SOURCE[1])


@names("control: ")
def _(data, record):
    mechanism_shift.SparseShiftVAE().fit(SCREEN, control="none")


@names("x must")
def _(data, record):
    sbnn.preprocessing.log2p1([-3.0, 1.0])


@names("drop_rates")
def _(data, record):
    dynamics.Recipe(drop_rates=0.3)


@names("sparsity")
def _(data, record):
    dynamics.Schedule().prunings(2)


@names("wrong: .*share")
def _(data, record):
    dynamics.simulate_network(8, 5, wrong=3)


@names("kind: 'x'")
def _(data, record):
    dynamics.GeneNetwork.random(8).solve(np.ones((1, 8)), [0, 1], "x")


@names("notes: ")
def _(data, record):
    sbnn.paired(data.X, notes=5)


@names("ridge: ")
def _(data, record):
    sbnn.verdict(record, data, ridge=5)


@names("eval_set: ")
def _(data, record):
    NETWORK.fit(data, eval_set=(data.X, data.X[:, :1]))


@names("device: ")
def _(data, record):
    sbnn.SparseBottleneckRegressor(device="gpu").fit(data)


@names("no 'size' in adata.obs")
def _(data, record):
    sbnn.cross_validate(MODEL, (data, ["size"]))


@names("folds")
def _(data, record):
    sbnn.cross_validate(MODEL, data, [np.arange(40)])


@names("point")
def _(data, record):
    sbnn.verdict(record, data, point=7)


@names("groups")
def _(data, record):
    sbnn.verdict(record, data, groups=["a"] * 7)


@names("record: expected one from genes_curve")
def _(data, record):
    sbnn.genes_table(record)


@names("complementary pairs")
def _(data, record):
    sbnn.selection_table("halves.pickle")


@names("models")
def _(data, record):
    plotting.accuracy_comparison({})


@names("X: ")
def _(data, record):
    MODEL.fit([[1, 2], [3]], [1, 2])


@names("y: expected a type")
def _(data, record):
    TREES.fit(np.eye(3), ["a", None, "b"])


@names("values: expected columns")
def _(data, record):
    dynamics.trajectories(pd.DataFrame({"gene": [1.0, 2.0]}))


@names("numbers")
def _(data, record):
    sbnn.metrics.smallest_sufficient(np.ones((3, 2)), ["a", "b"])


@names("'recipe' parameter")
def _(data, record):
    dynamics.PhoenixRegressor(recipe="ALL").fit(data)


@names("equations: .* names: ")
def _(data, record):
    table = data.to_df().to_csv()
    dynamics.GeneNetwork.from_tables(io.StringIO(table), io.StringIO(table))


@names("pseudotime")
def _(data, record):
    dynamics.read_pseudotime(data.to_df(), data.obs["type"])


@names("seed must")
def _(data, record):
    sbnn.fit_full(sbnn.SparseBottleneckRegressor(random_state=0), data, seed="a")


@names("estimator")
def _(data, record):
    sbnn.fit_full(MODEL, data)


@names("labels")
def _(data, record):
    sbnn.paired(data.X, data.obsm["outputs"], labels=["a"] * data.n_obs)


@names("alphas")
def _(data, record):
    sbnn.LeaveOneOutRidge(alphas=()).fit(data)


@names("path_stem")
def _(data, record):
    plotting.save_figure(None, None)


@names("length of drop_rates")
def _(data, record):
    dynamics.Recipe(drop_rates=(0.2,))


@names("trajectories: ")
def _(data, record):
    dynamics.PhoenixRegressor().fit(data)


@names("rates: .* at .values")
def _(data, record):
    dynamics.GeneNetwork.random(8).rates([0.5] * 7)


@names("with `indices`")
def _(data, record):
    NETWORK.fit(data).get_support(np.ones(2))


@names("'random_state' parameter")
def _(data, record):
    ephys_types.SparsePCAForest(random_state=0.5).fit(*SOURCE)


@names("curve: ")
def _(data, record):
    sbnn.verdict(record, data, curve="a")


@names("groups: expected one")
def _(data, record):
    sbnn.stability_selection(NETWORK, data, groups=["a"] * 7)


@names("titles : pair")
def _(data, record):
    plotting.component_variance(PARTS, titles=3)


@names("published : ")
def _(data, record):
    plotting.training_curves(network_record(), published="a")


@names("name, random_state: ")
def _(data, record):
    sbnn.interpret(MODEL.fit(data), data, name=3)


@names("dict of seeds and AnnData")
def _(data, record):
    dynamics.evaluate(MODEL, data, method="m", condition="c")


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
