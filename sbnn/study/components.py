"""How many dimensions the two measurements have: variance of their principal components."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from sbnn.data.preselection import with_preselected
from sbnn.determinism import reproducible
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record


def principal_components(data, *, preselect=None, results=None, overwrite=False):
    """Share of the variance that every principal component of the genes and of the outputs holds.

    Parameters
    ----------
    data : PairedData
    preselect : int, optional
        Genes to look at, see `sbnn.preselect_genes`.
    results : str or path-like, optional
        File to save to. If it already holds these shares, they are loaded instead.
    overwrite : bool
        Compute anew, whatever `results` holds.

    Returns
    -------
    Record
        ``experiment="principal components"``; ``transcriptome`` and ``outputs``, shares of the variance of the z-scored
        columns, the largest first.
    """
    chosen, said = with_preselected(data, preselect)
    wanted = Record("principal components", data.name, data.sha256, [{}], settings=said)

    def compute():
        values = {}
        for name, matrix in (("transcriptome", chosen.X), ("outputs", data.Y)):
            with reproducible():
                scaled = StandardScaler().fit_transform(np.asarray(matrix, np.float64))
                values[name] = PCA(svd_solver="full").fit(scaled).explained_variance_ratio_
        return values

    return load_or_compute(wanted, compute, results, overwrite)
