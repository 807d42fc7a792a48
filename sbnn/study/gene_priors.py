"""What a prior of the genes does: lists of genes at growing influence, beside as many genes drawn at random."""

import numpy as np
import pandas as pd

from sbnn.data.readers.scala import ion_channel_genes
from sbnn.data.registry import find_file
from sbnn.evaluation.crossval import cross_validate
from sbnn.evaluation.folds import paper_folds
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record
from sbnn.study.experiments import SEED, network, settings_of

FEW = 60  # training cells, as in a small study: what little they say leaves more to a prior
ALL_CELLS, FEW_CELLS, PAPER = "distilled", f"distilled, {FEW} cells", "paper"
#: Model -> influences: few, as each is a fit of several seconds in every fold.
INFLUENCES = {ALL_CELLS: (0.0, 0.1, 0.25, 0.5, 1.0), FEW_CELLS: (0.0, 0.1, 0.25), PAPER: (0.0, 0.25)}
N_FOLDS = 3  # the first of the ten of the paper
CONTROL = "random genes"
TRUE_GENES = "true genes"  # the list of those that drive simulated outputs
#: Those of the 1000 genes of M1 that its transcriptomic types are called after, as in "Sst Calb2" or "L6b Kcnip1": the
#: taxonomy of Yao et al., Nature 598, 103 (2021), made of other cells.
TYPE_MARKERS = (
    "Calb1", "Calb2", "Chat", "Col6a1", "Crhr2", "Egln3", "Gpc3", "Hpse", "Kcnip1", "Lamp5", "Lhx6", "Mybpc1", "Npy2r",
    "Penk", "Pvalb", "Reln", "Sst", "Tac2", "Th", "Vip",
)  # fmt: skip
WITH_LISTS = ("scala", "simulated")  # data sets for which lists are known here


def gene_lists(data, lists=None):
    """Lists of genes that somebody may believe in, as far as the data have them, and one of as many at random."""
    lists = lists or _known_lists(data)
    found = {name: [str(gene) for gene in data.gene_names if gene in set(genes)] for name, genes in lists.items()}
    if empty := [name for name, genes in found.items() if not genes]:
        raise ValueError(f"lists: expected names of genes of the data, there are none of them in {empty}")
    n_genes = len(next(iter(found.values())))
    drawn = set(np.random.default_rng(SEED).choice(data.gene_names, n_genes, replace=False))
    return found | {CONTROL: [str(gene) for gene in data.gene_names if gene in drawn]}


def _known_lists(data):
    if data.name == "scala":
        channels = ion_channel_genes(find_file("go_ion_channel_term_summary.txt"))
        return {"ion channels": channels, "type markers": TYPE_MARKERS}
    if data.name != "simulated":
        raise ValueError(f"no lists of genes are known for {data.name!r}, but for {', '.join(WITH_LISTS)}; give some")
    rng = np.random.default_rng(SEED)
    true = rng.permutation(data.truth["genes"])
    half = len(true) // 2
    wrong = rng.permutation(np.setdiff1d(data.gene_names, true))
    return {"half right": [*true[:half], *wrong[:half]], TRUE_GENES: true}


def run_gene_priors(data, path, fresh=False, *, lists=None, fast=False, n_jobs=1):
    """Cross-validate the network with each list of genes as its prior, at growing influence; or load it."""
    lists = gene_lists(data, lists)
    influences, n_folds = (dict.fromkeys(INFLUENCES, (0.0, 0.25)), 2) if fast else (INFLUENCES, N_FOLDS)
    models = {name: network(data, fast, protocol=name.partition(",")[0]) for name in influences}
    folds = folds_of(data, n_folds)
    wanted = Record("gene prior", data.name, data.sha256, [{}], SEED)
    wanted.settings = {"scaling": "fold", "folds": f"the first {n_folds} of ten", "lists": lists}
    n_cells = {name: len(of_model[0][0]) for name, of_model in folds.items()}
    for name, settings in settings_of(models, n_cells, path, fresh).items():
        wanted.settings[name] = settings | {"influences": list(influences[name])}
    how = {"n_jobs": n_jobs, "seed": SEED}
    return load_or_compute(wanted, lambda: compare_priors(models, data, folds, lists, influences, **how), path, fresh)


def compare_priors(models, data, folds, lists, influences, **how):
    """Cross-validate models with each list of genes as their prior, at several influences; nothing is saved.

    `models`, their `folds` (as many for all) and `influences` are dicts by name, `lists` of genes too. At influence 0
    lists are alike: one fit stands for all. Gives ``table``, a row per ``model``, ``list``, ``influence`` and ``fold``
    with ``test_r2``, ``listed``, the share of the kept genes that are in the list, and ``true``, where the truth is
    known; ``kept``, ndarray of int (rows of the table, kept genes), positions in ``gene_names``, the genes that were
    ever kept; and ``lists``.
    """
    rows, kept = [], []
    true = np.isin(data.gene_names, data.truth["genes"]) if "genes" in data.truth else None
    for name, model in models.items():
        some = [influence for influence in influences[name] if influence]
        grid = [{"prior_influence": [0.0]}] * (len(some) < len(influences[name]))
        grid += [{"gene_prior": [genes], "prior_influence": [one]} for genes in lists.values() for one in some]
        record = cross_validate(model, data, folds[name], grid, **how)
        places = {(str(point.get("gene_prior")), point["prior_influence"]): g for g, point in enumerate(record.params)}
        for title, genes in lists.items():
            listed = np.isin(data.gene_names, genes)
            for influence in influences[name]:
                g = places[str(genes if influence else None), influence]
                for fold, selected in enumerate(record.selected[:, g]):
                    row = {"model": name, "list": title, "influence": influence, "fold": fold}
                    row |= {"test_r2": record.test_r2[fold, g], "listed": listed[selected].mean()}
                    rows.append(row if true is None else row | {"true": true[selected].mean()})
                    kept.append(np.flatnonzero(selected))
    used, positions = np.unique(kept, return_inverse=True)
    kept = positions.reshape(len(rows), -1).astype(np.int16)
    return {"table": pd.DataFrame(rows), "kept": kept, "gene_names": data.gene_names[used], "lists": lists}


def folds_of(data, n_folds=N_FOLDS):
    """The first folds of the paper for each model, one of which is given `FEW` training cells of each."""
    usual = paper_folds(data.n_cells)[:n_folds]
    few = []
    for fold, (train, test) in enumerate(usual):
        drawn = np.random.default_rng(fold).permutation(train)[:FEW]
        few.append((np.sort(drawn), test))
    return {ALL_CELLS: usual, FEW_CELLS: few, PAPER: usual}
