"""What the records of transfer say: scores by number of labelled cells, and paired gains."""

import numpy as np
import pandas as pd

from sbnn.evaluation.verdict import corrected_difference

WITHOUT = "human only"
CONTROL = "human only, two experts"  # the second expert of a transfer, trained on the target's labelled cells instead
ALL = "all"
TEST_SHARE = 0.25  # test cells per training cell of five folds, labelled or not


def by_size(record):
    """Scores of learning curves, mean over the draws, with the column ``size``: labelled cells, or ``"all"``.

    Parameters
    ----------
    record : Record
        From `sbnn.ephys_types.transfer_study.run_learning_curves`: `scores` has the columns `n_cells`, `model`,
        `method`, `seed`, `fold`, `draw`, `macro_f1` and `accuracy`. The folds are not equally large, so that all their
        training cells are not a fixed number of them.

    Returns
    -------
    DataFrame
    """
    scores = record.scores
    fixed = [size for size in record.settings["sizes"] if size is not None]
    size = scores["n_cells"].astype(object).where(scores["n_cells"].isin(fixed), ALL)
    keys = ["model", "method", "size", "seed", "fold"]
    means = scores.assign(size=size).groupby(keys, sort=False)[["n_cells", "macro_f1", "accuracy"]].mean()
    return means.reset_index()


def sizes_of(scores):
    """Sizes in ascending order, ``"all"`` last."""
    sizes = scores["size"].unique()
    return sorted((size for size in sizes if size != ALL), key=int) + [ALL] * (ALL in sizes)


def gain(scores, model, method, size, metric="macro_f1", over=WITHOUT):
    """By how much a model is better with a method of transfer than with another method, on the same folds and cells.

    Parameters
    ----------
    scores : DataFrame
        From `by_size`.
    model, method : str
    size : int or "all"
    metric : {"macro_f1", "accuracy"}
    over : str
        The other method: `WITHOUT`, or `CONTROL` for what the source is worth beyond any second expert.

    Returns
    -------
    PairedDifference or None
        None where the model has no counterpart by the other method. The interval takes `TEST_SHARE` at every size,
        since what it corrects for is that two splits share test cells, which are a fifth of all cells however few of
        the others are labelled.
    """
    chosen = scores[(scores["model"] == model) & (scores["size"] == size)]
    wide = chosen.pivot(index=["seed", "fold"], columns="method", values=metric)
    if method in (WITHOUT, over) or not {method, over} <= set(wide) or len(wide) < 2:
        return None
    if wide[[method, over]].isna().any(axis=None):
        raise ValueError(f"scores: the folds of {model!r}, {method!r} and {over!r} at {size} cells are not the same")
    return corrected_difference(wide[method] - wide[over], TEST_SHARE)


def methods_of(scores):
    """Pairs of model and method in the order of the models, what uses no source first."""
    pairs = list(dict.fromkeys(zip(scores["model"], scores["method"], strict=True)))
    models = list(dict.fromkeys(model for model, _ in pairs))
    return sorted(pairs, key=lambda pair: (models.index(pair[0]), pair[1] != WITHOUT))


def curves_table(record):
    """Scores with and without transfer by number of labelled cells, and the gain.

    Returns
    -------
    DataFrame
        Indexed by (cells, model, method): ``macro_f1`` and ``accuracy`` (mean over folds and seeds), ``sd`` of macro-F1
        over the seeds, and where the model was fitted without transfer too ``gain`` over that with ``low`` and ``high``
        of its 95 % interval; where it was with a second expert of the same cells, ``gain over two``, ``low over two``
        and ``high over two``.
    """
    scores, rows = by_size(record), {}
    for size in sizes_of(scores):
        of_size = scores[scores["size"] == size]
        for model, method in methods_of(of_size):
            chosen = of_size[(of_size["model"] == model) & (of_size["method"] == method)]
            seeds = chosen.groupby("seed")[["macro_f1", "accuracy"]].mean()
            row = {"macro_f1": seeds["macro_f1"].mean(), "sd": seeds["macro_f1"].std()}
            row["accuracy"] = seeds["accuracy"].mean()
            for over, ending in ((WITHOUT, ""), (CONTROL, " over two")):
                found = gain(scores, model, method, size, over=over)
                ends = found[:3] if found else [np.nan] * 3
                row |= {f"{name}{ending}": end for name, end in zip(("gain", "low", "high"), ends, strict=True)}
            rows[str(size), model, method] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["cells", "model", "method"])


def zero_shot_table(record):
    """Scores without any label of the target by direction and method: mean and SD over the seeds.

    Parameters
    ----------
    record : Record
        From `sbnn.ephys_types.transfer_study.run_zero_shot`.

    Returns
    -------
    DataFrame
        Indexed by (way, method): ``macro_f1``, ``sd``, ``accuracy``.
    """
    by = record.scores.groupby(["way", "method"], sort=False)
    table = by[["macro_f1", "accuracy"]].mean()
    table.insert(1, "sd", by["macro_f1"].std())
    return table
