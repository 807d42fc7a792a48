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
FEW = "distilled, 60 cells", 60  # model, and number of training cells


def with_control(lists, gene_names, seed=0):
    """Measured genes of every list, in order of the data, and as many random genes."""
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
    """The same folds with only `n_cells` random training cells."""
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
        Folds of each model, of equal number, and influences of the prior, including 0, for which
        one fit is used for all lists.
    lists : dict of str to list of str
        Gene names; the last list is the control, see `with_control`.
    results, overwrite, n_jobs, seed
        See `sbnn.cross_validate`.

    Returns
    -------
    Record
        ``table`` has a row for each ``model``, ``list``, ``influence`` and ``fold`` and the columns
        ``test_r2``, ``listed`` (the share of kept genes in the list) and, if known, ``true`` (the
        share of true genes). ``kept``, of shape (rows, kept genes), has positions in
        ``gene_names``. For each model, ``test_share`` is the number of test cells per other cell,
        and ``folds_counted`` is explained in `sbnn.metrics`.
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
    """Test cells per other cell."""
    return float(np.mean([len(test) / (n_cells - len(test)) for _, test in folds]))


def _grid(lists, influences):
    grid = [{"prior_influence": [0.0]}]
    for genes in lists.values():
        for influence in influences:
            if influence:
                grid.append({"gene_prior": [genes], "prior_influence": [influence]})
    return grid


def _rows_of(record, g, genes, data):
    kept = [data.gene_names[selected] for selected in record.selected[:, g]]
    rows = pd.DataFrame({"test_r2": record.test_r2[:, g]})
    rows["listed"] = [np.isin(names, genes).mean() for names in kept]
    if "genes" in data.truth:
        rows["true"] = [np.isin(names, data.truth["genes"]).mean() for names in kept]
    return rows


def _named(folds, n_cells):
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
    parts = chain.from_iterable(folds.values())
    return fingerprint_arrays(*chain.from_iterable(parts))
