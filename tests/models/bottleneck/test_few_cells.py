"""The distilled protocol with few cells: when it applies, and what its parts are."""

from functools import partial

import numpy as np
import pytest
import torch

from sbnn import DistilledBottleneckRegressor, DistilledSettings, LeaveOneOutRidge
from sbnn.models.bottleneck.network import BottleneckNetwork
from sbnn.models.bottleneck.protocols import distilled, few_cells
from sbnn.models.bottleneck.protocols.greedy import forward_selection, grow_forest
from sbnn.models.bottleneck.training import Run

SHORT = {
    "n_teachers": 2,
    "n_trees": 5,
    "n_augmented": 300,
    "steps_of_teachers": 10,
    "steps_of_student": 30,
}


def short(**settings):
    distillation = DistilledSettings(**SHORT | settings)
    return DistilledBottleneckRegressor(n_genes=5, random_state=0, distillation=distillation)


def test_it_is_used_up_to_the_limit_and_not_beyond(monkeypatch, data):
    used = []

    def watch(module, name):
        original, said = getattr(module, name), f"{module.__name__.split('.')[-1]}.{name}"
        monkeypatch.setattr(
            module, name, lambda *args, **options: used.append(said) or original(*args, **options)
        )

    for name in ("input_limits", "choose_genes", "Teacher"):
        watch(few_cells, name)
    for name in ("most_relevant", "Teacher"):
        watch(distilled, name)
    model = short(few_cells=60)
    model.fit(data.X[:60], data.Y[:60])
    once = ["few_cells.choose_genes", "few_cells.Teacher"]
    assert used == ["few_cells.input_limits", *once, *once * 5], (
        "once for the fit, and without each fifth of the cells"
    )
    used.clear()
    model.fit(data.X[:61], data.Y[:61])
    assert used == ["distilled.most_relevant", "distilled.Teacher"]
    np.testing.assert_array_equal(model.x_max_, data.X[:61].max(0))


@pytest.mark.parametrize("limit", [2.0, 7.0])  # beyond 7 SD there is a high value alone
def test_inputs_are_clipped_to_the_middle_of_their_range(data, limit):
    X = data.X[:60].copy()
    X[:, 0] = 0.01 * np.arange(60)  # within 2 SD
    X[0, 1] = 1000
    model = short(few_cells_limit=limit).fit(X, data.Y[:60])
    np.testing.assert_allclose((model.x_min_[0], model.x_max_[0]), (0, 0.59), rtol=1e-6)
    assert model.x_max_[1] == pytest.approx(X[:, 1].mean() + limit * X[:, 1].std(), rel=1e-5)
    assert model.x_min_[1] == X[:, 1].min()
    clipped = np.clip(X, model.x_min_, model.x_max_).astype(float)
    np.testing.assert_allclose(model.x_mean_, clipped.mean(0), rtol=1e-5)
    np.testing.assert_allclose(model.x_scale_, clipped.std(0), rtol=1e-4)
    far = X.copy()
    far[:, model.get_support()] += 1000
    np.testing.assert_array_equal(model.predict(far), model.predict(far + 1000))


def test_clipped_genes_keep_the_sd_they_came_with(data):
    """Of z-scored genes the fit is the same, whether they are scaled once more or not: the noise is in SD."""
    X, Y = scaled(data, slice(0, 60))
    X[:, 1] = 0  # constant: neither scaled nor chosen
    settings = {"few_cells_limit": 1.0, "few_cells_of_a_gene": 0}
    with pytest.warns(UserWarning, match="constant"):
        again, once = (
            short(**settings).set_params(standardize=flag).fit(X, Y) for flag in (True, False)
        )
    np.testing.assert_allclose(once.x_scale_, again.x_scale_, rtol=1e-6)
    np.testing.assert_allclose(once.predict(X), again.predict(X), atol=1e-4)
    # not of 1 SD: left as given
    wide = short(**settings).set_params(standardize=False).fit(X * 3, Y * 3)
    np.testing.assert_allclose(wide.x_scale_, once.x_scale_, rtol=1e-6)
    np.testing.assert_array_equal(wide.y_scale_, 1)


def scaled(data, cells):
    X, Y = (a[cells].astype(np.float64) for a in (data.X, data.Y))
    return (X - X.mean(0)) / X.std(0), (Y - Y.mean(0)) / Y.std(0)


def test_genes_are_chosen_for_outputs_denoised_by_ridge_and_trees(data, monkeypatch):
    monkeypatch.setattr(few_cells, "DENOISING_GENES", 9)  # of the trees
    X, Y = scaled(data, slice(60))
    said = few_cells.denoised(X, Y, np.random.RandomState(3))
    ridge = LeaveOneOutRidge().fit(X, Y)
    order = np.argsort(-np.square(ridge.coef_).sum(0), kind="stable")[:9]
    forest = grow_forest(
        X[:, order], Y, few_cells.DENOISING_TREES, np.random.RandomState(3), bootstrap=True
    )
    np.testing.assert_allclose(2 * said, ridge.predict(X) + forest.predict(X[:, order]), atol=1e-9)
    assert few_cells.denoised(X, Y[:, :1], np.random.RandomState(3)).shape == (60, 1)
    chosen = few_cells.choose_genes(
        X, Y, 6, Run(DistilledSettings(few_cells_penalty=7.0), np.random.RandomState(3))
    )
    np.testing.assert_array_equal(
        chosen, forward_selection(X, said - said.mean(0), 6, penalty=7.0 * 60)
    )


