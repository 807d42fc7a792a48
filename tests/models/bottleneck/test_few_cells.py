"""The distilled protocol with few cells: when it applies, and what its parts are."""

from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sbnn import DistilledBottleneckRegressor, DistilledSettings, LeaveOneOutRidge
from sbnn.models.bottleneck.network import BottleneckNetwork
from sbnn.models.bottleneck.protocols import distilled, few_cells
from sbnn.models.bottleneck.protocols.greedy import forward_selection, grow_forest
from sbnn.models.bottleneck.training import Run

SHORT = {
    "n_teachers": 2,
    "n_trees": 5,
    "n_augmented": 300,
    "steps_of_teachers": 10,
    "steps_of_student": 30,
}


def settings_of(**settings):
    return DistilledSettings(**SHORT | settings)


def short(**settings):
    distillation = settings_of(**settings)
    return DistilledBottleneckRegressor(n_genes=5, random_state=0, distillation=distillation)


def run_of(**settings):
    return Run(settings_of(**settings), np.random.RandomState(0), torch.Generator().manual_seed(0))


def scaled(data, n_cells):
    """Z-scored genes and outputs of the first cells."""
    X = data.X[:n_cells].astype(np.float64)
    Y = data.Y[:n_cells]
    X -= X.mean(0)
    return X / X.std(0), (Y - Y.mean(0)) / Y.std(0)


def fitted(data, n_cells, **settings):
    return short(**settings).fit(data.X[:n_cells], data.Y[:n_cells])


# --- when it applies


@pytest.fixture
def used(monkeypatch):
    """Names of the parts of the protocols that were used, in order."""
    names = []

    def watch(module, name):
        original = getattr(module, name)

        def watched(*args, **options):
            names.append(f"{module.__name__.rpartition('.')[2]}.{name}")
            return original(*args, **options)

        monkeypatch.setattr(module, name, watched)

    for name in ("input_limits", "choose_genes", "Teacher"):
        watch(few_cells, name)
    for name in ("most_relevant", "Teacher"):
        watch(distilled, name)
    return names


def test_it_is_used_up_to_the_limit(used, data):
    fitted(data, 60, few_cells=60)
    once = ["few_cells.choose_genes", "few_cells.Teacher"]
    assert used == ["few_cells.input_limits", *once, *once * 5], "and without each fifth"


def test_it_is_not_used_beyond_the_limit(used, data):
    model = fitted(data, 61, few_cells=60)
    assert used == ["distilled.most_relevant", "distilled.Teacher"]
    assert_array_equal(model.x_max_, data.X[:61].max(0))


@pytest.mark.parametrize(
    ("few", "fewest", "swapped"), [(60, 60, 0.4), (60, 59, 0.1), (59, 60, 0.1), (99, 70, 0.4)]
)
def test_artificial_cells_are_mixed_more_with_fewest_cells(few, fewest, swapped, data, monkeypatch):
    shares = []
    augment = distilled.augment

    def watched(x, share, run):
        shares.append(share)
        return augment(x, share, run)

    monkeypatch.setattr(distilled, "augment", watched)
    how = {"few_cells": few, "fewest_cells": fewest}
    fitted(data, 60, swapped=0.1, few_cells_swapped=0.4, **how)
    assert shares == [swapped]


@pytest.mark.parametrize(("few", "least"), [(60, 3), (59, 10)])
def test_genes_of_few_cells_are_usable(few, least, monkeypatch):
    """Of 60 cells, a gene needs 3 cells behind it with few cells, and else 10."""
    behind = np.array([2.9, 3.1, 9.9, 10.1, 30, 30])
    monkeypatch.setattr(distilled, "cells_behind", lambda x: behind[: x.shape[1]])
    first = lambda x, target, n_genes, run: np.arange(min(n_genes, x.shape[1]))  # noqa: E731
    monkeypatch.setattr(few_cells, "choose_genes", first)
    monkeypatch.setattr(distilled, "choose_of_many", first)
    x = torch.zeros(60, 6)
    [chosen] = distilled.choose_genes(x, x, 1, run_of(few_cells=few))
    assert chosen == np.flatnonzero(behind >= least)[0]


# --- its parts


