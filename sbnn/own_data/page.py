"""report.html of a user's own data: the verdict first, then the executed notebook without code.

The page holds everything that it shows and asks nothing of the network.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from sbnn.data.checks import abbreviate
from sbnn.errors import require
from sbnn.files import write_atomically
from sbnn.own_data.explorer.explore import HTML
from sbnn.plotting.reading import number_and_noun
from sbnn.results import Record

#: Tags of cells that are for the notebook alone, and of the headings of sections that the page
#: shows first or last, or does not fold if the verdict is bad.
ONLY_IN_NOTEBOOK = "only-in-notebook"
FIRST, LAST, NOT_FOLDED = "first-on-page", "last-on-page", "not-folded"
STOP = "Stop here: new cells are not predicted better than by the mean."
ALONE = "Do not read the map: the network does not predict new cells better than the mean does."
TOGETHER = "by network and ridge together, from all genes"
FOLDED = "Show the genes and the map all the same; they can also be drawn from noise"
N_NAMED = 3  # of the outputs that are predicted
N_NAMED_GENES = 40
LINKED_FILES = {
    "explorer.html": "explore the map",
    "outputs.csv": "scores of each output",
    "genes.csv": "genes",
    "cells.csv": "cells",
}


def write_page(folder: str | os.PathLike[str], notebook: str) -> Path:
    """Write report.html for a folder of results.

    Parameters
    ----------
    folder : path-like
        With ``summary.json``, from `sbnn.own_data.results.write_tables`.
    notebook : str
        Name of the executed notebook in it.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    """
    require("nbconvert")
    import nbformat

    path = Path(folder)
    summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
    cells = nbformat.read(path / notebook, as_version=4).cells
    settings = summary["settings"]
    kind, headline = judge(summary)
    trusted = name_trusted(summary["kept_genes"], summary["trusted_genes"])
    page = Template(_template_part("page.html")).substitute(
        title=escape(page_title(path.resolve().name, settings["expression"], settings["outputs"])),
        style=_template_part("page.css"),
        sizes=escape(_sizes_text(summary)),
        kind=kind,
        headline=escape(headline),
        choice=escape(recommend(summary)),
        genes="" if kind == "stop" else escape(trusted),
        links=_links(path),
        sections=_sections_html(_split_sections(cells), kind),
    )
    write_atomically(page.encode(), path / "report.html", beginning=HTML)
    return path / "report.html"


def _split_sections(cells):
    """Cells that are shown, in sections that begin with a heading."""
    sections: list[list[Any]] = []
    for cell in filter(_is_shown, cells):
        if cell.source.startswith("## ") or not sections:
            sections.append([])
        sections[-1].append(cell)
    return sections


def _is_shown(cell):
    """Whether a reader of the page needs a cell: text for readers, or code that shows something."""
    is_text = cell.cell_type == "markdown"
    return ONLY_IN_NOTEBOOK not in cell.metadata.get("tags", ()) and (is_text or cell.outputs)


def _sections_html(sections, kind):
    """HTML of sections; after a bad verdict, those that can show noise are folded."""

    def has_tag(section, tag):
        return tag in section[0].metadata.get("tags", ())

    def is_folded(section):
        return kind == "stop" and not has_tag(section, NOT_FOLDED)

    def place(section):
        return has_tag(section, LAST), is_folded(section), not has_tag(section, FIRST)

    parts = []
    for folded, together in groupby(sorted(sections, key=place), key=is_folded):
        html = "\n".join(part for section in together for part in _render_cells(section))
        if folded:
            html = f"<details><summary>{FOLDED}</summary>\n{html}\n</details>"
        parts.append(html)
    return "\n".join(parts)


def _template_part(name):
    return (files("sbnn.own_data") / name).read_text(encoding="utf-8")


def judge(summary: Mapping[str, Any]) -> tuple[str, str]:
    """Kind of a verdict, "better", "stop" or "unknown", and its headline.

    `summary` is the content of ``summary.json``, or `sbnn.own_data.results.summarise_accuracy`.
    """
    scores = summary["verdict"]
    if "interval" not in scores:
        return "unknown", f"No verdict: {scores['n_folds']} folds give no interval."
    if scores["interval"]["low"] <= 0:
        if _is_predicted_by_both(summary):
            return "stop", f"{ALONE} {_what_is_predicted(summary['stacked'])}, {TOGETHER}."
        if scores["predicted_outputs"]:
            return "stop", f"{STOP} By themselves, {_predicted_outputs(scores)}."
        return "stop", STOP
    headline = _what_is_predicted(scores)
    difference = scores.get("minus_ridge")
    if difference is None:
        return "better", f"{headline}."
    comparison = "not distinguishable from ridge on all genes"
    if difference["low"] > 0:
        comparison = "better than by ridge on all genes"
    if difference["high"] < 0:
        comparison = "but ridge on all genes predicts better, and the map explains less"
    return "better", f"{headline}, {comparison}."


def _is_predicted_by_both(summary):
    """Whether network and ridge together predict new cells, which the network does not."""
    return "stacked" in summary and summary["stacked"]["interval"]["low"] > 0


def _is_behind_ridge(scores):
    return scores.get("minus_ridge", {"high": 0})["high"] < 0


def recommend(summary: Mapping[str, Any]) -> str:
    """Sentence that says by which model to predict new cells.

    It is empty if no model predicts them, or the folds are too few to tell. `summary` is as for
    `judge`.
    """
    kind, _ = judge(summary)
    if kind == "unknown" or "stacked" not in summary:
        return ""
    if kind == "stop":
        return "Predict by both stacked." if _is_predicted_by_both(summary) else ""
    gain = summary["stacked"]["minus_network"]
    is_no_gain = gain["low"] <= 0 and _is_behind_ridge(summary["verdict"])
    if is_no_gain or _is_behind_ridge(summary["stacked"]):
        return "Predict by ridge on all genes: neither network nor both stacked are better."
    choice, genes = "No measurable gain: use the network", ""
    if gain["low"] > 0:
        choice, genes = "Better: use both stacked", ", from all genes"
    if gain["high"] < 0:
        choice = "Worse: use the network"
    return f"Stack network and ridge to predict? {choice} (R² {_interval_text(gain, '+')}{genes})."


def accuracy_table(summary: Mapping[str, Any]) -> pd.DataFrame:
    """Test R2 of the network and of both stacked, and differences, with 95 % intervals.

    `summary` is as for `judge`.
    """
    rows = {}
    for key, name in {"verdict": "network", "stacked": "network and ridge stacked"}.items():
        scores = summary[key]
        rows[name] = {"test R²": f"{scores['test_r2']:z.3f}"}
        if "interval" in scores:
            rows[name] = {"test R²": _interval_text(scores["interval"])}
            rows[name]["minus ridge"] = _interval_text(scores["minus_ridge"], "+")
        if "minus_network" in scores:
            rows[name]["minus network"] = _interval_text(scores["minus_network"], "+")
    return pd.DataFrame(rows).T.fillna("–")


def _interval_text(interval, sign=""):
    """Mean and ends of an interval, without a zero that has a minus sign."""
    mean, low, high = (f"{interval[key]:{sign}z.3f}" for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]".replace("-", "−")


def name_trusted(kept: Sequence[str], trusted: Sequence[str]) -> str:
    """Sentence that names the trusted genes, or else the kept ones."""
    both = [gene for gene in kept if gene in trusted]
    others = [gene for gene in trusted if gene not in kept]
    text = f"{len(both)} of {len(kept)} genes {'is' if len(both) == 1 else 'are'} trusted"
    if both:
        text += f": {abbreviate(both, N_NAMED_GENES)}"
    if others:
        text += f"; trusted, but not kept: {abbreviate(others, N_NAMED_GENES)}"
    if not trusted:
        text += f"; kept are {abbreviate(kept, N_NAMED_GENES)}"
    return f"{text}."


def _what_is_predicted(scores):
    """How many outputs of new cells are predicted, and their test R2."""
    r2 = f"test R² {scores['test_r2']:.2f}"
    n_outputs, n_predicted = scores["n_outputs"], len(scores["predicted_outputs"])
    if n_predicted == 0:
        return f"New cells are predicted, though no single output is: {r2}"
    if n_predicted < n_outputs:
        return f"{_predicted_outputs(scores)}; overall, {r2}"
    return f"All outputs of new cells ({n_outputs}) are predicted: {r2}"


def _predicted_outputs(scores):
    """How many outputs are predicted, and test R2 of the best."""
    r2 = scores["predicted_outputs"]
    best = [f"{name} {value:.2f}" for name, value in [*r2.items()][:N_NAMED]]
    verb = "is" if len(r2) == 1 else "are"
    return ", ".join([f"{len(r2)} of {scores['n_outputs']} outputs {verb} predicted", *best])


def page_title(folder: str, expression: str, outputs: str) -> str:
    """Name of the folder of results and those of the tables."""
    return f"{folder}: {Path(expression).name} and {Path(outputs).name}"


def _sizes_text(summary):
    data, params = summary["data"], summary["model"]["params"]
    groups = summary["settings"].get("groups")
    held_out = "single cells" if groups is None else f"whole groups of {groups!r}"
    genes = number_and_noun(len(summary["kept_genes"]), "gene")
    return (
        f"{data['n_cells']} cells, {data['n_genes']} genes, {data['n_outputs']} outputs; "
        f"network with {genes}, {number_and_noun(params['n_components'], 'unit')}; "
        f"{summary['verdict']['n_folds']} folds hold out {held_out}"
    )


def _links(folder):
    """Links to other files of the folder, which stay beside the page."""
    names = [name for name in LINKED_FILES if (folder / name).exists()]
    return " · ".join(f'<a href="{name}">{LINKED_FILES[name]}</a>' for name in names)


def _render_cells(cells: Sequence[Any]) -> Iterator[str]:
    """HTML of each cell without its code."""
    import nbformat
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    heading = ""
    for cell in cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ (.*)$", cell.source, flags=re.MULTILINE)
            heading = headings[-1] if headings else heading
        alone = nbformat.v4.new_notebook(cells=[cell])
        html, _ = exporter.from_notebook_node(alone)
        yield _in_page(html, heading)


def _in_page(html, heading):
    """HTML whose figures can be enlarged and whose tables can be moved."""
    label = escape(f"Figure: {heading}")

    def enlargeable(found):
        return (
            '<label class="figure" title="Enlarge, or make small again">'
            f'<input type="checkbox"><img alt="{label}" src="{found["source"]}"></label>'
        )

    html = re.sub(r"<img\b[^>]*src=\"(?P<source>data:[^\"]*)\"[^>]*>", enlargeable, html)
    html = re.sub(r"<style\b.*?</style>", "", html, flags=re.DOTALL)
    html = html.replace("<table", '<div class="table"><table')
    return html.replace("</table>", "</table></div>")


def as_markdown(text: str) -> str:
    """Markdown that shows a text, such as the name of an output, as it is."""
    return re.sub(r"([\\`*_\[\]<>#!|~$&])", r"\\\1", " ".join(text.split()))


def describe_new_cells(fit: Record, model: Any, folder: str | os.PathLike[str]) -> str:
    """Markdown that says how this very model takes new cells.

    Parameters
    ----------
    fit : Record
        From `sbnn.fit_full`.
    model : DistilledBottleneckRegressor or SparseBottleneckRegressor
        Loaded from the file of the fit.
    folder : path-like
        Folder of ``model.safetensors``, which is printed as it is given.
    """
    path = Path(folder).as_posix()
    model_file = json.dumps(f"{path}/model.safetensors", ensure_ascii=False)
    n_genes = len(model.feature_names_in_)
    counts = model.normalizer_ is not None
    kind = "raw counts" if counts else "log values, in the units of those of the fit"
    table = "new_counts.csv" if counts else "new_logs.csv"
    genes = abbreviate(map(as_markdown, fit.kept_genes), 3)
    outputs = abbreviate(map(as_markdown, fit.feature_names), 3)
    needed = f"of the {len(fit.kept_genes)} kept genes ({genes}) at least"
    normalize = "expression = table  # log values, as those of the fit"
    if counts:
        needed = f"best of all {n_genes} genes: their totals are the library sizes"
        normalize = "expression = model.normalizer_.transform(table)  # as the counts of the fit"
    return f"""This model takes **{kind}**, {needed}. In a shell:

```bash
sbnn predict {shlex.quote(path)} {table} --out predictions.csv
```

or in Python:

```python
import pandas as pd
from sbnn import {type(model).__name__}

model = {type(model).__name__}.load({model_file})
table = pd.read_csv("{table}", index_col=0)  # cells x genes
{normalize}
places = model.transform(expression)  # {fit.latent.shape[1]} numbers for each cell
predicted = pd.DataFrame(model.predict(expression), table.index, model.output_names_)
```

The {len(fit.feature_names)} columns of `predicted` are {outputs}.

For predictions by network and ridge stacked, give `stacked.safetensors` of this folder in place of
the folder. The table then also has these, `stacked_...`; all genes are needed that were fitted.
"""
