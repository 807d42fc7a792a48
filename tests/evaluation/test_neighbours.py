"""Neighbours on maps: the count is right, and no test cell is seen."""

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from sbnn.evaluation.neighbours import neighbour_accuracy, vote


def test_accuracy_is_the_majority_of_the_nearest_other_cells(rng):
    points = rng.normal(size=(60, 2))
    labels = rng.choice(["x", "y", "z"], 60)
    hits = []
    for i, row in enumerate(cdist(points, points) + np.diag([np.inf] * 60)):
        votes = pd.Series(labels[np.argsort(row)[:7]]).value_counts()
        hits.append(min(votes.index[votes == votes.max()]) == labels[i])
    assert neighbour_accuracy(points, labels, k=7) == np.mean(hits)


def test_unknown_cells_neither_vote_nor_count_among_the_cells_themselves(rng):
    points = rng.normal(size=(60, 2))
    labels = rng.choice(["x", "y", "z"], 60).astype(object)
    some = np.arange(60) % 3 == 0
    labels[some] = "unknown"
    assert neighbour_accuracy(points, labels, k=7) == neighbour_accuracy(
        points[~some], labels[~some], k=7
    )
    assert np.isnan(neighbour_accuracy(points, np.where(np.arange(60) < 7, "x", "unknown"), k=7))


def test_new_cells_are_judged_by_the_cells_that_are_known():
    places = np.array([[0.0], [1], [10], [11], [5]])
    labels = np.array(["a", "a", "b", "b", "unknown"])
    new = np.array([[0.5], [9.0], [5.0]])
    truth = np.array(["a", "a", "unknown"])
    assert vote(places, labels, 2, new, truth) == 1 / 2
    assert vote(places, labels, 4, new[:2], truth[::-1][1:]) == 1, "of equal votes, a wins"
    assert np.isnan(vote(places, labels, 5, new, truth))
    assert np.isnan(vote(places, labels, 1, new, np.full(3, "unknown")))
    assert neighbour_accuracy(places, labels, 3) == 0, "each has one neighbour of its kind"
    assert np.isnan(neighbour_accuracy(places, labels, 4))


def test_each_kind_of_label_is_judged_by_itself(rng):
    places = rng.normal(size=(30, 2))
    labels = pd.DataFrame({"type": rng.choice(["x", "y"], 30), "batch": rng.choice(["u", "v"], 30)})
    found = neighbour_accuracy(places, labels, 5)
    assert found.index.tolist() == ["type", "batch"]
    assert found["batch"] == neighbour_accuracy(places, labels["batch"].to_numpy(), 5)
