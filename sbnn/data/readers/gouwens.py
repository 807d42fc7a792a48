"""The Gouwens et al. mouse visual cortex Patch-seq data as released with its preprocessed expression (a `.mat` file).

Integrated morphoelectric and transcriptomic classification of cortical GABAergic cells, Cell 183, 935 (2020), in the
release of github.com/AllenInstitute/coupledAE-patchseq. The choices of cells and features are those of Bernaerts,
Berens & Kobak (arXiv 2006.10411).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import loadmat, whosmat

from sbnn.data.checks import some
from sbnn.data.fingerprint import fingerprint_files
from sbnn.data.paired import PairedData

SOURCE = "Gouwens et al., Cell 183, 935 (2020); release of github.com/AllenInstitute/coupledAE-patchseq"

#: Features left out: one cell lies far outside of the others, or another feature says nearly the same.
EXCLUDED_FEATURES = (
    "spc0 spk. fast trough v",
    "long sq. stim. amp.",
    "spc1 step subthr.",
    "spc1 subthr. norm",
    "long sq. AP1 up-down ratio",
    "long sq. AP1 peak v",
    "long sq. AP1 threshold v",
    "long sq. AP1 width",
    "short sq. AP1 width",
    "spc1 inst. freq.",
    "spc3 inst. freq.",
    "long sq. AP1 downstroke",
    "spc2 inst. freq.",
)

_NAMES = ("gene_id", "sample_id", "pc_name", "feature_name", "cluster", "cluster_color")
_MATRICES = {
    "T_dat": ("sample_id", "gene_id"),
    "E_pc_scaled": ("sample_id", "pc_name"),
    "E_feature": ("sample_id", "feature_name"),
}
_EXTRA_LABELS = {"map_conf": "type_confidence", "T_spec_id_label": "specimen"}


def read_gouwens(mat_path, names_path, files: dict[str, str] | None = None) -> PairedData:
    """Read the released expression and electrophysiology.

    Parameters
    ----------
    mat_path : path-like
        MATLAB v5 file with ``T_dat`` (cells x genes, log expression), ``E_pc_scaled`` (cells x 44 sparse principal
        components of the responses), ``E_feature`` (cells x 24 features, z-scored and clipped to +-6), the names
        ``gene_id``, ``pc_name``, ``feature_name`` and ``sample_id``, and of each cell ``cluster`` and
        ``cluster_color``.
    names_path : path-like
        ``E_names.json``: name in the file -> short name of an output.
    files : dict of str to str, optional
        Name -> sha256 of the two files, for the fingerprint.

    Returns
    -------
    PairedData
        `X` the log expression, `Y` the components and features side by side without `EXCLUDED_FEATURES`, in the units
        of the release; neither z-scored here. Cells with a missing output are left out, in the order of the file.
        `family` is the first word of the type (``"Sst"``, ``"Vip"`` ...). In the published file 3395 of 3411 cells,
        1252 genes and 55 of 68 outputs.

    Raises
    ------
    FileNotFoundError
    ValueError
        A file that is not MATLAB v5, lacks a field (the message lists those there are), holds a matrix whose shape does
        not fit the names, an output without a short name, or two colours for one type.
    """
    content = _load_mat(mat_path)
    names = {field: _texts(content[field]) for field in _NAMES}
    for field in ("cluster", "cluster_color"):
        if len(names[field]) != len(names["sample_id"]):
            raise ValueError(
                f"{mat_path}: {field} has {len(names[field])} entries, expected {len(names['sample_id'])}, one for "
                f"each cell of sample_id"
            )
    expression, components, features = (_matrix(content, field, names, mat_path) for field in _MATRICES)

    outputs = pd.DataFrame(
        np.hstack([components, features]), index=names["sample_id"], columns=_short_names(names, names_path)
    )
    absent = [feature for feature in EXCLUDED_FEATURES if feature not in outputs]
    if absent:
        raise ValueError(f"{mat_path} lacks output(s) that are known to be in it: {some(absent)}")
    complete = outputs.notna().all(axis=1).to_numpy()
    outputs = outputs.drop(columns=list(EXCLUDED_FEATURES))

    labels = pd.DataFrame({"type": names["cluster"]}, index=outputs.index)
    labels["family"] = labels["type"].str.split(" ").str[0]
    for field, label in _EXTRA_LABELS.items():
        if np.size(content.get(field)) == len(labels):
            labels[label] = np.ravel(content[field])
    return PairedData(
        X=expression[complete],
        Y=outputs[complete].to_numpy(),
        gene_names=names["gene_id"],
        feature_names=outputs.columns,
        cell_names=outputs.index[complete],
        labels=labels[complete],
        colors=_colors(names, mat_path),
        dropped={"missing output": list(outputs.index[~complete])},
        name="gouwens",
        source=f"{SOURCE}; cells and features as selected in github.com/berenslab/sBNN",
        sha256=fingerprint_files(files) if files else "",
        files=files or {},
    )


def _load_mat(path) -> dict[str, np.ndarray]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"mat_path: no file {str(path)!r}")
    try:
        fields = [field for field, _, _ in whosmat(path)]
        missing = [field for field in (*_MATRICES, *_NAMES) if field not in fields]
        if missing:
            raise KeyError(f"lacks the field(s) {missing}; it has {sorted(fields)}")
        return loadmat(path, squeeze_me=True)
    except KeyError as error:
        raise ValueError(f"{path} {error.args[0]}") from None
    except Exception as error:  # scipy raises nearly anything on bytes that are no MATLAB file
        raise ValueError(f"{path} is not a complete MATLAB v5 file: {error}") from error


def _texts(values) -> list[str]:
    """Names out of a cell array of strings or a padded array of characters, of whatever orientation."""
    return [str(np.squeeze(value)).strip() if np.size(value) else "" for value in np.ravel(values)]


def _matrix(content, field, names, path) -> np.ndarray:
    rows, columns = (len(names[axis]) for axis in _MATRICES[field])
    if np.shape(content[field]) != (rows, columns):
        raise ValueError(
            f"{path}: {field} has shape {np.shape(content[field])}, expected {(rows, columns)}: "
            f"{' x '.join(_MATRICES[field])}"
        )
    return np.asarray(content[field], dtype=np.float64)


def _short_names(names, path) -> list[str]:
    short = json.loads(Path(path).read_text(encoding="utf-8"))
    raw = names["pc_name"] + names["feature_name"]
    unknown = [name for name in raw if name not in short]
    if unknown:
        raise ValueError(f"{path} has no short name for {len(unknown)} output(s): {some(unknown)}")
    return [short[name] for name in raw]


def _colors(names, path) -> dict[str, str]:
    pairs = set(zip(names["cluster"], names["cluster_color"], strict=True))
    colors = dict(sorted(pairs))
    if len(colors) < len(pairs):
        several = sorted({name for name, color in pairs if colors[name] != color})
        raise ValueError(f"{path}: type(s) with more than one colour in cluster_color: {some(several)}")
    return colors
