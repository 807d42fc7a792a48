"""Figures of the method show the numbers that they are given."""

import numpy as np
import pytest
from made_up import words

from sbnn import plotting
from sbnn.data.datasets import load_dataset


@pytest.fixture(scope="module")
def adata():
    return load_dataset("simulated", verbose=False)


def test_every_map_shows_all_cells(adata):
    xy = np.random.default_rng(0).normal(size=(adata.n_obs, 2))
    figure = plotting.cell_maps({"one": xy, "two": xy[:, ::-1]}, adata)
    assert {"one", "two"} <= set(words(figure).splitlines())
    for ax in figure.axes[:2]:
        drawn = sum(len(dots.get_offsets()) for dots in ax.collections)
        assert drawn >= adata.n_obs
