"""Gene networks: rates by the formulas of the paper, simulation, priors and tables."""

import numpy as np
import pandas as pd
import pytest

from sbnn.data.gene_dynamics import gene_dynamics, prior_of, simulate_network, truth_of
from sbnn.data.gene_network import GeneNetwork
from sbnn.data.readers.gene_dynamics import read_trajectories
from sbnn.data.trajectories import as_trajectories, trajectories

OF_A = "1 * fAct(A, 0.5, 2)"
NOT_B = "(1 - 1 * fAct(B, 0.4, 1))"
#: C is activated by A or repressed by B; D needs A and C and is repressed by B, and E by C.
EQUATIONS = {
    "D": f"((({OF_A} * fAct(C,25e-2,1.5)) * {NOT_B}) * 1 - 1 * D) / 2",
    "C": f"(({OF_A} + {NOT_B} - {OF_A} * {NOT_B}) * 1 - 1 * C) / 1",
    "E": "0.5 * A - fAct(C, 0.5, 2) * E",
}
EDGES = [[0, 2, 1], [1, 2, -1], [0, 3, 1], [1, 3, -1], [2, 3, 1], [2, 4, -1]]


def network_of(equations, mean=0.5, sd=0.1, offset=0.0):
    return GeneNetwork([*"ABCDE"], equations, *np.tile([[mean], [sd], [offset]], 5))


def activation(x, ec50, n):
    """The formula of the paper: 0, 1/2 and 1 at the levels 0, EC50 and 1."""
    power = max(x, 0) ** n
    half = ec50**n
    b = (half - 1) / (2 * half - 1)
    return b * power / (b - 1 + power)


@pytest.fixture(scope="module")
def network():
    return GeneNetwork.random(60, random_state=3)


@pytest.mark.parametrize(
    ("n_genes", "n_edges", "n_inputs", "error"), [(350, 550, 73, 1.4e-6), (690, 1082, 97, 9.5e-7)]
)
def test_the_published_test_files_are_reproduced(real_file, n_genes, n_edges, n_inputs, error):
    names = real_file(f"gene_names_{n_genes}.csv")
    published = read_trajectories(real_file(f"test_{n_genes}_10_samples.csv"), names)
    equations = real_file(f"rate_equations_{n_genes}.csv")
    network = GeneNetwork.from_table(equations, published)
    values, times = as_trajectories(published).padded()
    solved = network.solve(values[:, 0], times[0])
    assert np.abs(solved - values).max() < error
    prior = pd.read_csv(real_file(f"prior_{n_genes}_noise_0.0.csv"), header=None)
    np.testing.assert_array_equal(network.graph, prior)
    n_signs = np.count_nonzero(network.graph)
    assert (n_signs, network.is_input.sum()) == (n_edges, n_inputs)


