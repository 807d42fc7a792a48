"""Types of cells of other donors, conditions and species: accuracy, calibration, and how often
cells are called far.

    python benchmarks/ephys_types_elsewhere.py            # from the committed record, or measured
    python benchmarks/ephys_types_elsewhere.py --fresh    # measured (about 15 CPU minutes)

Human cells (`lee_human`) of left-out donors, five folds; human cells of the other condition (acute
slices or culture), the 15 donors that have cells of both left out of training; human cells from
mouse cells (`gouwens_ephys`) on the 27 shared features. Seeds 10 to 12. Settings of the last two
were chosen with seeds 0 to 2 on half of the human donors; reported is the other half, evaluated
once. Intervals: corrected for overlapping folds, or 2000 resamples of donors. Prints Markdown.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.dummy import DummyClassifier

from sbnn import load_dataset
from sbnn.data.ephys_features import to_shared_features
from sbnn.data.typed_cells import as_typed
from sbnn.ephys_types import EphysTypeClassifier, ZeroShotClassifier
from sbnn.ephys_types.base import FeatureScaling, lightgbm
from sbnn.ephys_types.classification import label_scores, scores
from sbnn.ephys_types.distance import Surroundings
from sbnn.ephys_types.transfer import physiological_scale
from sbnn.evaluation.folds import repeated_donor_folds
from sbnn.evaluation.verdict import corrected_difference
from sbnn.results import Record, load, save
from sbnn.tables import to_markdown

PATH = Path(__file__).parents[1] / "saved_models/benchmarks/ephys_types_elsewhere.pickle"
SEEDS = (10, 11, 12)
HALVES = 7  # seed by which the human donors were divided
FOLD_SHARE = 0.25  # test cells per training cell of five folds
REFERENCE = {"mouse -> human": "ZeroShotClassifier"}  # of other tasks the default
DEFAULT = "EphysTypeClassifier"
TITLES = {
    "donors": ("Other donors", "model"),
    "elsewhere": ("Another condition or species", "task"),
    "far": ("False alarms", "cells of"),
}


def main():
    warnings.simplefilter("ignore")
    if PATH.exists() and "--fresh" not in sys.argv:
        record = load(PATH)
    else:
        human, mouse = (
            load_dataset(name, verbose=False) for name in ("lee_human", "gouwens_ephys")
        )
        tables = {"elsewhere": elsewhere(human, mouse), "far": false_alarms(as_typed(human))}
        tables["donors"] = other_donors(as_typed(human))
        record = Record(
            "elsewhere", "lee_human", as_typed(human).sha256, [{}], SEEDS[0], values=tables
        )
        save(record, PATH)
    for name, (title, rows) in TITLES.items():
        print(f"\n## {title}\n\n{to_markdown(record.values[name].rename_axis(rows))}")


def models(seed):
    logistic = EphysTypeClassifier(members=["logistic"], power=1.0, random_state=seed)
    return {"majority": DummyClassifier(), "logistic": logistic, "LightGBM": lightgbm(seed)}


def fitted(model, X, y, families, groups):
    return (
        model.fit(X, y, families, groups)
        if isinstance(model, EphysTypeClassifier)
        else model.fit(X, y)
    )


def calibration_error(true, p, classes, n_bins=10):
    """Expected calibration error, as `sbnn.ephys_types.classification.calibration` has it."""
    confidence, hit = p.max(axis=1), classes[p.argmax(axis=1)] == true
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    parts = pd.DataFrame({"gap": confidence - hit, "bin": bins}).groupby("bin")["gap"].sum()
    return parts.abs().sum() / len(true)


def other_donors(human):
    """Five folds by donors: the default beside LightGBM, and what calibration across donors adds."""
    classes, donors, rows, pooled = np.unique(human.y), human.labels["donor"].to_numpy(str), [], {}
    for seed, folds in repeated_donor_folds(human, 5, SEEDS).items():
        for fold, (train, test) in enumerate(folds):
            X, y = human.X[train], human.y[train]
            found = {
                name: fitted(m, X, y, human.families, donors[train]).predict_proba(human.X[test])
                for name, m in models(seed).items()
            }
            model = EphysTypeClassifier(random_state=seed).fit(X, y, human.families, donors[train])
            found[DEFAULT] = model.predict_proba(human.X[test])
            found[f"{DEFAULT}(power=1)"] = softmax(np.log(found[DEFAULT]) / model.power_, axis=1)
            for name, p in found.items():
                row = scores(human.y[test], classes[p.argmax(axis=1)], p, classes)
                rows.append(
                    {
                        "model": name,
                        "seed": seed,
                        "fold": fold,
                        **{k: row[k] for k in ("macro_f1", "log_loss")},
                    }
                )
                pooled.setdefault(name, []).append((human.y[test], p))
            print(seed, fold, file=sys.stderr, flush=True)
    rows = pd.DataFrame(rows)
    wide, table = (
        rows.pivot(index=["seed", "fold"], columns="model", values=["macro_f1", "log_loss"]),
        {},
    )
    for name, parts in pooled.items():
        true, p = map(np.concatenate, zip(*parts, strict=True))
        table[name] = wide.xs(name, axis=1, level=1).mean().to_dict() | {
            "ECE": calibration_error(true, p, classes)
        }
        for metric in ("macro_f1", "log_loss"):
            difference = wide[metric][name] - wide[metric]["LightGBM"]
            table[name][f"{metric} minus LightGBM"] = str(
                corrected_difference(difference, FOLD_SHARE)
            )
    return pd.DataFrame(table).T.infer_objects().rename_axis("model")


def elsewhere(human, mouse):
    """Cells of the other condition, and human cells from mouse cells."""
    cells, condition = as_typed(human), human.obs["condition"].to_numpy(str)
    donors = human.obs["donor"].to_numpy(str)
    of_donors = np.unique(donors)
    reported = ~np.isin(
        donors, np.random.default_rng(HALVES).permutation(of_donors)[: len(of_donors) // 2]
    )
    both = np.isin(donors, [d for d in of_donors if len(set(condition[donors == d])) > 1])
    tasks = {}
    for there, here in (("acute", "culture"), ("culture", "acute")):
        source, target = (condition == there) & ~both, condition == here
        of_source = cells.X[source], cells.y[source], donors[source]
        tasks[f"{there} -> {here}"] = (*of_source, cells.X[target], cells.families, target)
    of_mouse, of_human = (as_typed(to_shared_features(data)) for data in (mouse, human))
    X, target = (physiological_scale(its.X, its.feature_names) for its in (of_mouse, of_human))
    every = np.ones(len(target), dtype=bool)
    tasks["mouse -> human"] = (
        X,
        of_mouse.y,
        of_mouse.labels["donor"].to_numpy(str),
        target,
        of_mouse.families,
        every,
    )
    rows = {}
    for task, (X, y, groups, target, families, chosen) in tasks.items():
        kept = reported[chosen]
        said = {}
        for seed in SEEDS:
            for name, model in candidates(task, seed).items():
                transfers = isinstance(model, ZeroShotClassifier)
                of_families = (
                    families
                    if not transfers or model.keep_missing or model.alignment == "halfway"
                    else None
                )
                model = (
                    model.fit(X, y, target, of_families)
                    if transfers
                    else fitted(model, X, y, families, groups)
                )
                said.setdefault(name, []).append(model.predict_proba(target))
                print(task, seed, name, file=sys.stderr, flush=True)
        true, classes = cells.y[chosen], np.unique(cells.y)
        baseline = said[REFERENCE.get(task, DEFAULT)]
        for name, of_seeds in said.items():
            found = [
                scores(true[kept], classes[p[kept].argmax(1)], p[kept], classes) for p in of_seeds
            ]
            row = {
                metric: np.mean([its[metric] for its in found])
                for metric in ("macro_f1", "accuracy", "log_loss")
            }
            row["ECE"] = np.mean(
                [calibration_error(true[kept], p[kept], classes) for p in of_seeds]
            )
            low, high = over_donors(
                true[kept], of_seeds, baseline, kept, donors[chosen][kept], classes
            )
            row["macro_f1 of the half that settings were chosen on"] = np.mean(
                [f1_of(true[~kept], p[~kept], classes) for p in of_seeds]
            )
            gain = row["macro_f1"] - np.mean(
                [f1_of(true[kept], p[kept], classes) for p in baseline]
            )
            row["macro_f1 minus the reference"] = f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]"
            rows[task, name] = row
    return pd.DataFrame(rows).T.infer_objects().rename_axis(["task", "model"]).reset_index("model")


def candidates(task, seed):
    """Models of a task: baselines, the default, and what may be gained."""
    if task == "mouse -> human":
        zero = {
            name: ZeroShotClassifier(model)
            for name, model in models(seed).items()
            if name != "LightGBM"
        }
        adapted = EphysTypeClassifier(power=0.5, random_state=seed)
        return zero | {
            "ZeroShotClassifier": ZeroShotClassifier(random_state=seed),
            "ZeroShotClassifier(EphysTypeClassifier(power=0.5), keep_missing=True)": ZeroShotClassifier(
                adapted, keep_missing=True
            ),
        }
    half = ZeroShotClassifier(alignment="halfway", random_state=seed)
    smooth = EphysTypeClassifier(
        members=("kernel", "attention", "logistic"), power=1.0, random_state=seed
    )
    return models(seed) | {
        DEFAULT: EphysTypeClassifier(random_state=seed),
        f"{DEFAULT}(power=1)": EphysTypeClassifier(power=1.0, random_state=seed),
        f"{DEFAULT}(members=('kernel', 'attention', 'logistic'), power=1)": smooth,
        "ZeroShotClassifier(alignment='halfway')": half,
    }


def f1_of(true, p, classes):
    return label_scores(true, classes[p.argmax(axis=1)], classes)["macro_f1"]


def over_donors(true, a, b, kept, donors, classes, n=2000):
    """Ends of the 95 % interval of the difference of macro-F1 over resampled donors, mean over the seeds."""
    rng, of_donors = (
        np.random.default_rng(0),
        [np.flatnonzero(donors == d) for d in np.unique(donors)],
    )
    drawn = []
    for _ in range(n):
        cells = np.concatenate(
            [of_donors[i] for i in rng.integers(len(of_donors), size=len(of_donors))]
        )
        pairs = zip(a, b, strict=True)
        drawn.append(
            np.mean(
                [
                    _f1(true[cells], p[kept][cells], classes)
                    - _f1(true[cells], q[kept][cells], classes)
                    for p, q in pairs
                ]
            )
        )
    return np.percentile(drawn, [2.5, 97.5])


def _f1(true, p, classes):
    """Macro-F1 of the classes that are there."""
    predicted, there = classes[p.argmax(axis=1)], [name for name in classes if (true == name).any()]
    return np.mean(
        [
            2
            * ((true == k) & (predicted == k)).sum()
            / ((true == k).sum() + (predicted == k).sum())
            for k in there
        ]
    )


def false_alarms(human):
    """Warnings of tables of held-out donors, which are like the training cells, and of the other condition."""
    donors, condition = (human.labels[name].to_numpy(str) for name in ("donor", "condition"))
    rows = []

    def looked_at(train, test, kind):
        scaling = FeatureScaling().fit(human.X[train])
        around, z = (
            Surroundings(scaling.transform(human.X[train]), donors[train]),
            scaling.transform(human.X[test]),
        )
        far = around.far(z)
        moved = around.moved(z).sum()
        rows.append(
            {
                "cells of": kind,
                "tables": 1,
                "far cells": far.mean(),
                "warned of cells": around.too_many(far),
                "warned of features": moved > 0,
                "features": moved,
            }
        )

    for folds in repeated_donor_folds(human, 5, range(10, 22)).values():
        for train, test in folds:
            looked_at(train, test, "other donors, a fifth of the cells")
            for donor in np.unique(donors[test])[:8]:
                looked_at(train, test[donors[test] == donor], "a single donor")
    for there, here in (("acute", "culture"), ("culture", "acute")):
        looked_at(condition == there, condition == here, f"{there} -> {here}")
    rows = pd.DataFrame(rows).astype({"warned of cells": float, "warned of features": float})
    return rows.groupby("cells of", sort=False).agg(
        {name: "sum" if name == "tables" else "mean" for name in rows if name != "cells of"}
    )


if __name__ == "__main__":
    main()
