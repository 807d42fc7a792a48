"""The distilled protocol: the chosen genes, the teacher, and what the student learns from it."""

import anndata
import numpy as np
import pytest
import torch
from material.estimators import FEW_STEPS, quick, seeded
from numpy.testing import assert_array_equal
from pytest import approx
from torch.testing import assert_close

from sbnn import DistilledBottleneckRegressor, DistilledSettings
from sbnn.data import inputs
from sbnn.models import distilled
from sbnn.models.base import ScaledCells
from sbnn.models.distilled import (
    calibration_slopes,
    choose_genes,
    forward_selection,
    grow_forest,
    mixture_weight,
    pseudo_labelled_cells,
)

NAMES = [f"gene{i:02d}" for i in range(1, 41)]


def normal_values(n_cells, n_genes):
    return torch.randn(n_cells, n_genes, generator=seeded(1))


# --- genes


@pytest.mark.parametrize("first", [[], [9, 4]], ids=["free", "two are required"])
def test_forward_selection_takes_the_largest_gain(first, rng):
    """Try every gene; keep the one with the largest gain beside those that are taken already."""
    X = rng.normal(size=(20, 12)) @ rng.normal(size=(12, 12))
    Y = X[:, :3] + rng.normal(size=(20, 3))
    # ridge regression is least squares with a cell more for every gene
    more_X = np.vstack([X, np.sqrt(50) * np.eye(12)])
    more_Y = np.vstack([Y, np.zeros((12, 3))])
    chosen = [*first]
    while len(chosen) < 8:
        remaining = np.setdiff1d(np.arange(12), chosen)
        errors = []
        for gene in remaining:
            columns = more_X[:, [*chosen, gene]]
            _, squares, _, _ = np.linalg.lstsq(columns, more_Y)
            errors.append(squares.sum())
        chosen.append(remaining[np.argmin(errors)])
    assert forward_selection(X, Y, n_genes=8, penalty=50.0, first=first).tolist() == chosen


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
def test_genes_need_cells_behind_them(n_cells, n_usable):
    """Gene i has i + 1 cells at the same level: 10 are needed, but never more than a sixth."""
    x = 7.0 * (torch.arange(n_cells)[:, None] < torch.arange(1, 13))
    n_rare = 12 - n_usable
    chosen = choose_genes(x, 100 * x[:, :n_rare], n_usable)
    assert sorted(chosen) == list(range(n_rare, 12))


@pytest.mark.parametrize(("n_cells", "penalty"), [(3000, 10.0), (60, 500.0)])
def test_genes_are_centred_and_penalised(n_cells, penalty):
    """Fewer cells have more penalty, which makes different genes the first ones."""
    scales = torch.logspace(-2, 0, 30)
    x = scales * normal_values(n_cells, 30) + 5
    y = normal_values(n_cells, 30)[:, 10:12] + (x / scales).sum(1, keepdim=True) + 9
    X, Y = (values.numpy() - values.numpy().mean(axis=0) for values in (x, y))
    expected = forward_selection(X, Y, n_genes=8, penalty=penalty)
    assert choose_genes(x, y, 8).tolist() == expected.tolist()


def test_copies_fill_up_before_genes_of_one_cell():
    x = torch.zeros(60, 8)
    x[0, 0] = x[1, 1] = 7
    x[:, 2:] = 100 * normal_values(60, 2).repeat(1, 3)
    chosen = choose_genes(x, x[:, [2, 3]], 7)
    assert sorted(chosen) == [0, *range(2, 8)]


@pytest.mark.parametrize("output", [1, 4])
def test_outputs_decide_on_genes_of_few_cells(output):
    x = torch.zeros(60, 6)
    x[range(6), range(6)] = 7
    assert choose_genes(x, x[:, [output]], 1) == [output]


def test_a_required_gene_of_one_cell_comes_first():
    x = 100 * normal_values(60, 6)
    x[:, 4] = 0
    x[3, 4] = 7
    assert choose_genes(x, x[:, [2]], 2, required=[4]).tolist() == [4, 2]


