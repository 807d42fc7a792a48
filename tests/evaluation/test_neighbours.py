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


@pytest.mark.parametrize("k", [1, 4])
def test_accuracy_is_the_majority_of_the_nearest_cells(rng, k):
    places = rng.normal(size=(60, 2))
    labels = rng.choice(["x", "y", "z", "unknown"], 60)
    new = rng.normal(size=(30, 2))
    truth = rng.choice(["x", "y", "unknown"], 30)
    assert vote(places, labels, k, new, truth) == by_hand(places, labels, k, new, truth)
    share = by_hand(places, labels, k, places, labels)
    assert neighbour_accuracy(places, labels, k) == share
    table = pd.DataFrame({"type": labels, "family": labels[::-1]})
    found = neighbour_accuracy(places, table, k)
    assert found.to_dict() == {"type": share, "family": vote(places, labels[::-1], k)}
    values = {"latent": places, "labels": table.assign(other="x")}
    found = neighbour_accuracy(Record("fit", "", "", [{}], values=values), k=k)
    assert found.index.tolist() == ["family", "type"]


def test_there_must_be_enough_known_cells():
    places = np.arange(4.0)[:, None]
    labels = np.array(["a", "a", "b", "unknown"])
    assert neighbour_accuracy(places, labels, 2) == 2 / 3
    assert np.isnan(neighbour_accuracy(places, labels, 3))
    assert vote(places, labels, 3, places[:1], labels[:1]) == 1
    assert np.isnan(vote(places, labels, 4, places[:1], labels[:1]))
    assert np.isnan(vote(places, labels, 1, places[:1], labels[3:]))
    with pytest.raises(ValueError, match="latent: "):
        neighbour_accuracy(Record("", "", "", [{}]))
    with pytest.raises(ValueError, match="k must"):
        neighbour_accuracy(places, labels, 0)
