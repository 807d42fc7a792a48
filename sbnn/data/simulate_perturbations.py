"""Simulated perturbation screens with known latents and shifts, as in the paper on sparse mechanism shifts."""

from __future__ import annotations

from numbers import Integral

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.perturbation_screen import PerturbationScreen

SOURCE = "simulated after Lopez et al., Learning causal representations of single cells, arXiv 2211.03553 (2022)"

_HIDDEN = (40, 40, 40)  # units of the decoder
_LEAK = 0.2  # of its rectifiers
_COUNTS_OF_A_GENE = 1e6  # in all cells together
_FORMAT = 1  # to be raised whenever the same parameters come to give other data


def simulate_perturbations(
    n_cells_per: int = 500,
    n_perturbations: int = 100,
    n_latents: int = 30,
    n_genes: int = 100,
    shift: float = 5.0,
    shift_sd: float = 0.5,
    most_targets: int = 3,
    density: float | None = None,
    n_control: int = 0,
    random_state: int = 0,
) -> PerturbationScreen:
    """Simulate a screen in which each perturbation shifts a few latents of the cells.

    1. A perturbation has 1 to `most_targets` target latents, drawn with replacement. Its cells have latents from
       N(m, I), where m is ``+-N(shift, shift_sd)`` on the targets and 0 elsewhere.
    2. Four linear maps without bias, with orthonormal rows and leaky rectifiers between, make a logit of each gene.
    3. Logits are divided by their standard deviation, exponentiated and normalised *over cells, for each gene*, to a
       mean of ``1e6 / n`` counts, from which counts are drawn (Poisson). So the total of a cell carries signal.

    Parameters
    ----------
    n_cells_per : int
        Cells of each perturbation.
    n_perturbations, n_latents, n_genes : int
        There must be 40 genes or more and at most 40 latents: the maps do not lose a dimension.
    shift, shift_sd : float
        Size of a shift, in standard deviations of a latent within a perturbation, and its spread.
    most_targets : int
        Of a perturbation; without effect where `density` is given.
    density : float, optional
        Probability of each latent to be a target instead; a perturbation without any gets one.
    n_control : int
        Cells without a perturbation, ``"control"``; the paper has none.
    random_state : int
        Seed. The same parameters give the same data.

    Returns
    -------
    PerturbationScreen
        Cells in random order. ``truth["latents"]``, shape (n, n_latents), and ``truth["shifts"]``, a DataFrame of
        perturbations by latents.

    Raises
    ------
    TypeError
        A number or seed that is no integer.
    ValueError
        Numbers out of range.
    """
    sizes = {
        "n_cells_per": n_cells_per, "n_perturbations": n_perturbations, "n_latents": n_latents, "n_genes": n_genes,
        "most_targets": most_targets, "n_control": n_control, "random_state": random_state,
    }  # fmt: skip
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise TypeError(f"{name} must be an integer, got {value!r}")
        least = 0 if name in ("n_control", "random_state") else 1
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    if n_latents > _HIDDEN[0] or n_genes < _HIDDEN[-1]:
        raise ValueError(
            f"n_latents must be at most {_HIDDEN[0]} and n_genes at least {_HIDDEN[-1]}, got {n_latents} and {n_genes}"
        )
    if not (np.isfinite(shift) and np.isfinite(shift_sd) and shift_sd >= 0):
        raise ValueError(f"shift and shift_sd must be finite and shift_sd at least 0, got {shift} and {shift_sd}")
    if density is not None and not 0 < density <= 1:
        raise ValueError(f"density must be in (0, 1], got {density}")
    parameters = {name: int(value) for name, value in sizes.items()}
    parameters |= {"shift": float(shift), "shift_sd": float(shift_sd)}
    parameters["density"] = None if density is None else float(density)
    rng = np.random.default_rng(random_state)

    shifts = np.zeros((n_perturbations, n_latents))
    for row in shifts:
        targets = _targets(rng, n_latents, most_targets, density)
        row[targets] = rng.choice([-1.0, 1.0], len(targets)) * rng.normal(shift, shift_sd, len(targets))
    of_cell = np.append(np.repeat(np.arange(n_perturbations), n_cells_per), np.full(n_control, -1))
    rng.shuffle(of_cell)
    means = np.vstack([shifts, np.zeros(n_latents)])
    latents = means[of_cell] + rng.standard_normal((len(of_cell), n_latents))
    logits = _decoded(latents, _decoder(rng, n_latents, n_genes))
    rates = np.exp(logits / logits.std())
    counts = sparse.csr_array(rng.poisson(rates * (_COUNTS_OF_A_GENE / rates.sum(axis=0))).astype(np.int32))

    digits = len(str(n_perturbations - 1))
    names = np.array([f"perturbation_{i:0{digits}d}" for i in range(n_perturbations)] + ["control"])
    return PerturbationScreen(
        counts=counts,
        perturbation=names[of_cell],
        control="control" if n_control else None,
        gene_names=[f"gene_{i}" for i in range(n_genes)],
        name="simulated_screen",
        source=SOURCE,
        sha256=fingerprint_parameters({"generator": "simulate_perturbations", "format": _FORMAT} | parameters),
        truth={
            "latents": latents,
            "shifts": pd.DataFrame(shifts, names[:-1], [f"latent_{i}" for i in range(n_latents)]),
        },
    )


def _targets(rng: np.random.Generator, n_latents: int, most: int, density: float | None) -> np.ndarray:
    """Target latents of one perturbation, each once."""
    if density is None:
        return np.unique(rng.integers(n_latents, size=rng.integers(1, most + 1)))
    targets = np.flatnonzero(rng.random(n_latents) < density)
    return targets if len(targets) else rng.integers(n_latents, size=1)


def _decoder(rng: np.random.Generator, n_latents: int, n_genes: int) -> list[np.ndarray]:
    """Linear maps from latents to genes, each of shape (size_in, size_out) with orthonormal rows.

    The published scale of the maps is left out: rectifiers keep factors, and logits are divided by their spread.
    """
    sizes = [n_latents, *_HIDDEN, n_genes]
    maps = []
    for size_in, size_out in zip(sizes, sizes[1:], strict=False):
        q, r = np.linalg.qr(rng.standard_normal((size_out, size_in)))
        maps.append((q * np.sign(np.diag(r))).T)  # the signs make every rotation as likely
    return maps


def _decoded(latents: np.ndarray, maps: list[np.ndarray]) -> np.ndarray:
    """Logits of the genes, shape (n, n_genes), up to a factor."""
    values = latents @ maps[0]
    for weights in maps[1:]:
        values = np.where(values > 0, values, _LEAK * values) @ weights
    return values
