"""Published trajectories: their layouts, and what a data set of dynamics holds."""

import numpy as np
import pytest
from material.layouts import TRAJECTORIES
from numpy.testing import assert_allclose, assert_array_equal

from sbnn.dynamics import reader as gene_dynamics
from sbnn.dynamics.data import as_trajectories
from sbnn.dynamics.reader import read_trajectories
from sbnn.dynamics.simulate import prior_table, truth_table


@pytest.fixture
def paths(tmp_path):
    """Files of three genes, in the order in which readers take them."""
    for name, text in TRAJECTORIES.items():
        (tmp_path / name).write_text(text)
    return [tmp_path / name for name in TRAJECTORIES]


# --- trajectories


@pytest.fixture
def samples(paths):
    return as_trajectories(read_trajectories(paths[1], paths[2]))


def test_samples_of_any_length_are_read(samples):
    short, long = samples.values
    assert_array_equal(short, [[4, 1, 1], [2, 3, 1]])
    assert_array_equal(long, [[0.1, 1, 0], [0.2, 2, 0], [0.3, -3, 0]])


def test_times_are_read(samples):
    assert [times.tolist() for times in samples.times] == [[0, 1], [0, 2, 5]]


def test_genes_are_read_without_their_kind(samples):
    assert samples.gene_names.tolist() == ["a", "b", "c"]


def test_samples_stay_in_the_published_layout(samples):
    assert samples.gene_major


def test_lines_of_different_lengths_are_refused(paths):
    paths[1].write_text(TRAJECTORIES["test"].replace("2,0.3", ""))
    with pytest.raises(ValueError, match="inhomogeneous"):
        read_trajectories(paths[1], paths[2])


# --- measured trajectories


def test_all_cells_are_read(paths):
    assert gene_dynamics.read_measured(*paths[:4]).n_obs == 9


@pytest.fixture
def averaged(paths):
    """In bins of two cells."""
    return gene_dynamics.read_measured(*paths[:4], cells_per_bin=2)


def test_cells_are_divided_by_training_values(averaged):
    """Means of two cells are (1.5, 0, -1.5) and (2, 0, 6.5) to train."""
    expected = [[0.75, 0, -1.5 / 6.5], [1, 0, 1], [2, 1, 1 / 6.5], [1, 3, 1 / 6.5]]
    assert_allclose(averaged.X[:4], expected)


def test_times_of_cells_are_averaged(averaged):
    assert averaged.obs["time"].tolist()[:4] == [0.5, 2.5, 0, 1]


def test_the_prior_of_averaged_cells_is_read(averaged):
    assert np.argwhere(prior_table(averaged)).tolist() == [[0, 1], [1, 2]]


# --- breast cancer


@pytest.fixture
def breast(paths):
    return gene_dynamics.read_breast(*paths[:7])


def test_interactions_are_between_genes_of_the_data(breast):
    """Of positions 1 to 4, the proteins of c, a, x and b."""
    assert breast.varp["interactions"].tolist() == [[0, 0, 0.7], [0.5, 0, 0], [0, 0, 1]]


def test_known_regulators_are_genes_of_the_data(breast):
    assert truth_table(breast).index.tolist() == ["b", "c"]


def test_known_edges_are_between_genes_of_the_data(breast):
    assert truth_table(breast).to_numpy().tolist() == [[1, 0, 0], [0, 0, 1]]


@pytest.fixture
def breast_alone(paths):
    return gene_dynamics.read_breast(*paths[:7], interactions=False)


def test_interactions_can_be_left_out(breast_alone):
    assert "interactions" not in breast_alone.varp


def test_interactions_are_in_the_fingerprint(breast, breast_alone):
    assert breast_alone.uns["sbnn"]["sha256"] != breast.uns["sbnn"]["sha256"]


# --- simulated networks


@pytest.fixture
def published_values(rng):
    """Ten test samples, (samples, genes, times)."""
    return 0.3 + 0.02 * rng.random((10, 3, 4))


@pytest.fixture
def network_paths(tmp_path):
    """Files of a network, without its test samples."""
    paths = [tmp_path / name for name in ("equations.csv", "names.csv", "test.csv", "prior.csv")]
    paths[0].write_text(TRAJECTORIES["equations"])
    paths[1].write_text(TRAJECTORIES["names"])
    paths[3].write_text("0,0,0\n0,0,1\n0,0,0\n")
    return paths


@pytest.fixture
def read_network(network_paths, published_values):
    """Reads the network with its test samples, of which later values can be raised."""

    def read(raised=0.0, **options):
        values = published_values.copy()
        values[:, :, 1:] += raised
        lines = ["3,10"]
        for sample in values:
            for row in [*sample, [0, 2, 3, 7]]:
                lines.append(",".join(f"{number:.18g}" for number in row))
        network_paths[2].write_text("\n".join(lines))
        return gene_dynamics.read_grn(*network_paths, n_samples=2, noise=0.01, **options)

    return read


def test_training_depends_on_starts_of_tests_only(read_network):
    training_values = read_network().X[:10]
    assert_array_equal(read_network(raised=0.5).X[:10], training_values)


def test_published_test_samples_are_kept(read_network, published_values):
    assert_array_equal(read_network().X[10:14], published_values[0].T)


def test_the_truth_is_that_of_the_equations(read_network):
    assert np.argwhere(truth_table(read_network())).tolist() == [[0, 2]]


def test_the_prior_is_the_published_one(read_network):
    assert np.argwhere(prior_table(read_network())).tolist() == [[1, 2]]


def test_a_prior_without_wrong_edges_is_true(read_network):
    data = read_network(wrong=0.0)
    assert prior_table(data).equals(truth_table(data))
