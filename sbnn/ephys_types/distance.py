"""Compare new cells with the training cells: single cells by their neighbours, whole tables by feature means."""

import numpy as np
from scipy import stats
from sklearn.metrics.pairwise import nan_euclidean_distances

N_NEIGHBOURS = 5
# expected share of far cells in a table whose donors are like the training donors
CELL_LEVEL = 0.01
TABLE_LEVEL = 0.05  # probability that each of the two rules warns about such a table
MOST_REFERENCES = 1000
N_TABLES = 400


class Surroundings:
    """Normal scores of the training cells, of shape (n, p), NaN where missing, and the group (donor) of each cell."""

    def __init__(self, scores, groups):
        chosen = np.sort(np.random.default_rng(0).permutation(len(scores))[:MOST_REFERENCES])
        self.scores = scores[chosen]
        self.groups = np.unique(np.asarray(groups)[chosen], return_inverse=True)[1]
        distances = _to_neighbours(self.scores, self.scores, self.groups[:, None] == self.groups)
        self.limit = np.quantile(distances, 1 - CELL_LEVEL, method="higher")
        self.n_beyond = (distances > self.limit).sum()

    def far(self, scores):
        """Mask of cells that are farther from training cells than 99 % of the training cells are from other groups."""
        return _to_neighbours(scores, self.scores) > self.limit

    def too_many(self, far):
        """Whether a table has more far cells than expected by chance if its cells are like the training cells."""
        # The limit is estimated from a sample, so the share of cells beyond the limit has a beta
        # distribution.
        expected = stats.betabinom(len(far), self.n_beyond + 1, len(self.scores) - self.n_beyond)
        return far.sum() > expected.ppf(1 - TABLE_LEVEL)

    def moved(self, scores):
        """Mask of features whose means differ between new and training cells by more than expected
        by chance.

        Differences are measured in SDs over random tables, each of which has the size of the new
        table and consists of training groups that are drawn with replacement. The limit is the 95 %
        quantile of the largest difference in a random table.
        """
        weights = np.array(
            [np.bincount(table, minlength=len(self.scores)) for table in self._tables(len(scores))]
        )
        measured = weights @ np.isfinite(self.scores)
        means = weights @ np.nan_to_num(self.scores) / np.maximum(measured, 1)
        n = np.isfinite(scores).sum(axis=0)
        mean = np.nan_to_num(scores).sum(axis=0) / np.maximum(n, 1)
        spread = means.std(axis=0)
        of_both = np.sqrt(1 + len(scores) / len(self.scores))  # the training cells are a sample too
        spread = np.where((spread > 0) & (n > 0), spread, np.inf)
        limit = np.quantile(
            np.abs((means - means.mean(axis=0)) / spread).max(axis=1), 1 - TABLE_LEVEL
        )
        return np.abs(mean - means.mean(axis=0)) / spread > limit * of_both

    def _tables(self, size):
        rng = np.random.default_rng(0)
        members = [np.flatnonzero(self.groups == k) for k in range(self.groups.max() + 1)]
        size = min(size, len(self.scores))
        for _ in range(N_TABLES):
            table = np.empty(0, dtype=int)
            while len(table) < size:
                table = np.append(table, rng.permutation(members[rng.integers(len(members))]))
            yield table[:size]


def _to_neighbours(cells, references, apart=False):
    """Distance from each cell to its fifth nearest reference cell, computed from the features that both cells have."""
    distances = nan_euclidean_distances(cells, references)
    distances[np.isnan(distances) | apart] = np.inf
    nearest = min(N_NEIGHBOURS, len(references)) - 1
    return np.partition(distances, nearest, axis=1)[:, nearest]
