"""Published numbers for comparison: mean test R2 over the folds, for data z-scored over all cells.

Source: Bernaerts, Berens and Kobak, arXiv 2006.10411 (v3), and the arrays stored with its code
(github.com/berenslab/sBNN). Numbers for networks are from the end of a training stage; the curves
and notebooks of the paper suggest the best epoch, which was chosen on the test fold.
"""

from pathlib import Path

import pandas as pd

LAST = "last epoch"  # after pruning and fine-tuning, with 25 genes
BEFORE_PRUNING = "before pruning"  # the last epoch with all genes
R2 = pd.read_csv(Path(__file__).with_name("published.csv")).convert_dtypes()


def rows(dataset, n_genes, **wanted):
    """Published results for (possibly) `n_genes` input genes that equal `wanted`."""
    found = []
    for _, row in R2[R2["dataset"] == dataset].iterrows():
        known = row.dropna().to_dict()  # a network has no rank, for example
        if known.get("from_genes", n_genes) == n_genes and wanted.items() <= known.items():
            found.append(known)
    return found


def comparable(record):
    """Published results at the last epoch, for the folds and genes of our record."""
    n_genes = len(record.values.get("gene_names", ()))
    return rows(record.dataset, n_genes, folds=len(record.folds), stage=LAST)


def srrr_genes(dataset):
    """Published numbers of genes by rank."""
    return R2[R2["dataset"] == dataset].groupby("rank")["n_genes"].agg(list).to_dict()
