"""Nothing is lost by a fault, a few tries of each."""

import pytest
from tried import FAULTS

pytestmark = pytest.mark.filterwarnings("ignore:held-out cells of")


@pytest.mark.parametrize(
    ("name", "seed"), [(name, i) for name, (_, seeds, _) in FAULTS.items() for i in range(seeds)]
)
def test_nothing_is_lost_by(name, seed, tmp_path):
    if not FAULTS[name][0](tmp_path, seed):
        pytest.skip("this cannot be tried here")
