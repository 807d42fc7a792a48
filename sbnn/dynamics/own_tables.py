"""The command ``sbnn network``: fit a network to a user's time course and compare simple models."""

from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.data.checks import kind_of_expression, some
from sbnn.data.gene_dynamics import gene_dynamics
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.readers.table import read_table
from sbnn.data.readers.table_files import read_file
from sbnn.data.readers.table_numbers import as_numbers
from sbnn.data.trajectories import prior_matrix, read_pseudotime, trajectories
from sbnn.dynamics import figures, report
from sbnn.dynamics.baselines import BASELINES
from sbnn.dynamics.evaluation import evaluate
from sbnn.dynamics.sparse_regulation import SparseRegulationRegressor
from sbnn.errors import warn
from sbnn.explorer.report import write_report
from sbnn.plotting.common import save_figure
from sbnn.results import write_atomically

LEAST = 0.01  # smallest probability at which an edge outside the prior is written to the table
# share of the samples (or, if there is only one sample, of the times) that is held out
HELD_OUT = 0.2


def read_course(expression, times=None):
    """Read trajectories from a long table, or from tables of cells and of their (pseudo)times."""
    if times is None:
        return trajectories(_log_values(_columns(expression, "course")), name="own")
    times = read_table(times, "times")
    table = _log_values(as_numbers(read_table(expression, "course"), "course"))
    if "time" not in times:
        return read_pseudotime(table, as_numbers(times, "times"), name="own")
    missing = times.index.difference(table.index, sort=False)
    if len(missing):
        raise ValueError(f"times: the expression has no row {some(missing)}")
    course = pd.DataFrame({"sample": "0", "time": times["time"]}, times.index)
    course.update(times)
    return trajectories(course.join(table), name="own")


def _log_values(table):
    """Take logarithms if the values of a table look like counts."""
    genes = table.columns.difference(["sample", "time"], sort=False)
    values = table[genes]
    numeric = values.dtypes.map(pd.api.types.is_numeric_dtype).all()
    if numeric and kind_of_expression(values.to_numpy())[0] == "counts":
        warn("counts are scaled to the same total in each row, and log2(1 + x) is applied")
        table[genes] = log2p1(normalize_library_size(values.to_numpy()))
    return table


def read_prior(path, genes):
    """Read signs, [regulator, target], from a genes-by-genes table or from a list of edges.

    A list has the columns regulator, target and, optionally, sign.
    """
    if path is None:
        return pd.DataFrame(0.0, genes, genes)
    edges = _columns(path, "prior")
    if {"regulator", "target"} <= set(edges):
        if "sign" not in edges:
            edges["sign"] = 1
        table = edges.pivot_table("sign", "regulator", "target", "mean", 0)
    else:
        table = as_numbers(read_table(path, "prior"), "prior")
    return pd.DataFrame(prior_matrix(table, genes), genes, genes)


def _columns(path, what):
    """Read a table without row names, whose first column contains values."""
    try:
        names, rows, _ = read_file(Path(path))[None]
    except (ValueError, LookupError) as error:
        raise ValueError(f"{what} ({Path(path).name}): {error}") from error
    return rows.set_axis(names, axis=1)


def study(data, prior, out, n_passes=5):
    """Fit `SparseRegulationRegressor`, compare it with simple models, and write the results.

    The folder gets network.html, edges.csv, predictions.csv and two figures. To score predictions,
    every method is also fitted without the last fifth of the samples or, if there is only one
    sample, without the last fifth of its times.
    """
    held = held_out_rows(data)
    split = gene_dynamics(data[~held], data[held], prior, name="own")
    sparse = SparseRegulationRegressor(n_passes)
    models = BASELINES | {"sparse": sparse}
    del models["replicate"]
    records = {}
    for name, model in models.items():
        record = evaluate(model, {0: split}, method=name, condition="real", details=True)
        records[f"real_{name}"] = record
    of = report.by_condition(records)["real"]
    sparse.fit(data, prior)
    edges = edges_table(sparse, prior)
    predicted = data[held].copy()
    predicted.X = of["sparse"].predicted.reshape(predicted.shape)
    predicted = predicted.obs.join(predicted.to_df())
    out = Path(out)
    [scores, *_] = save_figure(figures.scores_of_methods(of), out / "scores")
    drawn = figures.predicted_paths(of["prior"], {"sparse": of["sparse"]})
    [paths, *_] = save_figure(drawn, out / "paths")
    write_atomically(edges.to_csv(index=False).encode(), out / "edges.csv")
    write_atomically(predicted.to_csv(index=False).encode(), out / "predictions.csv")
    write_report(
        out / "network.html",
        f"{data.n_obs} times x {data.n_vars} genes",
        sparse.verdict_,
        [
            (scores, "Held-out samples", "Scores of each method"),
            (paths, "Paths", "Measured and predicted"),
        ],
        [
            ("Held-out samples, from their start", report.methods_table(records, "real")),
            ("The most probable edges", edges.head(25).set_index("regulator")),
        ],
    )
    return sparse.verdict_


def held_out_rows(data):
    """Mask of the last fifth of the samples (of the length of the last) or of a single sample."""
    lengths = data.obs.groupby("sample", sort=False).size().to_numpy()
    n = len(lengths)
    if n == 1:
        return np.arange(data.n_obs) >= min(data.n_obs * (1 - HELD_OUT), data.n_obs - 2)
    last = np.arange(n) >= min(n * (1 - HELD_OUT), n - 1)
    return np.repeat(last & (lengths == lengths[-1]), lengths)


def edges_table(model, prior):
    """Edges of the prior and probable edges, with the most probable edges first."""
    columns = {
        "probability": model.edge_probabilities_.stack(),
        "score": model.edge_scores_.stack(),
        "prior": prior.stack(),
    }
    edges = pd.DataFrame(columns).rename_axis(["regulator", "target"])
    edges = edges[(edges["probability"] >= LEAST) | (edges["prior"] != 0)]
    order = ["probability", "score"]
    return edges.sort_values(order, key=np.abs, ascending=False, kind="stable").reset_index()
