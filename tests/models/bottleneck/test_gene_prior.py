"""A prior of the genes counts where genes are compared, and nowhere else."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from made_up import table_of
from sklearn.base import clone

from sbnn import (
    DistilledBottleneckRegressor,
    DistilledSettings,
    ExpressionStream,
    SparseBottleneckRegressor,
    paper_folds,
)
from sbnn.evaluation.identity import described, fit_key
from sbnn.models.bottleneck.gene_prior import GenePrior, most_important, prior_weights

NAMES = np.array(["Sst", "Vip", "Pvalb", "Gad1"], dtype=object)
SHORT = DistilledSettings(
    few_cells=0,
    n_teachers=2,
    n_trees=5,
    n_augmented=200,
    steps_of_teachers=10,
    steps_of_student=30,
    screened_genes=20,
)
COMMON = {"n_genes": 5, "random_state": 0}
PUBLISHED = SparseBottleneckRegressor(hidden_layers=(16, 8), epochs=(2, 2, 3, 3), **COMMON)
MODELS = [
    PUBLISHED,
    DistilledBottleneckRegressor(distillation=SHORT, **COMMON),
    DistilledBottleneckRegressor(distillation=replace(SHORT, few_cells=1000), **COMMON),
]


def with_prior(model, prior, influence=0.5):
    return clone(model).set_params(gene_prior=prior, prior_influence=influence)


@pytest.mark.parametrize(
    ("given", "weights"),
    [
        ({"Pvalb": 2, "Sst": 0.5}, [0.5, 0, 2, 0]),
        (pd.Series({"Pvalb": 2.0, "Sst": 0.5, "Gad1": 0.0}), [0.5, 0, 2, 0]),
        (np.array([0.5, 0, 2, 0]), [0.5, 0, 2, 0]),
        (["Gad1", "Vip"], [0, 1, 0, 1]),
        ({"Vip", "Gad1"}, [0, 1, 0, 1]),
    ],
)
def test_weights_by_name_or_by_position(given, weights):
    assert prior_weights(given, 4, NAMES).tolist() == weights


def test_other_genes_are_ignored():
    with pytest.warns(UserWarning, match="genes that are not in X are ignored: Kcnc1, Kcnc2"):
        weights = prior_weights({"Kcnc1": 5, "Vip": 3, "Kcnc2": 7, "Sst": 2}, 4, NAMES)
    assert weights.tolist() == [2, 3, 0, 0]


@pytest.mark.parametrize(
    "given",
    [
        {"Sst": -1},
        {"Sst": np.inf},
        [1.0, 2.0],
        ["SST", "VIP"],
        {"Sst": 0},
        pd.Series([1.0, 2.0], ["Sst", "Sst"]),
        "Sst",
    ],
)
def test_wrong_priors_are_named(given):
    with pytest.raises((ValueError, TypeError), match="gene_prior"):
        prior_weights(given, 4, NAMES)


def test_scores_mix_the_shares_of_the_genes_that_are_compared(rng):
    size, weights = rng.random((2, 9))
    usable = rng.random(9) < 0.7
    prior = GenePrior(weights, 0.2)
    expected = 0.8 * size / size[usable].sum() + 0.2 * weights / weights[usable].sum()
    expected[~usable] = 0
    found = prior.scores(torch.from_numpy(size), torch.from_numpy(usable))
    np.testing.assert_allclose(found, expected)
    best = np.sort(np.argsort(-expected)[:3])
    assert most_important(size, 3, prior, usable).tolist() == best.tolist()
    assert most_important(size, 9, prior, usable).tolist() == np.flatnonzero(usable).tolist()
    np.testing.assert_array_equal(prior.among([2, 0]).weights, weights[[2, 0]])


def test_the_size_decides_between_genes_of_equal_scores():
    alone = GenePrior(np.array([1.0, 1, 1, 2, 0]), 1.0)
    assert most_important(np.array([1.0, 5, 3, 4, 9]), 2, alone).tolist() == [1, 3]
    assert most_important(np.array([3.0, 1, 2, 2]), 2).tolist() == [0, 2]
    spent = GenePrior(np.array([5.0, 0, 0]), 1.0)
    usable = np.array([False, True, True])
    assert most_important(np.array([8.0, 1, 2]), 1, spent, usable).tolist() == [2]
    assert not spent.scores(torch.ones(3), torch.from_numpy(usable)).any()


@pytest.mark.parametrize("model", MODELS)
def test_the_choice_is_left_to_the_data_or_to_the_prior(model, data):
    """Genes go by name, not by place; a stream knows the prior, too."""
    plain = clone(model).fit(data.X, data.Y)
    without = with_prior(model, np.arange(40), 0).fit(data.X, data.Y)
    assert torch.equal(plain.network_.flat, without.network_.flat)
    table = table_of(data)
    unlikely = data.gene_names[~np.isin(data.gene_names, data.truth["genes"])][:5]
    for X in (table[table.columns[::-1]], ExpressionStream(table)):
        fitted = with_prior(model, list(unlikely), 1).fit(X, data.Y)
        assert set(fitted.get_feature_names_out()) == set(unlikely)


def test_the_published_protocol_prunes_by_the_mix_and_by_nothing_before(data, rng):
    weights = rng.random(40) * (rng.random(40) < 0.3)
    plain = clone(PUBLISHED).fit(data.X, data.Y)
    fitted = with_prior(PUBLISHED, weights, 0.25).fit(data.X, data.Y)
    np.testing.assert_array_equal(fitted.gene_norms_, plain.gene_norms_)
    norms = fitted.gene_norms_.astype(float)
    scores = 0.75 * norms / norms.sum() + 0.25 * weights / weights.sum()
    expected = np.sort(np.argsort(-scores)[:5])
    np.testing.assert_array_equal(fitted.get_support(indices=True), expected)
    assert set(expected) != set(np.flatnonzero(plain.get_support()))
    with pytest.warns(UserWarning, match="gene_prior has no effect with n_genes=None"):
        fitted.set_params(n_genes=None).fit(data.X, data.Y)


def test_priors_identify_results(data):
    assert not {"gene_prior", "prior_influence"} & described(PUBLISHED)["params"].keys()
    given = (None, 0.5), (["gene01"], 0.5), ({"gene01": 2.0}, 0.5), (["gene02"], 0.5)
    keys = set()
    for prior, influence in (*given, (["gene01"], 0.1)):
        of_genes = with_prior(PUBLISHED, prior, influence).for_genes(data.gene_names)
        keys.add(fit_key(["a", "b", [9, 9]], of_genes, paper_folds(120)[0], "fold"))
    assert len(keys) == 5
    prior = pd.Series({"b": 1, "a": np.float32(0.5)})
    in_order = described(with_prior(PUBLISHED, prior))["params"]["gene_prior"]
    assert in_order == [["a", 0.5], ["b", 1.0]]


def test_a_prior_is_converted_to_the_genes_of_a_fit():
    prior = with_prior(PUBLISHED, {"f": 1, "a": 2})
    assert prior.for_genes(list("abcdef")).gene_prior == [2, 0, 0, 0, 0, 1]
    assert prior.for_genes(list("abcdef"), [5, 1]).gene_prior == [1, 0]
    assert prior.for_genes(list("abcdef"), [1, 2]).gene_prior is None
    assert PUBLISHED.for_genes(["a"]).gene_prior is None
