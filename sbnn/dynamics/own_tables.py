"""The command ``sbnn network``: fit a network to a user's own time course and compare it with simple models."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.data.checks import kind_of_expression, some
from sbnn.data.gene_dynamics import gene_dynamics
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.readers.table_files import read_file
from sbnn.data.readers.tables import as_numbers, read_table
from sbnn.data.trajectories import as_trajectories, prior_matrix, read_pseudotime, trajectories
from sbnn.dynamics import figures, report
from sbnn.dynamics.baselines import BASELINES
from sbnn.dynamics.evaluation import evaluate
from sbnn.dynamics.sparse_regulation import SparseRegulationRegressor
from sbnn.errors import naming
from sbnn.explorer.report import write_report
from sbnn.plotting.common import save_figure
from sbnn.results import write_atomically

LEAST = 0.01  # smallest probability at which an edge outside the prior is written to the table
# share of the samples (or, if there is only one sample, of the times) that is held out
HELD_OUT = 0.2


def read_course(expression, times=None):
    """Read trajectories from a long table, or from a table of cells and a table of their times or pseudotimes."""
    if times is None:
        table = _columns(expression, "course")
    else:
        table, times = (
            as_numbers(read_table(expression, "course"), "course"),
            read_table(times, "times"),
        )
        if lacking := [cell for cell in times.index if cell not in table.index]:
            raise ValueError(
                f"times: the expression has no row {some(lacking)}; its rows are {some(table.index)}"
            )
    genes = [column for column in table if column not in ("sample", "time")]
    numbers = table[genes].dtypes.map(pd.api.types.is_numeric_dtype).all()
    if numbers and kind_of_expression(table[genes].to_numpy())[0] == "counts":
        warnings.warn(
            "counts are scaled to the same total in each row, and log2(1 + x) is applied",
            stacklevel=2,
        )
        table[genes] = log2p1(normalize_library_size(table[genes].to_numpy()))
    if times is None:
        return trajectories(table, name="own")
    if "time" not in times:
        return read_pseudotime(table, as_numbers(times, "times"), name="own")
    return trajectories(
        times.assign(sample=times.get("sample", "0"))[["sample", "time"]].join(table), name="own"
    )


def read_prior(path, genes):
    """Read signs, [regulator, target], from a genes-by-genes table or from a list of regulators, targets and signs."""
    if path is None:
        return pd.DataFrame(0.0, genes, genes)
    table = _columns(path, "prior")
    if {"regulator", "target"} <= {*table}:
        table = table.assign(sign=table.get("sign", 1)).pivot_table(
            "sign", "regulator", "target", "mean", 0
        )
    else:
        table = as_numbers(read_table(path, "prior"), "prior")
    return pd.DataFrame(prior_matrix(table, genes), genes, genes)


def _columns(path, what):
    """Read a table without row names, whose first column contains values."""
    with naming(f"{what} ({Path(path).name}): expected a table"):
        names, rows = read_file(Path(path), None, None, None)
    return rows.set_axis(names, axis=1)


def study(data, prior, out, n_passes=5):
    """Fit `SparseRegulationRegressor` and write network.html, edges.csv, predictions.csv and two
    figures to a folder.

    To score predictions, every method is also fitted without the last fifth of the samples or, if
    there is only one sample, without the last fifth of its times.
    """
    lengths = np.array([len(times) for times in as_trajectories(data).times])
    if len(lengths) > 1:
        last = np.arange(len(lengths)) >= min(len(lengths) * (1 - HELD_OUT), len(lengths) - 1)
        held = np.repeat(last & (lengths == lengths[-1]), lengths)
    else:
        held = np.arange(lengths[0]) >= min(lengths[0] * (1 - HELD_OUT), lengths[0] - 2)
    split, records = gene_dynamics(data[~held], data[held], prior, name="own"), {}
    for name, model in (BASELINES | {"sparse": SparseRegulationRegressor(n_passes)}).items():
        if name != "replicate":
            how = {"method": name, "condition": "real", "details": name in ("prior", "sparse")}
            records[f"real_{name}"] = evaluate(model, {0: split}, **how)
    model, of = (
        SparseRegulationRegressor(n_passes).fit(data, prior),
        report.by_condition(records)["real"],
    )
    edges = pd.DataFrame(
        {"probability": model.edge_probabilities_.stack(), "score": model.edge_scores_.stack()}
    )
    edges = edges.rename_axis(["regulator", "target"]).assign(prior=prior.to_numpy().ravel())
    edges = edges[(edges["probability"] >= LEAST) | (edges["prior"] != 0)]
    edges = edges.sort_values(
        ["probability", "score"], key=np.abs, ascending=False, kind="stable"
    ).reset_index()
    predicted = pd.DataFrame(
        of["sparse"].predicted.reshape(-1, data.n_vars), columns=data.var_names
    )
    predicted = pd.concat([data.obs[held].reset_index(drop=True), predicted], axis=1)
    drawn = {"scores": figures.scores_of_methods(of)}
    drawn["paths"] = figures.predicted_paths(of["prior"], {"sparse": of["sparse"]})
    for name, figure in drawn.items():
        save_figure(figure, Path(out, name))
    for name, content in {"edges.csv": edges, "predictions.csv": predicted}.items():
        write_atomically(content.to_csv(index=False).encode(), Path(out, name))
    title = f"{data.n_obs} times x {data.n_vars} genes"
    pictures = [
        ("scores", "Held-out samples", "Scores of each method"),
        ("paths", "Paths", "Measured and predicted"),
    ]
    pictures = [(Path(out, f"{name}.png"), *words) for name, *words in pictures]
    tables = [("Held-out samples, from their start", report.methods_table(records, "real"))]
    tables += [("The most probable edges", edges.head(25).set_index("regulator"))]
    write_report(Path(out, "network.html"), title, model.verdict_, pictures, tables)
    return model.verdict_
