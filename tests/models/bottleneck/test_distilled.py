"""The distilled protocol: the chosen genes, the teacher, and what the student learns from it."""

import anndata
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from sklearn.dummy import DummyRegressor
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from sbnn import DistilledBottleneckRegressor, DistilledSettings
from sbnn.data import inputs
from sbnn.models.bottleneck import distilled
from sbnn.models.bottleneck.distilled import (
    forward_selection,
    grow_forest,
    labelled_cells,
    networks_of_teacher,
    one_cycle,
    train_student,
)
from sbnn.models.bottleneck.network import BottleneckNetwork, values_of


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def cells(n=512, p=1):
    return torch.randn(n, p, generator=seeded(1))


# --- genes


def by_definition(X, Y, n_genes):
    """Try every gene; keep the one with the largest gain."""

    def error(genes):
        A = X[:, genes]
        return np.square(Y - A @ np.linalg.lstsq(A, Y)[0]).sum()

    chosen = []
    for _ in range(n_genes):
        left = np.setdiff1d(np.arange(X.shape[1]), chosen)
        errors = np.array([error([*chosen, gene]) for gene in left])
        chosen.append(int(left[errors.argmin()]))
    return chosen


@pytest.mark.parametrize(("n", "penalty"), [(60, 0.0), (20, 50.0)])
def test_it_follows_the_definition(n, penalty, rng):
    X = rng.normal(size=(n, 12)) @ rng.normal(size=(12, 12))
    Y = X[:, :3] + rng.normal(size=(n, 3))
    X -= X.mean(0)
    Y -= Y.mean(0)
    # Ridge regression is least squares with a cell more for every gene.
    more_X = np.vstack([X, np.sqrt(penalty) * np.eye(12)])
    more_Y = np.vstack([Y, np.zeros((12, 3))])
    chosen = forward_selection(X, Y, 8, penalty).tolist()
    assert chosen == by_definition(more_X, more_Y, 8)


def test_more_genes_than_cells_and_copies(rng):
    X = rng.normal(size=(30, 200))
    X -= X.mean(0)
    assert len(forward_selection(X, X[:, :2], 40, penalty=0.0)) <= 30
    assert len(set(forward_selection(X, X[:, :2], 45, penalty=30.0))) == 45
    copies = 0.01 * X[:, [0, 0, 1, 1]]
    assert forward_selection(copies, copies[:, :1], 4, penalty=0.0).tolist() == [0, 2]


