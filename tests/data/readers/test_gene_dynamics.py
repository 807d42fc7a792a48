"""Published trajectories: their layouts, and what a data set of dynamics holds."""

import numpy as np
import pytest

from sbnn.data.gene_dynamics import prior_of, truth_of
from sbnn.data.readers import gene_dynamics
from sbnn.data.readers.gene_dynamics import read_trajectories
from sbnn.data.trajectories import as_trajectories

TEXTS = {
    "train": "3,1\n1,2,0,4\n0,0,0,0\n5,-8,7,6\n0,1,2,3\n",
    "test": '"3","2",\n4,2\n1,3\n1,1\n0,1\n0.1,0.2,0.3\n1,2,-3\n0,0,0\n0,2,5\n',
    "names": "gene\na_input\nb\nc\n",
    "prior": "0,0.5,0\n0,0,-0.5\n0,0,0\n",
    "edges": "from,to\nb,a\nb,a\nb,x\nx,a\nc,c\n",
    "interactions": "1,1,1\n4,2,.5\n4,3,.2\n2,1,.7\n",
    "proteins": "gene\nc\na\nx\nb\n",
}


@pytest.fixture
def course(tmp_path):
    """Paths of the files of three genes."""
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    return [tmp_path / name for name in TEXTS]


def test_samples_of_any_length_are_read(course):
    data = read_trajectories(course[1], course[2])
    arrays = as_trajectories(data)
    np.testing.assert_array_equal(arrays.values[0], [[4, 1, 1], [2, 3, 1]])
    np.testing.assert_array_equal(arrays.values[1], [[0.1, 1, 0], [0.2, 2, 0], [0.3, -3, 0]])
    assert [times.tolist() for times in arrays.times] == [[0, 1], [0, 2, 5]]
    assert arrays.gene_names.tolist() == ["a", "b", "c"]
    assert arrays.gene_major
    course[1].write_text(TEXTS["test"].replace("2,0.3", ""))
    with pytest.raises(ValueError, match="inhomogeneous"):
        read_trajectories(course[1], course[2])


def test_averaged_cells_are_divided_by_the_largest_training_value(course):
    assert gene_dynamics.read_measured(*course[:4]).n_obs == 9
    blood = gene_dynamics.read_measured(*course[:4], cells_per_bin=2)
    # means of two cells: (1.5, 0, -1.5) and (2, 0, 6.5) to train
    expected = [[0.75, 0, -1.5 / 6.5], [1, 0, 1], [2, 1, 1 / 6.5], [1, 3, 1 / 6.5]]
    np.testing.assert_allclose(blood.X[:4], expected)
    assert blood.obs["time"].tolist()[:4] == [0.5, 2.5, 0, 1]
    assert np.argwhere(prior_of(blood)).tolist() == [[0, 1], [1, 2]]


def test_known_edges_and_interactions_are_those_between_genes_of_the_data(course):
    data = gene_dynamics.read_breast(*course)
    # of positions 1 to 4, the proteins of c, a, x and b
    assert data.varp["interactions"].tolist() == [[0, 0, 0.7], [0.5, 0, 0], [0, 0, 1]]
    alone = gene_dynamics.read_breast(*course, interactions=False)
    assert "interactions" not in alone.varp
    assert alone.uns["sbnn"]["sha256"] != data.uns["sbnn"]["sha256"]
    truth = truth_of(data)
    assert truth.loc["b"].tolist() == [1, 0, 0] and truth.loc["c"].tolist() == [0, 0, 1]
    assert truth.index.tolist() == ["b", "c"]


def test_a_simulated_network_knows_no_more_of_its_test_samples_than_their_start(tmp_path, rng):
    paths = [tmp_path / name for name in ("equations.csv", "names.csv", "test.csv", "prior.csv")]
    paths[0].write_text('node,eqn\nA,input gene\nB,input gene\nC,"fAct(A, 0.5, 1.5) - C"\n')
    paths[1].write_text("x\nA_input\nB_input\nC\n")
    paths[3].write_text("0,0,0\n0,0,1\n0,0,0\n")
    values = 0.3 + 0.02 * rng.random((10, 4, 4))  # (samples, genes and times, times)
    values[:, 3] = [0, 2, 3, 7]
    trains = []
    for later in (0, 0.5):
        values[:, :3, 1:] += later
        np.savetxt(paths[2], values.reshape(-1, 4), "%.18g", ",", header="3,10", comments="")
        data = gene_dynamics.read_grn(*paths, n_samples=2, noise=0.01)
        trains.append(data.X[:10])
    np.testing.assert_array_equal(*trains)
    np.testing.assert_array_equal(data.X[10:14], values[0, :3].T)
    assert np.argwhere(truth_of(data)).tolist() == [[0, 2]]
    assert np.argwhere(prior_of(data)).tolist() == [[1, 2]], "the published one"
    right = gene_dynamics.read_grn(*paths, n_samples=2, wrong=0.0)
    assert prior_of(right).equals(truth_of(right))
