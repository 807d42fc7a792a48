"""What to do in pandas with a table that cannot be used as it is."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

#: Changes of names, as arguments of `Series.str.replace`, of which one may make two files equal.
CHANGES = (
    ("", ""),  # capitals alone
    (r"[\W_]+", "_"),
    (r"[\W_]+", ""),
    # names of samples before barcodes, and what 10x adds to them
    (r"^.*[_#:](?=[acgt]{8})|-1$", ""),
)
IDENTIFIER = re.compile(r"(?i).*(id|name|cell|sample|barcode)s?$")  # name of a column of names
MOST_LABELS = 100  # types or perturbations of a data set
LEAST_GUIDES = 3  # columns of numbers that are counts of guides, not labels
#: What to do with them, which is the same in pandas 2 and 3, also of cells without guides.
CHOOSE_GUIDES = (
    "many columns of numbers, such as counts of guides, are no labels; keep cells with one guide: "
    "perturbation = guides.idxmax(axis=1)[guides.max(axis=1) > 0.8 * guides.sum(axis=1)] and "
    "screen(counts.loc[perturbation.index], perturbation, control), where guides is a table of "
    "cells x guides (of an AnnData: adata.to_df())"
)
#: Largest fractions of missing values of a column, of which the largest that helps is advised.
FRACTIONS = 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.0
NAMES_TRIED = 10
COLUMNS_LISTED = 5
MAJORITY = 0.5  # of cells or columns, at least


def find_columns_of_names(table: pd.DataFrame) -> list[str]:
    """Columns with a different text, or a different number of an identifier, in every row."""
    is_number = [pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes]
    is_integer = [pd.api.types.is_integer_dtype(dtype) for dtype in table.dtypes]
    is_called = table.columns.astype(str).str.fullmatch(IDENTIFIER)
    found = []
    for position in np.flatnonzero(~np.array(is_number) | np.array(is_integer) & is_called):
        column = table.iloc[:, position]
        if column.notna().all() and column.is_unique:
            found.append(str(table.columns[position]))
    return found


def find_column_with(table: pd.DataFrame, names: pd.Index) -> tuple[str, int]:
    """The column that has most of these names, and how many."""
    most = ("", 0)
    for name in find_columns_of_names(table):
        n_found = int(table[name].astype(str).isin(names).sum())
        most = max(most, (name, n_found), key=lambda found: found[1])
    return most


def describe_dictionary(labels: pd.DataFrame, cells: pd.Index, outputs: pd.Index) -> str:
    """The lines for a table of labels that has the names of both measurements, or ""."""
    table = labels.reset_index(names=["index of labels"])
    of_cells, n_cells = find_column_with(table, cells)
    of_outputs, n_outputs = find_column_with(table, outputs)
    if min(n_cells, n_outputs) < MAJORITY * min(len(cells), len(outputs)):
        return ""
    by_outputs = "labels" if of_outputs == table.columns[0] else f"labels.set_index({of_outputs!r})"
    by_cells = "" if of_cells == table.columns[0] else f" and labels.set_index({of_cells!r})"
    return (
        f"; labels have both names: {n_outputs} would match after outputs.rename(index="
        f"{by_outputs}[{of_cells!r}]){by_cells}"
    )


def find_columns_of_labels(table: pd.DataFrame, words: Iterable[str]) -> list[str]:
    """All columns, first those that look like labels: few values, and one of the words in the name.

    Of these, columns with a word in the name and few values come first, then columns of few texts.
    """
    pattern = re.compile("|".join(words), re.IGNORECASE)

    def rank(column):
        n_values = table[column].nunique()
        has_few = 1 < n_values <= min(MOST_LABELS, len(table) / 2)
        is_text = not pd.api.types.is_numeric_dtype(table[column])
        is_called = bool(pattern.search(str(column)))
        return (not (has_few and is_called), not (has_few and is_text), not is_called)

    return sorted(table.columns, key=rank)


def are_numbered(rows: pd.Index) -> bool:
    """Whether names only number the rows, from 0 or 1 on."""
    numbers_of_rows = pd.RangeIndex(len(rows) + 1).astype(str)
    return rows.equals(numbers_of_rows[:-1]) or rows.equals(numbers_of_rows[1:])


def count_matches(names: pd.Index, others: pd.Index) -> int:
    """How many names are among the others."""
    return int(names.isin(others).sum())


def describe_change(names: pd.Index, others: pd.Index, name: str, other: str) -> str:
    """Say how many more names match after a change, and the line of pandas that does it, or ""."""
    if are_numbered(names) or are_numbered(others):  # c1 may be row 0, or row 1
        return ""
    most = count_matches(names, others)
    least = MAJORITY * min(len(names), len(others))
    text = ""
    for line, mine, theirs in change_names(names, others, name, other):
        n_found = count_matches(mine, theirs)
        # fewer may match by chance, and what makes two names one would match different cells
        if n_found > most and n_found >= least and mine.is_unique and theirs.is_unique:
            most = n_found
            text = f"; {n_found} would match after {line}"
    return text


def change_names(
    names: pd.Index, others: pd.Index, name: str, other: str
) -> Iterator[tuple[str, pd.Index, pd.Index]]:
    """Yield lines that change names, and the names after them."""
    for before, after in find_affixes(names, others):
        line, changed = remove_affixes(names, name, before=before, after=after)
        yield line, changed, others
    for before, after in find_affixes(others, names):
        line, changed = remove_affixes(others, other, before=before, after=after)
        yield line, names, changed
    before, after = find_common_affixes(names)
    others_before, others_after = find_common_affixes(others)
    line, mine = remove_affixes(names, name, before=before, after=after)
    other_line, theirs = remove_affixes(others, other, before=others_before, after=others_after)
    if not mine.str.isdecimal().all():  # numbers of other cells would match as well
        yield f"{line} and {other_line}", mine, theirs
    for pattern, replacement in CHANGES:
        method = ".str.lower()"
        if pattern:
            method += f".str.replace({pattern!r}, {replacement!r}, regex=True)"
        mine, theirs = (
            old.str.lower().str.replace(pattern, replacement, regex=True) for old in (names, others)
        )
        yield f"{name} = {name}{method} and the same of {other}", mine, theirs


def find_affixes(names: pd.Index, others: pd.Index) -> list[tuple[str, str]]:
    """Texts before and after some of the others in these names, such as the X that R adds."""
    found = []
    for other in others[:NAMES_TRIED]:
        for name in names[names.str.contains(other, regex=False)][:NAMES_TRIED]:
            before, _, after = name.partition(other)
            found.append((before, after))
    return [*dict.fromkeys(found)]


def find_common_affixes(names: pd.Index) -> tuple[str, str]:
    """Texts before and after all names, up to a separator."""
    before = os.path.commonprefix([*names])
    after = os.path.commonprefix([name[::-1] for name in names])[::-1]
    [start] = re.findall(r"^(?:.*[\W_])?", before, re.DOTALL)
    [end] = re.findall(r"(?:[\W_].*)?$", after, re.DOTALL)[:1]
    return start, end


def remove_affixes(names: pd.Index, name: str, before: str, after: str) -> tuple[str, pd.Index]:
    """The line of pandas that removes texts before and after names, and the names after it."""
    method = ""
    if before:
        method += f".str.removeprefix({before!r})"
    if after:
        method += f".str.removesuffix({after!r})"
    return f"{name} = {name}{method}", names.str.removeprefix(before).str.removesuffix(after)


def describe_long_table(table: pd.DataFrame) -> str:
    """The line that makes columns of a table with a row for each cell and measurement, or ""."""
    is_number = np.array([pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes])
    for name in table.columns[~is_number]:
        pairs = pd.MultiIndex.from_arrays([table.index, table[name]])
        n_measurements = table[name].nunique()
        # all pairs of a cell and a measurement would be as many rows
        n_pairs = n_measurements * table.index.nunique()
        if is_number.any() and pairs.is_unique and len(table) >= MAJORITY * n_pairs:
            values = str(table.columns[is_number][-1])
            return f"table.pivot(columns={str(name)!r}, values={values!r})"
    return ""


def describe_leaving_out(table: pd.DataFrame) -> str:
    """The line that leaves out columns with many missing values, and what it keeps."""
    missing = table.isna()
    for fraction in FRACTIONS:
        kept = missing.mean() <= fraction
        is_complete = ~missing.loc[:, kept].any(axis=1)
        if kept.any() and is_complete.mean() >= MAJORITY:
            break
    return (
        f"table.loc[:, table.isna().mean() <= {fraction:g}] keeps {kept.sum()} of "
        f"{len(kept)} columns, which {is_complete.sum()} of {len(table)} cells have"
    )


def describe_header(table: pd.DataFrame) -> str:
    """How to join or leave out a second header, which the first row looks like, or ""."""
    if not len(table):
        return ""
    first = table.iloc[0].astype(object)
    is_word = first.astype(str).str.contains("[^\\W\\d_]") & first.notna()
    others = table.iloc[1:].astype(object).apply(pd.to_numeric, errors="coerce")
    is_header = is_word.to_numpy() & others.notna().any().to_numpy()
    if not is_header.mean() > MAJORITY:
        return ""
    return (
        "; the first row looks like a second header: join both with table = pd.read_csv(path, "
        "header=[0, 1], index_col=0) and table.columns = table.columns.map('_'.join), or leave it "
        "out with pd.read_csv(path, index_col=0, skiprows=[1])"
    )


def describe_text(table: pd.DataFrame) -> str:
    """How to leave out columns of text, and to read numbers that have text among them, or ""."""
    converted = table.astype(object).apply(pd.to_numeric, errors="coerce")
    is_text = converted.isna() & table.notna()
    fraction = is_text.sum() / table.notna().sum()
    of_text = [str(name) for name in table.columns[fraction > MAJORITY]]
    has_text = (fraction > 0) & (fraction <= MAJORITY)
    parts = []
    if of_text:
        keeps_others = len(of_text) > COLUMNS_LISTED and not has_text.any()
        line = "select_dtypes('number')" if keeps_others else f"drop(columns={of_text})"
        parts.append(f"leave the columns of text out with table.{line}")
    if has_text.any():
        mixed = table.loc[:, has_text].to_numpy(object)[is_text.loc[:, has_text].to_numpy()]
        texts = [*dict.fromkeys(map(str, mixed))][:COLUMNS_LISTED]
        names = [str(name) for name in table.columns[has_text]][:COLUMNS_LISTED]
        parts.append(
            f"for the numbers in {', '.join(names)}, read the table with na_values={texts} if "
            'these are missing values, or decimal="," or thousands=","'
        )
    return "".join(f"; {part}" for part in parts)


def has_many_numbers(values: Any) -> bool:
    """Whether these are many columns of numbers, such as counts of guides, and no labels."""
    if not isinstance(values, pd.DataFrame):  # an array, sparse matrix or AnnData
        kind = getattr(getattr(values, "dtype", None), "kind", "f")
        return len(getattr(values, "shape", ())) == 2 and kind in "biuf"
    is_number = [pd.api.types.is_numeric_dtype(dtype) for dtype in values.dtypes]
    return len(is_number) >= LEAST_GUIDES and all(is_number)


def describe_similar(names: Iterable[Any], others: Iterable[Any]) -> str:
    """Say which names differ only in capitals, spaces, punctuation or encoding, or ""."""
    others_by_letters = {_letters(name): str(name) for name in others}
    for name in names:
        other = others_by_letters.get(_letters(name))
        if other is not None and other != str(name):
            return (
                f"; {ascii(str(name))} and {ascii(other)} differ only in capitals, spaces, "
                "punctuation or the encoding of letters"
            )
    return ""


def _letters(name):
    """A name as it would be with one encoding of letters, capitals and punctuation."""
    # accents of macOS are characters of their own, and R replaces - by . in names
    composed = unicodedata.normalize("NFKC", str(name))
    return re.sub(r"[\W_]+", " ", composed.casefold()).strip()
