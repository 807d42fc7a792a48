"""Neighbours on maps: against a count by hand, and no test cell votes."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist

from sbnn.evaluation.neighbours import neighbour_accuracy, vote
from sbnn.results import Record


def by_hand(places, labels, k, new, truth):
    """Of equal votes, the first label in the alphabet wins; unknown cells are left out."""
    known = labels != "unknown"
    hits = []
    for distances, label in zip(cdist(new, places[known]), truth, strict=True):
        nearest = np.argsort(np.where(distances > 0, distances, np.inf))[:k]
        votes = pd.Series(labels[known][nearest]).value_counts()
        if label != "unknown":
            hits.append(min(votes.index[votes == votes.max()]) == label)
    return np.mean(hits)


def test_accuracy_is_the_majority_of_the_nearest_cells(rng):
    places = rng.normal(size=(120, 2))
    labels = rng.choice(["x", "y", "z", "unknown"], 120)
    new = rng.normal(size=(30, 2))
    truth = rng.choice(["x", "y", "unknown"], 30)
    assert vote(places, labels, 4, new, truth) == by_hand(places, labels, 4, new, truth)
    shares = [by_hand(places, its, 4, places, its) for its in (labels[::-1], labels)]
    assert neighbour_accuracy(places, labels, 4) == shares[1]
    table = pd.DataFrame({"family": labels[::-1], "type": labels, "other": "x"})
    record = Record("fit", "", "", [{}], values={"latent": places, "labels": table})
    assert neighbour_accuracy(record, k=4).tolist() == shares
    assert neighbour_accuracy(record, labels, 4) == shares[1]


def test_there_must_be_enough_known_cells():
    places = np.arange(4.0)[:, None]
    labels = np.array(["a", "a", "b", "unknown"])
    assert neighbour_accuracy(places, labels, 2) == 2 / 3
    assert np.isnan(neighbour_accuracy(places, labels, 3))
    assert vote(places, labels, 3, places[:1], labels[:1]) == 1
    assert np.isnan(vote(places, labels, 4, places[:1], labels[:1]))
    assert np.isnan(vote(places, labels, 1, places[:1], labels[3:]))
    with pytest.raises(ValueError, match="k must"):
        neighbour_accuracy(places, labels, 0)
