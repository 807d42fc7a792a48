"""Perturbation screens as AnnData objects, there and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sbnn.data.readers.anndata import entry

if TYPE_CHECKING:
    from anndata import AnnData

_LATENTS = "true_latents"


def screen_to_anndata(screen: Any, key: str) -> AnnData:
    """Convert a screen; parameters and result as `PerturbationScreen.to_anndata`."""
    import anndata  # takes longer to import than all the rest

    if key in screen.labels:
        raise ValueError(f"key: labels have a column {key!r} of their own; choose another name for the perturbation")
    obs = screen.labels.assign(**{key: pd.Categorical(screen.perturbation)})
    adata = anndata.AnnData(X=screen.counts.astype(np.float32), obs=obs, var=pd.DataFrame(index=screen.gene_names))
    about = {
        "name": screen.name,
        "source": screen.source,
        "perturbation_key": key,
        "sha256": screen.sha256,
        "content_sha256": screen.content_sha256,
        "files": dict(screen.files),
        "dropped": dict(screen.dropped),
    }
    if screen.control is not None:
        about["control"] = screen.control
    if "latents" in screen.truth:
        adata.obsm[_LATENTS] = np.asarray(screen.truth["latents"])
    if "shifts" in screen.truth:
        shifts = screen.truth["shifts"]
        about |= {
            "shifts": shifts.to_numpy(),
            "shift_names": shifts.index.to_numpy(dtype=object),
            "latent_names": shifts.columns.to_numpy(dtype=object),
        }
    adata.uns["sbnn"] = about
    return adata


def screen_parts(adata: AnnData, key: str, control: str | None, layer: str | None) -> dict[str, Any]:
    """Take what `PerturbationScreen` is made of out of an AnnData object; parameters as its `from_anndata`.

    Returns
    -------
    dict
        Arguments of `PerturbationScreen`, but for the fingerprint.

    Raises
    ------
    KeyError
        A column or layer that the object does not hold; the message lists those there are.
    ValueError
        No counts, or no cell with a perturbation.
    """
    named = entry(adata.obs, key, "adata.obs")
    counts = adata.X if layer is None else entry(adata.layers, layer, "adata.layers")
    if counts is None:
        raise ValueError(f"adata.X is empty; pass layer=, one of {sorted(adata.layers)}")
    known = (named.notna() & (named.astype(str) != "")).to_numpy()
    if not known.any():
        raise ValueError(f"adata.obs[{key!r}] names no perturbation: all {len(known)} entries are empty")
    perturbation = named[known].astype(str).to_numpy()
    written = adata.uns.get("sbnn", {})
    if control is None and written.get("perturbation_key") == key and (perturbation == written.get("control")).any():
        control = written["control"]
    truth = {}
    if _LATENTS in adata.obsm:
        truth["latents"] = np.asarray(adata.obsm[_LATENTS])[known]
    if "shifts" in written and written["perturbation_key"] == key:
        truth["shifts"] = pd.DataFrame(written["shifts"], written["shift_names"], written["latent_names"])
    about = {name: written[name] for name in ("name", "source") if name in written}
    return about | {
        "counts": counts[np.flatnonzero(known)],
        "perturbation": perturbation,
        "control": control,
        "gene_names": adata.var_names,
        "cell_names": adata.obs_names[known],
        "labels": adata.obs.loc[known].drop(columns=key),
        "dropped": {f"no entry in obs[{key!r}]": int((~known).sum())},
        "truth": truth,
    }
