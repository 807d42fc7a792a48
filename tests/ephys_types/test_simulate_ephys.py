"""Simulated neurons: features, labels and mice; see also test_simulate.py."""

import numpy as np
import pytest

from sbnn.ephys_types.features import HUMAN_RELEASE, release_features
from sbnn.ephys_types.simulate import simulate_ephys_types


@pytest.fixture(scope="module")
def human():
    return simulate_ephys_types(40, random_state=0)


def test_features_and_families_are_those_of_the_release(human):
    release = release_features(HUMAN_RELEASE)
    assert human.var_names.tolist() == release.index.tolist()
    assert human.var["family"].tolist() == release["family"].tolist()


def test_human_cells_are_acute_or_cultured(human):
    assert set(human.obs["condition"]) == {"acute", "culture"}


@pytest.fixture(scope="module")
def mouse():
    return simulate_ephys_types(40, random_state=0, species="mouse")


def test_mouse_cells_are_those_of_committed_results(mouse):
    assert np.nanmedian(mouse.X[:, 0]) == pytest.approx(1.9759950932)


def test_vip_cells_of_mice_are_of_two_types(mouse):
    of_vip = mouse.obs.loc[mouse.obs["type"] == "VIP", "type5"]
    assert of_vip.value_counts().to_dict() == {"VIP": 7, "SNCG": 5}


def test_other_types_of_mice_are_the_same(mouse):
    others = mouse.obs[mouse.obs["type"] != "VIP"]
    assert others["type5"].tolist() == others["type"].tolist()
    assert others["type"].value_counts().to_dict() == {"SST": 14, "PVALB": 8, "LAMP5": 6}
