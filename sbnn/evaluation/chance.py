"""Whether held-out cells are predicted better than by chance: test R2 beside that of permuted outputs."""

import warnings

import numpy as np
import pandas as pd

from sbnn.data.inputs import as_paired
from sbnn.evaluation.folds import split_fold, zscored

LEVEL = 0.05
N_PERMUTATIONS = 199


def chance_table(record, data, n_permutations=N_PERMUTATIONS, seed=0):
    """Test R2 of every grid point, and what is left of it when the outputs of the test cells change places.

    The predictions stay, and the outputs of the test cells of each fold are dealt out anew: as likely, if the genes say
    nothing of them.

    Parameters
    ----------
    record : Record
        From `sbnn.cross_validate`, with its predictions.
    data : PairedData, tuple (X, Y), AnnData or MuData
        What was cross-validated, see `sbnn.data.inputs.as_paired`.
    n_permutations : int
        p is at least 1 / (1 + so many).
    seed : int

    Returns
    -------
    DataFrame
        Indexed by position in the grid, of the points with predictions: ``test_r2``, ``permuted_r2`` (means over folds)
        and ``p``, the share of permutations that are at least as good, the measured one among them.

    Raises
    ------
    ValueError
        If the record is of other data.
    """
    data = as_paired(data)
    if (record.dataset, record.sha256) != (data.name, data.sha256):
        raise ValueError(f"record: it is of other data than the {data.name!r} that is given")
    rows = {}
    kept = record.values.get("test_predictions", [[None]] * len(record.params))
    points = [g for g, predicted in enumerate(kept) if all(one is not None for one in predicted)]
    measured, permuted = np.zeros(len(points)), np.zeros((len(points), n_permutations))
    for f, fold in enumerate(record.folds if points else ()):
        outputs, middle = _held_out_outputs(data, fold, record.settings.get("scaling", "fold"))
        total = np.square(outputs).sum()
        random = np.random.default_rng((seed, f))  # the same places for all grid points
        orders = [random.permutation(len(outputs)) for _ in range(n_permutations)]
        for i, g in enumerate(points):
            predicted = np.asarray(kept[g][f], dtype=np.float64).reshape(outputs.shape) - middle
            size = np.square(predicted).sum()
            measured[i] += (2 * np.vdot(predicted, outputs) - size) / total / len(record.folds)
            together = np.array([np.vdot(predicted, outputs[order]) for order in orders])
            permuted[i] += (2 * together - size) / total / len(record.folds)
    for i, g in enumerate(points):
        as_good = (permuted[i] >= measured[i] - 1e-12).sum()
        rows[g] = {
            "test_r2": measured[i],
            "permuted_r2": permuted[i].mean(),
            "p": (1 + as_good) / (1 + n_permutations),
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["test_r2", "permuted_r2", "p"])


def warn_of_chance(record, data):
    """Warn if grid points of a cross-validation predict held-out cells no better than permuted outputs would be.

    Parameters
    ----------
    record : Record
    data : PairedData

    Warns
    -----
    UserWarning
        With the number of these grid points, and R2 and p of the best of them.
    """
    table = chance_table(record, data)
    chance = table[table.p > LEVEL]
    if len(chance):
        best = chance.loc[chance.test_r2.idxmax()]
        some = "" if len(record.params) == 1 else f"{len(chance)} of {len(record.params)} grid points: "
        warnings.warn(
            f"{some}held-out cells of {record.dataset!r} are not predicted better than by chance (test R2 "
            f"{best.test_r2:.3f}, with permuted outputs {best.permuted_r2:.3f}, p = {best.p:.2f})",
            stacklevel=3,
        )


def _held_out_outputs(data, fold, scaling):
    """Scaled outputs of the test cells of a fold, about the means of its training cells; and these means."""
    Y = zscored(data)[1] if scaling == "all" else data.Y
    no_genes = np.zeros((len(Y), 1), np.float32)
    _, Y_train, _, Y_test = split_fold((no_genes, Y, None), fold, scaling)
    middle = Y_train.mean(axis=0, dtype=np.float64)
    return Y_test - middle, middle
