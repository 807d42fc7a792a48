"""What identifies a result: the content of every argument that can change it."""

import functools
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sbnn.data.counts import log2p1, normalize_library_size
from sbnn.data.fingerprint import fingerprint, fingerprint_arguments
from sbnn.data.paired import paired_cells
from sbnn.evaluation.runs import configure, describe_estimator
from sbnn.results import Record

NAMES = ["a", "b"]
TABLE = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, np.nan]}, NAMES)
COUNTS = sparse.csr_array([[0, 2], [1, 0]])
RECORD = Record("cv", "toy", "ab", [{}], values={"r2": np.ones(2), "seconds": 1.0})


@dataclass(frozen=True)
class Settings:
    rates: tuple = (0.1, 0.2)


def enclosing(value):
    return lambda: value


class Power:
    def __init__(self, exponent):
        self.exponent = exponent

    def of(self, x):
        return x**self.exponent


DIFFERENT = {
    "numbers": [0, 1, 1.0, 1.5, -1, np.inf, np.nan, 10**30, True, "1", None, b"1"],
    "sequences": [[], [1], [[1]], [1, 2], [2, 1], ["12"], ["1", "2"], {1, 2}],
    "arrays": [np.ones(2), np.ones((1, 2)), np.ones(2, bool), np.array([1, np.nan]), np.full(2, 2)],
    "text arrays": [np.array(["a", "b"]), np.array(["b", "a"]), np.array(["ab"])],
    "tables": [
        TABLE,
        TABLE + 1,
        TABLE.set_axis(["b", "a"]),
        TABLE.set_axis(["y", "x"], axis=1),
        TABLE.iloc[:, ::-1],
        TABLE["x"],
        TABLE["y"],
    ],
    "matrices": [COUNTS, COUNTS.T, 2 * COUNTS, sparse.csr_array((2, 3))],
    "dicts": [{}, {"a": 1}, {"b": 1}, {"a": 2}, {"a": 1, "b": 2}, {"keep": 1}, {"seconds": 1}],
    "estimators": [
        Ridge(),
        Ridge(alpha=2.0),
        Ridge(alpha=np.array([1.0, 2.0])),
        make_pipeline(StandardScaler(), Ridge()),
        make_pipeline(StandardScaler(), Ridge(2.0)),
        make_pipeline(Ridge()),
        make_pipeline(FrozenEstimator(Ridge().fit([[1], [2]], [1, 2]))),
        make_pipeline(FrozenEstimator(Ridge().fit([[1], [2]], [1, 3]))),
        RandomForestRegressor(random_state=1),
        RandomForestRegressor(random_state=np.random.RandomState(1)),
    ],
    "others": [
        Settings(),
        Settings((0.1, 0.3)),
        KFold(3),
        KFold(4),
        np.mean,
        np.sum,
        enclosing(1),
        enclosing(2),
        lambda x: x,
        lambda x: x + 1,
        lambda x: [y for y in (x, 2)],
        lambda x: [y for y in (x, 3)],
        Power(2).of,
        Power(3).of,
        np.array([0.0, 1e-9, 1e9, 1e9 + 1]),
        np.array([0.0, 1e-9, 1e9, 1e9 + 2]),
        pd.Categorical(["a", "b"]),
        pd.Categorical(["b", "a"]),
        torch.tensor([1.0, 2.0]),
        torch.tensor([1.0, 3.0]),
        functools.partial(max, 1),
        functools.partial(max, 2),
        np.random.default_rng(1),
        np.random.default_rng(2),
        pd.Timestamp("2020-01-01"),
        pd.Timestamp("2020-01-02"),
        RECORD,
        replace(RECORD, values={"r2": np.zeros(2)}),
    ],
}


@pytest.mark.parametrize("kind", DIFFERENT)
def test_values_of_other_content_have_other_fingerprints(kind):
    prints = [fingerprint(value) for value in DIFFERENT[kind]]
    assert len(set(prints)) == len(prints)


SAME = {
    "equal whole numbers": [1, np.int8(1), np.uint64(1)],
    "equal numbers": [1.0, np.float32(1), np.float64(1)],
    "a missing number": [np.nan, float("nan"), np.float32("nan"), pd.NA],
    "whole numbers of any size": [np.arange(3, dtype=kind) for kind in ("i1", "u4", ">i8")],
    "the last bits of floats": [np.array([0.1, 0.0]), np.array([0.1 + 1e-16, -0.0])],
    "text of NumPy": [["a"], [np.str_("a")], np.array(["a"]), np.array(["a"], dtype=object)],
    "the layout of an array": [np.eye(3), np.asfortranarray(np.eye(3))],
    "the layout of a matrix": [COUNTS, COUNTS.tocoo(), COUNTS.tocsc()],
    "a list and a tuple": [[1, (2,)], (1, [2])],
    "workers": [RandomForestRegressor(n_jobs=1), RandomForestRegressor(n_jobs=2)],
    "times in a record": [RECORD, replace(RECORD, values=RECORD.values | {"seconds": 2.0})],
}


