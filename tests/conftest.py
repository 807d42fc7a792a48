"""Data that every test file shares: a tiny simulated set, and the real one where it can be found without network."""

import numpy as np
import pytest

from sbnn.datasets import load_dataset
from sbnn.registry import find_file, search_places
from sbnn.simulate import simulate_patchseq


@pytest.fixture(scope="session")
def data():
    """120 cells x 40 genes -> 5 outputs, driven by 8 genes."""
    return simulate_patchseq(
        n_cells=120, n_genes=40, n_outputs=5, n_true_genes=8, n_families=3, n_types=6, random_state=0
    )


@pytest.fixture(scope="session")
def real_scala():
    """The real 1213 x 1000 -> 16 data set, or a skipped test."""
    try:
        return load_dataset("scala", download=False, verbose=False)
    except FileNotFoundError:
        pytest.skip("the Scala data is not on this machine")


@pytest.fixture(scope="session")
def real_file():
    """Path of a published file, given as ``real_file(name)`` or ``real_file(name, folder)``, or a skipped test."""

    def find(name, folder=None):
        if folder is None:
            try:
                return find_file(name, download=False)
            except FileNotFoundError:
                pytest.skip(f"{name} is not on this machine")
        for place in search_places().values():
            if place is not None and (place / folder / name).is_file():
                return place / folder / name
        pytest.skip(f"{folder}/{name} is not on this machine")

    return find


@pytest.fixture(scope="session")
def real_counts(real_file):
    """Complete raw counts of the 185 cells recorded at physiological temperature: counts, cells, genes."""
    from sbnn.scala import read_counts

    return read_counts(real_file("m1_patchseq_phys_temp_exon_counts.csv.gz"))


@pytest.fixture
def rng():
    return np.random.default_rng(0)
