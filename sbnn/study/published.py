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
    table, rows = pd.read_csv(Path(__file__).with_name("published.csv"), dtype=object), {}
    kinds = dict.fromkeys(("n_components", "rank", "n_genes", "folds", "from_genes"), int)
    kinds |= {
        "group_lasso": float,
        "test_r2": float,
        "sd": float,
        "pretraining": lambda text: text == "True",
    }
    for row in table.to_dict("records"):
        known = {name: kinds.get(name, str)(value) for name, value in row.items() if value == value}
        rows.setdefault(known.pop("dataset"), []).append(known)
    return rows


R2 = _read()


def rows(dataset, n_genes, **wanted):
    """Published results for `n_genes` genes (or an unknown number of genes) whose entries equal `wanted`."""
    found = [row for row in R2.get(dataset, []) if row.get("from_genes", n_genes) == n_genes]
    return [row for row in found if all(row.get(key) == value for key, value in wanted.items())]


def comparable(record):
    """Published results at the last epoch, for the same numbers of folds and genes as in our cross-validation."""
    return rows(
        record.dataset,
        len(record.values.get("gene_names", ())),
        folds=len(record.folds),
        stage=LAST,
    )


def srrr_genes(dataset):
    """Published numbers of genes in sparse reduced-rank regression, by rank; empty if none were published."""
    genes = {}
    for model in R2.get(dataset, []):
        if "rank" in model:
            genes.setdefault(model["rank"], []).append(model["n_genes"])
    return genes
