"""Types of cells of other donors, laboratories and conditions: F1, log loss and calibration.

    python benchmarks/ephys_types_elsewhere.py            # from the committed record, or measured
    python benchmarks/ephys_types_elsewhere.py --fresh    # measured

Human cells (`lee_human`) of left-out donors (five folds), as they are and as another laboratory
might measure them (`laboratory`), and human cells of the other condition (acute slices or culture)
or with other viruses, without the donors that have cells of both. Seed 10; settings were
chosen with seeds 40 to 42. Intervals (95 %) are of the difference to balanced logistic regression
over 1000 resamples of donors. Prints Markdown.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from pages import to_markdown
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sbnn import load_dataset
from sbnn.ephys_types import EphysTypeClassifier, FamilyAttentionClassifier
from sbnn.ephys_types.base import feature_scaling, kernel_logistic, lightgbm
from sbnn.ephys_types.classification import fit_classifier, repeated_donor_folds
from sbnn.ephys_types.data import as_typed
from sbnn.results import Record, load, save

PATH = Path(__file__).parents[1] / "saved_models/benchmarks/ephys_types_elsewhere.pickle.xz"
SEEDS = (10,)
BASELINE = "logistic regression"
METRICS = ("macro_f1", "log_loss", "ECE")
CHANGES = [("acute", "culture"), ("culture", "acute"), ("CN1390", "other viruses")]
LEAST = 1e-3  # probability, for the log loss
N_RESAMPLES = 1000
N_BINS = 10


def main():
    """Print the table."""
    warnings.simplefilter("ignore")
    if PATH.exists() and "--fresh" not in sys.argv:
        record = load(PATH)
    else:
        human = load_dataset("lee_human", verbose=False)
        record = Record(
            experiment="elsewhere",
            dataset="lee_human",
            sha256=as_typed(human).sha256,
            params=[{}],
            seed=SEEDS[0],
            values={"table": elsewhere(predictions(human))},
        )
        save(record, PATH)
    print(to_markdown(record.table))


def models_of(seed, shape):
    """Unfitted classifiers by name."""
    filled = SimpleImputer(strategy="median", keep_empty_features=True)
    linear = LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000)
    return {
        BASELINE: make_pipeline(feature_scaling(), filled, linear),
        "LightGBM": lightgbm(seed),
        "kernel logistic regression": kernel_logistic(*shape, seed),
        "attention over families": FamilyAttentionClassifier(random_state=seed),
        "EphysTypeClassifier": EphysTypeClassifier(random_state=seed),
    }


def predictions(human):
    """Rows of task, model, cell, donor, codes of true type and probabilities, for all seeds."""
    cells = as_typed(human)
    codes = np.unique(cells.y, return_inverse=True)[1]
    donors = human.obs["donor"].to_numpy(str)
    rows = []
    for seed, train, targets in tasks_of(human, cells, donors):
        for name, model in models_of(seed, cells.X[train].shape).items():
            fit_classifier(model, cells, codes, train)
            for task, (test, X) in targets.items():
                of_task = pd.DataFrame(model.predict_proba(X))
                about = {"task": task, "model": name, "true": codes[test], "donor": donors[test]}
                rows.append(of_task.assign(**about))
    return pd.concat(rows)


def tasks_of(human, cells, donors):
    """Yield seed, training cells and, by task, test cells and their features."""
    for seed, folds in repeated_donor_folds(cells, 5, SEEDS).items():
        for fold, (train, test) in enumerate(folds):
            rng = np.random.default_rng([seed, fold])
            there = laboratory(cells.X[test], cells.X[train], cells.families, rng)
            yield (
                seed,
                train,
                {
                    "other donors": (test, cells.X[test]),
                    "another laboratory": (test, there),
                },
            )
        conditions = human.obs["condition"].to_numpy(str)
        viruses = human.obs["virus"].astype(str)
        viruses = viruses.where(viruses.isin(["CN1390", "none", "unknown"]), "other viruses")
        for start, end in CHANGES:
            groups = conditions if start in conditions else viruses.to_numpy()
            both = np.intersect1d(donors[groups == start], donors[groups == end])
            train = np.flatnonzero((groups == start) & ~np.isin(donors, both))
            test = np.flatnonzero(groups == end)
            yield seed, train, {f"{start} -> {end}": (test, cells.X[test])}


def laboratory(X, reference, families, rng):
    """Features as another laboratory might measure them.

    Each feature is shifted by a normal offset (an SD of half the spread of the `reference` cells;
    half of its variance is common to the family) and scaled by a lognormal factor (SD 0.2). Two
    families are missing.
    """
    low, middle, high = np.nanpercentile(reference, (25, 50, 75), axis=0)
    names, family = np.unique(families, return_inverse=True)
    offset = rng.normal(0, 0.5 / np.sqrt(2), len(names))[family]
    offset += rng.normal(0, 0.5 / np.sqrt(2), len(family))
    factor = np.exp(rng.normal(0, 0.2, len(family)))
    there = middle + (X - middle) * factor + offset * (high - low) / 1.349
    there[:, np.isin(family, rng.choice(len(names), 2, replace=False))] = np.nan
    return there


def elsewhere(predicted):
    """Scores of each model and task, with intervals of the difference to the baseline."""
    rows = []
    for task, of_task in predicted.groupby("task", sort=False):
        names = np.unique(of_task["donor"])
        n = len(names)
        draws = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), N_RESAMPLES)
        for name, its in of_task.groupby("model", sort=False):
            owners = np.searchsorted(names, its["donor"])
            p = its[[0, 1, 2, 3]].to_numpy()
            true = its["true"].to_numpy()
            resampled = np.array([scores(true, p, drawn[owners]) for drawn in draws])
            if name == BASELINE:
                of_baseline = resampled
            row = {"task": task, "model": name}
            row["macro_f1"], row["log_loss"], row["ECE"] = scores(true, p, np.ones_like(true))
            gains = resampled - of_baseline
            for i, metric in enumerate(METRICS):
                low, high = np.quantile(gains[:, i], (0.025, 0.975))
                row[f"{metric} minus logistic"] = f"[{low:+.3f}, {high:+.3f}]"
            rows.append(row)
    return pd.DataFrame(rows).set_index("task")


def scores(true, p, weights):
    """Macro-F1, log loss and expected calibration error of weighted cells."""
    predicted = p.argmax(axis=1)
    f1 = []
    for k in np.unique(true[weights > 0]):
        hits = weights[(true == k) & (predicted == k)].sum()
        f1.append(2 * hits / (weights[true == k].sum() + weights[predicted == k].sum()))
    clipped = np.maximum(p, LEAST)
    losses = -np.log(clipped[np.arange(len(true)), true] / clipped.sum(axis=1))
    confidence = p.max(axis=1)
    bins = (confidence * N_BINS).clip(max=N_BINS - 1).astype(int)
    gaps = np.bincount(bins, weights * (confidence - (predicted == true)))
    total = weights.sum()
    return np.mean(f1), (weights * losses).sum() / total, np.abs(gaps).sum() / total


if __name__ == "__main__":
    main()
