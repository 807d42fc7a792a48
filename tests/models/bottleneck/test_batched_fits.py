"""Networks trained at once give what they give one by one, whatever is asked for and whatever goes wrong."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from sbnn import SparseBottleneckRegressor, cross_validate
from sbnn.models.bottleneck import batched_fits
from sbnn.models.bottleneck.network import BottleneckNetwork, Ensemble
from sbnn.models.bottleneck.protocols import paper_batched
from sbnn.results import load

SMALL = {
    "protocol": "paper",
    "hidden_layers": (16, 8),
    "epochs": (2, 2, 2, 2),
    "n_genes": 5,
    "learning_rate": 1e-3,
    "device": "cpu",
}
GRID = {"group_lasso": [0.01, 0.1], "random_state": [0, 1]}


def small(**params):
    return SparseBottleneckRegressor(**SMALL | {"random_state": 0} | params)


@pytest.fixture(scope="module")
def folds():
    """Three folds of 120 cells, with 70, 97 and 100 training cells: 3, 4 and 4 batches."""
    order = np.random.default_rng(0).permutation(120)
    tests = [order[:50], order[50:73], order[73:93]]
    return [(np.setdiff1d(order, test), test) for test in tests]


@pytest.fixture
def ensembles(monkeypatch):
    """Sizes of the ensembles that were trained."""
    sizes, train = [], paper_batched.train

    def counted(members, *arguments):
        sizes.append(len(members))
        return train(members, *arguments)

    monkeypatch.setattr(paper_batched, "train", counted)
    return sizes


def validated(model, data, folds, grid=GRID, **options):
    return cross_validate(model, data, folds, grid, verbose=False, **options)


@pytest.fixture(scope="module")
def one_by_one(data, folds):
    """What the others are compared with."""
    return validated(small(), data, folds)


def assert_close(one_by_one, at_once, rtol=1e-4, atol=1e-5):
    """Records agree to the rounding of sums, which a few epochs let grow a little."""
    assert list(one_by_one.values) == list(at_once.values)
    np.testing.assert_array_equal(one_by_one.selected, at_once.selected)
    for name in ("test_r2", "train_r2", "test_feature_r2", "gene_norms"):
        np.testing.assert_allclose(at_once.values[name], one_by_one.values[name], rtol=rtol, atol=atol)
    for name in ("test_latent", "test_predictions"):
        for a, b in zip(sum(one_by_one.values[name], []), sum(at_once.values[name], []), strict=True):
            np.testing.assert_allclose(b, a, rtol=rtol, atol=atol)
    for a, b in zip(sum(one_by_one.history, []), sum(at_once.history, []), strict=True):
        assert (a.dtypes == b.dtypes).all() and (a.stage == b.stage).all()
        a, b = a.drop(columns="stage"), b.drop(columns="stage")
        np.testing.assert_allclose(b[:3].to_numpy(float), a[:3].to_numpy(float), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(b.to_numpy(float), a.to_numpy(float), rtol=rtol, atol=atol)


@pytest.mark.parametrize(
    ("params", "grid"),
    [
        ({"pretraining": False}, GRID),
        ({"n_components": 4, "standardize": False}, GRID),
        ({"n_genes": None, "batch_size": 7, "weight_decay": 1e-3}, GRID),
        ({}, {"group_lasso": [0.0, 0.1], "learning_rate": [1e-3, 1e-4], "random_state": [3]}),
        ({"epochs": (0, 0, 2, 1), "learning_rate": 0.0}, GRID),
    ],
    ids=["straight", "wider", "all-genes", "rates", "no-pretraining-epochs"],
)
def test_members_equal_single_fits(params, grid, data, folds, ensembles):
    model = small(**params)
    alone = validated(model, data, folds, grid)
    assert ensembles == []
    at_once = validated(model, data, folds, grid, batched=True, members_at_once=100)
    assert ensembles == [3 * len(at_once.params)]
    assert_close(alone, at_once)


def test_members_may_have_more_or_fewer_clusters_or_none(data, folds, ensembles):
    few = np.arange(35)
    folds = [*folds, (few, np.arange(40, 120))]  # less than 40 training cells make no two clusters of 20
    draws = [paper_batched.draw(small(), torch.as_tensor(data.Y[train])) for train, _ in folds[:3]]
    assert len({int(d.labels.max()) for d in draws}) > 1
    with pytest.warns(UserWarning, match="fewer than two clusters"):
        alone = validated(small(), data, folds, {"random_state": [0]})
    with pytest.warns(UserWarning, match="fewer than two clusters"):
        at_once = validated(small(), data, folds, {"random_state": [0]}, batched=True)
    assert ensembles == [4]
    assert {table.stage[0] for table in at_once.history[0]} == {"pretraining", "unfrozen"}
    assert_close(alone, at_once)


def test_a_member_is_an_ordinary_model(data, folds):
    X, Y = data.X[folds[0][0]], data.Y[folds[0][0]]
    alone = small(group_lasso=0.1).fit(X, Y, eval_set=(X[:9], Y[:9]))
    [[(_, member, _, seconds)]] = batched_fits.fit_together(
        [small(group_lasso=0.1)], [0], lambda _: (X, Y, X[:9], Y[:9])
    )
    assert type(member) is SparseBottleneckRegressor and seconds > 0
    assert vars(member).keys() == vars(alone).keys()
    np.testing.assert_allclose(member.predict(X), alone.predict(X), rtol=1e-4, atol=1e-5)
    assert member.network_.shapes == alone.network_.shapes
    assert member.history_.columns.tolist() == alone.history_.columns.tolist()
    assert not hasattr(small(), "cells") and "cells" not in vars(member)


def test_an_ensemble_runs_its_networks_side_by_side():
    generator = torch.Generator().manual_seed(0)
    networks = [BottleneckNetwork(6, 3, 2, (5, 4), generator=generator) for _ in range(3)]
    together, x = Ensemble(networks), torch.randn(3, 7, 6, generator=generator)
    kept = torch.tensor([[0, 2], [1, 5], [3, 4]])
    for genes in (None, kept):
        if genes is not None:
            together.keep_inputs(genes)
            x = x.gather(2, genes[:, None].expand(-1, 7, -1))
            for network, index in zip(networks, genes, strict=True):
                network.keep_inputs(index)
        for i, network in enumerate(networks):
            torch.testing.assert_close(together(x)[i], network(x[i]))
            torch.testing.assert_close(together.input_norms()[i], network.input_norms())
            assert torch.equal(together.member(i).flat, network.flat)


def test_grid_points_of_different_shape_form_ensembles_of_their_own(data, folds, ensembles):
    grid = {"group_lasso": [0.01, 0.1], "n_components": [2, 3]}
    at_once = validated(small(), data, folds[:2], grid, batched=True, members_at_once=3)
    assert ensembles == [3, 1, 3, 1]
    assert_close(validated(small(), data, folds[:2], grid), at_once)


def test_neither_workers_nor_the_size_of_ensembles_matter(data, folds, one_by_one, ensembles):
    one, two = (validated(small(), data, folds, batched=True, members_at_once=100, n_jobs=n) for n in (1, 2))
    np.testing.assert_array_equal(one.test_r2, two.test_r2)
    in_parts = validated(small(), data, folds, batched=True, members_at_once=7)
    assert ensembles == [12, 12, 7, 5]
    assert_close(one_by_one, one)
    assert_close(one_by_one, in_parts)


def test_a_killed_run_goes_on_after_the_last_finished_ensemble(data, folds, ensembles, tmp_path, monkeypatch):
    path, train = tmp_path / "cv.pickle", paper_batched.train

    def killed(members, *arguments):
        if len(ensembles) == 2:
            raise KeyboardInterrupt
        return train(members, *arguments)

    monkeypatch.setattr(paper_batched, "train", killed)
    options = {"batched": True, "members_at_once": 4, "results": path}
    with pytest.raises(KeyboardInterrupt):
        validated(small(), data, folds, **options)
    assert len(list(Path(f"{path}.parts").glob("*.pickle"))) == 8
    monkeypatch.setattr(paper_batched, "train", train)
    record = validated(small(), data, folds, **options)
    assert ensembles == [4, 4, 4]
    np.testing.assert_array_equal(record.test_r2, validated(small(), data, folds, **options).test_r2)
    assert ensembles == [4, 4, 4]
    assert record.settings["batched"] and load(path).settings["batched"]


def test_on_a_cpu_batched_results_are_results_of_their_own(data, folds, tmp_path):
    path = tmp_path / "cv.pickle"
    validated(small(), data, folds[:1], results=path)
    with pytest.raises(ValueError, match="which would be lost"):
        validated(small(), data, folds[:1], results=path, batched=True)
    assert "batched" not in load(path).settings


def short_of_memory(monkeypatch, most):
    tried, train = [], paper_batched.train

    def limited(members, *arguments):
        tried.append(len(members))
        if len(members) > most:
            raise torch.OutOfMemoryError("tried to allocate 2 GiB")
        return train(members, *arguments)

    monkeypatch.setattr(paper_batched, "train", limited)
    return tried


def test_too_little_memory_halves_the_ensemble(data, folds, one_by_one, monkeypatch):
    tried = short_of_memory(monkeypatch, most=5)
    with pytest.warns(UserWarning, match="networks do not fit .* going on with"):
        at_once = validated(small(), data, folds, batched=True, members_at_once=100)
    assert tried == [12, 6, 3, 3, 3, 3]
    assert_close(one_by_one, at_once)


def test_too_little_memory_for_one_network(data, folds, monkeypatch):
    short_of_memory(monkeypatch, most=0)
    with (
        pytest.warns(UserWarning, match="networks do not fit .* going on with"),
        pytest.raises(MemoryError, match="not even one network fits .* cpu: tried to allocate 2 GiB"),
    ):
        validated(small(), data, folds[:1], batched=True)


def test_a_member_that_diverges_spoils_no_other(data, folds, tmp_path):
    path, grid = tmp_path / "cv.pickle", {"learning_rate": [1e-3, 1e30]}
    with pytest.raises(ValueError, match=r"(?s)3 of 6 fits cannot be scored, .* fold 0 with .*1e\+30.*NaN"):
        validated(small(), data, folds, grid, results=path, batched=True)
    parts = [load(part) for part in Path(f"{path}.parts").glob("*.pickle")]
    assert [part.params for part in parts] == 3 * [[{"learning_rate": 1e-3}]]
    expected = validated(small(), data, folds, {"learning_rate": [1e-3]}).test_r2.ravel()
    np.testing.assert_allclose(sorted(part.test_r2 for part in parts), sorted(expected), rtol=1e-4)


@pytest.mark.parametrize("model", [Ridge(), small(protocol="distilled"), small(reconstruct=True)], ids=str)
def test_other_models_are_not_batched(model, data, folds):
    with pytest.raises(ValueError, match="batched: .* trained in ensembles"):
        validated(model, data, folds, {}, batched=True)


def test_parameters_and_device_are_checked_before_any_work(data, folds, ensembles, tmp_path):
    path = tmp_path / "folder" / "cv.pickle"
    with pytest.raises(ValueError, match="group_lasso: expected a number >= 0, got -1"):
        validated(small(), data, folds, {"group_lasso": [0.1, -1]}, batched=True, results=path)
    if not torch.cuda.is_available():
        for batched in (True, None, False):
            with pytest.raises(ValueError, match="device: 'cuda' was asked for, but torch sees no CUDA device"):
                validated(small(device="cuda"), data, folds, batched=batched, results=path)
    assert ensembles == [] and not path.parent.exists()


def test_results_from_a_gpu_are_read_without_one(data, folds, tmp_path, monkeypatch):
    path = tmp_path / "cv.pickle"
    with monkeypatch.context() as patch:
        patch.setattr(SparseBottleneckRegressor, "_torch_device", lambda model: torch.device("cpu"))
        record = validated(small(device="cuda"), data, folds[:1], results=path)
    again = validated(small(device="cuda"), data, folds[:1], results=path, batched=True)
    np.testing.assert_array_equal(again.test_r2, record.test_r2)


class OnGpu(SparseBottleneckRegressor):
    def _torch_device(self):
        return torch.device("cuda")


def test_what_a_gpu_trains_at_once(data, monkeypatch):
    monkeypatch.setattr(SparseBottleneckRegressor, "_torch_device", OnGpu._torch_device)
    models = [small(), small(protocol="distilled"), small(reconstruct=True)]
    assert [model.is_trained_together(None, data.X) for model in models] == [True, False, False]
    assert [model.is_trained_together(False, data.X) for model in models] == 3 * [False]

    class FitsOtherwise(SparseBottleneckRegressor):
        def fit(self, X, y=None):
            return self

    assert not FitsOtherwise(protocol="paper").is_trained_together(None, data.X)


def test_free_memory_decides_on_the_members(data, monkeypatch):
    for name in ("memory_reserved", "memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda device: 0)
    model, cells = OnGpu(**SMALL), (data.X, data.Y, data.X, data.Y)

    def members(free):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
        return batched_fits._members_that_fit(model, cells)

    assert members(0) == 1 and members(2**50) == batched_fits.MOST_MEMBERS
    assert members(2**26) == pytest.approx(2 * members(2**25), abs=2)
    assert batched_fits._members_that_fit(small(), cells) == batched_fits.MEMBERS_ON_CPU


def test_stages_run_on_the_device_and_no_number_is_read_before_they_end(monkeypatch):
    """The meta device holds no numbers: an operation that reads one, or meets a tensor of another device, fails."""
    reads, cpu, adam = [], torch.Tensor.cpu, torch.optim.Adam

    def read(tensor):
        reads.append(tensor.shape)
        return torch.ones(tensor.shape) if tensor.is_meta else cpu(tensor)

    monkeypatch.setattr(torch.Tensor, "cpu", read)
    monkeypatch.setattr(torch.optim, "Adam", lambda groups, lr, eps, fused: adam(groups, lr=lr, eps=eps))
    folds = [[torch.empty(n, width, device="meta") for n in (cells, 9) for width in (40, 5)] for cells in (70, 100)]
    folds = [(x, y, (x_watched, y_watched)) for x, y, x_watched, y_watched in folds]
    draws = [
        paper_batched.Draws(f, np.arange(70 + 30 * f) % (3 + f), (np.arange(40 + 20 * f), np.arange(60, 65 + f)))
        for f in range(2)
    ]
    counts = []
    for epochs in (1, 2):
        reads.clear()
        members = [
            paper_batched.Member(small(group_lasso=strength, epochs=4 * (epochs,)), f, draws[f])
            for f in (0, 1)
            for strength in (0.0, 0.1)
        ]
        trained = paper_batched.train(members, folds)
        assert all(t.network.flat.is_meta and len(t.history) == 4 * epochs for t in trained)
        counts.append(len(reads))
    assert counts[0] == counts[1] > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_members_equal_single_fits_on_a_cpu(data, folds, ensembles):
    on_gpu = validated(small(device="cuda"), data, folds)
    assert ensembles == [12]
    assert_close(validated(small(), data, folds), on_gpu, rtol=1e-3, atol=1e-3)
    one_by_one = validated(small(device="cuda"), data, folds, batched=False)
    assert ensembles == [12]
    assert_close(one_by_one, on_gpu, rtol=1e-3, atol=1e-3)
    assert batched_fits._members_that_fit(small(device="cuda"), (data.X, data.Y, data.X, data.Y)) > 12
