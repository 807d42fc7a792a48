"""What users hand over to `fit` and `predict`, in every form: the same numbers from all, and mistakes named."""

import copy
import tracemalloc
import warnings
from types import SimpleNamespace

import anndata
import numpy as np
import pandas as pd
import pytest
from made_up import outputs_of, table_of
from scipy import sparse
from sklearn.base import clone

from sbnn import (
    DistilledSettings,
    ExpressionStream,
    LeaveOneOutRidge,
    SparseBottleneckRegressor,
    cross_validate,
)
from sbnn.data.inputs import _enough_counts, _warn_of_unlike
from sbnn.data.paired import paired
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.models.linear import ReducedRankRegression
from sbnn.models.sparse_linear import SparseReducedRankRegression

SHORT = DistilledSettings(steps_of_teachers=5, steps_of_student=5)
NETWORK = SparseBottleneckRegressor(n_genes=6, distillation=SHORT, random_state=0)
PUBLISHED = SparseBottleneckRegressor(n_genes=20, protocol="paper", epochs=(1,) * 4, random_state=0)
MODELS = [
    NETWORK,
    ReducedRankRegression(rank=2),
    LeaveOneOutRidge(),
    SparseReducedRankRegression(alpha=0.3),
]
LINEAR = MODELS[1]
FORMS = ["csr", "csc", "view", "backed dense", "backed csr"]


@pytest.fixture(scope="module")
def counted(data):
    """Cells whose expression was made of their counts."""
    X = log2p1(normalize_library_size(data.counts))
    return paired(X, outputs_of(data), data.gene_names, counts=data.counts)


@pytest.fixture(scope="module")
def of_counts(counted):
    """A model of each kind, fitted to counts."""
    return [clone(model).fit(counted) for model in MODELS]


# --- containers


@pytest.fixture
def plain(adata):
    """An AnnData as others make it: outputs under a name of their own, no counts."""
    adata = adata.copy()
    adata.obsm["ephys"] = adata.obsm.pop("outputs")
    del adata.layers["counts"], adata.uns["sbnn"]
    return adata


def made(adata, form, folder):
    """The same cells and genes in another form."""
    if form == "view":
        more = anndata.AnnData(np.ones((3, adata.n_vars), "f4"), var=adata.var)
        whole = anndata.concat([more, adata])[:, ::-1].copy()
        whole.obsm["ephys"] = adata.obsm["ephys"].reindex(whole.obs_names)
        return whole[3:, ::-1]
    if form.split()[-1] != "dense":
        adata.X = getattr(sparse, f"{form.split()[-1]}_matrix")(adata.X)
    if form.startswith("backed"):
        adata.write_h5ad(folder / "a.h5ad")
        return anndata.read_h5ad(folder / "a.h5ad", backed="r")
    return adata


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_numbers(form, plain, data, tmp_path):
    table = table_of(data)
    X = made(plain, form, tmp_path)
    for model in [*MODELS[1:], *([] if form.startswith("backed") else [PUBLISHED])]:
        model = clone(model).fit(table, data.Y)
        again = clone(model).fit(X, "ephys")
        np.testing.assert_allclose(again.predict(X), model.predict(table), rtol=1e-10)
        assert again.output_names_.tolist() == data.feature_names.tolist()
        assert again.score(X, "ephys") == pytest.approx(model.score(table, data.Y))
    if form == "backed csr":
        of_stream = clone(NETWORK).fit(ExpressionStream(table), data.Y)
        of_file = clone(NETWORK).fit(X, "ephys")
        np.testing.assert_allclose(of_file.predict(X), of_stream.predict(table), rtol=1e-10)
        assert X.isbacked
        with pytest.raises(ValueError, match="X: .* on disk"):
            cross_validate(NETWORK, (X, "ephys"))
        with pytest.raises(ValueError, match="stream"):
            SparseBottleneckRegressor(protocol="paper").fit(X, "ephys")


def test_objects_that_are_no_table_are_named(adata, data):
    empty = anndata.AnnData(obs=adata.obs, var=adata.var, layers={"log": adata.X})
    model = clone(LINEAR).fit(adata)
    for action in (lambda given: model.fit(given, data.Y), model.predict):
        with pytest.raises(ValueError, match=r"no X; .*\['log'\]"):
            action(empty)
    with pytest.raises(TypeError, match="Y: .* got AnnData"):
        model.fit(data.X, adata)
    with pytest.raises(KeyError, match="no 'type' in adata.obsm"):
        model.fit(adata, "type")


# --- names


@pytest.mark.parametrize("given", [pd.DataFrame, ExpressionStream, anndata.AnnData])
@pytest.mark.parametrize("column", [slice(None), 0])
def test_cells_in_another_order_are_refused(given, column, data):
    X, Y = given(table_of(data)), outputs_of(data).iloc[:, column]
    for model in (clone(NETWORK), clone(LINEAR)):
        for other, said in (
            (Y.iloc[::-1], "if only the order"),
            (Y.rename({data.cell_names[0]: "other"}), "other"),
        ):
            with pytest.raises(ValueError, match=f"Y: .*{said}"):
                model.fit(X, other)
    by_order = [clone(MODELS[2]).fit(X, y).coef_ for y in (Y.reset_index(drop=True), Y.to_numpy())]
    np.testing.assert_array_equal(*by_order)  # numbers are no names


