"""How many genes are needed: the rule, the nested choice, and the curve."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold

import sbnn
from sbnn import DistilledSettings, SparseBottleneckRegressor, genes_curve, genes_table, results
from sbnn.data.paired import as_paired
from sbnn.metrics import smallest_sufficient
from sbnn.models.bottleneck import estimator
from sbnn.models.bottleneck.estimator import numbers_up_to

QUICK = DistilledSettings(
    steps_of_teachers=20, steps_of_student=60, n_teachers=2, n_trees=2, few_cells=0
)


@pytest.fixture(scope="module")
def cells():
    """Twelve genes drive the outputs."""
    return as_paired(sbnn.simulate_patchseq(150, 40, 6, n_true_genes=12, noise=0.3, random_state=1))


def quick(**params):
    return SparseBottleneckRegressor(
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
    assert numbers_up_to(25) == (5, 10, 15) and numbers_up_to(4) == (4,), "below that of all genes"


def test_auto_keeps_the_number_it_chose(cells, tmp_path):
    table = pd.DataFrame(cells.X, columns=cells.gene_names)
    model = quick(n_genes="auto").fit(table, cells.Y, (table[:9], cells.Y[:9]))
    curve = model.number_curve_
    assert curve.index.tolist() == [5, 10, 15, 25]
    assert curve.shape == (4, 3)
    assert model.n_genes == "auto"
    number = smallest_sufficient(curve.to_numpy().T, curve.index)
    again = SparseBottleneckRegressor.load(model.save(tmp_path / "m.safetensors"))
    plain = quick(n_genes=number).fit(table, cells.Y)
    for other in (again, plain):
        np.testing.assert_array_equal(other.predict(table), model.predict(table))
    assert list(model.get_feature_names_out()) == list(plain.get_feature_names_out())
    assert model.get_support().sum() == number
    assert model.history_.eval_r2.notna().all()


def test_held_out_parts_are_not_seen(cells, monkeypatch):
    seen = []
    fit = SparseBottleneckRegressor.fit
    score = SparseBottleneckRegressor.score

    def rows(X):
        return {row.tobytes() for row in np.asarray(X)}

    def checked(self, X, y=None):
        assert not seen[-1] & rows(X)
        return score(self, X, y)

    def noted(self, X, *given, **named):
        seen.append(rows(X))
        return fit(self, X, *given, **named)

    monkeypatch.setattr(SparseBottleneckRegressor, "fit", noted)
    monkeypatch.setattr(SparseBottleneckRegressor, "score", checked)
    monkeypatch.setattr(estimator, "NUMBERS", (2, 5))
    quick(n_genes="auto").fit(cells.X, cells.Y)
    assert [len(part) for part in seen[1:-1]] == [100] * 6, (
        "first the call itself, last the fit of all cells"
    )
    train = next(KFold(3, shuffle=True, random_state=0).split(cells.X))[0]
    assert seen[1] == rows(cells.X[train]), "drawn, since cells may be sorted by type"
    seen.clear()
    quick(n_genes="auto").fit(cells.X, cells.Y, groups=(donors := np.arange(150) % 2))
    of_donors = [rows(cells.X[donors == donor]) for donor in (0, 1)]
    assert all(part in of_donors for part in seen[1:-1]), "a donor is in one part"


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
