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
from pathlib import Path
from string import Template
from typing import Any

from sbnn.data.checks import abbreviate
from sbnn.errors import require
from sbnn.evaluation.verdict import PairedDifference
from sbnn.files import write_atomically
from sbnn.own_data.explorer.explore import HTML
from sbnn.results import Record

#: Tags of cells that are for the notebook alone, and of the first cell that a bad verdict folds.
ONLY_IN_NOTEBOOK, AFTER_VERDICT = "only-in-notebook", "after-verdict"
STOP = "Stop here: new cells are not predicted better than by the mean."
ALONE = "Do not read the map: the network does not predict new cells better than the mean does."
TOGETHER = "by network and ridge together, from all genes"
FOLDED = "Show the genes and the map all the same; they can also be drawn from noise"
N_NAMED = 3  # of the outputs that are predicted
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
    shown = [cell for cell in cells if _is_shown(cell)]
    parts = [*_render_cells(shown)]
    first_after = len(shown)
    for at, cell in enumerate(shown):
        if AFTER_VERDICT in cell.metadata.get("tags", ()):
            first_after = at
    kind, headline = judge(summary["verdict"], summary.get("stacked"))
    before = "\n".join(parts[:first_after])
    after = "\n".join(parts[first_after:])
    if kind == "stop":
        after = f"<details><summary>{FOLDED}</summary>\n{after}\n</details>"
    page = Template(_template_part("page.html")).substitute(
        title=escape(_title(path.resolve().name, summary["settings"])),
        style=_template_part("page.css"),
        sizes=escape(_sizes_text(summary)),
        kind=kind,
        headline=escape(headline),
        sentence=_sentence_html(summary["verdict"]["sentence"]),
        stacked=_stacked_html(summary),
        links=_links(path),
        before=before,
        after=after,
    )
    write_atomically(page.encode(), path / "report.html", beginning=HTML)
    return path / "report.html"


def _is_shown(cell):
    """Whether a reader of the page needs a cell: text for readers, or code that shows something."""
    is_text = cell.cell_type == "markdown"
    return ONLY_IN_NOTEBOOK not in cell.metadata.get("tags", ()) and (is_text or cell.outputs)


def _template_part(name):
    return (files("sbnn.own_data") / name).read_text(encoding="utf-8")


def _sentence_html(sentence):
    """HTML of a verdict, with R² and long minus signs as in the figures."""
    return re.sub(r"(?<![\w.])-(?=\d)", "−", escape(sentence)).replace("R2", "R²")


def _stacked_html(summary):
    """HTML of what network and ridge together predict, if they were tested."""
    if "stacked" not in summary:
        return ""
    stacked = summary["stacked"]
    sentence = f"If only the prediction matters: {stacked['sentence']} It takes all genes."
    if "minus_network" in stacked:
        gain = PairedDifference(**stacked["minus_network"])
        sentence += f" Its difference from the network is {gain}; use it if this is above 0."
    return f"<p>{_sentence_html(sentence)}</p>"


def judge(scores: Mapping[str, Any], stacked: Mapping[str, Any] | None = None) -> tuple[str, str]:
    """Kind of a verdict, "better", "stop" or "unknown", and its headline.

    `scores` and `stacked` are ``"verdict"`` and ``"stacked"`` of ``summary.json``.
    """
    if "interval" not in scores:
        return "unknown", f"No verdict: {scores['n_folds']} folds give no interval."
    if scores["interval"]["low"] <= 0:
        if stacked is not None and "interval" in stacked and stacked["interval"]["low"] > 0:
            return "stop", f"{ALONE} {_what_is_predicted(stacked)}, {TOGETHER}."
        if scores.get("predicted_outputs"):
            return "stop", f"{STOP} By themselves, {_predicted_outputs(scores)}."
        return "stop", STOP
    headline = _what_is_predicted(scores)
    difference = scores.get("minus_ridge")
    if difference is None:
        return "better", f"{headline}."
    comparison = "about as well as by ridge on all genes"
    if difference["low"] > 0:
        comparison = "better than by ridge on all genes"
    if difference["high"] < 0:
        comparison = "but ridge on all genes predicts better, and the map explains less"
        if stacked is not None:
            comparison += ". Use both stacked"
    return "better", f"{headline}, {comparison}."


def _what_is_predicted(scores):
    """Test R2 of new cells, after the outputs that are predicted if these are not all."""
    r2 = f"{scores['test_r2']:.2f}"
    n_outputs = scores.get("n_outputs")  # with three folds or more
    if n_outputs is None or len(scores["predicted_outputs"]) in (0, n_outputs):
        return f"New cells are predicted: test R² {r2}"
    return f"{_predicted_outputs(scores)}; all together are predicted with test R² {r2}"


def _predicted_outputs(scores):
    """How many outputs are predicted, and test R2 of the best."""
    r2 = scores["predicted_outputs"]
    best = [f"{name} {value:.2f}" for name, value in [*r2.items()][:N_NAMED]]
    verb = "is" if len(r2) == 1 else "are"
    return ", ".join([f"{len(r2)} of {scores['n_outputs']} outputs {verb} predicted", *best])


def _title(name, settings):
    """Name of the folder and those of the tables."""
    tables = [Path(str(settings[key])).name for key in ("expression", "outputs") if key in settings]
    return f"{name}: {' and '.join(tables)}" if tables else name


def _sizes_text(summary):
    data = summary["data"]
    groups = summary["settings"].get("groups")
    held_out = "single cells" if groups is None else f"whole groups of {groups!r}"
    return (
        f"{data['n_cells']} cells, {data['n_genes']} genes, {data['n_outputs']} outputs; "
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

If only the prediction matters, give `stacked.safetensors` of this folder in place of the folder.
The table then also has the predictions of network and ridge, `stacked_...`, for which all genes are
needed that were fitted.
"""
