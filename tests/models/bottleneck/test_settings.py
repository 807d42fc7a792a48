"""Settings of the distilled network and their form in a file."""

import pytest

from sbnn import DistilledSettings


@pytest.mark.parametrize(
    "wrong", [{"noises": (0.8, 0.5)}, {"noises": (0.8, 0.8)}, {"usual_noise": 0.7}]
)
def test_noises_increase_and_include_the_usual_one(wrong):
    with pytest.raises(ValueError, match="noises"):
        DistilledSettings(**wrong)


def test_only_changed_settings_are_shown():
    settings = DistilledSettings(noises=(0.5, 1.0), usual_noise=1.0, n_trees=7)
    assert repr(settings) == "DistilledSettings(noises=(0.5, 1.0), usual_noise=1.0, n_trees=7)"