@pytest.mark.parametrize("kind", SAME)
def test_values_of_the_same_content_have_one_fingerprint(kind):
    assert len({fingerprint(value) for value in SAME[kind]}) == 1


def test_an_estimator_of_another_version_is_another_one(monkeypatch):
    usual = fingerprint(Ridge())
    monkeypatch.setattr(Ridge, "algorithm_version", 2, raising=False)
    other = fingerprint(Ridge())
    monkeypatch.setattr(Ridge, "__module__", "sklearn.of.another.file")
    assert fingerprint(Ridge()) == other != usual


def test_what_has_no_content_is_refused():
    with pytest.raises(TypeError, match="cannot be saved for a object"):
        fingerprint([object()])


@pytest.mark.parametrize(
    "change",
    [
        lambda adata: setattr(adata, "var_names", adata.var_names[::-1]),
        lambda adata: setattr(adata, "X", adata.X + np.eye(*adata.shape)),
        lambda adata: adata.layers.__setitem__("counts", adata.layers["counts"] + 1),
        lambda adata: adata.obsm.__setitem__("outputs", adata.obsm["outputs"] + 1),
        lambda adata: adata.obsm.__setitem__("true_latent", np.ones((adata.n_obs, 2))),
        lambda adata: adata.varp.__setitem__("prior", np.eye(adata.n_vars)),
        lambda adata: adata.obs.__setitem__("type", "another"),
        lambda adata: adata.obs.__setitem__("mouse", "another"),
        lambda adata: adata.uns["sbnn"].__setitem__("name", "another"),
        lambda adata: adata.uns.__setitem__("type_colors", adata.uns["type_colors"][::-1]),
    ],
)
def test_an_anndata_is_identified_as_it_is_now(adata, change):
    def asked(data, groups="mouse"):
        pass

    adata = adata.copy()
    adata.obs["mouse"] = np.arange(adata.n_obs) % 3
    usual = fingerprint_arguments(asked, [adata], {})["data"]
    change(adata)
    assert fingerprint_arguments(asked, [adata], {})["data"] != usual


def test_logarithms_of_another_processor_are_the_same(adata, data):
    other = adata.copy()
    other.X = np.nextafter(adata.X, 9)
    assert fingerprint(other) == fingerprint(adata)
    assert fingerprint(replace(data, X=np.nextafter(data.X, 9))) == fingerprint(data)
    assert fingerprint(replace(data, X=data.X + 0.1)) != fingerprint(data)


def test_counts_count_beside_other_values(adata):
    """Those from which genes are selected."""
    one = adata.copy()
    one.X = adata.X + 0.1
    other = one.copy()
    other.layers["counts"] = adata.layers["counts"] + 1
    assert fingerprint(one) != fingerprint(other)


def test_numbers_of_donors_are_not_rounded(adata):
    one, other = adata.copy(), adata.copy()
    one.obs["donor"] = 533540867 + np.arange(adata.n_obs) % 2
    other.obs["donor"] = 533540867
    assert fingerprint(one) != fingerprint(other)


def test_every_cell_is_looked_at():
    counts = np.random.default_rng(0).poisson(5, (2500, 4)) + 1
    X = log2p1(normalize_library_size(counts, 20))
    usual = paired_cells(X, counts=counts, library_size=20, check=False)
    changed = usual.copy()
    changed.X[1] = 0
    assert fingerprint(changed) != fingerprint(usual)


def test_labels_that_are_not_used_do_not_count(adata):
    usual = fingerprint(adata)
    other = adata.copy()
    other.obs["leiden"] = "1"
    other.obsm["X_umap"] = np.zeros((adata.n_obs, 2))
    other.uns["neighbors"] = {}
    assert fingerprint(other) == usual


def test_defaults_options_and_positions_are_bound_by_name():
    def call(data, seed=0, *, n_jobs=1, **options):
        pass

    one = fingerprint_arguments(call, ["x"], {"b": 1, "a": 2})
    other = fingerprint_arguments(call, [], {"data": "x", "a": 2, "seed": 0, "b": 1, "n_jobs": 9})
    assert one == other
    assert sorted(one) == ["a", "b", "data", "seed"]


def test_a_seed_is_given_to_estimators_without_one():
    model = configure(RandomForestRegressor(random_state=1), {"max_depth": 3}, 7)
    assert (model.max_depth, model.random_state) == (3, 1)
    steps = make_pipeline(StandardScaler(), RandomForestRegressor(n_jobs=2))
    assert configure(steps, {}, 7)[-1].random_state == 7
    params = describe_estimator(steps)["params"]
    assert params["randomforestregressor"] == "RandomForestRegressor"
    assert "randomforestregressor__n_jobs" not in params
