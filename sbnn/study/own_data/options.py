"""Command-line options for a user's own tables, and functions that read these tables."""

import argparse
import os
import re
import warnings
from pathlib import Path

ANNDATA, WORKBOOKS = (".h5ad", ".h5mu"), (".xls", ".xlsx", ".xlsm")
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
    return re.fullmatch(rf"(?:({'|'.join(TABLES)})=)?(.*)", text, re.DOTALL).groups()


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
        "help": "if values are missing: stop, or leave out cells, outputs or whichever loses fewer values",
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
_AS_OPTION = {"overwrite=True": "--fresh"} | {
    f"{about.get('dest', option[2:].replace('-', '_'))}={about['const']}": option
    for option, about in READER.items()
    if "const" in about
}


def as_options(text):
    """Rephrase a message of the reader for the command line: ``missing='cells'`` as ``--missing 'cells'``."""
    for keyword, option in _AS_OPTION.items():
        text = text.replace(keyword, option)
    names = [option[2:].replace("-", "_") for option in READER]
    return re.sub(
        rf"\b({'|'.join(names)})=|\b({'|'.join(name for name in names if '_' in name)})\b",
        lambda found: f"--{(found[1] or found[2]).replace('_', '-')}" + " " * bool(found[1]),
        text,
    )


def require_files(*paths, **named):
    """Raise an error that names the argument if a file does not exist; paths of None are skipped."""
    for name, path in [*(("paths", path) for path in paths), *named.items()]:
        if path is not None and not os.path.exists(os.path.expanduser(path)):
            raise FileNotFoundError(f"{name}: there is no file {path!r}")


def check(options):
    """Raise an error if a required table is missing, before slow packages are imported."""
    # such a file also contains outputs and labels
    alone = Path(options.expression or "").suffix.lower() in ANNDATA
    needed = (
        {}
        if options.groups is None
        else {"labels": f"with the column {options.groups!r} (--groups)"}
    )
    needed = {} if alone else {"outputs": "of the outputs to predict"} | needed
    for name, what in ({"expression": "with the gene expression of your cells"} | needed).items():
        if getattr(options, name) is None:
            raise ValueError(f"--{name} is missing; give the table {what}")
    outputs = None if alone else options.outputs  # for an AnnData file, --outputs may be a key
    files = {"--expression": options.expression, "--outputs": outputs, "--labels": options.labels}
    require_files(**files, **{"--cell-names": options.cell_names})


def load(options):
    """Read the tables given by the options into an AnnData named ``options.name``, without cells of unknown group."""
    from sbnn.data.readers.tables import read_tables

    keywords = {
        name: value
        for name, value in vars(options).items()
        if f"--{name.replace('_', '-')}" in READER
    }
    files = {name: keywords[name] for name in TABLES if keywords[name]}
    for name in ("decimal", "header", "cell_key"):  # one value for all tables, or table -> value
        values = dict(keywords[name])
        common = values.pop(None, None)
        keywords[name] = {**dict.fromkeys(TABLES, common), **values} if values else common
    keywords["rename"] = dict(keywords["rename"])
    sheets = dict(options.sheet)
    for name, file in files.items():
        sheet = sheets.get(
            name, sheets.get(None) if file.lower().removesuffix(".gz").endswith(WORKBOOKS) else None
        )
        keywords[name] = file if sheet is None else (file, sheet)
    if Path(options.expression).suffix.lower() in ANNDATA:
        keywords |= _of_anndata(options)
    source = "the user's tables: " + ", ".join(Path(file).name for file in files.values())
    adata = read_tables(**keywords, name=options.name, source=source)
    about = adata.uns["sbnn"]
    about["notes"] = [as_options(note) for note in about["notes"]]
    return adata if getattr(options, "groups", None) is None else with_groups(adata, options.groups)


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
    left_out = f"{len(names)} of {len(unknown)} cells left out, because their {column!r} is unknown: {some(names)}"
    warnings.warn(left_out, stacklevel=3)
    kept = adata[~unknown]
    kept = kept[:, np.ptp(kept.X, axis=0) > 0].copy()
    kept.uns["sbnn"]["dropped"][f"cells without {column}"] = names
    return kept


def _of_anndata(options):
    """Read the tables of an AnnData or MuData file that are not given as separate files."""
    import anndata

    from sbnn.data.checks import UNKNOWN
    from sbnn.data.objects import gene_modality, with_outputs

    path, outputs = options.expression, options.outputs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ignores warnings about files written by older versions
        if path.endswith(".h5mu"):
            import mudata

            data = mudata.read_h5mu(path)
        else:
            data = anndata.read_h5ad(path)
    adata = gene_modality(data)
    tables = {"expression": adata.to_df("counts" if "counts" in adata.layers else None)}
    if outputs is None or not Path(outputs).is_file():
        tables["outputs"] = with_outputs(data, outputs or "outputs")[1]
    if options.labels is None:
        known = adata.obs.columns.isin([options.type_key, options.family_key]).any()
        tables["labels"] = adata.obs if known else adata.obs.assign(type=UNKNOWN)
    return tables
