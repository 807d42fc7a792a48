"""The distilled protocol: which genes and noise are chosen, and what the student learns from."""

import numpy as np
import pytest
import torch
from pytest import approx
from sklearn.dummy import DummyRegressor
from torch.testing import assert_close

from sbnn import DistilledBottleneckRegressor, DistilledSettings
from sbnn.determinism import reproducible
from sbnn.models.bottleneck.protocols import distilled, few_cells
from sbnn.models.bottleneck.training import Run

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


def cells(n=512, p=1):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(1))


def run_of(settings, **given):
    given = {"random": np.random.RandomState(0), "generator": torch.Generator()} | given
    return Run(settings, **given)


def z_scored(values):
    scaled = (values - values.mean(0)) / values.std(0)
    return torch.as_tensor(scaled.astype(np.float32))


# --- genes


def test_genes_of_many_cells_are_chosen_by_a_draw_of_all(monkeypatch):
    seen = []

    def watched(x, target, n_genes, run):
        seen.extend([x, target])
        return np.arange(n_genes)

    monkeypatch.setattr(few_cells, "choose_genes", watched)
    x = torch.arange(100.0)[:, None].repeat(1, 3)
    distilled.choose_genes(x, x + 7, 2, run_of(DistilledSettings(most_cells=20)))
    for drawn in seen:
        assert drawn.shape == (20, 3)
        assert len(drawn[:, 0].unique()) == 20
        assert abs(drawn.mean()) < 1e-4 and drawn.max() - drawn.min() > 50
    assert_close(*seen)


@pytest.mark.parametrize(
    ("n", "n_genes", "screened"), [(300, 5, 120), (300, 70, 140), (100, 5, 50), (100, 70, 70)]
)
def test_more_genes_are_screened_than_are_kept(n, n_genes, screened, monkeypatch):
    def stop(X, Y, number, **_):
        raise InterruptedError(number)

    monkeypatch.setattr(distilled, "forward_selection", stop)
    with pytest.raises(InterruptedError, match=f"^{screened}$"):
        distilled.choose_genes(cells(n, 150), cells(n, 2), n_genes, run_of(MANY))


def test_all_genes_are_kept_if_all_are_wanted():
    for n_genes in (None, 3):
        assert distilled.choose_genes(cells(9, 3), None, n_genes, run_of(MANY)).tolist() == [
            0,
            1,
            2,
        ]


def test_a_gene_of_two_cells_is_not_chosen(rng):
    """On 60 cells it explains what happens to be measured in the two."""
    X = rng.normal(size=(60, 100))
    Y = X[:, :2] + 0.5 * rng.normal(size=(60, 2))
    X[:, 50] = 0
    X[:2, 50] = 5
    Y[:2] = 8
    x, y = z_scored(X), z_scored(Y)
    assert distilled.cells_behind(x)[50] == approx(2, rel=0.1)
    assert 50 not in distilled.choose_genes(x, y, 5, run_of(MANY))


@pytest.mark.parametrize(("n_cells", "is_chosen"), [(30, True), (48, False)])
def test_a_gene_needs_a_sixth_of_few_cells(n_cells, is_chosen):
    """A gene at the same level in five cells explains the output alone."""
    x = cells(n_cells, 20)
    x[:, 4] = (torch.arange(n_cells) < 5).float()
    x -= x.mean(0)
    behind = distilled.cells_behind(x)[4]
    assert 5 < behind < MANY.fewest_cells_of_a_gene
    assert (behind >= n_cells / 6) == is_chosen
    chosen = distilled.choose_genes(x, x[:, [4]], 2, run_of(MANY))
    assert (4 in chosen) == is_chosen


def test_copies_fill_up_before_genes_of_one_cell():
    x = torch.zeros(60, 8)
    x[0, 0] = x[1, 1] = 7
    x[:, 2:] = cells(60, 2).repeat(1, 3)
    x -= x.mean(0)
    chosen = distilled.choose_genes(x, x[:, [2, 3]], 5, run_of(MANY))
    assert len(set(chosen)) == 5 and not {0, 1} & set(chosen)
    assert chosen.tolist() == sorted(chosen)
    more = distilled.choose_genes(x, x[:, [2, 3]], 7, run_of(MANY))
    assert more.tolist() == [0, *range(2, 8)]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("n_genes", [1, 2])
