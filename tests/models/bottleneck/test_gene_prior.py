"""A prior of the genes counts where genes are compared, and nowhere else."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch
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
from sbnn.models.bottleneck.protocols.gaussian_process import RelevanceProcess, most_relevant
from sbnn.models.bottleneck.protocols.greedy import forward_selection

NAMES = np.array(["Sst", "Vip", "Pvalb", "Gad1"], dtype=object)
SHORT = DistilledSettings(
    few_cells=0,
    noises=(0.5,),
    usual_noise=0.5,
    n_teachers=2,
    n_trees=5,
    n_augmented=200,
    steps_of_teachers=10,
    steps_of_student=30,
    screened_genes=20,
)
FEW = DistilledSettings(
    **asdict(SHORT) | {"few_cells": 1000, "noises": (0.5,), "few_cells_noises": (1.0,)}
)
COMMON = {"n_genes": 5, "random_state": 0, "device": "cpu"}
MODELS = {
    "paper": SparseBottleneckRegressor(hidden_layers=(16, 8), epochs=(2, 2, 3, 3), **COMMON),
    "distilled": DistilledBottleneckRegressor(distillation=SHORT, **COMMON),
    "few cells": DistilledBottleneckRegressor(distillation=FEW, **COMMON),
}


def model(kind, **params):
    return clone(MODELS[kind]).set_params(**params)


@pytest.fixture(scope="module")
def table(data):
    return pd.DataFrame(data.X, data.cell_names, data.gene_names)


@pytest.mark.parametrize(
    "given",
    [
        {"Pvalb": 2, "Sst": 0.5},
        pd.Series({"Pvalb": 2.0, "Sst": 0.5, "Gad1": 0.0}),
        np.array([0.5, 0, 2, 0]),
    ],
)
def test_weights_by_name_or_by_position(given):
    assert prior_weights(given, 4, NAMES).tolist() == [0.5, 0, 2, 0]


@pytest.mark.parametrize("given", [["Gad1", "Vip"], {"Vip", "Gad1"}])
def test_genes_in_a_list_weigh_the_same(given):
    assert prior_weights(given, 4, NAMES).tolist() == [0, 1, 0, 1]


def test_other_genes_are_ignored():
    with pytest.warns(UserWarning, match="genes that are not in X are ignored: Kcnc1, Kcnc2"):
        weights = prior_weights({"Kcnc1": 5, "Vip": 3, "Kcnc2": 7, "Sst": 2}, 4, NAMES)
    assert weights.tolist() == [2, 3, 0, 0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"Sst": -1}, "finite weights >= 0, got -1"),
        ({"Sst": np.inf}, "finite weights >= 0"),
        ([1.0, 2.0], "one weight for each of the 4 genes of X, got 2"),
        (["SST", "VIP"], "none of the genes SST, VIP; its genes are Sst, Vip, Pvalb, Gad1"),
        ({"Sst": 0}, "no gene of X has a weight above 0"),
        (pd.Series([1.0, 2.0], ["Sst", "Sst"]), "several weights: Sst"),
        ("Sst", "expected names or weights"),
        (3, "expected names or weights"),
        (["Sst", 1.0], "gene_prior"),
    ],
)
def test_wrong_priors_are_named(given, message):
    with pytest.raises((ValueError, TypeError), match=message):
        prior_weights(given, 4, NAMES)


def test_the_score_is_the_mix_of_both_shares():
    size = torch.tensor([4.0, 3, 2, 1], dtype=float)
    weights = np.array([0.0, 0, 1, 3])
    usable = torch.ones(4, dtype=torch.bool)
    scores = GenePrior(weights, 0.2).scores(size, usable)
    np.testing.assert_allclose(scores, 0.8 * size / 10 + 0.2 * weights / 4)


@pytest.mark.parametrize(
    ("n_genes", "influence", "kept"), [(2, 0.2, [0, 1]), (3, 0.2, [0, 1, 3]), (2, 0.8, [2, 3])]
)
def test_the_largest_scores_are_kept(n_genes, influence, kept):
    prior = GenePrior(np.array([0.0, 0, 1, 3]), influence)
    assert most_important(np.array([4.0, 3, 2, 1]), n_genes, prior).tolist() == kept


def test_shares_are_of_the_genes_that_are_compared():
    size = np.array([8.0, 1, 2])
    usable = np.array([False, True, True])
    prior = GenePrior(np.array([5.0, 1, 0]), 0.5)
    scores = prior.scores(torch.from_numpy(size), torch.from_numpy(usable))
    np.testing.assert_allclose(scores, [0, 0.5 / 3 + 0.5, 1 / 3])
    assert most_important(size, 3, prior, usable).tolist() == [1, 2]
    assert prior.among([2, 0]).weights.tolist() == [0, 5]


def test_without_a_say_of_the_prior_the_size_decides():
    spent = GenePrior(np.array([5.0, 0, 0]), 1.0)
    usable = np.array([False, True, True])
    assert most_important(np.array([8.0, 1, 2]), 1, spent, usable).tolist() == [2]
    alone = GenePrior(np.array([1.0, 1, 1, 2, 0]), 1.0)  # leaves ties to the size
    assert most_important(np.array([1.0, 5, 3, 4, 9]), 2, alone).tolist() == [1, 3]
    assert most_important(np.array([3.0, 1, 2, 2]), 2).tolist() == [0, 2]


@pytest.mark.parametrize("kind", MODELS)
def test_no_influence_changes_no_bit_and_without_a_choice_it_is_warned_of(kind, data):
    with pytest.warns(UserWarning, match="gene_prior has no effect with n_genes=None"):
        model("paper", n_genes=None, gene_prior=np.arange(40)).fit(data.X, data.Y)
    plain = model(kind).fit(data.X, data.Y)
    without = model(kind, gene_prior=np.arange(40), prior_influence=0).fit(data.X, data.Y)
    assert torch.equal(plain.network_.flat, without.network_.flat)
    np.testing.assert_array_equal(plain.get_support(), without.get_support())


@pytest.mark.parametrize("kind", MODELS)
def test_full_influence_leaves_the_choice_to_the_prior(kind, data, table):
    """Genes go by name, not by place; a stream knows the prior, too."""
    unlikely = data.gene_names[~np.isin(data.gene_names, data.truth["genes"])][:5]
    for X in (table, table[table.columns[::-1]], ExpressionStream(table)):
        fitted = model(kind, gene_prior=list(unlikely), prior_influence=1).fit(X, data.Y)
        assert set(fitted.get_feature_names_out()) == set(unlikely)


def test_the_published_protocol_prunes_by_the_mix_and_by_nothing_before(data, rng):
    weights = rng.random(40) * (rng.random(40) < 0.3)
    plain = model("paper").fit(data.X, data.Y)
    fitted = model("paper", gene_prior=weights, prior_influence=0.25).fit(data.X, data.Y)
    np.testing.assert_array_equal(fitted.gene_norms_, plain.gene_norms_)
    before = [one.history_[one.history_.stage != "fine-tuning"] for one in (plain, fitted)]
    pd.testing.assert_frame_equal(*before, check_exact=True)
    norms = fitted.gene_norms_.astype(float)
    scores = 0.75 * norms / norms.sum() + 0.25 * weights / weights.sum()
    expected = np.sort(np.argsort(-scores)[:5])
    np.testing.assert_array_equal(fitted.get_support(indices=True), expected)
    assert set(expected) != set(np.flatnonzero(plain.get_support()))


def test_forward_selection_takes_the_best_mix_at_every_step(rng):
    X = rng.normal(size=(60, 12)) @ rng.normal(size=(12, 12))
    Y = X @ rng.normal(size=(12, 3)) + rng.normal(size=(60, 3))
    X, Y = X - X.mean(0), Y - Y.mean(0)

    def error(genes):
        return np.square(Y - X[:, genes] @ np.linalg.lstsq(X[:, genes], Y)[0]).sum()

    weights, chosen = np.r_[np.zeros(8), 1.0, 2, 3, 1], []
    for _ in range(6):
        left = [gene for gene in range(12) if gene not in chosen]
        explained = np.array([error(chosen) - error([*chosen, gene]) for gene in left]) ** 0.5
        known = weights[left] / max(weights[left].sum(), 1e-300)
        chosen.append(left[int(np.argmax(0.25 * known + 0.75 * explained / explained.sum()))])
    assert forward_selection(X, Y, 6, prior=GenePrior(weights, 0.25)).tolist() == chosen
    # 8 and 11 weigh the same: what they explain decides.
    alone = forward_selection(X, Y, 6, prior=GenePrior(weights, 1.0)).tolist()
    assert alone[:2] == [10, 9] and set(alone[:4]) == {8, 9, 10, 11}


def test_the_gaussian_process_drops_by_the_mix(rng):
    X = torch.from_numpy(rng.normal(size=(80, 10))).float()
    Y = torch.tanh(X[:, :3] @ torch.from_numpy(rng.normal(size=(3, 2))).float())
    settings = DistilledSettings(share_kept=0.5)
    weights = np.r_[np.zeros(6), np.ones(4)]
    process = RelevanceProcess(X, Y - Y.mean(0), settings).fit(settings.process_steps[0])
    slope = process.relevance().double().sqrt().numpy()
    for influence in (0.05, 0.3, 1.0):
        scores = (1 - influence) * slope / slope.sum() + influence * weights / 4
        expected = np.sort(np.lexsort((-slope, -scores))[:5])  # in one round
        got = most_relevant(
            RelevanceProcess(X, Y - Y.mean(0), settings), 5, GenePrior(weights, influence)
        )
        np.testing.assert_array_equal(got, expected)
    assert {6, 7, 8, 9} < set(got)


def test_results_without_a_prior_are_named_as_before(data):
    assert not {"gene_prior", "prior_influence"} & described(model("paper"))["params"].keys()
    priors = None, ["gene01"], {"gene01": 2.0}, ["gene02"]
    models = [model("paper", gene_prior=prior) for prior in priors]
    models.append(model("paper", gene_prior=["gene01"], prior_influence=0.1))
    fold = paper_folds(120)[0]
    keys = set()
    for one in models:
        of_genes = one.for_genes(data.gene_names)
        keys.add(fit_key(["a", "b", [9, 9]], of_genes, fold, "fold"))
    assert len(keys) == 5


def test_a_prior_is_described_in_the_order_of_its_names():
    prior = pd.Series({"b": 1, "a": np.float32(0.5)})
    described_prior = described(model("paper", gene_prior=prior))["params"]["gene_prior"]
    assert described_prior == [["a", 0.5], ["b", 1.0]]


def test_a_prior_is_converted_to_the_genes_of_a_fit():
    prior = model("paper", gene_prior={"f": 1, "a": 2})
    assert prior.for_genes(list("abcdef")).gene_prior == [2, 0, 0, 0, 0, 1]
    assert prior.for_genes(list("abcdef"), [5, 1]).gene_prior == [1, 0]
    assert prior.for_genes(list("abcdef"), [1, 2]).gene_prior is None
    assert model("paper").for_genes(["a"]).gene_prior is None
