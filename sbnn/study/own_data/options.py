"""Options of the command line for a user's own tables, and the data that they ask for."""

import argparse
import re
from pathlib import Path

#: Keywords of the reader as options, where a dash for an underscore does not make one of the other.
OPTIONS = {
    "missing_marks": "--missing-mark",
    "counts=True": "--counts",
    "counts=False": "--log",
    "genes_in_rows=True": "--genes-in-rows",
    "genes_in_rows=False": "--cells-in-rows",
    "(path, sheet), or --sheet on the command line": "--sheet NAME",
    "give another path, or overwrite=True to compute anew": "take another name, or --fresh to compute anew",
    "overwrite=True": "--fresh",
}
#: Keywords of the reader that are options with a dash for the underscore.
KEYWORDS = ["missing", "match", "duplicates", "spike_ins", "decimal", "header", "cell_key", "type_key", "family_key"]
ANNDATA, WORKBOOKS = (".h5ad", ".h5mu"), (".xls", ".xlsx", ".xlsm")
MANY_GENES = 2000  # from so many on they are preselected
PRESELECTED = 1000
TABLES = ("expression", "outputs", "labels")
MODELS = ("groups", "n_genes", "keep")  # options that say what the models are given


def add_options(parser, models=True, keep=True):
    """Add the options to a command.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    models : bool
        Also those that say which cells and genes the models are given.
    keep : bool
        And how many genes the network keeps.
    """
    tables = parser.add_argument_group("tables of your own, cells matched by name")
    add = tables.add_argument
    add("--expression", metavar="FILE", help="genes of the cells: CSV, TSV or Excel, either way round; or .h5ad, .h5mu")
    add(
        "--outputs", metavar="FILE", help="second measurement of the cells; of .h5ad the name in obsm, .h5mu a modality"
    )
    add("--labels", metavar="FILE", help="optional: type, family, donor, ... of the cells")
    add("--sheet", action="append", default=[], metavar="[TABLE=]NAME", help="sheet of a workbook, as outputs=Sheet1")
    kind = tables.add_mutually_exclusive_group()
    kind.add_argument("--counts", action="store_const", const=True, help="the expression is raw counts: normalise it")
    kind.add_argument("--log", dest="counts", action="store_const", const=False, help="it is log values: take it as is")
    way = tables.add_mutually_exclusive_group()
    way.add_argument("--genes-in-rows", action="store_const", const=True, help="by default found out by the names")
    way.add_argument("--cells-in-rows", dest="genes_in_rows", action="store_const", const=False)
    add("--missing", choices=("error", "cells", "outputs", "fewest"), default="error",
        help="where outputs are missing: stop, leave out the cells, the outputs, or what costs least")  # fmt: skip
    add("--missing-mark", action="append", default=[], metavar="TEXT", help="another mark of a missing value")
    each = {"action": "append", "default": []}
    add("--decimal", **each, metavar="[TABLE=]MARK", help="decimal mark, . or ,; by default found out")
    add("--header", **each, metavar="[TABLE=]ROW", help="row of the column names, from 1; by default found out")
    add("--cell-key", **each, metavar="[TABLE=]COLUMN", help="column of the cell names; by default the first")
    add(
        "--match",
        choices=("exact", "loose"),
        default="exact",
        help="loose: names of cells may differ in case, blanks, '-' and '.'",
    )
    add("--duplicates", choices=("error", "sum", "first"), default="error", help="genes that are there twice")
    add("--spike-ins", choices=("leave out", "keep"), default="leave out", help="ERCC and the like")
    add("--type-key", default="type", metavar="COLUMN", help="column of the labels with the type of the cells")
    add("--family-key", default="family", metavar="COLUMN", help="column with the coarser label")
    if not models:
        return
    add("--groups", metavar="COLUMN", help="column of the donor, batch, ...: folds keep its cells together")
    add("--n-genes", type=_number_or_all, metavar="N", help=f"genes given to the models, chosen inside the folds "
        f"({PRESELECTED} by default where there are more than {MANY_GENES}; all: no choice)")  # fmt: skip
    if keep:
        add("--keep", type=at_least_one, metavar="N", help="genes that the network keeps (default: 25)")


def is_asked_for(options):
    """Whether a command is given tables of the user's own; an error if one of those that it takes is missing."""
    given = [f"--{name}" for name in TABLES if getattr(options, name) is not None]
    chosen = [f"--{name.replace('_', '-')}" for name in MODELS if getattr(options, name, None) is not None]
    if chosen and not given:
        raise ValueError(f"{chosen[0]}: it goes with tables of your own, --expression and --outputs")
    if given and options.expression is None:
        raise ValueError(f"{given[0]}: --expression is missing, the table of the genes of the cells")
    if given and options.outputs is None and Path(options.expression).suffix not in ANNDATA:
        raise ValueError("--expression: --outputs is missing, the table of the second measurement of the cells")
    return bool(given)


def load(options):
    """Read the tables that the options name.

    Parameters
    ----------
    options : argparse.Namespace
        With the attributes of `add_options`, and ``dataset``, the name of the data.

    Returns
    -------
    PairedData
        Without the cells of which no group is known, where there are groups.

    Raises
    ------
    OSError, ImportError, ValueError, KeyError, TypeError
        As `PairedData.from_tables`; an entry that a file of AnnData does not hold.
    """
    try:
        data = _load(options)
        data.uns["sbnn"]["notes"] = [as_options(note) for note in data.uns["sbnn"]["notes"]]
    except ValueError as error:
        raise ValueError(as_options(str(error))) from error
    column = getattr(options, "groups", None)
    return data if column is None else with_groups(data, column)