def test_of_few_genes_those_are_kept_that_sum_up_others(seed, n_genes):
    """Six genes drive the outputs; a seventh, nearly their sum, alone explains most."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(300, 40))
    drivers = X[:, :6]
    X[:, 6] = drivers.sum(1) + 0.8 * X[:, 6]
    Y = 0.5 * rng.normal(size=(300, 4))
    Y += drivers @ rng.uniform(0.5, 1, size=(6, 4))
    x, y = z_scored(X), z_scored(Y)
    assert 6 in distilled.choose_genes(x, y, n_genes, run_of(DEFAULT))
    most_relevant_alone = DistilledSettings(fewest_relevant=1)
    assert 6 not in distilled.choose_genes(x, y, n_genes, run_of(most_relevant_alone))


# --- the teacher


class MadeUp:
    """Held-out errors by noise level, and the order in which they were asked for."""

    def __init__(self, errors):
        self.errors = errors
        self.asked = []

    def error(self, noise, n_parts):
        assert n_parts == 3
        self.asked.append(noise)
        return self.errors[noise]


@pytest.mark.parametrize(
    ("errors", "best", "not_tried"),
    [
        ([5, 3, 4, 2, 6], 1.2, set()),
        ([5, 3, 4, 7, 1], 0.5, {2.0}),
        ([1, 4, 4, 4, 1], 0.8, {0.1, 2.0}),
        ([1, 2, 3, 4, 5], 0.1, {2.0}),
        ([5, 4, 3, 2, 1], 2.0, {0.1}),
    ],
)
def test_noise_levels_are_tried_from_the_usual_one_outwards(errors, best, not_tried):
    noises = (0.1, 0.5, 0.8, 1.2, 2.0)
    networks = MadeUp(dict(zip(noises, errors, strict=True)))
    assert distilled.best_noise(networks, noises, 0.8, 3) == best
    assert set(noises) - set(networks.asked) == not_tried
    assert distilled.best_noise(networks, (0.8,), 0.8, 3) == 0.8


def test_networks_are_trained_when_first_needed(monkeypatch):
    trained = []

    def networks_of_teacher(new, x, target, run, noise, members):
        assert noise == 0.5
        trained.append([cells.tolist() for cells in members])
        return [lambda x: 3 * x[:, :1]] * len(members)

    monkeypatch.setattr(distilled, "networks_of_teacher", networks_of_teacher)
    x = torch.arange(8.0)[:, None]
    parts = torch.arange(8).tensor_split(4)
    settings = DistilledSettings(watched_cells=1)
    networks = distilled.HeldOutNetworks(None, x, x, parts, run_of(settings))
    assert networks.error(0.5, 3) == 4 * (0 + 2**2 + 4**2)  # residuals 2 x, one cell per part
    assert len(networks.without_each(0.5, 2)) == 2
    assert len(networks.without_each(0.5, 4)) == 4
    assert trained == [
        [[2, 3, 4, 5, 6, 7], [0, 1, 4, 5, 6, 7], [0, 1, 2, 3, 6, 7]],
        [[0, 1, 2, 3, 4, 5]],
    ]


def test_the_teacher_compares_noise_on_three_parts_and_mixes_all(monkeypatch):
    errors = {0.5: 3.0, 0.8: 4.0, 1.2: 5.0, 2.0: 6.0}
    counted = []

    def networks_of_teacher(new, x, target, run, noise, members):
        n_networks = len(members)
        counted.append(n_networks)
        return [lambda x: torch.full((len(x), 1), errors[noise])] * n_networks

    def grow_forest(X, Y, *_):
        assert len(X) == 11
        return DummyRegressor(strategy="constant", constant=1.0).fit(X, Y)

    monkeypatch.setattr(distilled, "networks_of_teacher", networks_of_teacher)
    monkeypatch.setattr(distilled, "grow_forest", grow_forest)
    settings = DistilledSettings(most_cells_of_trees=11, prior_cells=20)
    teacher = distilled.Teacher(None, cells(20), torch.zeros(20, 1), run_of(settings))
    assert teacher.noise == 0.5
    assert counted == [3, 3, 3, 2]  # 0.5, 0.8, 1.2, and the other parts for the best
    # Residuals of 3 and 1: the trees alone are best, which 20 cells as prior shrink to 3/4.
    assert teacher.weight == approx(0.75)
    assert_close(teacher.predict(cells(4)), torch.full((4, 1), 0.25 * 3 + 0.75))


def test_no_forest_sees_the_part_that_it_is_judged_on():
    x, y = cells(120, 8), cells(120, 11)[:, 8:]
    parts = torch.arange(120).tensor_split(3)
    for part in range(3):
        forest, residuals = distilled._forest_without(parts, x, y, run_of(DEFAULT), part)
        assert residuals.square().sum() > 0.95 * y[parts[part]].square().sum()
        seen = parts[part - 1]
        errors = y[seen] - torch.as_tensor(forest.predict(x[seen].numpy()))
        assert errors.square().sum() < 0.7 * y[seen].square().sum()


def test_the_weight_of_the_trees_minimises_the_error_of_the_mixture():
    first, second = cells(50, 3), 0.7 * cells(50, 6)[:, 3:]
    weights = np.linspace(0, 1, 1001)
    errors = []
    for share in weights:
        mixture = torch.lerp(first, second, share)
        errors.append(float(mixture.square().sum()))
    best = weights[np.argmin(errors)]
    assert 0.2 < best < 0.8
    weight = distilled.weight_of_second
    assert weight(first, second, 0) == approx(best, abs=1e-3)
    assert weight(first, second, 50) == approx((best + 0.5) / 2, abs=1e-3)
    assert weight(first, second, 150) == approx((best + 3 * 0.5) / 4, abs=1e-3)
    assert weight(first, 3 * first, 0) == 0
    assert weight(3 * first, first, 0) == 1
    assert weight(first, first, 10) == approx(5 / 60)


# --- the student


@pytest.mark.parametrize("swapped", [0.0, 0.3])
def test_artificial_cells_mix_two_cells_and_have_noise(swapped):
    """Gene j of cell i is 1000 i + j; so an entry shows where it comes from."""
    x = 1000.0 * torch.arange(40.0)[:, None] + torch.arange(51.0)
    settings = DistilledSettings(n_augmented=400, augmentation_noise=0.05)
    made = distilled.augment(x, swapped, run_of(settings)).numpy()
    assert made.shape == (400, 51)
    sources = np.floor(made / 1000 + 0.5).astype(int)
    noise = made - 1000 * sources - np.arange(51)
    assert noise.std() == approx(0.05, rel=0.02) and abs(noise.mean()) < 0.001
    majority = np.median(sources, axis=1)
    is_other = sources != majority[:, None]
    # one in forty cells is mixed with itself
    assert is_other.mean() == approx(swapped * 39 / 40, abs=0.01)
    assert set(majority) == set(range(40)), "every cell is used"
    for own, others in zip(sources, is_other, strict=True):
        assert len(set(own[others])) <= 1, "from a single other cell"
    if swapped:
        assert is_other.mean(0).min() > 0.15, "of every gene"


def short(**params):
    return DistilledBottleneckRegressor(
        **{"n_genes": 5, "random_state": 0, "distillation": SHORT} | params
    )


def test_the_seed_decides_and_watching_changes_nothing(data):
    X, Y = data.X[:9] + 1, data.Y[:9]
    model = short().fit(data.X, data.Y, eval_set=(X, Y))
    flat = model.network_.flat
    assert torch.equal(flat, short().fit(data.X, data.Y).network_.flat)
    assert not torch.equal(flat, short(random_state=1).fit(data.X, data.Y).network_.flat)
    errors = (model.predict(X) - Y) / model.y_scale_
    outputs = (Y - model.y_mean_) / model.y_scale_
    last = model.history_.iloc[-1]
    assert last.eval_loss == approx(np.square(errors).mean(), rel=1e-3)
    r2 = 1 - np.square(errors).sum() / np.square(outputs).sum()
    assert last.eval_r2 == approx(r2, abs=1e-3)


def test_the_student_learns_from_the_teacher(data, monkeypatch):
    """Labelled cells are artificial, with predictions of the teacher, whose noise is used."""
    seen = {}

    class Teacher:
        noise = 1.0

        def __init__(self, new, x, target, run):
            assert new().shapes[2:4] == [(64, 64), (64, 16)]

        def predict(self, x):
            return x[:, :5] + 100

    def train_student(network, x, target, labelled, noise, *_):
        seen["labelled"] = labelled
        seen["noise"] = noise
        seen["widths"] = network.shapes
        return []

    monkeypatch.setattr(distilled, "Teacher", Teacher)
    monkeypatch.setattr(distilled, "train_student", train_student)
    x, y = torch.as_tensor(data.X), torch.as_tensor(data.Y).float()
    distilled.train(short(n_genes=6), x, y, np.random.RandomState(0), torch.Generator())
    made, labels = seen["labelled"]
    assert made.shape == (500, 6) and seen["noise"] == 1.0
    assert_close(labels, made[:, :5] + 100)
    *_, encoder, decoder, _, _, head = seen["widths"]
    assert (encoder, decoder, head) == ((64, 2), (2, 64), (64, 5))


@pytest.mark.parametrize(("few", "low", "high"), [(3, 0, 8), (4, 0, 2 + 3.4641 * 1.5)])
def test_genes_are_clipped_to_their_range_or_less_with_few_cells(few, low, high):
    X = np.array([[0, 1], [0, 2], [0, 3], [8, 2.0]])
    model = DistilledBottleneckRegressor(distillation=DistilledSettings(few_cells=few))
    lower, upper = distilled.input_limits(model, X)
    assert (lower[0], upper[0]) == approx((low, high), rel=1e-4)
    assert (lower[1], upper[1]) == (1, 3)
