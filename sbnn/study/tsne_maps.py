"""Maps of the cells from each of the two measurements alone: what there is to see before any model."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from sbnn.data.preselection import with_preselected
from sbnn.determinism import reproducible
from sbnn.evaluation.runs import load_or_compute
from sbnn.models.maps import embed
from sbnn.results import Record


def tsne_maps(data, *, variance=0.8, preselect=None, results=None, overwrite=False, seed=42):
    """Map the cells by t-SNE of their genes, and again by t-SNE of their outputs.

    Each matrix is z-scored and reduced to the principal components that hold a share of its variance; see
    `sbnn.models.maps.embed` for the t-SNE (perplexity 30, PCA initialisation, one thread).

    Parameters
    ----------
    data : PairedData
    variance : float
        Share of the variance to keep, between 0 and 1.
    preselect : int, optional
        Genes to look at, see `sbnn.preselect_genes`.
    results : str or path-like, optional
        File to save to. If it already holds these maps, they are loaded instead.
    overwrite : bool
        Compute anew, whatever `results` holds.
    seed : int

    Returns
    -------
    Record
        ``experiment="t-SNE"``; ``values`` has ``transcriptome`` and ``outputs``, (n, 2) each, ``n_transcriptome`` and
        ``n_outputs``, the numbers of principal components, and the names, labels and colours of the data. Where at most
        two components are left, they are the map.

    Raises
    ------
    ValueError
        If `variance` is not between 0 and 1, or `results` holds something else and `overwrite` is False.

    References
    ----------
    Bernaerts, Berens and Kobak, arXiv 2006.10411 (v3), supplementary figure of the t-SNE of both modalities.
    """
    if not 0 < variance < 1:
        raise ValueError(f"variance: expected a share between 0 and 1, got {variance!r}")
    params = [{"variance": float(variance)}]
    chosen, said = with_preselected(data, preselect)
    wanted = Record("t-SNE", data.name, data.sha256, params, seed, said)
    return load_or_compute(wanted, lambda: _maps(chosen, variance, seed), results, overwrite)


def _maps(data, variance, seed):
    """Values of the record of the maps."""
    values = {"cell_names": data.cell_names, "labels": data.labels[["family", "type"]], "colors": dict(data.colors)}
    for name, matrix in (("transcriptome", data.X), ("outputs", data.Y)):
        with reproducible():
            components = _components(matrix, variance)
            values[name] = embed(components, seed).astype(np.float32)
        values[f"n_{name}"] = components.shape[1]
    return values


def _components(matrix, variance):
    scores = PCA(variance, svd_solver="full").fit(z := StandardScaler().fit_transform(matrix.astype(np.float64)))
    return scores.transform(z)
