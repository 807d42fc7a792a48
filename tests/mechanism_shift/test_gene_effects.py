"""Effects on genes beyond the latents."""

import numpy as np
import pytest
import torch
from scipy import stats

from sbnn.mechanism_shift import direct
from sbnn.mechanism_shift.direct import SCALES, effects_on_genes, shrunken
from sbnn.mechanism_shift.network import ShiftNetwork


def test_the_posterior_of_an_effect_is_that_of_its_prior(monkeypatch):
    """Without a round of estimation, all scales are equally probable."""
    monkeypatch.setattr(direct, "ROUNDS", 0)
    estimate, error = 0.7, 0.3
    mean = shrunken(np.array([[estimate]]), np.array([[error]]))
    effects, step = np.linspace(-8, 8, 200_001, retstep=True)
    priors = np.mean([stats.norm(0, scale).pdf(effects) for scale in SCALES[1:]], axis=0)
    weights = stats.norm(effects, error).pdf(estimate) * priors * 16 * step
    none = stats.norm(0, error).pdf(estimate)
    assert mean.item() == pytest.approx(weights @ effects / (weights.sum() + none), rel=1e-3)


def test_rows_have_priors_of_their_own_that_assume_some_genes_without_an_effect():
    estimates = np.array([[0.05, 0.1, 0.6], [2.0, -1.8, 0.6]])
    mean = shrunken(estimates, np.full((2, 3), 0.2))
    assert mean[0, 2] < mean[1, 2] < 0.6
    np.testing.assert_array_equal(shrunken(estimates[:1], np.full((1, 3), 0.2)), mean[:1])
    assert shrunken(np.array([[3.0]]), np.array([[1.0]]))[0] < 1.5


def test_an_effect_on_one_gene_is_direct(screen, fitted):
    table = fitted.gene_effects_.set_index(["perturbation", "gene"])
    assert screen.control not in table.index and len(table) == 40 * 60
    largest = table["direct"].abs().idxmax()
    assert largest == ("perturbation_03", 6)
    assert table.loc[largest, "edge"] and table.loc[largest, "direct"] < -0.5


@pytest.mark.parametrize("likelier", [True, False])
def test_effects_on_genes_count_if_held_out_cells_become_likelier(likelier):
    counts = torch.from_numpy(np.random.default_rng(0).poisson(20, (300, 40))).float()
    codes = torch.arange(3).repeat_interleave(100)
    train, validation = np.arange(0, 300, 2), np.arange(1, 300, 2)
    counts[100:200:2, 3] *= 3
    counts[101:200:2, 3] *= 2 if likelier else 0.1
    flat = ShiftNetwork(40, 1, 3, "vae", hidden=4)
    for values in flat.logits.parameters():
        values.data.zero_()
    effects, edges = effects_on_genes(flat, counts, codes, train, validation)
    assert effects.any() == likelier == edges[1, 3]
    assert edges.sum() <= 2
    if likelier:
        expected = np.log(3 * 40 / 42)
        assert effects[1, 3] == pytest.approx(expected, abs=0.1), "of the training cells"
