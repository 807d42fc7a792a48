"""Gene networks: rates by the formulas of the paper, simulation, priors and tables."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sbnn.dynamics.data import as_trajectories, trajectories
from sbnn.dynamics.gene_network import GeneNetwork
from sbnn.dynamics.reader import read_trajectories
from sbnn.dynamics.simulate import gene_dynamics, prior_table, simulate_network, truth_table

OF_A = "1 * fAct(A, 0.5, 2)"
NOT_B = "(1 - 1 * fAct(B, 0.4, 1))"
#: C is activated by A or repressed by B; D needs A and C and is repressed by B, and E by C.
EQUATIONS = {
    "D": f"((({OF_A} * fAct(C,25e-2,1.5)) * {NOT_B}) * 1 - 1 * D) / 2",
    "C": f"(({OF_A} + {NOT_B} - {OF_A} * {NOT_B}) * 1 - 1 * C) / 1",
    "E": "0.5 * A - fAct(C, 0.5, 2) * E",
}
#: Regulator, target and sign.
EDGES = [[0, 2, 1], [0, 3, 1], [1, 2, -1], [1, 3, -1], [2, 3, 1], [2, 4, -1]]


def network_of(equations):
    """Network of the genes A to E."""
    return GeneNetwork(
        gene_names=["A", "B", "C", "D", "E"],
        equations=equations,
        mean=np.full(5, 0.5),
        sd=np.full(5, 0.1),
        offset=np.zeros(5),
    )


@pytest.fixture(scope="module")
def network():
    return GeneNetwork.random(60, random_state=3)


# --- published networks


@pytest.fixture(params=[350, 690], scope="module")
def n_genes(request):
    return request.param


@pytest.fixture
def published_samples(real_file, n_genes):
    names = real_file(f"gene_names_{n_genes}.csv")
    return read_trajectories(real_file(f"test_{n_genes}_10_samples.csv"), names)


@pytest.fixture
def published_network(real_file, n_genes, published_samples):
    return GeneNetwork.from_table(real_file(f"rate_equations_{n_genes}.csv"), published_samples)


def test_published_samples_are_reproduced(n_genes, published_samples, published_network):
    values, times = as_trajectories(published_samples).pad()
    solution = published_network.solve(values[:, 0], times[0])
    largest_error = {350: 1.4e-6, 690: 9.5e-7}[n_genes]
    assert np.abs(solution - values).max() < largest_error


def test_the_published_prior_is_reproduced(real_file, n_genes, published_network):
    prior = pd.read_csv(real_file(f"prior_{n_genes}_noise_0.0.csv"), header=None)
    assert_array_equal(published_network.graph, prior)


# --- equations


@pytest.mark.parametrize(
    ("gene", "equation"),
    [
        ("C", "__import__('os').getcwd()"),
        ("C", "A.real"),
        ("C", "A ** 2"),
        ("C", "fAct(A, '0.5', 2)"),
        ("C", "'0.5' * A"),
        ("C", "fAct(A, 1.0, 2)"),
        ("C", "fAct(Z, 0.5, 2)"),
        ("C", "A - Z"),
        ("C", "A - C)"),
        ("C", "B / A"),
        ("C", "B / 0"),
        ("C", "1e999 * A - C"),
        ("Z", "A - C"),
    ],
)
def test_equations_of_another_form_are_refused(gene, equation):
    message = {"C": "rate equation of C", "Z": "equations: Z"}[gene]
    with pytest.raises(ValueError, match=message):
        network_of({gene: equation})


def list_edges(table):
    """Regulator, target and value of each edge."""
    return [[i, j, table.iat[i, j]] for i, j in np.argwhere(table).tolist()]


def test_edges_have_the_sign_of_their_effect():
    assert list_edges(network_of(EQUATIONS).graph) == EDGES


def test_two_negations_are_an_activation():
    network = network_of({"C": "1 - (1 - fAct(A, 0.5, 2)) - C", "D": "0.5 * A - D"})
    assert list_edges(network.graph) == [[0, 2, 1]]


def activation(x, ec50, n):
    """The formula of the paper: 0, 1/2 and 1 at the levels 0, EC50 and 1."""
    power = max(x, 0) ** n
    half = ec50**n
    b = (half - 1) / (2 * half - 1)
    return b * power / (b - 1 + power)


@pytest.mark.parametrize("kind", ["written", "random"])
def test_rates_are_the_formula_of_the_paper(network, kind):
    model = network if kind == "random" else network_of(EQUATIONS)
    levels = np.random.default_rng(0).uniform(-0.3, 1.3, len(model.gene_names))
    names = dict(zip(model.gene_names, levels, strict=True))
    names["fAct"] = activation
    expected = [eval(model.equations.get(gene, "0"), names) for gene in model.gene_names]
    assert_allclose(model.rates(levels), expected, atol=1e-12)


# --- tables


@pytest.fixture
def first_values(rng):
    """Of 60 samples of the genes A and B."""
    return rng.random((60, 2)) * [1, 0.1]


@pytest.fixture
def read_network(tmp_path, first_values):
    path = tmp_path / "equations.csv"
    path.write_text(f'node,eqn\nB,"({OF_A} - 1 * B) / 1"\nA,input gene\n')
    samples = np.stack([first_values, first_values + 0.1], axis=1)
    return GeneNetwork.from_table(path, trajectories(samples, [0, 1], ["A", "B"]))


def test_networks_are_read_from_a_table(read_network):
    assert read_network.graph.loc["A"].to_dict() == {"A": 0, "B": 1}


def test_first_values_are_like_those_of_samples(read_network, first_values):
    mean = first_values.mean(axis=0)
    assert_allclose(read_network.mean, mean)
    assert_allclose(read_network.sd, first_values.std(axis=0, ddof=1))
    assert_allclose(read_network.offset, (mean - 0.5).clip(-0.25, 0.25))


# --- simulation


def test_samples_are_those_of_the_committed_results(network):
    samples = network.simulate(2, 0.025, 1)
    expected = [0.3868246951779685, 0.45020055706030104, 0.40022962059602274]
    assert_allclose(samples.X[4, [0, 20, 59]], expected, rtol=1e-7)
    assert samples.X[[4, -1]].mean() == pytest.approx(0.437133143667744, rel=1e-7)


@pytest.fixture(scope="module")
def samples(network):
    return network.simulate(30, noise=0, random_state=5)


def test_noise_has_its_sd(network, samples):
    """The same samples without noise are not changed by it."""
    noise = network.simulate(30, noise=0.05, random_state=5).X - samples.X
    assert noise.std() == pytest.approx(0.05, rel=0.03)


def test_samples_are_measured_at_the_times_given(network):
    course = network.simulate(2, times=(0, 1.5))
    assert course.obs["time"].tolist() == [0, 1.5, 0, 1.5]


# --- priors


def test_priors_are_those_of_the_committed_results(network):
    changes = network.misplaced_prior(0.05, 0) - network.graph
    assert list_edges(changes) == [
        [0, 22, 1],
        [2, 16, -1],
        [3, 27, -1],
        [8, 28, -1],
        [14, 33, 1],
        [24, 30, -1],
        [24, 31, 1],
        [25, 0, 1],
        [43, 31, -1],
        [52, 51, 1],
    ]


def test_a_misplaced_prior_moves_edges(network):
    """27 of 105, less when rounded."""
    is_new = (network.misplaced_prior(27 / 105, 2) != 0) & (network.graph == 0)
    assert is_new.to_numpy().sum() == 27


def test_less_than_an_edge_is_not_moved(network):
    assert network.misplaced_prior(0.99 / 105).equals(network.graph)


def test_the_fraction_of_misplaced_edges_is_checked(network):
    with pytest.raises(ValueError, match="fraction must be"):
        network.misplaced_prior(1.5)


# --- data sets


@pytest.fixture
def train():
    return trajectories([[[1, 2], [3, 4]], [[7, 8], [9, 1]]], [0, 1], ["a", "b"])


@pytest.fixture
def held_out():
    return trajectories([[[0, 1], [2, 3]]], [0, 1], ["a", "b"])


@pytest.fixture
def signed_prior():
    """In another order of the regulators."""
    return pd.DataFrame([[0, 2.0], [-2.0, 0]], index=["b", "a"], columns=["a", "b"])


def test_samples_of_a_data_set_are_named(train, held_out, signed_prior):
    data = gene_dynamics(train, held_out, signed_prior)
    expected = ["train_0"] * 2 + ["train_1"] * 2 + ["test_0"] * 2
    assert data.obs["sample"].tolist() == expected


def test_a_data_set_keeps_its_prior(train, held_out, signed_prior):
    data = gene_dynamics(train, held_out, signed_prior)
    assert_array_equal(prior_table(data).loc["a"], [-2, 0])


def test_a_data_set_keeps_its_truth(train, held_out, signed_prior):
    """Of the known regulators."""
    truth = pd.DataFrame([[0, 1.0]], index=["b"], columns=["a", "b"])
    data = gene_dynamics(train, held_out, signed_prior, truth)
    assert_array_equal(truth_table(data), truth)
    assert truth_table(data).index.tolist() == ["b"]


def test_interactions_of_a_data_set_are_matched_by_name(train, held_out, signed_prior):
    strengths = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], index=["b", "a"], columns=["b", "a"])
    data = gene_dynamics(train, held_out, signed_prior, interactions=strengths)
    assert_array_equal(data.varp["interactions"], [[4, 3], [2, 1]])


def test_a_data_set_may_lack_a_truth(train, held_out, signed_prior):
    assert truth_table(gene_dynamics(train, held_out, signed_prior)) is None


@pytest.fixture(scope="module")
def simulated():
    return simulate_network(
        n_genes=31, n_samples=4, noise=0.2, wrong=0.05, n_test=2, random_state=1
    )


@pytest.fixture(scope="module")
def true_network():
    return GeneNetwork.random(31, random_state=1)


def test_simulated_samples_are_split(simulated):
    assert simulated.obs["split"].tolist() == ["train"] * 20 + ["test"] * 10


def test_the_truth_is_the_simulated_network(simulated, true_network):
    assert_array_equal(truth_table(simulated), true_network.graph)


def test_a_moved_edge_is_wrong_in_two_places(simulated, true_network):
    n_wrong = np.count_nonzero(prior_table(simulated) != true_network.graph)
    assert n_wrong == 2 * int(0.05 * np.count_nonzero(true_network.graph))


def test_training_samples_have_noise(simulated, true_network):
    assert_array_equal(simulated.X[:20], true_network.simulate(4, 0.2, 1).X)


def test_test_samples_are_others(simulated, true_network):
    first_samples = true_network.simulate(2, 0.0, 1).X
    assert np.abs(simulated.X[20:] - first_samples).max() > 0.1


def test_test_samples_have_no_noise(simulated, true_network):
    values = simulated.X[20:].reshape(2, 5, 31)
    times = simulated.obs["time"].to_numpy()[:5]
    solution = true_network.solve(values[:, 0], times)
    assert_allclose(values, solution, atol=1e-6)