def test_genes_are_found_by_name(data):
    table = table_of(data)
    for model in MODELS[1:]:
        model = clone(model).fit(table, data.Y)
        expected = model.predict(table)
        for X in (
            table.iloc[:, ::-1].assign(Malat1=3.0),
            anndata.AnnData(table.iloc[:, ::-1]),
            table.to_numpy(),
        ):
            np.testing.assert_array_equal(model.predict(X), expected)
        if hasattr(model, "get_support"):
            assert (
                model.get_feature_names_out().tolist()
                == table.columns[model.get_support()].tolist()
            )
            np.testing.assert_allclose(
                model.predict(table.loc[:, model.get_support()]), expected, rtol=1e-10
            )
    sparse_X = sparse.coo_array(np.where(data.X > 2, data.X, 0).astype("f8"))
    model = clone(LINEAR).fit(sparse_X, data.Y)
    np.testing.assert_array_equal(
        model.predict(sparse_X), model.fit(sparse_X.toarray(), data.Y).predict(sparse_X)
    )
    model = clone(LINEAR).fit(table, data.Y)
    lacking = table.drop(columns=data.gene_names)
    with pytest.raises(ValueError, match=f"X: no values .*: {data.gene_names[0]}"):
        model.predict(lacking.assign(**dict.fromkeys(data.gene_names[1:], 1.0), other=1.0))
    with pytest.raises(ValueError, match="X: expected 40 genes, got 39|X has 39 features"):
        clone(LINEAR).fit(data.X, data.Y).predict(data.X[:, 1:])
    repeating = anndata.AnnData(data.X, var=pd.DataFrame(index=["G"] * 40))
    for action in (lambda: model.predict(repeating), lambda: model.fit(repeating, data.Y)):
        with pytest.raises(ValueError, match=r"X: .*\['G'\]"):
            action()


# --- values


def test_wrong_values_are_named_by_every_model(data):
    wrong, outputs = table_of(data).copy(), outputs_of(data)
    wrong.iloc[3, 4], outputs.iloc[7, 2] = 1e30, -1e30
    for model in map(clone, MODELS):
        with pytest.raises(
            ValueError, match=f"X: .* '{data.cell_names[3]}' in column '{data.gene_names[4]}' is 1e"
        ):
            model.fit(wrong, data.Y)
        with pytest.raises(ValueError, match=f"Y: .* in column '{data.feature_names[2]}' is -1e"):
            model.fit(table_of(data), outputs)
        with pytest.raises(ValueError, match="Y: "):
            model.fit(data.X, data.X)
        with pytest.warns(UserWarning, match="X looks like raw counts"):
            model.fit(data.counts, data.Y)


def test_large_sparse_input_stays_sparse(monkeypatch, rng):
    n, p = 3000, 2000
    X = sparse.random(n, p, 0.01, format="csr", dtype="f4", rng=rng)
    Y = np.column_stack([X[:, j].toarray().ravel() for j in (0, 7)]) + 0.1 * rng.normal(size=(n, 2))
    X = anndata.AnnData(X, var=pd.DataFrame(index=[f"g{j}" for j in range(p)]))
    few = DistilledSettings(most_cells=200, steps_of_student=20, steps_of_teachers=20)
    monkeypatch.setattr("sbnn.data.inputs.MOST_DENSE_VALUES", n * p - 1)
    model, dense = SparseBottleneckRegressor(n_genes=5, distillation=few, random_state=0), 4 * n * p
    for task, most in (
        (lambda: model.fit(X, Y), dense / 2),
        (lambda: model.predict(X), dense / 10),
    ):
        tracemalloc.start()
        task()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < most
    assert len(model.feature_names_in_) == p


# --- counts of new cells