def as_options(text):
    """A message of the reader for the command line: its keywords as options.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        Such as ``--missing cells`` for ``missing='cells'``.
    """
    for keyword, option in OPTIONS.items():
        text = text.replace(keyword, option)
    text = re.sub(rf"\b({'|'.join(KEYWORDS)})=(?:'([^']*)'|([0-9]+\b|<[^>]*>))", _as_option, text)
    return re.sub(r"\b(?:cell|type|family)_key\b", lambda name: f"--{name[0].replace('_', '-')}", text)


def _as_option(found):
    name, quoted, plain = found.groups()
    value = plain or (f"'{quoted}'" if " " in quoted else quoted)
    return f"--{name.replace('_', '-')} {value}"


def _load(options):
    from sbnn.data.paired import paired
    from sbnn.data.readers.tables import read_tables

    workbooks = [name for name in TABLES if str(getattr(options, name)).lower().endswith(WORKBOOKS)]
    sheets = _by_table("--sheet", options.sheet, workbooks)
    given = {name: getattr(options, name) for name in TABLES}
    tables = dict(given)
    tables |= {name: (tables[name], sheet) for name, sheet in sheets.items()}
    if Path(options.expression).suffix.lower() in ANNDATA:
        tables |= _of_anndata(options)
    taken = read_tables(
        *tables.values(),
        counts=options.counts,
        genes_in_rows=options.genes_in_rows,
        missing=options.missing,
        missing_marks=options.missing_mark,
        decimal=_by_table("--decimal", options.decimal),
        header={table: _row(text) for table, text in _by_table("--header", options.header).items()},
        cell_key=_one_or_by_table("--cell-key", options.cell_key),
        match=options.match,
        duplicates=options.duplicates,
        spike_ins=options.spike_ins,
        type_key=options.type_key,
        family_key=options.family_key,
        name=options.dataset,
        source="the user's tables: " + ", ".join(Path(path).name for path in given.values() if path),
    )
    return paired(**taken)


def preselected(options, data):
    """Number of genes that the models are given, None for all of them."""
    if options.n_genes == "all" or data.n_genes <= (options.n_genes or MANY_GENES):
        return None
    return options.n_genes or PRESELECTED


def with_groups(data, column):
    """Leave out the cells of which the group is not known, with a warning.

    Parameters
    ----------
    data : PairedData
    column : str
        Of ``data.labels``.

    Returns
    -------
    PairedData

    Raises
    ------
    KeyError
        If there is no such column; the message names those that there are.
    ValueError
        If no cell has a group.
    """
    import warnings

    import numpy as np

    from sbnn.data.checks import some
    from sbnn.data.labels import UNKNOWN

    if column not in data.obs:
        raise KeyError(f"groups: the labels have no column {column!r}; they have {', '.join(map(str, data.obs))}")
    values = data.obs[column]
    unknown = (values.isna() | values.isin([UNKNOWN, ""])).to_numpy()
    if not unknown.any():
        return data
    if unknown.all():
        raise ValueError(f"groups: {column!r} is not known of any cell")
    names = data.obs_names[unknown]
    warnings.warn(
        f"{unknown.sum()} of {data.n_obs} cells have no {column!r} and are left out: {some(names)}", stacklevel=3
    )
    kept = data[~unknown]
    kept = kept[:, np.ptp(kept.X, axis=0) > 0].copy()
    kept.uns["sbnn"]["dropped"] |= {f"cells without {column}": list(names)}
    return kept


def _of_anndata(options):
    """Tables of a file of AnnData or MuData, as far as they are not files of their own."""
    import warnings

    import anndata

    from sbnn.data.labels import UNKNOWN
    from sbnn.data.objects import entry, obsm_table

    path, outputs = options.expression, options.outputs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about files that older versions have written
        if path.endswith(".h5mu"):
            import mudata

            modalities = mudata.read_h5mu(path).mod
            adata = entry(modalities, "rna", f"the modalities of {path}")
        else:
            modalities, adata = {}, anndata.read_h5ad(path)
    expression = adata.to_df("counts" if "counts" in adata.layers else None)
    tables = {"expression": expression}
    if outputs in modalities:
        tables["outputs"] = modalities[outputs].to_df()
    elif outputs is None or not Path(outputs).is_file():
        tables["outputs"] = obsm_table(adata, outputs or "outputs")
    if options.labels is None:
        kinds = [options.type_key, options.family_key]
        tables["labels"] = adata.obs if adata.obs.columns.isin(kinds).any() else adata.obs.assign(type=UNKNOWN)
    return tables


def _by_table(option, given, tables=TABLES):
    """Table -> value, of an option that is given as ``table=value``, or as a value for all `tables`."""
    values = {name: value for value in given if "=" not in value for name in tables}
    for text in given:
        table, named, value = text.partition("=")
        if named and table not in TABLES:
            raise ValueError(f"{option}: expected a table, one of {', '.join(TABLES)}, before the '=', got {text!r}")
        if named:
            values[table] = value
    return values


def _one_or_by_table(option, given):
    """A value without a table as it is: it holds for those tables that it fits."""
    return given[0] if len(given) == 1 and "=" not in given[0] else _by_table(option, given)


def _row(text):
    if not text.isdecimal():
        raise ValueError(f"--header: expected the number of a row, counted from 1, got {text!r}")
    return int(text)


def at_least_one(text):
    """A whole number of an option, 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def _number_or_all(text):
    return text if text == "all" else at_least_one(text)