@pytest.mark.parametrize("limit", [2.0, 7.0])  # beyond 7 SD there is a high value alone
def test_inputs_are_clipped_to_the_middle_of_their_range(data, limit):
    X = data.X[:60].copy()
    X[:, 0] = 0.01 * np.arange(60)  # within 2 SD
    X[0, 1] = 1000
    lower, upper = few_cells.input_limits(X, limit)
    assert (lower[0], upper[0]) == pytest.approx((0, 0.59))
    gene = X[:, 1]
    assert upper[1] == pytest.approx(gene.mean() + limit * gene.std(), rel=1e-5)
    assert lower[1] == gene.min()
    lower, _ = few_cells.input_limits(-X, limit)
    assert_allclose(lower, -upper)
    assert lower.dtype == X.dtype


def test_values_beyond_the_limits_count_as_the_limits(data):
    model = fitted(data, 60)
    clipped = np.clip(data.X[:60], model.x_min_, model.x_max_).astype(float)
    assert_allclose(model.x_mean_, clipped.mean(0), rtol=1e-5)
    assert_allclose(model.x_scale_, clipped.std(0), rtol=1e-4)
    far = data.X.copy()
    far[:, model.get_support()] += 1000
    assert_array_equal(model.predict(far), model.predict(far + 1000))


def test_clipped_genes_keep_the_sd_they_came_with(data):
    """A fit to z-scored genes does not depend on whether they are scaled again."""
    X, Y = scaled(data, 60)
    X[:, 1] = 0  # constant: neither scaled nor chosen
    model = short(few_cells_limit=1.0, few_cells_of_a_gene=0)
    with pytest.warns(UserWarning, match="constant"):
        again = model.fit(X, Y)
        once = short(few_cells_limit=1.0, few_cells_of_a_gene=0).set_params(standardize=False)
        once.fit(X, Y)
    assert_allclose(once.x_scale_, again.x_scale_, rtol=1e-6)
    assert_allclose(once.predict(X), again.predict(X), atol=1e-4)


def test_genes_are_chosen_for_outputs_denoised_by_ridge_and_trees(data, monkeypatch):
    monkeypatch.setattr(few_cells, "DENOISING_GENES", 9)  # of the trees
    X, Y = scaled(data, 60)
    ridge = LeaveOneOutRidge().fit(X, Y)
    strength = np.square(ridge.coef_).sum(0)
    some = X[:, np.argsort(-strength, kind="stable")[:9]]
    forest = grow_forest(some, Y, 40, np.random.RandomState(0), bootstrap=True)
    expected = (ridge.predict(X) + forest.predict(some)) / 2
    clean = few_cells.denoised(X, Y, np.random.RandomState(0))
    assert_allclose(clean, expected, atol=1e-9)
    run = run_of(few_cells_penalty=7.0)
    chosen = few_cells.choose_genes(torch.as_tensor(X), torch.as_tensor(Y), 6, run)
    centred = expected - expected.mean(0)
    assert_array_equal(chosen, forward_selection(X, centred, 6, penalty=7.0 * 60))


def test_one_output_is_denoised_too(data):
    X, Y = scaled(data, 60)
    clean = few_cells.denoised(X, Y[:, :1], np.random.RandomState(0))
    assert clean.shape == (60, 1)


def test_the_teacher_is_the_mean_of_trees_and_networks_that_saw_all_cells(data, monkeypatch):
    X, Y = scaled(data, 80)
    x, y = torch.as_tensor(X).float(), torch.as_tensor(Y).float()
    trained = []
    train = few_cells.networks_of_teacher

    def watched(new, x, target, run, noise, members):
        for own in members:
            trained.append((len(x), len(target), noise, len(own.unique())))
        return train(new, x, target, run, noise, members)

    monkeypatch.setattr(few_cells, "networks_of_teacher", watched)
    run = run_of(few_cells_noises=(1.0, 1.5))
    new = partial(BottleneckNetwork, 40, 5, 4, (16, 16), "silu", generator=run.generator)
    teacher = few_cells.Teacher(new, x, y, run, 3)
    assert trained == [(80, 80, 1.0, 80)] * 3 + [(80, 80, 1.5, 80)] * 3
    assert teacher.noise == 1.5
    forest = grow_forest(x.numpy(), y.numpy(), 3 * 5, np.random.RandomState(0))
    with torch.no_grad():
        networks = np.mean([network(x).numpy() for network in teacher.networks], axis=0)
    expected = (forest.predict(x.numpy()) + networks) / 2
    assert_allclose(teacher.predict(x), expected, atol=1e-5)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_predictions_of_trees_have_one_column_per_output(data, n_outputs):
    X, Y = scaled(data, 30)
    forest = grow_forest(X, Y[:, :n_outputs], 4, np.random.RandomState(0))
    predicted = few_cells.predicted_by(forest, torch.as_tensor(X))
    assert_array_equal(predicted, forest.predict(X).reshape(30, n_outputs))


