"""Other values in test cells change nothing that is learned, in whatever fits and tests."""

import numpy as np
import pytest
from material.calls import record_of_halves
from material.cells import cells, courses, typed_cells
from material.comparisons import content
from material.estimators import distilled, few_trees, network, quick

from sbnn import LeaveOneOutRidge
from sbnn.data.paired import paired
from sbnn.data.preprocessing import log2p1
from sbnn.dynamics import PhoenixRegressor, evaluate
from sbnn.ephys_types import (
    AttentionBiLSTMClassifier,
    EphysTypeClassifier,
    cross_validate_classifier,
    family_importance,
)
from sbnn.evaluation.crossval import cross_validate
from sbnn.evaluation.fits import stability_selection
from sbnn.evaluation.folds import grouped_folds, paper_folds
from sbnn.evaluation.interpretation import interpret_held_out

REGRESSORS = {
    "ridge": LeaveOneOutRidge(),
    "published": network(random_state=0),
    "distilled": distilled(random_state=0),
}
CLASSIFIERS = {
    "trees": few_trees(random_state=0),
    "BiLSTM": quick(AttentionBiLSTMClassifier, random_state=0),
    "attention": quick(EphysTypeClassifier, random_state=0),
}
#: What a fit learns, of a cross-validation.
LEARNED = ("train_r2", "train_feature_r2", "selected", "gene_norms", "preselected", "n_selected")

with_data = pytest.mark.parametrize("has_counts", [True, False], ids=["counts", "no counts"])
with_preselection = pytest.mark.parametrize("preselect", [8, None], ids=["preselected", "all"])
with_groups = pytest.mark.parametrize("groups", ["donor", None], ids=["donors", "cells"])


def change_cells(changed, has_counts, parts=("X", "Y")):
    """The cells, with other expression and outputs of some; with counts, or logarithms alone."""
    adata = cells()
    counts = adata.layers["counts"].astype(float)
    Y = adata.obsm["outputs"].copy()
    if "X" in parts:
        counts[changed] = 7 * counts[changed][:, ::-1] + 50
    if "Y" in parts:
        # with the same SD in these cells, which is the unit of effects
        Y.iloc[changed] = Y.iloc[changed].to_numpy()[::-1] + 30
    X = log2p1(1e4 * counts / counts.sum(axis=1, keepdims=True))
    return paired(
        None if has_counts else X,
        Y,
        gene_names=adata.var_names,
        counts=counts if has_counts else None,
        labels=adata.obs,
    )


def two_parts(test):
    """Test cells whose values are changed, and those whose predictions are compared."""
    return test[::2], test[1::2]


def learned(record, kept):
    """What was learned in the first fold, and the predictions for test cells that are kept."""
    values = {name: record.values[name][0] for name in LEARNED if name in record.values}
    _, test = record.folds[0]
    for name in ("test_predictions", "test_probabilities"):
        if name in record.values:
            values[name] = record.values[name][0][0][np.isin(test, kept)]
    return content(values)


@with_data
@with_preselection
@with_groups
@pytest.mark.parametrize("model", REGRESSORS)
def test_a_fold_learns_nothing_of_its_test_cells(model, has_counts, preselect, groups):
    folds = paper_folds(80, 4) if groups is None else grouped_folds(cells().obs[groups], 4)
    changed, kept = two_parts(folds[0][1])

    def learn(data):
        record = cross_validate(
            REGRESSORS[model], data, folds[:1], preselect=preselect, verbose=False
        )
        return learned(record, kept)

    assert learn(change_cells([], has_counts)) == learn(change_cells(changed, has_counts))


def test_the_published_scaling_learns_of_test_cells():
    """As its page says; else the test above would see no leak."""
    folds = paper_folds(80, 4)
    changed, kept = two_parts(folds[0][1])

    def learn(data):
        record = cross_validate(LeaveOneOutRidge(), data, folds[:1], scaling="all", verbose=False)
        return learned(record, kept)

    assert learn(change_cells([], False)) != learn(change_cells(changed, False))


@with_data
@with_preselection
@with_groups
def test_a_half_selects_genes_without_the_other(has_counts, preselect, groups):
    def select(data):
        return stability_selection(
            network(), data, 2, groups=groups, preselect=preselect, verbose=False
        )

    usual = select(change_cells([], has_counts))
    _, other_half = usual.folds[0]
    changed = select(change_cells(other_half, has_counts))
    assert learned(usual, []) == learned(changed, [])


@with_data
@with_preselection
@with_groups
def test_held_out_cells_choose_no_gene(has_counts, preselect, groups):
    def interpret(parts):
        held_out = paper_folds(80, 4)[0][1]
        if groups is not None:
            held_out = grouped_folds(cells().obs[groups], 4)[0][1]
        return interpret_held_out(
            # which takes expression and outputs as they are scaled
            network(standardize=False, random_state=0),
            change_cells(held_out, has_counts, parts),
            record_of_halves(),
            groups=groups,
            preselect=preselect,
        )

    usual = interpret(parts=())
    assert list(usual.kept_genes) == list(interpret(parts=("X", "Y")).kept_genes)
    # effects are averages over the expression of the held-out cells
    np.testing.assert_allclose(usual.effects, interpret(parts=("Y",)).effects, rtol=1e-4)


def change_typed_cells(changed):
    """Typed cells, with other features and types of some; no type is new."""
    adata = typed_cells().copy()
    adata.X[changed] = 2 * adata.X[changed][:, ::-1] + 1
    types = adata.obs["type"].to_numpy(str)
    types[changed] = types[changed][::-1]
    adata.obs["type"] = types
    return adata


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_a_classifier_learns_nothing_of_its_test_cells(model):
    folds = {0: paper_folds(120, 4)[:1]}
    changed, kept = two_parts(folds[0][0][1])

    def learn(data):
        record = cross_validate_classifier(CLASSIFIERS[model], data, folds, verbose=False)
        return learned(record, kept)

    assert learn(change_typed_cells([])) == learn(change_typed_cells(changed))


def test_importance_is_that_of_the_cells_of_the_fold():
    train, test = paper_folds(120, 4)[0]
    left_out, training = train[:20], train[20:]

    def measure(data):
        record = family_importance(
            few_trees(random_state=0), data, [(training, test)], n_shuffles=1, verbose=False
        )
        return record.values

    assert content(measure(change_typed_cells([]))) == content(
        measure(change_typed_cells(left_out))
    )


@pytest.mark.filterwarnings("ignore:the one-step error")
def test_a_network_of_regulation_is_not_that_of_test_samples():
    model = quick(PhoenixRegressor, epochs=2)
    other = courses().copy()
    is_test = (other.obs["split"] == "test").to_numpy()
    other.X[is_test] = other.X[is_test] * 0.5 + 0.1

    def infer(data):
        return evaluate(model, {0: data}, method="small", condition="made up", details=True)

    usual, changed = infer(courses()), infer(other)
    errors = ["seconds", "mse_rollout", "mse_ahead"]
    assert content(usual.scores.drop(columns=errors)) == content(
        changed.scores.drop(columns=errors)
    )
    assert content(usual.out_degree) == content(changed.out_degree)
