"""Fits that are repeated: with other seeds, on halves of the cells, with more genes."""

import time
from numbers import Integral

import numpy as np
from joblib import delayed

from sbnn.data.paired import as_paired
from sbnn.data.preselection import settings_of
from sbnn.determinism import reproducible
from sbnn.evaluation.crossval import cross_validate, scores_of
from sbnn.evaluation.folds import zscored
from sbnn.evaluation.identity import configured
from sbnn.evaluation.runs import drop_details, fit_all
from sbnn.models.bottleneck.estimator import AUTO, NUMBERS, SparseBottleneckRegressor, numbers_up_to
from sbnn.results import Record


def repeat_fits(estimator, data, seeds=10, *, results=None, overwrite=False, n_jobs=1, verbose=True):
    """Fit all cells, z-scored, again and again with other seeds.

    A method that draws nothing at random when it chooses its genes, such as ``protocol="distilled"`` on up to 2000
    cells, keeps the same genes every time. That says nothing about them; `stability_selection` is then what to ask.

    `estimator` has ``random_state`` and ``get_support``; a number of `seeds` n stands for 0 ... n - 1, and the other
    options are those of `cross_validate`. The record has one grid point per seed and a single fold, and lacks what
    needs test cells.
    """
    _require_selection(estimator)
    data = as_paired(data)
    points = [{"random_state": int(seed)} for seed in (range(seeds) if isinstance(seeds, Integral) else seeds)]
    models = [configured(estimator, point, None, data.gene_names) for point in points]
    wanted = Record("repeated fits", data.name, data.sha256, points, values=data.names)

    def plan(done):
        X, Y, _ = zscored(data)
        return [delayed(_fit_once)(models[g], X, Y, (g, 0)) for g in range(len(models)) if (g, 0) not in done]

    how = {"results": results, "overwrite": overwrite, "n_jobs": n_jobs, "verbose": verbose}
    return fit_all(wanted, [[model] for model in models], plan, estimator, "all", {}, **how)


def _fit_once(model, X, Y, place):
    """Outcome of one fit, by its place; runs in a worker."""
    with reproducible():
        started = time.process_time()
        model.fit(X, Y)
        outcome = {"seconds": time.process_time() - started} | scores_of(model, {"train": (X, Y)}, 0.0)
    return [(place, outcome)]


def _require_selection(estimator):
    """Refuse an estimator that selects no genes."""
    if not hasattr(estimator, "get_support"):
        raise TypeError(f"estimator: {type(estimator).__name__} has no get_support, it does not select genes")


def complementary_pairs(n, n_pairs=50, seed=0):
    """Halves of the cells, each followed by the other half: 2 B folds; the first pairs are the same for any number."""
    rng = np.random.default_rng(seed)
    folds = []
    for _ in range(n_pairs):
        order = rng.permutation(n)
        halves = [np.sort(order[: n // 2]), np.sort(order[n // 2 : 2 * (n // 2)])]
        folds += [(halves[0], halves[1]), (halves[1], halves[0])]
    return folds


def stability_selection(estimator, data, n_pairs=50, *, results=None, seed=0, **options):
    """Fit complementary halves of the cells: complementary pairs stability selection.

    Parameters
    ----------
    estimator : scikit-learn-style regressor
        With ``get_support``.
    data : AnnData, MuData or tuple (X, Y)
    n_pairs : int
        B; 2 B models are fitted. More pairs may be added to saved ones later.
    results : str or path-like, optional
        File to save to, as for `cross_validate`.
    seed : int
        Of the halves, and ``random_state`` of an estimator whose own is None.
    **options
        ``n_jobs``, ``scaling``, ``overwrite``, ``preselect`` and ``verbose`` of `cross_validate`, which does the work.

    Returns
    -------
    Record
        As from `cross_validate`, without predictions, latent space and history. ``test_r2`` is that of the half that
        was not fitted. `selection_table` says which genes to trust.
    """
    _require_selection(estimator)
    data = as_paired(data)
    halves = complementary_pairs(data.n_cells, n_pairs, seed)
    record = cross_validate(estimator, data, halves, results=results, seed=seed, **options)
    return drop_details(record, results)


def genes_curve(
    data, estimator=None, numbers=NUMBERS, folds=5, *, nested=True, results=None, preselect=None, **options
):
    """Test R2 of a network with few to many genes, chosen anew in every fold.

    Parameters
    ----------
    data : AnnData, MuData or tuple (X, Y)
    estimator : SparseBottleneckRegressor, optional
        By default the distilled protocol with two units.
    numbers : sequence of int
        Of genes, ascending; those below the number of genes in the data, or of those that are preselected.
    folds : int or list of (train, test)
    nested : bool
        Also fit with ``n_genes="auto"``, which chooses the number inside the training cells of each fold: its test R2
        is that of the choice. Every fold then takes about four times as long.
    results, preselect
        As for `cross_validate`.
    **options
        ``n_jobs``, ``scaling``, ``overwrite``, ``seed`` and ``verbose`` of `cross_validate`.

    Returns
    -------
    Record
        Of `cross_validate`, a grid point for each number, without predictions of single cells. `genes_table` reads it,
        `sbnn.plotting.genes_curve` draws it.
    """
    data = as_paired(data)
    shown = data.n_genes if preselect is None else min(data.n_genes, settings_of(preselect)["n_genes"])
    points = [*numbers_up_to(shown, sorted(numbers)), *([AUTO] if nested else [])]
    estimator = SparseBottleneckRegressor() if estimator is None else estimator
    how = {"results": results, "preselect": preselect} | options
    record = cross_validate(estimator, data, folds, {"n_genes": points}, **how)
    return drop_details(record, results)
