"""Gene networks: logic against a slow second implementation, simulation, priors and tables."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import solve_ivp

from sbnn.data.gene_dynamics import gene_dynamics, prior_of, simulate_network, truth_of
from sbnn.data.gene_network import KINDS, TIMES, GeneNetwork, Starts
from sbnn.data.rate_equations import And, Or, Regulation, parse_rate_equation
from sbnn.data.readers.gene_dynamics import read_trajectories
from sbnn.data.trajectories import as_trajectories, prior_matrix, trajectories

A = Regulation("A", True, 0.5, 2.0)
NOT_B = Regulation("B", False, 0.4, 1.0)
C = Regulation("C", True, 0.25, 1.5)
#: C is activated by A or repressed by B, and D needs A and C.
SMALL = GeneNetwork(["A", "B", "C", "D"], {"D": And(A, C), "C": Or(A, NOT_B)}, name="small")


def values_of(data):
    return np.stack(as_trajectories(data).values)


def level(rule, x):
    """Value of a rule at levels x of the genes, a Series, by the formulas of the paper."""
    if isinstance(rule, And):
        return level(rule.one, x) * level(rule.other, x)
    if isinstance(rule, Or):
        return 1 - (1 - level(rule.one, x)) * (1 - level(rule.other, x))
    power = max(x[rule.regulator], 0) ** rule.exponent
    half = rule.ec50**rule.exponent
    # with B = (half - 1) / (2 half - 1) and K = B - 1, the levels 0, EC50 and 1 give 0, 1/2 and 1
    b = (half - 1) / (2 * half - 1)
    effect = b * power / (b - 1 + power)
    return effect if rule.activation else 1 - effect


@pytest.fixture(scope="module")
def network():
    return GeneNetwork.random(60, random_state=3)


@pytest.mark.parametrize(
    ("n_genes", "n_edges", "n_inputs", "error"), [(350, 550, 73, 1.4e-6), (690, 1082, 97, 9.5e-7)]
)
def test_the_published_test_files_are_reproduced(real_file, n_genes, n_edges, n_inputs, error):
    equations = real_file(f"rate_equations_{n_genes}.csv")
    names = real_file(f"gene_names_{n_genes}.csv")
    network = GeneNetwork.from_tables(equations, names)
    published = read_trajectories(real_file(f"test_{n_genes}_10_samples.csv"), names)
    assert published.var_names.tolist() == network.gene_names.tolist()
    values = values_of(published)
    solved = network.solve(values[:, 0], as_trajectories(published).times[0])
    assert np.abs(solved - values).max() < error
    prior = pd.read_csv(real_file(f"prior_{n_genes}_noise_0.0.csv"), header=None)
    np.testing.assert_array_equal(network.graph, prior)
    assert len(network.edges) == n_edges
    assert network.is_input.sum() == n_inputs


# --- text and tables

TEXT_A = "1 * fAct(A, 0.5, 2)"
TEXT_B = "(1 - 1 * fAct(B, 0.4, 1))"
TEXT_C = "fAct(C,25e-2,1.5)"


def parsed(logic):
    return parse_rate_equation(f"(({logic}) * 1 - 1 * G) / 1", "G")


def test_rate_equations_are_parsed():
    assert parse_rate_equation(" input gene ", "A") is None
    assert parsed(TEXT_A) == A
    assert parsed(f"{TEXT_A} + {TEXT_B} - {TEXT_A} * {TEXT_B}") == Or(A, NOT_B)
    assert parsed(f"({TEXT_A} * {TEXT_C})") == And(A, C)
    assert parsed(f"({TEXT_A} * {TEXT_B} * {TEXT_C})") == And(And(A, NOT_B), C)
    nested = f"(({TEXT_B} + {TEXT_A} - {TEXT_B} * {TEXT_A}) * {TEXT_C})"
    assert parsed(nested) == And(Or(NOT_B, A), C)


# --- priors and data sets


def test_other_equations_are_refused():
    logics = [
        f"2 * {TEXT_A}",
        f"{TEXT_A} / 2",
        f"1 - {TEXT_B}",
        f"2 - {TEXT_A}",
        "A",
        "fAct(A, 1)",
        ")",
    ]
    logics += [f"{TEXT_A} + {TEXT_B}", f"{TEXT_A} + {TEXT_B} - {TEXT_A} * {TEXT_C}"]
    for logic in logics:
        with pytest.raises(ValueError, match="rate equation of G"):
            parsed(logic)
    with pytest.raises(ValueError, match="rate equation of H"):
        parse_rate_equation(f"(({TEXT_A}) * 1 - 1 * G) / 1", "H")


def test_networks_are_read_from_tables(tmp_path):
    equations = tmp_path / "equations.csv"
    names = tmp_path / "names.csv"
    names.write_text("x\nA_input\nB\n")
    equations.write_text(f'node,eqn\nB,"(({TEXT_A}) * 1 - 1 * B) / 1"\nA,input gene\n')
    network = GeneNetwork.from_tables(equations, names, "mine")
    assert network.gene_names.tolist() == ["A", "B"]
    assert network.logic == {"B": A}
    assert network.name == "mine"
    for text in ("node,eqn\nC,input gene\nB,input gene\n", "node,equation\nA,input gene\n"):
        equations.write_text(text)
        with pytest.raises((KeyError, ValueError), match="'A'|equations: "):
            GeneNetwork.from_tables(equations, names)


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        (C, "C"),
        (And(A, Regulation("A", False, 0.4, 1.2)), "twice"),
        (Regulation("A", True, 1.0, 1.5), "ec50=1"),
        (Regulation("A", True, 0.0, 1.5), "ec50=0"),
        (Regulation("A", True, 0.5, 0.0), "exponent=0"),
        ("A", "A"),
    ],
)
def test_wrong_logic_is_refused(rule, named):
    with pytest.raises((TypeError, ValueError), match=f"logic: .*{named}"):
        GeneNetwork(["A", "G"], {"G": rule})


# --- rates and solutions


def test_rates_follow_the_logic():
    assert SMALL.is_input.tolist() == [True, True, False, False]
    graph = [[0, 0, 1, 1], [0, 0, -1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    np.testing.assert_array_equal(SMALL.graph, graph)
    for network in (SMALL, GeneNetwork.random(25, random_state=3)):
        n_genes = len(network.gene_names)
        states = np.random.default_rng(0).uniform(-0.3, 1.3, (n_genes, 2))
        rates = network.rates(states)
        for state, found in zip(states.T, rates.T, strict=True):
            x = pd.Series(state, network.gene_names)
            expected = pd.Series(0.0, x.index)
            for gene, rule in network.logic.items():
                expected[gene] = level(rule, x) - x[gene]
            np.testing.assert_allclose(found, expected, atol=1e-12)
            np.testing.assert_array_equal(network.rates(state), found)
    for kind in ("logic", "lag", "linear"):
        with pytest.raises(ValueError, match="kind|rates"):
            network.rates([0.5] * 26, kind)


def test_proteins_follow_their_genes_with_a_lag(network):
    genes, proteins = np.random.default_rng(0).random((2, 60))
    rates = network.rates(np.concatenate([genes, proteins]), "lag")
    targets = network.rates(proteins) + proteins  # what the logic aims at
    expected = np.where(network.is_input, 0, targets - 1.4 * genes / (genes + 0.4))
    np.testing.assert_allclose(rates, np.concatenate([expected, (genes - proteins) / 1.5]))


def expit(x):
    return 1 / (1 + np.exp(-x))


def test_laws_that_add_effects_follow_their_formulas():
    network = GeneNetwork.random(25, random_state=3)
    x = pd.Series(np.random.default_rng(0).uniform(-0.2, 1.2, 25), network.gene_names)
    sums = pd.DataFrame(0.0, list(network.logic), ["sigmoid", "hill", "binding", "size"])
    for (edge, gene), size in zip(network.edges, network._rules.sizes, strict=True):
        here = max(x[edge.regulator], 0)
        half = edge.ec50**edge.exponent
        hill = here**edge.exponent / (half + here**edge.exponent) * (1 + half)
        bound = (here / edge.ec50) ** (1.5 * edge.exponent)
        slope, helps = -4 * size, 0.05
        if edge.activation:
            slope, helps = 4 * size, 8 * size
        else:
            hill = 1 - hill
        binding = np.log((1 + helps * bound) / (1 + bound))
        sums.loc[gene] += [slope * (here - 0.5), size * hill, binding, size]
    offsets = network._rules.offsets
    expected = {"sigmoid": expit(offsets + sums["sigmoid"])}
    expected["hill"] = sums["hill"] / sums["size"]
    expected["thermodynamic"] = expit(offsets + np.log(0.5) + sums["binding"])
    for kind, targets in expected.items():
        rates = network.rates(x.to_numpy(), kind)[~network.is_input]
        np.testing.assert_allclose(rates, targets - x[targets.index])


def test_the_solution_is_that_of_another_solver(network):
    starts = np.random.default_rng(0).random((2, 60))
    solved = network.solve(starts, TIMES, "lag")
    precise = {"method": "DOP853", "rtol": 1e-11, "atol": 1e-12, "t_eval": TIMES}
    for start, path in zip(starts, solved, strict=True):
        state = np.tile(start, 2)
        other = solve_ivp(lambda _, x: network.rates(x, "lag"), (0, 9), state, **precise)
        np.testing.assert_allclose(path, other.y[:60].T, atol=1e-7)


# --- what is drawn at random


def test_starting_values_have_the_distribution_of_their_gene():
    is_input = np.arange(4000) < 2000
    random = Starts.random(is_input, np.random.default_rng(0))
    mean, sd = random.mean[is_input], random.sd[is_input]
    offset = random.offset[~is_input]
    assert mean.mean() == pytest.approx(0.5, abs=0.01)
    assert sd.mean() == pytest.approx(0.5 * 0.41 / 3, abs=0.005)
    np.testing.assert_allclose([offset.min(), offset.max()], [-0.25, 0.25], atol=0.005)
    starts = Starts.of(np.array([True, False]), [0.9, 0.5], [0.3, 0.1], [0.0, 0.25])
    inputs, others = starts.draw(4000, np.random.default_rng(0)).T
    assert inputs.max() < 1
    # normal, truncated to [0, 1], and Beta(2, 2) + 0.25, whose excess over 1 is cut off
    assert inputs.mean() == pytest.approx(0.713, abs=0.02)
    assert others.max() == 1
    assert others.mean() == pytest.approx(0.741, abs=0.01)


def test_simulations_depend_on_all_parameters_and_noise_on_no_other(network):
    clean = network.simulate(30, 0, 5)
    np.testing.assert_array_equal(clean.X, network.simulate(30, 0, 5).X)
    noisy = network.simulate(30, 0.05, 5)
    others = [network.simulate(30, 0, 6), network.simulate(30, 0, 5, (0, 1))]
    others += [network.simulate(30, 0, 5, kind=kind) for kind in KINDS[1:]]
    assert others[1].obs["time"].unique().tolist() == [0, 1]
    assert len({made.uns["sbnn"]["sha256"] for made in (clean, noisy, *others)}) == 8
    noise = values_of(noisy) - values_of(clean)
    assert noise.std() == pytest.approx(0.05, rel=0.03)
    assert not np.allclose(noise[:, 0], noise[:, 1])
    first = values_of(clean)[:, 0]
    assert np.abs(values_of(others[0])[:, 0] - first).max() > 0.1


def test_samples_start_like_others(network):
    plain = GeneNetwork(network.gene_names, network.logic, name="again")
    samples = network.simulate(60, 0, 1)
    like = plain.starting_like(samples)
    first = values_of(samples)[:, 0]
    mean = first.mean(axis=0)
    sd = np.maximum(first.std(axis=0, ddof=1), 0.01)
    expected = Starts.of(network.is_input, mean, sd, (mean - 0.5).clip(-0.25, 0.25))
    for name, values in vars(expected).items():
        np.testing.assert_allclose(getattr(like.starts, name), values)
    assert plain.starting_like(samples[:, ::-1]) == like  # genes go by name
    assert plain != network  # with starting values of its own


def test_random_networks_have_the_published_proportions():
    network = GeneNetwork.random(1000, random_state=1)
    assert network.is_input.tolist() == [True] * 200 + [False] * 800
    edges = [edge for edge, _ in network.edges]
    table = pd.DataFrame(edges)
    regulators = set(table["regulator"].str[5:].astype(int))
    assert regulators <= {*range(200), *range(200, 1000, 12)} and max(regulators) > 200
    assert not np.diag(network.graph).any()
    assert len(edges) == pytest.approx(1600, rel=0.05)
    assert table["activation"].mean() == pytest.approx(0.68, abs=0.03)
    assert table["ec50"].max() == pytest.approx(0.6, abs=0.01)
    assert table["exponent"].max() == pytest.approx(1.7, abs=0.01)
    joins = [type(rule) for rule in network.logic.values() if not isinstance(rule, Regulation)]
    assert joins.count(And) == pytest.approx(len(joins) / 2, rel=0.15)
    assert GeneNetwork.random(3).is_input.sum() == 1
    assert GeneNetwork.random(60, 1) == GeneNetwork.random(60, 1)
    with pytest.raises(ValueError, match="n_genes"):
        GeneNetwork.random(2)


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
    n_wrong = [(SMALL.misplaced_prior(share) != SMALL.graph).sum().sum() for share in (0.24, 0.25)]
    assert n_wrong == [0, 2]


def test_priors_are_matched_by_name():
    prior = pd.DataFrame([[0, 2.0], [-2.0, 0]], ["b", 1], [1, "b"])
    np.testing.assert_array_equal(prior_matrix(prior, ["1", "b"]), [[-2, 0], [0, 2]])
    part = prior.loc[["b"], ["b"]]
    np.testing.assert_array_equal(prior_matrix(part, ["1", "b"]), [[0, 0], [0, 2]])
    wrong = [np.zeros((3, 2)), [["x", 0], [0, 0]]]
    wrong += [[[0, 0.3], [0, -1]], [[0, np.nan], [0, 1]]]
    wrong.append(prior.rename(index={"b": "z"}))
    wrong.append(prior.rename(columns={"b": 1}))
    for given in wrong:
        with pytest.raises(ValueError, match="prior: "):
            prior_matrix(given, ["1", "b"])


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
    others = [gene_dynamics(test, train, prior, truth)]
    others.append(gene_dynamics(train, test, prior, 1 - truth))
    renamed = truth.rename(index={"b": "a"})
    others.append(gene_dynamics(train, test, prior, renamed))
    assert len({made.uns["sbnn"]["sha256"] for made in (data, without, *others)}) == 5


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
    for name, value in {"wrong": 2, "n_samples": 0, "n_test": 0}.items():
        with pytest.raises(ValueError, match=name):
            simulate_network(**{name: value})
