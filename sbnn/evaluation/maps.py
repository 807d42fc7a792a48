"""t-SNE maps and principal components of genes or outputs alone, and how far to trust the map of a model."""

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler

from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.data.paired import as_paired
from sbnn.data.preselection import settings_of, with_preselected
from sbnn.determinism import reproducible
from sbnn.errors import attempt
from sbnn.evaluation.folds import source_arrays, split_and_scale, split_fold
from sbnn.evaluation.runs import load_or_compute
from sbnn.models.maps import embed
from sbnn.results import Record, require


def tsne_maps(data, variance=0.8, *, preselect=None, results=None, overwrite=False, seed=42):
    """Map cells by t-SNE twice: from the principal components of the genes and from those of the
    outputs.

    Parameters
    ----------
    data : AnnData, MuData or tuple (X, Y)
    variance : float
        Share of the variance explained by the components passed to t-SNE; 0.8 as in arXiv
        2006.10411.
    preselect : int, optional
        Number of genes to use, chosen on all cells by the published criterion.
    results : str or path-like, optional
        File in which the record is saved. Maps that the file already holds are loaded, not computed
        again.
    overwrite : bool
        Compute the maps again, even if `results` contains them.
    seed : int

    Returns
    -------
    Record
        ``values`` contains the maps ``transcriptome`` and ``outputs``, each of shape (n, 2);
        ``n_transcriptome`` and ``n_outputs``, the numbers of components passed to t-SNE; and the
        names, labels and colours of the cells. `sbnn.plotting.tsne_pair` plots the maps.
    """
    data = as_paired(data)

    def compute():
        values = {
            "cell_names": data.cell_names,
            "labels": data.labels[["family", "type"]],
            "colors": dict(data.colors),
        }
        X = with_preselected(data, preselect)[0].X
        for name, matrix in (("transcriptome", X), ("outputs", data.Y)):
            with reproducible():
                scaled, pca = _principal(matrix, variance)
                values[name] = embed(pca.transform(scaled), seed).astype(np.float32)
            values[f"n_{name}"] = int(pca.n_components_)
        return values

    wanted = Record(
        "t-SNE", data.name, data.sha256, [{"variance": variance}], seed, settings_of(preselect)
    )
    return load_or_compute(wanted, compute, results, overwrite)


def principal_components(data, *, preselect=None, results=None, overwrite=False):
    """Share of the variance explained by each principal component of the genes and of the outputs.

    Parameters
    ----------
    data, preselect, results, overwrite
        See `tsne_maps`.

    Returns
    -------
    Record
        ``values`` contains the shares for the genes (``transcriptome``) and for the outputs
        (``outputs``); `sbnn.plotting.component_variance` plots both.
    """
    data = as_paired(data)

    def compute():
        matrices = {"transcriptome": with_preselected(data, preselect)[0].X, "outputs": data.Y}
        with reproducible():
            return {
                name: _principal(matrix)[1].explained_variance_ratio_
                for name, matrix in matrices.items()
            }

    wanted = Record(
        "principal components", data.name, data.sha256, [{}], settings=settings_of(preselect)
    )
    return load_or_compute(wanted, compute, results, overwrite)


def _principal(matrix, variance=None):
    scaled = StandardScaler().fit_transform(np.asarray(matrix, np.float64))
    return scaled, PCA(variance, svd_solver="full").fit(scaled)


def map_trust(
    estimator,
    data,
    fit,
    folds,
    seeds=(1, 2, 3, 4, 5),
    *,
    preselect=None,
    results=None,
    overwrite=False,
):
    """Assess the map of a fit from the prediction errors of held-out cells and from fits with other
    seeds.

    Parameters
    ----------
    estimator : SparseBottleneckRegressor or DistilledBottleneckRegressor
        The estimator used for the fit; it takes z-scored data.
    data : AnnData, MuData or tuple (X, Y)
    fit : Record
        Record returned by `sbnn.fit_full`.
    folds : Record
        Record returned by `sbnn.cross_validate` for the same model with the same number of units;
        it must contain ``test_predictions``.
    seeds : sequence of int
        Seeds with which the model is fitted again.
    preselect, results, overwrite
        See `tsne_maps`.

    Returns
    -------
    Record
        ``values`` contains

        - ``errors`` of shape (n,): for each cell, the mean squared error of the scaled outputs when
          the cell was held out (NaN for cells that were never held out);
        - ``latent`` of shape (n, d): the map of the fit;
        - ``latents`` of shape (seeds, n, d): the maps with other seeds after the best affine
          alignment with ``latent``;
        - ``agreement`` of shape (seeds,): the R2 of these alignments;
        - ``spread`` of shape (n,): for each cell, the root mean square distance between its
          positions in ``latents`` and in ``latent``, relative to the size of the map;
        - for simulated data with two latent variables, ``true_latent``, which is also aligned with
          ``latent``, and ``truth_agreement``, the R2 of this alignment.

        `sbnn.plotting.map_trust` plots the record.
    """
    data = as_paired(data)
    for name, record, values in (("fit", fit, ["latent"]), ("folds", folds, ["test_predictions"])):
        require(record, name, values, data)
    point = folds.find(
        n_components=attempt("estimator: expected a network", getattr, estimator, "n_components")
    )
    judged = fingerprint_arrays(fit.latent, *folds.test_predictions[point])
    settings = {
        "seeds": list(seeds),
        "judged": judged,
        "scaling": folds.settings["scaling"],
    } | settings_of(preselect)

    def compute():
        chosen = with_preselected(data, preselect)[0]
        latent = np.asarray(fit.latent, np.float64)
        X, Y, *_ = split_and_scale(chosen, (np.arange(data.n_cells), np.arange(0)), "all")
        fits = [
            clone(estimator).set_params(random_state=seed).fit(X, Y).transform(X) for seed in seeds
        ]
        aligned, agreement = zip(*(_onto(other, latent) for other in fits), strict=True)
        size = np.sqrt(np.square(latent - latent.mean(0)).sum(1).mean())
        spread = np.sqrt(np.square(np.array(aligned) - latent).sum(2).mean(0)) / size
        values = {
            "cell_names": data.cell_names,
            "latent": fit.latent,
            "latents": np.array(aligned, np.float32),
        }
        values |= {
            "agreement": np.array(agreement),
            "spread": spread,
            "errors": held_out_errors(data, folds, point),
        }
        truth = np.asarray(data.truth.get("latent", np.empty((data.n_cells, 0))))
        if truth.shape[1] == 2:
            values["true_latent"], values["truth_agreement"] = _onto(truth, latent)
        return values

    wanted = Record("map trust", data.name, data.sha256, [{}], estimator.random_state, settings)
    return load_or_compute(
        wanted, compute, results, overwrite, estimator=estimator, n_cells=data.n_cells
    )


def held_out_errors(data, folds, point):
    """Mean squared error of the scaled outputs of each held-out cell; NaN for cells that were never held out."""
    errors, scaling = np.full(data.n_cells, np.nan), folds.settings["scaling"]
    arrays = source_arrays(data, scaling)
    for fold, predicted in zip(folds.folds, folds.test_predictions[point], strict=True):
        errors[fold[1]] = np.square(
            np.asarray(predicted) - split_fold(arrays, fold, scaling)[3]
        ).mean(axis=1)
    return errors


def _onto(other, latent):
    """Align another map of the same cells with `latent` by an affine transformation; return the map and the R2."""
    placed = LinearRegression().fit(other, latent).predict(other)
    return placed, 1 - np.square(placed - latent).sum() / np.square(latent - latent.mean(0)).sum()
