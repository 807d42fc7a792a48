"""How well a map separates families and types of cells, measured by the labels of nearest neighbours."""

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_array

from sbnn.data.checks import UNKNOWN
from sbnn.data.objects import AnnDataLike, MuDataLike, entry, gene_modality
from sbnn.errors import check_number, naming
from sbnn.results import Record, require

NEIGHBOURS = 15
LABELS = ("family", "type")


def neighbour_accuracy(latent, labels=None, k=NEIGHBOURS):
    """Share of the cells whose label is the most frequent label among their nearest neighbours.

    Parameters
    ----------
    latent : ndarray, shape (n, d), Record, AnnData or MuData
        Coordinates of the cells, or a record with ``latent`` and ``labels``, as returned by
        `sbnn.fit_full`. For an AnnData, or the modality ``"rna"`` of a MuData, the coordinates are
        read from ``obsm["X_sbnn"]``, where `sbnn.annotate` writes them.
    labels : ndarray of str, shape (n,), DataFrame with n rows, or list of str, optional
        One label per cell, a DataFrame with one kind of label per column, or a list of columns of
        ``obs``. By default, families and types are used. Cells labelled ``"unknown"`` are ignored.
    k : int
        Number of neighbours that vote; ties go to the alphabetically first label.

    Returns
    -------
    float, or Series by kind of label
        NaN if no more than `k` cells have a known label.
    """
    check_number("k", k, int, 1)
    if isinstance(latent, Record):
        require(latent, "latent", ["latent"] if labels is not None else ["latent", "labels"])
        labels = latent.labels[list(LABELS)] if labels is None else labels
        latent = latent.latent
    elif isinstance(latent, AnnDataLike | MuDataLike):
        adata = gene_modality(latent)
        latent = entry(adata.obsm, "X_sbnn", "adata.obsm")
        labels = [kind for kind in LABELS if kind in adata.obs] if labels is None else labels
        if isinstance(labels, list):
            labels = adata.obs[labels].astype(object).fillna(UNKNOWN)
    if isinstance(labels, pd.DataFrame):
        return pd.Series(
            {kind: neighbour_accuracy(latent, labels[kind].to_numpy(), k) for kind in labels}
        )
    with naming(
        "latent and labels: expected points of shape (cells, dimensions), and a label for each cell"
    ):
        return vote(check_array(latent), np.array([*map(str, labels)]), k)


def vote(places, labels, k, new_places=None, new_labels=None):
    """Share of new cells (by default, of the cells themselves) whose label is the most frequent among k neighbours."""
    places, labels = places[labels != UNKNOWN], labels[labels != UNKNOWN]
    truth = labels
    if new_places is not None:
        new_places, truth = new_places[new_labels != UNKNOWN], new_labels[new_labels != UNKNOWN]
    if len(labels) < k + (new_places is None) or not len(truth):
        return float("nan")
    classes, codes = np.unique(labels, return_inverse=True)
    # Without new points, `kneighbors` excludes each cell from its own neighbours.
    nearest = (
        NearestNeighbors(n_neighbors=k).fit(places).kneighbors(new_places, return_distance=False)
    )
    votes = np.zeros((len(truth), len(classes)), dtype=np.int32)
    np.add.at(votes, (np.arange(len(truth))[:, np.newaxis], codes[nearest]), 1)
    return float((classes[votes.argmax(1)] == truth).mean())
