"""The distilled protocol with few cells: when it applies, and what its parts are."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sbnn import DistilledBottleneckRegressor, DistilledSettings, LeaveOneOutRidge
from sbnn.models.bottleneck.network import BottleneckNetwork
from sbnn.models.bottleneck.protocols import distilled, few_cells
from sbnn.models.bottleneck.protocols.greedy import forward_selection, grow_forest
from sbnn.models.bottleneck.scales import moments_of
from sbnn.models.bottleneck.training import Run

SHORT = DistilledSettings(
    n_teachers=2, n_trees=5, n_augmented=300, steps_of_teachers=10, steps_of_student=30
)


def short(**settings):
    distillation = replace(SHORT, **settings)
    return DistilledBottleneckRegressor(n_genes=5, random_state=0, distillation=distillation)


def run_of(**settings):
    generator = torch.Generator().manual_seed(0)
    return Run(replace(SHORT, **settings), np.random.RandomState(0), generator)


@pytest.fixture
def scaled(data):
    """Z-scored genes and outputs of 60 cells."""
    X = data.X[:60].astype(np.float64)
    Y = data.Y[:60]
    return (X - X.mean(0)) / X.std(0), (Y - Y.mean(0)) / Y.std(0)


@pytest.mark.parametrize(
    ("few", "fewest", "module", "n_choices", "swapped"),
    [
        (60, 60, "few_cells", 6, 0.4),  # on all cells, and without each fifth
        (60, 59, "few_cells", 6, 0.1),
        (59, 60, "distilled", 1, 0.1),
    ],
)
def test_it_is_used_up_to_the_limit(few, fewest, module, n_choices, swapped, data, monkeypatch):
    used = []

    def watch(module, name, note=None):
        original = getattr(module, name)

        def watched(*args, **options):
            used.append(note or args[1])
            return original(*args, **options)

        monkeypatch.setattr(module, name, watched)

    watch(few_cells, "Teacher", "few_cells")
    watch(distilled, "Teacher", "distilled")
    watch(few_cells, "choose_genes", "few_cells")
    watch(distilled, "most_relevant", "distilled")
    watch(distilled, "augment")
    model = short(few_cells=few, fewest_cells=fewest, swapped=0.1, few_cells_swapped=0.4)
    model.fit(data.X[:60], data.Y[:60])
    assert used[2] == swapped
    assert used[:2] + used[3:] == [module] * 2 * n_choices
    is_clipped = (model.x_max_ < data.X[:60].max(0)).any()
    assert is_clipped == (module == "few_cells")


@pytest.mark.parametrize("limit", [1.0, 1.5, 9.0])
def test_genes_are_clipped_to_their_range_or_to_a_number_of_sds(data, limit):
    X = data.X[:60]
    lower, upper = few_cells.input_limits(moments_of(X), limit)
    reach = limit * X.std(0)
    assert_allclose(lower, np.maximum(X.min(0), X.mean(0) - reach), atol=1e-5)
    assert_allclose(upper, np.minimum(X.max(0), X.mean(0) + reach), atol=1e-5)


def test_genes_are_chosen_for_outputs_denoised_by_ridge_and_trees(scaled, monkeypatch):
    monkeypatch.setattr(few_cells, "DENOISING_GENES", 9)  # of the trees
    X, Y = scaled
    ridge = LeaveOneOutRidge().fit(X, Y)
    strength = np.square(ridge.coef_).sum(0)
    some = X[:, np.argsort(-strength, kind="stable")[:9]]
    forest = grow_forest(some, Y, 40, np.random.RandomState(0), bootstrap=True)
    expected = (ridge.predict(X) + forest.predict(some)) / 2
    assert_allclose(few_cells.denoised(X, Y, np.random.RandomState(0)), expected, atol=1e-9)
    run = run_of(few_cells_penalty=7.0)
    chosen = few_cells.choose_genes(torch.as_tensor(X), torch.as_tensor(Y), 6, run)
    centred = expected - expected.mean(0)
    assert_array_equal(chosen, forward_selection(X, centred, 6, penalty=7.0 * 60))
    assert few_cells.denoised(X, Y[:, :1], np.random.RandomState(0)).shape == (60, 1)


@pytest.mark.parametrize("n_outputs", [1, 5])
def test_the_teacher_is_the_mean_of_trees_and_networks_that_saw_all_cells(
    n_outputs, scaled, monkeypatch
):
    x, y = (torch.as_tensor(table).float() for table in scaled)
    y = y[:, :n_outputs]
    trained = []
    train = few_cells.networks_of_teacher

    def watched(new, x, target, run, noise, members):
        trained.extend((noise, len(own.unique())) for own in members)
        return train(new, x, target, run, noise, members)

    monkeypatch.setattr(few_cells, "networks_of_teacher", watched)
    run = run_of(few_cells_noises=(1.0, 1.5))
    new = partial(BottleneckNetwork, 40, n_outputs, 4, (16, 16), generator=run.generator)
    teacher = few_cells.Teacher(new, x, y, run, 3)
    assert trained == [(1.0, 60)] * 3 + [(1.5, 60)] * 3
    assert teacher.noise == 1.5
    forest = grow_forest(x.numpy(), y.numpy(), 3 * 5, np.random.RandomState(0))
    with torch.no_grad():
        networks = np.mean([network(x).numpy() for network in teacher.networks], axis=0)
    expected = (forest.predict(x.numpy()).reshape(60, -1) + networks) / 2
    assert_allclose(teacher.predict(x), expected, atol=1e-5)


def test_parts_are_all_cells_in_random_order():
    parts = few_cells.shuffled_parts(torch.zeros(13, 2), 5, run_of())
    assert sorted(map(len, parts)) == [2, 2, 3, 3, 3]
    cells = torch.cat(parts)
    assert cells.sort().values.tolist() == list(range(13)) != cells.tolist()
    assert torch.equal(few_cells.all_but(parts, 1), torch.cat([parts[0], *parts[2:]]))
    assert len(few_cells.shuffled_parts(torch.zeros(3, 2), 5, run_of())) == 3


# --- shrinkage


@pytest.mark.parametrize("n", [100, 4])
def test_predictions_are_shrunk_by_the_slope_on_held_out_cells(n, monkeypatch):
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 5
    y = x[:, [0, 0, 0, 2]] * torch.tensor([1, 0.5, -1, 2]) + x[:, [1]]

    class Teacher:
        """Predicts from two genes, whatever the cells on which it was trained."""

        def __init__(self, new, inputs, outputs, run, n_members):
            assert n_members == 1

        def predict(self, cells):
            return cells[:, [0, 0, 0, 1]]

    parts = [part.tolist() for part in few_cells.shuffled_parts(x, 5, run_of())]
    products = squares = 0
    others_of_parts = []
    for part in parts:
        others = [i for i in range(n) if i not in part]
        others_of_parts.append(x[others] - x[others].mean(0))
        predicted = (x[part] - x[others].mean(0))[:, [0, 0, 0, 2]]
        products += (predicted * (y[part] - y[others].mean(0))).sum(0)
        squares += (predicted**2).sum(0)
    together = (products.sum() / squares.sum()).clip(0, 1)
    prior = 60 / n * squares.mean()
    expected = ((products + prior * together) / (squares + prior)).clip(0, 1)

    def choose(inputs, outputs):
        """Genes are chosen on the same cells, centred without the others."""
        assert abs(outputs.mean(0)).max() < 1e-9
        assert_allclose(inputs.sort(0)[0], others_of_parts.pop(0).sort(0)[0])
        return [0, 2]

    monkeypatch.setattr(few_cells, "Teacher", Teacher)
    factors = few_cells.shrinkage(None, x, y, choose, run_of())
    assert_allclose(factors, expected)
    assert not others_of_parts


def test_shrinkage_scales_predictions_and_leaves_the_map(data, monkeypatch):
    X, Y = data.X[:60], data.Y[:60]
    models = []
    for factor in (0.5, 1.0):

        def shrinkage(new, x, target, *_, factor=factor):
            assert x.shape[1] == data.n_genes, "not only genes chosen on all cells"
            return torch.full_like(target[0], factor)

        monkeypatch.setattr(few_cells, "shrinkage", shrinkage)
        models.append(short().fit(X, Y))
    half, whole = models
    assert_array_equal(half.transform(data.X), whole.transform(data.X))
    halfway = half.predict(data.X) - Y.mean(0)
    away = whole.predict(data.X) - Y.mean(0)
    assert_allclose(halfway, away / 2, rtol=1e-4, atol=1e-5)
