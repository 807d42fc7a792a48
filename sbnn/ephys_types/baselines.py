"""What others use for cell types from features, with settings of their own that were tuned as ours were."""


def lightgbm(random_state=None):
    """Gradient-boosted trees that count every class alike; missing values are a branch of their own."""
    from lightgbm import LGBMClassifier

    return LGBMClassifier(
        n_estimators=200, learning_rate=0.05, num_leaves=15, min_child_samples=10, colsample_bytree=0.5,
        subsample=0.8, subsample_freq=1, class_weight="balanced", random_state=random_state, n_jobs=1, verbose=-1,
        deterministic=True, force_row_wise=True,
    )  # fmt: skip
