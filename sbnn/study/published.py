"""Published numbers for comparison: mean test R2 over the folds, for data z-scored over all cells.

Source: Bernaerts, Berens and Kobak, arXiv 2006.10411 (v3), and the arrays stored with its code,
which hold every epoch of every fold (github.com/berenslab/sBNN). Numbers for networks are from the
end of a training stage, whereas the curves and notebooks of the paper suggest the best epoch, which
was chosen on the test fold. SDs over folds are given if they are known. Results of single folds are
not given, so differences are taken between means.
"""

from pathlib import Path

import pandas as pd

LAST = "last epoch"  # after pruning and fine-tuning, with 25 genes
BEFORE_PRUNING = "before pruning"  # the last epoch with all genes


def _read():
    """Published rows by data set, for networks and for sparse reduced-rank regression."""
    numbers = dict.fromkeys(["n_components", "rank", "n_genes", "folds", "from_genes"], int)
    numbers |= dict.fromkeys(["group_lasso", "test_r2", "sd"], float)
    table = pd.read_csv(Path(__file__).with_name("published.csv"), dtype=object)
    rows = {}
    for _, row in table.iterrows():
        known = dict(row.dropna())  # a network has no rank, for example
        for name in known.keys() & numbers.keys():
            known[name] = numbers[name](known[name])
        if "pretraining" in known:
            known["pretraining"] = known["pretraining"] == "True"
        rows.setdefault(known.pop("dataset"), []).append(known)
    return rows


R2 = _read()


def rows(dataset, n_genes, **wanted):
    """Published results for (possibly) `n_genes` input genes whose entries equal `wanted`."""
    found = []
    for row in R2.get(dataset, []):
        same_genes = row.get("from_genes", n_genes) == n_genes
        if same_genes and wanted.items() <= row.items():
            found.append(row)
    return found


def comparable(record):
    """Published results at the last epoch, for the numbers of folds and genes of our record."""
    n_genes = len(record.values.get("gene_names", ()))
    return rows(record.dataset, n_genes, folds=len(record.folds), stage=LAST)


def srrr_genes(dataset):
    """Published numbers of genes in sparse reduced-rank regression, by rank."""
    genes = {}
    for model in R2.get(dataset, []):
        if "rank" in model:
            genes.setdefault(model["rank"], []).append(model["n_genes"])
    return genes