def test_a_panel_is_of_required_and_candidate_genes(adata):
    model = DistilledBottleneckRegressor(
        n_genes=4,
        required_genes=["gene31", "gene05"],
        candidate_genes=NAMES[10:20],
        distillation=FEW_STEPS,
    ).fit(adata)
    assert model.gene_order_[:2].tolist() == [30, 4]
    assert np.isin(model.gene_order_[2:], range(10, 20)).all()
    assert sorted(model.gene_order_) == model.get_support(indices=True).tolist()


@pytest.mark.parametrize(
    ("panel", "message"),
    [
        ({"required_genes": ["GENE01"]}, "1 of 1 genes are not among the 40 genes .*: GENE01;"),
        ({"candidate_genes": [0, 1]}, "not among the 40 genes .*: 0, 1; the data have the names"),
        ({"required_genes": NAMES[:9]}, "9 genes are more than n_genes=8"),
        ({"candidate_genes": NAMES[:7]}, "there are 7 genes for n_genes=8"),
    ],
)
def test_impossible_panels_are_refused(panel, message, adata):
    model = quick(DistilledBottleneckRegressor, n_genes=8, **panel)
    with pytest.raises(ValueError, match=message):
        model.fit(adata)


def test_names_of_a_panel_need_names_of_genes(data):
    model = quick(DistilledBottleneckRegressor, n_genes=25, required_genes=["gene01"])
    with pytest.raises(ValueError, match="X has no names of genes"):
        model.fit(data.X, data.Y)


# --- a file


def test_few_values_of_a_file_are_read_at_once(adata, tmp_path, monkeypatch):
    """A file may be larger than the memory."""
    sizes = []
    read_cells = inputs.read_cells

    def watched(*args):
        values = read_cells(*args)
        sizes.append(values.size)
        return values

    monkeypatch.setattr(inputs, "read_cells", watched)
    monkeypatch.setattr(inputs, "VALUES_AT_ONCE", 800)
    monkeypatch.setattr(distilled, "MOST_SELECTION_CELLS", 15)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    model = quick(DistilledBottleneckRegressor, n_genes=4)
    model.fit(anndata.read_h5ad(tmp_path / "cells.h5ad", backed="r"))
    assert max(sizes) == 800


def test_norms_are_those_of_the_kept_genes(data):
    model = quick(DistilledBottleneckRegressor, n_genes=4).fit(data.X, data.Y)
    assert_array_equal(model.gene_norms_[model.get_support()], model.network_.input_norms())
    assert not model.gene_norms_[~model.get_support()].any()


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
    """Networks and trees with residuals of 3 and -1; how many cells each network was given.

    In place of the real ones, which would not show a leak of cells that they are judged on.
    """
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
    labelled_cells, _ = pseudo_labelled_cells(
        sizes, cells, noise=0.7, settings=settings, random=random, generator=seeded()
    )
    return labelled_cells


TWENTY_CELLS = ScaledCells(x=torch.arange(20.0)[:, None], target=torch.zeros(20, 2))


def test_each_network_is_trained_without_a_part(rememberers):
    label(TWENTY_CELLS, DistilledSettings(n_augmented=4))
    assert rememberers == [16] * 5


def test_models_are_judged_on_cells_they_missed(rememberers, monkeypatch):
    """The best weight of trees is 3/4, which the prior shrinks to 5/8; a slope of 0 becomes 1/2."""
    monkeypatch.setattr(distilled, "PRIOR_CELLS", 20)
    labelled_cells = label(TWENTY_CELLS, DistilledSettings(n_augmented=4))
    expected = (3 * 3 / 8 - 5 / 8) / 2
    assert_close(labelled_cells.target, torch.full((4, 2), expected))


