"""Settings of the distilled network are checked and kept as plain numbers; versions of results."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from sbnn import DistilledSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_trees", 2.5),
        ("n_teachers", 1),
        ("most_cells", 1),
        ("few_cells", -1),
        ("share_kept", 1),
        ("swapped", 1.1),
        ("few_cells_swapped", 1.1),
        ("rate_of_student", 1.1),
        ("rate_of_teachers", 1.1),
        ("process_steps", (12,)),
        ("process_start", (0.5, 0.1)),
        ("noises", (0.8, 0.5)),
        ("noises", (0.8, 0.8)),
        ("usual_noise", 0.7),
    ],
)
def test_what_is_out_of_range_is_named(name, value):
    with pytest.raises((ValueError, TypeError), match=f"{name}|noises"):
        DistilledSettings(**{name: value})


def test_settings_are_plain_numbers_and_stay():
    settings = DistilledSettings(
        noises=[np.float32(0.5), 1], usual_noise=1, n_trees=np.int64(7), prior_cells=50
    )
    changed = "noises=(0.5, 1.0), usual_noise=1.0, n_trees=7, prior_cells=50.0"
    assert repr(settings) == f"DistilledSettings({changed})"
    stored = json.loads(json.dumps(asdict(settings)))
    assert hash(settings) == hash(DistilledSettings(**stored))
