"""What of the results of a data set is missing or half done, and which command makes it."""

import re

import numpy as np
import pandas as pd

from sbnn.data.datasets import DATASETS
from sbnn.evaluation.folds import paper_folds
from sbnn.evaluation.runs import unfinished

#: What the tables of a data set are made of, whatever else there is.
NEEDED = ("cv_default", "cv_ridge", "fit_default_2d", "halves_default", "interpretation", "map_trust")
FAST = "-fast"  # ending of folders of trials
FAST_FOLDS = 2  # that a trial fits of all
USUAL_NUMBERS = (10, 5, 3, *range(2, 21))  # of folds, the likely ones first


def progress_table(folder):
    """Which results are missing, how far those have come that were interrupted, and which command goes on."""
    parts, there = unfinished(folder), {path.stem for path in folder.glob("*.pickle")}
    if not parts and not there:
        return pd.DataFrame({"state": []}, pd.Index([], name="result"))
    states = {name: f"{_so_far(records, folder)}; {_command(name, folder)} goes on" for name, records in parts.items()}
    states |= {
        name: f"not there; {_command(name, folder)} makes it" for name in NEEDED if name not in there | states.keys()
    }
    return pd.DataFrame({"state": states.values()}, pd.Index(states, name="result"))


def _command(name, folder):
    """The command that makes a result; "..." are the tables of the user, of which `sbnn fit` makes all."""
    dataset = folder.name.removesuffix(FAST)
    steps = {"cv": "cv", "apart": "cv", "genes_curve": "genes", "gene_prior": "prior"}
    step = steps.get(name) or (steps.get(name.split("_")[0], "fit") if dataset in DATASETS else "fit")
    of_user = "" if dataset in DATASETS else " ..."
    return f"`sbnn {step} {dataset}{of_user}{' --fast' if folder.name.endswith(FAST) else ''}`"


def _so_far(records, folder):
    """How many fits of an experiment are finished, and the test R2 of the grid point that is looked at most."""
    points = {}
    for record in records:
        points.setdefault(str(record.params[0]), []).append(record)
    its = max(points.values(), key=lambda some: (some[0].params[0].get("n_components") == 2, len(some)))
    if "test_r2" not in its[0].values or not its[0].folds:
        return f"{len(records)} fits finished"
    wanted = FAST_FOLDS if folder.name.endswith(FAST) else _number_of_folds(its[0].folds[0])
    folds = f"{len(its)} of {wanted} folds" if wanted else f"{len(its)} folds finished"
    which = re.sub(r"[{}']", "", str(its[0].params[0])).replace(": ", "=") if len(points) > 1 else ""
    return (
        f"{folds}{f' with {which}' if which else ''}, test R2 so far {np.mean([one.test_r2 for one in its]):.3f}"
        f"{f', {len(records)} fits of all settings' if which else ''}"
    )


def _number_of_folds(fold):
    """How many folds of the usual cut there are, if this is one of them; else None."""
    train, test = fold
    n = len(train) + len(test)
    for number in USUAL_NUMBERS:
        if n // number == len(test) and any(np.array_equal(test, its) for _, its in paper_folds(n, number)):
            return number
    return None
