"""Genes that are selected inside of a fold: no test cell is seen."""

import numpy as np
import selection_leak

from sbnn import LeaveOneOutRidge
from sbnn.data.preprocessing import select_genes


def test_selection_inside_the_fold_sees_no_test_cell(data):
    def compare(counts):
        folds = [(np.arange(20, data.n_cells), np.arange(20))]
        return selection_leak.compare(LeaveOneOutRidge(), counts, data.Y, folds, n_genes=12).loc[0]

    inside = select_genes(data.counts[20:], 12).selected
    other = data.counts.copy()
    other[:20, ~inside] = 1000
    compared = compare(data.counts)
    assert compare(other)["training cells"] == compared["training cells"]
    assert compared["shared"] == (select_genes(data.counts, 12).selected & inside).sum()
