from functools import partial

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyRegressor

from sbnn import DistilledBottleneckRegressor, DistilledSettings
from sbnn.determinism import reproducible
from sbnn.models.bottleneck.network import BottleneckNetwork
from sbnn.models.bottleneck.protocols import distilled
from sbnn.models.bottleneck.training import Run, _batches

DEFAULT = DistilledSettings()
MANY = DistilledSettings(few_cells=0)  # whatever their number, treated as many
SHORT = DistilledSettings(  # trains for a moment only
    few_cells=0,
    noises=(0.3, 1.0),
    usual_noise=0.3,
    n_teachers=2,
    n_trees=10,
    n_augmented=500,
    steps_of_teachers=40,
    steps_of_student=150,
)


@pytest.fixture(autouse=True)
def one_thread():
    """Threads cost more than they gain on such small matrices."""
    with reproducible(1):
        yield


def test_genes_of_many_cells_are_chosen_by_a_draw_of_all(monkeypatch):
    def stop(cells, outputs, *rest):
        raise InterruptedError(cells[:, 0], outputs[:, 0])

    monkeypatch.setattr(distilled.few_cells, "choose_genes", stop)
    x = torch.arange(100.0)[:, None].repeat(1, 3)
    with pytest.raises(InterruptedError) as stopped:
        distilled.choose_genes(
            x, x, 2, Run(DistilledSettings(most_cells=20), np.random.RandomState(0))
        )
    for drawn in stopped.value.args:
        assert len(set(drawn.tolist())) == 20 and abs(drawn.mean()) < 1e-4 and np.ptp(drawn) > 50


@pytest.mark.parametrize(
    ("n", "n_genes", "screened"), [(300, 5, 120), (300, 70, 140), (100, 5, 50), (100, 70, 70)]
)
def test_more_genes_are_screened_than_are_kept(n, n_genes, screened, monkeypatch):
    def stop(X, Y, number, **_):
        raise InterruptedError(number)

    monkeypatch.setattr(distilled, "forward_selection", stop)
    with pytest.raises(InterruptedError, match=f"^{screened}$"):
        distilled.choose_genes(
            cells(n, 150), cells(n, 2), n_genes, Run(MANY, np.random.RandomState(0))
        )


def short(**params):
    return DistilledBottleneckRegressor(
        **{"n_genes": 5, "random_state": 0, "distillation": SHORT} | params
    )


def test_the_seed_decides_and_watching_changes_nothing(data):
    X, Y = data.X[:9] + 1, data.Y[:9]
    model = short().fit(data.X, data.Y, eval_set=(X, Y))
    assert torch.equal(model.network_.flat, short().fit(data.X, data.Y).network_.flat)
    assert not torch.equal(
        model.network_.flat, short(random_state=1).fit(data.X, data.Y).network_.flat
    )
    errors, outputs = (model.predict(X) - Y) / model.y_scale_, (Y - model.y_mean_) / model.y_scale_
    last = model.history_.iloc[-1]
    assert last.eval_loss == pytest.approx(np.square(errors).mean(), rel=1e-3)
    assert last.eval_r2 == pytest.approx(
        1 - np.square(errors).sum() / np.square(outputs).sum(), abs=1e-3
    )


def test_a_gene_of_two_cells_is_not_chosen(rng):
    """On 60 cells it explains what happens to be measured in the two; of 30 cells five are enough for a gene."""
    X = rng.normal(size=(60, 100)).astype(np.float32)
    Y = (X[:, :3] @ rng.normal(size=(3, 2)) + 0.5 * rng.normal(size=(60, 2))).astype(np.float32)
    X[:, 50] = 0
    X[:2, 50], Y[:2] = 5, 8
    x, y = torch.as_tensor(X - X.mean(0)), torch.as_tensor(Y - Y.mean(0))
    assert distilled.cells_behind(x)[50] == pytest.approx(2, rel=0.1)
    assert 50 not in distilled.choose_genes(x, y, 5, Run(MANY, np.random.RandomState(0)))
    x = cells(30, 20)
    x[:, 4] = torch.arange(30) < 5
    x -= x.mean(0)
    assert 5 < distilled.cells_behind(x)[4] < 10 == MANY.fewest_cells_of_a_gene
    assert 4 in distilled.choose_genes(x, x[:, [4]], 2, Run(MANY, np.random.RandomState(0)))
    # copies of a gene say nothing more, and genes of one cell are worse than that
    x = torch.zeros(60, 8)
    x[0, 0] = x[1, 1] = 7
    x[:, 2:] = cells(60, 2).repeat(1, 3)
    x -= x.mean(0)
    chosen = distilled.choose_genes(x, x[:, [2, 3]], 5, Run(MANY, np.random.RandomState(0)))
    assert len(set(chosen)) == 5 and not {0, 1} & set(chosen)


