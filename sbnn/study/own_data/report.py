"""The report of a user's own cells, one HTML page: accuracy, reliability, genes and outputs."""

import base64
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import pandas as pd

from sbnn.data.checks import some
from sbnn.data.paired import groups_of
from sbnn.evaluation.stability import kept_genes_table, trust_sentence
from sbnn.evaluation.verdict import outputs_table, verdict
from sbnn.results import library_versions, write_atomically
from sbnn.study.own_data.cautions import cautions
from sbnn.study.own_data.options import preselected
from sbnn.study.report import summarise
from sbnn.tables import TRIAL

#: Figure -> title, and what it shows in words.
SHOWN = {
    "figure3_latent_default": ("The map of the cells", "The two units of the network, with genes and outputs"),
    "overview": ("From few genes through two units to the outputs", "Kept genes, the map of the cells and the outputs"),
    "map_trust": ("How far the map can be trusted", "Error of every cell when it was held out; maps of other seeds"),
}
NAMES_SHOWN = 3
GAPS = "Empty: not kept by the network fitted to three quarters of the cells, which measures effects."


def write_report(options, data, records, figures, path):
    """Write the report of the records, with the figures of a folder; gives the verdict and the cautions."""
    default, ridge = records["cv_default"], records["cv_ridge"]
    groups = None if options.groups is None else groups_of(data, options.groups)
    sentence = verdict(default, data, ridge, groups=groups).sentence
    untrusted = trust_sentence(records["halves_default"])
    warned = [TRIAL] * options.fast + cautions(data, default, groups) + [untrusted] * bool(untrusted)
    n_kept = len(records["fit_default_2d"].kept_genes)
    found = summarise({name: record for name, record in records.items() if name != "cv_ridge"}).sentence
    facts = {about.removeprefix("its "): found[about] for about in found.index if about.startswith("its ")}
    facts |= _facts(options, data, default)
    listed = "".join(f"<li>{escape(text)}</li>" for text in warned)
    drawn = [Path(figures, f"{name}.png") for name in SHOWN]
    map_, *others = [_picture(figure, *SHOWN[figure.stem]) if figure.exists() else "" for figure in drawn]
    page = Template((files("sbnn.study.own_data") / "report.html").read_text(encoding="utf-8")).substitute(
        title=escape(f"{data.name}: {data.n_outputs} outputs from {n_kept} of {data.n_genes} genes"),
        verdict=escape(sentence),
        map=map_,
        cautions=f'<ul class="cautions" aria-label="Cautions">{listed}</ul>' if warned else "",
        facts="".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items()),
        left_out="".join(_left_out(why, names) for why, names in data.about["dropped"].items()),
        pictures="".join(others),
        tables=_outputs(default, data, ridge) + _genes(records),
        footer=escape(f"sbnn {library_versions()['sbnn']}; {data.about['source']}; fingerprint {data.sha256[:12]}"),
    )
    write_atomically(page.encode(), path)
    return sentence, warned


def _facts(options, data, record):
    types = [f"{name} ({size})" for name, size in data.labels["type"].value_counts().items()]
    how = "at random" if options.groups is None else f"every {options.groups} in one of them"
    chosen = preselected(options, data.n_genes)
    given = f"{chosen}, chosen on the training cells of every fold" if chosen else f"all {data.n_genes}"
    facts = {"cells": f"{data.n_cells}", "types": some(types, 8), "folds": f"{len(record.folds)}, {how}"}
    facts["genes given to the models"] = given
    notes = " ".join(data.about["notes"])
    return facts | ({"as read": notes} if notes else {})


def _left_out(why, names):
    """What was left out for one reason: the number and the first names; all names on opening."""
    first = escape(f"{len(names)} left out, {why}: {some(names, NAMES_SHOWN)}")
    if len(names) <= NAMES_SHOWN:
        return f"<p>{first}</p>"
    return f"<details><summary>{first}</summary><p>{escape(', '.join(map(str, names)))}</p></details>"


def _picture(path, title, alternative):
    data = base64.b64encode(path.read_bytes()).decode()
    image = f'<img src="data:image/png;base64,{data}" alt="{escape(alternative)}">'
    return f"<h2>{escape(title)}</h2><figure>{image}</figure>"


def _table(title, frame, note=""):
    with pd.option_context("display.max_colwidth", None):
        rows = frame.reset_index().to_html(index=False, border=0, na_rep="", float_format="{:.3f}".format)
    return f'<h2>{escape(title)}</h2><div class="wide">{rows}</div><p class="note">{escape(note)}</p>'


def _outputs(record, data, ridge):
    table = outputs_table(record, data, ridge)
    table["better_than_chance"] = table.better_than_chance.map({True: "yes", False: "no"})
    table = table.drop(columns="p").sort_values("test_r2", ascending=False, kind="stable")
    table.columns = ["test R2", "permuted", "p, adjusted", "ridge", "better than chance"]
    return _table("How well each output is predicted in held-out cells", table)


def _genes(records):
    halves = records["halves_default"]
    table = kept_genes_table(halves, records["fit_default_2d"].kept_genes).drop(columns="expected_false")
    table = table.sort_values("frequency", ascending=False, kind="stable")
    table = table.join(records["interpretation"].table[["output", "effect", "r2_drop"]])
    table.columns = ["share of halves", "trust", "main output", "effect (SD)", "R2 lost without it"]
    n = (table.trust == "trusted").sum()
    trusted = f"{n} of {len(table)} are trusted, with at most one false selection expected."
    note = f"{trust_sentence(halves) or trusted} {GAPS}"
    return _table("Genes that the network keeps", table.rename_axis("gene"), note)
