"""The distilled protocol: which genes and noise are chosen, and what the student learns from."""

import numpy as np
import pytest
import torch
from pytest import approx
from sklearn.dummy import DummyRegressor
from torch.testing import assert_close

from sbnn import DistilledBottleneckRegressor, DistilledSettings
from sbnn.determinism import reproducible
from sbnn.models.bottleneck.protocols import distilled, few_cells
from sbnn.models.bottleneck.training import Run

MANY = DistilledSettings(few_cells=0)  # whatever their number, treated as many


@pytest.fixture(autouse=True)
def one_thread():
    """Threads cost more than they gain on such small matrices."""
    with reproducible(1):
        yield


def cells(n=512, p=1):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(1))


def run_of(settings=MANY):
    return Run(settings, np.random.RandomState(0), torch.Generator())


# --- genes


def test_genes_of_many_cells_are_chosen_by_a_draw_of_all(monkeypatch):
    seen = []

    def watched(x, target, n_genes, run):
        seen.extend([x, target])
        return np.arange(n_genes)

    monkeypatch.setattr(few_cells, "choose_genes", watched)
    x = torch.arange(100.0)[:, None].repeat(1, 3)
    distilled.choose_genes(x, x + 7, 2, run_of(DistilledSettings(most_cells=20)))
    for drawn in seen:
        assert drawn.shape == (20, 3)
        assert len(drawn[:, 0].unique()) == 20
        assert abs(drawn.mean()) < 1e-4 and drawn.max() - drawn.min() > 50
    assert_close(*seen)


@pytest.mark.parametrize(
    ("n", "n_genes", "screened"), [(300, 5, 120), (300, 70, 140), (100, 5, 50), (100, 70, 70)]
)
def test_more_genes_are_screened_than_are_kept(n, n_genes, screened, monkeypatch):
    def stop(X, Y, number, **_):
        raise InterruptedError(number)

    monkeypatch.setattr(distilled, "forward_selection", stop)
    with pytest.raises(InterruptedError, match=f"^{screened}$"):
        distilled.choose_genes(cells(n, 150), cells(n, 2), n_genes, run_of())


@pytest.mark.parametrize(
    ("n_cells", "few", "least"), [(60, 60, 3), (60, 59, 10), (30, 0, 5), (12, 12, 2)]
)
def test_genes_need_cells_behind_them(n_cells, few, least, monkeypatch):
    """3 with few cells, and else 10, but never more than a sixth of the cells."""
    behind = np.array([1.9, 2.0, 2.9, 3.1, 4.9, 5.0, 9.9, 10.1, 30])
    monkeypatch.setattr(distilled, "cells_behind", lambda x: behind)
    for module, name in ((few_cells, "choose_genes"), (distilled, "choose_of_many")):
        monkeypatch.setattr(module, name, lambda x, target, n_genes, run: [0])
    settings = DistilledSettings(few_cells=few)
    [chosen] = distilled.choose_genes(torch.zeros(n_cells, 9), None, 1, run_of(settings))
    assert chosen == np.flatnonzero(behind >= least)[0]


def test_copies_fill_up_before_genes_of_one_cell():
    x = torch.zeros(60, 8)
    x[0, 0] = x[1, 1] = 7
    x[:, 2:] = cells(60, 2).repeat(1, 3)
    x -= x.mean(0)
    chosen = distilled.choose_genes(x, x[:, [2, 3]], 5, run_of())
    assert len(set(chosen)) == 5 and not {0, 1} & set(chosen)
    assert chosen.tolist() == sorted(chosen)
    more = distilled.choose_genes(x, x[:, [2, 3]], 7, run_of())
    assert more.tolist() == [0, *range(2, 8)]
    for n_genes in (None, 8):
        assert distilled.choose_genes(x, None, n_genes, run_of()).tolist() == list(range(8))


@pytest.mark.parametrize("n_genes", [1, 2])
def test_of_few_genes_those_are_kept_that_sum_up_others(n_genes, rng):
    """Six genes drive the outputs; a seventh, nearly their sum, alone explains most."""
    X = rng.normal(size=(300, 40))
    drivers = X[:, :6]
    X[:, 6] = drivers.sum(1) + 0.8 * X[:, 6]
    Y = 0.5 * rng.normal(size=(300, 4))
    Y += drivers @ rng.uniform(0.5, 1, size=(6, 4))
    x, y = torch.as_tensor(X - X.mean(0)).float(), torch.as_tensor(Y - Y.mean(0)).float()
    x, y = x / x.std(0), y / y.std(0)
    assert 6 in distilled.choose_genes(x, y, n_genes, run_of())
    most_relevant_alone = run_of(DistilledSettings(few_cells=0, fewest_relevant=1))
    assert 6 not in distilled.choose_genes(x, y, n_genes, most_relevant_alone)


# --- the teacher


class MadeUp:
    """Held-out errors by noise level, and the order in which they were asked for."""

    def __init__(self, errors):
        self.errors = errors
        self.asked = []

    def error(self, noise, n_parts):
        assert n_parts == 3
        self.asked.append(noise)
        return self.errors[noise]


