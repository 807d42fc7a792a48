"""Edges: latents that each perturbation shifts (the shift graph), and direct effects on genes."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control, norm

from sbnn.determinism import reproducible
from sbnn.mechanism_shift.data import perturbation_codes
from sbnn.mechanism_shift.network import ShiftNetwork, elbo_of_cells

EDGE_PROBABILITY = 0.5  # above which a shift is an edge
FALSE_DISCOVERY_RATE = 0.01  # of edges, accounting for sampling error only
# SDs of effects on log counts
EFFECT_SCALES = np.concatenate([[0.0], np.geomspace(0.02, 4.0, 16)])
# pseudo-pairs without an effect per perturbation (Stephens 2017, Biostatistics 18)
NULL_PAIRS = 10.0
PRIOR_UPDATES = 100  # of expectation maximisation
CELLS_IN_CACHE = 256  # cells, whose tables stay in the cache
PSEUDOCOUNT = 0.5  # added to observed and expected counts before the logarithm


def latent_names(n_latents: int) -> list[str]:
    """Names of the latents."""
    return [f"latent_{i}" for i in range(n_latents)]


def pairs_table(
    perturbations: ArrayLike | pd.Index, targets: ArrayLike, kind: str, **columns: ArrayLike
) -> pd.DataFrame:
    """Table with a row for each perturbation and target, from tables of perturbations by targets.

    Targets are latents or genes; `kind` is the name of their column.
    """
    pairs = pd.MultiIndex.from_product([perturbations, targets], names=["perturbation", kind])
    table = pd.DataFrame(index=pairs)
    for name, values in columns.items():
        table[name] = np.asarray(values).ravel()
    return table.reset_index()


def graph_table(
    perturbations: ArrayLike | pd.Index, effects: ArrayLike, probabilities: ArrayLike
) -> pd.DataFrame:
    """Shift graph of effects and probabilities, of shape (m, d)."""
    latents = latent_names(np.shape(effects)[1])
    return pairs_table(perturbations, latents, "latent", probability=probabilities, effect=effects)


def pivot_graph(graph: pd.DataFrame, column: str) -> pd.DataFrame:
    """One column of a shift graph as a table of perturbations by latents."""
    table = graph.pivot(index="perturbation", columns="latent", values=column)
    # in the order of the graph, not of the alphabet
    perturbations = graph["perturbation"].unique()
    latents = graph["latent"].unique()
    return table.loc[perturbations, latents]


def edges_of(graph: pd.DataFrame) -> pd.DataFrame:
    """Shifts that are more likely than not: DataFrame of bool, perturbations by latents."""
    return pivot_graph(graph, "probability") > EDGE_PROBABILITY


def class_sums(
    values: np.ndarray | torch.Tensor, codes: np.ndarray | torch.Tensor, n_classes: int
) -> np.ndarray:
    """Sum over the rows of each class, of shape (n_classes, d)."""
    rows = torch.as_tensor(values).double()
    sums = torch.zeros(n_classes, rows.shape[1], dtype=torch.float64)
    return sums.index_add_(0, torch.as_tensor(codes), rows).numpy()


def class_means(values: np.ndarray | torch.Tensor, codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Mean over the rows of each class, of shape (n_classes, d)."""
    sizes = np.bincount(codes, minlength=n_classes)
    return class_sums(values, codes, n_classes) / sizes[:, None]


class Comparison(NamedTuple):
    """Values of cells under each of m perturbations, compared with those of the control."""

    differences: pd.DataFrame  # of means, without the control
    origin: np.ndarray  # of shape (d,), means of the control, or 0
    errors: np.ndarray  # of shape (m, 1), standard errors for values of unit variance
    residuals: np.ndarray  # of shape (n, d), values minus the means of their perturbations


def compare_with_control(
    values: np.ndarray, perturbation: np.ndarray, control: str | None
) -> Comparison:
    """Means of d values of cells in each perturbation, minus those of the control or 0."""
    names, codes, sizes = perturbation_codes(perturbation, control)
    means = class_means(values, codes, len(names))
    perturbed = np.full(len(names), True)
    if control is not None:
        perturbed = names != str(control)
    origin = means[~perturbed].sum(axis=0)
    differences = pd.DataFrame(means[perturbed] - origin, names[perturbed])
    # variance of a difference of independent means: 1 / n + 1 / n of the control
    inverse_sizes = 1 / sizes
    variances = inverse_sizes[perturbed] + inverse_sizes[~perturbed].sum()
    errors = np.sqrt(variances)[:, None]
    residuals = values - means[codes]
    return Comparison(differences=differences, origin=origin, errors=errors, residuals=residuals)


