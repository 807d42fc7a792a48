"""Command-line options for a user's own tables."""

import argparse
import json
import os
import re
import shlex
import tomllib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from sbnn.errors import warn

MANY_GENES = 2000  # with more, genes are preselected
PRESELECTED = 1000
FEWEST_CELLS = 20
#: Kind of data -> module and function that reads it, and arguments that are tables.
READERS = {
    "paired": ("sbnn.data.readers.tables", "read_tables", ("expression", "outputs", "labels")),
    "types": ("sbnn.data.ephys_tables", "read_ephys_table", ("features", "labels")),
    "screen": ("sbnn.data.readers.screens", "read_screen", ("expression", "guides", "targets")),
    "course": ("sbnn.data.readers.course", "read_course", ("expression", "times")),
}
TABLES = {table for _, _, tables in READERS.values() for table in tables}


def at_least_one(text):
    """Parse a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def path(text):
    """Reject an empty path."""
    os.path.relpath(text)
    return text


def number_or_all(text):
    """Parse a whole number of at least 1, or "all"."""
    return text if text == "all" else at_least_one(text)


def of_table(text):
    """Split "outputs=3" or "3" into the table (None for all) and the value."""
    table, equals, value = text.partition("=")
    if equals and table in TABLES:
        return table, value
    return None, text


def row_of_table(text):
    """Like `of_table`, for a whole number."""
    table, row = of_table(text)
    return table, at_least_one(row)


def old_and_new(text):
    """Split "old=new"."""
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
    """Settings for argparse by section and argument."""
    sections = tomllib.loads(file.read_text("utf-8"))
    for arguments in sections.values():
        for about in arguments.values():
            if "type" in about:
                about["type"] = _TYPES[about["type"]]
    return sections


#: Options of all readers ("tables"), of one reader each, and others ("own").
OPTIONS = declared(Path(__file__).with_name("options.toml"))


def _keyword(option, about):
    return about.get("dest", option[2:].replace("-", "_"))


#: Values of keywords, such as ("counts", False), -> options, such as "--log".
SWITCHES = {
    (_keyword(option, about), about["const"]): option
    for section in OPTIONS.values()
    for option, about in section.items()
    if "const" in about
}
#: Arguments in messages -> options that do the same.
PHRASES = {f"{keyword}={value!r}": option for (keyword, value), option in SWITCHES.items()}
PHRASES |= {
    f"{_keyword(option, about)}=": f"{option} "
    for section in OPTIONS.values()
    for option, about in section.items()
    if "const" not in about and _keyword(option, about) not in TABLES
}
PHRASES["overwrite=True"] = "--fresh"


def as_options(text):
    """Rephrase a message for the command line, as in ``--missing 'cells'``."""
    for phrase, option in PHRASES.items():
        text = text.replace(phrase, option)
        if phrase.endswith("="):  # "type_key: no column ..." at the start of a line
            start = re.compile(rf"^(- )?{phrase[:-1]}: ", re.M)
            text = start.sub(rf"\g<1>{option.strip()}: ", text)
    return text


def as_arguments(keywords):
    """Write keywords as options of the command line."""
    words = []
    for keyword, value in keywords.items():
        option = "--" + keyword.replace("_", "-")
        switch = {const: switch for (name, const), switch in SWITCHES.items() if name == keyword}
        if switch and isinstance(value, bool | str):
            words.append(switch[value])
            continue
        values = value if isinstance(value, list | tuple) else [value]
        if isinstance(value, Mapping):
            values = [f"{name}={one}" for name, one in value.items() if one is not None]
        for one in values:
            # -999 would be taken for an option
            words.append(
                f"{option}{'=' if str(one).startswith('-') else ' '}{shlex.quote(str(one))}"
            )
    return " ".join(filter(None, words))


def require_file(name, path):
    """Name a missing file; None is no file."""
    if path is not None and not os.path.exists(os.path.expanduser(path)):
        raise FileNotFoundError(f"{name}: there is no file {path!r}")


def read(kind, options, name, **given):
    """Read tables or a file of ``sbnn read``; print what was understood."""
    from sbnn.data.readers.reading import ReadingError

    module, function, tables = READERS[kind]
    keywords = keywords_of(kind, options) | given | {"name": name}
    files = {name: keywords[name] for name in tables if name in keywords}
    if not files:
        raise ValueError(f"--{tables[0]} is missing; give the table")
    if keywords.keys() == {tables[0], "name"}:
        adata = _as_read_before(files[tables[0]], kind)
        if adata is not None:
            adata.uns["sbnn"]["name"] = keywords["name"]
            return adata
    out = shlex.quote(options.out if hasattr(options, "kind") else f"{name}.h5ad")
    command = f"sbnn read {kind} -o {out} {as_arguments(files)}"
    try:
        adata = getattr(import_module(module), function)(**keywords)
    except ReadingError as error:
        show(error.reading.table(), error.reading.notes)
        choices = error.reading.choices
        text = as_options(error.reading.text_of_problems(as_arguments))
        if all(solved_by for _, solved_by in error.reading.problems):
            text += f"\nthe whole command: {command} {as_arguments(choices)}"
        raise ValueError(text) from error
    about = adata.uns["sbnn"]
    show(about["read"]["table"], about["notes"])
    if "guides" in about:
        from sbnn.data.readers.guides import show_targets

        print(show_targets(about["guides"]))
    choices = as_arguments(json.loads(about["read"]["choices"]))
    print(f"the same with every choice: {command} {choices}")
    return adata


def keywords_of(kind, options):
    """Keywords of a reader that were given as options."""
    keywords = {}
    for section in ("tables", kind):
        for option, about in OPTIONS[section].items():
            keyword = _keyword(option, about)
            value = getattr(options, keyword, None)
            if value in (None, []):
                continue
            if about.get("type") in (of_table, row_of_table):
                value = _by_table(value, READERS[kind][2])
            elif keyword == "rename":
                value = dict(value)
            keywords[keyword] = value
    return keywords


def _by_table(given, tables):
    values = dict(given)
    common = values.pop(None, None)
    return dict.fromkeys(tables, common) | values if values else common


def _as_read_before(file, kind):
    """The AnnData that ``sbnn read`` wrote, or None."""
    if Path(file).suffix.lower() != ".h5ad" or not Path(file).is_file():
        return None
    import anndata

    adata = anndata.read_h5ad(file)
    before = adata.uns.get("sbnn", {}).get("read", {})
    if before.get("kind", kind) != kind:
        raise ValueError(f"{file} was written by `sbnn read {before['kind']}`, not {kind}")
    return adata if before else None


def show(table, notes):
    """Print what was understood of tables."""
    from sbnn.tables import print_table

    if len(table):
        print_table(table.set_index("table").loc[:, lambda facts: (facts != "").any()])
    for note in notes:
        print(f"note: {as_options(note)}")


def write(adata, path):
    """Write as ``.h5ad``, which gets its name once it is complete."""
    path = Path(path)
    # 1 stays 1, not 1.0, beside missing values
    labels = adata.obs.select_dtypes(object).convert_dtypes(convert_string=False).astype(object)
    adata.obs = adata.obs.assign(**labels.where(labels.notna(), "").astype(str))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        adata.write_h5ad(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def warn_of_outputs(adata):
    """Warn of suspicious outputs, if there are outputs."""
    from sbnn.data.diagnose import doubtful_outputs

    if "outputs" in adata.obsm:
        outputs = adata.obsm["outputs"]
        for doubt in doubtful_outputs(outputs.to_numpy(), adata.obs_names, outputs.columns):
            warn(doubt)


def require_enough(adata, columns="genes"):
    """Reject too few cells or genes."""
    if adata.n_obs < FEWEST_CELLS or adata.n_vars < 2:
        size = f"{adata.n_obs} cells x {adata.n_vars} {columns}"
        raise ValueError(f"{size} are too few to fit; at least {FEWEST_CELLS} x 2 are needed")


def preselected(options, n_genes):
    """Number of preselected genes, or None for all."""
    if options.n_genes == "all" or n_genes <= (options.n_genes or MANY_GENES):
        return None
    return options.n_genes or PRESELECTED


def with_groups(adata, column):
    """Leave out cells of unknown group."""
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