def test_parts_are_all_cells_in_random_order():
    parts = few_cells.shuffled_parts(torch.zeros(13, 2), 5, run_of())
    assert sorted(map(len, parts)) == [2, 2, 3, 3, 3]
    assert torch.cat(parts).sort().values.tolist() == list(range(13))
    assert torch.cat(parts).tolist() != list(range(13))
    left = few_cells.all_but(parts, 1)
    assert torch.equal(left, torch.cat([parts[0], *parts[2:]]))
    assert len(few_cells.shuffled_parts(torch.zeros(3, 2), 5, run_of())) == 3


# --- shrinkage


@pytest.fixture
def shrunk(monkeypatch):
    """Shrinkage with a made-up teacher; returns the factors and the cells of every teacher."""
    seen = []

    class Teacher:
        def __init__(self, new, inputs, outputs, run, n_members):
            assert n_members == 1
            seen.append((inputs, outputs, []))

        def predict(self, cells):
            seen[-1][2].append(cells)
            return Teacher.rule(cells)

    def choose(inputs, outputs):
        """Genes are chosen on the same cells, centred without the others."""
        for values in (inputs, outputs):
            assert values.mean(0).abs().max() < 1e-3
        seen_by_choice.append(inputs[:, [0, 2]])
        return [0, 2]

    def shrinkage(x, y, rule):
        Teacher.rule = rule
        factors = few_cells.shrinkage(None, x, y, choose, run_of())
        for (inputs, *_), chosen_on in zip(seen, seen_by_choice, strict=True):
            assert torch.equal(inputs, chosen_on)
        return factors, seen

    seen_by_choice = []
    monkeypatch.setattr(few_cells, "Teacher", Teacher)
    return shrinkage


def test_predictions_are_shrunk_by_the_error_of_held_out_cells(shrunk):
    x = torch.randn(400, 3, generator=torch.Generator().manual_seed(1))
    x -= x.mean(0)
    y = x[:, [0, 0, 0, 2]] * torch.tensor([1, 0.5, -1, 2])
    factors, seen = shrunk(x, y, lambda cells: cells[:, [0, 0, 0, 1]])
    # The slopes are 1, 0.5, -1 and 2, of all outputs 0.625, worth 60 cells beside 400.
    mixed = (np.array([1, 0.5, -1, 2]) * 400 + 60 * 0.625) / 460
    assert_allclose(factors, mixed.clip(0, 1), atol=0.02)
    assert [len(inputs) for inputs, *_ in seen] == [320] * 5


def test_held_out_cells_are_compared_about_the_means_of_the_others(shrunk):
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 5
    y = x[:, [0, 0]] * torch.tensor([0.5, 2]) + 100
    factors, seen = shrunk(x, y, lambda cells: cells[:, [0, 0]])
    # The slope of all outputs, 1.25, counts as 1: (0.5 * 4 + 60) / 64
    assert_allclose(factors, [0.96875, 1])
    assert [len(inputs) for inputs, *_ in seen] == [3] * 4


def test_no_teacher_sees_the_cells_that_it_is_judged_by(shrunk):
    x = torch.arange(50.0)[:, None] ** 2 * torch.ones(3)
    _, seen = shrunk(x, x[:, :1], lambda cells: cells[:, :1])
    for inputs, _, [held_out] in seen:
        assert (len(inputs), len(held_out)) == (40, 10)
        known = (inputs[:, 0] - inputs[0, 0]).round().tolist()
        asked = (held_out[:, 0] - inputs[0, 0]).round().tolist()
        assert not set(known) & set(asked)


def test_shrinkage_scales_predictions_and_leaves_the_map(data, monkeypatch):
    X, Y = data.X[:60], data.Y[:60]
    models = {}
    for factor in (0.5, 1.0):

        def shrinkage(new, x, target, *_, factor=factor):
            assert x.shape[1] == data.n_genes, "not only genes chosen on all cells"
            return torch.full_like(target[0], factor)

        monkeypatch.setattr(few_cells, "shrinkage", shrinkage)
        models[factor] = short().fit(X, Y)
    half, whole = models[0.5], models[1.0]
    assert_array_equal(half.transform(data.X), whole.transform(data.X))
    halfway = half.predict(data.X) - Y.mean(0)
    away = whole.predict(data.X) - Y.mean(0)
    assert_allclose(halfway, away / 2, rtol=1e-4, atol=1e-5)
