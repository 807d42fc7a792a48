"""t-SNE maps, and how far to trust a map."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

import numpy as np
import pandas as pd
from anndata import AnnData
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from sbnn.data.paired import Paired, as_adata, as_paired
from sbnn.determinism import reproducible
from sbnn.errors import require
from sbnn.evaluation.folds import held_out_predictions, z_score
from sbnn.evaluation.runs import describe_estimator, store_result
from sbnn.results import Record

VARIANCE = 0.8  # explained by the components passed to t-SNE


@store_result(convert=as_adata)
def tsne_maps(
    data: AnnData | tuple | Paired,
    *,
    results: str | PathLike[str] | None = None,
    overwrite: bool = False,
    seed: int = 42,
) -> Record:
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
    cells = as_paired(data)
    values = {"cell_names": cells.cell_names} | cells.type_labels
    with reproducible():
        X = StandardScaler().fit_transform(cells.X.astype(float))
        Y = StandardScaler().fit_transform(cells.Y.astype(float))
        components = PCA(VARIANCE, svd_solver="full").fit(X).transform(X)
        values["transcriptome"] = embed(components, seed).astype(np.float32)
        values["n_transcriptome"] = components.shape[1]
        values["outputs"] = embed(Y, seed).astype(np.float32)
        values["n_outputs"] = Y.shape[1]
    return Record(
        experiment="t-SNE",
        dataset=cells.name,
        sha256=cells.sha256,
        params=[{"variance_of_genes": VARIANCE}],
        seed=seed,
        values=values,
    )


@store_result(convert=as_adata)
def map_trust(
    estimator: BaseEstimator,
    data: AnnData | tuple | Paired,
    fit: Record,
    folds: Record,
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    *,
    results: str | PathLike[str] | None = None,
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
        For `sbnn.plotting.map_trust_subplots`; ``values`` contains

        - ``errors``, (n,): mean squared error of the scaled outputs of each cell, over the folds
          that test it; NaN if none does;
        - ``latent``, (n, d): the map of the fit;
        - ``latents``, (seeds, n, d): the maps with other seeds after the best affine alignment with
          ``latent``, and ``agreement``, (seeds,), its R2;
        - ``spread``, (n,): root mean square distance of each cell from ``latent``, relative to the
          size of the map;
        - for simulated data, ``true_latent``, also aligned, and ``truth_agreement``, its R2.
    """
    cells = as_paired(data)
    if [*cells.gene_names, *cells.cell_names] != [*fit.gene_names, *fit.cell_names]:
        raise ValueError("data: expected genes and cells of the fit")
    if not hasattr(estimator, "n_components"):
        raise TypeError(f"estimator: expected a network, got {type(estimator).__name__}")
    point = folds.find(n_components=estimator.n_components)
    latent = np.asarray(fit.latent, np.float64)  # (n, d)
    # means of values that were rounded to float32 are not quite 0
    X = z_score(cells.X)
    X -= X.mean(0)
    table = pd.DataFrame(X, columns=cells.gene_names)  # required genes are found by name
    Y = z_score(cells.Y)
    Y -= Y.mean(0)
    latents = []
    agreement = []
    for seed in seeds:
        model = clone(estimator).set_params(random_state=seed)
        aligned, r2 = _align(model.fit(table, Y).transform(table), latent)
        latents.append(aligned)
        agreement.append(r2)
    distances = np.square(np.array(latents) - latent).sum(2)  # (seeds, n)
    errors_of_folds = []
    for test, predicted, sd in held_out_predictions(folds, cells.Y, point):
        errors = np.square((predicted - cells.Y[test]) / sd).mean(axis=1)
        errors_of_folds.append(pd.Series(errors, test))
    # folds of several repeats test a cell more than once
    errors_of_cells = pd.concat(errors_of_folds).groupby(level=0).mean()
    values = {
        "cell_names": cells.cell_names,
        "latent": fit.latent,
        "latents": np.array(latents, np.float32),
        "agreement": np.array(agreement),
        "spread": np.sqrt(distances.mean(0)) / np.sqrt(latent.var(0).sum()),
        "errors": errors_of_cells.reindex(range(cells.n_cells)).to_numpy(),
    }
    truth = cells.truth.get("latent")
    if truth is not None and truth.shape[1] == 2:
        values["true_latent"], values["truth_agreement"] = _align(truth, latent)
    return Record(
        experiment="map trust",
        dataset=cells.name,
        sha256=cells.sha256,
        params=[{}],
        seed=estimator.random_state,
        settings={
            "estimator": describe_estimator(estimator),
            "seeds": list(seeds),
            "scaling": folds.settings["scaling"],
        },
        values=values,
    )


def _align(positions, latent):
    """Positions of cells after the best affine alignment with `latent`, and its R2."""
    aligned = LinearRegression().fit(positions, latent).predict(positions)
    return aligned, r2_score(latent, aligned, multioutput="variance_weighted")


def embed(latent: np.ndarray, seed: int = 0) -> np.ndarray:
    """Two coordinates per cell, (n, 2): the latent space or, if it is wider, its t-SNE."""
    n, d = latent.shape
    if d <= 2:
        return np.column_stack([latent, np.zeros((n, 2 - d))])
    require("openTSNE")
    from openTSNE import TSNE  # slower to import than all other packages

    tsne = TSNE(
        perplexity=min(30, (n - 1) / 3),
        initialization="pca",
        neighbors="exact",  # approximate ones depend on the instruction set of the machine
        n_jobs=1,
        random_state=seed,
    )
    return np.asarray(tsne.fit(np.ascontiguousarray(latent, dtype=np.float64)))
