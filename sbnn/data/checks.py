"""Convert user input to clean arrays, or name the mistake."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from sbnn.errors import warn

UNKNOWN = "unknown"  # cells without a known group
#: What files have in place of a label.
MISSING = ("", "-", "<NA>", "N/A", "NA", "NaN", "None", "nan", UNKNOWN, "unmapped")
GREY = "#808080"  # colour of unknown cells
# Okabe & Ito (2008), without the yellow, which is too pale for dots
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
HUES = OKABE_ITO[:-1]  # black has no lighter shades of its own


def check_names(given: Any, argument: str, kind: str, size: int) -> np.ndarray:
    """Convert to unique, non-empty str; ``None`` gives numbered names."""
    if given is None:
        given = [f"{kind}_{i}" for i in range(size)]
    names = pd.Series([*given], dtype=object)
    if len(names) != size:
        raise ValueError(f"{argument}: expected {size} {kind} names, got {len(names)}")
    text = names.where(names.notna(), "").astype(str)
    bad = text[(text == "") | text.duplicated()]
    if len(bad):
        raise ValueError(
            f"{argument}: empty or repeated {kind} names: {abbreviate(bad.unique())}; of a "
            "table, keep "
            "the first with table[~table.index.duplicated()] (columns: the same of table.T)"
        )
    return text.to_numpy().astype(str)


def numbered_names(kind: str, numbers: range) -> list[str]:
    """Names such as gene_01, of equal length."""
    digits = len(str(numbers[-1]))
    return [f"{kind}{i:0{digits}d}" for i in numbers]


def check_labels(
    given: pd.DataFrame | None,
    cells: np.ndarray,
    always: Iterable[str],
    if_given: Iterable[str] = (),
) -> pd.DataFrame:
    """Labels in the order of the cells; the columns `always` and `if_given` become text."""
    if given is None:
        given = pd.DataFrame(index=pd.Index(cells, dtype=object))
    labels = given.set_axis(given.index.astype(str))
    wrong = labels.index.symmetric_difference(cells)
    if len(wrong) or len(labels) != len(cells):
        raise ValueError(f"labels: expected one row for each cell; unmatched: {abbreviate(wrong)}")
    labels = labels.loc[cells]
    for column in [*always, *labels.columns.intersection(if_given)]:
        if column not in labels:
            labels[column] = UNKNOWN
        known = known_labels(labels[column])
        lost = known.isna() & (labels[column].astype(object) != UNKNOWN)
        if lost.any():
            warn(f"{lost.sum()} of {len(cells)} cells have no {column}")
        labels[column] = known.where(known.notna(), UNKNOWN).astype(str)
    for column in labels.select_dtypes(object):  # numbers and text cannot be saved in one column
        labels[column] = labels[column].map(str, na_action="ignore")
    return labels


def match_rows(table: pd.DataFrame | pd.Series, cells: np.ndarray, argument: str):
    """Rows of labels in the order of the cells, matched by name; there may be other rows."""
    table = table.set_axis(table.index.astype(str))
    missing = pd.Index(cells)[~np.isin(cells, table.index)]
    if len(missing):
        advice = "leave these cells out with table[table.index.isin(labels.index)]"
        if len(missing) == len(cells):
            advice = (
                "read names with pd.read_csv(path, index_col=0), and turn a table that has cells "
                "in columns with table.T"
            )
        raise ValueError(
            f"{argument}: no row for {len(missing)} of {len(cells)} cells: "
            f"{abbreviate(missing, 3)}; it has the rows {abbreviate(table.index, 3)}; {advice}"
        )
    rows = table[table.index.isin(cells)]
    twice = rows.index[rows.index.duplicated()]
    if len(twice):
        raise ValueError(
            f"{argument}: rows that appear more than once: "
            f"{abbreviate(twice.unique(), 3)}; keep the "
            "first with table[~table.index.duplicated()]"
        )
    return rows.loc[cells]


def known_labels(given: Any) -> pd.Series:
    """Labels without spaces around them, NaN if missing or one of `MISSING`."""
    labels = pd.Series(given, dtype=object).map(
        lambda label: label.strip() if isinstance(label, str) else label
    )
    # 7 stays 7, not 7.0, beside missing values
    labels = labels.convert_dtypes(convert_string=False).astype(object)
    return labels.mask(labels.isna() | labels.isin(MISSING))


def check_colors(given: Mapping[str, Any], labels: pd.DataFrame) -> dict[str, str]:
    """Colours of types as ``"#RRGGBB"``: given ones, and `shades`."""
    colors = {str(name): to_hex(color).upper() for name, color in given.items()}
    if (labels["type"] == UNKNOWN).any():
        colors.setdefault(UNKNOWN, GREY)
    for name, color in shades(labels).items():
        colors.setdefault(name, color)
    return colors


def shades(labels: pd.DataFrame) -> dict[str, str]:
    """Colours of the known types: shades of one hue per family; hues repeat in darker colours."""
    known = labels.loc[labels["type"] != UNKNOWN, ["family", "type"]].drop_duplicates("type")
    known["family"] = known["family"].where(known["family"] != UNKNOWN, known["type"])
    colors = {}
    for i, (_, types) in enumerate(known.groupby("family")["type"]):
        rounds, hue = divmod(i, len(HUES))
        levels = np.array(list(bytes.fromhex(HUES[hue].removeprefix("#")))) * 0.6**rounds
        for place, name in enumerate(sorted(types)):
            mixed = levels + (255 - levels) * 0.65 * place / len(types)
            colors[name] = "#" + np.rint(mixed).astype(np.uint8).tobytes().hex().upper()
    return colors


def check_groups(given: Any, cells: Any, argument: str) -> np.ndarray:
    """Convert groups to str; each cell must have a known one."""
    check_in_order(cells, given, argument)
    groups = known_labels(np.asarray(given, dtype=object))
    if len(groups) != cells.shape[0]:
        raise ValueError(f"{argument}: expected one for each cell, got {len(groups)}")
    unknown_to = groups.index[groups.isna()]
    if len(unknown_to):
        names = get_cell_names(given)
        where = (
            f"at positions {abbreviate(unknown_to)}"
            if names is None
            else abbreviate(names[unknown_to])
        )
        raise ValueError(
            f"{argument}: unknown for cells {where}; leave them out, of a table with "
            "table.drop(index=...)"
        )
    return groups.to_numpy().astype(str)


def numbers(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """The table with text as numbers, NaN where empty."""
    if all(map(pd.api.types.is_numeric_dtype, table.dtypes)):
        return table
    # as objects, since dates would become numbers
    found = table.astype(object).apply(pd.to_numeric, errors="coerce")
    wrong = found.isna() & table.notna()
    if not wrong.any(axis=None):
        return found
    row, column = np.argwhere(wrong)[0]
    raise ValueError(
        f"{what}: expected numbers, got {table.iat[row, column]!r} in row "
        f"{str(table.index[row])!r}, column {table.columns[column]!r}; leave such a column "
        'out with table.drop(columns=...), or read the table with decimal="," or '
        "na_values=[...]"
    )


def check_only_genes(X: pd.DataFrame, beside: pd.DataFrame | None, argument: str) -> None:
    """Reject columns that are flags or have the name of an output or label."""
    others = X.select_dtypes(bool).columns
    if beside is not None:
        others = others.union(X.columns.intersection(beside.columns), sort=False)
    if len(others):
        raise ValueError(
            f"{argument}: flags, or the name of an output or label: {abbreviate(others, 3)}; leave "
            "them out with table.drop(columns=...); if they are genes or features, rename the "
            "others with table.add_suffix(...)"
        )


def abbreviate(names: Iterable[Any], limit: int = 5) -> str:
    """List the first few names, for a message."""
    names = [str(name) for name in names]
    text = ", ".join(names[:limit])
    if len(names) > limit:
        text += f" and {len(names) - limit} more"
    return text


def get_cell_names(X):
    """Names of the cells in a container, or None."""
    names = getattr(X, "obs_names", getattr(X, "cell_names", getattr(X, "index", None)))
    return names if isinstance(names, pd.Index) else None


def check_in_order(X, values, argument):
    """Reject cells other than those of X in order; the default index fits any names."""
    cells = get_cell_names(X)
    rows = get_cell_names(values)
    if cells is None or rows is None or len(cells) != len(rows):
        return
    cells = cells.astype(str)
    rows = rows.astype(str)
    usual = pd.RangeIndex(len(cells)).astype(str)
    unnamed = rows.equals(usual) or cells.equals(usual)
    if not cells.equals(rows) and (not unnamed or set(cells) == set(rows)):
        raise ValueError(
            f"{argument}: expected the cells {abbreviate(cells, 2)} in the same order, got "
            f"{abbreviate(rows, 2)}; if only the order differs, sort the rows"
        )
