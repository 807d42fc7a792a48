"""Report on a user's own cells, one HTML page."""

from pathlib import Path

from sbnn.data.checks import some
from sbnn.data.diagnose import diagnose
from sbnn.data.paired import groups_of
from sbnn.evaluation.stability import kept_genes_table, trust_sentence
from sbnn.evaluation.verdict import outputs_table, verdict
from sbnn.explorer.report import write_report
from sbnn.study.own_data.cautions import cautions
from sbnn.study.own_data.options import preselected
from sbnn.study.report import summarise
from sbnn.tables import TRIAL

#: Figure -> title and description.
SHOWN = {
    "figure3_latent_default": (
        "The map of the cells",
        "The two units of the network, with genes and outputs",
    ),
    "overview": (
        "From few genes through two units to the outputs",
        "Kept genes, the map of the cells and the outputs",
    ),
    "map_trust": (
        "How far the map can be trusted",
        "Error of every cell when held out, and maps from other seeds",
    ),
}
GAPS = (
    "Effects are from a network fitted to three quarters of the cells, and missing for genes that "
    "it does not keep."
)


def report(options, data, records, figures, path, explorer):
    """Write the report, with figures from a folder; returns the verdict and the cautions.

    `explorer` is the name of a file beside the report.

    What `diagnose` finds is in the report only, since ``sbnn fit`` has printed it before.
    """
    default = records["cv_default"]
    ridge = records["cv_ridge"]
    groups = None if options.groups is None else groups_of(data, options.groups)
    sentence = verdict(default, data, ridge, groups=groups).sentence
    warned = cautions(data, default, groups)
    if options.fast:
        warned.insert(0, TRIAL)
    untrusted = trust_sentence(records["halves_default"])
    if untrusted:
        warned.append(untrusted)
    found = summarise(records)["sentence"]
    of_outputs = outputs_table(default, data, ridge)
    of_genes = kept_genes_table(records["halves_default"], records["fit_default_2d"].kept_genes)
    facts = {name: found[f"its {name}"] for name in ("outputs", "genes", "map")}
    write_report(
        path,
        f"{data.name}: {data.n_outputs} outputs from {len(of_genes)} of {data.n_genes} genes",
        sentence,
        [(Path(figures, f"{name}.png"), *words) for name, words in SHOWN.items()],
        [
            ("How well each output is predicted in held-out cells", _outputs(of_outputs)),
            ("Genes that the network keeps", _genes(of_genes, records["interpretation"]), GAPS),
        ],
        cautions=diagnose(data) + warned,
        facts=facts | _facts(options, data, default),
        left_out=data.about["dropped"],
        source=f"{data.about['source']}; fingerprint {data.sha256[:12]}",
        explorer=explorer,
    )
    return sentence, warned


def _facts(options, data, record):
    sizes = data.labels["type"].value_counts()
    drawn = "at random"
    if options.groups is not None:
        drawn = f"each {options.groups} in only one fold"
    n_genes = preselected(options, data.n_genes)
    genes = f"all {data.n_genes}"
    if n_genes:
        genes = f"{n_genes}, chosen on the training cells of every fold"
    return {
        "cells": f"{data.n_cells}",
        "types": some([f"{name} ({size})" for name, size in sizes.items()], 8),
        "folds": f"{len(record.folds)}, {drawn}",
        "genes given to the models": genes,
        "as read": " ".join(data.about["notes"]),
    }


def _outputs(table):
    table["better_than_chance"] = table["better_than_chance"].map({True: "yes", False: "no"})
    table = table.drop(columns="p").sort_values("test_r2", ascending=False, kind="stable")
    columns = ["test R2", "permuted", "p, adjusted", "ridge", "better than chance"]
    return table.set_axis(columns, axis=1)


def _genes(table, interpretation):
    table = table.drop(columns="expected_false")
    table = table.sort_values("frequency", ascending=False, kind="stable").rename_axis("gene")
    table = table.join(interpretation.table[["output", "effect", "r2_drop"]])
    columns = ["share of halves", "trust", "main output", "effect (SD)", "R2 lost without it"]
    return table.set_axis(columns, axis=1)
