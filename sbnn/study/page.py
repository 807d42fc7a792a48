"""Results of a data set as one HTML page: the verdict, then a picture and a table per claim."""

from pathlib import Path

import numpy as np

from sbnn.data.checks import UNKNOWN, some
from sbnn.data.datasets import DATASETS
from sbnn.evaluation.neighbours import neighbour_accuracy
from sbnn.evaluation.stability import kept_genes_table
from sbnn.evaluation.verdict import have_same_folds, outputs_table
from sbnn.explorer.report import write_report
from sbnn.plotting.labels import counted
from sbnn.study.report import SELECTED, SELECTION_NOTE, summarise

NEEDED = [
    "cv_default",
    "cv_ridge",
    "fit_default_2d",
    "halves_default",
    "interpretation",
    "map_trust",
]
R2 = (
    "Share of the variance of the outputs that each model explains in held-out cells, on the same "
    "folds; 0 is the mean of the training cells."
)
FREQUENCY = (
    "Share of the halves of the cells in which the network keeps each gene; a gene chosen at "
    "random would be kept in {:.1%} of them."
)
EFFECTS = (
    "Effect of one SD of a gene on each output in cells that were not fitted, in SD; 0 is none."
)
GAPS = (
    "The genes that the network of all cells keeps. Effects are from a network fitted to three "
    "quarters of the cells, and missing for genes that it does not keep."
)
UNTESTED = "The folds test too few cells to say which outputs are predicted better than by chance."
TRUST = (
    "a: squared error of each cell when it was held out; the mean of the training cells has an "
    "error of about 1. b: how far each cell moves between maps of other seeds."
)


def write_page(records, figures, path, *, cautions=(), facts=None, **about):
    """Write the page of the records of a data set; returns its first sentence, the verdict.

    `figures` is a folder of figures; the others are as in `write_report`.
    """
    missing = [name for name in NEEDED if name not in records]
    if missing:
        raise FileNotFoundError(f"the page needs results that are missing: {', '.join(missing)}")
    fit = records["fit_default_2d"]
    found = summarise(records)["sentence"]
    verdict = found["distilled network d=2"]
    effects = records["interpretation"].table
    genes = found["its genes"]
    outputs = found.get("its outputs", UNTESTED)
    by_chance = len(fit.kept_genes) / len(fit.gene_names)
    pictures = {
        "accuracy": (_accuracy(records), R2),
        "overview": (outputs, "Genes that are kept (trusted: bold), map and outputs."),
        "stability_selection": (genes, FREQUENCY.format(by_chance)),
        "effects": (_largest_effect(effects), EFFECTS),
        "figure3_latent_default": (
            _families(fit),
            "The cells of the fit, with predicted genes (left) and outputs (right).",
        ),
        "map_trust": (found["its map"], TRUST),
    }
    command = "reproduce figures" if fit.dataset in DATASETS else "fit"
    write_report(
        path,
        f"{fit.dataset}: {counted(len(fit.feature_names), 'output')} from {len(fit.kept_genes)} of "
        f"{len(fit.gene_names)} genes",
        verdict,
        [(Path(figures, f"{name}.png"), *words) for name, words in pictures.items()],
        [
            *([(outputs, _outputs(records), "")] if outputs != UNTESTED else []),
            (genes, _genes(records["halves_default"], fit, effects), GAPS),
        ],
        cautions=[SELECTION_NOTE, *cautions] if fit.dataset in SELECTED else cautions,
        facts=_facts(records) | (facts or {}),
        source=f"data set {fit.dataset}, fingerprint {fit.sha256[:12]}",
        drawn_by=f"sbnn {command} {fit.dataset}",
        **about,
    )
    return verdict


def _accuracy(records):
    default = records["cv_default"]
    ridge = records["cv_ridge"]
    [point] = default.points(n_components=2)
    beside = ""
    if have_same_folds(default, ridge):
        beside = f"{ridge.test_r2.mean():.3f} for ridge with {len(ridge.gene_names)} genes, "
    return (
        f"Test R2 is {default.test_r2[:, point].mean():.3f} with "
        f"{default.n_selected[:, point].mean():.0f} genes, {beside}and 0 for the mean of the "
        "training cells."
    )


def _families(fit):
    known = fit.labels["family"][fit.labels["family"] != UNKNOWN]
    shares = known.value_counts(normalize=True)
    found = neighbour_accuracy(fit)["family"]
    if len(shares) < 2 or np.isnan(found):
        return "The map of the cells."
    return (
        f"The nearest cells on the map give the family of {found:.0%} of the fitted cells; "
        f"guessing {shares.index[0]} is right for {shares.iloc[0]:.0%}."
    )


def _outputs(records):
    default = records["cv_default"]
    [point] = default.points(n_components=2)
    table = outputs_table(default, records["fit_default_2d"], records["cv_ridge"], point)
    table["better_than_chance"] = table["better_than_chance"].map({True: "yes", False: "no"})
    table = table.drop(columns="p").sort_values("test_r2", ascending=False, kind="stable")
    table = table[["test_r2", "ridge_r2", "permuted_r2", "adjusted_p", "better_than_chance"]]
    columns = ["test R2", "ridge", "with permuted outputs", "p, adjusted", "better than chance"]
    return table.set_axis(columns, axis=1)


def _genes(halves, fit, effects):
    table = kept_genes_table(halves, fit.kept_genes).drop(columns="expected_false")
    table = table.sort_values("frequency", ascending=False, kind="stable").rename_axis("gene")
    table = table.join(effects[["output", "effect", "r2_drop"]])
    columns = ["share of halves", "trust", "main output", "effect (SD)", "R2 lost without it"]
    return table.set_axis(columns, axis=1)


def _largest_effect(effects):
    gene = effects["effect"].abs().idxmax()
    row = effects.loc[gene]
    return (
        f"{gene} has the largest effect: {row['effect']:+.2f} SD of {row['output']} per SD of its "
        "expression."
    )


def _facts(records):
    fit = records["fit_default_2d"]
    sizes = fit.labels["type"].value_counts()
    known = {"data": DATASETS[fit.dataset].about} if fit.dataset in DATASETS else {}
    return known | {
        "cells": f"{len(fit.cell_names)}",
        "types": some([f"{name} ({size})" for name, size in sizes.items()], 8),
        "folds": f"{len(records['cv_default'].folds)}",
    }
