"""A user's own screen: cells with one clear guide, or with a label."""

import numpy as np
import pandas as pd
import pytest

from sbnn.data.readers.screens import read_screen

GUIDES = pd.DataFrame(
    {
        "c0": [8, 2, 0, 0],
        "c1": [0, 7, 0, 0],
        "c2": [0, 0, 7, 2],
        "c3": [9, 0, 0, 0],
        "c4": [0, 0, 0, 4],
        "c6": [0, 0, 6, 0],
        "c8": [1, 0, 0, None],
        "c9": [0, 0, 0, 0],
    },
    ["I_1", "I_2_b", "non_1", "M_1"],
).T


@pytest.fixture
def counts(rng):
    """Counts of nine cells x three genes; c8 has none."""
    cells = [f"c{i}" for i in (0, 1, 2, 3, 4, 6, 7, 8, 9)]
    table = pd.DataFrame(rng.poisson(3, (9, 3)) + 1, cells, list("ABC"))
    table.loc["c8"] = 0
    return table


@pytest.mark.parametrize("turn", [pd.DataFrame.copy, pd.DataFrame.transpose])
def test_cells_without_one_clear_guide_are_left_out(counts, tmp_path, turn):
    turn(counts).to_csv(tmp_path / "genes.csv")
    with pytest.warns(UserWarning) as warned:
        screen = read_screen(tmp_path / "genes.csv", GUIDES, "non", "mine")
    target = {"c0": "I", "c1": "I_2", "c3": "I", "c4": "M", "c6": "non"}
    assert screen.obs["perturbation"].to_dict() == target
    assert screen.obs["guide"].tolist() == ["I_1", "I_2_b", "I_1", "M_1", "non_1"]
    np.testing.assert_array_equal(screen.X.toarray(), counts.loc[list(target)])
    assert screen.uns["sbnn"]["dropped"] == {
        "without a count of a gene": ["c8"],
        "not among the guides": ["c7"],
        "without a guide": ["c9"],
        "with less than 80% of the guide counts on one guide": ["c2"],
    }
    assert (screen.uns["sbnn"]["control"], screen.uns["sbnn"]["name"]) == ("non", "mine")
    assert str(warned[-1].message).endswith("only one guide: I, I_2, M")
    assert all(warning.filename == __file__ for warning in warned)


def test_a_column_may_name_the_perturbation(counts, tmp_path):
    counts.to_csv(tmp_path / "genes.csv")
    labels = pd.DataFrame({"of": ["a", "b", "", " a", "c", "c", "b"]}, counts.index[:7])
    with pytest.warns(UserWarning) as warned:
        screen = read_screen(tmp_path / "genes.csv", labels, "c")
    assert screen.obs["perturbation"].tolist() == ["a", "b", "a", "c", "c", "b"]
    assert screen.uns["sbnn"]["dropped"]["without a label"] == ["c2"]
    assert len(warned) == 3, "single guides are not known"
