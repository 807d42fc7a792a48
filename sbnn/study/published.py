"""Published numbers that ours are compared with: test R2, mean over folds, of data z-scored over all cells.

Source: Bernaerts, Berens and Kobak, arXiv 2006.10411 (v3), and the arrays stored with its code, which hold every epoch
of every fold (github.com/berenslab/sBNN). Networks are read at the end of a stage. The paper's curves, and what the
notebooks print, invite to read the best epoch instead, which was chosen on the test fold. Of single folds only that is
at hand, so that differences are taken between means, not fold by fold.
"""

LAST = "last epoch"  # after the pruning and the fine-tuning, 25 genes
BEFORE_PRUNING = "before pruning"  # the last epoch with all genes
LASSOS = (1e-4, 1e-2, 1e-1, 1.0)  # strengths of the group lasso that were published


def _networks(n_components, folds, last, before=(), sd=None, **others):
    """Rows of the network for every strength of the group lasso; `sd` by strength, for the last epoch."""
    for stage, values in ((LAST, last), (BEFORE_PRUNING, before)):
        for group_lasso, test_r2 in zip(LASSOS, values, strict=bool(values)):
            known = {"sd": sd[group_lasso]} if stage == LAST and sd and group_lasso in sd else {}
            yield {
                "n_components": n_components, "group_lasso": group_lasso, "pretraining": True, "n_genes": 25,
                "folds": folds, "stage": stage, "test_r2": test_r2, **known, **others,
            }  # fmt: skip


def _linear(rank, n_genes, test_r2):
    return {"rank": rank, "n_genes": n_genes, "folds": 10, "stage": LAST, "test_r2": test_r2}


# Data set -> rows: the network by width, strength of the group lasso and pretraining; sparse reduced-rank regression
# (relaxed) by rank. Each names its folds (`paper_folds`), the stage of the training, and the SD over the folds where it
# is known. `from_genes` is how many genes there were to choose from, where we may have fewer.
R2 = {
    "scala": [
        *_networks(2, 10, (0.331, 0.384, 0.397, 0.373), sd={0.1: 0.022}),
        {
            "n_components": 2, "group_lasso": 0.1, "pretraining": False, "n_genes": 25,
            "folds": 10, "stage": LAST, "test_r2": 0.374,
        },
        # The network without a bottleneck was trained on two thirds of the cells.
        *_networks(64, 3, (0.289, 0.249, 0.409, 0.399), (0.246, 0.267, 0.410, 0.339)),
        _linear(2, 24, 0.350),
        _linear(16, 24, 0.398),
        _linear(16, 33, 0.409),
        _linear(16, 83, 0.438),
    ],
    "scala_ion_channels": [
        *_networks(
            2, 10, (0.290, 0.320, 0.349, 0.340), (0.213, 0.270, 0.354, 0.308), sd={0.1: 0.028}, from_genes=423
        )
    ],
    "gouwens": [
        *_networks(
            2, 10, (0.178, 0.264, 0.259, 0.228), (0.114, 0.271, 0.252, 0.206), sd={0.01: 0.019, 0.1: 0.007}
        ),
        *_networks(64, 10, (0.180, 0.276, 0.294, 0.256), (0.051, 0.284, 0.297, 0.231), sd={0.1: 0.012}),
        _linear(2, 23, 0.188),
        _linear(16, 26, 0.248),
    ],
    "stoeckius": [
        *_networks(
            2, 10, (0.384, 0.418, 0.379, 0.341), (-0.133, 0.407, 0.421, 0.392), sd={0.01: 0.045, 0.1: 0.107}
        ),
        *_networks(
            64, 10, (0.305, 0.431, 0.410, 0.266), (0.367, 0.463, 0.502, 0.440), sd={0.01: 0.041, 0.1: 0.144}
        ),
        _linear(2, 24, 0.229),
        _linear(13, 26, 0.352),
        _linear(13, 113, 0.417),
    ],
}  # fmt: skip

# Data set -> penalties of sparse reduced-rank regression, falling
ALPHAS = {"scala": [round(0.1 * k, 1) for k in range(19, 0, -1)]}


def rows(dataset, n_genes, **wanted):
    """Published results that ours can be compared with.

    Parameters
    ----------
    dataset : str
    n_genes : int
        Genes in our data. What was computed from another number of them is left out.
    **wanted
        Entries that a row must have, such as ``folds=10`` or ``stage=LAST``.

    Returns
    -------
    list of dict
    """
    return [
        row
        for row in R2.get(dataset, [])
        if row.get("from_genes", n_genes) == n_genes and all(row.get(key) == value for key, value in wanted.items())
    ]


def comparable(record):
    """Rows at the last epoch that were computed on as many folds and from as many genes as a cross-validation.

    Parameters
    ----------
    record : Record

    Returns
    -------
    list of dict
    """
    if "gene_names" not in record.values:  # of nobody knows how many genes
        return []
    return rows(record.dataset, len(record.gene_names), folds=len(record.folds), stage=LAST)


def srrr_genes(dataset):
    """Rank -> numbers of genes at which sparse reduced-rank regression was published; empty for other data sets."""
    genes = {}
    for model in R2.get(dataset, []):
        if "rank" in model:
            genes.setdefault(model["rank"], []).append(model["n_genes"])
    return genes
