"""stub"""

import numpy as np


def preselect_genes(data, n_genes=1000, cells=None):
    order = np.argsort(-data.X[slice(None) if cells is None else cells].var(0), kind="stable")
    mask = np.zeros(data.n_genes, bool)
    mask[order[:n_genes]] = True
    return mask


def with_preselected(data, n_genes, cells=None):
    """Data with the preselected genes only, and what the settings of a record say of it."""
    if n_genes is None:
        return data, {}
    return data.subset(genes=preselect_genes(data, n_genes, cells)), {"preselect": n_genes}
