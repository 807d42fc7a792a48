"""Whether held-out cells are predicted better than by chance: test R2 beside that of permuted outputs."""

import math
import warnings

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control
from sklearn.preprocessing import StandardScaler

from sbnn.data.inputs import as_paired
from sbnn.evaluation.folds import split_fold
from sbnn.results import Record

LEVEL = 0.05
N_PERMUTATIONS = 199
N_PERMUTATIONS_OF_OUTPUTS = 999, 4999  # more, since p is corrected for the number of outputs


def chance_table(record, data, n_permutations=N_PERMUTATIONS, seed=0, points=None):
    """Test R2 of every grid point, and what is left of it when the outputs of the test cells change places.

    The predictions stay, and the outputs of the test cells of each fold are dealt out anew: as likely, if the genes say
    nothing of them.

    Parameters
    ----------
    record : Record
        From `sbnn.cross_validate`, with its predictions.
    data : PairedData, tuple (X, Y), AnnData, MuData or Record
        What was cross-validated, or a fit of it (`sbnn.fit_full`), which holds its outputs.
    n_permutations : int
        p is at least 1 / (1 + so many), and at least `least_p`.
    seed : int
    points : sequence of int, optional
        Only these positions in the grid.

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
    Y, rows = _outputs_of(record, data)[0], {}
    points = [g for g in _predicted_points(record) if points is None or g in points]
    measured, permuted = np.zeros(len(points)), np.zeros((len(points), n_permutations))
    for f, fold in enumerate(record.folds if points else ()):
        outputs, middle = _held_out_outputs(Y, fold, record.settings.get("scaling", "fold"))
        total = np.square(outputs).sum()
        random = np.random.default_rng((seed, f))  # the same places for all grid points
        orders = [random.permutation(len(outputs)) for _ in range(n_permutations)]
        for i, g in enumerate(points):
            predicted = np.asarray(record.test_predictions[g][f], dtype=np.float64).reshape(outputs.shape) - middle
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


def outputs_table(record, data, ridge=None, point=0, n_permutations=None, seed=0):
    """Which outputs are predicted better than by chance, once their number is allowed for.

    Parameters
    ----------
    record : Record
        From `sbnn.cross_validate`, with the predictions of this grid point.
    data : PairedData or Record
        As for `chance_table`.
    ridge : Record, optional
        Cross-validation of ridge on the same folds, to stand beside.
    point : int
        Position in the grid.
    n_permutations : int, optional
        999 by default, more with more than 24 outputs, up to 4999: p of one output has to be small enough for all.
    seed : int

    Returns
    -------
    DataFrame
        Indexed by output, in the order of the data: ``test_r2`` and ``permuted_r2``, means over the folds; ``p`` as for
        `chance_table`; ``adjusted_p``, that of Benjamini and Hochberg (J. R. Stat. Soc. B 57, 289, 1995); ``ridge_r2``,
        if `ridge` is given; ``better_than_chance``, whether the adjusted p is at most 0.05 and R2 above 0. NaN of an
        output that is constant in the test cells of a fold.

    Raises
    ------
    ValueError
        If the record is of other data, or has no predictions of the point; if its folds test too few cells to permute.
    """
    Y, names = _outputs_of(record, data)
    if point not in _predicted_points(record):
        raise ValueError(f"point: the record holds no predictions of grid point {point}; cross-validate it anew")
    if n_permutations is None:
        n_permutations = int(np.clip(40 * Y.shape[1], *N_PERMUTATIONS_OF_OUTPUTS))
    if least_p(record, n_permutations) > LEVEL:
        raise ValueError("record: the folds test too few cells, or n_permutations is too small, to tell chance")
    measured, permuted = np.zeros(Y.shape[1]), np.zeros((n_permutations, Y.shape[1]))
    for f, fold in enumerate(record.folds):
        outputs, middle = _held_out_outputs(Y, fold, record.settings.get("scaling", "fold"))
        predicted = np.asarray(record.test_predictions[point][f], dtype=np.float64).reshape(outputs.shape) - middle
        size, total = np.square(predicted).sum(0), np.square(outputs).sum(0)
        total = np.where(total > 0, total, np.nan) * len(record.folds)
        measured += (2 * (predicted * outputs).sum(0) - size) / total
        random = np.random.default_rng((seed, f))
        for k in range(n_permutations):
            permuted[k] += (2 * (predicted * random.permutation(outputs)).sum(0) - size) / total
    known = np.isfinite(measured)
    table = pd.DataFrame({"test_r2": measured, "permuted_r2": permuted.mean(0)}, pd.Index(names, name="output"))
    table["p"] = np.where(known, (1 + (permuted >= measured - 1e-12).sum(0)) / (1 + n_permutations), np.nan)
    table["adjusted_p"] = np.nan
    if known.any():
        table.loc[known, "adjusted_p"] = false_discovery_control(table.p[known])
    if ridge is not None:
        table["ridge_r2"] = ridge.test_feature_r2[:, 0].mean(0)
    table["better_than_chance"] = (table.adjusted_p <= LEVEL) & (table.test_r2 > 0)
    return table


def least_p(record, n_permutations=N_PERMUTATIONS):
    """Smallest p that permutations of the test cells can give: more than 0.05 where folds test hardly any cells.

    Parameters
    ----------
    record : Record
    n_permutations : int

    Returns
    -------
    float
        1 where every fold tests a single cell, as when one is left out at a time.
    """
    orders = sum(math.lgamma(1 + len(test)) for _, test in record.folds)  # logarithm of how many there are
    return max(1 / (1 + n_permutations), math.exp(-orders))


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
    if len(chance) and least_p(record) <= LEVEL:
        best = chance.loc[chance.test_r2.idxmax()]
        some = "" if len(record.params) == 1 else f"{len(chance)} of {len(record.params)} grid points: "
        warnings.warn(
            f"{some}held-out cells of {record.dataset!r} are not predicted better than by chance (test R2 "
            f"{best.test_r2:.3f}, with permuted outputs {best.permuted_r2:.3f}, p = {best.p:.2f})",
            stacklevel=3,
        )


def _outputs_of(record, data):
    """Outputs that a record predicts and their names, from the data or a fit; an error if it is of other data."""
    fitted = isinstance(data, Record)
    data = data if fitted else as_paired(data)
    name = data.dataset if fitted else data.name
    if (record.dataset, record.sha256) != (name, data.sha256):
        raise ValueError(f"record: it is of other data than the {name!r} that is given")
    if fitted and record.settings.get("scaling") == "none":
        raise ValueError("data: a fit holds z-scored outputs, and the record is of outputs as they are; give the data")
    return (data.outputs if fitted else data.Y), np.asarray(data.feature_names).astype(str)


def _predicted_points(record):
    """Positions of the grid points whose predictions a record holds."""
    kept = record.values.get("test_predictions", [])
    return [g for g, predicted in enumerate(kept) if all(one is not None for one in predicted)]


def _held_out_outputs(Y, fold, scaling):
    """Scaled outputs of the test cells of a fold, about the means of its training cells; and these means."""
    if scaling == "all":
        Y = StandardScaler().fit_transform(Y.astype(np.float64)).astype(np.float32)
    no_genes = np.zeros((len(Y), 1), np.float32)
    _, Y_train, _, Y_test = split_fold((no_genes, Y, None), fold, scaling)
    middle = Y_train.mean(axis=0, dtype=np.float64)
    return Y_test - middle, middle
