"""How far the map of the cells can be trusted: errors of held-out cells, other seeds, and the truth if it is known."""

from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.data.preselection import with_preselected
from sbnn.evaluation.folds import split_and_scale
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record
from sbnn.study.experiments import SEED, load_for, network

N_SEEDS = 5


def run_map_trust(data, folder, *, preselect=None, n_genes=None, fast=False, fresh=False):
    """Judge the map of the default network with two units, or load the verdict.

    Parameters
    ----------
    data : PairedData
    folder : str or path-like
        With the results of `run_cross_validations` and `run_full_fits`.
    preselect, n_genes : int, optional
        Genes that the fit was given, see `sbnn.preselect_genes`, and that it keeps.
    fast, fresh : bool

    Returns
    -------
    Record
        ``experiment="map trust"``, with

        - ``errors`` (n,): mean squared error of the z-scored outputs of each cell, in the fold that held it out; NaN of
          cells that no fold did.
        - ``latent`` (n, 2): the map that is judged.
        - ``latents`` (seeds, n, 2): maps of the same network fitted with other seeds, each brought onto the first by
          the affine map with the least squared error. ``agreement`` (seeds,): R2 of that.
        - ``spread`` (n,): root mean squared distance of these places of a cell from the judged one, in units of the
          root mean squared distance of all cells from the middle of the map.
        - ``true_latent`` (n, 2), ``truth_agreement``: the true map, brought onto the judged one likewise, and R2; only
          of simulated data with a true map of two dimensions.
    """
    folder = Path(folder)
    folds, fit = (load_for(data, folder / f"{name}.pickle") for name in ("cv_default", "fit_default_2d"))
    seeds = list(range(1, 2 if fast else 1 + N_SEEDS))
    point = folds.find(n_components=2)
    chosen, said = with_preselected(data, preselect)
    model = network(chosen, fast, n_genes, protocol="distilled", n_components=2)
    wanted = Record("map trust", data.name, data.sha256, [{}], SEED)
    judged = fingerprint_arrays(fit.latent, *folds.test_predictions[point])
    wanted.settings = {"seeds": seeds, "judged": judged, "scaling": folds.settings["scaling"]} | said

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

    return load_or_compute(wanted, compute, folder / "map_trust.pickle", fresh, estimator=model, n_cells=data.n_cells)


def held_out_errors(data, folds, point):
    """Mean squared error of the scaled outputs of each cell when it was held out.

    Parameters
    ----------
    data : PairedData
    folds : Record
        A cross-validation with ``test_predictions``.
    point : int
        Position in its grid.

    Returns
    -------
    ndarray, shape (n,)
        NaN of cells that were in no test fold.
    """
    errors = np.full(data.n_cells, np.nan)
    for fold, predicted in zip(folds.folds, folds.test_predictions[point], strict=True):
        Y_test = split_and_scale(data, fold, folds.settings["scaling"])[3]
        errors[fold[1]] = np.square(np.asarray(predicted) - Y_test).mean(axis=1)
    return errors


def _onto(other, latent):
    """Places of another map of the same cells after the affine map that brings them nearest to one, and R2."""
    placed = LinearRegression().fit(other, latent).predict(other)
    return placed, 1 - np.square(placed - latent).sum() / np.square(latent - latent.mean(0)).sum()
