"""Plain classifiers to compare with, as scikit-learn estimators that take NaN and scale inside.

What is learned from features, such as a mean that fills a gap, is learned from the cells that `fit` gets.
"""

from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sbnn.ephys_types.scaling import FeatureScaling


def majority():
    """Give every cell the most frequent type.

    Returns
    -------
    DummyClassifier
    """
    return DummyClassifier(strategy="most_frequent")


def logistic(random_state=None):
    """Class-balanced logistic regression on normal scores; what is missing is set to the median.

    Parameters
    ----------
    random_state : ignored
        The fit is convex and deterministic; here so that all baselines can be called alike.

    Returns
    -------
    Pipeline
    """
    return make_pipeline(
        FeatureScaling(),
        SimpleImputer(strategy="median"),
        StandardScaler(),
        LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000),
    )


def forest(random_state=None):
    """Class-balanced random forest; what is missing is set to the median.

    Parameters
    ----------
    random_state : int, RandomState or None

    Returns
    -------
    Pipeline
    """
    return make_pipeline(
        SimpleImputer(strategy="median"),
        RandomForestClassifier(300, class_weight="balanced_subsample", random_state=random_state),
    )


def lightgbm(random_state=None, n_jobs=1):
    """Class-balanced boosted trees, which find a place for NaN themselves.

    Parameters
    ----------
    random_state : int or None
    n_jobs : int
        Threads.

    Returns
    -------
    LGBMClassifier
    """
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
        n_jobs=n_jobs,
        verbose=-1,
    )