def test_of_a_file_few_values_are_read_at_once(adata, tmp_path, monkeypatch):
    """Blocks, for the scales; some cells, on which genes are chosen; and the kept genes of all."""
    seen = []
    read = inputs.read

    def watched(*args):
        values = read(*args)
        seen.append(values.shape)
        return values

    monkeypatch.setattr(inputs, "read", watched)
    monkeypatch.setattr(inputs, "VALUES_AT_ONCE", 800)
    monkeypatch.setattr(distilled, "CELLS_OF_GENES", 15)
    moment = DistilledSettings(n_augmented=60, steps_of_teachers=2, steps_of_student=2)
    model = DistilledBottleneckRegressor(n_genes=4, distillation=moment)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    model.fit(anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r"))
    assert set(seen) == {(20, 40), (15, 40), (20, 4)}
    X = adata.X
    assert_array_equal([model.x_min_, model.x_max_], [X.min(axis=0), X.max(axis=0)])
    scales = [X.mean(axis=0), X.std(axis=0)]
    assert_allclose([model.x_mean_, model.x_scale_], scales, rtol=1e-4)


def test_genes_need_cells_behind_them(monkeypatch):
    """10 cells at the same level, but never more than a sixth; the penalty falls with the cells."""
    seen = []

    def forward_selection(X, Y, n_genes, penalty):
        assert penalty == approx(30_000 / len(X))
        assert abs(X.mean(axis=0)).max() < 1e-4 and abs(Y.mean(axis=0)).max() < 1e-4
        seen.append(X.shape[1])
        return [0]

    monkeypatch.setattr(distilled, "forward_selection", forward_selection)
    for n_cells in (6000, 30):
        expressing = torch.arange(n_cells)[:, None] < torch.arange(1, 13)
        x = 7.0 * expressing
        distilled.choose_genes(x, x, 1)
    assert seen == [3, 9]


def test_copies_fill_up_before_genes_of_one_cell():
    x = torch.zeros(60, 8)
    x[0, 0] = x[1, 1] = 7
    x[:, 2:] = cells(60, 2).repeat(1, 3)
    chosen = distilled.choose_genes(x, x[:, [2, 3]], 7)
    assert chosen.tolist() == [0, *range(2, 8)]


# --- the teacher


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_the_teacher_judges_its_models_on_cells_they_did_not_see(n_outputs, monkeypatch):
    of_networks = []
    of_forests = []

    def networks_of_teacher(sizes, x, target, noise, settings, generator, members):
        of_networks.extend(set(own.tolist()) for own in members)
        networks = [BottleneckNetwork(sizes, generator=seeded()) for _ in members]
        for network in networks:
            network.layers[-1].weight.zero_()
            network.layers[-1].bias.fill_(3)
        return networks

    def grow_forest(X, Y, n_trees, random):
        of_forests.append(set(X[:, 0].tolist()))
        return DummyRegressor(strategy="constant", constant=np.ones(n_outputs)).fit(X, Y)

    monkeypatch.setattr(distilled, "networks_of_teacher", networks_of_teacher)
    monkeypatch.setattr(distilled, "grow_forest", grow_forest)
    monkeypatch.setattr(distilled, "PRIOR_CELLS", 20)
    x = torch.arange(20.0)[:, None]
    settings = DistilledSettings(n_augmented=4)
    given = x, torch.zeros(20, n_outputs), 0.7, settings, None, seeded()
    _, labels = labelled_cells([1, 2, n_outputs], *given)
    assert not set.intersection(*of_networks), "every cell is left out once"
    for own, of_forest in zip(of_networks, of_forests, strict=True):
        assert len(own) == 16 and of_forest == own
    # residuals of 3 and 1: the trees alone are best, which the prior shrinks to 3/4
    assert_close(labels, torch.full((4, n_outputs), 0.25 * 3 + 0.75))


def test_the_weight_of_the_trees_minimises_the_error_of_the_mixture():
    first, second = cells(50, 3), 0.7 * cells(50, 6)[:, 3:]
    weights = np.linspace(0, 1, 1001)
    errors = [float(torch.lerp(first, second, share).square().sum()) for share in weights]
    best = weights[np.argmin(errors)]
    assert 0.2 < best < 0.8
    weight = distilled.weight_of_second
    assert weight(first, second, 150) == approx((best + 3 * 0.5) / 4, abs=1e-3)
    assert weight(first, 3 * first, 0) == 0


def test_trees_are_those_of_the_seed_and_of_some_cells(monkeypatch):
    monkeypatch.setattr(distilled, "CELLS_OF_TREES", 30)
    X, Y = cells(40, 8).split(4, dim=1)
    forest, other = (grow_forest(X, Y, 7, np.random.RandomState(seed)) for seed in (0, 1))
    again = grow_forest(X[:30], Y[:30], 7, np.random.RandomState(0))
    assert_array_equal(forest.predict(X), again.predict(X))
    assert (forest.predict(X) != other.predict(X)).any()
    assert len(forest.estimators_) == 7
    assert forest.min_samples_leaf == 3 and forest.max_features == 0.4


# --- the student


def test_artificial_cells_mix_two_cells_and_have_noise():
    """Gene j of cell i is 1000 i + j; so an entry shows where it comes from."""
    x = 1000.0 * torch.arange(40.0)[:, None] + torch.arange(51.0)
    settings = DistilledSettings(
        n_augmented=400, augmentation_noise=0.05, swapped=0.3, steps_of_teachers=1
    )
    random = np.random.RandomState(0)
    made, _ = labelled_cells([51, 2, 1], x, x[:, :1], 0.7, settings, random, seeded())
    sources = (made / 1000).round()
    noise = made - 1000 * sources - torch.arange(51.0)
    assert noise.std() == approx(0.05, rel=0.02) and abs(noise.mean()) < 0.001
    majority = sources.median(dim=1, keepdim=True).values
    # one in forty cells is mixed with itself
    assert (sources != majority).float().mean() == approx(0.3 * 39 / 40, abs=0.01)
    assert len(made) == 400 and len(majority.unique()) == 40, "every cell is used"
    assert max(len(row.unique()) for row in sources) == 2, "genes of a single other cell"


@pytest.mark.parametrize(
    ("n_cells", "n_genes", "expected"), [(150, 5, 1.049), (300, 25, 0.775), (300, 100, 1.549)]
)
def test_teacher_and_student_have_the_same_noise(n_cells, n_genes, expected, monkeypatch):
    """It is stronger with fewer cells, and with more than 25 genes."""
    seen = []

    def labelled_cells(sizes, x, target, noise, settings, random, generator):
        seen.extend([sizes, noise])
        return x, target

    def train_student(network, x, target, labelled, noise, *_):
        seen.extend([[*map(len, values_of(network.layers)[::2])], noise])
        assert labelled == (x, target)
        return [{"stage": "student"}]

    monkeypatch.setattr(distilled, "labelled_cells", labelled_cells)
    monkeypatch.setattr(distilled, "train_student", train_student)
    x = cells(n_cells, n_genes).numpy()
    DistilledBottleneckRegressor(n_genes=n_genes).fit(x, x[:, :5])
    wide, noise, narrow, same_noise = seen
    assert wide == [n_genes, 64, 64, 64, 16, 64, 64, 64, 5]
    assert narrow == [n_genes, 64, 64, 64, 2, 64, 64, 64]
    assert noise == same_noise == approx(expected, abs=0.001)


# --- training


def test_learning_rates_are_those_of_one_cycle():
    rates = [*one_cycle(20, 0.01)]
    assert rates[:3] == approx([0.01 / 25, 0.0052, 0.01]) and rates[-1] == approx(0.01 / 25e4)
    assert len(rates) == 20


def adam_of(network):
    return torch.optim.Adam([value.requires_grad_() for value in values_of(network.layers)])


def assert_same(network, other):
    for value, expected in zip(*map(values_of, (network.layers, other.layers)), strict=True):
        assert_close(value, expected.detach(), rtol=1e-4, atol=1e-5)


def step(optimiser, rate, loss):
    optimiser.param_groups[0]["lr"] = rate
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


SIZES = [12, 8, 6, 2, 6, 8, 3]


def measured(n):
    """Cells, (n, 12), and outputs, (n, 3), that two genes determine."""
    x = cells(n, 12)
    return x, x[:, :2] @ cells(2, 3)


def test_networks_of_the_teacher_equal_autograd():
    """Two networks at once, each on its own cells with noise on the genes."""
    x, y = measured(20)
    members = [torch.arange(12), torch.arange(4, 20)]
    settings = DistilledSettings(steps_of_teachers=2, rate_of_teachers=0.01)
    trained = networks_of_teacher(SIZES, x, y, 0.3, settings, seeded(), members)
    generator = seeded()
    others = [BottleneckNetwork(SIZES, "silu", generator=generator) for _ in members]
    optimisers = [adam_of(one) for one in others]
    for rate in one_cycle(2, 0.01):
        # the smaller set has 12 cells, so a pass is a single batch
        rows = [own[torch.randperm(len(own), generator=generator)[:12]] for own in members]
        noise = 0.3 * torch.randn(2, 12, 12, generator=generator)
        for i, network in enumerate(others):
            output = network(x[rows[i]] + noise[i])
            step(optimisers[i], rate, mse_loss(output, y[rows[i]]))
    for network, other in zip(trained, others, strict=True):
        assert_same(network, other)


def test_the_student_equals_autograd(monkeypatch):
    """64 measured cells with noise, of weight 1/2, and 128 labelled cells in every step."""
    monkeypatch.setattr(distilled, "RECORDED_EVERY", 2)
    monkeypatch.setattr(distilled, "WATCHED_CELLS", 30)
    x, y = measured(100)
    more_x, more_y = x.repeat(2, 1) + 1, y.repeat(2, 1) - 1
    network, other = (BottleneckNetwork(SIZES, "silu", generator=seeded(1)) for _ in range(2))
    settings = DistilledSettings(steps_of_student=3, rate_of_student=0.01)
    given = x, y, (more_x, more_y), 0.3, settings, seeded()
    history = train_student(network, *given, (x[:30], y[:30]))
    generator = seeded()
    optimiser = adam_of(other)
    weights = torch.cat([torch.full((64, 1), 0.5), torch.ones(128, 1)])
    losses = []
    for rate in one_cycle(3, 0.01):
        # a pass is a single batch
        rows = torch.randperm(100, generator=generator)[:64]
        noise = 0.3 * torch.randn(64, 12, generator=generator)
        given = torch.randperm(200, generator=generator)[:128]
        output = other(torch.cat([x[rows] + noise, more_x[given]]))
        error = (output - torch.cat([y[rows], more_y[given]])).square()
        losses.append(error.mean().item())
        step(optimiser, rate, (error * weights / weights.mean()).mean())
    assert_same(network, other)
    assert [row["loss"] for row in history] == approx([np.mean(losses[:2]), losses[2]], rel=1e-4)
    last = history[-1]
    assert last["r2"] == last["eval_r2"]
    assert last["eval_loss"] == approx(mse_loss(network(x[:30]), y[:30]).item(), rel=1e-4)
