"""A user's own screen: cells with one clear guide, or with a label."""

import numpy as np
import pandas as pd
import pytest

from sbnn.data.readers.screens import read_screen


@pytest.fixture
def counts(tmp_path):
    """A file of counts of ten cells x three genes; c8 has none."""
    values = np.random.default_rng(0).poisson(3, (10, 3)) + 1
    table = pd.DataFrame(values, [f"c{i}" for i in range(10)], list("ABC"))
    table.loc["c8"] = 0
    table.to_csv(tmp_path / "genes.csv")
    table.T.to_csv(tmp_path / "turned.csv")
    return tmp_path


GUIDES = pd.DataFrame(
    [
        [8, 2, 0, 0],
        [0, 7, 0, 0],
        [0, 0, 7, 2],
        [9, 0, 0, 0],
        [0, 0, 0, 4],
        [5, 5, 0, 0],
        [0, 0, 6, 0],
        [1, 0, 0, None],
        [0, 0, 0, 0],
    ],
    ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c8", "c9"],
    ["I_1", "I_2_b", "non_1", "M_1"],
)


@pytest.mark.parametrize("name", ["genes.csv", "turned.csv"])
def test_cells_without_one_clear_guide_are_left_out(counts, name):
    with pytest.warns(UserWarning) as warned:
        screen = read_screen(counts / name, GUIDES, "non", "mine")
    assert screen.obs["perturbation"].to_dict() == {
        "c0": "I",
        "c1": "I_2",
        "c3": "I",
        "c4": "M",
        "c6": "non",
    }
    assert screen.obs["guide"].tolist() == ["I_1", "I_2_b", "I_1", "M_1", "non_1"]
    assert screen.uns["sbnn"]["dropped"] == {
        "without a count of a gene": ["c8"],
        "not among the guides": ["c7"],
        "without a guide": ["c9"],
        "with two guides of equal count": ["c5"],
        "with less than 80% of the guide counts on one guide": ["c2"],
    }
    assert screen.uns["sbnn"]["control"] == "non"
    assert screen.uns["sbnn"]["name"] == "mine"
    assert "I (2), I_2 (1), M (1)" in str(warned[-1].message)
    assert all(warning.filename == __file__ for warning in warned)


def test_a_column_may_name_the_perturbation(counts):
    labels = pd.DataFrame({"of": ["a", "b", "", " a", "c", "c", "b"]}, GUIDES.index[:7])
    with pytest.warns(UserWarning) as warned:
        screen = read_screen(counts / "genes.csv", labels, "c")
    assert screen.obs["perturbation"].tolist() == ["a", "b", "a", "c", "c", "b"]
    assert screen.uns["sbnn"]["dropped"]["without a label"] == ["c2"]
    assert len(warned) == 3, "single guides are not known"
