"""Published trajectories: their layouts, and what a data set of dynamics holds."""

import numpy as np
import pandas as pd
import pytest

from sbnn import load_dataset
from sbnn.data.gene_dynamics import prior_of, simulate_network, truth_of
from sbnn.data.gene_network import GeneNetwork
from sbnn.data.readers.gene_dynamics import read_grn, read_trajectories
from sbnn.data.trajectories import as_trajectories

GENES = ["A", "B", "C"]
FILE = "2,2,\n0.1,0.2,0.3\n1,2,-3\n0,2,5\n4,5\n7,8\n0,2\n"


def part(data, split):
    return as_trajectories(data[data.obs["split"] == split])


def write_trajectories(path, values, times):
    lines = [f"{values.shape[2]},{values.shape[0]},"]
    for sample in values:
        lines += [",".join(map(str, row)) for row in sample.T] + [",".join(map(str, times))]
    path.write_text("\n".join(lines))
    return path


def test_the_layout_is_read_with_samples_of_any_length(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text(FILE)
    data = read_trajectories(path, ["A_input", "B"])
    arrays = as_trajectories(data)
    np.testing.assert_array_equal(arrays.values[0], [[0.1, 1], [0.2, 2], [0.3, -3]])
    np.testing.assert_array_equal(arrays.values[1], [[4, 7], [5, 8]])
    assert [times.tolist() for times in arrays.times] == [[0, 2, 5], [0, 2]]
    assert data.var_names.tolist() == ["A", "B"]
    assert data.uns["sbnn"]["name"] == "two"
    padded = FILE.replace("4,5\n7,8\n0,2\n", "4,5,\n7,8,\n0,2,\n")
    path.write_text(padded)
    np.testing.assert_array_equal(
        as_trajectories(read_trajectories(path)).values[1], [[4, 7], [5, 8]]
    )
    changes = {
        ("2,2,", "genes"): "line 1",
        ("2,2,", "2,3,"): "6 lines for 3 samples",
        ("7,8", "7,x"): "sample 2",
        ("7,8,\n", "7,,\n"): "sample 2",
        ("0.1,0.2", "0.1,"): "sample 1",
    }
    for change, place in changes.items():
        path.write_text(padded.replace(*change))
        with pytest.raises(ValueError, match=rf"two\.csv.*{place}"):
            read_trajectories(path)


def test_simulated_samples_start_like_the_test_samples_and_know_no_more_of_them(tmp_path, rng):
    equations = pd.DataFrame(
        {
            "node": GENES,
            "eqn": ["input gene", "input gene", "((1 * fAct(A, 0.5, 1.5)) * 1 - 1 * C) / 1"],
        }
    )
    paths = [tmp_path / name for name in ("equations.csv", "names.csv", "test.csv", "prior.csv")]
    equations.to_csv(paths[0], index=False)
    pd.DataFrame({"x": ["A_input", "B_input", "C"]}).to_csv(paths[1], index=False)
    pd.DataFrame([[0, 0, 0], [0, 0, 1], [0, 0, 0]]).to_csv(paths[3], index=False, header=False)
    values = 0.3 + 0.02 * rng.random((10, 4, 3))
    write_trajectories(paths[2], values, [0, 2, 3, 7])
    data = read_grn(*paths, n_samples=60, noise=0.01)
    train = np.stack(part(data, "train").values)
    test = np.stack(part(data, "test").values)
    assert train.shape == (60, 5, 3)
    assert truth_of(data).loc["A", "C"] == 1
    assert np.count_nonzero(truth_of(data)) == 1
    np.testing.assert_array_equal(test, values)
    np.testing.assert_allclose(
        train[:, 0, :2].mean(axis=0), values[:, 0, :2].mean(axis=0), atol=0.01
    )
    assert prior_of(data).loc["B", "C"] == 1
    assert prior_of(data).loc["A", "C"] == 0, "the published one"
    moved = [
        prior_of(read_grn(*paths, wrong=1.0, random_state=seed)).to_numpy() for seed in range(6)
    ]
    assert len({prior.tobytes() for prior in moved}) > 1, "places follow the seed"
    own = read_grn(*paths, wrong=0.0)
    assert prior_of(own).loc["A", "C"] == 1
    assert own.uns["sbnn"]["sha256"] != data.uns["sbnn"]["sha256"]
    values[:, 1:] = 0.9
    write_trajectories(paths[2], values, [0, 2, 3, 7])
    np.testing.assert_array_equal(
        part(read_grn(*paths, n_samples=60, noise=0.01), "train").values, train
    )


def test_made_data_have_a_prior_that_is_partly_wrong():
    def make(seed, **options):
        return simulate_network(40, 12, wrong=0.2, n_test=3, random_state=seed, **options)

    data = make(4)
    network = GeneNetwork.random(40, random_state=4)
    train = part(data, "train")
    test = part(data, "test")
    assert len(train.values) == 12
    assert len(test.values) == 3
    assert data.n_vars == 40
    truth = truth_of(data).to_numpy() != 0
    prior = prior_of(data).to_numpy() != 0
    np.testing.assert_array_equal(truth_of(data), network.graph)
    assert (truth & ~prior).sum() == int(0.2 * truth.sum())
    start = np.stack(test.values)[:, 0]
    np.testing.assert_allclose(network.solve(start, test.times[0]), test.values)
    apart = np.abs(np.stack(train.values)[:, None, 0] - start[None]).max(axis=2)
    assert apart.min() > 0.05, "no test sample is one to train on"
    shas = [made.uns["sbnn"]["sha256"] for made in (data, make(4), make(5), make(4, noise=0.1))]
    assert shas[0] == shas[1]
    assert len(set(shas)) == 3


def test_beeline_and_hematopoiesis_are_as_published():
    options = {"download": False, "verbose": False}
    try:
        blood = load_dataset("hematopoiesis", **options)
        model = load_dataset("beeline_hsc", repeat=4, dropout=True, **options)
    except FileNotFoundError:
        pytest.skip("the data are not here")
    assert blood.obs.groupby("sample", sort=False).size().tolist() == [482, 168, 391, 1005, 48]
    assert blood.n_vars == 529
    assert np.count_nonzero(prior_of(blood)) == 31030
    assert truth_of(blood) is None
    coarse = load_dataset("hematopoiesis", cells_per_bin=12, **options)
    assert coarse[coarse.obs["split"] == "train"].X.max() == 1
    assert coarse.n_obs == 40 + 14 + 32 + 83 + 4
    truth = truth_of(model)
    assert truth.shape == (11, 11)
    assert truth.loc["Gata1", "Pu1"] == -1
    assert not prior_of(model).to_numpy().any()
    assert not np.array_equal(part(model, "train").values[0], part(model, "test").values[0])
