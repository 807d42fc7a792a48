"""How well a map separates families and types of cells."""

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_array, check_consistent_length

from sbnn.data.checks import UNKNOWN
from sbnn.errors import check_number
from sbnn.results import Record

NEIGHBOURS = 15
LABELS = ("family", "type")


def neighbour_accuracy(latent, labels=None, k=NEIGHBOURS):
    """Share of the cells whose label is the most frequent label among their nearest neighbours.

    Parameters
    ----------
    latent : ndarray, shape (n, d), or Record
        Coordinates of the cells, or a record from `sbnn.fit_full`.
    labels : ndarray of str, shape (n,), or DataFrame with n rows, optional
        One label per cell, or one kind of label per column; by default, families and types of the
        record. Cells labelled ``"unknown"`` are ignored.
    k : int
        Number of neighbours; ties go to the alphabetically first label.

    Returns
    -------
    float, or Series by kind of label
        NaN if no more than `k` cells have a known label.
    """
    if isinstance(latent, Record):
        if labels is None:
            labels = latent.labels[list(LABELS)]
        latent = latent.latent
    latent = check_array(latent, input_name="latent", ensure_min_samples=2)
    check_number("k", k, int, 1, len(latent) - 1)
    if isinstance(labels, pd.DataFrame):
        return labels.agg(lambda its: vote(latent, its.to_numpy(str), k))
    return vote(latent, np.asarray(labels, dtype=str), k)


def vote(places, labels, k, new_places=None, new_labels=None):
    """Share of (new) cells whose label prevails among the k nearest cells."""
    check_consistent_length(places, labels)
    known = labels != UNKNOWN
    places = places[known]
    labels = labels[known]
    n_others = len(labels)
    if new_places is None:
        truth = labels
        n_others -= 1
    else:
        known = new_labels != UNKNOWN
        new_places = new_places[known]
        truth = new_labels[known]
    if n_others < k or not len(truth):
        return float("nan")
    classes, codes = np.unique(labels, return_inverse=True)
    # without new places, `kneighbors` excludes each cell itself
    neighbours = NearestNeighbors(n_neighbors=k).fit(places)
    nearest = neighbours.kneighbors(new_places, return_distance=False)  # (cells, k)
    votes = np.eye(len(classes), dtype=np.int32)[codes[nearest]].sum(1)  # (cells, classes)
    return float((classes[votes.argmax(1)] == truth).mean())
