"""Description of a data set in ``uns["sbnn"]`` of its AnnData."""

import numpy as np

from sbnn.data.fingerprint import fingerprint_files

OF_CELLS = {"latent", "latents", "outputs"}  # entries of the truth with a row for each cell


def about_data(
    *,
    name="custom",
    source="the user's data",
    sha256="",
    files=None,
    dropped=None,
    truth=None,
    notes=(),
):
    """Entries of ``uns["sbnn"]``, as described in `sbnn.paired`."""
    if not np.iterable(notes):
        raise TypeError(f"notes: expected a list of sentences, got {notes!r}")
    if files and not sha256:
        sha256 = fingerprint_files(files)
    left_out = {}
    for why, what in (dropped or {}).items():
        what = int(what) if np.ndim(what) == 0 else list(map(str, what))
        if what:
            left_out[why] = what
    return {
        "name": str(name),
        "source": str(source),
        "sha256": sha256,
        "files": dict(files or {}),
        "dropped": left_out,
        "truth": dict(truth or {}),
        "notes": list(map(str, notes)),
    }


def with_about(adata, about, content):
    """Store the description; true values of cells go to ``obsm``."""
    truth = dict(about["truth"])
    for key in OF_CELLS.intersection(truth):
        adata.obsm[f"true_{key}"] = np.asarray(truth.pop(key))
    stored = {**about, "truth": truth, "content_sha256": content}
    stored["sha256"] = about["sha256"] or content
    adata.uns["sbnn"] = stored
    return adata


def name_and_sha256(about, content):
    """Name and fingerprint; the stored fingerprint holds only for unchanged data."""
    unchanged = about.get("content_sha256", content) == content
    stored = about.get("sha256") if unchanged else None
    return about.get("name", "custom"), stored or content