def test_counts_of_new_cells_get_the_normalisation_of_the_training_cells(
    counts, counted, of_counts, tmp_path
):
    few = counts.iloc[90:]
    size = np.median(counts.sum(axis=1))
    expected = pd.DataFrame(
        log2p1(normalize_library_size(few, size)).astype(float), columns=few.columns
    )
    # Deeper sequencing of other cells changes nothing, neither does the order of the genes nor a
    # gene more.
    deeper = 3 * few[few.columns[::-1]].assign(Malat1=5000)
    forms = [ExpressionStream(few, counts=True), ExpressionStream(deeper, counts=True)]
    forms.append(
        ExpressionStream(sparse.csr_matrix(deeper.to_numpy()), deeper.columns, counts=True)
    )
    forms.append(
        anndata.AnnData(np.log1p(deeper.astype(float)), layers={"counts": deeper.to_numpy()})
    )
    counted.write_h5ad(tmp_path / "a.h5ad")
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    for model in of_counts:
        assert model.library_size_ == size != np.median(few.sum(axis=1))
        for new in forms:
            np.testing.assert_allclose(
                model.predict(new), model.predict(expected), rtol=1e-4, atol=1e-4
            )
        np.testing.assert_allclose(
            model.predict(backed), model.predict(counted), rtol=1e-4, atol=1e-4
        )
    again = SparseBottleneckRegressor.load(of_counts[0].save(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(again.predict(forms[0]), of_counts[0].predict(forms[0]))
    model = clone(LINEAR).fit(backed)
    assert model.library_size_ == size
    assert model.count_share_ == pytest.approx(
        (counts.T / counts.sum(axis=1)).T.mean().to_numpy(), rel=1e-5
    )


def test_counts_need_a_model_of_counts(counted, counts, data):
    model = clone(LINEAR).fit(counted)
    with pytest.warns(UserWarning, match="X looks like raw counts"):
        model.predict(counts)
    with pytest.raises(ValueError, match="no values for 2"):
        model.predict(ExpressionStream(counts.iloc[:, 2:], counts=True))
    with pytest.raises(ValueError, match="not fitted to counts"):
        clone(LINEAR).fit(data.X, data.Y).predict(ExpressionStream(counts, counts=True))


def test_depth_is_estimated_from_the_genes_that_are_there(of_counts, counts):
    model = of_counts[0]
    kept = model.get_support()
    genes = [*counts.columns[kept], *counts.columns[~kept]][:30]
    table = counts[genes]
    share = model.count_share_[counts.columns.isin(genes)].sum()
    assert 0.5 < share < 0.95
    new = ExpressionStream(table, counts=True)
    by_hand = np.log2(1 + table.div(table.sum(axis=1) / share, axis=0) * model.library_size_)
    np.testing.assert_allclose(model.transform(new), model.transform(by_hand), rtol=1e-4, atol=1e-4)


def test_few_genes_of_counts_are_warned_of_or_refused(
    of_counts, counts, counted, data, monkeypatch
):
    model = of_counts[0]
    table = counts.loc[:, model.get_support()]
    few = ExpressionStream(table, counts=True)
    monkeypatch.setattr("sbnn.data.inputs.HALF", 0.99)
    with pytest.warns(UserWarning, match="X: counts of 34 of the 40 genes"):
        model.transform(few)
    known = ExpressionStream(table, counts=True, totals=counts.sum(axis=1), block_size=50)
    np.testing.assert_allclose(
        model.transform(known), model.transform(counted), rtol=1e-4, atol=1e-4
    )
    with pytest.raises(ValueError, match="totals: "):
        model.transform(ExpressionStream(table, counts=True, totals=np.ones(120)))
    with pytest.raises(ValueError, match="totals "):
        clone(LINEAR).fit(ExpressionStream(counts, counts=True, totals=counts.sum(axis=1)), data.Y)
    with pytest.raises(ValueError, match="have 4.9% of the counts .* too small"):
        _enough_counts(0.049, 3)
    with pytest.warns(UserWarning, match="have 5.1% of the counts"):
        assert _enough_counts(0.051, 3) == 0.051
    monkeypatch.setattr("sbnn.data.inputs.LEAST_SHARE", 0.99)
    with pytest.raises(ValueError, match="totals="):
        model.transform(few)
    model = copy.copy(model)
    model.library_size_ = None
    with pytest.raises(ValueError, match="no values for 1"):
        model.transform(ExpressionStream(table.iloc[:, 1:], counts=True))


@pytest.mark.parametrize("model", [*MODELS[1:], clone(NETWORK).set_params(n_genes=20), PUBLISHED])
def test_new_cells_in_other_units_or_without_counts_are_named(data, model):
    new, known = table_of(data)[60:], table_of(data)[:60]
    fitted = clone(model).fit(known, data.Y[:60])
    none = new.copy()
    none.iloc[0] = 0
    of_cells = f"1 of 60 cells, all genes of the model are 0.*: {new.index[0]}"
    # z-scores, TPM
    other = [(new - new.mean()) / new.std(), new * np.log(2), new * 1000, 1e4 * (2**new - 1)]
    for cells, message in ((none, of_cells), *((cells, "training cells") for cells in other)):
        with pytest.warns(UserWarning, match=message):
            fitted.predict(cells)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.predict(new)


@pytest.mark.parametrize(
    ("sds", "n_genes", "far"), [(4.9, 8, False), (-5.1, 5, True), (5.1, 5, True), (5.1, 4, False)]
)
def test_without_limits_cells_with_most_genes_five_sd_away_are_named(sds, n_genes, far):
    mean, sd, endless = np.tile([1.0, -1.0], 4), np.linspace(1, 2, 8), np.full(8, np.inf)
    model = SimpleNamespace(x_min_=-endless, x_max_=endless, x_mean_=mean, x_scale_=sd)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        _warn_of_unlike(model, slice(None), mean + sds * sd * [np.arange(8) < n_genes], None)
    assert bool(found) == far
