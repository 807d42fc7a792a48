"""Two-dimensional map of a latent space of any width."""

import numpy as np

from sbnn.errors import require


def embed(latent, seed=0):
    """Two coordinates per cell, (n, 2): the latent space or, if it is wider, its t-SNE."""
    n, d = latent.shape
    if d <= 2:
        return np.column_stack([latent, np.zeros((n, 2 - d))])
    require("openTSNE")
    from openTSNE import TSNE  # slower to import than all other packages

    # approximate neighbours depend on the instruction set of the machine
    how = {"initialization": "pca", "neighbors": "exact", "n_jobs": 1, "random_state": seed}
    tsne = TSNE(perplexity=min(30, (n - 1) / 3), **how)
    return np.asarray(tsne.fit(np.ascontiguousarray(latent, dtype=np.float64)))