def test_noises_are_tried_from_the_usual_one_outwards(monkeypatch):
    errors = {0.1: 5.0, 0.5: 3.0, 0.8: 4.0, 1.2: 2.0, 2.0: 6.0}

    def fits(parts, new, x, target, run, noise, left_out):
        return compared.append(len(left_out)) or [
            (noise, torch.full((4, 1), errors[noise])) for _ in left_out
        ]

    grown, compared = [], []
    monkeypatch.setattr(distilled, "_networks_without", fits)
    monkeypatch.setattr(
        distilled,
        "grow_forest",
        lambda X, *rest: grown.append(len(X)) or DummyRegressor().fit(X, X),
    )
    settings = DistilledSettings(noises=tuple(errors), usual_noise=0.8, most_cells_of_trees=11)
    x = cells(20)
    for best in (1.2, 0.5):
        teacher = distilled.Teacher(
            None, x, x, Run(settings, np.random.RandomState(0), torch.Generator())
        )
        assert teacher.noise == best and set(teacher.networks) == {best}
        errors[1.2] = 7.0
    assert set(grown) == {11} and set(compared) == {3, 2}, (
        "three of five parts, the others for the best noise alone"
    )


@pytest.mark.parametrize("train", [distilled._networks_without, distilled._forest_without])
def test_no_teacher_sees_the_part_that_it_is_judged_on(train):
    """Outputs that are noise cannot be predicted better than by their mean, unless they were seen."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(120, 8, generator=generator), torch.randn(120, 3, generator=generator)
    parts = torch.arange(120).tensor_split(3)
    settings = DistilledSettings(n_teachers=3, steps_of_teachers=150)
    if train is distilled._networks_without:
        new = partial(BottleneckNetwork, 8, 3, 4, (32, 32), "silu", generator=generator)
        fits = train(parts, new, x, y, Run(settings, None, generator), 0.1, range(3))
    else:
        fits = [
            train(parts, x, y, Run(settings, np.random.RandomState(0)), part) for part in range(3)
        ]
    errors = [
        residual.square().sum() / y[parts[part]].square().sum()
        for part, (_, residual) in enumerate(fits)
    ]
    assert min(errors) > 0.95
    if train is distilled._forest_without:
        seen = [y[parts[1]] - torch.as_tensor(fit.predict(x[parts[1]].numpy())) for fit, _ in fits]
        error = [float(residual.square().sum() / y[parts[1]].square().sum()) for residual in seen]
        assert max(error[0], error[2]) < 0.7, "the other parts are what it is grown on"


def student(x, y, noise, labelled, settings=DEFAULT):
    """A small network trained as the student is."""
    generator = torch.Generator().manual_seed(0)
    network = BottleneckNetwork(x.shape[1], y.shape[1], 2, (16, 16), "silu", generator=generator)
    options = {"n_steps": 400, "learning_rate": 1e-2, "labelled": labelled, "settings": settings}
    distilled.train_with_noise(network, x, y, noise, generator, **options)
    return network


def cells(n=512, p=1):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(1))


def test_measured_cells_count_beside_labelled_ones():
    """128 measured cells of weight 1/2 that say 1, and 256 labelled ones that say 0: the best answer is 64 / 320."""
    x = cells()
    for settings, answer in ((DEFAULT, 0.2), (DistilledSettings(weight_of_measured=2.0), 0.5)):
        network = student(x, torch.ones(512, 1), 0.0, (x, torch.zeros(512, 1)), settings)
        with torch.no_grad():
            assert float(network(x).mean()) == pytest.approx(answer, abs=0.025)


def test_noise_on_measured_cells_smooths_the_student():
    """Least squares on inputs with noise of SD s has the slope 1 / (1 + s^2)."""
    x = cells()
    alone = DistilledSettings(weight_of_measured=1e4)  # nothing but the measured cells count
    slopes = []
    for noise in (0.0, 1.5):
        network = student(x, x, noise, (x, x), alone)
        with torch.no_grad():
            slopes.append(float((network(x) * x).sum() / x.square().sum()))
    assert slopes[0] == pytest.approx(1, abs=0.03) and slopes[1] == pytest.approx(1 / 3.25, abs=0.1)


@pytest.mark.parametrize(("n", "whole"), [(10, 10), (12, 10), (5, 5)])
def test_every_cell_is_seen_once_before_any_is_seen_again(n, whole):
    batches = _batches(n, 5, torch.Generator().manual_seed(0))
    first, second = (torch.cat([next(batches) for _ in range(whole // 5)]) for _ in range(2))
    assert len(first.unique()) == len(second.unique()) == whole
    assert n == 12 or not torch.equal(first, second), "in another order"


def test_of_few_genes_those_are_kept_that_sum_up_others():
    """Six genes drive the outputs and a seventh is nearly their sum: alone it says most, though they matter more."""
    for seed in range(2):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(300, 40))
        X[:, 6] = X[:, :6].sum(1) + 0.8 * rng.normal(size=300)
        Y = X[:, :6] @ rng.uniform(0.5, 1, size=(6, 4)) + 0.5 * rng.normal(size=(300, 4))
        x, y = (torch.as_tensor(((a - a.mean(0)) / a.std(0)).astype(np.float32)) for a in (X, Y))
        for n_genes in (1, 2):
            settings = DEFAULT, DistilledSettings(fewest_relevant=1)
            kept = [
                distilled.choose_genes(x, y, n_genes, Run(its, np.random.RandomState(0)))
                for its in settings
            ]
            assert 6 in kept[0] and 6 not in kept[1]
