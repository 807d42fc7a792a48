"""How well a map of the cells tells their families and types, by the labels of their nearest neighbours."""

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.neighbors import NearestNeighbors

from sbnn.data.inputs import as_paired
from sbnn.data.labels import UNKNOWN
from sbnn.data.readers.anndata import entry, is_anndata, is_mudata, modality
from sbnn.determinism import reproducible
from sbnn.evaluation.folds import check_folds, paper_folds, source_arrays, split_fold
from sbnn.results import Record

NEIGHBOURS = 15
LABELS = ("family", "type")


def neighbour_accuracy(latent, labels=None, k=NEIGHBOURS):
    """Share of the cells whose label is that of most of their nearest other cells.

    Parameters
    ----------
    latent : ndarray, shape (n, d), Record, AnnData or MuData
        Points of the cells, or a record with ``latent`` and ``labels``, as from `sbnn.fit_full`. These are the cells
        that the model was fitted to; `held_out_accuracy` asks about new ones. An AnnData, or the modality ``"rna"`` of
        a MuData, has them in ``obsm["X_sbnn"]``, where `sbnn.annotate` writes them.
    labels : ndarray of str, shape (n,), DataFrame with n rows, or list of str, optional
        One kind of label, or one per column; names of columns of ``obs`` of an AnnData. By default those of the record
        or of ``obs``, families and types. Cells labelled ``"unknown"`` neither vote nor count.
    k : int
        Neighbours that vote; of equal numbers of votes the first label in the alphabet wins.

    Returns
    -------
    float, or Series by kind of label
        NaN where no more than `k` cells have a known label.

    Raises
    ------
    ValueError
        If there are not more than `k` cells, or the labels are not as many as the cells.
    """
    if isinstance(latent, Record):
        labels = latent.labels[list(LABELS)] if labels is None else labels
        latent = latent.latent
    if is_anndata(latent) or is_mudata(latent):
        latent, labels = _of_anndata(modality(latent) if is_mudata(latent) else latent, labels)
    if isinstance(labels, pd.DataFrame):
        return pd.Series({kind: neighbour_accuracy(latent, labels[kind].to_numpy(), k) for kind in labels})
    latent, labels = np.asarray(latent), np.asarray(labels, dtype=object).astype(str)
    if labels.shape != (len(latent),):
        raise ValueError(f"labels: expected {len(latent)}, one per cell, got shape {labels.shape}")
    if not 1 <= k < len(latent):
        raise ValueError(f"k: expected 1 to {len(latent) - 1}, fewer than the cells, got {k}")
    return _share_told(latent, labels, k)


def _of_anndata(adata, labels):
    """Points of the cells of an AnnData, and their labels as text."""
    points = entry(adata.obsm, "X_sbnn", "adata.obsm")
    if labels is None:
        labels = [kind for kind in LABELS if kind in adata.obs]
    if isinstance(labels, list | tuple) and all(isinstance(name, str) and name in adata.obs for name in labels):
        labels = adata.obs[list(labels)].astype(object)
        labels = labels.where(labels.notna(), UNKNOWN)
    return np.asarray(points), labels


def _share_told(places, labels, k, new_places=None, new_labels=None):
    """Share of new cells, or of the cells themselves, whose label is that of most of the k nearest others.

    Cells of unknown label neither vote nor count; NaN if that leaves none to tell, or fewer than k to vote.
    """
    known = labels != UNKNOWN
    places, labels = places[known], labels[known]
    truth = labels
    if new_places is not None:
        known = new_labels != UNKNOWN
        new_places, truth = new_places[known], new_labels[known]
    if len(labels) < k + (new_places is None) or not len(truth):
        return float("nan")
    classes, codes = np.unique(labels, return_inverse=True)
    # Asked about no new cells, it leaves out each cell itself.
    nearest = NearestNeighbors(n_neighbors=k).fit(places).kneighbors(new_places, return_distance=False)
    votes = np.zeros((len(truth), len(classes)), dtype=np.int32)
    np.add.at(votes, (np.arange(len(truth))[:, np.newaxis], codes[nearest]), 1)
    return float((classes[votes.argmax(1)] == truth).mean())


def held_out_accuracy(model, data, folds=None, k=NEIGHBOURS, n_jobs=1, *, scaling="fold"):
    """Share of the held-out cells whose label is that of most of their nearest training cells on a map.

    The map is fitted to the training cells of every fold; the test cells are placed on it afterwards.

    Parameters
    ----------
    model : estimator with ``fit(X, Y)`` and ``transform``
        Its ``fit_transform`` places the training cells.
    data : PairedData, tuple (X, Y), AnnData or MuData
        Cells of unknown label are mapped but neither vote nor count.
    folds : list of (train, test), optional
        `paper_folds` by default.
    k : int
    n_jobs : int
        Worker processes; the result is the same for any number.
    scaling : {"fold", "all", "none"}
        As for `cross_validate`.

    Returns
    -------
    DataFrame, shape (folds, 2)
        Accuracies of ``family`` and ``type``; NaN where nothing could be told.
    """
    data = as_paired(data)
    folds = check_folds(paper_folds(data.n_cells) if folds is None else folds, data.n_cells)
    scaled = source_arrays(data, scaling)
    labels = data.labels[list(LABELS)]
    jobs = (delayed(_accuracy_of_fold)(clone(model), scaled, fold, scaling, labels, k) for fold in folds)
    return pd.DataFrame(Parallel(n_jobs=n_jobs)(jobs)).rename_axis("fold")


def _accuracy_of_fold(model, scaled, fold, scaling, labels, k):
    X_train, Y_train, X_test, _ = split_fold(scaled, fold, scaling)
    with reproducible():
        placed = model.fit_transform(X_train, Y_train), model.transform(X_test)
    train, test = fold
    told = {}
    for kind in labels:
        names = labels[kind].to_numpy()
        told[kind] = _share_told(placed[0], names[train], k, placed[1], names[test])
    return told
