"""Maps of the cells: of each measurement alone, their dimensions, and how far the map of a model can be trusted."""

from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler

from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.data.preselection import with_preselected
from sbnn.determinism import reproducible
from sbnn.evaluation.folds import split_and_scale
from sbnn.evaluation.runs import load_or_compute
from sbnn.models.maps import embed
from sbnn.results import Record
from sbnn.study.experiments import SEED, load_for, network

N_SEEDS = 5
VARIANCE = 0.8  # share of it in the components that t-SNE is given, as in supplementary figures of arXiv 2006.10411


def tsne_maps(data, path=None, fresh=False, *, preselect=None):
    """Map the cells by t-SNE of the main components of their genes, and of their outputs; or load the maps."""
    chosen, said = with_preselected(data, preselect)

    def compute():
        values = {"cell_names": data.cell_names, "labels": data.labels[["family", "type"]], "colors": dict(data.colors)}
        for name, matrix in (("transcriptome", chosen.X), ("outputs", data.Y)):
            with reproducible():
                scaled, pca = _principal(matrix, VARIANCE)
                values[name] = embed(pca.transform(scaled), SEED).astype(np.float32)
            values[f"n_{name}"] = int(pca.n_components_)
        return values

    wanted = Record("t-SNE", data.name, data.sha256, [{"variance": VARIANCE}], SEED, said)
    return load_or_compute(wanted, compute, path, fresh)


def principal_components(data, path=None, fresh=False, *, preselect=None):
    """Share of the variance that every principal component of the genes and of the outputs holds; or load it."""
    chosen, said = with_preselected(data, preselect)

    def compute():
        with reproducible():
            matrices = {"transcriptome": chosen.X, "outputs": data.Y}
            return {name: _principal(matrix)[1].explained_variance_ratio_ for name, matrix in matrices.items()}

    wanted = Record("principal components", data.name, data.sha256, [{}], settings=said)
    return load_or_compute(wanted, compute, path, fresh)


def _principal(matrix, variance=None):
    scaled = StandardScaler().fit_transform(np.asarray(matrix, np.float64))
    return scaled, PCA(variance, svd_solver="full").fit(scaled)


def run_map_trust(data, path, fresh=False, *, preselect=None, n_genes=None, fast=False):
    """Judge the map of the default network with two units, or load the verdict."""
    folds, fit = (load_for(data, Path(path).with_name(f"{name}.pickle")) for name in ("cv_default", "fit_default_2d"))
    seeds = list(range(1, 2 if fast else 1 + N_SEEDS))
    point = folds.find(n_components=2)
    chosen, said = with_preselected(data, preselect)
    model = network(chosen, fast, n_genes, protocol="distilled", n_components=2)
    judged = fingerprint_arrays(fit.latent, *folds.test_predictions[point])
    settings = {"seeds": seeds, "judged": judged, "scaling": folds.settings["scaling"]} | said

    def compute():
        latent = np.asarray(fit.latent, np.float64)
        X, Y, *_ = split_and_scale(chosen, (np.arange(data.n_cells), np.arange(0)), "all")
        fits = [clone(model).set_params(random_state=seed).fit(X, Y).transform(X) for seed in seeds]
        aligned, agreement = zip(*(_onto(other, latent) for other in fits), strict=True)
        size = np.sqrt(np.square(latent - latent.mean(0)).sum(1).mean())
        values = {
            "cell_names": data.cell_names,
            "latent": fit.latent,
            "latents": np.array(aligned, np.float32),
            "agreement": np.array(agreement),
            "spread": np.sqrt(np.square(np.array(aligned) - latent).sum(2).mean(0)) / size,
            "errors": held_out_errors(data, folds, point),
        }
        truth = np.asarray(data.truth.get("latent", np.empty((data.n_cells, 0))))
        if truth.shape[1] == 2:
            values["true_latent"], values["truth_agreement"] = _onto(truth, latent)
        return values

    wanted = Record("map trust", data.name, data.sha256, [{}], SEED, settings)
    return load_or_compute(wanted, compute, path, fresh, estimator=model, n_cells=data.n_cells)


def held_out_errors(data, folds, point):
    """Mean squared error of the scaled outputs of each cell when it was held out."""
    errors = np.full(data.n_cells, np.nan)
    for fold, predicted in zip(folds.folds, folds.test_predictions[point], strict=True):
        Y_test = split_and_scale(data, fold, folds.settings["scaling"])[3]
        errors[fold[1]] = np.square(np.asarray(predicted) - Y_test).mean(axis=1)
    return errors


def _onto(other, latent):
    """Places of another map of the same cells after the affine map that brings them nearest to one, and R2."""
    placed = LinearRegression().fit(other, latent).predict(other)
    return placed, 1 - np.square(placed - latent).sum() / np.square(latent - latent.mean(0)).sum()
