"""Electrophysiological features and transcriptomic types of Patch-seq neurons: mouse visual cortex and human cortex.

- Mouse: Gouwens et al., Integrated morphoelectric and transcriptomic classification of cortical GABAergic cells, Cell
  183, 935 (2020); recordings DANDI 000020.
- Human: Lee, Dalley et al., Signature morphoelectric properties of diverse GABAergic interneurons in the human
  neocortex, Science 382, eadf6484 (2023); recordings DANDI 000636.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.data.checks import some
from sbnn.data.ephys_features import EphysFeatures
from sbnn.data.ephys_units import feature_table
from sbnn.data.fingerprint import fingerprint_files
from sbnn.data.readers.counts import require_unique

MOUSE_SOURCE = "Gouwens et al., Cell 183, 935 (2020), DANDI 000020; IPFX features of github.com/daifengwanglab/scMNC"
HUMAN_SOURCE = "Lee, Dalley et al., Science 382, eadf6484 (2023); github.com/AllenInstitute/human_patchseq_gaba"

#: The four classes that both species have, in the order in which tables list them.
CLASSES = ("LAMP5", "PVALB", "SST", "VIP")

#: First word of a mouse t-type -> class. Sncg cells are related to Vip cells and too few in human to stand alone.
MOUSE_CLASSES = {"Lamp5": "LAMP5", "Pvalb": "PVALB", "Sst": "SST", "Vip": "VIP", "Sncg": "VIP"}
#: Revised subclass of a human cell -> class.
HUMAN_CLASSES = {"LAMP5/PAX6/Other": "LAMP5", "PVALB": "PVALB", "SST": "SST", "VIP": "VIP"}

_MOUSE_COLUMNS = {
    "T-type Label": "t_type",
    "MET-type Label": "met_type",
    "donor_id": "donor",
    "biological_sex": "sex",
    "full_genotype": "genotype",
    "cell_soma_normalized_depth": "soma_depth",
    "transcriptomics_batch": "batch",
    "ephys_session_id": "session",
}
_HUMAN_COLUMNS = {
    "subclass_label": "subclass_unrevised",
    "Transcriptomic_type": "t_type",
    "Donor": "donor",
    "condition": "condition",
    "condition2": "condition2",
    "Days_In_culture": "days_in_culture",
    "Virus": "virus",
    "Cortical_layer": "layer",
    "structure": "area",
    "lobe": "lobe",
    "disease_category": "disease",
    "Genes_Detected": "genes_detected",
}


def read_gouwens_ephys(features_path, metadata_path, files: dict[str, str] | None = None) -> EphysFeatures:
    """Read the IPFX features and the types of the mouse cells.

    Parameters
    ----------
    features_path : path-like
        ``ipfx_features.csv``: recordings x 47 IPFX features, and the name of the recording (``..._ses-<number>_...``)
        in the column ``ID``.
    metadata_path : path-like
        ``20200711_patchseq_metadata_mouse.csv``: one row for each ``ephys_session_id``.
    files : dict of str to str, optional
        Name -> sha256 of the two files, for the fingerprint.

    Returns
    -------
    EphysFeatures
        Cells named by specimen, in the order of the recordings; 45 features in 7 families, without the two numbers of
        sweeps, which are book-keeping. `tau` and `avg_isi` are in ms, other times in s: `latency` from the onset of the
        step, those of the parts of a spike (``*_t_*``) from the beginning of the sweep. Half of the values of
        ``slow_trough_*`` and more (up to 99 %) are missing.

        Of 4435 recordings 4270 have a t-type and 4221 one of the five subclasses below (47 Serpinf1, one Meis2 and one
        L2/3 cell are left out). Six of those (2 Lamp5, 2 Sncg, 1 Sst, 1 Vip) have not one measured feature and are left
        out too: 4215 cells of 982 mice.

        Labels: `type` (LAMP5 475, PVALB 888, SST 1823, VIP 1029), `type5` (the same with SNCG 233 apart from VIP 796),
        `subclass` (first word of the t-type), `t_type`, `met_type`, `donor`, `sex`, `age_days`, `area` and `layer`,
        `genotype` and its driver lines `cre`, `soma_depth` (share of the cortex, known of few), `batch`, `session`.
        The driver line was chosen to find cells of a type: it foretells the type, and is no feature.

    Raises
    ------
    FileNotFoundError
    ValueError
        A column that is not there, a recording without a session or in no row of the metadata, sessions or specimens
        that are repeated.
    """
    table = _read(features_path, "features_path")
    metadata = _read(metadata_path, "metadata_path")
    about = feature_table("gouwens_2020")
    _require(table, ["ID", *about.index], features_path)
    _require(metadata, ["cell_specimen_id", "structure", "age", *_MOUSE_COLUMNS], metadata_path)
    session = table["ID"].astype(str).str.extract(r"ses-(\d+)", expand=False)
    if session.isna().any():
        raise ValueError(
            f"{features_path}: no session (ses-<number>) in the ID {table['ID'][session.isna()].iloc[0]!r}"
        )
    require_unique(pd.Index(session), f"{features_path}: sessions")
    metadata = _rows_of(session, metadata, "ephys_session_id", metadata_path, "session")
    cells = pd.Index(_texts(metadata["cell_specimen_id"]))
    require_unique(cells, f"{metadata_path}: cell_specimen_id")

    labels = _renamed(metadata, _MOUSE_COLUMNS).set_axis(cells, axis=0)
    labels["t_type"] = labels["t_type"].fillna("").str.strip()
    labels["met_type"] = labels["met_type"].replace("NULL", np.nan).fillna("")
    labels.insert(0, "subclass", labels["t_type"].str.split(" ").str[0])
    labels.insert(0, "type5", labels["subclass"].map(MOUSE_CLASSES | {"Sncg": "SNCG"}))
    labels.insert(0, "type", labels["subclass"].map(MOUSE_CLASSES))
    area = metadata["structure"].astype(str).str.extract(r"^(\D*)(\d.*)?$").set_axis(cells, axis=0)
    labels["area"], labels["layer"] = area[0], area[1].fillna("")
    labels["age_days"] = pd.to_numeric(metadata["age"].astype(str).str.lstrip("P"), errors="coerce").to_numpy()
    labels["cre"] = labels["genotype"].map(_driver_lines)
    reasons = {
        "no t-type": labels["subclass"] == "",
        "subclass other than Lamp5, Pvalb, Sst, Vip and Sncg": labels["type"].isna(),
    }
    return _chosen("gouwens_ephys", MOUSE_SOURCE, table, about, labels, reasons, files)


def read_lee_human(features_path, metadata_path, files: dict[str, str] | None = None) -> EphysFeatures:
    """Read the IPFX features and the types of the human cells.

    Parameters
    ----------
    features_path : path-like
        ``LeeDalley_ephys_fx.csv``: cells x 93 features, and ``specimen_id``.
    metadata_path : path-like
        ``LeeDalley_manuscript_metadata.csv``: one row for each ``specimen_id``.
    files : dict of str to str, optional
        Name -> sha256 of the two files, for the fingerprint.

    Returns
    -------
    EphysFeatures
        Cells named by specimen, in the order of the features; 93 features in 11 families. Of 704 cells one PVALB and
        one SST cell without a single measured feature are left out: 702 cells of 109 donors. But 14 cells have a
        missing value, and the chirp was run in 44 % of the cells only.

        Labels: `type`, after the revised subclass (LAMP5 67, which holds LAMP5/PAX6/Other, PVALB 369, SST 155, VIP
        111), `subclass` and `subclass_unrevised`, `t_type`, `donor`, `condition` (acute or culture), `condition2`
        (with ``_microglial`` where those genes were expressed), `days_in_culture`, `virus` (``"none"`` where none is
        given: the acute cells and two others), `layer`, `area`, `lobe`, `disease`, `genes_detected`. Condition and
        virus were not spread evenly over the types.

    Raises
    ------
    FileNotFoundError
    ValueError
        A column that is not there, a cell in no row of the metadata, repeated cells, a subclass that is not known.
    """
    table = _read(features_path, "features_path")
    metadata = _read(metadata_path, "metadata_path")
    about = feature_table("lee_2023")
    _require(table, ["specimen_id", *about.index], features_path)
    _require(metadata, ["specimen_id", "Revised_subclass_label", *_HUMAN_COLUMNS], metadata_path)
    cells = pd.Index(_texts(table["specimen_id"]))
    require_unique(cells, f"{features_path}: specimen_id")
    metadata = _rows_of(cells, metadata, "specimen_id", metadata_path, "specimen")

    labels = _renamed(metadata, _HUMAN_COLUMNS)
    labels["virus"] = labels["virus"].fillna("none")
    labels["layer"] = labels["layer"].fillna("").astype(str).str.replace("_", "/")
    labels.insert(0, "subclass", metadata["Revised_subclass_label"].fillna("").astype(str).str.strip())
    labels.insert(0, "type", labels["subclass"].map(HUMAN_CLASSES))
    unknown = set(labels["subclass"]) - set(HUMAN_CLASSES) - {""}
    if unknown:
        raise ValueError(f"{metadata_path}: unknown Revised_subclass_label {some(sorted(unknown))}")
    reasons = {"no subclass": labels["subclass"] == ""}
    return _chosen("lee_human", HUMAN_SOURCE, table, about, labels, reasons, files)


def _chosen(name, source, table, about, labels, reasons, files) -> EphysFeatures:
    """Leave out the cells that a reason says to, and those without any measured feature."""
    values = table[about.index].set_axis(labels.index, axis=0)
    try:
        values = values.astype(np.float64)
    except ValueError as error:
        raise ValueError(f"{name}: features that are not numbers: {error}") from None
    reasons = reasons | {"no measured feature": values.isna().all(axis=1)}
    kept, dropped = np.ones(len(values), dtype=bool), {}
    for reason, applies in reasons.items():
        applies = applies.to_numpy() & kept
        dropped[reason] = list(values.index[applies])
        kept &= ~applies
    if not kept.any():
        raise ValueError(f"{name}: no cell has a type and a measured feature")
    return EphysFeatures(
        X=values[kept],
        families=about.groupby("family", sort=False).groups,
        units=about["unit"].to_dict(),
        labels=labels[kept],
        name=name,
        source=source,
        sha256=fingerprint_files(files) if files else "",
        files=files or {},
        dropped=dropped,
    )


def _read(path, argument: str) -> pd.DataFrame:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{argument}: no file {str(path)!r}")
    table = pd.read_csv(path, low_memory=False)
    return table.set_axis(table.columns.str.strip(), axis=1)  # one of the published names ends in a space


def _require(table: pd.DataFrame, columns, path) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(f"{path} lacks the column(s) {some(missing)}")


def _rows_of(wanted, metadata: pd.DataFrame, column: str, path, kind: str) -> pd.DataFrame:
    """Rows of the metadata by a column that names each once, in the order wanted."""
    metadata = metadata.set_index(_texts(metadata[column]))
    require_unique(metadata.index, f"{path}: {column}")
    strangers = wanted[~wanted.isin(metadata.index)]
    if len(strangers):
        raise ValueError(f"{path}: no row for {len(strangers)} {kind}(s): {some(strangers)}")
    return metadata.loc[wanted]


def _renamed(table: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    return table[list(names)].rename(columns=names)


def _texts(values: pd.Series) -> np.ndarray:
    """Numbers that are names, as text without a decimal point."""
    return pd.to_numeric(values).astype("Int64").astype(str).to_numpy()


def _driver_lines(genotype) -> str:
    """``Sst-IRES-Cre/wt;Ai14(RCL-tdT)/wt`` -> ``Sst-IRES-Cre``: the drivers, without the reporter (Ai...)."""
    alleles = [allele.split("/")[0].strip() for allele in str(genotype).split(";") if str(genotype) != "nan"]
    return ";".join(allele for allele in alleles if not allele.startswith("Ai"))
