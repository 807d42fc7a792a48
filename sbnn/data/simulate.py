"""Simulated Patch-seq data: counts, cell types, and outputs driven by known genes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.spatial.distance import pdist

from sbnn.data.checks import numbered_names
from sbnn.data.colors import type_shades
from sbnn.data.paired import paired
from sbnn.errors import check_number
from sbnn.files import write_atomically

#: Name of the first column of a file of simulated cells, by which it is known.
SIMULATED = "simulated"
# Fractions of the variance of a programme: between families, types of a family, cells of a type.
_PROGRAMME_FRACTIONS = (0.40, 0.15, 0.45)
_DRAWS = 100  # draws of family centres
# Fractions of the variance of a gene: programmes, the part of them that the type predicts, the
# gene's own profile over types, and noise of each cell.
_TRUE_LOADING = (0.4, 0.6)
_MARKER_FRACTIONS = (0.0, 0.3, 0.2, 0.5)
_OTHER_FRACTIONS = (0.0, 0.0, 0.04, 0.96)
_FRACTION_MARKERS = 0.5  # among the genes that do not drive outputs
_CURVATURE = 0.3  # fraction of the noise-free variance that is not linear in the latent
# random Fourier features, and their length scale in SDs of the latent
_WAVES, _WAVE_LENGTH = 200, 1.5

# Like the 1000 selected genes of Scala et al. (2021): 44 % zeros, normalised means with a median of
# 190, an SD of log2(x + 1) of 3.4, 22 % of its variance explained by types.
_LOG2_LEAST, _LOG2_TAIL = 4.0, 0.9
_LOG2_SD = (2.0, 3.0)
_LOG2_LIBRARY_SD = 0.7
_DISPERSION = 0.6
_LOG2_DROPOUT, _DROPOUT_SLOPE = 5.5, 1.5


def simulate_patchseq(
    n_cells: int = 600,
    n_genes: int = 300,
    n_outputs: int = 16,
    n_latent: int = 2,
    n_true_genes: int = 25,
    noise: float = 0.5,
    n_families: int = 4,
    n_types: int = 12,
    random_state: int = 0,
) -> AnnData:
    """Simulate paired counts and outputs with known relevant genes, latent space and best R2.

    1. The activity of `n_latent` gene programmes varies between families, types and cells.
    2. About half of the variance of the true genes comes from a random mix of the programmes. Half
       of the other genes are markers of types.
    3. The latent is the hyperbolic tangent of `n_latent` random projections of the true genes.
    4. Each output is a linear function of the latent (70 % of its variance) plus a smooth function
       without a linear part (random Fourier features, Rahimi & Recht 2007) plus Gaussian noise.
    5. Counts are negative binomial around the product of library size and gene level, and drop out
       with a probability that decreases with this mean, as in Splatter (Zappia et al., Genome
       Biology 18, 174, 2017).

    Parameters
    ----------
    n_cells, n_genes, n_outputs : int
        At least ``n_latent + 3``, 2 and 1.
    n_latent : int
        At most `n_true_genes`.
    n_true_genes : int
        Genes that drive the outputs, at most `n_genes`.
    noise : float
        In SDs of the noise-free output; the best R2 is about ``1 / (1 + noise**2)``.
    n_families, n_types : int
        At least one type for each family.
    random_state : int

    Returns
    -------
    AnnData
        As returned by `sbnn.paired`. The truth also has ``"r2"``, that of the noise-free
        outputs, pooled over z-scored outputs.

    Examples
    --------
    >>> from sbnn import simulate_patchseq
    >>> data = simulate_patchseq(n_cells=100, n_genes=60, n_true_genes=5)
    >>> data.shape, data.obsm["outputs"].shape
    ((100, 60), (100, 16))
    >>> list(data.uns["sbnn"]["truth"]["genes"])
    ['gene06', 'gene14', 'gene19', 'gene31', 'gene55']
    """
    check_number("n_outputs", n_outputs, int, low=1)
    check_number("noise", noise, float, low=0)
    check_number("n_genes", n_genes, int, low=1)
    check_number("n_types", n_types, int, low=1)
    check_number("n_true_genes", n_true_genes, int, low=1, high=n_genes)
    check_number("n_latent", n_latent, int, low=1, high=n_true_genes)
    check_number("n_families", n_families, int, low=1, high=n_types)
    # with fewer, a linear map would fit exactly
    check_number("n_cells", n_cells, int, low=n_latent + 3)
    rng = np.random.default_rng(random_state)

    family_of_type = np.sort(np.arange(n_types) % n_families)
    type_fractions = rng.dirichlet(np.full(n_types, 3.0))
    types = rng.choice(n_types, size=n_cells, p=type_fractions)
    expected, programmes = _simulate_programmes(family_of_type, types, n_latent, rng=rng)
    is_true = np.zeros(n_genes, dtype=bool)
    is_true[rng.permutation(n_genes)[:n_true_genes]] = True
    directions = rng.standard_normal((n_latent, n_genes))
    directions /= np.linalg.norm(directions, axis=0)
    type_profiles = rng.standard_normal((n_types, n_genes))
    cell_noise = rng.standard_normal((n_cells, n_genes))
    of_programmes = programmes @ directions
    of_types = expected @ directions
    parts = np.stack([of_programmes, of_types, type_profiles[types], cell_noise])
    part_sds = np.sqrt(_variance_fractions(is_true, rng))  # (4, n_genes)
    activity = (part_sds[:, np.newaxis] * parts).sum(axis=0)

    true_activity = activity[:, is_true]  # (n_cells, n_true_genes)
    projections = true_activity @ directions[:, is_true].T
    latent = np.tanh(_standardize(projections))
    clean = _simulate_outputs(latent, n_outputs, rng)
    noisy = clean + noise * rng.standard_normal(clean.shape)
    unexplained = (noisy - clean) ** 2 / noisy.var(axis=0)
    r2 = 1 - np.mean(unexplained)
    offset = rng.uniform(-100, 100, n_outputs)
    unit = 10 ** rng.uniform(-1, 2, n_outputs)
    counts = _simulate_counts(activity, rng)

    gene_numbers = range(1, n_genes + 1)
    genes = np.array(numbered_names("gene", gene_numbers))
    output_names = numbered_names("output", range(1, n_outputs + 1))
    cells = numbered_names("cell", range(1, n_cells + 1))
    type_labels = _name_types(family_of_type, n_families)
    labels = type_labels.iloc[types].set_axis(cells)
    colors = type_shades(type_labels)
    truth = {
        "genes": genes[is_true].tolist(),
        "r2": float(r2),
        "latent": latent,
        "outputs": offset + unit * clean,
    }
    drive = f"{n_true_genes} of {n_genes} genes drive the outputs"
    source = f"simulated, {drive} through {n_latent} latent dimensions"
    return paired(
        X=None,
        Y=offset + unit * noisy,
        gene_names=genes,
        feature_names=output_names,
        cell_names=cells,
        labels=labels,
        colors=colors,
        counts=counts,
        name="simulated",
        truth=truth,
        source=source,
    )


def _name_types(family_of_type, n_families):
    """Table of the family and name of each type, such as "type 1.2"."""
    families = np.array(numbered_names("family ", range(1, n_families + 1)))
    labels = pd.DataFrame({"family": families[family_of_type]})
    place_in_family = labels.groupby("family").cumcount() + 1
    names = []
    for family, place in zip(family_of_type, place_in_family, strict=True):
        names.append(f"type {family + 1}.{place}")
    labels["type"] = names
    return labels


def simulate_tables(
    folder: str | Path, n_cells: int = 300, n_new: int = 40, **sizes: Any
) -> dict[str, Path]:
    """Write simulated cells to CSV files for `sbnn.read_tables`; return the paths.

    `n_new` cells have only counts. `sizes` are parameters of `simulate_patchseq`. Counts have genes
    in rows and a spike-in; outputs, another order and one missing value.
    """
    adata = simulate_patchseq(n_cells + n_new, **sizes)
    rng = np.random.default_rng(0)
    measured = adata.obs_names[:n_cells]
    counts = adata.to_df("counts").T
    counts.loc["ERCC-00002"] = 500
    outputs = adata.obsm["outputs"].loc[rng.permutation(measured)]
    outputs.iloc[0, 0] = np.nan
    donors = pd.Series(rng.integers(1, 7, n_cells), measured)
    labels = adata.obs.loc[measured]
    labels["donor"] = "donor " + donors.astype(str)
    tables = {
        "counts": counts[measured],
        "outputs": outputs,
        "labels": labels,
        "new_counts": counts.drop(columns=measured),
    }
    paths = {name: Path(folder, f"{name}.csv") for name in tables}
    for name, table in tables.items():
        content = table.to_csv(index_label=SIMULATED, float_format="%.4g")
        write_atomically(content.encode(), paths[name], beginning=SIMULATED.encode())
    return paths


def _simulate_programmes(family_of_type, types, n_latent, *, rng):
    """Expected activity of programmes, and actual one, both (n_cells, n_latent)."""
    between_families, between_types, between_cells = np.sqrt(_PROGRAMME_FRACTIONS)  # SDs
    # the draw with the most distant centres of families
    n_families = family_of_type[-1] + 1
    draws = rng.standard_normal((_DRAWS, n_families, n_latent))
    lengths = np.linalg.norm(draws, axis=2, keepdims=True)
    draws *= np.sqrt(n_latent) / lengths.mean(axis=1, keepdims=True)
    # a single family has no distances
    closest = [pdist(centres).min(initial=np.inf) for centres in draws]
    centres = draws[np.argmax(closest)]  # (n_families, n_latent)
    of_types = between_families * centres[family_of_type]  # (n_types, n_latent)
    of_types += between_types * rng.standard_normal(of_types.shape)
    expected = of_types[types]
    actual = expected + between_cells * rng.standard_normal(expected.shape)
    return _standardize(expected), _standardize(actual)


def _variance_fractions(is_true, rng):
    """Fractions of the variance of each gene, (4, n_genes), in the order of `_MARKER_FRACTIONS`."""
    is_marker = rng.random(len(is_true)) < _FRACTION_MARKERS
    fractions = np.where(is_marker[:, np.newaxis], _MARKER_FRACTIONS, _OTHER_FRACTIONS)
    loading = rng.uniform(*_TRUE_LOADING, is_true.sum())
    fractions[is_true] = 0
    fractions[is_true, 0] = loading
    fractions[is_true, 3] = 1 - loading
    return fractions.T


def _simulate_outputs(latent, n_outputs, rng):
    """Noise-free outputs, (n_cells, n_outputs), of unit variance."""
    n_cells, n_latent = latent.shape
    slopes = rng.standard_normal((n_latent, n_outputs))
    linear = _standardize(latent @ slopes)
    # random Fourier features (Rahimi & Recht 2007)
    frequencies = rng.standard_normal((n_latent, _WAVES))
    lengths = _WAVE_LENGTH * latent.std(axis=0)
    frequencies = frequencies / lengths[:, np.newaxis]
    phases = rng.uniform(0, 2 * np.pi, _WAVES)
    waves = np.cos(latent @ frequencies + phases)
    smooth = waves @ rng.standard_normal((_WAVES, n_outputs))
    # what is left without the part that is linear in the latent
    design = np.column_stack([np.ones(n_cells), latent])
    linear_part = design @ np.linalg.lstsq(design, smooth, rcond=None)[0]
    curved = _standardize(smooth - linear_part)
    straight = np.sqrt(1 - _CURVATURE) * linear
    return straight + np.sqrt(_CURVATURE) * curved


def _simulate_counts(activity, rng):
    """Negative binomial counts with drop-outs, (n_cells, n_genes)."""
    n_cells, n_genes = activity.shape
    log2_mean = _LOG2_LEAST + rng.gamma(2, _LOG2_TAIL, n_genes)
    sd = rng.uniform(*_LOG2_SD, n_genes)
    log2_mean = log2_mean + sd * activity
    log2_mean += rng.normal(0, _LOG2_LIBRARY_SD, (n_cells, 1))
    mean = np.exp2(log2_mean)  # (n_cells, n_genes)
    # variance = mean + dispersion * mean**2
    size = 1 / _DISPERSION
    counts = rng.negative_binomial(size, size / (size + mean))
    log_odds = _DROPOUT_SLOPE * (log2_mean - _LOG2_DROPOUT)
    dropout = 1 / (1 + np.exp(log_odds))
    counts[rng.random(counts.shape) < dropout] = 0
    return counts


def _standardize(x):
    sd = x.std(axis=0)
    sd[np.ptp(x, axis=0) == 0] = 1
    return (x - x.mean(axis=0)) / sd
