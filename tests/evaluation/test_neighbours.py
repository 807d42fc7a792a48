"""Neighbours on maps: the count is right, and no test cell is seen."""

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from sbnn.evaluation.neighbours import neighbour_accuracy


def test_accuracy_is_the_majority_of_the_nearest_other_cells(rng):
    points, labels = rng.normal(size=(60, 2)), rng.choice(["x", "y", "z"], 60)
    hits = []
    for i, row in enumerate(cdist(points, points) + np.diag([np.inf] * 60)):
        votes = pd.Series(labels[np.argsort(row)[:7]]).value_counts()
        hits.append(min(votes.index[votes == votes.max()]) == labels[i])
    assert neighbour_accuracy(points, labels, k=7) == np.mean(hits)


def test_unknown_cells_neither_vote_nor_count_among_the_cells_themselves(rng):
    points, labels = rng.normal(size=(60, 2)), rng.choice(["x", "y", "z"], 60).astype(object)
    some = np.arange(60) % 3 == 0
    labels[some] = "unknown"
    assert neighbour_accuracy(points, labels, k=7) == neighbour_accuracy(
        points[~some], labels[~some], k=7
    )
    assert np.isnan(neighbour_accuracy(points, np.where(np.arange(60) < 7, "x", "unknown"), k=7))
