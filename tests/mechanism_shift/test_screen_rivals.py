"""The comparison of networks and baselines on held-out cells of screens."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import sparse, stats

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
rivals = importlib.import_module("screen_rivals")
CODES = np.repeat([0, 1, 2], [3, 2, 1])


def test_without_latents_genes_are_negative_binomial_given_the_total(rng):
    counts = sparse.csr_array(rng.poisson(5, (6, 4)).astype(np.int32))
    model = rivals.Independent(rng.dirichlet(np.ones(4), 3))
    model.dispersion = torch.tensor([0.0, 1.0, 2.0, 3.0]).double()
    shares = np.exp(model.log_shares.numpy())[CODES]
    means, sizes = shares * counts.sum(axis=1)[:, None], np.exp([0.0, 1, 2, 3])
    expected = stats.nbinom.logpmf(counts.toarray(), sizes, sizes / (sizes + means)).sum(axis=1)
    assert_allclose(model.bounds(counts, CODES), expected)
    fitted = rivals.Independent(np.exp(model.log_shares.numpy())).fit(counts, CODES)
    assert fitted.bounds(counts, CODES).mean() > expected.mean()


def test_networks_are_trained_on_one_half_of_the_cells(adata, screen, monkeypatch):
    train, test = rivals.halves(screen.perturbation, 3)
    assert len(np.intersect1d(train, test)) == 0
    assert len(train) == len(screen.perturbation) // 2

    def fit(name, start, counts, perturbation, control):
        assert (counts != screen.counts[train]).nnz == 0
        assert (perturbation == screen.perturbation[train]).all()
        raise InterruptedError

    monkeypatch.setattr(rivals, "fit_network", fit)
    with pytest.raises(InterruptedError):
        rivals.of_run(adata, 3, 0)


def test_the_penalty_of_sams_vae_is_the_divergence_from_its_priors():
    prior = rivals.AdditiveShifts(4, 3, 2, n_cells=2)
    with torch.no_grad():
        prior.gates.fill_(np.log(1 / 9))  # a probability of 0.1
        prior.log_variances.fill_(0.0)
        assert prior.penalty().item() == pytest.approx(0, abs=1e-6)
        prior.shifts[0] = 2.0
        assert prior.penalty().item() == pytest.approx(0.5 * 0.1 * 3 * 2.0, rel=1e-4)
        prior.gates.fill_(20.0)
        expected = 0.5 * (6 * np.log(10) + 3 * 2.0)
        assert prior.penalty().item() == pytest.approx(expected, rel=1e-3)
        means = prior.drawn_means(torch.tensor([0, 0, 1]), torch.Generator().manual_seed(0))
    assert torch.equal(means[0], means[1]), "one draw for all cells"
