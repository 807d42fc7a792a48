"""The comparison of networks and baselines on held-out cells of screens."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import sparse, stats
from short_recipes import TINY

from sbnn.mechanism_shift import report

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
rivals = importlib.import_module("screen_rivals")
CODES = np.repeat([0, 1, 2], [3, 2, 1])


@pytest.fixture
def counts(rng):
    return sparse.csr_array(rng.poisson(5, (6, 4)).astype(np.int32))


@pytest.fixture
def independent(rng):
    model = rivals.Independent(rng.dirichlet(np.ones(4), 3))
    model.dispersion = torch.tensor([0.0, 1.0, 2.0, 3.0]).double()
    return model


def test_without_latents_genes_are_negative_binomial_given_the_total(counts, independent):
    shares = np.exp(independent.log_shares.numpy())[CODES]
    means, sizes = shares * counts.sum(axis=1)[:, None], np.exp([0.0, 1, 2, 3])
    expected = stats.nbinom.logpmf(counts.toarray(), sizes, sizes / (sizes + means)).sum(axis=1)
    assert_allclose(independent.bounds(counts, CODES), expected)


def test_withheld_perturbations_are_averaged_over_by_their_frequency(counts, independent):
    of_code = [independent.bounds(counts, np.full(6, code)) for code in range(3)]
    expected = np.log(
        0.7 * np.exp(of_code[0]) + 0.2 * np.exp(of_code[1]) + 0.1 * np.exp(of_code[2])
    )
    assert_allclose(rivals.withheld(independent.bounds, counts, [0.7, 0.2, 0.1]), expected)


def test_a_change_is_relative_to_the_control_and_no_change_explains_nothing():
    observed = np.array([[400.0, 100, 500], [1000, 1000, 2000]])
    moved = np.array([True, False])
    measured = rivals.log_changes(observed, observed.sum(axis=1, keepdims=True), moved)
    assert_allclose(measured[0], [np.log([1.6, 0.4, 1.0])], atol=0.01)
    significant = np.array([[True, True, False]])
    none = rivals.scores_of_changes(np.zeros((1, 3)), *measured, significant)
    half = rivals.scores_of_changes(measured[0] / 2, *measured, significant)
    assert (none["slope"], none["r2"]) == pytest.approx((0, 0), abs=1e-9)
    assert (half["slope"], half["r2"]) == pytest.approx((0.5, 0.75))
    assert none["rmse"] == pytest.approx(2 * half["rmse"])


def test_effects_and_shares_of_genes_are_those_of_staged(screen, staged):
    codes = np.unique(screen.perturbation, return_inverse=True)[1]
    direct, shares = rivals.effects_on_genes(staged, screen.counts, codes)
    assert_allclose(direct, staged.direct_, atol=1e-4)
    assert_allclose(shares, staged.shares_, atol=1e-4)


def test_bounds_are_those_of_cells_with_their_perturbation(screen):
    codes = np.unique(screen.perturbation, return_inverse=True)[1]
    model = rivals.fit_like_staged("ivae", 3, TINY, 0, screen.counts, screen.perturbation)
    model.prior_.table.data += 2.0 * torch.arange(len(model.prior_.table))[:, None] / 10
    direct = torch.zeros(len(model.prior_.table), screen.counts.shape[1])
    order = np.random.default_rng(0).permutation(len(codes))[:200]
    given = rivals.bounds_of(model, direct, screen.counts[order], codes[order])
    cell = order[7]
    alone = rivals.bounds_of(model, direct, screen.counts[[cell]], codes[[cell]], n_samples=2000)
    assert given[7] == pytest.approx(alone[0], rel=0.02)
    wrong = rivals.bounds_of(model, direct, screen.counts[order], (codes[order] + 20) % 41)
    assert given.mean() > wrong.mean()


def test_networks_are_trained_on_one_half_of_the_cells(adata, screen, monkeypatch):
    train, test = rivals.halves(screen.perturbation, 3)
    assert len(np.intersect1d(train, test)) == 0

    def fit(name, n_latent, recipe, start, counts, perturbation):
        assert (counts != screen.counts[train]).nnz == 0
        assert (perturbation == screen.perturbation[train]).all()
        raise InterruptedError

    monkeypatch.setattr(rivals, "fit_like_staged", fit)
    with pytest.raises(InterruptedError):
        rivals.of_run(adata, 5, 3, 0, compared=["ivae"])


def runs(differences, errors, dataset="papalexi"):
    """Runs in which the bounds of two methods differ."""
    return [
        SimpleNamespace(
            likelihoods=pd.DataFrame({"given": [difference, 0.0]}, ["a", "b"]),
            errors=np.full((2, 2, 2), error),
            dataset=dataset,
            settings={"split": i},
        )
        for i, (difference, error) in enumerate(zip(differences, errors, strict=True))
    ]


def limits(runs):
    """Limits of the interval, as numbers."""
    _, text = report.rivals_difference(runs, "a", "b")
    return [float(part) for part in text[text.index("[") + 1 : -1].split(",")]


def test_splits_of_one_screen_are_not_counted_as_independent():
    half = np.sqrt(1.96**2 * (0.09 + 0.16 + 0.25) / 3 + stats.t.ppf(0.975, 2) ** 2 / 3)
    found = limits(runs([1.0, 2, 3], [0.3, 0.4, 0.5]))
    assert found == pytest.approx([2 - half, 2 + half], abs=1e-3)


def test_starts_on_one_simulated_screen_are_averaged():
    of_starts = runs([0.5, 2, 3, 1.5, 2, 3], [0.3] * 6, "simulated_screen")
    for run, seed in zip(of_starts, (0, 1, 2, 0, 1, 2), strict=True):
        run.settings["split"] = seed
    half = stats.t.ppf(0.975, 2) / np.sqrt(3)
    assert limits(of_starts) == pytest.approx([2 - half, 2 + half], abs=1e-3)


def test_intervals_over_splits_cover_the_mean_difference_of_noise(rng):
    """Two shrunken means of classes, with noise of training, differ by what other screens show."""
    truth, found = rng.normal(size=(5, 10)) * 0.15, []
    for _ in range(150):
        cells = truth[:, None] + rng.standard_t(4, (5, 200, 10)) / np.sqrt(2)
        means, errors = [], []
        for _ in range(3):
            order = rng.permuted(np.tile(np.arange(200), (5, 1)), axis=1)
            halves = np.take_along_axis(cells, order[..., None], 1)
            centres = halves[:, :100].mean(axis=1, keepdims=True)
            fits = [f * centres + 0.3 * rng.normal(size=centres.shape) for f in (0.6, 1.0)]
            bounds = [-0.5 * ((halves[:, 100:] - fit) ** 2).sum(axis=2) for fit in fits]
            difference = (bounds[0] - bounds[1]).ravel()
            means.append(difference.mean())
            errors.append(difference.std() / len(difference) ** 0.5)
        found.append((np.mean(means), *limits(runs(means, errors))))
    expected = np.mean([mean for mean, _, _ in found])
    assert np.mean([low <= expected <= high for _, low, high in found]) >= 0.95


def test_the_penalty_of_sams_vae_is_the_divergence_from_its_priors():
    prior = rivals.AdditiveMeans(2, 3)
    prior.share = 0.5
    with torch.no_grad():
        prior.logits.fill_(np.log(1 / 9))  # a probability of 0.1
        prior.log_variances.fill_(0.0)
        assert prior.penalty().item() == pytest.approx(0, abs=1e-6)
        prior.table[0] = 2.0
        assert prior.penalty().item() == pytest.approx(0.5 * 0.1 * 3 * 2.0, rel=1e-4)
        prior.logits.fill_(20.0)
        expected = 0.5 * (6 * np.log(10) + 3 * 2.0)
        assert prior.penalty().item() == pytest.approx(expected, rel=1e-3)
