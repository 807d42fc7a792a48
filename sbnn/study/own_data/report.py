"""Report on a user's own cells, one HTML page with accuracy, reliability, genes and outputs."""

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


def report(options, data, records, figures, path):
    """Write the report, with figures from a folder; returns the verdict and the cautions."""
    default = records["cv_default"]
    ridge = records["cv_ridge"]
    halves = records["halves_default"]
    groups = None if options.groups is None else groups_of(data, options.groups)
    sentence = verdict(default, data, ridge, groups=groups).sentence
    warned = diagnose(data) + cautions(data, default, groups)
    if options.fast:
        warned.insert(0, TRIAL)
    if trust_sentence(halves):
        warned.append(trust_sentence(halves))
    n_kept = len(records["fit_default_2d"].kept_genes)
    write_report(
        path,
        f"{data.name}: {data.n_outputs} outputs from {n_kept} of {data.n_genes} genes",
        sentence,
        [(Path(figures, f"{name}.png"), *words) for name, words in SHOWN.items()],
        [_outputs(default, data, ridge), _genes(records)],
        cautions=warned,
        facts=_findings(records) | _facts(options, data, default),
        left_out=data.about["dropped"],
        source=f"{data.about['source']}; fingerprint {data.sha256[:12]}",
    )
    return sentence, warned


def _findings(records):
    """Sentences on the outputs, the genes and the map."""
    records = {name: record for name, record in records.items() if name != "cv_ridge"}
    found = summarise(records)["sentence"]
    found = found[found.index.str.startswith("its ")]
    return found.rename(lambda about: about.removeprefix("its ")).to_dict()


def _facts(options, data, record):
    """Numbers of cells, types, folds and genes, and what was noticed when the tables were read."""
    sizes = data.labels["type"].value_counts()
    drawn = "at random"
    if options.groups is not None:
        drawn = f"each {options.groups} in only one fold"
    n_genes = preselected(options, data.n_genes)
    genes = f"all {data.n_genes}"
    if n_genes:
        genes = f"{n_genes}, chosen on the training cells of every fold"
    facts = {
        "cells": f"{data.n_cells}",
        "types": some([f"{name} ({size})" for name, size in sizes.items()], 8),
        "folds": f"{len(record.folds)}, {drawn}",
        "genes given to the models": genes,
    }
    if data.about["notes"]:
        facts["as read"] = " ".join(data.about["notes"])
    return facts


def _outputs(record, data, ridge):
    table = outputs_table(record, data, ridge)
    table["better_than_chance"] = table["better_than_chance"].map({True: "yes", False: "no"})
    table = table.drop(columns="p").sort_values("test_r2", ascending=False, kind="stable")
    table.columns = ["test R2", "permuted", "p, adjusted", "ridge", "better than chance"]
    return "How well each output is predicted in held-out cells", table


def _genes(records):
    halves = records["halves_default"]
    table = kept_genes_table(halves, records["fit_default_2d"].kept_genes)
    table = table.drop(columns="expected_false")
    table = table.sort_values("frequency", ascending=False, kind="stable")
    table = table.join(records["interpretation"].table[["output", "effect", "r2_drop"]])
    table.columns = ["share of halves", "trust", "main output", "effect (SD)", "R2 lost without it"]
    n = (table["trust"] == "trusted").sum()
    trusted = f"{n} of {len(table)} are trusted, with at most one false selection expected."
    note = f"{trust_sentence(halves) or trusted} {GAPS}"
    return "Genes that the network keeps", table.rename_axis("gene"), note
