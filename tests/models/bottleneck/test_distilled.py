from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn import LeaveOneOutRidge, SparseBottleneckRegressor, cross_validate, paper_folds, simulate_patchseq
from sbnn.metrics import pooled_r2
from sbnn.models.bottleneck.network import BottleneckNetwork
from sbnn.models.bottleneck.protocols import distilled

NAMES = {"check_transformer_get_feature_names_out": "it names the kept genes, not the latent coordinates"}


@pytest.fixture
def short(monkeypatch):
    """Train for a moment only."""
    monkeypatch.setattr(distilled, "NOISES", (0.3, 1.0))
    monkeypatch.setattr(distilled, "N_TEACHERS", 2)
    monkeypatch.setattr(distilled, "N_TREES", 10)
    monkeypatch.setattr(distilled, "N_AUGMENTED", 500)
    monkeypatch.setattr(distilled, "USUAL_NOISE", 0.3)
    for name, steps in (("STEPS_OF_TEACHERS", 40), ("STEPS_OF_STUDENT", 150)):
        monkeypatch.setattr(distilled, name, steps)


@pytest.mark.usefixtures("short")
@parametrize_with_checks(
    [SparseBottleneckRegressor(protocol="distilled", n_genes=None, random_state=0)],
    expected_failed_checks=lambda _: NAMES,
)
def test_scikit_learn_api(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def simulated():
    return simulate_patchseq(n_cells=400, n_genes=120, n_outputs=6, n_true_genes=10, random_state=1)


@pytest.fixture(scope="module")
def record(simulated):
    model = SparseBottleneckRegressor(protocol="distilled", n_genes=10, random_state=0)
    return cross_validate(model, simulated, paper_folds(400)[:1], verbose=False)


def test_it_finds_the_true_genes(simulated, record):
    chosen = set(simulated.gene_names[record.selected[0, 0]])
    assert len(chosen & set(simulated.truth["genes"])) >= 9


def test_it_predicts_better_than_ridge_on_the_same_and_on_all_genes(simulated, record):
    folds = paper_folds(400)[:1]
    ridge = cross_validate(LeaveOneOutRidge(), simulated, folds, verbose=False).test_r2[0, 0]
    same = simulated.subset(genes=record.selected[0, 0])
    ridge_same = cross_validate(LeaveOneOutRidge(), same, folds, verbose=False).test_r2[0, 0]
    assert record.test_r2[0, 0] > max(ridge, ridge_same) + 0.05


def test_history_and_norms(record):
    history = record.history[0][0]
    assert history.stage.unique().tolist() == ["student"]
    assert history.epoch.tolist() == list(range(1, distilled.STEPS_OF_STUDENT // distilled.RECORDED_EVERY + 1))
    assert history.eval_r2.iloc[-1] == pytest.approx(record.test_r2[0, 0], abs=1e-5)
    assert ((record.gene_norms[0, 0] > 0) == record.selected[0, 0]).all()


def fit(data, **params):
    params = {"protocol": "distilled", "n_genes": 5, "random_state": 0} | params
    return SparseBottleneckRegressor(**params).fit(data.X, data.Y)


@pytest.mark.usefixtures("short")
class TestShort:
    def test_same_seed_same_bits(self, data):
        one, two, three = fit(data), fit(data), fit(data, random_state=1)
        assert torch.equal(one.network_.flat, two.network_.flat)
        assert not torch.equal(one.network_.flat, three.network_.flat)

    def test_watching_does_not_change_the_training(self, data):
        model = SparseBottleneckRegressor(protocol="distilled", n_genes=5, random_state=0)
        watched = model.fit(data.X, data.Y, eval_set=(data.X[:9] + 1, data.Y[:9]))
        assert torch.equal(watched.network_.flat, fit(data).network_.flat)

    def test_a_saved_model_predicts_the_same(self, data, tmp_path):
        model = fit(data, n_components=3, reconstruct=True)
        again = SparseBottleneckRegressor.load(model.save(tmp_path / "m.safetensors"))
        for method in ("predict", "transform", "reconstruct_genes"):
            np.testing.assert_array_equal(getattr(again, method)(data.X), getattr(model, method)(data.X))

    def test_constant_genes_are_never_kept(self, data):
        X = data.X.copy()
        X[:, 7] = 2
        with pytest.warns(UserWarning, match="constant"):
            model = SparseBottleneckRegressor(protocol="distilled", n_genes=5, random_state=0).fit(X, data.Y)
        assert not model.get_support()[7]

    @pytest.mark.parametrize("shape", [(5, 30, 2), (12, 300, 1), (40, 30, 50), (3000, 12, 2)])
    def test_other_shapes(self, shape, rng):
        n, p, q = shape
        X = rng.normal(size=(n, p))
        Y = X[:, :1] + rng.normal(size=(n, q))
        model = SparseBottleneckRegressor(protocol="distilled", n_genes=10, random_state=0).fit(X, Y)
        assert model.get_support().sum() == 10
        assert np.isfinite(model.predict(X)).all() and model.predict(X).shape == (n, q)

    def test_more_genes_wanted_than_differ(self, rng):
        X = np.repeat(rng.normal(size=(40, 2)), 5, axis=1)
        model = SparseBottleneckRegressor(protocol="distilled", n_genes=7, random_state=0).fit(X, 2 * X[:, [0, 5]])
        assert model.get_support().sum() == 7

    def test_tables_keep_their_names(self, data):
        frame = pd.DataFrame(data.X, data.cell_names, data.gene_names)
        model = SparseBottleneckRegressor(protocol="distilled", n_genes=5, random_state=0).fit(frame, data.Y)
        assert set(model.get_feature_names_out()) <= set(data.gene_names)


def test_known_genes_are_found_at_the_default_noise():
    found = []
    for seed in range(1, 5):
        data = simulate_patchseq(random_state=seed)
        x, y = (torch.as_tensor((a - a.mean(0)) / a.std(0)) for a in (data.X, data.Y.astype(np.float32)))
        genes = distilled.choose_genes(x, y, 25, np.random.RandomState(0))
        found.append(np.isin(data.gene_names[genes], data.truth["genes"]).mean())
    assert np.mean(found) >= 0.95, found


def test_the_process_helps_the_choice():
    """Forward selection alone sees hardly anything of outputs that depend on genes non-linearly."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 80)).astype(np.float32)
    Y = np.stack([X[:, 0] * X[:, 1] + X[:, 0], np.abs(X[:, 2]) + 0.3 * X[:, 2]], axis=1)
    Y = (Y - Y.mean(0)) / Y.std(0) + rng.normal(size=Y.shape)
    x, y = torch.as_tensor(X), torch.as_tensor((Y - Y.mean(0)).astype(np.float32))
    assert {0, 2} <= set(distilled.choose_genes(x, y, 3, np.random.RandomState(0)))


def test_input_noise_is_chosen_by_held_out_error(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 20, generator=generator)
    y = x[:, :1] + 2 * torch.randn(60, 4, generator=generator)
    monkeypatch.setattr(distilled, "NOISES", (0.01, 0.02, 2.0))
    monkeypatch.setattr(distilled, "USUAL_NOISE", 0.02)

    def teacher(cells):
        new = partial(BottleneckNetwork, 20, 4, 4, (32, 32), "silu", generator=generator)
        return distilled.Teacher(new, x[cells], y[cells], np.random.RandomState(0), generator)

    assert teacher(slice(None)).noise == 2.0, "a few noisy cells need strong smoothing"
    assert teacher(slice(20)).noise == 2.0, "and fewer still tell nothing"


def test_a_gene_of_two_cells_is_not_chosen(rng):
    """On 60 cells it explains what happens to be measured in the two."""
    X = rng.normal(size=(60, 100)).astype(np.float32)
    Y = (X[:, :3] @ rng.normal(size=(3, 2)) + 0.5 * rng.normal(size=(60, 2))).astype(np.float32)
    X[:, 50] = 0
    X[:2, 50], Y[:2] = 5, 8
    X, Y = X - X.mean(0), Y - Y.mean(0)
    assert distilled.cells_behind(torch.as_tensor(X))[50] == pytest.approx(2, rel=0.1)
    assert 50 not in distilled.choose_genes(torch.as_tensor(X), torch.as_tensor(Y), 5, np.random.RandomState(0))


def test_new_cells_are_clipped_to_the_range_of_the_training_cells(simulated):
    model = SparseBottleneckRegressor(n_genes=10, random_state=0).fit(simulated.X[:60], simulated.Y[:60])
    far, edge = simulated.X[60:70].copy(), simulated.X[60:70].copy()
    far[:, ::2] += 1000
    edge[:, ::2] = simulated.X[:60, ::2].max(0)
    np.testing.assert_array_equal(model.predict(far), model.predict(edge))


@pytest.mark.usefixtures("short")
def test_too_few_cells_to_choose_by_held_out_ones(data):
    with pytest.warns(UserWarning, match="20 cells, fewer than 30: too few to choose anything"):
        model = SparseBottleneckRegressor(n_genes=5, random_state=0).fit(data.X[:20], data.Y[:20])
    assert model.get_support().sum() == 5


def test_augmented_cells_mix_two_cells():
    x = torch.arange(12.0).reshape(3, 4) * 1000
    made = distilled.augment(x, torch.Generator().manual_seed(0), n=2000)
    columns = (made % 4000 / 1000).round()
    sources = ((made - torch.arange(4) * 1000) / 4000).round()
    assert ((sources >= 0) & (sources <= 2)).all() and columns.shape == (2000, 4)
    mixed = (sources != sources[:, :1]).any(1).float().mean()
    assert 0.2 < mixed < 0.5
    assert abs((made - x[sources.long(), torch.arange(4)]).std() - distilled.AUGMENTATION_NOISE) < 0.01


@pytest.fixture(scope="module")
def teacher_and_cells(simulated):
    x, y = ((a - a.mean(0)) / a.std(0) for a in (simulated.X[:, :30].astype(float), simulated.Y.astype(float)))
    x, y = (torch.as_tensor(a.astype(np.float32)) for a in (x, y))
    generator = torch.Generator().manual_seed(0)

    def new():
        return BottleneckNetwork(30, 6, 16, (64, 64, 64), "silu", generator=generator)

    return distilled.Teacher(new, x[:300], y[:300], np.random.RandomState(0), generator), x[300:], y[300:]


def test_the_teacher_is_better_than_its_parts_on_average(teacher_and_cells):
    teacher, x, y = teacher_and_cells
    together = pooled_r2(y, teacher.predict(x), 0.0)
    trees = [pooled_r2(y, forest.predict(x.numpy()), 0.0) for forest in teacher.forests]
    with torch.no_grad():
        networks = [pooled_r2(y, network(x), 0.0) for network in teacher.networks]
    assert together > max(np.mean(trees), np.mean(networks))
    assert len(trees) == len(networks) == distilled.N_TEACHERS


def test_the_teacher_mixes_by_its_weight(teacher_and_cells):
    teacher, x, _ = teacher_and_cells
    trees = np.mean([forest.predict(x.numpy()) for forest in teacher.forests], axis=0)
    with torch.no_grad():
        networks = np.mean([network(x).numpy() for network in teacher.networks], axis=0)
    mixed = (1 - teacher.weight) * networks + teacher.weight * trees
    np.testing.assert_allclose(teacher.predict(x), mixed, atol=1e-5)
    assert 0 < teacher.weight < 1


def test_the_weight_is_that_of_the_least_error_but_for_few_cells(rng):
    first, second = (torch.as_tensor(scale * rng.normal(size=(100_000, 2))) for scale in (1.0, 2.0))
    assert distilled._weight_of_second(first, second) == pytest.approx(0.2, abs=0.01)
    assert distilled._weight_of_second(second, first) == pytest.approx(0.8, abs=0.01)
    assert distilled._weight_of_second(first, 3 * first) == pytest.approx(0, abs=0.001)
    assert distilled._weight_of_second(first[:0], second[:0]) == 0.5
    assert 0.3 < distilled._weight_of_second(first[:100], second[:100]) < 0.4
