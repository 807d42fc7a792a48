"""What of the results of a data set is missing or half done, and which command makes it."""

import pandas as pd

from sbnn.data.datasets import DATASETS
from sbnn.evaluation.runs import unfinished

#: What the tables of a data set are made of, whatever else there is.
NEEDED = ("cv_default", "cv_ridge", "fit_default_2d", "halves_default", "interpretation", "map_trust")
FAST = "-fast"  # ending of folders of trials


def progress_table(folder):
    """Which results are missing, how far those have come that were interrupted, and which command goes on."""
    parts, there = unfinished(folder), {path.stem for path in folder.glob("*.pickle")}
    if not parts and not there:
        return pd.DataFrame({"state": []}, pd.Index([], name="result"))
    states = {
        name: f"{len(records)} fits finished; {_command(name, folder)} goes on" for name, records in parts.items()
    }
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