@pytest.mark.parametrize(
    ("gene", "equation"),
    [
        ("C", "__import__('os').getcwd()"),
        ("C", "A.real"),
        ("C", "A ** 2"),
        ("C", "fAct(A, '0.5', 2)"),
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
    with pytest.raises(ValueError, match=f"rate equation of {gene}|equations: {gene}"):
        network_of({gene: equation})


def test_networks_are_read_from_a_table(tmp_path, rng):
    (tmp_path / "equations").write_text(f'node,eqn\nB,"({OF_A} - 1 * B) / 1"\nA,input gene\n')
    values = rng.random((60, 2, 2)) * [1, 0.1]
    like = trajectories(values, [0, 1], [*"AB"])
    network = GeneNetwork.from_table(tmp_path / "equations", like)
    assert network.graph.loc["A"].to_dict() == {"A": 0, "B": 1}
    first = values[:, 0]
    np.testing.assert_allclose(network.mean, first.mean(axis=0))
    np.testing.assert_allclose(network.sd, first.std(axis=0, ddof=1))
    np.testing.assert_allclose(network.offset, (network.mean - 0.5).clip(-0.25, 0.25))


def signed_edges(network):
    graph = network.graph.to_numpy()
    return [[*edge, graph[*edge]] for edge in np.argwhere(graph).tolist()]


def test_edges_have_the_sign_of_their_effect():
    network = network_of(EQUATIONS)
    assert signed_edges(network) == sorted(EDGES)
    twice_negated = network_of({"C": "1 - (1 - fAct(A, 0.5, 2)) - C", "D": "0.5 * A - D"})
    assert signed_edges(twice_negated) == [[0, 2, 1]]


def test_rates_are_the_equations_with_the_formula_of_the_paper(network):
    for of in (network_of(EQUATIONS), network):
        levels = np.random.default_rng(0).uniform(-0.3, 1.3, len(of.gene_names))
        known = {"fAct": activation} | dict(zip(of.gene_names, levels, strict=True))
        expected = [eval(of.equations.get(gene, "0"), known) for gene in of.gene_names]
        np.testing.assert_allclose(of.rates(levels), expected, atol=1e-12)


def test_samples_and_priors_are_those_of_the_committed_results(network):
    samples = network.simulate(2, 0.025, 1)
    expected = [0.3868246951779685, 0.45020055706030104, 0.40022962059602274]
    np.testing.assert_allclose(samples.X[4, [0, 20, 59]], expected, rtol=1e-7)
    assert samples.X[[4, -1]].mean() == pytest.approx(0.437133143667744, rel=1e-7)
    moved = np.argwhere(network.misplaced_prior(0.05, 0) != network.graph).tolist()
    expected = [[0, 22], [2, 16], [3, 27], [8, 28], [14, 33], [24, 30], [24, 31], [25, 0]]
    assert moved == [*expected, [43, 31], [52, 51]]


def test_simulations_depend_on_all_parameters_and_noise_on_no_other(network):
    clean = network.simulate(30, 0, 5)
    noisy = network.simulate(30, 0.05, 5)
    others = [network.simulate(30, 0, 6), network.simulate(30, 0, 5, (0, 1))]
    others.append(GeneNetwork.random(60, random_state=4).simulate(30, 0, 5))
    assert len({made.uns["sbnn"]["sha256"] for made in (clean, noisy, *others)}) == 5
    assert (noisy.X - clean.X).std() == pytest.approx(0.05, rel=0.03)


def test_a_misplaced_prior_moves_edges_and_keeps_signs(network):
    truth = network.graph.to_numpy()
    # of 105 edges, less than 27 when rounded
    prior = network.misplaced_prior(27 / 105, 2).to_numpy()
    assert ((prior != 0) & (truth == 0)).sum() == 27
    assert prior.sum() == truth.sum()
    assert not np.diag(prior).any()
    assert network.misplaced_prior(0.99 / 105).equals(network.graph)


def test_a_data_set_keeps_its_parts():
    names = ["a", "b"]
    train = trajectories([[[1, 2], [3, 4]], [[7, 8], [9, 1]]], [0, 1], names)
    test = trajectories([[[0, 1], [2, 3]]], [0, 1], names)
    prior = pd.DataFrame([[0, 2.0], [-2.0, 0]], ["b", "a"], names)
    truth = pd.DataFrame([[0, 1.0]], ["b"], names)
    data = gene_dynamics(train, test, prior, truth, name="mine")
    assert data.obs["sample"].tolist() == ["train_0"] * 2 + ["train_1"] * 2 + ["test_0"] * 2
    np.testing.assert_array_equal(prior_of(data).loc["a"], [-2, 0])
    np.testing.assert_array_equal(truth_of(data), truth)
    without = gene_dynamics(train, test, prior)
    assert truth_of(without) is None


def test_simulated_data_sets_have_noise_in_the_training_samples_only():
    network = GeneNetwork.random(31, random_state=1)
    data = simulate_network(31, 4, 0.2, n_test=2, random_state=1)
    assert data.obs["split"].tolist() == ["train"] * 20 + ["test"] * 10
    np.testing.assert_array_equal(truth_of(data), network.graph)
    # an edge that is moved is wrong in two places
    n_wrong = np.count_nonzero(prior_of(data) != network.graph)
    assert n_wrong == 2 * int(0.05 * np.count_nonzero(network.graph))
    np.testing.assert_array_equal(data.X[:20], network.simulate(4, 0.2, 1).X)
    assert np.abs(data.X[20:] - network.simulate(2, 0.0, 1).X).max() > 0.1, "other samples"
