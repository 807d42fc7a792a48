"""Command-line options for a user's own tables, and functions that read these tables."""

import argparse
import os
import tomllib
from pathlib import Path

from sbnn.errors import require, warn

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


def number_or_all(text):
    """Parse a whole number of at least 1, or "all"."""
    return text if text == "all" else at_least_one(text)


def of_table(text):
    """Split "outputs=3" or "3" into the name of the table (None for all tables) and the value."""
    table, equals, value = text.partition("=")
    if equals and table in TABLES:
        return table, value
    return None, text


def row_of_table(text):
    """Like `of_table`, with a whole number as the value."""
    table, row = of_table(text)
    return table, at_least_one(row)


def old_and_new(text):
    """Split "old=new" into the two names."""
    old, _, new = text.partition("=")
    if not (old and new):
        raise argparse.ArgumentTypeError(f"expected OLD=NEW, got {text!r}")
    return old, new


_TYPES = {"float": float}
_TYPES |= {
    parse.__name__: parse
    for parse in (at_least_one, path, number_or_all, of_table, row_of_table, old_and_new)
}


def declared(file):
    """Settings for argparse by section and argument, from a TOML file."""
    sections = tomllib.loads(file.read_text("utf-8"))
    for arguments in sections.values():
        for about in arguments.values():
            if "type" in about:
                about["type"] = _TYPES[about["type"]]
    return sections


_OPTIONS = declared(Path(__file__).with_name("options.toml"))
#: Options for the keywords of `read_tables`, and these keywords.
READER = _OPTIONS["reader"]
KEYWORDS = {name: about.get("dest", name[2:].replace("-", "_")) for name, about in READER.items()}
OWN = READER | _OPTIONS["own"]


#: Arguments in messages of Python -> options that do the same.
PHRASES = {
    "overwrite=True": "--fresh",
    "counts=True": "--counts",
    "counts=False": "--log",
    "genes_in_rows=True": "--genes-in-rows",
    "genes_in_rows=False": "--cells-in-rows",
}
PHRASES |= {f"{keyword}=": f"{option} " for option, keyword in KEYWORDS.items()}


def as_options(text):
    """Rephrase a message of the reader for the command line, as in ``--missing 'cells'``."""
    for phrase, option in PHRASES.items():
        text = text.replace(phrase, option)
    return text


def require_file(name, path):
    """Raise an error that names the argument of a missing file; None is no file."""
    if path is not None and not os.path.exists(os.path.expanduser(path)):
        raise FileNotFoundError(f"{name}: there is no file {path!r}")


def check(options):
    """Raise an error if a table is missing, before slow packages are imported."""
    if not _is_anndata(options.expression):  # which also contains outputs
        if options.outputs is None:
            raise ValueError("--outputs is missing; give the table of the outputs to predict")
        require_file("--outputs", options.outputs)


def _is_anndata(path):
    return Path(path).suffix.lower() in ANNDATA


def load(options):
    """Read the user's tables into an AnnData, without cells of unknown group."""
    from sbnn.data.readers.tables import read_tables

    keywords = {name: vars(options)[name] for name in KEYWORDS.values()}
    for name in ("decimal", "header", "cell_key"):
        keywords[name] = _by_table(keywords[name])
    keywords["rename"] = dict(keywords["rename"])
    sheets = dict(options.sheet)
    files = {name: keywords[name] for name in TABLES if keywords[name]}
    for name, file in files.items():
        # a sheet that is given for all tables is for workbooks only
        is_workbook = file.lower().removesuffix(".gz").endswith(WORKBOOKS)
        sheet = sheets.get(name, sheets.get(None) if is_workbook else None)
        if sheet is not None:
            keywords[name] = file, sheet
    if _is_anndata(options.expression):
        keywords |= _of_anndata(options)
    source = "the user's tables: " + ", ".join(Path(file).name for file in files.values())
    adata = read_tables(**keywords, name=options.name, source=source)
    about = adata.uns["sbnn"]
    about["notes"] = [as_options(note) for note in about["notes"]]
    return adata if options.groups is None else with_groups(adata, options.groups)


def _by_table(given):
    """Value for all tables or dict of table to value, from pairs; None stands for all tables."""
    values = dict(given)
    common = values.pop(None, None)
    return dict.fromkeys(TABLES, common) | values if values else common


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
    left_out = f"{len(names)} of {len(unknown)} cells left out"
    warn(f"{left_out}, because their {column!r} is unknown: {some(names)}")
    kept = adata[~unknown]
    kept = kept[:, np.ptp(kept.X, axis=0) > 0].copy()
    kept.uns["sbnn"]["dropped"][f"cells without {column}"] = names
    return kept


def _of_anndata(options):
    """Read the tables of an AnnData or MuData file that are not given as separate files."""
    import anndata

    from sbnn.data.checks import UNKNOWN
    from sbnn.data.objects import gene_modality, with_outputs

    if options.expression.lower().endswith(".h5mu"):
        require("mudata")
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
