"""Command-line options for a user's own tables, and functions that read these tables."""

import argparse
import os
import warnings
from pathlib import Path

from sbnn.errors import warn

ANNDATA = (".h5ad", ".h5mu")
WORKBOOKS = (".xls", ".xlsx", ".xlsm")
MANY_GENES = 2000  # with more genes than this, genes are preselected
PRESELECTED = 1000
TABLES = ("expression", "outputs", "labels")


def at_least_one(text):
    """Parse a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def path(text):
    """Check that the path given for an option is not empty."""
    os.path.relpath(text)
    return text


def _number_or_all(text):
    return text if text == "all" else at_least_one(text)


def _of_table(text):
    """Split "outputs=3" or "3" into the name of the table (None for all tables) and the value."""
    table, equals, value = text.partition("=")
    if equals and table in TABLES:
        return table, value
    return None, text


def _old_and_new(text):
    """Split "old=new" into the two names."""
    old, equals, new = text.partition("=")
    if not (old and new):
        raise argparse.ArgumentTypeError(f"expected OLD=NEW, got {text!r}")
    return old, new


def _row_of_table(text):
    table, row = _of_table(text)
    return table, at_least_one(row)


_EACH = {"action": "append", "default": [], "type": _of_table}
#: Options for the keywords of `read_tables`, with their settings for argparse.
READER = {
    "--expression": {
        "metavar": "FILE",
        "help": "expression of the cells: CSV, TSV, Excel, .h5ad or .h5mu",
    },
    "--outputs": {
        "metavar": "FILE",
        "help": "second measurement: a file, or a key of obsm (.h5ad) or mod (.h5mu)",
    },
    "--labels": {"metavar": "FILE", "help": "table with the type, family, donor, ... of each cell"},
    "--counts": {
        "action": "store_const",
        "const": True,
        "help": "expression values are raw counts",
    },
    "--log": {
        "dest": "counts",
        "action": "store_const",
        "const": False,
        "help": "expression values are logarithms",
    },
    "--genes-in-rows": {
        "action": "store_const",
        "const": True,
        "help": "each row is a gene (detected by default)",
    },
    "--cells-in-rows": {
        "dest": "genes_in_rows",
        "action": "store_const",
        "const": False,
        "help": "each row is a cell",
    },
    "--missing": {
        "choices": ("error", "cells", "outputs", "fewest"),
        "default": "error",
        "help": "if values are missing: stop, or leave out cells, outputs or whichever loses fewer "
        "values",
    },
    "--missing-marks": {
        "action": "append",
        "default": [],
        "metavar": "TEXT",
        "help": "a text that means missing",
    },
    "--decimal": {
        **_EACH,
        "metavar": "[TABLE=]MARK",
        "help": "decimal mark, '.' or ',' (detected by default)",
    },
    "--header": {
        **_EACH,
        "type": _row_of_table,
        "metavar": "[TABLE=]ROW",
        "help": "number of the header row, from 1",
    },
    "--cell-key": {
        **_EACH,
        "metavar": "[TABLE=]COLUMN",
        "help": "column with the cell names (default: first)",
    },
    "--match": {
        "choices": ("exact", "loose"),
        "default": "exact",
        "help": "loose: ignore case, blanks, '-' and '.' in cell names",
    },
    "--duplicates": {
        "choices": ("error", "sum", "first"),
        "default": "error",
        "help": "how to handle repeated genes",
    },
    "--spike-ins": {
        "choices": ("leave out", "keep"),
        "default": "leave out",
        "help": "spike-ins such as ERCC",
    },
    "--drop-columns": {
        "action": "append",
        "default": [],
        "metavar": "COLUMN",
        "help": "column to leave out",
    },
    "--rename": {**_EACH, "type": _old_and_new, "metavar": "OLD=NEW", "help": "rename a column"},
    "--cell-names": {
        "metavar": "FILE",
        "help": "table that pairs cell names in the outputs and in the expression",
    },
    "--type-key": {
        "default": "type",
        "metavar": "COLUMN",
        "help": "column of --labels with the type of the cell",
    },
    "--family-key": {
        "default": "family",
        "metavar": "COLUMN",
        "help": "column of --labels with the coarser type",
    },
}
OWN = READER | {
    "--sheet": {**_EACH, "metavar": "[TABLE=]NAME", "help": "sheet of a workbook"},
    "--groups": {
        "metavar": "COLUMN",
        "help": "column of --labels with the donor, ...; folds hold out whole groups",
    },
    "--n-genes": {
        "type": _number_or_all,
        "metavar": "N",
        "help": f"number of genes to preselect in each fold, or all "
        f"(default: {PRESELECTED} if there are more than {MANY_GENES} genes, otherwise all)",
    },
    "--keep": {
        "type": at_least_one,
        "metavar": "N",
        "help": "number of genes that the network keeps (default: 25)",
    },
}


def as_options(text):
    """Rephrase a message of the reader for the command line, as in ``--missing 'cells'``."""
    text = text.replace("overwrite=True", "--fresh")
    for option, about in READER.items():
        if "const" in about:
            name = about.get("dest", option[2:].replace("-", "_"))
            text = text.replace(f"{name}={about['const']}", option)
    for option in READER:
        name = option[2:].replace("-", "_")
        text = text.replace(f"{name}=", f"{option} ")
        if "_" in name:
            text = text.replace(name, option)
    return text


def require_files(*paths, **named):
    """Raise an error that names the argument of a missing file; paths of None are skipped."""
    for name, path in [*(("paths", path) for path in paths), *named.items()]:
        if path is not None and not os.path.exists(os.path.expanduser(path)):
            raise FileNotFoundError(f"{name}: there is no file {path!r}")


def check(options):
    """Raise an error if a required table is missing, before slow packages are imported."""
    needed = {"expression": "with the gene expression of your cells"}
    outputs = None
    if not _is_anndata(options.expression or ""):  # which also contains outputs and labels
        outputs = options.outputs
        needed["outputs"] = "of the outputs to predict"
        if options.groups is not None:
            needed["labels"] = f"with the column {options.groups!r} (--groups)"
    for name, what in needed.items():
        if getattr(options, name) is None:
            raise ValueError(f"--{name} is missing; give the table {what}")
    files = {"--expression": options.expression, "--outputs": outputs, "--labels": options.labels}
    require_files(**files, **{"--cell-names": options.cell_names})


def _is_anndata(path):
    return Path(path).suffix.lower() in ANNDATA


def load(options):
    """Read the user's tables into an AnnData, without cells of unknown group."""
    from sbnn.data.readers.tables import read_tables

    keywords = {}
    for name, value in vars(options).items():
        if f"--{name.replace('_', '-')}" in READER:
            keywords[name] = value
    for name in ("decimal", "header", "cell_key"):
        keywords[name] = _by_table(keywords[name])
    keywords["rename"] = dict(keywords["rename"])
    files = {name: keywords[name] for name in TABLES if keywords[name]}
    for name, file in files.items():
        sheet = _sheet_of(name, file, dict(options.sheet))
        if sheet is not None:
            keywords[name] = file, sheet
    if _is_anndata(options.expression):
        keywords |= _of_anndata(options)
    source = "the user's tables: " + ", ".join(Path(file).name for file in files.values())
    adata = read_tables(**keywords, name=options.name, source=source)
    about = adata.uns["sbnn"]
    about["notes"] = [as_options(note) for note in about["notes"]]
    if getattr(options, "groups", None) is None:
        return adata
    return with_groups(adata, options.groups)


