"""The same model fitted again and again: to all cells with other seeds, and to halves of the cells.

With other seeds, what changes is chance in the training; with other cells, the data. `sbnn.evaluation.stability` says
what follows for the genes.
"""

import time
from numbers import Integral

import numpy as np
from joblib import delayed
from tqdm.auto import tqdm

from sbnn.data.inputs import as_paired
from sbnn.determinism import reproducible
from sbnn.evaluation.crossval import cross_validate
from sbnn.evaluation.folds import zscored
from sbnn.evaluation.identity import configured, fit_key
from sbnn.evaluation.runs import ResumableRun, drop_details, in_workers, require_names
from sbnn.metrics import feature_r2, pooled_r2
from sbnn.results import Record


def repeat_fits(estimator, data, seeds=10, n_jobs=1, *, results=None, overwrite=False, verbose=True):
    """Fit all cells, z-scored, again and again with other seeds.

    A method that draws nothing at random when it chooses its genes, such as ``protocol="distilled"`` on up to 2000
    cells, keeps the same genes every time. That says nothing about them; `stability_selection` is then what to ask.

    Parameters
    ----------
    estimator : scikit-learn-style regressor
        With ``random_state`` and ``get_support``.
    data : PairedData, tuple (X, Y), AnnData or MuData
    seeds : int or sequence of int
        A number n stands for 0 ... n - 1.
    n_jobs : int
        Worker processes; the result is the same for any number.
    results : str or path-like, optional
        File to save to. What it holds is not computed again; after a kill, neither is what was finished (kept beside
        it in ``<results>.parts``).
    overwrite : bool
        Compute everything anew.
    verbose : bool
        Show a progress bar.

    Returns
    -------
    Record
        ``experiment="repeated fits"``, one grid point per seed; laid out as by `cross_validate` with a single fold:
        ``selected`` (1, fits, p), ``n_selected``, ``train_r2``, ``seconds`` (CPU) (1, fits), ``train_feature_r2``
        (1, fits, q), ``gene_norms`` (1, fits, p) where the estimator has them; ``gene_names``, ``feature_names``.

    Raises
    ------
    TypeError
        If the estimator has no ``get_support``.
    ValueError
        If it has no ``random_state``: all its fits are the same. If there is no seed, or one twice; if `results` holds
        other fits and `overwrite` is False.
    """
    _require_selection(estimator)
    data = as_paired(data)
    if "random_state" not in estimator.get_params():
        raise ValueError(
            f"estimator: {type(estimator).__name__} has no random_state, so that all fits would be the same; "
            "stability_selection fits other cells instead"
        )
    seeds = list(range(seeds)) if isinstance(seeds, Integral) else [int(seed) for seed in seeds]
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds: expected at least one, each once, got {seeds}")
    points = [{"random_state": seed} for seed in seeds]
    models = [configured(estimator, point, None, data.gene_names) for point in points]
    everything = np.arange(data.n_cells), np.zeros(0, int)

    run = ResumableRun(
        results, overwrite, lambda known: [[fit_key(data, model, everything, "all", known)] for model in models]
    )
    if run.stored is not None:
        require_names(run.stored, data, run.results)
        if run.complete:
            return run.stored
    with run.writing():
        if run.complete:  # by another run, that was waited for
            return run.stored
        missing = [i for i in range(len(models)) if not run.is_done(i, 0)]
        X, Y, _ = zscored(data)
        jobs = (delayed(_fit_once)(models[i], X, Y, i) for i in missing)
        with tqdm(total=len(missing), desc=f"{data.name}: fits", disable=not verbose) as bar:
            for i, outcome in in_workers(jobs, n_jobs):
                run.keep(i, 0, outcome, _record(data, [points[i]]))
                bar.update()
        return run.finish(_record(data, points), data, estimator, "all")


def _record(data, points):
    return Record("repeated fits", data.name, data.sha256, points)


def _fit_once(model, X, Y, label):
    """Outcome of one fit, with its label; runs in a worker."""
    with reproducible():
        started = time.process_time()
        model.fit(X, Y)
        seconds = time.process_time() - started
        predicted = np.asarray(model.predict(X)).reshape(Y.shape)
    selected = np.asarray(model.get_support())
    outcome = {
        "seconds": seconds,
        "train_r2": pooled_r2(Y, predicted, 0.0),
        "train_feature_r2": feature_r2(Y, predicted, 0.0),
        "selected": selected,
        "n_selected": int(selected.sum()),
    }
    if hasattr(model, "gene_norms_"):
        outcome["gene_norms"] = model.gene_norms_.astype(np.float32)
    return label, outcome


def _require_selection(estimator):
    if not hasattr(estimator, "get_support"):
        raise TypeError(f"estimator: {type(estimator).__name__} has no get_support, it does not select genes")


def complementary_pairs(n, n_pairs=50, seed=0):
    """Halves of the cells, each followed by the other half: folds for `cross_validate`.

    Parameters
    ----------
    n : int
        Number of cells; of an odd number another one is left out of every pair.
    n_pairs : int
        B. The first pairs are the same for any number.
    seed : int

    Returns
    -------
    list of (ndarray, ndarray)
        2 B folds: fold 2 b fits the first half of pair b, fold 2 b + 1 the second.

    Raises
    ------
    ValueError
        If there are fewer than four cells, or no pair is asked for.
    """
    if n < 4 or n_pairs < 1:
        raise ValueError(f"n, n_pairs: expected at least 4 cells and 1 pair, got {n} and {n_pairs}")
    rng = np.random.default_rng(seed)
    folds = []
    for _ in range(n_pairs):
        order = rng.permutation(n)
        halves = [np.sort(order[: n // 2]), np.sort(order[n // 2 : 2 * (n // 2)])]
        folds += [(halves[0], halves[1]), (halves[1], halves[0])]
    return folds


def stability_selection(
    estimator, data, n_pairs=50, n_jobs=1, *, scaling="fold", results=None, overwrite=False, seed=0, preselect=None,
    verbose=True,
):  # fmt: skip
    """Fit complementary halves of the cells: complementary pairs stability selection.

    Parameters
    ----------
    estimator : scikit-learn-style regressor
        With ``get_support``.
    data : PairedData, tuple (X, Y), AnnData or MuData
    n_pairs : int
        B; 2 B models are fitted.
    n_jobs, scaling, results, overwrite, verbose
        As for `cross_validate`, which does the work. More pairs may be added to saved ones later.
    seed : int
        Of the halves, and ``random_state`` of an estimator whose own is None.
    preselect : int or dict, optional
        As for `cross_validate`: each half chooses so many genes, from which the estimator selects.

    Returns
    -------
    Record
        As from `cross_validate` over `complementary_pairs`, without predictions, latent space and history. ``test_r2``
        is that of the half that was not fitted. `sbnn.evaluation.stability.selection_table` says which genes
        to trust.

    Raises
    ------
    TypeError, ValueError, OSError
        As for `repeat_fits` and `cross_validate`.
    """
    _require_selection(estimator)
    data = as_paired(data)
    record = cross_validate(
        estimator,
        data,
        complementary_pairs(data.n_cells, n_pairs, seed),
        n_jobs=n_jobs,
        scaling=scaling,
        results=results,
        overwrite=overwrite,
        seed=seed,
        preselect=preselect,
        verbose=verbose,
    )
    return drop_details(record, results)
