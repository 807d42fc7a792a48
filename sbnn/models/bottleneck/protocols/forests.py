"""Extremely randomised trees, grown the same way wherever the distilled protocol needs them."""

from sklearn.ensemble import ExtraTreesRegressor


def grow_forest(X, Y, n_trees, random, **options):
    """Grow extremely randomised trees."""
    seed = int(random.randint(2**31 - 1))
    forest = ExtraTreesRegressor(n_trees, min_samples_leaf=3, max_features=0.4, random_state=seed, **options)
    return forest.fit(X, Y if Y.shape[1] > 1 else Y[:, 0])
