"""A user's own screen: cells with one clear guide, or with a label."""

import io

import numpy as np
import pandas as pd
import pytest

from sbnn.data.readers.screens import read_screen

GUIDES = """,I_1,I_2_b,non_1,M_1
c0,8,2,0,0
c1,0,7,0,0
c2,0,0,7,2
c3,9,0,0,0
c4,0,0,0,4
c6,0,0,6,0
c8,1,0,0,
c9,0,0,0,0
"""


@pytest.fixture
def counts(rng):
    """Counts of nine cells x three genes; c8 has none."""
    cells = ["c0", "c1", "c2", "c3", "c4", "c6", "c7", "c8", "c9"]
    table = pd.DataFrame(rng.poisson(3, (9, 3)) + 1, cells, list("ABC"))
    table.loc["c8"] = 0
    return table


@pytest.mark.parametrize("turn", [pd.DataFrame.copy, pd.DataFrame.transpose])
def test_cells_without_one_clear_guide_are_left_out(counts, tmp_path, turn):
    turn(counts).to_csv(tmp_path / "genes.csv")
    guides = pd.read_csv(io.StringIO(GUIDES), index_col=0)
    with pytest.warns(UserWarning) as warned:
        screen = read_screen(tmp_path / "genes.csv", guides, "non", "mine")
    kept = ["c0", "c1", "c3", "c4", "c6"]
    assert screen.obs_names.tolist() == kept
    assert screen.obs["perturbation"].tolist() == ["I", "I_2_b", "I", "M", "non"]
    assert screen.obs["guide"].tolist() == ["I_1", "I_2_b", "I_1", "M_1", "non_1"]
    np.testing.assert_array_equal(screen.X.toarray(), counts.loc[kept])
    about = screen.uns["sbnn"]
    assert list(about["dropped"].values()) == [["c8"], ["c7"], ["c9"], ["c2"]]
    assert (about["control"], about["name"]) == ("non", "mine")
    assert str(warned[-1].message).endswith("only one guide: I, I_2_b, M")
    assert all(warning.filename == __file__ for warning in warned)


def test_a_column_may_name_the_perturbation(counts, tmp_path):
    counts.to_csv(tmp_path / "genes.csv")
    labels = pd.DataFrame({"of": ["a", "b", "", " a", "c", "c", "b"]}, counts.index[:7])
    with pytest.warns(UserWarning) as warned:
        screen = read_screen(tmp_path / "genes.csv", labels, "c")
    assert screen.obs["perturbation"].tolist() == ["a", "b", "a", "c", "c", "b"]
    assert screen.uns["sbnn"]["dropped"]["without a label"] == ["c2"]
    assert len(warned) == 3, "single guides are not known"
