"""What is probably a mistake is named, and usual data give no alarm."""

import numpy as np
import pandas as pd
import pytest

import sbnn
from sbnn.data.preprocessing import log2p1, normalize_library_size

RNG = np.random.default_rng(0)
CELLS = [f"c{i}" for i in range(40)]
COUNTS = pd.DataFrame(RNG.poisson(30, (40, 6)) + 1, CELLS).add_prefix("g")
X = pd.DataFrame(log2p1(normalize_library_size(COUNTS)), CELLS, COUNTS.columns)
Y = pd.DataFrame(RNG.normal(-50, 3, (40, 2)), CELLS, ["Vrest", "Rin"])


@pytest.mark.parametrize(
    ("pattern", "expression", "outputs"),
    [
        ("X: looks like raw counts", COUNTS, Y),
        (
            "X: cells with the expression of an earlier cell: c7",
            X.set_axis(CELLS).T.assign(c7=X.T["c3"]).T,
            Y,
        ),
        ("Y: outputs with a single value: same", X, Y.assign(same=1.0)),
        ("Y: outputs .*copies.*: Rin and MOhm", X, Y.assign(MOhm=-Y["Rin"] / 1000)),
        ("Y: outputs .*IDs.*: ID", X, Y.assign(ID=range(2, 82, 2))),
    ],
)
def test_a_mistake_is_one_sentence(pattern, expression, outputs):
    [sentence] = sbnn.diagnose((expression, outputs))
    assert pd.Series(sentence).str.match(pattern).all()


def test_folds_that_split_donors_are_named():
    labels = pd.DataFrame({"Donor ID": np.arange(40) // 4, "type": "a"}, CELLS).astype(str)
    data = sbnn.paired(X, Y, labels=labels)
    [sentence] = sbnn.diagnose(data, sbnn.paper_folds(40, 4))
    assert "'Donor ID'" in sentence and "grouped_folds" in sentence
    assert sbnn.diagnose(data, sbnn.grouped_folds(labels["Donor ID"], 4)) == []


def test_usual_cells_give_no_alarm(adata):
    assert sbnn.diagnose(adata) == []
    percent = Y.assign(percent=np.arange(40) * 3 % 80 + 20)
    assert sbnn.diagnose(sbnn.paired(X, percent, counts=COUNTS)) == []
