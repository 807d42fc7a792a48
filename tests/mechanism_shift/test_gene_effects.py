"""Effects on genes beyond the latents."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from sbnn.mechanism_shift import SparseShiftVAE, direct
from sbnn.mechanism_shift.direct import SCALES, effects_on_genes, log_fold_changes, shrunken

SEEN = np.array([[700.0, 40, 500, 60, 9], [300, 200, 480, 30, 4], [320, 210, 500, 35, 0]])


def test_the_posterior_of_an_effect_is_that_of_its_prior(monkeypatch):
    """Without a round of estimation, all scales are equally probable."""
    monkeypatch.setattr(direct, "ROUNDS", 0)
    estimate, error = 0.7, 0.3
    mean = shrunken(np.array([[estimate]]), np.array([[error]]))
    effects = np.linspace(-8, 8, 200_001)
    likelihood = stats.norm(effects, error).pdf(estimate)
    mass, first = stats.norm(0, error).pdf(estimate), 0.0
    for scale in SCALES[1:]:
        weights = likelihood * stats.norm(0, scale).pdf(effects) * (effects[1] - effects[0])
        mass += weights.sum()
        first += (weights * effects).sum()
    assert mean.item() == pytest.approx(first / mass, rel=1e-3)


def test_rows_have_priors_of_their_own_that_assume_some_genes_without_an_effect():
    estimates = np.array([[0.05, 0.1, 0.6], [2.0, -1.8, 0.6]])
    mean = shrunken(estimates, np.full((2, 3), 0.2))
    assert mean[0, 2] < mean[1, 2] < 0.6
    np.testing.assert_array_equal(shrunken(estimates[:1], np.full((1, 3), 0.2)), mean[:1])
    assert shrunken(np.array([[3.0]]), np.array([[1.0]]))[0] < 1.5


def test_changes_are_against_the_control_or_the_mean_of_the_others():
    counts = torch.from_numpy(np.vstack([SEEN[:2] * 0.25, SEEN[1:], SEEN[:1] * 0.75]))
    codes = torch.tensor([0, 1, 1, 2, 0])
    seen = np.array([SEEN[0], 1.25 * SEEN[1], SEEN[2]])
    totals = seen.sum(axis=1, keepdims=True)
    logs = np.log((seen + 0.5) / (totals * seen.sum(axis=0) / totals.sum() + 0.5))
    against = log_fold_changes(counts, codes, np.array([True, False, True]))
    np.testing.assert_allclose(against, logs[[0, 2]] - logs[1])
    free = log_fold_changes(counts, codes, np.ones(3, dtype=bool))
    np.testing.assert_allclose(free[0], logs[0] - logs[1:].mean(axis=0))


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
    assert list(table) == ["log_fold_change", "direct", "edge"]
    found = table.loc[(name, gene)]
    totals = pd.DataFrame(counts).groupby(screen.perturbation).sum()
    logs = np.log(totals[gene] / totals.sum(axis=1))
    assert found["log_fold_change"] == pytest.approx(logs[name] - logs[screen.control], abs=0.05)
    assert found["edge"] and found["direct"] < -0.3
    assert table["direct"].abs().idxmax() == (name, gene)


def test_effects_on_genes_count_if_held_out_cells_become_likelier_and_edges_are_rare(monkeypatch):
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], 100)
    counts = rng.poisson(20, (300, 40)).astype(np.float32)
    counts[codes == 1, 3] = rng.poisson(60, 100)
    flat = SimpleNamespace(
        eval=lambda: None,
        encode=lambda cells: (cells[:, :0], None),
        decode=lambda latents: torch.full((len(latents), 40), 1 / 40).log(),
        means=lambda: [None] * 3,
    )
    cells = torch.from_numpy(counts), torch.from_numpy(codes), np.arange(0, 300, 2)
    for gain in (-1.0, 1.0):
        bounds = map(torch.tensor, [gain, 0.0])

        def bound(network, scored, *_, bounds=bounds):
            assert torch.equal(scored, cells[0][1::2]), "validation cells"
            return next(bounds)

        monkeypatch.setattr(direct, "elbo_of_cells", bound)
        effects, edges = effects_on_genes(flat, *cells, np.arange(1, 300, 2))
        assert effects.any() == (gain > 0) == edges.any()
    assert np.argwhere(edges).tolist()[0] == [1, 3] and edges.sum() <= 2
    assert effects[1, 3] == pytest.approx(np.log(3 * 40 / 42), abs=0.15)
