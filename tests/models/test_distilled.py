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
from sbnn.models.distilled import (
    forward_selection,
    grow_forest,
    pseudo_labelled_cells,
)
from sbnn.models.network import list_parameters


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def cells(n=512, p=1):
    return torch.randn(n, p, generator=seeded(1))


# --- genes


def test_it_follows_the_definition(rng):
    """Try every gene; keep the one with the largest gain."""
    X = rng.normal(size=(20, 12)) @ rng.normal(size=(12, 12))
    Y = X[:, :3] + rng.normal(size=(20, 3))
    # Ridge regression is least squares with a cell more for every gene.
    more_X = np.vstack([X, np.sqrt(50) * np.eye(12)])
    more_Y = np.vstack([Y, np.zeros((12, 3))])
    chosen = []
    for _ in range(8):
        left = np.setdiff1d(np.arange(12), chosen)
        errors = [np.linalg.lstsq(more_X[:, [*chosen, gene]], more_Y)[1].sum() for gene in left]
        chosen.append(left[np.argmin(errors)])
    assert forward_selection(X, Y, 8, 50.0).tolist() == chosen


def test_more_genes_than_cells_and_copies(rng):
    X = rng.normal(size=(30, 200))
    assert len(forward_selection(X, X[:, :2], 40, penalty=0.0)) <= 30
    assert len(set(forward_selection(X, X[:, :2], 45, penalty=30.0))) == 45
    copies = 0.01 * X[:, [0, 0, 1, 1]]
    assert forward_selection(copies, copies[:, :1], 4, penalty=0.0).tolist() == [0, 2]


def test_of_a_file_few_values_are_read_at_once(adata, tmp_path, monkeypatch):
    """Blocks, for the scales; some cells, on which genes are chosen; and the kept genes of all."""
    seen = []
    read = inputs.read_cells

    def watched(*args):
        values = read(*args)
        seen.append(values.shape)
        return values

    monkeypatch.setattr(inputs, "read_cells", watched)
    monkeypatch.setattr(inputs, "VALUES_AT_ONCE", 800)
    monkeypatch.setattr(distilled, "CELLS_OF_GENES", 15)
    moment = DistilledSettings(n_augmented=60, steps_of_teachers=2, steps_of_student=2)
    model = DistilledBottleneckRegressor(n_genes=4, distillation=moment)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    model.fit(anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r"))
    assert set(seen) == {(20, 40), (15, 40), (20, 4)}
    assert_array_equal(model.gene_norms_[model.get_support()], model.network_.input_norms())


def test_genes_need_cells_behind_them(monkeypatch):
    """10 cells at the same level, but never more than a sixth; the penalty falls with the cells."""
    selection = mock.Mock(return_value=[0])
    monkeypatch.setattr(distilled, "forward_selection", selection)
    for n_cells, n_usable in [(6000, 3), (30, 9)]:
        x = 7.0 * (torch.arange(n_cells)[:, None] < torch.arange(1, 13))
        distilled.choose_genes(x, x, 1)
        X, Y, _, penalty = selection.call_args.args
        assert X.shape == (n_cells, n_usable) and penalty == approx(30_000 / n_cells)
        assert abs(X.mean(axis=0)).max() < 1e-4 and abs(Y.mean(axis=0)).max() < 1e-4


def test_copies_fill_up_before_genes_of_one_cell():
    x = torch.zeros(60, 8)
    x[0, 0] = x[1, 1] = 7
    x[:, 2:] = 100 * cells(60, 2).repeat(1, 3)
    chosen = distilled.choose_genes(x, x[:, [2, 3]], 7)
    assert chosen.tolist() == [0, *range(2, 8)]


# --- the teacher


def test_the_teacher_judges_its_models_on_cells_they_did_not_see(monkeypatch):
    def remembering(seen, value):
        """A model without an error in the cells that it has seen."""
        return SimpleNamespace(predict=lambda x: np.where(np.isin(x, seen), 0, [value, value]))

    def train_teacher_networks(sizes, x, target, noise, settings, generator, members):
        assert [len(own) for own in members] == [16] * 5
        return [remembering(x[own], 3.0) for own in members]

    def grow_forest(X, Y, n_trees, random):
        return remembering(X, -1.0)

    monkeypatch.setattr(distilled, "train_teacher_networks", train_teacher_networks)
    monkeypatch.setattr(distilled, "grow_forest", grow_forest)
    monkeypatch.setattr(distilled, "PRIOR_CELLS", 20)
    x = torch.arange(20.0)[:, None]
    given = x, torch.zeros(20, 2), 0.7, DistilledSettings(n_augmented=4), None, seeded()
    _, labels = pseudo_labelled_cells([1, 2, 2], *given)
    # residuals of 3 and -1: the best weight of trees is 3/4, which the prior shrinks to 5/8
    assert_close(labels, torch.full((4, 2), 3 * 3 / 8 - 5 / 8))


def test_the_weight_of_the_trees_minimises_the_error_of_the_mixture():
    first, second = cells(50, 3), 0.7 * cells(50, 6)[:, 3:]
    weights = torch.linspace(0, 1, 1001)
    errors = torch.lerp(first, second, weights[:, None, None]).square().sum((1, 2))
    best = weights[errors.argmin()].item()
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
    made, _ = pseudo_labelled_cells([51, 2, 1], x, x[:, :1], 0.7, settings, random, seeded())
    sources = (made / 1000).round()
    noise = made - 1000 * sources - torch.arange(51.0)
    assert noise.std() == approx(0.05, rel=0.02)
    majority = sources.median(dim=1, keepdim=True).values
    # one in forty cells is mixed with itself
    assert (sources != majority).float().mean() == approx(0.3 * 39 / 40, abs=0.01)
    assert len(made) == 400 and len(majority.unique()) == 40, "every cell is used"
    assert max(len(row.unique()) for row in sources) == 2, "genes of a single other cell"


@pytest.mark.parametrize(("n_cells", "n_genes", "expected"), [(150, 5, 1.049), (300, 100, 1.549)])
def test_teacher_and_student_have_the_same_noise(n_cells, n_genes, expected, monkeypatch):
    """It is stronger with fewer cells, and with more than 25 genes."""
    teach, learn = mock.Mock(), mock.Mock(return_value=[])
    monkeypatch.setattr(distilled, "pseudo_labelled_cells", teach)
    monkeypatch.setattr(distilled, "train_distilled", learn)
    x = cells(n_cells, n_genes).numpy()
    DistilledBottleneckRegressor(n_genes=n_genes).fit(x, x[:, :5])
    sizes, _, _, noise, *_ = teach.call_args.args
    student, _, _, labelled, same_noise, *_ = learn.call_args.args
    assert sizes == [n_genes, 64, 64, 64, 16, 64, 64, 64, 5]
    assert [*map(len, list_parameters(student.layers)[::2])] == [n_genes, 64, 64, 64, 2, 64, 64, 64]
    assert noise == same_noise == approx(expected, abs=0.001)
    assert labelled is teach.return_value
