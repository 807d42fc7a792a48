"""A latent space of any width as a map of two coordinates."""

import numpy as np


def embed(latent, seed=0):
    """Two coordinates per cell, shape (n, 2): the latent space itself if it is flat, else its t-SNE."""
    n, d = latent.shape
    if d <= 2:
        return np.column_stack([latent, np.zeros((n, 2 - d))])
    from openTSNE import TSNE  # takes longer to import than all the rest

    perplexity = min(30, (n - 1) / 3)
    # Exact neighbours: the approximate index differs between machines with other instructions.
    tsne = TSNE(perplexity=perplexity, initialization="pca", neighbors="exact", n_jobs=1, random_state=seed)
    return np.asarray(tsne.fit(np.ascontiguousarray(latent, dtype=np.float64)))
