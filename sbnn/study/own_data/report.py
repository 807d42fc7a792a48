"""Report on a user's own cells, a single HTML page with accuracy, reliability, genes and outputs."""

from pathlib import Path

from sbnn.data.checks import some
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
GAPS = "Effects are from a network fitted to three quarters of the cells, and missing for genes that it does not keep."


def report(options, data, records, figures, path):
    """Write the report on the records, with figures from a folder; returns the verdict and the cautions."""
    default, ridge = records["cv_default"], records["cv_ridge"]
    groups = None if options.groups is None else groups_of(data, options.groups)
    sentence = verdict(default, data, ridge, groups=groups).sentence
    untrusted = trust_sentence(records["halves_default"])
    warned = (
        [TRIAL] * options.fast + cautions(data, default, groups) + [untrusted] * bool(untrusted)
    )
    n_kept = len(records["fit_default_2d"].kept_genes)
    found = summarise(
        {name: record for name, record in records.items() if name != "cv_ridge"}
    ).sentence
    facts = {
        about.removeprefix("its "): found[about]
        for about in found.index
        if about.startswith("its ")
    }
    facts |= _facts(options, data, default)
    write_report(
        path,
        f"{data.name}: {data.n_outputs} outputs from {n_kept} of {data.n_genes} genes",
        sentence,
        [(Path(figures, f"{name}.png"), *words) for name, words in SHOWN.items()],
        [_outputs(default, data, ridge), _genes(records)],
        cautions=warned,
        facts=facts,
        left_out=data.about["dropped"],
        source=f"{data.about['source']}; fingerprint {data.sha256[:12]}",
    )
    return sentence, warned


def _facts(options, data, record):
    types = [f"{name} ({size})" for name, size in data.labels["type"].value_counts().items()]
    how = "at random" if options.groups is None else f"each {options.groups} in only one fold"
    chosen = preselected(options, data.n_genes)
    given = (
        f"{chosen}, chosen on the training cells of every fold" if chosen else f"all {data.n_genes}"
    )
    facts = {
        "cells": f"{data.n_cells}",
        "types": some(types, 8),
        "folds": f"{len(record.folds)}, {how}",
    }
    facts["genes given to the models"] = given
    notes = " ".join(data.about["notes"])
    return facts | ({"as read": notes} if notes else {})


def _outputs(record, data, ridge):
    table = outputs_table(record, data, ridge)
    table["better_than_chance"] = table.better_than_chance.map({True: "yes", False: "no"})
    table = table.drop(columns="p").sort_values("test_r2", ascending=False, kind="stable")
    table.columns = ["test R2", "permuted", "p, adjusted", "ridge", "better than chance"]
    return "How well each output is predicted in held-out cells", table


def _genes(records):
    halves = records["halves_default"]
    table = kept_genes_table(halves, records["fit_default_2d"].kept_genes).drop(
        columns="expected_false"
    )
    table = table.sort_values("frequency", ascending=False, kind="stable")
    table = table.join(records["interpretation"].table[["output", "effect", "r2_drop"]])
    table.columns = ["share of halves", "trust", "main output", "effect (SD)", "R2 lost without it"]
    n = (table.trust == "trusted").sum()
    trusted = f"{n} of {len(table)} are trusted, with at most one false selection expected."
    note = f"{trust_sentence(halves) or trusted} {GAPS}"
    return "Genes that the network keeps", table.rename_axis("gene"), note
