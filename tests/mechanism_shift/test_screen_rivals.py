"""The comparison of networks and baselines on held-out cells of screens."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
rivals = importlib.import_module("screen_rivals")


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
    prior = rivals.AdditiveShifts(4, 3, 2, n_cells=2).requires_grad_(False)
    prior.log_variances.fill_(0.0)
    prior.shifts[0] = 2.0
    for logit, gates, open_gates in ((np.log(1 / 9), 0, 0.1), (20.0, 6 * np.log(10), 1)):
        prior.gates.fill_(logit)
        expected = (gates + open_gates * 3 * 2.0) / 2  # of two cells
        assert prior.penalty().item() == pytest.approx(expected, rel=1e-3)
