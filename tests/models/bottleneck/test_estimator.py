import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn import DistilledSettings, SparseBottleneckRegressor
from sbnn.metrics import pooled_r2

QUICK = {
    "protocol": "paper",
    "hidden_layers": (16, 8),
    "epochs": (2, 2, 2, 3),
    "n_genes": 5,
    "random_state": 0,
}

# `get_feature_names_out` names the kept genes, as in a feature selector; `transform` gives latent
# coordinates.
EXEMPTIONS = {
    "check_transformer_get_feature_names_out": "it names the kept genes, not the latent coordinates"
}


@pytest.mark.filterwarnings("ignore:fewer than two clusters")
@parametrize_with_checks(
    [
        SparseBottleneckRegressor(
            2, None, "paper", hidden_layers=(32, 16), epochs=(2, 2, 60, 60), learning_rate=1e-2
        )
    ],
    expected_failed_checks=lambda _: EXEMPTIONS,
)
def test_scikit_learn_api(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def model(data):
    return SparseBottleneckRegressor(**QUICK, reconstruct=True).fit(data.X, data.Y)


def test_prediction_goes_through_the_bottleneck(model, data):
    with torch.no_grad():
        latent = torch.as_tensor(model.transform(data.X), dtype=torch.float32)
        decoded = model.network_(latent, first=model.network_.bottleneck + 1).numpy()
        genes = model._gene_network(latent, first=model.network_.bottleneck + 1).numpy()
    np.testing.assert_allclose(
        model.predict(data.X), decoded * model.y_scale_ + model.y_mean_, rtol=1e-4, atol=1e-4
    )
    genes = genes * model.x_scale_[model.get_support()] + model.x_mean_[model.get_support()]
    np.testing.assert_allclose(model.reconstruct_genes(data.X), genes, atol=1e-5)
    changed = data.X.copy()
    changed[:, ~model.get_support()] += 100
    np.testing.assert_array_equal(
        model.predict(changed), model.predict(data.X), "only kept genes matter"
    )
    some, Y = data.X[:50], data.Y[:50]
    true, predicted = ((a - model.y_mean_) / model.y_scale_ for a in (Y, model.predict(some)))
    assert model.score(some, Y) == pytest.approx(pooled_r2(true, predicted, 0.0), abs=1e-6)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.score(some, Y[:-1])
    times = np.arange(50) % 4
    assert model.score(some, Y, times) == pytest.approx(
        model.score(some.repeat(times, 0), Y.repeat(times, 0))
    )


def test_the_seed_decides_and_neither_watched_cells_nor_the_head_for_genes(data, model):
    watched = clone(model).fit(data.X, data.Y, eval_set=(data.X[:20], data.Y[:20]))
    plain = clone(model).set_params(reconstruct=False).fit(data.X, data.Y)
    for same in (watched, plain):
        assert torch.equal(same.network_.flat, model.network_.flat)
    other = clone(model).set_params(random_state=1).fit(data.X, data.Y)
    assert not np.array_equal(other.gene_norms_, model.gene_norms_)
    with pytest.raises(AttributeError, match="reconstruct=True"):
        plain.reconstruct_genes(data.X)
    last = watched.history_[watched.history_.stage == "fine-tuning"].iloc[-1]
    assert last.eval_r2 == pytest.approx(watched.score(data.X[:20], data.Y[:20]), abs=1e-5)


def test_history_has_every_stage(model):
    counts = model.history_.groupby("stage", sort=False).epoch.count().to_dict()
    assert counts == {
        "pretraining": 2,
        "frozen": 2,
        "unfrozen": 2,
        "fine-tuning": 3,
        "reconstruction": 3,
    }
    assert list(model.history_.columns) == [
        "stage",
        "epoch",
        "loss",
        "penalty",
        "r2",
        "eval_loss",
        "eval_r2",
        "genes_alive",
    ]
    assert model.history_.epoch.tolist() == list(range(1, 13))
    pretraining = model.history_[model.history_.stage == "pretraining"]
    assert pretraining.r2.isna().all() and pretraining.eval_loss.notna().all()


def test_bad_parameters(data):
    for change, message in (
        ({"distillation": {"n_trees": 5}}, "distillation"),
        ({"n_genes": 0}, "n_genes must be .*1, 40"),
        (
            {"protocol": "papyrus"},
            r"protocol: 'papyrus' is unknown, expected one of \['distilled', 'paper'\]",
        ),
        ({"n_components": 0}, r"n_components .* \[1, 10000\].*got 0"),
        ({"hidden_layers": (16, 10**9)}, "hidden_layers must be .* got 1000000000"),
        ({"group_lasso": -1}, "group_lasso"),
        ({"group_lasso": np.inf}, "group_lasso"),
        ({"learning_rate": 1e30}, "learning_rate"),
        ({"standardize": "False"}, "standardize"),
        ({"n_threads": 10**6}, "n_threads"),
        ({"epochs": (1, 1)}, "epochs"),
        ({"epochs": (0, 0, 0, 0)}, "epochs"),
        ({"hidden_layers": (16,)}, "hidden_layers"),
        ({"epochs": (1, 2, 3, -1)}, "epochs"),
        ({"device": "abacus"}, "abacus"),
    ):
        with pytest.raises((ValueError, TypeError, RuntimeError), match=message):
            SparseBottleneckRegressor(**(QUICK | change)).fit(data.X, data.Y)


def test_warnings_of_what_is_not_used(data):
    X = data.X.copy()
    X[:, 7] = 3.3
    with pytest.warns(UserWarning, match=r"genes that are constant.*x7"):
        model = SparseBottleneckRegressor(
            **QUICK | {"epochs": (20, 5, 20, 3), "learning_rate": 1e-3}
        ).fit(X, data.Y)
    assert not model.get_support()[7] and np.isfinite(model.predict(X)).all()
    with pytest.warns(UserWarning, match="no pretraining"):  # too few cells for clusters
        model = SparseBottleneckRegressor(**QUICK).fit(data.X[:15], data.Y[:15])
    assert model.history_.stage.unique().tolist() == ["unfrozen", "fine-tuning"]
    quick = DistilledSettings(n_augmented=10, n_trees=1, steps_of_teachers=1, steps_of_student=1)
    with pytest.warns(
        UserWarning, match="the protocol 'distilled' ignores group_lasso, n_clusters$"
    ):
        model = SparseBottleneckRegressor(
            n_genes=5, group_lasso=1, n_clusters=3, distillation=quick
        )
        model.set_params(reconstruct=True, epochs=(1, 1, 1, 2), batch_size=99).fit(data.X, data.Y)
