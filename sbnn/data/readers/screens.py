"""A user's own perturbation screen: counts of genes, and guides or labels of cells."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd

from sbnn.data.checks import are_counts, some
from sbnn.data.objects import AnnDataLike
from sbnn.data.readers.containers import opened_container
from sbnn.data.readers.guides import likely_control, targets_of
from sbnn.data.readers.matching import joined
from sbnn.data.readers.reading import Reading
from sbnn.data.readers.table import read_table
from sbnn.data.readers.table_names import texts
from sbnn.data.readers.table_numbers import to_numbers
from sbnn.data.screens import check_screen_counts, screen
from sbnn.errors import warn

if TYPE_CHECKING:
    from anndata import AnnData

    from sbnn.typehints import TableLike

# minimum share of the most frequent guide in the guide counts of a cell, as in Papalexi et al. 2021
CLEAR = 0.8


def read_screen(
    expression: TableLike | AnnData,
    guides: TableLike | str | None = None,
    control: str | None = None,
    name: str = "custom",
    *,
    targets: TableLike | None = None,
    guide_key: str | None = None,
    **how: object,
) -> AnnData:
    """Read the user's perturbation screen: the cells with a label or one clear guide.

    All other cells are left out with a warning.

    Parameters
    ----------
    expression : path-like, DataFrame or AnnData
        Raw counts of genes: ``.h5ad``, ``.h5`` of 10x Genomics, a folder with a MatrixMarket file
        and its names (or this file, if there are several), or a table of cells x genes or
        genes x cells.
    guides : path-like, DataFrame or str, optional
        ``.h5ad`` or a table, with a column that holds the guide or perturbation of each cell, or
        with a column of counts for each guide. If `expression` is an AnnData, also a column of its
        ``obs``, which is the table of guides by default.
    control : str
        Guide, or target of the guides, of the cells in which nothing was perturbed.
    name : str
    targets : path-like or DataFrame, optional
        Target of each guide: a table with the columns ``guide`` and ``target``, or with these in
        its first two columns. By default, targets follow from the names of the guides (see
        `sbnn.data.readers.guides.targets_of`).
    guide_key : str, optional
        Column of `guides` with the label of the cell, if there are several columns.
    **how
        Options of all readers, see `sbnn.data.readers.reading.TableOptions`.

    Returns
    -------
    AnnData
        As returned by `sbnn.mechanism_shift.screen`. ``uns["sbnn"]["guides"]`` holds the target of
        each guide, and ``uns["sbnn"]["read"]["table"]`` what was understood of each table.

    Raises
    ------
    sbnn.data.readers.reading.ReadingError
        A ValueError with all problems, such as a control that no cell has.
    """
    given = {"control": control, "guide_key": guide_key}
    reading = Reading("screen", how, given)
    data = opened_container(reading, expression)
    if isinstance(data, AnnDataLike):
        expression = data
        if isinstance(guides, str) and guides in data.obs:
            guides = data.obs[[guides]]
        guides = data.obs if guides is None else guides
    elif guides is None:
        reading.problem("guides: missing; give the guide of each cell")
    tables = reading.open({"expression": expression, "guides": guides})
    of_targets = None
    if targets is not None:
        of_targets = reading.attempt("targets", _read_targets, targets)
    counts, found = joined(reading, tables["expression"], tables["guides"])
    counts = _counts(reading, counts)
    guide, library, reasons = _guides(reading, found)
    reasons = {"without a count of a gene": counts.X.sum(axis=1) == 0} | reasons
    reason = np.select(list(reasons.values()), list(reasons), "")  # the first that applies
    for why in reasons:
        reading.leave_out("guides", why, counts.obs_names[reason == why], counts.n_obs)
    kept = reason == ""
    guide = guide[kept]
    if library is None:
        library = np.unique(guide)
    control = reading.choices.get("control")
    table = targets_of(library, counts.var_names, control, of_targets)
    target = table.set_index("guide")["target"][guide].to_numpy()
    _require_control(reading, control, target, library)
    _warn_of_single_guides(table, guide, target, control)
    reading.describe("expression", used=f"{kept.sum()} cells, {counts.n_vars} genes")
    reading.describe("guides", used=f"{len(table)} guides of {len(np.unique(target))} targets")
    reading.require_no_problem()
    counts = counts[kept].copy()
    counts.obs = counts.obs.assign(perturbation=target, guide=guide)
    about = {"name": name, "dropped": reading.dropped, "notes": reading.notes}
    made = screen(counts, "perturbation", control, source=reading.source(), **about)
    made.uns["sbnn"]["guides"] = table
    return reading.attach(made)


def _counts(reading, X):
    """AnnData of raw counts of genes."""
    if isinstance(X, AnnDataLike):
        matrix = X.layers.get("counts", X.X)
        counts = ad.AnnData(matrix, X.obs, X.var[[]])
    else:
        counts = ad.AnnData(reading.numbers(X, "expression", "genes").fillna(0))
    values = counts.X.data if hasattr(counts.X, "indptr") else counts.X
    if not are_counts(values).all():
        reading.problem("expression: expected raw counts, got fractions or negative values")
        raise reading.error()
    counts.X = check_screen_counts(counts.X)
    reading.describe("expression", values="counts")
    return counts


def _guides(reading, found):
    """Guide of each cell, all guides if they were counted, and masks of unclear cells."""
    if not isinstance(found, AnnDataLike):
        key = reading.choices.get("guide_key")
        labels = _label_column(reading, found, key)
        if labels is not None:
            return _labels(texts(labels).to_numpy(str))
        found = ad.AnnData(reading.numbers(found, "guides", "guides").fillna(0))
    counts = check_screen_counts(found.X, "guides")
    names = found.var_names.to_numpy(str)
    reading.describe("guides", values="counts of guides")
    most = counts.max(axis=1).toarray().ravel()  # (n_cells,)
    unclear = most < CLEAR * counts.sum(axis=1)
    share = f"with less than {CLEAR:.0%} of the guide counts on one guide"
    guide = names[np.asarray(counts.argmax(axis=1)).ravel()]
    return guide, names, {"without a guide": most == 0, share: unclear}


def _label_column(reading, table, key):
    """Column with the label of each cell; None if all columns hold counts of guides."""
    reading.describe("guides", values="labels")
    if key is not None and key not in table:
        reading.problem(f"guide_key: no column {key!r} in guides; it has {some(table, 12)}")
        raise reading.error()
    if key is not None or table.shape[1] == 1:
        return table.iloc[:, 0] if key is None else table[key]
    of_text = to_numbers(table).wrong.mean(axis=0) > 0.5
    if not of_text.any():
        return None
    likely = [column for column in table.columns[of_text] if likely_control(set(table[column]))]
    control = reading.choices.get("control")
    having = [column for column in table if control in set(table[column].astype(str))]
    text = f"guides: several columns, of which one has the labels: {some(table, 12)}"
    for column in [*having, *likely]:
        reading.problem(text, guide_key=column)
        return table[column]
    reading.problem(f"{text}; name it by guide_key=...")
    raise reading.error()


def _labels(label):
    """Label of each cell, and masks of the cells with none, or with the labels of several."""
    known = set(label) - {""}
    several = []
    for one in known:
        parts = re.split("[|;,]", one)
        if len(parts) > 1 and known.issuperset(map(str.strip, parts)):
            several.append(one)
    masks = {"without a label": label == "", "with several guides": np.isin(label, several)}
    return label, None, masks


def _require_control(reading, control, target, guides):
    """Ask for a control that cells have."""
    if control is not None and str(control) in target:
        return
    advice = likely_control(guides)
    text = f"control: no cell is {control!r}; the perturbations are {some(np.unique(target))}"
    solved_by = {} if advice is None else {"control": advice}
    reading.problem(text, **solved_by)


def _warn_of_single_guides(table, guide, target, control):
    if (table["guide"] == table["target"]).all():
        return
    # off-target effects of a guide show only in comparison with another guide
    n_guides = pd.Series(guide).groupby(target).nunique().drop(str(control), errors="ignore")
    single = n_guides.index[n_guides == 1]
    if len(single):
        warn(f"guides: targets with only one guide: {some(single)}")


def _read_targets(targets):
    """Table of guides and targets, from their columns or from the first two."""
    table = read_table(targets, "targets", key="guide")
    target = table["target"] if "target" in table else table.iloc[:, 0]
    return pd.DataFrame({"guide": table.index, "target": texts(target)})
