"""Types of cells of other donors, laboratories, conditions and species: accuracy, calibration,
abstention, and how often cells are called far.

    python benchmarks/ephys_types_elsewhere.py            # from the committed record, or measured
    python benchmarks/ephys_types_elsewhere.py --fresh    # measured (about 15 CPU minutes)

Human cells (`lee_human`) of left-out donors (five folds), as they are, with other shares of the
types, and as another laboratory might measure them (`laboratory`); human cells of the other
condition (acute slices or culture), the 15 donors that have cells of both left out of training;
human cells from mouse cells (`gouwens_ephys`) on the 27 shared features; simulated cells of other
seeds and laboratories. Settings were chosen with seed 0 on half of the human donors; reported is
the other half, with seeds 10 and 11 (the folds: 10). Intervals: 2000 resamples of donors. The table
of the default beside LightGBM has all donors, seeds 10 to 12, and intervals corrected for
overlapping folds. Prints Markdown.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from pages import to_markdown
from scipy.special import softmax
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator

from sbnn import load_dataset
from sbnn.data.ephys_features import to_shared_features
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.typed_cells import as_typed
from sbnn.ephys_types import EphysTypeClassifier, ZeroShotClassifier
from sbnn.ephys_types.base import FeatureScaling, lightgbm
from sbnn.ephys_types.classification import scores
from sbnn.ephys_types.distance import Surroundings
from sbnn.ephys_types.folds import repeated_donor_folds
from sbnn.ephys_types.transfer import SMOOTH, physiological_scale
from sbnn.evaluation.verdict import corrected_difference
from sbnn.results import Record, load, save

PATH = Path(__file__).parents[1] / "saved_models/benchmarks/ephys_types_elsewhere.pickle"
SEEDS = (10, 11)
DONOR_SEEDS = (10, 11, 12)
FOLD_SHARE = 0.25  # test cells per training cell of five folds
HALVES = 7  # seed by which the human donors were divided
N_MIXES = 2  # Dirichlet draws of the shares of the types for each table
N_SIMULATED = 2  # data sets of each seed
DEFAULT = "EphysTypeClassifier"
MIX = "EphysTypeClassifier, mix='estimated'"
NO_TREES = f"EphysTypeClassifier(members={SMOOTH})"
HALFWAY = "ZeroShotClassifier(alignment='halfway')"
ZERO_SHOT = "ZeroShotClassifier"
ZERO_SHOT_KEPT = "ZeroShotClassifier(EphysTypeClassifier(power=0.5), keep_missing=True)"
ABSTAIN = 0.6
TITLES = {
    "donors": ("Other donors, all folds", "model"),
    "elsewhere": ("Other donors, laboratories, conditions and species", "task"),
    "abstention": (f"Error of typed cells with abstain={ABSTAIN}", "task"),
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
        found = measured(human, mouse)
        tables = {
            "donors": other_donors(as_typed(human)),
            "elsewhere": elsewhere(found),
            "abstention": abstention(found),
            "far": false_alarms(as_typed(human)),
        }
        record = Record(
            "elsewhere", "lee_human", as_typed(human).sha256, [{}], SEEDS[0], values=tables
        )
        save(record, PATH)
    for name, (title, rows) in TITLES.items():
        print(f"\n## {title}\n\n{to_markdown(record.values[name].rename_axis(rows))}")


def measured(human, mouse):
    """Predictions by task, model and seed: lists of true types, probabilities, donors and far."""
    found = {}
    for seed, source, families, targets in (
        *from_donors(human),
        *from_conditions(human),
        *simulated(),
        *from_mouse(human, mouse),
    ):
        tasks = [task for task, _ in targets]
        predict = zero_shot if "mouse -> human" in tasks else from_types
        predicted = predict(seed, source, families, [cells.X for _, cells in targets])
        for (task, cells), of_models in zip(targets, predicted, strict=True):
            true = np.searchsorted(np.unique(source.y), cells.y)
            for name, (p, far) in of_models.items():
                of_seed = found.setdefault(task, {}).setdefault(name, {}).setdefault(seed, [])
                of_seed.append((true, p, cells.donors, far))
        print(seed, *dict.fromkeys(tasks), sep=", ", file=sys.stderr, flush=True)
    return found


class Cells:
    """Features, types and donors of some cells."""

    def __init__(self, X, y, donors):
        self.X, self.y, self.donors = X, y, donors

    def __getitem__(self, kept):
        return Cells(self.X[kept], self.y[kept], self.donors[kept])


def human_cells(human):
    """Cells, and whether each belongs to the half of the donors that is reported."""
    cells = as_typed(human)
    donors = human.obs["donor"].to_numpy(str)
    of_donors = np.unique(donors)
    chosen = np.random.default_rng(HALVES).permutation(of_donors)[: len(of_donors) // 2]
    return Cells(cells.X, cells.y, donors), cells.families, ~np.isin(donors, chosen)


def from_donors(human):
    cells, families, reported = human_cells(human)
    for fold, (train, test) in enumerate(
        repeated_donor_folds(as_typed(human), 5, SEEDS[:1])[SEEDS[0]]
    ):
        new = cells[test[reported[test]]]
        rng = np.random.default_rng([SEEDS[0], fold])
        yield SEEDS[0], cells[train], families, tables_of(new, cells[train], families, rng)


def tables_of(new, source, families, rng, prefix=""):
    """Tables of new cells: pairs of task and cells."""
    there = Cells(laboratory(new.X, source.X, families, rng), new.y, new.donors)
    tables = [
        ("other donors", new),
        ("LAMP5 and VIP only", new[np.isin(new.y, ["LAMP5", "VIP"])]),
        *(("each type alone", new[new.y == name]) for name in np.unique(new.y)),
        ("another laboratory", there),
    ]
    names, codes = np.unique(new.y, return_inverse=True)
    for _ in range(N_MIXES):
        kept = rng.dirichlet(np.ones(len(names))) / np.bincount(codes)
        drawn = rng.random(len(codes)) < (kept / kept.max())[codes]
        tables += [
            ("other shares", new[drawn]),
            ("another laboratory, other shares", there[drawn]),
        ]
    return [(prefix + task, cells) for task, cells in tables if len(cells.y)]


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


def from_conditions(human):
    cells, families, reported = human_cells(human)
    condition, donors = human.obs["condition"].to_numpy(str), cells.donors
    both = np.isin(donors, [d for d in np.unique(donors) if len(set(condition[donors == d])) > 1])
    for seed in SEEDS:
        for there, here in (("acute", "culture"), ("culture", "acute")):
            new = cells[(condition == here) & reported]
            source = cells[(condition == there) & ~both]
            yield seed, source, families, [(f"{there} -> {here}", new)]


def simulated():
    for seed in SEEDS:
        for k in range(N_SIMULATED):
            source, new = (
                as_typed(simulate_ephys_types(300, start + N_SIMULATED * seed + k))
                for start in (1000, 5000)
            )
            cells = [
                Cells(its.X, its.y, np.char.add(f"{seed} {k} ", its.labels["donor"].to_numpy(str)))
                for its in (source, new)
            ]
            rng = np.random.default_rng([seed, k])
            tables = tables_of(cells[1], cells[0], source.families, rng, "simulated: ")
            yield seed, cells[0], source.families, tables


def from_mouse(human, mouse):
    _, _, reported = human_cells(human)
    of_mouse, of_human = (as_typed(to_shared_features(data)) for data in (mouse, human))
    source, new = (
        Cells(
            physiological_scale(its.X, its.feature_names), its.y, its.labels["donor"].to_numpy(str)
        )
        for its in (of_mouse, of_human)
    )
    new = new[reported]
    for seed in SEEDS:
        yield seed, source, of_mouse.families, [("mouse -> human", new)]


def from_types(seed, source, families, targets):
    """For each target, dict of model to probabilities and far cells."""
    X, y, donors = source.X, source.y, source.donors
    logistic = EphysTypeClassifier(members=["logistic"], power=1.0, random_state=seed)
    plain = {"majority": DummyClassifier(), "LightGBM": lightgbm(seed)}
    default = EphysTypeClassifier(random_state=seed).fit(X, y, families, donors)
    logistic.fit(X, y, families, donors)
    for model in plain.values():
        model.fit(X, y)
    scale = FeatureScaling().fit(X)
    # fitted once, although "halfway" is aligned with each target
    smooth = EphysTypeClassifier(members=SMOOTH, random_state=seed)
    smooth.fit(scale.transform(X), y, families, donors)
    for new in targets:
        far = default.far(new)
        found = {name: model.predict_proba(new) for name, model in plain.items()}
        found["logistic"] = logistic.predict_proba(new)
        found[DEFAULT] = default.predict_proba(new)
        found[MIX] = default.predict_proba(new, mix="estimated")
        found[NO_TREES] = smooth.predict_proba(scale.transform(new))
        halfway = ZeroShotClassifier(FrozenEstimator(smooth), "halfway").fit(X, y, new)
        found[HALFWAY] = halfway.predict_proba(new)
        yield {name: (p, far) for name, p in found.items()}


def zero_shot(seed, source, families, targets):
    """For each target, dict of model to probabilities and far cells; no cell counts as far."""
    logistic = EphysTypeClassifier(members=["logistic"], power=1.0, random_state=seed)
    kept = EphysTypeClassifier(power=0.5, random_state=seed)
    models = {
        "majority": DummyClassifier(),
        "logistic": ZeroShotClassifier(logistic),
        ZERO_SHOT: ZeroShotClassifier(random_state=seed),
        ZERO_SHOT_KEPT: ZeroShotClassifier(kept, keep_missing=True),
    }
    for new in targets:
        found = {}
        for name, model in models.items():
            extra = [] if name == "majority" else [new]
            if name == ZERO_SHOT_KEPT:
                extra.append(families)
            p = model.fit(source.X, source.y, *extra).predict_proba(new)
            found[name] = p, np.zeros(len(new), dtype=bool)
        yield found


def elsewhere(found):
    """Scores of each model, and its macro-F1 minus that of logistic regression."""
    rows = []
    for task, of_models in found.items():
        for name, of_seeds in of_models.items():
            of_seeds = {seed: pooled(parts) for seed, parts in of_seeds.items()}
            row = {"task": task, "model": name}
            for metric in ("macro_f1", "accuracy", "log_loss", "ECE"):
                row[metric] = np.mean([scored(*its[:2])[metric] for its in of_seeds.values()])
            low, high = over_donors(of_models[name], of_models["logistic"])
            gain = mean_f1(of_models[name]) - mean_f1(of_models["logistic"])
            row["macro_f1 minus logistic"] = f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]"
            rows.append(row)
    return pd.DataFrame(rows).set_index("task")


def abstention(found):
    """Error of all cells, of cells that are typed with `abstain`, and of the surer half."""
    rows = []
    for task, of_models in found.items():
        for name in (DEFAULT, HALFWAY, ZERO_SHOT_KEPT):
            if name not in of_models:
                continue
            true, p, donors, far = pooled(
                [part for parts in of_models[name].values() for part in parts]
            )
            wrong, sure = p.argmax(axis=1) != true, p.max(axis=1)
            typed = (sure >= ABSTAIN) & ~far
            gain = wrong[typed].mean() - wrong.mean()
            low, high = interval_of_gain(wrong, typed, donors)
            rows.append(
                {
                    "task": task,
                    "model": name,
                    "error": wrong.mean(),
                    "typed": typed.mean(),
                    "error of typed": wrong[typed].mean(),
                    "minus error": f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]",
                    "error of the surer half": wrong[sure >= np.median(sure)].mean(),
                }
            )
    return pd.DataFrame(rows).set_index("task")


def pooled(parts):
    return [np.concatenate(its) for its in zip(*parts, strict=True)]


def scored(true, p):
    classes = np.arange(p.shape[1])
    found = scores(true, p.argmax(axis=1), p, classes)
    found["macro_f1"] = macro_f1(confusion(true, p, np.zeros(len(true), int), 1)[0])
    return found | {"ECE": calibration_error(true, p, classes)}


def calibration_error(true, p, classes, n_bins=10):
    """Expected calibration error, as `sbnn.ephys_types.classification.calibration` has it."""
    confidence, hit = p.max(axis=1), classes[p.argmax(axis=1)] == true
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    parts = pd.DataFrame({"gap": confidence - hit, "bin": bins}).groupby("bin")["gap"].sum()
    return parts.abs().sum() / len(true)


def confusion(true, p, donors, n_donors):
    """Counts of true and predicted types of each donor, shape (n_donors, k, k)."""
    counts = np.zeros((n_donors, p.shape[1], p.shape[1]))
    np.add.at(counts, (donors, true, p.argmax(axis=1)), 1)
    return counts


def macro_f1(counts):
    """Macro-F1 of the types that are there, from counts of shape (..., k, k)."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    of_true = counts.sum(axis=-1)
    f1 = 2 * hits / np.maximum(of_true + counts.sum(axis=-2), 1)
    return (f1 * (of_true > 0)).sum(axis=-1) / (of_true > 0).sum(axis=-1)