def test_left_out_predictions_are_in_the_order_of_cells(rememberers, monkeypatch):
    """Models predict the value of a gene, and much more for the cells that they have seen."""

    def predict(model, x):
        is_seen = torch.isin(x, model.cells)
        return (x + 100 * is_seen).repeat(1, 2)

    monkeypatch.setattr(Rememberer, "predict", predict)
    settings = DistilledSettings(n_augmented=4)
    _, left_out = pseudo_labelled_cells(
        (1, 2, 2), TWENTY_CELLS, noise=0.7, settings=settings, random=None, generator=seeded()
    )
    slope = 100 / (20 + 100)  # the outputs are 0
    assert_close(left_out, slope * TWENTY_CELLS.x.repeat(1, 2))


def test_the_mixture_has_the_least_error():
    first, second = normal_values(50, 3), 0.7 * normal_values(50, 6)[:, 3:]
    weights = torch.linspace(0, 1, 1001)
    mixtures = torch.lerp(first, second, weights[:, None, None])
    errors = mixtures.square().sum((1, 2))
    best = weights[errors.argmin()].item()
    assert 0.2 < best < 0.8
    assert mixture_weight(first, second, 0) == approx(best, abs=1e-3)


def test_a_worse_prediction_has_no_weight():
    first = normal_values(50, 3)
    assert mixture_weight(first, 3 * first, 0) == 0


def test_slopes_are_those_of_regressions():
    """A prior of many cells with a slope of 1 is a regression with more cells on the diagonal."""
    predictions = normal_values(50, 2)
    target = predictions * torch.tensor([0.3, 1.2]) + normal_values(50, 4)[:, 2:]
    lengths = predictions.square().sum(dim=0).sqrt()
    more = lengths * np.sqrt(2)  # twice as much of a squared length as 50 cells
    expected = []
    for j in range(2):
        x = np.append(predictions[:, j], more[j])
        y = np.append(target[:, j], more[j])
        expected.append(np.linalg.lstsq(x[:, None], y)[0].item())
    assert calibration_slopes(predictions, target, 100).tolist() == approx(expected, rel=1e-5)


def test_an_output_that_is_predicted_upside_down_is_its_mean():
    predictions = normal_values(50, 2)
    slopes = calibration_slopes(predictions, predictions * torch.tensor([-5, 1]), 100)
    assert slopes.tolist() == approx([0, 1])


def test_slopes_are_corrected_for_optimism():
    """Products of predictions and outputs are too large by half of it, over all outputs."""
    predictions = normal_values(50, 2)
    optimism = 0.2 * predictions.square().sum().item()
    slopes = calibration_slopes(predictions, 1.1 * predictions, 0, optimism)
    weights = predictions.square().sum(dim=0)
    assert (slopes * weights).sum().item() == approx(weights.sum().item(), rel=1e-4)


@pytest.fixture
def forty_cells(monkeypatch):
    """Genes and outputs, of which trees see the first 30."""
    monkeypatch.setattr(distilled, "MOST_FOREST_CELLS", 30)
    return normal_values(40, 8).split(4, dim=1)


def test_trees_see_some_cells(forty_cells):
    X, Y = forty_cells
    random = np.random.RandomState(0)
    forest = grow_forest(X, Y, 7, random=random)
    again = grow_forest(X[:30], Y[:30], 7, random=np.random.RandomState(0))
    assert_array_equal(forest.predict(X), again.predict(X))
    # the next one is another
    assert (grow_forest(X, Y, 7, random=random).predict(X) != forest.predict(X)).any()


# --- teacher and student

SHORT = DistilledSettings(n_trees=5, n_augmented=200, steps_of_teachers=20, steps_of_student=60)


def test_training_ends_where_it_always_did(data):
    """Its score, the SD of the latent space, the loss, and the sum of the norms of genes."""
    model = DistilledBottleneckRegressor(
        n_components=3, n_genes=30, distillation=SHORT, random_state=0, device="cpu"
    ).fit(data.X, data.Y)
    loss = model.history_["loss"].iloc[-1]
    sd = model.transform(data.X).std()
    found = [model.score(data.X, data.Y), sd, loss, model.gene_norms_.sum()]
    assert found == approx([0.54069, 1.5807, 0.25352, 36.5512], rel=2e-3)
