"""The command ``sbnn screen``: tables, figures and a model from a user's counts and guides."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from sbnn.data.preselection import preselect_genes
from sbnn.explorer.report import write_report
from sbnn.mechanism_shift import SparseShiftVAE, plotting
from sbnn.mechanism_shift.graph import EVEN, edges_of
from sbnn.mechanism_shift.records import cells_and_genes
from sbnn.plotting.common import save_figure
from sbnn.store import write_atomically

N_GENES = 1000  # number of selected genes, in addition to the perturbed ones
SHOWN_CELLS = 2000
SHOWN_EDGES = 50
PICTURES = (
    (plotting.graph_of_screen, "Shift graph"),
    (plotting.latents_and_genes, "Latents"),
)


def study(adata, out, latents=10, recipe=None):
    """Fit a model to a `screen`, and write tables, figures and the model to the folder `out`.

    For `latents` and `recipe`, see `SparseShiftVAE`.
    """
    out = Path(out)
    about = adata.uns["sbnn"]
    # other reasons have a number of cells, left out by others before
    left_out = {why: list(names) for why, names in about["dropped"].items() if np.ndim(names)}
    adata = _with_selected_genes(adata)
    _require_fewer_latents(latents, adata.n_vars)
    size = f"{adata.n_obs} cells x {adata.n_vars} genes"
    print(f"{size}, {adata.obs['perturbation'].nunique()} perturbations")
    _write_tables(
        out,
        cells=adata.obs.rename_axis("cell").reset_index(),
        left_out=_table_of_left_out(left_out),
    )
    model = SparseShiftVAE(latents, recipe=recipe, random_state=0)
    model.fit(adata)
    cautions = []
    model.save(out / "model.safetensors")
    graph = model.shift_graph_
    effects = model.gene_effects_
    found = _verdict(graph, effects)
    _write_tables(out, shift_graph=graph, gene_effects=effects)
    write_atomically(f"{found}\n".encode(), out / "verdict.txt")
    edges = _strongest(graph[graph["probability"] > EVEN], "effect")
    direct = _strongest(effects[effects["edge"]], "direct").head(SHOWN_EDGES)
    tables = [
        ("Edges to latents: shift in SD", edges),
        ("Edges to genes: log fold change and its direct part", direct),
    ]
    write_report(
        out / "screen.html",
        f"{about['name']}: {size}",
        found,
        _pictures(model, adata, out),
        tables,
        cautions=cautions,
        left_out=left_out,
        source=about["source"],
    )
    print(f"{found}\n{out / 'screen.html'}")


def _pictures(model, adata, out):
    """Draw the figures; returns path, title and description of each."""
    cells = np.random.default_rng(0).permutation(adata.n_obs)[:SHOWN_CELLS]
    record = SimpleNamespace(
        dataset=adata.uns["sbnn"]["name"],
        seed=0,
        graph=model.shift_graph_.assign(seed=0),
        effects=model.gene_effects_,
        genes=cells_and_genes(model, adata, cells)["genes"],
    )
    pictures = []
    for draw, title in PICTURES:
        [path, *_] = save_figure(draw(record), out / draw.__name__)
        pictures.append((path, title, draw.__doc__))
    return pictures


def _verdict(graph, effects):
    to_latents = edges_of(graph).any(axis=1)
    to_any = to_latents | effects.groupby("perturbation")["edge"].any()
    return (
        f"{to_latents.sum()} of {len(to_latents)} targets shift a latent, "
        f"{to_any.sum()} a latent or a gene."
    )


def _require_fewer_latents(latents, n_genes):
    most = np.max(latents)
    if most >= n_genes:
        raise ValueError(f"latents: expected fewer than the genes, {n_genes}, got {most}")


def _with_selected_genes(adata):
    counts = SimpleNamespace(counts=adata.X, n_cells=adata.n_obs, n_genes=adata.n_vars)
    perturbed = adata.var_names.isin(adata.obs["perturbation"])
    return adata[:, preselect_genes(counts, N_GENES) | perturbed].copy()


def _table_of_left_out(left_out):
    """Table of the cells that were left out, from names by reason."""
    table = pd.Series(left_out, dtype=object).explode().rename_axis("why").reset_index(name="cell")
    return table[["cell", "why"]]


def _strongest(edges, column):
    edges = edges.sort_values(column, key=np.abs, ascending=False)
    return edges.set_index("perturbation")


def _write_tables(folder, **tables):
    for name, table in tables.items():
        write_atomically(table.to_csv(index=False).encode(), folder / f"{name}.csv")
