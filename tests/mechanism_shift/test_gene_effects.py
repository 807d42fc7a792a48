"""Effects on genes beyond the latents."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from sbnn.mechanism_shift import SparseShiftVAE, direct
from sbnn.mechanism_shift.direct import SCALES, effects_on_genes, shrunken


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


@pytest.mark.filterwarnings("ignore:.* of the shifts may or may not be edges")
def test_an_effect_on_one_gene_is_direct(screen):
    counts = screen.counts.toarray()
    name = screen.targets[3]
    cells = screen.perturbation == name
    gene = int(np.argmin(counts.std(axis=0)))
    counts[cells, gene] = np.random.default_rng(0).binomial(counts[cells, gene], 0.1)
    model = SparseShiftVAE(5, hidden=64, epochs=40, random_state=0)
    model.fit(counts, screen.perturbation, screen.control)
    table = model.gene_effects_.set_index(["perturbation", "gene"])
    assert screen.control not in table.index and len(table) == 40 * 60
    assert table.loc[(name, gene), "edge"] and table.loc[(name, gene), "direct"] < -0.3
    assert table["direct"].abs().idxmax() == (name, gene)


@pytest.mark.parametrize("gain", [-1.0, 1.0])
def test_effects_on_genes_count_if_held_out_cells_become_likelier(monkeypatch, gain):
    rng = np.random.default_rng(0)
    counts = torch.from_numpy(rng.poisson(20, (300, 40)).astype(np.float32))
    codes = torch.from_numpy(np.repeat([0, 1, 2], 100))
    counts[100:200, 3] *= 3
    flat = SimpleNamespace(
        eval=lambda: None,
        encode=lambda cells: (cells[:, :0], None),
        decode=lambda latents: torch.full((len(latents), 40), 1 / 40).log(),
        means=lambda: [None] * 3,
    )

    def bound(network, scored, codes, means, effects, n_samples):
        assert torch.equal(scored, counts[1::2]), "validation cells"
        return gain * torch.ones(2) * bool(effects.any())

    monkeypatch.setattr(direct, "elbo_of_cells", bound)
    effects, edges = effects_on_genes(
        flat, counts, codes, np.arange(0, 300, 2), np.arange(1, 300, 2)
    )
    assert effects.any() == (gain > 0) == edges[1, 3]
    assert edges.sum() <= 2
    if gain > 0:
        assert effects[1, 3] == pytest.approx(np.log(3 * 40 / 42), abs=0.15)
