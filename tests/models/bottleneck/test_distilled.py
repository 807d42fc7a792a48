"""The distilled protocol: which genes are chosen, and what the student learns from."""

import numpy as np
import pytest
import torch
from pytest import approx
from sklearn.dummy import DummyRegressor
from torch.testing import assert_close

from sbnn import DistilledBottleneckRegressor, DistilledSettings
from sbnn.determinism import reproducible
from sbnn.models.bottleneck.protocols import distilled
from sbnn.models.bottleneck.training import Run


@pytest.fixture(autouse=True)
def one_thread():
    """Threads cost more than they gain on such small matrices."""
    with reproducible():
        yield


def cells(n=512, p=1):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(1))


def run_of(**settings):
    return Run(DistilledSettings(**settings), np.random.RandomState(0), torch.Generator())


# --- genes


@pytest.mark.parametrize(("n", "used"), [(20, 20), (100, 20)])
def test_genes_of_many_cells_are_chosen_by_a_draw_of_all(n, used, monkeypatch):
    """The penalty of the forward selection is 30,000 divided by the number of cells."""
    seen = []

    def watched(X, Y, n_genes, penalty):
        seen.extend([X, Y, penalty])
        return np.arange(n_genes)

    monkeypatch.setattr(distilled, "forward_selection", watched)
    monkeypatch.setattr(distilled, "CELLS_OF_GENES", 20)
    x = torch.arange(1.0 * n)[:, None].repeat(1, 3)
    distilled.choose_genes(x, x + 7, 2, run_of())
    X, Y, penalty = seen
    for drawn in (X, Y):
        assert drawn.shape == (used, 3)
        assert len(np.unique(drawn[:, 0])) == used
        assert abs(drawn.mean()) < 1e-4 and np.ptp(drawn) > 0.5 * n
    np.testing.assert_allclose(X, Y)
    assert penalty == 1500


@pytest.mark.parametrize(("n_cells", "least"), [(600, 10), (30, 5), (12, 2)])
def test_genes_need_cells_behind_them(n_cells, least, monkeypatch):
    """10, but never more than a sixth of the cells."""
    behind = np.array([1.9, 2.0, 2.9, 3.1, 4.9, 5.0, 9.9, 10.1, 30])
    monkeypatch.setattr(distilled, "cells_behind", lambda x: behind)
    monkeypatch.setattr(distilled, "forward_selection", lambda X, *_: [0])
    x = torch.zeros(n_cells, 9)
    [chosen] = distilled.choose_genes(x, x, 1, run_of())
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


# --- the teacher


@pytest.mark.parametrize(
    ("n_cells", "n_genes", "noise"),
    [(150, 5, 1.05), (1500, 25, 0.45), (1500, 100, 0.89), (50, 25, 1.76)],
)
def test_noise_is_stronger_with_fewer_cells_and_more_genes(n_cells, n_genes, noise):
    assert distilled.input_noise(n_cells, n_genes) == approx(noise, abs=0.005)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_the_teacher_judges_its_models_on_cells_they_did_not_see(n_outputs, monkeypatch):
    x = torch.arange(20.0)[:, None]
    left_out = []
    cells_of_forests = []

    def networks_of_teacher(new, x, target, run, noise, members):
        assert noise == 0.7
        left_out.extend(set(range(20)) - set(own.tolist()) for own in members)
        return [lambda x: torch.full((len(x), n_outputs), 3.0)] * len(members)

    def grow_forest(X, Y, n_trees, random):
        cells_of_forests.append(X[:, 0].tolist())
        return DummyRegressor(strategy="constant", constant=np.ones(n_outputs)).fit(X, Y)

    monkeypatch.setattr(distilled, "networks_of_teacher", networks_of_teacher)
    monkeypatch.setattr(distilled, "grow_forest", grow_forest)
    monkeypatch.setattr(distilled, "CELLS_OF_TREES", 11)
    monkeypatch.setattr(distilled, "PRIOR_CELLS", 20)
    teacher = distilled.Teacher(None, x, torch.zeros(20, n_outputs), 0.7, run_of())
    assert sorted(cell for part in left_out for cell in part) == list(range(20))
    for part, seen in zip(left_out, cells_of_forests, strict=True):
        assert len(part) == 4 and len(seen) == 11 and not part & set(seen)
    # residuals of 3 and 1: the trees alone are best, which the prior shrinks to 3/4
    assert teacher.weight == approx(0.75)
    assert_close(teacher.predict(cells(4)), torch.full((4, n_outputs), 0.25 * 3 + 0.75))


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
    run = run_of(n_augmented=400, augmentation_noise=0.05, swapped=swapped)
    made = distilled.augment(x, run).numpy()
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
    """Labelled cells are artificial, with predictions of the teacher; both have the same noise."""
    seen = []

    class Teacher:
        def __init__(self, new, x, target, noise, run):
            assert new().shapes[2:4] == [(64, 64), (64, 16)]
            assert noise == distilled.input_noise(len(data.X), 6)

        def predict(self, x):
            return x[:, :5] + 100

    def train_student(network, x, target, labelled, noise, *_):
        seen.extend([network.shapes, labelled, noise])
        return [{"stage": "student"}]

    monkeypatch.setattr(distilled, "Teacher", Teacher)
    monkeypatch.setattr(distilled, "train_student", train_student)
    settings = DistilledSettings(n_augmented=500)
    model = DistilledBottleneckRegressor(n_genes=6, distillation=settings)
    model.fit(data.X, data.Y)
    shapes, (made, labels), noise = seen
    assert made.shape == (500, 6) and noise == distilled.input_noise(len(data.X), 6)
    assert_close(labels, made[:, :5] + 100)
    *_, encoder, decoder, _, _, head = shapes
    assert (encoder, decoder, head) == ((64, 2), (2, 64), (64, 5))
