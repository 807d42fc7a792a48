"""What the page says of a user's own cells: how good, how sure, which genes, which outputs."""

from pathlib import Path

from sbnn.data.paired import groups_of
from sbnn.evaluation.cautions import cautions
from sbnn.evaluation.stability import kept_genes_table, trust_sentence
from sbnn.evaluation.verdict import outputs_table, verdict
from sbnn.results import library_versions, write_atomically
from sbnn.study.own_data.html import to_html
from sbnn.study.own_data.page import Page, Picture, Table
from sbnn.study.own_data.pdf import to_pdf
from sbnn.study.says import numbers_say
from sbnn.tables import TRIAL

SHOWN = {
    "overview": ("From few genes through two units to the outputs", "Kept genes, the map of the cells and the outputs"),
    "figure3_latent_default": ("The map of the cells", "The two units of the network, with genes and outputs"),
    "map_trust": ("How far the map can be trusted", "Error of every cell when it was held out; maps of other seeds"),
}
NAMES_SHOWN = 3
GAPS = "Gaps: not kept by the network of three quarters of the cells, by which effects are measured."


def write_report(data, records, figures, folder, *, groups=None, preselect=None, fast=False):
    """Write the report of a user's own cells as one HTML and one PDF page.

    Parameters
    ----------
    data : PairedData
    records : dict of str to Record
        From `run_own_data`.
    figures : path-like
        Folder of their figures.
    folder : path-like
        For ``report.html`` and ``report.pdf``.
    groups, preselect, fast
        As for `run_own_data`.

    Returns
    -------
    Page
    """
    page = report_page(data, records, figures, groups=groups, preselect=preselect, fast=fast)
    write_atomically(to_html(page).encode(), Path(folder) / "report.html")
    write_atomically(to_pdf(page), Path(folder) / "report.pdf")
    return page


def report_page(data, records, figures, *, groups=None, preselect=None, fast=False):
    """The content of the report; parameters as for `write_report`, gives a `Page`."""
    default, ridge = records["cv_default"], records["cv_ridge"]
    of_cells = None if groups is None else groups_of(data, groups)
    said = verdict(default, data, ridge, groups=of_cells)
    warned = [TRIAL] * fast + cautions(data, default, records["halves_default"], of_cells)
    pictures = [
        Picture(title, path, text)
        for name, (title, text) in SHOWN.items()
        if (path := Path(figures) / f"{name}.png").exists()
    ]
    return Page(
        title=f"{data.name}: {data.n_outputs} outputs from {_n_kept(records)} of {data.n_genes} genes",
        verdict=said.sentence,
        facts=_says(records) | _facts(data, default, groups, preselect),
        cautions=warned,
        tables=[_outputs(default, data, ridge), _genes(records)],
        pictures=pictures,
        footer=f"sbnn {library_versions()['sbnn']}; {data.about['source']}; fingerprint {data.sha256[:12]}",
    )


def _n_kept(records):
    return len(records["fit_default_2d"].kept_genes)


def _says(records):
    """What else the numbers say: of single outputs, of the genes and of the map."""
    said = numbers_say({name: record for name, record in records.items() if name != "cv_ridge"}).sentence
    return {about.removeprefix("its "): said[about] for about in said.index if about.startswith("its ")}


def _facts(data, record, groups, preselect):
    families = data.labels["type"].value_counts()
    facts = {
        "cells": f"{data.n_cells}",
        "types": ", ".join(f"{name} ({size})" for name, size in families.head(8).items())
        + (f" and {len(families) - 8} more" if len(families) > 8 else ""),
        "folds": f"{len(record.folds)}, " + ("at random" if groups is None else f"every {groups} in one of them"),
        "genes given to the models": f"{preselect}, chosen on the training cells of every fold"
        if preselect
        else f"all {data.n_genes}",
    }
    facts |= {f"left out, {why}": _listed(names) for why, names in data.about["dropped"].items()}
    return facts | ({"as read": " ".join(data.about["notes"])} if data.about["notes"] else {})


def _listed(names):
    rest = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{len(names)}: {', '.join(names[:NAMES_SHOWN])}{rest}"


def _outputs(record, data, ridge):
    table = outputs_table(record, data, ridge)
    table["better_than_chance"] = table.better_than_chance.map({True: "yes", False: "no"})
    table = table.drop(columns="p").sort_values("test_r2", ascending=False, kind="stable")
    table.columns = ["test R2", "permuted", "p, adjusted", "ridge", "better than chance"]
    return Table("How well each output is predicted, in cells that were held out", table)


def _genes(records):
    halves = records["halves_default"]
    table = kept_genes_table(halves, records["fit_default_2d"].kept_genes).drop(columns="expected_false")
    table = table.sort_values("frequency", ascending=False, kind="stable")
    table = table.join(records["interpretation"].table[["output", "effect", "r2_drop"]])
    table.columns = ["kept by halves", "trust", "moves most", "by (SD)", "R2 lost without"]
    n = (table.trust == "trusted").sum()
    trusted = f"{n} of {len(table)} can be trusted, with one false one expected at most."
    note = f"{trust_sentence(halves) or trusted} {GAPS}"
    return Table("Genes that the network keeps", table.rename_axis("gene"), note)
