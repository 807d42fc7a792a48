"""Published trajectories: their layouts, and what a data set of dynamics holds."""

import numpy as np
import pytest

from sbnn.data.gene_dynamics import prior_of, truth_of
from sbnn.data.readers import gene_dynamics
from sbnn.data.readers.gene_dynamics import read_trajectories
from sbnn.data.trajectories import as_trajectories

FILE = '"2","2",\n0.1,0.2,0.3\n1,2,-3\n0,2,5\n4,5,\n7,8,\n0,2,\n'


def part(data, split):
    """Values of the samples to train or to test, an array of shape (samples, times, genes)."""
    return np.stack(as_trajectories(data[data.obs["split"] == split]).values)


def test_samples_of_any_length_are_read(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text(FILE)
    data = read_trajectories(path, ["A_input", "B"])
    arrays = as_trajectories(data)
    np.testing.assert_array_equal(arrays.values[0], [[0.1, 1], [0.2, 2], [0.3, -3]])
    np.testing.assert_array_equal(arrays.values[1], [[4, 7], [5, 8]])
    assert [times.tolist() for times in arrays.times] == [[0, 2, 5], [0, 2]]
    assert data.var_names.tolist() == ["A", "B"]
    assert data.uns["sbnn"]["name"] == "two"
    assert data.uns["sbnn"]["gene_major"]
    for old, new in (('"2"', "genes"), ('"2",\n', "3\n"), ("8,", "x,"), ("2,0.3", ""), (FILE, "")):
        path.write_text(FILE.replace(old, new))
        with pytest.raises(ValueError, match=r"two\.csv: expected"):
            read_trajectories(path)


@pytest.fixture
def course(tmp_path):
    """Paths of trajectories of three genes to train and to test, their names and a prior."""
    texts = {
        "train": "3,1\n1,2,0,4\n0,0,0,0\n5,-8,7,6\n0,1,2,3\n",
        "test": "3,1\n4,2\n1,3\n1,1\n0,1\n",
        "names": "gene\na_input\nb\nc\n",
        "prior": "0,0.5,0\n0,0,-0.5\n0,0,0\n",
        "edges": "from,to\nb,a\nb,x\nx,a\nc,c\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return [tmp_path / name for name in texts]


def test_averaged_cells_are_divided_by_the_largest_training_value(course):
    assert gene_dynamics.read_hematopoiesis(*course[:4]).n_obs == 6
    blood = gene_dynamics.read_hematopoiesis(*course[:4], cells_per_bin=2)
    # means of two cells: (1.5, 0, -1.5) and (2, 0, 6.5) to train
    expected = [[0.75, 0, -1.5 / 6.5], [1, 0, 1], [2, 1, 1 / 6.5], [1, 3, 1 / 6.5]]
    np.testing.assert_allclose(blood.X, expected)
    assert blood.obs["time"].tolist() == [0.5, 2.5, 0, 1]
    assert np.count_nonzero(prior_of(blood)) == 2


def test_simulated_samples_start_like_the_test_samples_and_know_no_more_of_them(tmp_path, rng):
    paths = [tmp_path / name for name in ("equations.csv", "names.csv", "test.csv", "prior.csv")]
    rule = '"((1 * fAct(A, 0.5, 1.5)) * 1 - 1 * C) / 1"'
    paths[0].write_text(f"node,eqn\nA,input gene\nB,input gene\nC,{rule}\n")
    paths[1].write_text("x\nA_input\nB_input\nC\n")
    paths[3].write_text("0,0,0\n0,0,1\n0,0,0\n")
    values = 0.3 + 0.02 * rng.random((10, 4, 4))  # (samples, genes and times, times)
    values[:, 3] = [0, 2, 3, 7]
    trains = []
    for later in (0, 0.5):
        values[:, :3, 1:] += later
        lines = "\n".join(",".join(map(str, line)) for line in values.reshape(-1, 4))
        paths[2].write_text(f"3,10\n{lines}")
        data = gene_dynamics.read_grn(*paths, n_samples=60, noise=0.01)
        np.testing.assert_array_equal(part(data, "test"), values[:, :3].transpose(0, 2, 1))
        trains.append(part(data, "train"))
    np.testing.assert_array_equal(*trains)
    start = trains[0][:, 0, :2].mean(axis=0)
    np.testing.assert_allclose(start, values[:, :2, 0].mean(axis=0), atol=0.01)
    assert np.argwhere(truth_of(data)).tolist() == [[0, 2]]
    assert np.argwhere(prior_of(data)).tolist() == [[1, 2]], "the published one"
    right = gene_dynamics.read_grn(*paths, n_samples=2, wrong=0.0)
    assert prior_of(right).equals(truth_of(right))
