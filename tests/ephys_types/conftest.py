"""The study with quick models, run once on simulated cells."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stand_ins import MODELS  # noqa: E402

from sbnn.data.simulate_ephys import simulate_ephys_types  # noqa: E402
from sbnn.data.typed_cells import as_typed  # noqa: E402
from sbnn.ephys_types import figures, models, report, study, transfer_study  # noqa: E402


@pytest.fixture(scope="module")
def quick():
    """Put quick models in the places of the real ones, for the tests of one file."""
    with pytest.MonkeyPatch.context() as changed:
        for module in (models, report, figures):
            changed.setattr(module, "MODELS", MODELS)
        changed.setattr(transfer_study, "learners", lambda: {"kernel": transfer_study.KernelLogistic()})
        changed.setattr(study, "N_SHUFFLES", 1)
        yield


@pytest.fixture(scope="session")
def simulated():
    """200 human cells, as an AnnData."""
    return simulate_ephys_types(200, random_state=0)


@pytest.fixture(scope="session")
def cells(simulated):
    """The same, as arrays."""
    return as_typed(simulated)


@pytest.fixture(scope="module")
def folder(quick, simulated, tmp_path_factory):
    """Results of the study but for transfer, with all folds."""
    folder = tmp_path_factory.mktemp("saved") / "simulated_ephys"
    study.STUDY.run(simulated, folder, "cv", verbose=False)
    return folder
