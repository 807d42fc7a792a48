"""What identifies a result: the content of every argument that can change it."""

import functools
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import torch
from material.cells import add_to_counts, turn_names
from scipy import sparse
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_selection import f_classif
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sbnn import DistilledSettings
from sbnn.data.counts import log2p1, normalize_library_size
from sbnn.data.fingerprint import bound_arguments, fingerprint, fingerprint_arguments
from sbnn.data.paired import as_paired, paired
from sbnn.evaluation.runs import configure, describe_estimator
from sbnn.models.linear import LeaveOneOutRidge
from sbnn.results import Record

NAMES = ["a", "b"]
TABLE = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, np.nan]}, NAMES)
COUNTS = sparse.csr_array([[0, 2], [1, 0]])
RECORD = Record(
    experiment="cv",
    dataset="toy",
    sha256="ab",
    params=[{}],
    values={"r2": np.ones(2), "seconds": 1.0},
)


@dataclass(frozen=True)
class Settings:
    rates: tuple = (0.1, 0.2)


class Versioned(Ridge):
    algorithm_version = 1


class Edited(Versioned):
    algorithm_version = 2


class Unversioned(Versioned):
    """Its parent says its own version."""


class OwnFolds(KFold):
    pass


def scale(X):
    return X


def frozen(outputs):
    """A pipeline with a model that is not fitted again."""
    return make_pipeline(FrozenEstimator(Ridge().fit([[1], [2]], outputs)))


NUMBERS = [0, 1, 1.0, 1.5, -1, np.inf, np.nan, 10**30, True, "1", None, b"1"]
SEQUENCES = [[], [1], [[1]], [1, 2], [2, 1], ["12"], ["1", "2"]]
ARRAYS = [np.ones(2), np.ones((1, 2)), np.ones(2, bool), np.array([1, np.nan]), np.full(2, 2)]
TEXT_ARRAYS = [np.array(["a", "b"]), np.array(["b", "a"]), np.array(["ab"])]
TABLES = [
    TABLE,
    TABLE + 1,
    TABLE.set_axis(["b", "a"]),
    TABLE.set_axis(["y", "x"], axis=1),
    TABLE.iloc[:, ::-1],
    TABLE["x"],
    TABLE["y"],
]
MATRICES = [COUNTS, COUNTS.T, 2 * COUNTS, sparse.csr_array((2, 3))]
DICTS = [{}, {"a": 1}, {"b": 1}, {"a": 2}, {"a": 1, "b": 2}, {"keep": 1}, {"seconds": 1}]
MODELS = [Ridge(), Ridge(alpha=2.0), Ridge(alpha=np.array([1.0, 2.0]))]
FORESTS = [RandomForestRegressor(random_state=1), RandomForestRegressor(random_state=2)]
PIPELINES = [
    make_pipeline(StandardScaler(), Ridge()),
    make_pipeline(StandardScaler(), Ridge(2.0)),
    make_pipeline(Ridge()),
    frozen(outputs=[1, 2]),
    frozen(outputs=[1, 3]),
]
FUNCTIONS = [
    log2p1,
    normalize_library_size,
    f_classif,
    Ridge,
    Ridge().fit,
    Ridge(2.0).fit,
    rbf_kernel,
    LeaveOneOutRidge().fit,  # which is decorated
    StandardScaler().fit_transform,
    np.mean,
    np.ndarray.clip,
    np.float64,
]
PARTIALS = [
    functools.partial(log2p1, 1),
    functools.partial(log2p1, 2),
    functools.partial(log2p1, x=1),
]
OBJECTS = [DistilledSettings(), DistilledSettings(n_trees=7), KFold(3), KFold(4)]
LARGE_AND_SMALL = [np.array([0.0, 1e-9, 1e9, 1e9 + 1]), np.array([0.0, 1e-9, 1e9, 1e9 + 2])]
CATEGORIES = [pd.Categorical(["a", "b"]), pd.Categorical(["b", "a"])]
TENSORS = [torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0])]
RECORDS = [RECORD, replace(RECORD, values={"r2": np.zeros(2)})]
OTHERS = [*FUNCTIONS, *PARTIALS, *OBJECTS, *RECORDS, Versioned(), Edited()]
OTHERS += [*LARGE_AND_SMALL, *CATEGORIES, *TENSORS]


@pytest.mark.parametrize(
    "values",
    [
        NUMBERS,
        SEQUENCES,
        ARRAYS,
        TEXT_ARRAYS,
        TABLES,
        MATRICES,
        DICTS,
        [*MODELS, *FORESTS, *PIPELINES],
        OTHERS,
    ],
)
def test_other_content_has_another_fingerprint(values):
    prints = [fingerprint(value) for value in values]
    assert len(set(prints)) == len(prints)


