"""Published numbers that ours are compared with: test R2, mean over the ten folds.

Source: Bernaerts, Berens and Kobak, arXiv 2006.10411 (v3) and the results stored with its code
(github.com/berenslab/sBNN), computed with data z-scored over all cells. The networks' are those of the last epoch:
none was chosen on the test fold.
"""

# Data set -> models: the network by width, strength of the group lasso, genes and pretraining, sparse reduced-rank
# regression (relaxed) by rank and genes.
R2 = {
    "scala": [
        {"n_components": 2, "group_lasso": 0.1, "pretraining": True, "n_genes": 25, "test_r2": 0.397},
        {"n_components": 2, "group_lasso": 0.1, "pretraining": False, "n_genes": 25, "test_r2": 0.374},
        {"n_components": 2, "group_lasso": 1e-4, "pretraining": True, "n_genes": 25, "test_r2": 0.331},
        {"n_components": 2, "group_lasso": 1e-2, "pretraining": True, "n_genes": 25, "test_r2": 0.384},
        {"n_components": 2, "group_lasso": 1.0, "pretraining": True, "n_genes": 25, "test_r2": 0.373},
        {"n_components": 64, "group_lasso": 0.1, "pretraining": True, "n_genes": 25, "test_r2": 0.409},
        {"rank": 2, "n_genes": 24, "test_r2": 0.350},
        {"rank": 16, "n_genes": 24, "test_r2": 0.398},
        {"rank": 16, "n_genes": 33, "test_r2": 0.409},
        {"rank": 16, "n_genes": 83, "test_r2": 0.438},
    ],
    "gouwens": [
        {"n_components": 2, "group_lasso": 0.1, "pretraining": True, "n_genes": 25, "test_r2": 0.264},
        {"n_components": 64, "group_lasso": 0.1, "pretraining": True, "n_genes": 25, "test_r2": 0.294},
        {"rank": 2, "n_genes": 23, "test_r2": 0.188},
        {"rank": 16, "n_genes": 26, "test_r2": 0.248},
    ],
    "stoeckius": [
        {"n_components": 2, "group_lasso": 0.1, "pretraining": True, "n_genes": 25, "test_r2": 0.418},
        {"n_components": 64, "group_lasso": 0.1, "pretraining": True, "n_genes": 25, "test_r2": 0.431},
        {"rank": 2, "n_genes": 24, "test_r2": 0.229},
        {"rank": 13, "n_genes": 26, "test_r2": 0.352},
        {"rank": 13, "n_genes": 113, "test_r2": 0.417},
    ],
}

# Data set -> penalties of sparse reduced-rank regression, falling
ALPHAS = {"scala": [round(0.1 * k, 1) for k in range(19, 0, -1)]}

# Data set -> width of the bottleneck -> R2 with all genes, just before the pruning (group lasso 0.1)
R2_BEFORE_PRUNING = {"scala": {64: 0.434}}

# CPU seconds of one fit with the published TensorFlow code on one thread
SECONDS_PER_FIT = 28.8


def srrr_genes(dataset):
    """Rank -> numbers of genes at which sparse reduced-rank regression was published; empty for other data sets."""
    genes = {}
    for model in R2.get(dataset, []):
        if "rank" in model:
            genes.setdefault(model["rank"], []).append(model["n_genes"])
    return genes
