"""Plain classifiers to compare with, as scikit-learn estimators that take NaN and scale inside."""

from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sbnn.ephys_types.base import FeatureScaling


def majority():
    """Give every cell the most frequent type."""
    return DummyClassifier(strategy="most_frequent")


def logistic():
    """Class-balanced logistic regression on normal scores; what is missing is set to the median."""
    regression = LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000)
    return make_pipeline(FeatureScaling(), SimpleImputer(strategy="median"), StandardScaler(), regression)


def forest():
    """Class-balanced random forest; what is missing is set to the median."""
    trees = RandomForestClassifier(300, class_weight="balanced_subsample")
    return make_pipeline(SimpleImputer(strategy="median"), trees)


def lightgbm(random_state=None):
    """Class-balanced boosted trees, which find a place for NaN themselves."""
    from lightgbm import LGBMClassifier  # takes its time to load

    return LGBMClassifier(
        n_estimators=600,
        learning_rate=0.05,
        extra_trees=True,
        num_leaves=15,
        min_child_samples=10,
        colsample_bytree=0.5,
        subsample=0.8,
        subsample_freq=1,
        class_weight="balanced",
        deterministic=True,
        force_row_wise=True,
        random_state=random_state,
        n_jobs=1,
        verbose=-1,
    )