def differ_from_zero(values: ArrayLike, errors: np.ndarray) -> np.ndarray:
    """Which values differ from 0, with the false discovery rate of edges over all of them."""
    # two-sided test of a normal estimate, adjusted for all pairs (Benjamini and Hochberg 1995)
    p = 2 * norm.sf(np.abs(values) / errors)
    adjusted = false_discovery_control(p, axis=None).reshape(p.shape)
    return adjusted <= FALSE_DISCOVERY_RATE


def largest_shifts(effects: pd.DataFrame) -> pd.DataFrame:
    """Which are the two largest of each row, a DataFrame of bool."""
    return effects.abs().rank(axis=1, method="first", ascending=False) <= 2


def shrink_effects(estimates: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Posterior means of effects that were estimated with normal errors, of shape (m, p).

    The prior of a row is a mixture of normal distributions around zero (Stephens 2017).
    """
    rows = []
    for row, row_errors in zip(estimates, errors, strict=True):
        rows.append(_posterior_means(row[:, None], row_errors[:, None]))
    return np.stack(rows)


def _posterior_means(estimates, errors):
    """Posterior means of one row, of shape (p,), from columns of estimates and errors."""
    # an estimate from the component of scale s has the density N(0, s^2 + error^2)
    variances = EFFECT_SCALES**2 + errors**2  # (p, scales)
    squares = estimates**2 / variances
    log_density = -0.5 * (squares + np.log(variances))
    highest = log_density.max(axis=1, keepdims=True)
    density = np.exp(log_density - highest)
    # empirical Bayes: the likeliest weights of the components, by expectation maximisation, with
    # pseudo-pairs that favour no effect (Stephens 2017)
    weights = np.full(len(EFFECT_SCALES), 1 / len(EFFECT_SCALES))
    for _ in range(PRIOR_UPDATES):
        weights *= density.T @ (1 / (density @ weights))  # expected numbers of genes
        weights[0] += NULL_PAIRS
        weights /= weights.sum()
    density *= weights
    # mean under each component, weighted by its posterior probability
    means = estimates * EFFECT_SCALES**2 / variances
    return (density * means).sum(axis=1) / density.sum(axis=1)


@torch.no_grad()
def log_ratios(
    network: ShiftNetwork, counts: torch.Tensor, codes: torch.Tensor, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of observed divided by expected counts, and standard errors, of shape (m, p).

    The counts of the cells of each perturbation are summed; expected ones are decoded from the
    latents.
    """
    network.eval()
    sums = np.zeros((n_classes, 3 * counts.shape[1]))
    blocks = zip(counts.split(CELLS_IN_CACHE), codes.split(CELLS_IN_CACHE), strict=True)
    for block, block_codes in blocks:
        means, _ = network.encode(block)
        totals = block.sum(1, keepdim=True)
        expected_block = network.decode(means).exp() * totals
        squares = (block - expected_block) ** 2
        table = torch.cat([block, expected_block, squares], dim=1)
        sums = sums + class_sums(table, block_codes, n_classes)
    observed, expected, unexplained = np.hsplit(sums, 3)
    # variance divided by mean of the counts of each gene, at least that of Poisson counts
    dispersion = np.maximum(unexplained.sum(axis=0) / expected.sum(axis=0), 1.0)
    # logarithms of small counts are imprecise, measured or expected
    least = np.minimum(observed, expected)
    ratios = np.log((observed + PSEUDOCOUNT) / (expected + PSEUDOCOUNT))
    # delta method: var(log x) is about var(x) / mean(x)^2 = dispersion / mean(x)
    errors = np.sqrt(dispersion / (least + PSEUDOCOUNT))
    return ratios, errors


def effects_on_genes(
    network: ShiftNetwork,
    counts: torch.Tensor,
    codes: torch.Tensor,
    train: np.ndarray,
    validation: np.ndarray,
) -> tuple[torch.Tensor, np.ndarray]:
    """Direct effects and which of them differ from 0 (edges), of shape (m, p).

    They are those that the latents do not explain, and 0 if they do not make `validation` cells
    likelier.
    """
    prior_means = network.means()
    with reproducible():
        ratios, errors = log_ratios(
            network, counts[train], codes=codes[train], n_classes=len(prior_means)
        )
        direct = torch.from_numpy(shrink_effects(ratios, errors)).float()
        if len(validation):
            bounds = partial(
                elbo_of_cells,
                network,
                counts[validation],
                codes=codes[validation],
                prior_means=prior_means,
                n_samples=10,
            )
            none = torch.zeros_like(direct)
            gain = bounds(direct=direct) - bounds(direct=none)
            if gain.double().mean() <= 0:
                direct = none
    return direct, differ_from_zero(ratios, errors) & (direct.numpy() != 0)