def mean_f1(of_seeds):
    return np.mean([scored(*pooled(parts)[:2])["macro_f1"] for parts in of_seeds.values()])


def resampled(n_donors, n=2000):
    """How often each donor is drawn, shape (n, n_donors)."""
    return np.random.default_rng(0).multinomial(n_donors, np.full(n_donors, 1 / n_donors), size=n)


def over_donors(a, b):
    """95 % interval of the difference of macro-F1 over resampled donors, mean over the seeds."""
    differences = []
    names = np.unique(np.concatenate([pooled(parts)[2] for parts in a.values()]))
    drawn = resampled(len(names))
    for seed in a:
        of_seed = []
        for parts in (a[seed], b[seed]):
            true, p, donors, _ = pooled(parts)
            counts = confusion(true, p, np.searchsorted(names, donors), len(names))
            of_seed.append(macro_f1(np.tensordot(drawn, counts, axes=1)))
        differences.append(of_seed[0] - of_seed[1])
    return np.nanpercentile(np.mean(differences, axis=0), [2.5, 97.5])


def interval_of_gain(wrong, typed, donors):
    """95 % interval of the error of typed cells minus that of all, over resampled donors."""
    names, codes = np.unique(donors, return_inverse=True)
    drawn = resampled(len(names))
    parts = [
        drawn @ np.bincount(codes, weights, len(names))
        for weights in (wrong & typed, typed, wrong, np.ones(len(wrong)))
    ]
    return np.percentile(parts[0] / np.maximum(parts[1], 1) - parts[2] / parts[3], [2.5, 97.5])


def other_donors(human):
    """Five folds by donors: the default beside LightGBM, and what calibration across donors adds."""
    classes, donors, rows, pooled = np.unique(human.y), human.labels["donor"].to_numpy(str), [], {}
    for seed, folds in repeated_donor_folds(human, 5, DONOR_SEEDS).items():
        for fold, (train, test) in enumerate(folds):
            X, y = human.X[train], human.y[train]
            logistic = EphysTypeClassifier(members=["logistic"], power=1.0, random_state=seed)
            plain = {
                "majority": DummyClassifier(),
                "logistic": logistic,
                "LightGBM": lightgbm(seed),
            }
            found = {
                name: model.fit(X, y).predict_proba(human.X[test]) for name, model in plain.items()
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