@pytest.mark.parametrize(
    ("errors", "best", "not_tried"),
    [
        ([5, 3, 4, 2, 6], 1.2, set()),
        ([5, 3, 4, 7, 1], 0.5, {2.0}),
        ([1, 4, 4, 4, 1], 0.8, {0.1, 2.0}),
        ([1, 2, 3, 4, 5], 0.1, {2.0}),
    ],
)
def test_noise_levels_are_tried_from_the_usual_one_outwards(errors, best, not_tried):
    noises = (0.1, 0.5, 0.8, 1.2, 2.0)
    held_out = MadeUp(dict(zip(noises, errors, strict=True)))
    assert distilled.best_noise(held_out, noises, 0.8, 3) == best
    assert set(noises) - set(held_out.asked) == not_tried


def test_the_teacher_compares_noise_on_three_parts_and_mixes_all(monkeypatch):
    """Networks are trained when first needed, and no model sees the part it is judged on."""
    errors = {0.5: 3.0, 0.8: 4.0, 1.2: 5.0, 2.0: 6.0}
    x = torch.arange(20.0)[:, None]
    left_out = []
    cells_of_forests = []

    def networks_of_teacher(new, x, target, run, noise, members):
        left_out.extend([noise, *set(range(20)) - set(own.tolist())] for own in members)
        return [lambda x: torch.full((len(x), 1), errors[noise])] * len(members)

    def grow_forest(X, Y, n_trees, random):
        cells_of_forests.append(X[:, 0].tolist())
        return DummyRegressor(strategy="constant", constant=1.0).fit(X, Y)

    monkeypatch.setattr(distilled, "networks_of_teacher", networks_of_teacher)
    monkeypatch.setattr(distilled, "grow_forest", grow_forest)
    settings = DistilledSettings(most_cells_of_trees=11, prior_cells=10, watched_cells=2)
    teacher = distilled.Teacher(None, x, torch.zeros(20, 1), run_of(settings))
    assert teacher.noise == 0.5
    # 0.5 is compared with 0.8 and 1.2 on three parts; the other two parts are for the best alone
    levels = [noise for noise, *_ in left_out]
    assert sorted(levels) == [0.5] * 5 + [0.8] * 3 + [1.2] * 3
    parts = [part for noise, *part in left_out if noise == 0.5]
    assert sorted(sum(parts, [])) == list(range(20))
    for part, seen in zip(parts, cells_of_forests, strict=True):
        assert len(seen) == 11 and not set(part) & set(seen)
    # Residuals of 3 and 1 on ten cells: the trees alone are best, which ten cells shrink to 3/4.
    assert teacher.weight == approx(0.75)
    assert_close(teacher.predict(cells(4)), torch.full((4, 1), 0.25 * 3 + 0.75))


def test_the_weight_of_the_trees_minimises_the_error_of_the_mixture():
    first, second = cells(50, 3), 0.7 * cells(50, 6)[:, 3:]
    weights = np.linspace(0, 1, 1001)
    errors = [float(torch.lerp(first, second, share).square().sum()) for share in weights]
    best = weights[np.argmin(errors)]
    assert 0.2 < best < 0.8
    weight = distilled.weight_of_second
    assert weight(first, second, 0) == approx(best, abs=1e-3)
    assert weight(first, second, 150) == approx((best + 3 * 0.5) / 4, abs=1e-3)
    assert weight(first, 3 * first, 0) == 0
    assert weight(3 * first, first, 0) == 1
    assert weight(first, first, 10) == approx(5 / 60)


# --- the student


@pytest.mark.parametrize("swapped", [0.0, 0.3])
def test_artificial_cells_mix_two_cells_and_have_noise(swapped):
    """Gene j of cell i is 1000 i + j; so an entry shows where it comes from."""
    x = 1000.0 * torch.arange(40.0)[:, None] + torch.arange(51.0)
    settings = DistilledSettings(n_augmented=400, augmentation_noise=0.05)
    made = distilled.augment(x, swapped, run_of(settings)).numpy()
    sources = np.floor(made / 1000 + 0.5).astype(int)
    noise = made - 1000 * sources - np.arange(51)
    assert noise.std() == approx(0.05, rel=0.02) and abs(noise.mean()) < 0.001
    majority = np.median(sources, axis=1)
    is_other = sources != majority[:, None]
    # one in forty cells is mixed with itself
    assert is_other.mean() == approx(swapped * 39 / 40, abs=0.01)
    assert len(made) == 400 and set(majority) == set(range(40)), "every cell is used"
    for own, others in zip(sources, is_other, strict=True):
        assert len(set(own[others])) <= 1, "from a single other cell"


def test_the_student_learns_from_the_teacher(data, monkeypatch):
    """Labelled cells are artificial, with predictions of the teacher, whose noise is used."""
    seen = []

    class Teacher:
        noise = 1.0

        def __init__(self, new, x, target, run):
            assert new().shapes[2:4] == [(64, 64), (64, 16)]

        def predict(self, x):
            return x[:, :5] + 100

    def train_student(network, x, target, labelled, noise, *_):
        seen.extend([network.shapes, labelled, noise])
        return [{"stage": "student"}]

    monkeypatch.setattr(distilled, "Teacher", Teacher)
    monkeypatch.setattr(distilled, "train_student", train_student)
    settings = DistilledSettings(few_cells=0, n_augmented=500)
    model = DistilledBottleneckRegressor(n_genes=6, distillation=settings)
    model.fit(data.X, data.Y)
    shapes, (made, labels), noise = seen
    assert made.shape == (500, 6) and noise == 1.0
    assert_close(labels, made[:, :5] + 100)
    *_, encoder, decoder, _, _, head = shapes
    assert (encoder, decoder, head) == ((64, 2), (2, 64), (64, 5))
