"""Compare new cells with training cells: single cells by neighbours, tables by feature means."""

import numpy as np
from scipy import stats
from sklearn.metrics.pairwise import nan_euclidean_distances

N_NEIGHBOURS = 5
# of tables whose donors are like the training donors
CELL_LEVEL = 0.01  # expected share of far cells
TABLE_LEVEL = 0.05  # probability that each of the two rules warns
MOST_REFERENCES = 1000
N_TABLES = 400
LEAST_APART = 20  # tables
TABLE_QUANTILE = 0.96  # more than 1 - TABLE_LEVEL, because few groups make up the tables


class Surroundings:
    """Training cells that new cells are compared with.

    `scores`, of shape (n, p), are normal scores, NaN where missing; `groups`, of shape (n,), holds
    the group (donor) of each cell.
    """

    def __init__(self, scores, groups):
        chosen = np.random.default_rng(0).permutation(len(scores))[:MOST_REFERENCES]
        chosen = np.sort(chosen)
        self.scores = scores[chosen]
        self.groups = np.unique(np.asarray(groups)[chosen], return_inverse=True)[1]
        of_one_group = self.groups[:, None] == self.groups
        distances = _to_neighbours(self.scores, self.scores, of_one_group)
        self.limit = np.quantile(distances, 1 - CELL_LEVEL, method="higher")
        self.n_beyond = (distances > self.limit).sum()

    def far(self, scores):
        """Mask of cells that are farther than 99 % of the training cells."""
        return _to_neighbours(scores, self.scores) > self.limit

    def too_many(self, far):
        """Whether a table has more far cells than expected by chance."""
        # As the limit is estimated, the share of cells beyond it has a beta distribution.
        n_within = len(self.scores) - self.n_beyond
        most = stats.betabinom.ppf(1 - TABLE_LEVEL, len(far), self.n_beyond + 1, n_within)
        return far.sum() > most

    def moved(self, scores):
        """Mask of features whose means differ more than expected by chance.

        Differences are measured in SDs over random tables of the same size, which consist of
        training groups drawn with replacement. The limit is that of Student's t, or that of
        `_limit_of_tables` if it is higher. A feature of a single training group never moves.
        """
        weights = np.zeros((N_TABLES, len(self.scores)))
        for counts, table in zip(weights, self._tables(len(scores)), strict=True):
            np.add.at(counts, table, 1)
        seen = np.isfinite(self.scores)
        measured = weights @ seen
        means = weights @ np.nan_to_num(self.scores) / np.maximum(measured, 1)
        has_value = measured > 0
        n_tables = np.maximum(has_value.sum(axis=0), 1)
        centre = means.sum(axis=0) / n_tables
        n = np.isfinite(scores).sum(axis=0)
        mean = np.nan_to_num(scores).sum(axis=0) / np.maximum(n, 1)
        deviations = np.where(has_value, means - centre, 0)
        spread = np.sqrt(np.square(deviations).sum(axis=0) / n_tables)
        n_groups = self._n_groups(seen)
        spread[(spread == 0) | (n == 0) | (n_groups == 1)] = np.inf
        n_groups = np.maximum(n_groups, 1 + 1e-9)
        # groups drawn with replacement vary less than new ones
        factor = n_groups / (n_groups - 1)
        # the training cells are a sample too
        size = min(len(scores), len(self.scores))
        factor *= 1 + np.maximum(size / len(self.scores), 1 / n_groups)
        level = 1 - (1 - TABLE_LEVEL) ** (1 / len(centre))  # Sidak's, of each feature
        limit = stats.t.isf(level / 2, n_groups - 1) * np.sqrt(factor)
        limit = np.maximum(limit, self._limit_of_tables(means, has_value, weights, spread))
        return np.abs(mean - centre) / spread > limit

    def _limit_of_tables(self, means, has_value, weights, spread):
        """96 % quantile of the largest difference of a random table from tables of other groups.

        It is high if a few groups are far from the others, and 0 if most tables share groups.
        """
        of_group = np.arange(self.groups.max() + 1) == self.groups[:, None]
        held = (weights @ of_group > 0).astype(float)  # (tables, groups)
        apart = held @ held.T == 0
        n_apart = apart.sum(axis=1)
        compared = n_apart >= LEAST_APART
        if not compared.any():
            return 0
        others = apart[compared].astype(float)
        n_others = np.maximum(others @ has_value, 1)
        centre = others @ means / n_others
        variance = others @ np.square(means) / n_others - np.square(centre)
        # so that a feature that varies in one group only does not hide others
        variance = np.maximum(variance, np.square(spread / 3))
        ratios = np.abs(means[compared] - centre) / np.sqrt(variance)
        ratios[~has_value[compared]] = 0
        return np.quantile(ratios.max(axis=1), TABLE_QUANTILE)

    def _n_groups(self, seen):
        """Effective number of groups (as if of equal size) of each feature, of shape (p,)."""
        of_group = np.arange(self.groups.max() + 1)[:, None] == self.groups
        cells = of_group.astype(int) @ seen
        return cells.sum(axis=0) ** 2 / np.maximum(np.square(cells).sum(axis=0), 1)

    def _tables(self, size):
        """Yield training cells of random tables of whole groups, up to the last one."""
        rng = np.random.default_rng(0)
        members = [np.flatnonzero(self.groups == k) for k in range(self.groups.max() + 1)]
        size = min(size, len(self.scores))
        for _ in range(N_TABLES):
            table = np.empty(0, dtype=int)
            while len(table) < size:
                group = members[rng.integers(len(members))]
                table = np.append(table, rng.permutation(group))
            yield table[:size]


def _to_neighbours(cells, references, apart=False):
    distances = nan_euclidean_distances(cells, references)
    distances[np.isnan(distances) | apart] = np.inf
    nearest = min(N_NEIGHBOURS, len(references)) - 1
    return np.partition(distances, nearest, axis=1)[:, nearest]
