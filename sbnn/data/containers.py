"""Description of a data set in ``uns["sbnn"]`` of its AnnData, in the same format for all kinds of data."""

import numpy as np

from sbnn.data.fingerprint import fingerprint_files
from sbnn.errors import naming

OF_CELLS = {"latent", "latents", "outputs"}  # entries of the truth that have one row for each cell


@naming(
    "name, source, sha256, files, dropped, truth, notes: expected values as described in sbnn.paired"
)
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
    """Entries of ``uns["sbnn"]``, which are the same for all kinds of data and are described in `sbnn.paired`."""
    sha256 = sha256 or (fingerprint_files(files) if files else "")
    about = {"name": str(name), "source": str(source), "sha256": sha256, "files": dict(files or {})}
    left_out = {
        w: int(what) if np.ndim(what) == 0 else [str(n) for n in what]
        for w, what in (dropped or {}).items()
    }
    about["dropped"] = {why: what for why, what in left_out.items() if what}
    return about | {"truth": dict(truth or {}), "notes": [str(note) for note in notes]}


def with_about(adata, about, content):
    """Store the description of the data and the fingerprint of its content; true values of cells go to ``obsm``."""
    truth = dict(about["truth"])
    for key in truth.keys() & OF_CELLS:
        adata.obsm[f"true_{key}"] = np.asarray(truth.pop(key))
    adata.uns["sbnn"] = about | {
        "truth": truth,
        "sha256": about["sha256"] or content,
        "content_sha256": content,
    }
    return adata


def name_and_sha256(about, content):
    """Name and fingerprint of the data: the stored fingerprint, or `content` if the data have changed."""
    return about.get("name", "custom"), about["sha256"] if about.get(
        "content_sha256"
    ) == content else content
