"""Reading the numbers of a figure out of a record, whatever grid it was computed on."""

import numpy as np

from sbnn.results import Record

CROSS_VALIDATION = "a cross-validation record"
NOT_REGRESSION = ("pretraining", "reconstruction")  # stages without a test R2


def require(record, argument, kind, names):
    """Check that a record holds what a figure needs.

    Parameters
    ----------
    record : Record
    argument : str
        Name of the argument, for the message.
    kind : str
        What was expected, in words.
    names : sequence of str
        Entries of ``record.values``.

    Raises
    ------
    TypeError
        If it is not a Record.
    ValueError
        If it is another kind of record.
    """
    if not isinstance(record, Record):
        raise TypeError(f"{argument}: expected {kind}, got {type(record).__name__}")
    missing = [name for name in names if name not in record.values]
    if missing:
        raise ValueError(
            f"{argument}: expected {kind}, got a {record.experiment!r} record of {record.dataset!r} without {missing}"
        )


def require_same_data(record, argument, other):
    """Check that two records, drawn into one figure, come from the same data."""
    if record.sha256 != other.sha256:
        raise ValueError(
            f"{argument}: expected a record of the same data as the others, {other.dataset!r} "
            f"({other.sha256[:12]}), got {record.dataset!r} ({record.sha256[:12]})"
        )


def parameter(record, point, name, default=None):
    """Parameter of a grid point, also where the whole grid shares it."""
    shared = record.settings.get("estimator", {}).get("params", {})
    return record.params[point].get(name, shared.get(name, default))


def points(record, **params):
    """Positions of the grid points that have these parameters."""
    return [
        g
        for g in range(len(record.params))
        if all(same(parameter(record, g, name), value) for name, value in params.items())
    ]


def levels(record, name, among=None):
    """Values that a parameter takes in the grid, sorted; empty if the estimator has no such parameter."""
    among = range(len(record.params)) if among is None else among
    return sorted({parameter(record, g, name) for g in among} - {None})


def nearest(values, wanted):
    """The value nearest to the wanted one, on a log scale."""
    values = np.asarray(values, float)
    floor = np.finfo(float).tiny
    return values[np.argmin(np.abs(np.log(np.maximum(values, floor)) - np.log(max(wanted, floor))))]


def mean_sd(values):
    """Mean and sample SD over the folds (first axis); the SD of a single fold is 0."""
    values = np.asarray(values, float)
    spread = values.std(0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1:])
    return values.mean(0), spread


def regression_stages(record, point):
    """First epoch and name of each stage after the pretraining, epochs counted from 1 without it."""
    table = record.history[point][0]
    stages = table["stage"][~table["stage"].isin(NOT_REGRESSION)].to_numpy()
    starts = np.flatnonzero(np.r_[True, stages[1:] != stages[:-1]])
    return [(int(start) + 1, stages[start]) for start in starts], len(stages)


def curve(record, point, column, stage=None):
    """Curves over epochs of a grid point.

    Parameters
    ----------
    record : Record
        From `sbnn.cross_validate`, of a network.
    point : int
    column : str
        Of ``history``.
    stage : str, optional
        One stage; by default all of the regression.

    Returns
    -------
    ndarray, shape (folds, epochs)
    """
    rows = []
    for table in record.history[point]:
        chosen = ~table["stage"].isin(NOT_REGRESSION) if stage is None else table["stage"] == stage
        rows.append(table.loc[chosen, column].to_numpy(float))
    return np.array(rows)


def gene_target(record):
    """Number of genes that the networks of a record keep."""
    return int(np.median(record.n_selected))


def nearest_in_genes(record, among, n_genes):
    """Grid point whose mean number of genes is nearest to `n_genes`."""
    return among[int(np.argmin(np.abs(record.n_selected[:, among].mean(0) - n_genes)))]


def published_rows(published, name, value, **others):
    """Published results of a kind of model.

    Parameters
    ----------
    published : list of dict or None
        Each has ``test_r2`` and parameters.
    name, value
        Parameter that a row must have, with its value: ``"n_components"`` marks networks, ``"rank"`` linear models.
    **others
        Further parameters; a row that does not name one of them matches, but for ``pretraining``, which is then True.

    Returns
    -------
    list of dict
    """
    return [
        row
        for row in published or []
        if name in row
        and same(row[name], value)
        and all(same(row.get(k, True if k == "pretraining" else v), v) for k, v in others.items())
    ]


def number(value):
    """A penalty strength as text: 0.1, 1, 10⁻⁴."""
    exponent = np.log10(value) if value > 0 else 0
    if abs(exponent) >= 1.5 and np.isclose(exponent, np.round(exponent)):
        return "10" + f"{int(np.round(exponent))}".translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{value:g}"


def folds_text(record):
    """How many folds the mean and the band are over."""
    n = len(record.test_r2)
    return f"mean ± SD over {n} folds" if n > 1 else "one fold"


def same(a, b):
    """Whether two parameter values agree; numbers to nine digits."""
    if isinstance(a, float | int) and isinstance(b, float | int):
        return bool(np.isclose(a, b, rtol=1e-9, atol=0))
    return a == b
