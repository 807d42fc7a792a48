"""How many genes are needed: the rule, the nested choice, and the curve."""

import numpy as np
import pytest

import sbnn
from sbnn import DistilledBottleneckRegressor, DistilledSettings, genes_curve, genes_table, results
from sbnn.data.paired import as_paired
from sbnn.metrics import smallest_sufficient

QUICK = DistilledSettings(
    steps_of_teachers=20, steps_of_student=60, n_teachers=2, n_trees=2, few_cells=0
)


@pytest.fixture(scope="module")
def cells():
    """Twelve genes drive the outputs."""
    return as_paired(sbnn.simulate_patchseq(150, 40, 6, n_true_genes=12, noise=0.3, random_state=1))


def quick(**params):
    return DistilledBottleneckRegressor(
        distillation=QUICK, hidden_layers=(16, 16), random_state=0, **params
    )


def test_the_smallest_number_within_one_standard_error_of_the_best():
    numbers = (5, 10, 25, 50)
    # how hard a fold is does not matter
    tops = np.array([[0.1], [0.3], [0.2]]) + [0.0, 0.1, 0.15, 0.15]
    assert smallest_sufficient(tops, numbers) == 25
    assert smallest_sufficient(tops[:, ::-1], numbers) == 5
    uncertain = tops + np.outer([0.06, 0.0, -0.03], [0, 0, 1, 0])
    assert smallest_sufficient(uncertain, numbers) == 25, "10 genes are 0.06 ± 0.026 behind"
    assert smallest_sufficient(uncertain, numbers, 1.5) == 10, (
        "0.06 ± 0.062: the folds share training cells"
    )
    nan = np.where(tops == 0.1, np.nan, tops)
    for r2, wrong in (
        (tops[:1], numbers),
        (tops, (5, 10, 25)),
        (tops, (5, 10, 50, 25)),
        (nan, numbers),
    ):
        with pytest.raises(ValueError, match="r2: expected"):
            smallest_sufficient(r2, wrong)


def test_the_curve_and_its_table(cells, tmp_path):
    path = tmp_path / "curve.pickle"
    record = genes_curve(cells, quick(), (8, 2, 60), 2, results=path, verbose=False)
    assert [point["n_genes"] for point in record.params] == [2, 8, "auto"]
    assert record.n_selected[:, :2].tolist() == [[2, 8]] * 2
    assert "test_predictions" not in results.load(path).values
    table = genes_table(record)
    [enough] = table.index[table.suffices]
    assert enough == smallest_sufficient(record.test_r2[:, :2], (2, 8), 1.0)
    again = genes_curve(cells, quick(), (2, 8, 60), 2, results=path, verbose=False)
    np.testing.assert_array_equal(again.test_r2, record.test_r2)
