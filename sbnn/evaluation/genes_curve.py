"""How many genes the outputs need: test R2 against the number of genes."""

from numbers import Integral

import numpy as np
from sklearn.base import clone

from sbnn.data.inputs import as_paired
from sbnn.data.preselection import settings_of
from sbnn.evaluation.crossval import cross_validate
from sbnn.evaluation.runs import drop_details
from sbnn.models.bottleneck.estimator import SparseBottleneckRegressor
from sbnn.models.bottleneck.number_of_genes import AUTO, NUMBERS, numbers_up_to


def genes_curve(
    data, estimator=None, numbers=NUMBERS, folds=5, *, nested=True, n_jobs=1, results=None, overwrite=False, seed=0,
    preselect=None, verbose=True,
):  # fmt: skip
    """Test R2 of a network with few to many genes, chosen anew in every fold.

    Parameters
    ----------
    data : PairedData, tuple (X, Y), AnnData or MuData
    estimator : SparseBottleneckRegressor, optional
        By default the distilled protocol with two units.
    numbers : sequence of int
        Of genes; those below the number of genes in the data, or of those that are preselected.
    folds : int or list of (train, test)
        As for `cross_validate`.
    nested : bool
        Also fit with ``n_genes="auto"``, which chooses the number inside the training cells of each fold: its test R2
        is that of the choice. Every fold then takes about four times as long.
    n_jobs, results, overwrite, seed, preselect, verbose
        As for `cross_validate`.

    Returns
    -------
    Record
        Of `cross_validate`, a grid point for each number, without predictions of single cells. `genes_table` reads it,
        `sbnn.plotting.genes_curve` draws it.

    Raises
    ------
    ValueError
        If the numbers do not ascend, or one is not whole or below 1.
    """
    data = as_paired(data)
    listed = list(numbers) if np.iterable(numbers) else []
    whole = all(isinstance(number, Integral) for number in listed)
    if not (listed and whole and listed == sorted(set(listed)) and listed[0] >= 1):
        raise ValueError(f"numbers: expected numbers of genes that ascend from 1 or more, got {numbers!r}")
    numbers = [int(number) for number in listed]
    estimator = SparseBottleneckRegressor() if estimator is None else clone(estimator)
    shown = data.n_genes if preselect is None else min(data.n_genes, settings_of(preselect)["n_genes"])
    points = [*numbers_up_to(shown, numbers), *([AUTO] if nested else [])]
    record = cross_validate(
        estimator, data, folds, {"n_genes": points}, n_jobs=n_jobs, results=results, overwrite=overwrite, seed=seed,
        preselect=preselect, verbose=verbose,
    )  # fmt: skip
    return drop_details(record, results)
