"""Simulated targeted screen: deep counts of few genes, from a law that is not that of the models."""

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.screens import screen

CONTROL = "control"


def simulate_targeted(
    random_state, n_cells=18_000, n_genes=80, n_targets=15, n_modules=4, mean_total=600.0
):
    """AnnData of a screen as returned by `sbnn.screen`.

    Counts are negative binomial, with a dispersion for each gene. Cells differ by their position
    in a cycle, by a gradient along which genes have peaks, and by a state in which some genes are
    expressed more strongly. A third of the targets changes a single gene, a third a module of genes
    and a third both; a tenth of the perturbed cells escapes the perturbation. The true log fold
    changes of the mean counts, before division by the total count, are in
    ``uns["sbnn"]["truth"]["shifts"]``.
    """
    rng = np.random.default_rng(random_state)
    weights = rng.lognormal(0, 0.8, n_targets + 1)
    weights[-1] = weights.max() * 1.5  # the control
    codes = rng.choice(n_targets + 1, n_cells, p=weights / weights.sum())

    angle = rng.uniform(0, 2 * np.pi, n_cells)
    phase, amplitude = rng.uniform(0, 2 * np.pi, n_genes), rng.gamma(1, 0.3, n_genes)
    logs = amplitude * np.cos(angle[:, None] - phase)
    gradient = rng.beta(1.5, 1.5, n_cells)
    peak, height = rng.uniform(-0.3, 1.3, n_genes), rng.gamma(1, 0.6, n_genes)
    logs += height * np.exp(-((gradient[:, None] - peak) ** 2) / 0.1)
    state = np.log1p(np.exp(rng.normal(0, 1.5, n_cells)))
    logs += state[:, None] * np.where(rng.random(n_genes) < 0.3, rng.normal(0, 0.4, n_genes), 0)

    modules = np.where(rng.random((n_modules, n_genes)) < 0.15, rng.normal(0, 1, n_genes), 0)
    effects = np.zeros((n_targets + 1, n_genes))
    for target in range(n_targets):
        if target % 3 != 1:
            effects[target, rng.integers(n_genes)] = -rng.uniform(0.5, 2.5)
        if target % 3 != 0:
            module = modules[rng.integers(n_modules)]
            effects[target] += rng.choice([-1, 1]) * rng.uniform(0.3, 1) * module
    affected = rng.random(n_cells) > 0.1
    logs += affected[:, None] * effects[codes]

    base = rng.normal(0, 1.2, n_genes)
    means = np.exp(base + logs)
    means *= mean_total / means.sum(axis=1).mean()
    means *= rng.lognormal(-0.08, 0.4, (n_cells, 1))  # capture efficiency
    inverse_dispersion = rng.lognormal(1.5, 0.8, n_genes)
    counts = rng.poisson(means * rng.gamma(inverse_dispersion, 1 / inverse_dispersion, means.shape))
    genes = [f"gene_{i}" for i in range(n_genes)]
    names = np.array([*(f"target_{i}" for i in range(n_targets)), CONTROL])
    return screen(
        sparse.csr_array(counts),
        names[codes],
        control=CONTROL,
        gene_names=genes,
        name=f"simulated targeted screen {random_state}",
        truth={"shifts": pd.DataFrame(effects[:-1], names[:-1], genes)},
    )