def _by_table(given):
    """Value for all tables or dict of table to value, from pairs; None stands for all tables."""
    values = dict(given)
    common = values.pop(None, None)
    if not values:
        return common
    return {table: values.get(table, common) for table in TABLES}


def _sheet_of(table, file, sheets):
    """Sheet of a table; a sheet that is given for all tables is for workbooks only."""
    if table in sheets:
        return sheets[table]
    if file.lower().removesuffix(".gz").endswith(WORKBOOKS):
        return sheets.get(None)
    return None


def preselected(options, n_genes):
    """Number of preselected genes, or None if all genes are used."""
    if options.n_genes == "all" or n_genes <= (options.n_genes or MANY_GENES):
        return None
    return options.n_genes or PRESELECTED


def with_groups(adata, column):
    """Leave out cells of unknown group, with a warning."""
    import numpy as np

    from sbnn.data.checks import UNKNOWN, some
    from sbnn.data.objects import entry

    groups = entry(adata.obs, column, "the labels")
    unknown = (groups.isna() | groups.isin([UNKNOWN, ""])).to_numpy()
    if not unknown.any():
        return adata
    if unknown.all():
        raise ValueError(f"--groups: the column {column!r} is unknown or empty for all cells")
    names = list(adata.obs_names[unknown])
    warn(
        f"{len(names)} of {len(unknown)} cells left out, because their {column!r} is unknown: "
        f"{some(names)}"
    )
    kept = adata[~unknown]
    kept = kept[:, np.ptp(kept.X, axis=0) > 0].copy()
    kept.uns["sbnn"]["dropped"][f"cells without {column}"] = names
    return kept


def _of_anndata(options):
    """Read the tables of an AnnData or MuData file that are not given as separate files."""
    import anndata

    from sbnn.data.checks import UNKNOWN
    from sbnn.data.objects import gene_modality, with_outputs

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ignores warnings about files written by older versions
        if options.expression.endswith(".h5mu"):
            import mudata

            data = mudata.read_h5mu(options.expression)
        else:
            data = anndata.read_h5ad(options.expression)
    adata = gene_modality(data)
    tables = {"expression": adata.to_df("counts" if "counts" in adata.layers else None)}
    if options.outputs is None or not Path(options.outputs).is_file():
        _, tables["outputs"], _ = with_outputs(data, options.outputs or "outputs")
    if options.labels is None:
        tables["labels"] = adata.obs
        if not adata.obs.columns.isin([options.type_key, options.family_key]).any():
            tables["labels"] = adata.obs.assign(type=UNKNOWN)
    return tables
