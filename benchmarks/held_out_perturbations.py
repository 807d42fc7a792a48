"""Held-out perturbations of a real screen: likelihood before and after their shifts are learned.

    python benchmarks/held_out_perturbations.py [--targets STAT1,JAK2] [--epochs 2]

The targets of Papalexi et al. are held out in five folds, and those of one pathway together. Shifts
are learned from half of the cells of the held-out targets, with the network as it is, and cells of
the other half are scored. "Mean shares" has no latents and thus a likelihood instead of bounds: the
genes of a cell are independent, with the mean shares of all training cells before, and of its
perturbation after.

Measures what is missing, one thread, and keeps it in saved_models, unless there are options; prints
a table.
"""

import argparse
import time
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from pages import print_tables
from screen_rivals import ROOT, Independent, papalexi
from sklearn.base import clone
from sklearn.model_selection import KFold

from sbnn.data.screens import as_screen
from sbnn.mechanism_shift import SparseShiftVAE
from sbnn.mechanism_shift.accuracy import HELD_OUT_CELLS, held_out_bounds
from sbnn.mechanism_shift.records import compute_once
from sbnn.mechanism_shift.report import LABELS

PATHWAY = ["IFNGR1", "IFNGR2", "JAK2", "STAT1"]
PUBLISHED = partial(SparseShiftVAE, 10, training="published", random_state=0)
METHODS = {
    "mean shares": None,
    "vae": PUBLISHED("vae"),
    "ivae": PUBLISHED("ivae"),
    "svae": PUBLISHED("svae"),
    "svae+": PUBLISHED("svae+"),
    "default": SparseShiftVAE(10, random_state=0),
}


def of_fold(adata, model, targets):
    """Bounds of cells of held-out targets, in nats per cell, and CPU seconds."""
    started = time.process_time()
    new = adata.obs["perturbation"].isin(targets)
    known, held_out = as_screen(adata[~new].copy()), as_screen(adata[new].copy())
    if model is None:
        bounds = of_mean_shares(known.counts, held_out)
    else:
        fitted = clone(model).fit(known.counts, known.perturbation, known.control)
        bounds = held_out_bounds(fitted, held_out)
    return {"bounds": bounds | {"seconds": time.process_time() - started}}


def of_mean_shares(counts, new):
    """Likelihoods without latents of the cells that `held_out_bounds` scores."""
    order = np.random.default_rng(0).permutation(len(new.perturbation))
    learn, scored = order[::2], order[1::2][:HELD_OUT_CELLS]
    codes = np.unique(new.perturbation, return_inverse=True)[1]
    same = np.zeros(counts.shape[0], dtype=int)
    before = Independent().fit(counts, same).bounds(new.counts[scored], same[scored])
    after = Independent().fit(new.counts[learn], codes[learn])
    after = after.bounds(new.counts[scored], codes[scored])
    return {"new_elbo_before": before.mean(), "new_elbo": after.mean()}


def measure(targets=None, epochs=None):
    """Compute or load the records; means over the folds, and bounds of the pathway."""
    adata = papalexi(0)
    names = as_screen(adata).targets
    folds = KFold(5, shuffle=True, random_state=0).split(names)
    groups = [*(("folds", names[held_out].tolist()) for _, held_out in folds), ("pathway", PATHWAY)]
    if targets is not None:
        groups = [("targets", targets.split(","))]
    rows = []
    for (group, held_out), (name, model) in product(groups, METHODS.items()):
        results = ROOT / f"saved_models/papalexi/shift_new_{group}_{held_out[0]}_{name}.pickle"
        if targets is not None or epochs is not None:
            results = None
        if epochs is not None and model is not None:
            model = clone(model).set_params(epochs=epochs)
        about = {"params": {"method": name}, "held_out": held_out, "results": results}
        compute = partial(of_fold, adata, model, held_out)
        bounds = compute_once("new perturbations", adata, model, compute, **about).bounds
        rows.append({"held out": group, "method": LABELS.get(name, name)} | bounds)
    table = pd.DataFrame(rows).groupby(["held out", "method"], sort=False).mean()
    return {"Cells of held-out perturbations, nats per cell": table}


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", help="hold out these together")
    parser.add_argument("--epochs", type=int)
    print_tables(measure(**vars(parser.parse_args(arguments))))


if __name__ == "__main__":
    main()
