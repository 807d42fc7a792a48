"""How time and memory of one fit grow with the cells and with the genes: sbnn beside cheap peers.

    python benchmarks/growth.py [--models distilled,ridge] [--most 1000000] [--limit 60]
    [--report-only]

Simulated counts, 16 outputs, 25 genes kept; 1000 genes where the cells grow, 1000 cells where the
genes grow. Every fit runs on one thread in a process of its own, after a small fit that imports
what is needed. Memory is what the fit adds to the process, which holds the data already; of a model
fitted from disk nothing is held before. Measures what is missing, keeps it in
saved_models/benchmarks/growth.pickle (to measure anew, remove that), prints Markdown and draws
figures/benchmarks/growth.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from accuracy import AT, FIGURES, MODELS, RECORDS
from measuring import measure
from pages import to_markdown
from scale import write
from sklearn.base import clone

from sbnn.plotting import save_figure
from sbnn.plotting.colors import MODELS as KINDS
from sbnn.plotting.common import finish, headline, new_figure, styled
from sbnn.results import Record, load, save

CELLS, GENES, FIXED = (10**3, 10**4, 10**5, 10**6), (10**2, 10**3, 10**4, 2 * 10**4), 1000
LIMIT = 60  # CPU seconds of one fit
PATH = RECORDS / "growth.pickle"
COLUMNS = ["model", "cells", "genes", "seconds", "bytes"]


@dataclass(frozen=True)
class Row:
    """A model and how far it is measured.

    Parameters
    ----------
    label : str
    name : str
        In the accuracy benchmark.
    color, dashes : str
    most_cells : int
        In memory, a million cells x 1000 genes take 4 GB, and 8 GB for each copy in double
        precision.
    from_disk : bool
        Fit to an AnnData opened with ``backed="r"``.
    """

    label: str
    name: str
    color: str
    dashes: str = "-"
    most_cells: int = 10**5
    from_disk: bool = False

    def sizes(self, most):
        """Cells and genes of the fits, without those of more than `most` cells or genes."""
        grown = [(n, FIXED) for n in CELLS if n <= self.most_cells] + [
            (FIXED, p) for p in GENES if p != FIXED
        ]
        return [size for size in grown if max(size) <= most]


ROWS = {
    "distilled": Row("sBNN distilled", "sbnn_distilled_d2", KINDS["distilled"]),
    "from_disk": Row(
        "sBNN distilled, from disk",
        "sbnn_distilled_d2",
        KINDS["distilled"],
        "--",
        most_cells=10**6,
        from_disk=True,
    ),
    "paper": Row("sBNN paper", "sbnn_d2", KINDS["paper"], most_cells=10**4),
    "srrr": Row("sRRR, rank 2", "srrr_2", KINDS["linear"]),
    "lasso": Row("MultiTaskLasso + ridge", "lasso_ridge", KINDS["lasso"]),
    "forest": Row("greedy + forest", "greedy_forest", KINDS["greedy"]),
    "ridge": Row("ridge, all genes", "ridge", KINDS["all genes"]),
}


def prepare(key, folder, n_cells, n_genes):
    """Load the data, or open it, and warm up; gives the fit."""
    row = ROWS[key]
    adata = anndata.read_h5ad(folder / "cells.h5ad", backed="r")

    def model(n_kept=AT):
        estimator = clone(MODELS[row.name].estimator)
        if "standardize" in estimator.get_params():
            estimator.set_params(standardize=True)
        return estimator.set_params(n_genes=n_kept) if MODELS[row.name].genes else estimator

    if row.from_disk:
        model(5).fit(adata[:200].to_memory())
        return lambda: model().fit(adata), lambda _: None
    X, Y = adata.X[:], np.array(adata.obsm["outputs"])
    for A in (X, Y):
        A -= A.mean(0)
        A /= A.std(0) + 1e-6  # there may be a gene without counts
    model(5).fit(X[:200, :50], Y[:200])
    return lambda: model().fit(X, Y), lambda _: None


def run(keys, most=10**6, limit=LIMIT, path=PATH):
    """Measure what is not in the record yet, and write it after every fit.

    Parameters
    ----------
    keys : sequence of str
        Of `ROWS`.
    most : int
        Larger numbers of cells or genes are left out.
    limit : int
        CPU seconds of a fit.
    path : path-like

    Returns
    -------
    DataFrame
        ``model``, ``cells``, ``genes``, ``seconds`` (infinite beyond the limit) and ``bytes`` (then
        NaN).
    """
    done = to_table(path)
    if len(done) and load(path).settings["limit"] != limit:
        done = done[np.isfinite(done.seconds)].reset_index(drop=True)
    have = set(zip(done.model, done.cells, done.genes, strict=True))
    wanted = [(key, *size) for key in keys for size in ROWS[key].sizes(most)]
    missing = [point for point in wanted if point not in have]
    for n_cells, n_genes in sorted({point[1:] for point in missing}):
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "cells.h5ad", n_cells, n_genes)
            for key in [key for key, *size in missing if size == [n_cells, n_genes]]:
                took = measure(prepare, key, Path(folder), n_cells, n_genes, limit=limit)
                seconds, memory = (np.inf, np.nan) if took is None else (took.seconds, took.growth)
                print(
                    f"{ROWS[key].label}, {n_cells} x {n_genes}: {seconds:.1f} CPU s",
                    file=sys.stderr,
                    flush=True,
                )
                done.loc[len(done)] = [key, n_cells, n_genes, seconds, memory]
                params = done[COLUMNS[:3]].to_dict("records")
                values = {name: done[name].to_numpy(float)[np.newaxis] for name in COLUMNS[3:]}
                save(
                    Record(
                        "growth", "simulated counts", "", params, 0, {"limit": limit}, values=values
                    ),
                    path,
                )
    return done


def to_table(path):
    """What was measured so far, one row per fit, as `run` returns it."""
    if not Path(path).exists():
        return pd.DataFrame(columns=COLUMNS)
    return load(path).to_frame()[COLUMNS]


def markdown(done, limit=LIMIT):
    """CPU seconds and memory of every model, by cells and by genes.

    Parameters
    ----------
    done : DataFrame
        From `run`.
    limit : int

    Returns
    -------
    str
    """
    parts = []
    for axis, other in (("cells", "genes"), ("genes", "cells")):
        some = done[done[other] == FIXED]
        rows = {}
        for key in [key for key in ROWS if key in set(some.model)]:
            rows[ROWS[key].label] = {
                f"{row[axis]} {axis}": f"{row.seconds:.1f} s, {row.bytes / 2**20:.0f} MiB"
                if np.isfinite(row.seconds)
                else f"> {limit} s"
                for _, row in some[some.model == key].sort_values(axis).iterrows()
            }
        table = pd.DataFrame.from_dict(rows, orient="index")
        table = (
            table[sorted(table, key=lambda name: int(name.split()[0]))]
            .fillna("")
            .rename_axis("model")
        )
        parts.append(f"{FIXED} {other}:\n\n{to_markdown(table)}")
    return "\n\n".join(parts)


@styled
def draw(done):
    """CPU seconds and memory against cells and genes, both logarithmic.

    Parameters
    ----------
    done : DataFrame
        From `run`; fits beyond the limit are not drawn.

    Returns
    -------
    matplotlib.figure.Figure
        Two rows, time and memory, and two columns, cells and genes.
    """
    figure = new_figure(5.2)
    panels = figure.subplots(2, 2, sharex="col", sharey="row")
    finished = done[np.isfinite(done.seconds.astype(float))]
    quantities = {
        "seconds": (1, "CPU seconds of a fit"),
        "bytes": (2**20, "memory of the fit (MiB)"),
    }
    for axes, (quantity, (unit, title)) in zip(panels, quantities.items(), strict=True):
        for ax, (axis, other) in zip(axes, (("cells", "genes"), ("genes", "cells")), strict=True):
            for key, row in ROWS.items():
                some = finished[(finished.model == key) & (finished[other] == FIXED)].sort_values(
                    axis
                )
                if len(some) == 0:
                    continue
                x, y = some[axis].astype(float), some[quantity].astype(float) / unit
                ours = row.name.startswith("sbnn")
                style = {
                    "color": row.color,
                    "ls": row.dashes,
                    "lw": 2 if ours else 1,
                    "zorder": 4 if ours else 3,
                }
                ax.plot(x, y, marker="o", ms=4 if ours else 2.5, label=row.label, **style)
            ax.set(xscale="log", yscale="log")
            ax.tick_params(labelleft=True)
        axes[0].set_ylabel(title)
    for ax, axis, other in zip(panels[1], ("cells", "genes"), ("genes", "cells"), strict=True):
        ax.set_xlabel(f"{axis} ({FIXED} {other})")
    entries = panels[0, 1].get_legend_handles_labels()
    figure.legend(*entries, loc="outside lower center", ncols=4, handlelength=3)
    most = finished[finished.model == "from_disk"].nlargest(1, "cells").iloc[0]
    memory = f"{most.bytes / 2**20:.0f} MiB"
    size = f"{most.cells:,} cells × {most.genes:,} genes"
    headline(figure, f"{size} from disk: {most.seconds:.0f} CPU seconds, {memory}")
    return finish(figure, panels)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", help=f"comma-separated, of: {', '.join(ROWS)}; default: all")
    parser.add_argument("--most", type=int, default=10**6, help="largest number of cells or genes")
    parser.add_argument("--limit", type=int, default=LIMIT, help="CPU seconds of one fit")
    parser.add_argument(
        "--report-only", action="store_true", help="compute nothing, show what is saved"
    )
    options = parser.parse_args(arguments)
    keys = list(ROWS) if options.models is None else options.models.split(",")
    if not set(keys) <= ROWS.keys():
        parser.error(
            f"--models: {sorted(set(keys) - ROWS.keys())} are unknown, expected some of {list(ROWS)}"
        )
    done = to_table(PATH) if options.report_only else run(keys, options.most, options.limit)
    print(markdown(done, load(PATH).settings["limit"]))
    save_figure(draw(done), FIGURES / "growth")


if __name__ == "__main__":
    main()