def test_the_teacher_is_the_mean_of_trees_and_networks_that_saw_all_cells(data, monkeypatch):
    x, y = (torch.as_tensor(a.astype(np.float32)) for a in scaled(data, slice(80)))
    generator = torch.Generator().manual_seed(0)
    new = partial(
        BottleneckNetwork, x.shape[1], y.shape[1], 4, (16, 16), "silu", generator=generator
    )
    trained, train = [], few_cells.networks_of_teacher

    def watched(new, cells, target, run, noise, members):
        trained.extend((len(cells), len(target), noise, len(own.unique())) for own in members)
        return train(new, cells, target, run, noise, members)

    monkeypatch.setattr(few_cells, "networks_of_teacher", watched)
    settings = DistilledSettings(**SHORT | {"n_teachers": 3, "few_cells_noises": (1.0, 1.5)})
    teacher = few_cells.Teacher(new, x, y, Run(settings, np.random.RandomState(0), generator))
    assert trained == [(80, 80, 1.0, 80)] * 3 + [(80, 80, 1.5, 80)] * 3
    assert teacher.noise == 1.5
    trees = grow_forest(
        x.numpy(), y.numpy(), 3 * SHORT["n_trees"], np.random.RandomState(0)
    ).predict(x.numpy())
    with torch.no_grad():
        networks = np.mean([network(x).numpy() for network in teacher.networks], axis=0)
    np.testing.assert_allclose(teacher.predict(x), (trees + networks) / 2, atol=1e-5)


@pytest.mark.parametrize(
    ("few", "fewest", "swapped"), [(60, 60, 0.5), (60, 59, 0.15), (59, 60, 0.15)]
)
def test_made_cells_are_mixed_more(few, fewest, swapped, data, monkeypatch):
    shares, augment = [], distilled.augment
    monkeypatch.setattr(
        distilled, "augment", lambda x, share, run: shares.append(share) or augment(x, share, run)
    )
    short(few_cells=few, fewest_cells=fewest).fit(data.X[:60], data.Y[:60])
    assert shares == [swapped]


def believed(x, y, predict, monkeypatch):
    """Factors with a teacher that predicts by a function of the kept genes, and the cells that each teacher saw."""
    seen = []

    class Known:
        def __init__(self, new, cells, outputs, run, n_members):
            assert n_members == 1
            seen.append((cells, outputs))

        def predict(self, cells):
            return predict(cells)

    chosen_on = []
    choose = lambda *known: chosen_on.append(known) or [0, 2]  # noqa: E731
    monkeypatch.setattr(few_cells, "Teacher", Known)
    generator = torch.Generator().manual_seed(0)
    factors = few_cells.shrinkage(
        len, x, y, choose, Run(DistilledSettings(**SHORT), None, generator)
    )
    for (known, outputs), (cells, same) in zip(seen, chosen_on, strict=True):
        assert torch.equal(known, cells[:, [0, 2]]) and torch.equal(outputs, same), (
            "genes are chosen without them too"
        )
        assert max(each.mean(0).abs().max() for each in (cells, outputs)) < 1e-3, (
            "centred without them"
        )
    return factors, seen


def test_predictions_are_shrunk_by_the_error_of_held_out_cells(monkeypatch):
    x = torch.randn(400, 3, generator=torch.Generator().manual_seed(1))
    x -= x.mean(0)
    y = torch.stack([x[:, 0], 0.5 * x[:, 0], -x[:, 0], 2 * x[:, 2]], 1)
    factors, seen = believed(
        x, y, lambda cells: torch.stack([cells[:, 0]] * 3 + [cells[:, 1]], 1), monkeypatch
    )
    # The slopes are 1, 0.5, -1 and 2, of all outputs 0.625, worth 60 cells beside 400.
    mixed = (np.array([1, 0.5, -1, 2]) * 400 + 60 * 0.625) / 460
    np.testing.assert_allclose(factors.numpy(), mixed.clip(0, 1), atol=0.02)
    assert [len(cells) for cells, _ in seen] == [320] * 5
    x = x[:4].double() + 5  # about the means of the cells that were not held out
    y = torch.stack([0.5 * x[:, 0], 2 * x[:, 0]], 1) + 100
    factors, seen = believed(x, y, lambda cells: cells[:, [0, 0]], monkeypatch)
    # The slope of all outputs, 1.25, counts as 1: (0.5 * 4 + 60) / 64
    np.testing.assert_allclose(factors, [0.96875, 1])
    assert [len(cells) for cells, _ in seen] == [3] * 4


def test_no_teacher_sees_the_cells_that_it_is_judged_by(monkeypatch):
    x, judged = torch.arange(50.0)[:, None] ** 2 * torch.ones(3), []
    _, seen = believed(x, x[:, :1], lambda cells: judged.append(cells) or cells[:, :1], monkeypatch)
    for (cells, _), held in zip(seen, judged, strict=True):
        assert len(cells) == 40 and len(held) == 10
        known, asked = ((each[:, 0] - cells[0, 0]).round().tolist() for each in (cells, held))
        assert not set(known) & set(asked)


def test_the_map_is_that_of_the_student(data, monkeypatch):
    X, Y, widths = data.X[:60], data.Y[:60], []

    def believing(factor):
        def shrinkage(new, x, target, *rest):
            widths.append(x.shape[1])
            return torch.full_like(target[0], factor)

        monkeypatch.setattr(few_cells, "shrinkage", shrinkage)
        return short().fit(X, Y)

    model, half, whole = short().fit(X, Y), believing(0.5), believing(1.0)
    assert widths == [data.n_genes] * 2, "not of those alone that were chosen on all cells"
    np.testing.assert_array_equal(half.transform(data.X), model.transform(data.X))
    away, halfway = (each.predict(data.X) - Y.mean(0) for each in (whole, half))
    np.testing.assert_allclose(halfway, away / 2, rtol=1e-4, atol=1e-5)
