"""Effect of a gene prior: lists of genes with increasing influence, against random genes."""

from itertools import chain

import numpy as np
import pandas as pd

from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.data.paired import as_paired
from sbnn.evaluation.crossval import cross_validate
from sbnn.evaluation.folds import folds_of, paper_folds
from sbnn.evaluation.identity import described_models
from sbnn.evaluation.runs import load_or_compute
from sbnn.metrics import folds_counted
from sbnn.results import Record

CONTROL = "random genes"
FEW = "distilled, 60 cells", 60  # a model in the saved results, and its number of training cells


def with_control(lists, gene_names, seed=0):
    """Measured genes of every list, in the order of the data, and as many random genes."""
    names = np.asarray(gene_names, dtype=str)
    found = {}
    for title, genes in lists.items():
        found[title] = names[np.isin(names, list(genes))].tolist()
        if not found[title]:
            raise ValueError(f"lists: expected genes of the data in every list, not so {title!r}")
    n_genes = len(next(iter(found.values())))
    drawn = np.random.default_rng(seed).choice(names, n_genes, replace=False)
    return found | {CONTROL: names[np.isin(names, drawn)].tolist()}


def with_few_cells(folds, n_cells):
    """The same folds with only `n_cells` training cells each, drawn at random."""
    smaller = []
    for fold, (train, test) in enumerate(folds):
        drawn = np.random.default_rng(fold).permutation(train)[:n_cells]
        smaller.append((np.sort(drawn), test))
    return smaller


def compare_priors(
    models, data, folds, lists, influences, *, results=None, overwrite=False, n_jobs=1, seed=0
):
    """Cross-validate networks with each list of genes as the prior, for several influences.

    Parameters
    ----------
    models : dict of str to network
    data : AnnData
    folds, influences : dict
        Folds of each model, as in `sbnn.cross_validate`, and influences of the prior for each
        model, including 0. All models have the same number of folds. At an influence of 0, one fit
        is used for all lists.
    lists : dict of str to list of str
        Gene names in each list; the last list is the control, see `with_control`.
    results : str or path-like, optional
        File in which the comparison is saved. If it already holds this comparison, nothing is
        computed.
    overwrite, n_jobs, seed
        See `sbnn.cross_validate`.

    Returns
    -------
    Record
        ``values`` contains ``table``, with one row for each ``model``, ``list``, ``influence`` and
        ``fold`` and the columns ``test_r2``, ``listed`` (the share of the kept genes that are in
        the list) and, if the truth is known, ``true`` (the share of the kept genes that are true
        genes). It also contains ``kept``, an ndarray of int, of shape (rows of the table, kept
        genes), with positions in ``gene_names``; ``gene_names``, all genes that were kept at least
        once; ``lists``; and for each model, ``test_share``, the number of test cells per other
        cell, and ``folds_counted``, see `sbnn.metrics.folds_counted`.
    """
    data = as_paired(data)
    folds = {name: folds_of(folds[name], data.n_cells) for name in models}
    wanted = Record("gene prior", data.name, data.sha256, [{}], seed)
    wanted.settings = {"scaling": "fold", "folds": _named(folds, data.n_cells), "lists": lists}
    n_cells = {name: len(of_model[0][0]) for name, of_model in folds.items()}
    for name, settings in described_models(models, n_cells, results, overwrite).items():
        wanted.settings[name] = settings | {"influences": list(influences[name])}

    def compute():
        rows = {}
        kept = []
        for name, model in models.items():
            grid = _grid(lists, influences[name])
            record = cross_validate(model, data, folds[name], grid, n_jobs, seed=seed)
            for title, genes in lists.items():
                for influence in influences[name]:
                    listed = {"gene_prior": genes} if influence else {}
                    g = record.find(prior_influence=influence, **listed)
                    rows[name, title, influence] = _rows_of(record, g, genes, data)
                    kept += [np.flatnonzero(selected) for selected in record.selected[:, g]]
        table = pd.concat(rows, names=["model", "list", "influence", "fold"]).reset_index()
        used, positions = np.unique(kept, return_inverse=True)
        return {
            "table": table,
            "kept": positions.reshape(len(table), -1).astype(np.int16),
            "gene_names": data.gene_names[used],
            "lists": lists,
            "test_share": {name: _share_tested(folds[name], data.n_cells) for name in models},
            "folds_counted": {name: folds_counted(folds[name]) for name in models},
        }

    return load_or_compute(wanted, compute, results, overwrite)


def _share_tested(folds, n_cells):
    """Number of test cells per other cell, averaged over the folds.

    It does not depend on the number of training cells: folds with few of them share few.
    """
    return float(np.mean([len(test) / (n_cells - len(test)) for _, test in folds]))


def _grid(lists, influences):
    """Grid with one point without a prior, and one for each list and influence above 0."""
    grid = [{"prior_influence": [0.0]}]
    for genes in lists.values():
        for influence in influences:
            if influence:
                grid.append({"gene_prior": [genes], "prior_influence": [influence]})
    return grid


def _rows_of(record, g, genes, data):
    """Table of a grid point: test R2 and shares of listed and of true genes, for each fold."""
    kept = [data.gene_names[selected] for selected in record.selected[:, g]]
    rows = pd.DataFrame({"test_r2": record.test_r2[:, g]})
    rows["listed"] = [np.isin(names, genes).mean() for names in kept]
    if "genes" in data.truth:
        rows["true"] = [np.isin(names, data.truth["genes"]).mean() for names in kept]
    return rows


def _named(folds, n_cells):
    """Description of the folds of each model: they are those of the paper, or a fingerprint."""
    n_folds = len(next(iter(folds.values())))
    of_paper = dict.fromkeys(folds, paper_folds(n_cells)[:n_folds])
    few, n_training = FEW
    if few in folds:
        of_paper[few] = with_few_cells(of_paper[few], n_training)
    fingerprint = _fingerprint(folds)
    if fingerprint == _fingerprint(of_paper):
        return f"the first {n_folds} of ten"
    return fingerprint


def _fingerprint(folds):
    """Fingerprint of the folds of all models."""
    parts = chain.from_iterable(folds.values())
    return fingerprint_arrays(*chain.from_iterable(parts))
