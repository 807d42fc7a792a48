"""Data sets that several tests of loaders and checks look at."""

import pytest

from sbnn import load_dataset


@pytest.fixture(params=["simulated_ephys", "lee_human", "gouwens_ephys"])
def typed_cells(request):
    """Every data set of typed cells that is on this machine."""
    offline = {} if request.param == "simulated_ephys" else {"download": False}
    try:
        return load_dataset(request.param, verbose=False, **offline)
    except FileNotFoundError:
        pytest.skip(f"the data of {request.param} are not on this machine")