LAST_BITS = [np.array([0.1, 0.0]), np.array([0.1 + 1e-16, -0.0])]
# in single precision, both values of a matrix are equal
LAST_BITS_OF_MATRIX = [sparse.csr_array([[0.1, 0.1 + tiny]]) for tiny in (1e-12, 2e-12)]
COLUMN = pd.Series([1.0, 2.0], name=0)
WORKERS = [RandomForestRegressor(n_jobs=1), RandomForestRegressor(n_jobs=2)]
OTHER_SECONDS = replace(RECORD, values=RECORD.values | {"seconds": 2.0})


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([1, np.int8(1), np.uint64(1)], id="equal whole numbers"),
        pytest.param([1.0, np.float32(1), np.float64(1)], id="equal numbers"),
        pytest.param([np.nan, float("nan"), np.float32("nan"), pd.NA], id="a missing number"),
        pytest.param(
            [np.arange(3, dtype=kind) for kind in ("i1", "u4", ">i8")],
            id="whole numbers of any size",
        ),
        pytest.param([0.0, -0.0, np.float64(-0.0)], id="no number"),
        pytest.param(LAST_BITS, id="the last bits of floats"),
        pytest.param(LAST_BITS_OF_MATRIX, id="the last bits of a matrix"),
        pytest.param(
            [["a"], [np.str_("a")], np.array(["a"]), np.array(["a"], dtype=object)],
            id="text of NumPy",
        ),
        pytest.param([COLUMN, COLUMN.rename(np.int64(0))], id="a name of NumPy"),
        pytest.param([np.eye(3), np.asfortranarray(np.eye(3))], id="the layout of an array"),
        pytest.param([COUNTS, COUNTS.tocoo(), COUNTS.tocsc()], id="the layout of a matrix"),
        pytest.param([[1, (2,)], (1, [2])], id="a list and a tuple"),
        pytest.param(WORKERS, id="workers"),
        pytest.param([RECORD, OTHER_SECONDS], id="times in a record"),
    ],
)
def test_the_same_content_has_one_fingerprint(values):
    assert len({fingerprint(value) for value in values}) == 1


def test_an_estimator_of_another_version_is_another_one(monkeypatch):
    usual = fingerprint(Ridge())
    monkeypatch.setattr(Ridge, "algorithm_version", 2, raising=False)
    other = fingerprint(Ridge())
    monkeypatch.setattr(Ridge, "__module__", "sklearn.of.another.file")
    assert fingerprint(Ridge()) == other != usual


def test_a_function_counts_by_its_module_and_defaults(monkeypatch):
    prints = [fingerprint(normalize_library_size)]
    monkeypatch.setattr(normalize_library_size, "__defaults__", (1, None))
    prints.append(fingerprint(normalize_library_size))
    monkeypatch.setattr(normalize_library_size, "__module__", "sbnn.another")
    prints.append(fingerprint(normalize_library_size))
    assert len(set(prints)) == 3


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(object(), id="an object"),
        pytest.param(lambda x: x, id="a lambda"),
        pytest.param(scale, id="a function of the user's"),
        pytest.param(Settings, id="a class of the user's"),
        pytest.param(Settings(), id="fields of such a class, which may have methods"),
        pytest.param(functools.partial(scale, 1), id="arguments of it"),
        pytest.param(FunctionTransformer(scale), id="a step of a pipeline"),
        pytest.param(max, id="a function of Python"),
        pytest.param(str.upper, id="a method of Python"),
        pytest.param(torch.Tensor, id="a class of arrays"),
        pytest.param(np.random.default_rng(1), id="a generator"),
        pytest.param(np.random.RandomState(1), id="an old generator"),
        pytest.param(np, id="a module"),
        pytest.param({1, 2}, id="a set"),
        pytest.param(pd.Timestamp("2020-01-01"), id="a time"),
        pytest.param(np.ma.masked_equal([1, 2], 2), id="an array with a mask"),
        pytest.param(OwnFolds(3), id="folds of the user's"),
    ],
)
def test_what_may_change_unseen_is_refused(value):
    with pytest.raises(TypeError, match="(?s)cannot be saved for a .*; give plain values"):
        fingerprint([value])


def test_an_estimator_of_a_script_says_which_version_it_is(monkeypatch):
    with pytest.raises(TypeError, match="Unversioned, .* algorithm_version = 1 into its class"):
        fingerprint(make_pipeline(Unversioned()))
    monkeypatch.setattr(Unversioned, "__module__", "pandas")
    assert fingerprint(make_pipeline(Unversioned()))  # an installed package, such as LightGBM


def change_expression(adata):
    adata.X = adata.X + np.eye(*adata.shape)


def change_outputs(adata):
    adata.obsm["outputs"] = adata.obsm["outputs"] + 1


def change_truth(adata):
    adata.obsm["true_latent"] = np.ones((adata.n_obs, 2))


def change_prior(adata):
    adata.varp["prior"] = np.eye(adata.n_vars)


def change_types(adata):
    adata.obs["type"] = "another"


