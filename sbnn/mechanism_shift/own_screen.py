"""The command ``sbnn screen``: make tables, figures and a model from the counts and guides of a user's screen."""

import warnings
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd

from sbnn.data.preselection import preselect_genes
from sbnn.data.readers.screens import read_screen
from sbnn.explorer.report import write_report
from sbnn.mechanism_shift import SparseShiftVAE, plotting
from sbnn.mechanism_shift.graph import EVEN, edges_of
from sbnn.mechanism_shift.records import cells_and_genes
from sbnn.plotting.common import save_figure
from sbnn.results import write_atomically

N_GENES = 1000  # number of selected genes, in addition to the perturbed ones
SHOWN_CELLS, SHOWN_EDGES = 2000, 50


def run(options, recipe=None):
    """Read a screen, fit a model to it, and write tables, figures and the model to a folder."""
    out = Path(options.out)
    adata = read_screen(options.counts, options.guides, options.control, out.name)
    all_genes = SimpleNamespace(counts=adata.X, n_cells=adata.n_obs, n_genes=adata.n_vars)
    adata = adata[
        :, preselect_genes(all_genes, N_GENES) | adata.var_names.isin(adata.obs["perturbation"])
    ].copy()
    print(
        f"{adata.n_obs} cells x {adata.n_vars} genes, {adata.obs['perturbation'].nunique()} perturbations"
    )
    left_out = adata.uns["sbnn"]["dropped"]
    dropped = pd.DataFrame(
        [(cell, why) for why, names in left_out.items() for cell in names], columns=["cell", "why"]
    )
    # before the slow fit
    _write({"cells": adata.obs.rename_axis("cell").reset_index(), "left_out": dropped}, out)
    with warnings.catch_warnings(record=True) as cautions:
        model = SparseShiftVAE(options.latents, recipe=recipe, random_state=0).fit(adata)
    for caution in cautions:
        warnings.warn(caution.message, stacklevel=1)
    joblib.dump(model, content := BytesIO())
    write_atomically(content.getvalue(), out / "model.joblib")
    graph, effects = model.shift_graph_, model.gene_effects_
    _write({"shift_graph": graph, "gene_effects": effects}, out)
    cells = np.random.default_rng(0).permutation(adata.n_obs)[:SHOWN_CELLS]
    shown = {"dataset": out.name, "seed": 0, "graph": graph.assign(seed=0), "effects": effects}
    record = SimpleNamespace(**shown, **cells_and_genes(model, adata, cells))
    pictures = []
    for draw, title in {
        plotting.graph_of_screen: "Shift graph",
        plotting.latents_and_genes: "Latents",
    }.items():
        save_figure(draw(record), out / draw.__name__)
        pictures.append((out / f"{draw.__name__}.png", title, draw.__doc__))
    latents, genes = edges_of(graph).any(axis=1), effects.groupby("perturbation")["edge"].any()
    found = f"{latents.sum()} of {len(latents)} targets shift a latent, {(latents | genes).sum()} a latent or a gene."
    title = f"{out.name}: {adata.n_obs} cells x {adata.n_vars} genes"
    edges = graph[graph["probability"] > EVEN].sort_values("effect", key=np.abs, ascending=False)
    strongest = (
        effects[effects["edge"]]
        .sort_values("direct", key=np.abs, ascending=False)
        .head(SHOWN_EDGES)
    )
    tables = [("Edges to latents: shift in SD", edges.set_index("perturbation"))]
    tables += [
        ("Edges to genes: log fold change and its direct part", strongest.set_index("perturbation"))
    ]
    how = {
        "cautions": [caution.message for caution in cautions],
        "left_out": left_out,
        "source": options.counts,
    }
    write_report(out / "screen.html", title, found, pictures, tables, **how)
    print(f"{found}\n{out / 'screen.html'}")


def _write(tables, folder):
    for name, table in tables.items():
        write_atomically(table.to_csv(index=False).encode(), folder / f"{name}.csv")
