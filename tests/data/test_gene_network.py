"""Gene networks: rates by the formulas of the paper, simulation, priors and tables."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import solve_ivp

from sbnn.data.gene_dynamics import gene_dynamics, prior_of, simulate_network, truth_of
from sbnn.data.gene_network import TIMES, GeneNetwork
from sbnn.data.readers.gene_dynamics import read_trajectories
from sbnn.data.trajectories import as_trajectories, trajectories

TEXT_A = "1 * fAct(A, 0.5, 2)"
NOT_B = "(1 - 1 * fAct(B, 0.4, 1))"
TEXT_C = "fAct(C,25e-2,1.5)"
#: C is activated by A or repressed by B, and D needs A and C and is repressed by B.
EQUATIONS = {
    "D": f"((({TEXT_A} * {TEXT_C}) * {NOT_B}) * 1 - 1 * D) / 1",
    "C": f"(({TEXT_A} + {NOT_B} - {TEXT_A} * {NOT_B}) * 1 - 1 * C) / 1",
}
SIGNS = [[0, 0, 1, 1], [0, 0, -1, -1], [0, 0, 0, 1], [0, 0, 0, 0]]


def network_of(names, equations):
    n = len(names)
    return GeneNetwork(names, equations, np.full(n, 0.5), np.full(n, 0.1), np.zeros(n))


SMALL = network_of([*"ABCD"], EQUATIONS)


def values_of(data):
    return np.stack(as_trajectories(data).values)


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
    equations = real_file(f"rate_equations_{n_genes}.csv")
    names = real_file(f"gene_names_{n_genes}.csv")
    published = read_trajectories(real_file(f"test_{n_genes}_10_samples.csv"), names)
    network = GeneNetwork.from_tables(equations, names, published)
    assert published.var_names.tolist() == network.gene_names.tolist()
    values = values_of(published)
    solved = network.solve(values[:, 0], as_trajectories(published).times[0])
    assert np.abs(solved - values).max() < error
    prior = pd.read_csv(real_file(f"prior_{n_genes}_noise_0.0.csv"), header=None)
    np.testing.assert_array_equal(network.graph, prior)
    assert len(network.edges) == n_edges
    assert network.is_input.sum() == n_inputs


# --- equations and tables


@pytest.mark.parametrize(
    "equation",
    [
        "__import__('os').getcwd()",
        "[x for x in (1, 2)]",
        "A ** 2",
        "-A",
        "'A' * 2",
        "other(A, 0.5, 2)",
        "fAct(A, 0.5, n=2)",
        "fAct(A, '0.5', 2)",
        "fAct(A, 1.0, 2)",
        "fAct(A, 0.5, 0)",
        "fAct(Z, 0.5, 2)",
        "Z - G",
        "A - G)",
        "A / B - G",
        "1e999 - G",
    ],
)
def test_equations_of_another_form_are_refused(equation):
    with pytest.raises(ValueError, match="rate equation of G"):
        network_of([*"ABCG"], {"G": equation})


def test_an_equation_of_an_unknown_gene_is_refused():
    with pytest.raises(ValueError, match="'Z'.* no gene names"):
        network_of([*"AG"], {"Z": "A - G"})


def test_networks_are_read_from_tables(tmp_path, rng):
    equations = tmp_path / "equations.csv"
    names = tmp_path / "names.csv"
    names.write_text("x\nA_input\nB\n")
    equations.write_text(f'node,eqn\nB,"(({TEXT_A}) * 1 - 1 * B) / 1"\nA, input gene \n')
    values = rng.random((60, 2, 2)) * [0.1, 1]
    like = trajectories(values, [0, 1], [*"BA"])
    network = GeneNetwork.from_tables(equations, names, like, "mine")
    assert network.gene_names.tolist() == ["A", "B"]
    assert network.graph.to_numpy().tolist() == [[0, 1], [0, 0]]
    assert network.name == "mine"
    first = values[:, 0, ::-1]  # genes go by name
    np.testing.assert_allclose(network.mean, first.mean(axis=0))
    np.testing.assert_allclose(network.sd, first.std(axis=0, ddof=1))
    np.testing.assert_allclose(network.offset, (network.mean - 0.5).clip(-0.25, 0.25))


def test_edges_have_the_sign_of_their_effect():
    np.testing.assert_array_equal(SMALL.graph, SIGNS)
    assert SMALL.is_input.tolist() == [True, True, False, False]
    scaled = network_of([*"ABG"], {"G": "A * (1 - fAct(B, 0.5, 2)) / 2 - G"})
    assert scaled.edges.tolist() == [[1, 2, -1]], "whatever the level of A"
    twice_negated = network_of([*"AG"], {"G": "1 - (1 - fAct(A, 0.5, 2)) - G"})
    assert twice_negated.graph.loc["A", "G"] == 1
    without = network_of([*"AG"], {"G": "0.5 * A - G"})
    assert len(without.edges) == 0
    assert without.rates([0.4, 0.1]).tolist() == [0, pytest.approx(0.1)]


# --- rates and solutions


def test_rates_are_the_equations_with_the_formula_of_the_paper(network):
    for of in (SMALL, network):
        levels = np.random.default_rng(0).uniform(-0.3, 1.3, len(of.gene_names))
        known = {"fAct": activation} | dict(zip(of.gene_names, levels, strict=True))
        expected = []
        for gene in of.gene_names:
            expected.append(eval(of.equations.get(gene, "0"), known))
        np.testing.assert_allclose(of.rates(levels), expected, atol=1e-12)


def test_the_solution_is_that_of_another_solver(network):
    starts = np.random.default_rng(0).random((2, 60))
    precise = {"method": "DOP853", "rtol": 1e-11, "atol": 1e-12, "t_eval": TIMES}
    for start, path in zip(starts, network.solve(starts, TIMES), strict=True):
        other = solve_ivp(lambda _, x: network.rates(x), (0, 9), start, **precise)
        np.testing.assert_allclose(path, other.y.T, atol=1e-7)


# --- what is drawn at random


def test_samples_and_priors_are_those_of_the_committed_results(network):
    samples = network.simulate(2, 0.025, 1)
    assert samples.X[[4, -1]].mean() == pytest.approx(0.437133143667744, rel=1e-7)
    moved = np.argwhere(network.misplaced_prior(0.05, 0) != network.graph).tolist()
    expected = [[0, 22], [2, 16], [3, 27], [8, 28], [14, 33], [24, 30], [24, 31], [25, 0]]
    assert moved == [*expected, [43, 31], [52, 51]]


def test_starting_values_have_the_distribution_of_their_gene():
    network = GeneNetwork(
        [*"AB"], {"B": "A - B"}, np.full(2, 0.9), np.full(2, 0.3), np.full(2, 0.25)
    )
    inputs, others = network.start(4000, np.random.default_rng(0)).T
    assert 0 < inputs.min() < inputs.max() < 1
    # normal, truncated to [0, 1], and Beta(2, 2) + 0.25, whose excess over 1 is cut off
    assert inputs.mean() == pytest.approx(0.713, abs=0.02)
    assert others.max() == 1
    assert others.mean() == pytest.approx(0.741, abs=0.01)


def test_simulations_depend_on_all_parameters_and_noise_on_no_other(network):
    clean = network.simulate(30, 0, 5)
    np.testing.assert_array_equal(clean.X, network.simulate(30, 0, 5).X)
    noisy = network.simulate(30, 0.05, 5)
    others = [network.simulate(30, 0, 6), network.simulate(30, 0, 5, (0, 1))]
    others.append(GeneNetwork.random(60, random_state=4).simulate(30, 0, 5))
    assert len({made.uns["sbnn"]["sha256"] for made in (clean, noisy, *others)}) == 5
    noise = noisy.X - clean.X
    assert noise.std() == pytest.approx(0.05, rel=0.03)
    assert np.abs(others[0].X[::5] - clean.X[::5]).max() > 0.1


def test_random_networks_have_the_published_proportions():
    network = GeneNetwork.random(1000, random_state=1)
    assert network.is_input.tolist() == [True] * 200 + [False] * 800
    regulator, _, sign = network.edges.T
    assert {*regulator} <= {*range(200), *range(200, 1000, 12)} and regulator.max() > 200
    assert not np.diag(network.graph).any()
    assert len(sign) == pytest.approx(1600, rel=0.05)
    assert (sign == 1).mean() == pytest.approx(0.68, abs=0.03)
    targets, n_regulators = np.unique(network.edges[:, 1], return_counts=True)
    two = [network.equations[gene] for gene in network.gene_names[targets[n_regulators == 2]]]
    assert np.mean([" + " in text for text in two]) == pytest.approx(0.5, abs=0.07)  # by OR
    assert GeneNetwork.random(3).is_input.sum() == 1
    assert len({GeneNetwork.random(60, seed).sha256 for seed in (1, 1, 2)}) == 2


# --- priors and data sets


def test_a_misplaced_prior_moves_edges_and_keeps_signs(network):
    truth = network.graph.to_numpy()
    # of 105 edges, less than 27 when rounded
    prior = network.misplaced_prior(27 / 105, 2).to_numpy()
    assert ((prior != 0) & (truth == 0)).sum() == 27
    assert (prior * truth >= 0).all()
    for sign in (-1, 1):
        assert (prior == sign).sum() == (truth == sign).sum()
    assert not np.diag(prior).any()
    n_wrong = [(SMALL.misplaced_prior(share) != SMALL.graph).sum().sum() for share in (0.19, 0.2)]
    assert n_wrong == [0, 2]


def test_a_data_set_keeps_its_parts():
    names = ["a", "b"]
    train = trajectories([[[1, 2], [3, 4]], [[7, 8], [9, 1]]], [0, 1], names)
    test = trajectories([[[0, 1], [2, 3]]], [0, 1], names)
    prior = pd.DataFrame([[0, 2.0], [-2.0, 0]], ["b", "a"], names)
    truth = pd.DataFrame([[0, 1]], ["b"], names)
    data = gene_dynamics(train, test, prior, truth, name="mine")
    assert data.obs["sample"].tolist() == ["train_0"] * 2 + ["train_1"] * 2 + ["test_0"] * 2
    np.testing.assert_array_equal(data.X[:4], train.X)
    np.testing.assert_array_equal(prior_of(data).loc["a"], [-2, 0])
    pd.testing.assert_frame_equal(truth_of(data), truth, check_dtype=False, check_names=False)
    without = gene_dynamics(train, test, prior)
    assert truth_of(without) is None
    others = [gene_dynamics(test, train, prior, truth), without]
    others.append(gene_dynamics(train, test, prior, 1 - truth))
    assert len({made.uns["sbnn"]["sha256"] for made in (data, *others)}) == 4


def test_simulated_data_sets_have_noise_in_the_training_samples_only():
    network = GeneNetwork.random(31, random_state=1)
    data = simulate_network(31, 4, 0.2, n_test=2, random_state=1)
    assert data.obs["split"].tolist() == ["train"] * 20 + ["test"] * 10
    np.testing.assert_array_equal(truth_of(data), network.graph)
    n_wrong = (prior_of(data) != network.graph).sum().sum()
    n_moved = int(0.05 * len(network.edges))  # an edge that is moved is wrong in two places
    assert n_wrong == 2 * n_moved
    inputs = values_of(data)[:, :, network.is_input]
    assert (inputs[4:] == inputs[4:, :1]).all()
    np.testing.assert_array_equal(data.X[:20], network.simulate(4, 0.2, 1).X)
