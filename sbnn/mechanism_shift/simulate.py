"""Simulated perturbation screens with known latents and shifts, as in Lopez et al. (2022)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sbnn.data.checks import numbered_names
from sbnn.errors import check_number
from sbnn.mechanism_shift.data import screen

SCREEN_SOURCE = (
    "simulated after Lopez et al., Learning causal representations of single cells, "
    "arXiv 2211.03553 (2022)"
)

DECODER_UNITS = (40, 40, 40)  # of the hidden layers
LEAKY_SLOPE = 0.2  # of the rectifiers below 0
COUNTS_OF_A_GENE = 1e6  # over all cells


def simulate_perturbations(
    n_cells_per: int = 500,
    n_perturbations: int = 100,
    n_latents: int = 30,
    n_genes: int = 100,
    shift: float = 5.0,
    shift_sd: float = 0.5,
    most_targets: int = 3,
    n_control: int = 0,
    random_state: int = 0,
) -> AnnData:
    """Simulate a screen in which each perturbation shifts a few latents of the cells.

    1. A perturbation has 1 to `most_targets` target latents, drawn with replacement. Latents of
       cells are N(m, I), where m is ``+-N(shift, shift_sd)`` on the targets and 0 elsewhere.
    2. Four linear maps with orthonormal rows, and leaky rectifiers in between, give logits.
    3. Logits are divided by their SD, exponentiated and normalised *over cells, for each gene*, to
       a mean of ``1e6 / n``, from which Poisson counts are drawn.

    Parameters
    ----------
    n_cells_per : int
        Cells of each perturbation.
    n_perturbations : int
    n_latents : int
        At most 40.
    n_genes : int
        At least 40.
    shift, shift_sd : float
        Mean and SD of the size of a shift, in SDs of a latent within a perturbation.
    most_targets : int
        Largest number of target latents.
    n_control : int
        Unperturbed cells, labelled ``"control"``.
    random_state : int

    Returns
    -------
    AnnData
        As returned by `screen`, with ``obsm["true_latents"]`` and
        ``uns["sbnn"]["truth"]["shifts"]``, a DataFrame of perturbations by latents.
    """
    check_number("n_latents", n_latents, int, low=1, high=DECODER_UNITS[0])
    check_number("n_genes", n_genes, int, low=DECODER_UNITS[-1])
    rng = np.random.default_rng(random_state)

    shifts = np.zeros((n_perturbations, n_latents))
    for row in shifts:
        n_targets = rng.integers(1, most_targets + 1)
        targets = np.unique(rng.integers(n_latents, size=n_targets))
        signs = rng.choice([-1.0, 1.0], len(targets))
        row[targets] = signs * rng.normal(shift, shift_sd, len(targets))
    # the last one is the control
    perturbed = np.repeat(np.arange(n_perturbations), n_cells_per)
    codes = np.append(perturbed, np.full(n_control, -1))
    rng.shuffle(codes)
    means = np.vstack([shifts, np.zeros(n_latents)])
    scatter = rng.standard_normal((len(codes), n_latents))
    latents = means[codes] + scatter
    logits = latents
    # the scale of the maps has no effect, since logits are divided by their SD
    for n_inputs, n_outputs in pairwise([n_latents, *DECODER_UNITS, n_genes]):
        if logits is not latents:
            logits = np.where(logits > 0, logits, LEAKY_SLOPE * logits)
        q, r = np.linalg.qr(rng.standard_normal((n_outputs, n_inputs)))
        # these signs make all rotations equally likely (Mezzadri 2007)
        rotation = q * np.sign(np.diag(r))
        logits = logits @ rotation.T
    rates = np.exp(logits / logits.std())
    counts = rng.poisson(rates * (COUNTS_OF_A_GENE / rates.sum(axis=0)))

    perturbations = numbered_names("perturbation_", range(n_perturbations))
    latent_names = [f"latent_{i}" for i in range(n_latents)]
    labels = np.array([*perturbations, "control"])
    return screen(
        sparse.csr_array(counts.astype(np.int32)),
        labels[codes],
        "control" if n_control else None,
        name="simulated_screen",
        source=SCREEN_SOURCE,
        truth={"latents": latents, "shifts": pd.DataFrame(shifts, perturbations, latent_names)},
    )