def change_mice(adata):
    adata.obs["mouse"] = "another"


def change_name(adata):
    adata.uns["sbnn"]["name"] = "another"


def change_colors(adata):
    adata.uns["type_colors"] = adata.uns["type_colors"][::-1]


MEASUREMENTS = [turn_names, change_expression, add_to_counts, change_outputs]
OTHERS_OF_CELLS = [
    change_truth,
    change_prior,
    change_types,
    change_mice,
    change_name,
    change_colors,
]


@pytest.mark.parametrize("change", MEASUREMENTS + OTHERS_OF_CELLS)
def test_an_anndata_is_identified_as_it_is_now(adata, change):
    adata = adata.copy()
    adata.obs["mouse"] = np.arange(adata.n_obs) % 3
    arguments = {"data": adata, "groups": "mouse"}
    usual = fingerprint_arguments(arguments)["data"]
    change(adata)
    assert fingerprint_arguments(arguments)["data"] != usual
    is_as_noted = as_paired(adata).sha256 == adata.uns["sbnn"]["sha256"]
    assert is_as_noted == (change in OTHERS_OF_CELLS)


def test_logarithms_of_another_processor_are_the_same(adata, data):
    X = np.nextafter(data.X, 9)
    other_adata = adata.copy()
    other_adata.X = X
    other_data = replace(data, X=X)
    assert fingerprint(other_adata) == fingerprint(adata)
    assert fingerprint(other_data) == fingerprint(data)


def test_other_expression_with_the_same_counts_differs(data):
    other = replace(data, X=data.X + 0.1)
    assert fingerprint(other) != fingerprint(data)


def test_sparse_cells_are_the_same(adata):
    dense = adata.copy()
    change_expression(dense)
    matrix = dense.copy()
    matrix.X = sparse.csr_matrix(dense.X)
    assert fingerprint(matrix) == fingerprint(dense)
    assert as_paired(matrix).sha256 == as_paired(dense).sha256


def test_counts_beside_other_values_are_identified(adata):
    """Those from which genes are selected."""
    one = adata.copy()
    one.X = adata.X + 0.1
    other = one.copy()
    other.layers["counts"] = adata.layers["counts"] + 1
    assert fingerprint(one) != fingerprint(other)


def test_numbers_of_donors_are_not_rounded(adata):
    one = adata.copy()
    other = adata.copy()
    one.obs["donor"] = 533540867 + np.arange(adata.n_obs) % 2
    other.obs["donor"] = 533540867
    assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize("cell", [1, 2400])
def test_every_cell_is_looked_at(cell):
    counts = np.random.default_rng(0).poisson(5, (2500, 4)) + 1
    X = log2p1(normalize_library_size(counts, 20))
    usual = paired(X, counts=counts, library_size=20, check=False)
    other = usual.copy()
    other.X[cell] = 0
    assert fingerprint(other) != fingerprint(usual)


def test_a_library_size_counts_near_the_median():
    counts = np.random.default_rng(0).poisson(5000, (20, 4))
    prints = set()
    for size in (20010, 20011, 20000, float(np.median(counts.sum(1)))):
        X = log2p1(normalize_library_size(counts, size))
        prints.add(fingerprint(paired(X, counts=counts, library_size=size, check=False)))
    assert len(prints) == 4


def test_labels_that_are_not_used_do_not_count(adata):
    other = adata.copy()
    other.obs["leiden"] = "1"
    other.obsm["X_umap"] = np.zeros((adata.n_obs, 2))
    other.uns["neighbors"] = {}
    assert fingerprint(other) == fingerprint(adata)


def test_defaults_options_and_positions_are_bound_by_name():
    def call(data, seed=0, *, n_jobs=1, **options):
        pass

    by_position = fingerprint_arguments(bound_arguments(call, ["x"], {"b": 1, "a": 2}))
    keywords = {"data": "x", "a": 2, "seed": 0, "b": 1, "n_jobs": 9}
    by_name = fingerprint_arguments(bound_arguments(call, [], keywords))
    assert by_position == by_name
    assert sorted(by_position) == ["a", "b", "data", "seed"]


def test_a_grid_point_leaves_other_parameters_alone():
    model = configure(RandomForestRegressor(random_state=1), {"max_depth": 3}, 7)
    assert model.max_depth == 3
    assert model.random_state == 1


def test_a_seed_is_given_to_estimators_without_one():
    steps = make_pipeline(StandardScaler(), RandomForestRegressor())
    assert configure(steps, {}, 7)[-1].random_state == 7


def test_a_description_has_decisive_parameters_of_all_steps():
    steps = make_pipeline(StandardScaler(), RandomForestRegressor(n_jobs=2))
    params = describe_estimator(steps)["params"]
    assert params["randomforestregressor"] == "RandomForestRegressor"
    assert "randomforestregressor__max_depth" in params
    assert "randomforestregressor__n_jobs" not in params
