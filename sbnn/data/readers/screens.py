"""A user's own perturbation screen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import are_counts, some
from sbnn.data.objects import AnnDataLike
from sbnn.data.readers.containers import (
    GENES,
    GUIDES,
    features_of,
    opened_container,
    read_features,
)
from sbnn.data.readers.guides import has_control, likely_control, targets_of
from sbnn.data.readers.matching import joined
from sbnn.data.readers.reading import Reading, ReadingError
from sbnn.data.readers.table import Table
from sbnn.data.readers.table_names import texts, texts_of_cells
from sbnn.data.readers.table_numbers import to_numbers
from sbnn.data.screens import check_screen_counts, screen
from sbnn.errors import warn

if TYPE_CHECKING:
    from anndata import AnnData

    from sbnn.typehints import TableLike

# least share of one guide in a cell, as in Papalexi et al. 2021
CLEAR = 0.8
_NO_GUIDE = re.compile("(un(assigned|known|classified)|none|no[ _-]?(guide|sgrna|call)s?)", re.I)
_SEVERAL_GUIDES = re.compile("(doublet|multiplet|multiple|multi|ambiguous)([ _-]guides?)?s?", re.I)
CALLS = "feature_call"  # of protospacer_calls_per_cell.csv of Cell Ranger
CALLED = "num_umis"
_TARGETS = ("target", "target_gene_name", "target_gene", "gene", "gene_name", "gene_symbol")


def read_screen(
    expression: TableLike | AnnData,
    guides: TableLike | str | None = None,
    control: str | None = None,
    name: str = "custom",
    *,
    targets: TableLike | None = None,
    guide_key: str | None = None,
    genes_in_rows: bool | None = None,
    **how: object,
) -> AnnData:
    """Read a perturbation screen: the cells with a label or one clear guide.

    Parameters
    ----------
    expression : path-like, DataFrame or AnnData
        Raw counts: ``.h5ad``, ``.h5`` of 10x Genomics, MatrixMarket, or a table.
    guides : path-like, DataFrame or str, optional
        ``.h5ad`` or a table with the guide or perturbation of each cell, a column of counts for
        each guide, or a row per cell and guide; by default, ``obs`` of an AnnData, or the named
        column of it.
    control : str
        Guide or target of unperturbed cells.
    name : str
    targets : path-like or DataFrame, optional
        Columns ``guide`` and ``target``, or the feature reference of Cell Ranger. By default,
        targets are in a column beside the guides, or follow from their names (see
        `sbnn.data.readers.guides.targets_of`).
    guide_key : str, optional
        Column of `guides` with the label of the cell.
    genes_in_rows : bool, optional
        Detected by default.
    **how
        Options of all readers, see `sbnn.data.readers.reading.TableOptions`.

    Returns
    -------
    AnnData
        As returned by `sbnn.mechanism_shift.screen`, with ``uns["sbnn"]["guides"]``.

    Raises
    ------
    sbnn.data.readers.reading.ReadingError
        With all problems, such as a control that no cell has.
    """
    given = {"control": control, "guide_key": guide_key, "genes_in_rows": genes_in_rows}
    reading = Reading("screen", how, given)
    data = opened_container(reading, expression, read=read_features)
    if isinstance(data, AnnDataLike):
        expression = features_of(data, GENES)
        guides = _guides_beside(data, guides)
    if guides is None:
        other = "or the same file as `expression` if it has a column of guides"
        reading.problem(
            f"guides: missing; give `guides`, a table with the guide of each cell, {other}"
        )
    of_guides = opened_container(reading, guides, "guides", read_features)
    if of_guides is not None:
        guides = features_of(of_guides, GUIDES)
    tables = reading.open({"expression": expression, "guides": guides, "targets": targets})
    tables["guides"] = _by_cell(reading, tables["guides"])
    counts, found = joined(reading, tables["expression"], tables["guides"])
    counts = _counts(reading, counts)
    guide, library, reasons = _guides(reading, found)
    kept = _clear_cells(reading, counts, reasons)
    guide = guide[kept]
    if library is None:
        library = np.unique(guide)
    control = reading.choices.get("control")
    if targets is not None:
        of_targets = _given_targets(reading, tables["targets"], library)
    else:
        of_targets = _targets_beside(reading, found, kept, guide)
    about = library, counts.var_names, control, of_targets
    table = reading.attempt("targets", targets_of, *about)
    if table is None:
        raise ReadingError(reading)
    target = table.set_index("guide")["target"][guide].to_numpy()
    reading.describe("guides", used=f"{len(table)} guides of {len(np.unique(target))} targets")
    labels = library if of_targets is None else np.unique(target)
    _require_control(reading, control, target, labels)
    _warn_of_single_guides(table, guide, target, control)
    reading.describe("expression", used=f"{kept.sum()} cells, {counts.n_vars} genes")
    reading.require_known_columns()
    reading.require_no_problem()
    counts = counts[kept].copy()
    counts.obs = counts.obs.assign(perturbation=target, guide=guide)
    made = screen(counts, "perturbation", control, **reading.about(name))
    made.uns["sbnn"]["guides"] = table
    return reading.attach(made)


def _clear_cells(reading, counts, reasons):
    """Mask of the cells without any of the reasons."""
    reasons = {"without a count of a gene": counts.X.sum(axis=1) == 0} | reasons
    reason = np.select(list(reasons.values()), list(reasons), "")  # the first one
    for why in reasons:
        reading.leave_out("guides", why, counts.obs_names, reason == why)
    kept = reason == ""
    if not kept.any():
        reading.stop(f"guides: no cell is left; all are {' or '.join(reasons)}")
    return kept


def _guides_beside(data, guides):
    if isinstance(guides, str) and guides in data.obs:
        return data.obs[[guides]]
    if guides is not None:
        return guides
    if GUIDES in set(data.var.get("feature_types", ())):
        return features_of(data, GUIDES)
    return data.obs if data.obs.shape[1] else None


def _by_cell(reading, table):
    """Counts from a row per cell and guide, or from joined calls."""
    if table.adata is not None:
        return table
    rows = table.frame(table.ways()[0])
    if {CALLS, CALLED} <= {*rows} and "guide_key" not in reading.choices:
        return _by_call(reading, table, rows)
    guide = _column_like(rows, "guide", "grna")
    counted = _column_like(rows.select_dtypes("number"), "umi", "count", "reads")
    if guide is None and rows.shape[1] == 1:
        guide = rows.columns[0]
    if guide is None or not rows.index.has_duplicates:
        return table
    if counted is None and not rows.select_dtypes("number").empty:  # may be counts
        return table
    reading.notes.append(f"guides: a row per cell and guide, named in column {guide!r}")
    counts = pd.Series(1, rows.index) if counted is None else rows[counted]
    return _counted(table, counts, rows[guide])


def _by_call(reading, table, rows):
    """Counts of calls that Cell Ranger joins by "|"."""
    rows = rows.loc[texts(rows[CALLS]) != "", [CALLS, CALLED]]
    rows = rows.astype(str).map(lambda text: text.split("|"))
    if not (rows[CALLS].str.len() == rows[CALLED].str.len()).all():
        return table
    rows = rows.explode([CALLS, CALLED])
    rows[CALLED] = pd.to_numeric(rows[CALLED], errors="coerce")
    if rows[CALLED].isna().any():
        return table
    about = f"guides: {CALLS} is read with the counts in {CALLED}"
    reading.notes.append(f"{about}; to ignore the counts, set guide_key={CALLS!r}")
    return _counted(table, rows[CALLED], rows[CALLS])


def _counted(table, counts, guides):
    by_guide = counts.groupby([counts.index, texts(guides)], sort=False).sum()
    found = Table("guides", by_guide.unstack(fill_value=0).rename_axis(index="cell"))
    found.file = table.file
    return found


def _column_like(table, *parts):
    for part in parts:
        for name in table:
            if part in name.casefold():
                return name
    return None


def _counts(reading, X):
    place = ""
    if isinstance(X, AnnDataLike):
        found, place = _first_with_counts(X)
    else:
        X = reading.numbers(X, "expression", "genes").fillna(0)
        found = ad.AnnData(reading.genes_only(X))
    matrix = found.X
    if _has_counts(matrix):
        reading.describe("expression", values=f"counts{place}")
    else:
        where = "layers['counts'] or raw of AnnData, or layer 'counts' of Seurat"
        text = "expected raw counts, got fractions or negative values; give the counts, often in"
        reading.problem(f"expression: {text} {where}")
        matrix = matrix != 0  # to find other problems, too
    return ad.AnnData(check_screen_counts(matrix), found.obs, found.var[[]])


def _first_with_counts(adata):
    layers = [name for name in adata.layers if "count" in name.casefold()]
    places = {}
    for name in sorted(layers, key=lambda name: name != "counts"):
        places[f" of layers[{name!r}]"] = adata.layers[name], adata.var
    places[""] = adata.X, adata.var
    if adata.raw is not None:
        places[" of raw"] = adata.raw.X, adata.raw.var
    for place, (matrix, var) in places.items():
        if _has_counts(matrix):
            return features_of(ad.AnnData(matrix, adata.obs, var), GENES), place
    return adata, ""


def _has_counts(matrix):
    values = matrix.data if sparse.issparse(matrix) else np.asarray(matrix)
    return are_counts(values).all()


def _guides(reading, found):
    """Guide of each cell, all guides, and masks of unclear cells."""
    if not isinstance(found, AnnDataLike):
        truths = found.select_dtypes("bool")
        found = found.astype(dict.fromkeys(truths, int))
        key = reading.choices.get("guide_key")
        labels = _label_column(reading, found, key)
        if labels is not None:
            return _labels(texts_of_cells(labels).to_numpy(str), reading.choices.get("control"))
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
    """Column of labels; None if all columns are counts."""
    reading.describe("guides", values="labels")
    if key is None and CALLS in table:
        key = CALLS
    if key in table:
        reading.choose("guide_key", key)
        return table[key]
    if key is None and table.shape[1] == 1:
        return table.iloc[:, 0]
    of_text = to_numbers(table).wrong.mean(axis=0) > 0.5
    if key is None and not of_text.any():
        return None
    found = "several columns, of which one has the labels"
    if key is not None:
        found = f"no column {key!r} among"
    text = f"guides: {found}: {some(table, 12)}"
    finest = _finest_labels(table, table.columns[of_text], reading.choices.get("control"))
    if finest is None:
        reading.stop(f"{text}; name it by guide_key=...")
    reading.problem(text, guide_key=finest)
    return table[finest]


def _finest_labels(table, columns, control):
    """Column of guides, rather than of their targets, or None."""
    sizes = {}  # column -> number of labels
    for column in columns:
        labels = set(texts(table[column]))
        control_is_likely = has_control(labels, control) or likely_control(labels) is not None
        control_is_likely |= _target_column(table, column, control) is not None
        # not "control" and "perturbed", nor names of cells
        if control_is_likely and 2 < len(labels) < len(table):
            sizes[column] = len(labels)
    return max(sizes, key=sizes.get, default=None)


def _target_column(table, key, control):
    """Column with one target for each label in `key`."""
    names = {name.casefold(): name for name in table if name != key}
    for target in filter(None, map(names.get, _TARGETS)):
        pairs = table[[key, target]].apply(texts)
        pairs = pairs[pairs[key] != ""].drop_duplicates()
        targets = set(pairs[target])
        complete = not pairs[key].duplicated().any() and "" not in targets
        if complete and 1 < len(targets) < len(pairs) and control in (None, *targets):
            return target
    return None


def _targets_beside(reading, found, kept, guide):
    key = reading.choices.get("guide_key")
    if isinstance(found, AnnDataLike) or key not in found:
        return None
    cells = found[kept]
    named = _column_like(cells, "guide", "grna")
    if named not in (None, key) and _target_column(cells, named, None) == key:
        text = f"guides: {key!r} has the targets of the guides in {named!r}"
        reading.notes.append(f"{text}; to tell guides apart, set guide_key={named!r}")
    target = _target_column(cells, key, reading.choices.get("control"))
    if target is None:
        return None
    text = f"guides: their targets are in column {target!r}"
    reading.notes.append(f"{text}; to take them from their names, set drop_columns={target!r}")
    return pd.DataFrame({"guide": guide, "target": texts(cells[target])})


def _labels(label, control):
    known = set(label) - {""}
    others = [one for one in known if one != control]
    none = ["", *filter(_NO_GUIDE.fullmatch, others)]
    several = list(filter(_SEVERAL_GUIDES.fullmatch, others))
    for one in known:
        parts = re.split("[|;,]", one)
        if len(parts) > 1 and known.issuperset(map(str.strip, parts)):
            several.append(one)
    masks = {
        "without a label": np.isin(label, none),
        "with several guides": np.isin(label, several),
    }
    return label, None, masks


def _require_control(reading, control, target, labels):
    if control is not None and str(control) in target:
        return
    found = "missing" if control is None else f"no cell is {control!r}"
    text = f"control: {found}; the perturbations are {some(np.unique(target))}"
    advice = likely_control(labels)
    if advice is not None:
        reading.problem(text, control=advice)
        return
    table = "`targets`, a table with the columns guide and target"
    reading.problem(f"{text}; name one by control=..., or give {table}")


def _warn_of_single_guides(table, guide, target, control):
    if (table["guide"] == table["target"]).all():
        return
    # off-target effects show only in comparison with another guide
    n_guides = pd.Series(guide).groupby(target).nunique().drop(str(control), errors="ignore")
    single = n_guides.index[n_guides == 1]
    if len(single):
        warn(f"guides: targets with only one guide: {some(single)}")


def _given_targets(reading, table, guides):
    columns, body, _ = table.content
    body = body.set_axis(texts(columns), axis=1).apply(texts)
    n_shared = [body[name].isin(guides).sum() for name in body]
    of_guides = body.columns[np.argmax(n_shared)]
    others = body.columns.drop(of_guides)
    named = [name for name in _TARGETS if name in others]
    if not named and len(others) != 1:
        text = f"targets: no column 'target' in {table}; it has {some(body, 12)}"
        reading.stop(f"{text}; rename it or leave out the others")
    of_targets = named[0] if named else others[0]
    about = f"guides in column {of_guides!r}, targets in column {of_targets!r}"
    reading.describe("targets", file=table.file, used=about)
    return pd.DataFrame({"guide": body[of_guides], "target": body[of_targets]})
