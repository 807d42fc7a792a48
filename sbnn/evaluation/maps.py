"""t-SNE maps, and how far to trust a map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from sbnn.data.paired import as_paired
from sbnn.determinism import reproducible
from sbnn.errors import require
from sbnn.evaluation.folds import held_out_predictions, z_score
from sbnn.evaluation.runs import describe_estimator, store_result
from sbnn.results import Record

VARIANCE = 0.8  # explained by the components passed to t-SNE


@store_result
def tsne_maps(data, *, results=None, overwrite=False, seed=42):
    """Map cells by t-SNE of the principal components of the genes, and by t-SNE of the outputs.

    The components explain 80 % of the variance.

    Parameters
    ----------
    data : AnnData or tuple (X, Y)
    results, overwrite
        See `sbnn.fit_full`.
    seed : int

    Returns
    -------
    Record
        ``values`` contains the maps ``transcriptome`` and ``outputs``, (n, 2), and the numbers of
        components and of outputs, ``n_transcriptome`` and ``n_outputs``, for
        `sbnn.plotting.tsne_pair`.
    """
    data = as_paired(data)
    values = {"cell_names": data.cell_names} | data.type_labels
    with reproducible():
        X, Y = (StandardScaler().fit_transform(part.astype(float)) for part in (data.X, data.Y))
        components = PCA(VARIANCE, svd_solver="full").fit(X).transform(X)
        for name, of_cells in (("transcriptome", components), ("outputs", Y)):
            values[name] = embed(of_cells, seed).astype(np.float32)
            values[f"n_{name}"] = of_cells.shape[1]
    return Record(
        experiment="t-SNE",
        dataset=data.name,
        sha256=data.sha256,
        params=[{"variance_of_genes": VARIANCE}],
        seed=seed,
        values=values,
    )


@store_result
def map_trust(
    estimator: BaseEstimator,
    data,
    fit: Record,
    folds: Record,
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    *,
    results=None,
    overwrite: bool = False,
) -> Record:
    """Assess the map of a fit from held-out cells and other seeds.

    Parameters
    ----------
    estimator : SparseBottleneckRegressor or DistilledBottleneckRegressor
        That of the fit.
    data : AnnData or tuple (X, Y)
        With the genes of the fit: ``adata[:, fit.gene_names]``.
    fit : Record
        From `sbnn.fit_full`.
    folds : Record
        From `sbnn.cross_validate` for the same model, with ``test_predictions``.
    seeds : sequence of int
        Of the other fits.
    results, overwrite
        See `sbnn.fit_full`.

    Returns
    -------
    Record
        For `sbnn.plotting.map_trust`; ``values`` contains

        - ``errors``, (n,): mean squared error of the scaled outputs of held-out cells, else NaN;
        - ``latent``, (n, d): the map of the fit;
        - ``latents``, (seeds, n, d): the maps with other seeds after the best affine alignment with
          ``latent``, and ``agreement``, (seeds,), its R2;
        - ``spread``, (n,): root mean square distance of each cell from ``latent``, relative to the
          size of the map;
        - for simulated data, ``true_latent``, also aligned, and ``truth_agreement``, its R2.
    """
    data = as_paired(data)
    if [*data.gene_names, *data.cell_names] != [*fit.gene_names, *fit.cell_names]:
        raise ValueError("data: expected genes and cells of the fit, adata[:, fit.gene_names]")
    point = folds.find(n_components=estimator.n_components)
    latent = np.asarray(fit.latent, np.float64)  # (n, d)
    X, Y = (scaled - scaled.mean(0) for scaled in (z_score(data.X), z_score(data.Y)))
    others = []
    for seed in seeds:
        model = clone(estimator).set_params(random_state=seed)
        others.append(_onto(model.fit(X, Y).transform(X), latent))
    latents, agreement = zip(*others, strict=True)
    distances = np.square(np.array(latents) - latent).sum(2)  # (seeds, n)
    values = {
        "cell_names": data.cell_names,
        "latent": fit.latent,
        "latents": np.array(latents, np.float32),
        "agreement": np.array(agreement),
        "spread": np.sqrt(distances.mean(0)) / np.sqrt(latent.var(0).sum()),
        "errors": np.full(data.n_cells, np.nan),
    }
    truth = data.truth.get("latent")
    if truth is not None and truth.shape[1] == 2:
        values["true_latent"], values["truth_agreement"] = _onto(truth, latent)
    for test, predicted, sd in held_out_predictions(folds, data.Y, point):
        values["errors"][test] = np.square((predicted - data.Y[test]) / sd).mean(axis=1)
    return Record(
        experiment="map trust",
        dataset=data.name,
        sha256=data.sha256,
        params=[{}],
        seed=estimator.random_state,
        settings={
            "estimator": describe_estimator(estimator),
            "seeds": list(seeds),
            "scaling": folds.settings["scaling"],
        },
        values=values,
    )


def _onto(other, latent):
    """The best affine alignment with `latent`, and its R2."""
    placed = LinearRegression().fit(other, latent).predict(other)
    return placed, r2_score(latent, placed, multioutput="variance_weighted")


def embed(latent, seed=0):
    """Two coordinates per cell, (n, 2): the latent space or, if it is wider, its t-SNE."""
    n, d = latent.shape
    if d <= 2:
        return np.column_stack([latent, np.zeros((n, 2 - d))])
    require("openTSNE")
    from openTSNE import TSNE  # slower to import than all other packages

    # approximate neighbours depend on the instruction set of the machine
    how = {"initialization": "pca", "neighbors": "exact", "n_jobs": 1, "random_state": seed}
    tsne = TSNE(perplexity=min(30, (n - 1) / 3), **how)
    return np.asarray(tsne.fit(np.ascontiguousarray(latent, dtype=np.float64)))
