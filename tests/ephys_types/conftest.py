"""The study with quick models, run once on simulated cells."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from stand_ins import MODELS  # noqa: E402

from sbnn import simulate_ephys_types  # noqa: E402
from sbnn.ephys_types import models, report, study, transfer_study  # noqa: E402
from sbnn.ephys_types.figures import gallery  # noqa: E402


@pytest.fixture(scope="module")
def quick():
    """Put quick models in the places of the real ones, for the tests of one file."""
    with pytest.MonkeyPatch.context() as changed:
        for module in (models, report, study, gallery):
            changed.setattr(module, "MODELS", MODELS)
        quick_learners = {"trees": MODELS["family_attention"].estimator.__class__.__base__(5, random_state=0)}
        changed.setattr(transfer_study, "learners", lambda: {"kernel": _imputed(quick_learners["trees"])})
        yield


def _imputed(model):
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(SimpleImputer(keep_empty_features=True), model)


@pytest.fixture(scope="session")
def cells():
    return simulate_ephys_types(200, random_state=0)


@pytest.fixture(scope="module")
def folder(quick, cells, tmp_path_factory):
    """Results of the study but for transfer, with all folds."""
    folder = tmp_path_factory.mktemp("saved") / cells.name
    study.run_cross_validations(cells, folder, verbose=False)
    study.run_cells(cells, folder)
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(study, "N_SHUFFLES", 1)
        study.run_families(cells, folder, verbose=False)
    return folder
