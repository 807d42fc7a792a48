"""The distilled protocol: the chosen genes, the teacher, and what the student learns from it."""

from types import SimpleNamespace
from unittest import mock

import anndata
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from pytest import approx
from torch.testing import assert_close

from sbnn import DistilledBottleneckRegressor, DistilledSettings
from sbnn.data import inputs
from sbnn.models import distilled
from sbnn.models.base import ScaledCells
from sbnn.models.distilled import (
    choose_genes,
    forward_selection,
    grow_forest,
    mixture_weight,
    pseudo_labelled_cells,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal_values(n_cells, n_genes):
    return torch.randn(n_cells, n_genes, generator=seeded(1))


# --- genes


def test_forward_selection_takes_the_largest_gain(rng):
    """Try every gene; keep the one with the largest gain."""
    X = rng.normal(size=(20, 12)) @ rng.normal(size=(12, 12))
    Y = X[:, :3] + rng.normal(size=(20, 3))
    # ridge regression is least squares with a cell more for every gene
    more_X = np.vstack([X, np.sqrt(50) * np.eye(12)])
    more_Y = np.vstack([Y, np.zeros((12, 3))])
    chosen = []
    for _ in range(8):
        remaining = np.setdiff1d(np.arange(12), chosen)
        errors = []
        for gene in remaining:
            columns = more_X[:, [*chosen, gene]]
            _, squares, _, _ = np.linalg.lstsq(columns, more_Y)
            errors.append(squares.sum())
        chosen.append(remaining[np.argmin(errors)])
    assert forward_selection(X, Y, n_genes=8, penalty=50.0).tolist() == chosen


def test_least_squares_takes_as_many_genes_as_cells(rng):
    X = rng.normal(size=(30, 200))
    assert len(forward_selection(X, X[:, :2], n_genes=40, penalty=0.0)) <= 30


def test_a_penalty_allows_more_genes_than_cells(rng):
    X = rng.normal(size=(30, 200))
    genes = forward_selection(X, X[:, :2], n_genes=45, penalty=30.0)
    assert len(set(genes)) == 45


def test_copies_are_not_chosen(rng):
    X = rng.normal(size=(30, 2))
    copies = 0.01 * X[:, [0, 0, 1, 1]]
    genes = forward_selection(copies, copies[:, :1], n_genes=4, penalty=0.0)
    assert genes.tolist() == [0, 2]


@pytest.mark.parametrize(("n_cells", "n_usable"), [(6000, 3), (30, 9)])
def test_genes_need_cells_behind_them(n_cells, n_usable, monkeypatch):
    """Gene i has i + 1 cells at the same level: 10 are needed, but never more than a sixth."""
    selection = mock.Mock(return_value=[0])
    monkeypatch.setattr(distilled, "forward_selection", selection)
    x = 7.0 * (torch.arange(n_cells)[:, None] < torch.arange(1, 13))
    choose_genes(x, x, 1)
    X, _ = selection.call_args.args
    assert X.shape == (n_cells, n_usable)


@pytest.mark.parametrize(("n_cells", "penalty"), [(6000, 5.0), (30, 1000.0)])
def test_the_penalty_falls_with_the_cells(n_cells, penalty, monkeypatch):
    selection = mock.Mock(return_value=[0])
    monkeypatch.setattr(distilled, "forward_selection", selection)
    x = normal_values(n_cells, 12)
    choose_genes(x, x, 1)
    assert selection.call_args.kwargs["penalty"] == approx(penalty)


def test_genes_and_outputs_are_centred(monkeypatch):
    selection = mock.Mock(return_value=[0])
    monkeypatch.setattr(distilled, "forward_selection", selection)
    x = normal_values(60, 12) + 5
    choose_genes(x, x, 1)
    X, Y = selection.call_args.args
    assert abs(X.mean(axis=0)).max() < 1e-4
    assert abs(Y.mean(axis=0)).max() < 1e-4


def test_copies_fill_up_before_genes_of_one_cell():
    x = torch.zeros(60, 8)
    x[0, 0] = x[1, 1] = 7
    x[:, 2:] = 100 * normal_values(60, 2).repeat(1, 3)
    chosen = choose_genes(x, x[:, [2, 3]], 7)
    assert chosen.tolist() == [0, *range(2, 8)]


@pytest.mark.parametrize("output", [1, 4])
def test_outputs_decide_on_genes_of_few_cells(output):
    x = torch.zeros(60, 6)
    x[range(6), range(6)] = 7
    assert choose_genes(x, x[:, [output]], 1) == [output]


# --- a file


@pytest.fixture
def fit_of_file(adata, tmp_path, monkeypatch):
    """A model of a file, and the shapes that were read."""
    shapes = []
    read_cells = inputs.read_cells

    def spy(*args):
        values = read_cells(*args)
        shapes.append(values.shape)
        return values

    monkeypatch.setattr(inputs, "read_cells", spy)
    monkeypatch.setattr(inputs, "VALUES_AT_ONCE", 800)
    monkeypatch.setattr(distilled, "MOST_SELECTION_CELLS", 15)
    settings = DistilledSettings(n_augmented=60, steps_of_teachers=2, steps_of_student=2)
    model = DistilledBottleneckRegressor(n_genes=4, distillation=settings)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    model.fit(anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r"))
    return model, shapes


def test_few_values_of_a_file_are_read_at_once(fit_of_file):
    """Blocks, for the scales; some cells, on which genes are chosen; and the kept genes of all."""
    _, shapes = fit_of_file
    assert set(shapes) == {(20, 40), (15, 40), (20, 4)}


def test_norms_are_those_of_the_kept_genes(fit_of_file):
    model, _ = fit_of_file
    assert_array_equal(model.gene_norms_[model.get_support()], model.network_.input_norms())


# --- the teacher


class Rememberer:
    """A model without an error in the cells that it has seen, and a fixed one in others."""

    def __init__(self, cells, error):
        self.cells = cells
        self.error = error

    def predict(self, x):
        return np.where(np.isin(x, self.cells), 0, [self.error, self.error])


@pytest.fixture
def rememberers(monkeypatch):
    """Networks and trees with residuals of 3 and -1; how many cells each network was given."""
    n_training = []

    def train_teacher_networks(sizes, cells, training_sets, **options):
        n_training.extend(len(rows) for rows in training_sets)
        return [Rememberer(cells.x[rows], 3.0) for rows in training_sets]

    def grow_forest(X, Y, n_trees, random):
        return Rememberer(X, -1.0)

    monkeypatch.setattr(distilled, "train_teacher_networks", train_teacher_networks)
    monkeypatch.setattr(distilled, "grow_forest", grow_forest)
    return n_training


def label(cells, settings, sizes=(1, 2, 2), random=None):
    return pseudo_labelled_cells(
        sizes, cells, noise=0.7, settings=settings, random=random, generator=seeded()
    )


TWENTY_CELLS = ScaledCells(x=torch.arange(20.0)[:, None], target=torch.zeros(20, 2))


def test_each_network_is_trained_without_a_part(rememberers):
    label(TWENTY_CELLS, DistilledSettings(n_augmented=4))
    assert rememberers == [16] * 5


def test_models_are_judged_on_cells_they_missed(rememberers, monkeypatch):
    """The best weight of trees is 3/4, which the prior shrinks to 5/8."""
    monkeypatch.setattr(distilled, "PRIOR_CELLS", 20)
    labelled_cells = label(TWENTY_CELLS, DistilledSettings(n_augmented=4))
    expected = 3 * 3 / 8 - 5 / 8
    assert_close(labelled_cells.target, torch.full((4, 2), expected))


def test_the_mixture_has_the_least_error():
    first, second = normal_values(50, 3), 0.7 * normal_values(50, 6)[:, 3:]
    weights = torch.linspace(0, 1, 1001)
    mixtures = torch.lerp(first, second, weights[:, None, None])
    errors = mixtures.square().sum((1, 2))
    best = weights[errors.argmin()].item()
    assert 0.2 < best < 0.8
    assert mixture_weight(first, second, 0) == approx(best, abs=1e-3)


def test_the_prior_shrinks_the_weight_to_half():
    first, second = normal_values(50, 3), 0.7 * normal_values(50, 6)[:, 3:]
    best = mixture_weight(first, second, 0)
    assert mixture_weight(first, second, 150) == approx((best + 3 * 0.5) / 4)


def test_a_worse_prediction_has_no_weight():
    first = normal_values(50, 3)
    assert mixture_weight(first, 3 * first, 0) == 0


@pytest.fixture
def forty_cells(monkeypatch):
    """Genes and outputs, of which trees see the first 30."""
    monkeypatch.setattr(distilled, "MOST_FOREST_CELLS", 30)
    return normal_values(40, 8).split(4, dim=1)


def test_trees_see_some_cells(forty_cells):
    X, Y = forty_cells
    forest = grow_forest(X, Y, 7, random=np.random.RandomState(0))
    again = grow_forest(X[:30], Y[:30], 7, random=np.random.RandomState(0))
    assert_array_equal(forest.predict(X), again.predict(X))


def test_trees_are_those_of_the_seed(forty_cells):
    X, Y = forty_cells
    forest = grow_forest(X, Y, 7, random=np.random.RandomState(0))
    other = grow_forest(X, Y, 7, random=np.random.RandomState(1))
    assert (forest.predict(X) != other.predict(X)).any()


def test_settings_of_the_forest(forty_cells):
    X, Y = forty_cells
    forest = grow_forest(X, Y, 7, random=np.random.RandomState(0))
    assert len(forest.estimators_) == 7
    assert forest.min_samples_leaf == 3
    assert forest.max_features == 0.4


# --- artificial cells


@pytest.fixture(scope="module")
def artificial():
    """Cells that each gene comes from, and the noise, of 400 artificial cells.

    Gene j of cell i is 1000 i + j; so an entry shows where it comes from.
    """
    x = 1000.0 * torch.arange(40.0)[:, None] + torch.arange(51.0)
    settings = DistilledSettings(
        n_augmented=400, augmentation_noise=0.05, swapped=0.3, steps_of_teachers=1
    )
    cells = ScaledCells(x=x, target=x[:, :1])
    random = np.random.RandomState(0)
    values = label(cells, settings, sizes=(51, 2, 1), random=random).x
    sources = (values / 1000).round()
    noise = values - 1000 * sources - torch.arange(51.0)
    return SimpleNamespace(sources=sources, noise=noise)


def test_there_are_as_many_artificial_cells_as_set(artificial):
    assert len(artificial.sources) == 400


def test_artificial_cells_have_noise(artificial):
    assert artificial.noise.std() == approx(0.05, rel=0.02)


def test_artificial_cells_mix_two_cells(artificial):
    assert max(len(row.unique()) for row in artificial.sources) == 2


def test_every_cell_is_used(artificial):
    majority = artificial.sources.median(dim=1).values
    assert len(majority.unique()) == 40


def test_some_genes_come_from_the_second_cell(artificial):
    majority = artificial.sources.median(dim=1, keepdim=True).values
    is_swapped = artificial.sources != majority
    # one in forty cells is mixed with itself
    assert is_swapped.float().mean() == approx(0.3 * 39 / 40, abs=0.01)


# --- teacher and student


@pytest.fixture(params=[(150, 5, 1.049), (300, 100, 1.549)], ids=["few genes", "many genes"])
def protocol(request, monkeypatch):
    """Arguments of the teacher and the student in a fit with all genes."""
    n_cells, n_genes, noise = request.param
    teach, learn = mock.Mock(), mock.Mock(return_value=[])
    monkeypatch.setattr(distilled, "pseudo_labelled_cells", teach)
    monkeypatch.setattr(distilled, "train_distilled", learn)
    x = normal_values(n_cells, n_genes).numpy()
    DistilledBottleneckRegressor(n_genes=n_genes).fit(x, x[:, :5])
    sizes, _, teacher_noise = teach.call_args.args
    student, _, labelled_cells = learn.call_args.args
    return SimpleNamespace(
        n_genes=n_genes,
        noise=noise,
        teacher_sizes=sizes,
        teacher_noise=teacher_noise,
        labels=teach.return_value,
        student=student,
        student_noise=learn.call_args.kwargs["noise"],
        labelled_cells=labelled_cells,
    )


def test_fewer_cells_or_more_genes_need_more_noise(protocol):
    assert protocol.teacher_noise == approx(protocol.noise, abs=0.001)


def test_teacher_and_student_have_the_same_noise(protocol):
    assert protocol.student_noise == protocol.teacher_noise


def test_the_teacher_has_a_wide_bottleneck(protocol):
    assert protocol.teacher_sizes == [protocol.n_genes, 64, 64, 64, 16, 64, 64, 64, 5]


def test_the_student_has_the_narrow_bottleneck(protocol):
    sizes = [len(layer.weight) for layer in protocol.student.layers]
    assert sizes == [protocol.n_genes, 64, 64, 64, 2, 64, 64, 64]


def test_the_student_learns_what_the_teacher_labelled(protocol):
    assert protocol.labelled_cells is protocol.labels
