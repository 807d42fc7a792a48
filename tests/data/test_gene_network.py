import numpy as np
import pandas as pd
import pytest
from scipy.integrate import solve_ivp

from sbnn.data.gene_dynamics import simulate_gene_dynamics
from sbnn.data.gene_network import TIMES, GeneNetwork
from sbnn.data.rate_equations import And, Or, Regulation
from sbnn.data.readers.trajectories import read_trajectories

ON = {gene: Regulation(gene, True, 0.5, 1.5) for gene in "ABC"}
OFF = {gene: Regulation(gene, False, 0.4, 1.2) for gene in "ABC"}


@pytest.fixture(scope="module")
def small():
    """Inputs A and B, and three genes that they and each other regulate."""
    return GeneNetwork(
        ["A", "B", "C", "D", "E"], {"C": And(ON["A"], OFF["B"]), "D": Or(OFF["A"], ON["C"]), "E": ON["C"]}
    )


@pytest.fixture(scope="module")
def network():
    return GeneNetwork.random(60, random_state=3)


@pytest.mark.parametrize(("n_genes", "n_edges", "n_inputs", "error"), [(350, 550, 73, 1.4e-6), (690, 1082, 97, 9.5e-7)])
def test_the_published_test_files_are_reproduced(real_file, n_genes, n_edges, n_inputs, error):
    folder = "grn_simulated"
    paths = [real_file(f"{part}_{n_genes}.csv", folder) for part in ("edges", "rate_equations", "gene_names")]
    network = GeneNetwork.from_tables(*paths)
    published = read_trajectories(real_file(f"test_{n_genes}_10_samples.csv", folder), paths[2])
    assert published.gene_names.tolist() == network.gene_names.tolist()
    solved = network.solve(published.values[:, 0], published.times[0])
    assert np.abs(solved - published.values).max() < error
    prior = pd.read_csv(real_file(f"prior_{n_genes}_noise_0.0.csv", folder), header=None).to_numpy()
    np.testing.assert_array_equal(network.graph, prior)
    assert np.count_nonzero(prior) == n_edges and network.is_input.sum() == n_inputs


@pytest.mark.parametrize(("text", "share"), [("0.025", 0.05), ("0.05", 0.1), ("0.1", 0.2)])
def test_as_many_edges_are_misplaced_as_in_the_published_priors(real_file, text, share):
    truth, published = (
        pd.read_csv(real_file(f"prior_350_noise_{noise}.csv", "grn_simulated"), header=None).to_numpy()
        for noise in ("0.0", text)
    )
    paths = [real_file(f"{part}_350.csv", "grn_simulated") for part in ("edges", "rate_equations", "gene_names")]
    ours = GeneNetwork.from_tables(*paths).misplaced_prior(share, 1).to_numpy()
    for prior in (ours, published):
        wrong = (prior != 0) & (truth == 0)
        assert wrong.sum() == ((prior == 0) & (truth != 0)).sum() == int(share * 550 + 1e-9)
        assert (prior * truth >= 0).all()


def test_rates_follow_from_the_logic(small):
    x = np.array([0.5, 0.4, 0.3, 0.2, 0.9])
    on = {g: (lambda v, b=(0.5**1.5 - 1) / (2 * 0.5**1.5 - 1): b * v**1.5 / (b - 1 + v**1.5)) for g in "AC"}
    assert on["A"](0.5) == pytest.approx(0.5) and on["A"](1) == pytest.approx(1) and on["A"](0) == 0
    # B is at its EC50, so its repression is a half; of A the EC50 is 0.4 as a repressor.
    b = (0.4**1.2 - 1) / (2 * 0.4**1.2 - 1)
    off_a = 1 - b * 0.5**1.2 / (b - 1 + 0.5**1.2)
    c = on["C"](0.3)
    expected = [0, 0, 0.5 * 0.5 - 0.3, off_a + c - off_a * c - 0.2, c - 0.9]
    np.testing.assert_allclose(small.rates(x), expected, atol=1e-12)
    np.testing.assert_allclose(small.rates(np.stack([x, x], axis=1)), np.stack([expected] * 2, axis=1), atol=1e-12)


def test_the_graph_is_signed_from_regulator_to_target(small):
    edges = {(r, t): sign for r, row in small.graph.iterrows() for t, sign in row.items() if sign}
    assert edges == {("A", "C"): 1, ("B", "C"): -1, ("A", "D"): -1, ("C", "D"): 1, ("C", "E"): 1}


def test_the_solution_is_that_of_another_solver(network):
    start = np.random.default_rng(0).random((2, 60))
    solved = network.solve(start, TIMES)
    for sample, path in zip(start, solved, strict=True):
        other = solve_ivp(lambda _, x: network.rates(x), (0, 9), sample, "DOP853", TIMES, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(path, other.y.T, atol=1e-7)
    np.testing.assert_allclose(np.ptp(solved[:, :, network.is_input], axis=1), 0, atol=1e-12)


def test_logic_is_joined_in_the_order_of_its_levels():
    """Rules of different depth: a deep one first, so that its levels are not those of the shallow ones."""
    deep = Or(And(ON["A"], Or(ON["B"], And(OFF["C"], Regulation("D", True, 0.5, 1)))), Regulation("E", False, 0.5, 1))
    network = GeneNetwork(list("ABCDEFG"), {"F": deep, "G": And(ON["A"], ON["B"])})
    x = np.array([0.2, 0.9, 0.7, 0.6, 0.3, 0, 0])

    def value(rule):
        if isinstance(rule, Regulation):
            half, v = rule.ec50**rule.exponent, x["ABCDE".index(rule.regulator)] ** rule.exponent
            act = (1 - half) * v / (half + (1 - 2 * half) * v)
            return act if rule.activation else 1 - act
        a, b = value(rule.one), value(rule.other)
        return a * b if isinstance(rule, And) else a + b - a * b

    np.testing.assert_allclose(network.rates(x)[5:], [value(deep), value(network.logic["G"])])


def test_simulation_is_seeded_and_noise_is_of_the_size_asked_for(network):
    clean, again, noisy = (network.simulate(30, noise, 5) for noise in (0, 0, 0.05))
    np.testing.assert_array_equal(clean.values, again.values)
    assert clean.sha256 == again.sha256 != noisy.sha256 and clean.values.shape == (30, 5, 60)
    noise = noisy.values - clean.values
    assert noise.std() == pytest.approx(0.05, rel=0.03) and abs(noise.mean()) < 0.002
    assert noise[:, :, network.is_input].std() == pytest.approx(0.05, rel=0.05), "of inputs too, at every time"
    assert np.ptp(noise[:, :, network.is_input], axis=1).min() > 0
    other = network.simulate(30, 0, 6)
    assert np.abs(other.values - clean.values).max() > 0.1
    np.testing.assert_allclose(
        other.values[:, 0].mean(0), clean.values[:, 0].mean(0), atol=0.25, err_msg="starts of one distribution"
    )
    assert (clean.values[:, 0] >= 0).all() and (clean.values[:, 0] <= 1).all()


def test_samples_start_like_others(network):
    other = GeneNetwork(network.gene_names, network.logic)  # with starting values of its own
    samples = network.simulate(400, 0, 1)
    like = other.starting_like(samples)
    means, sds = samples.values[:, 0].mean(0), samples.values[:, 0].std(0)
    drawn = like.simulate(400, 0, 2).values[:, 0]
    inputs = network.is_input
    np.testing.assert_allclose(drawn.mean(0)[inputs], means[inputs], atol=0.02)
    np.testing.assert_allclose(drawn.std(0)[inputs], sds[inputs], rtol=0.2)
    assert np.abs(other.simulate(400, 0, 2).values[:, 0].mean(0)[inputs] - means[inputs]).max() > 0.1
    assert np.abs(drawn.mean(0) - means)[~inputs].max() < 0.08
    with pytest.raises(ValueError, match="expected the genes of the network"):
        other.starting_like(samples.subset(genes=network.gene_names[::-1]))


def test_a_misplaced_prior_moves_edges_and_keeps_signs(network):
    truth = network.graph.to_numpy()
    prior = network.misplaced_prior(0.3, 2).to_numpy()
    n_moved = int(0.3 * np.count_nonzero(truth))
    assert np.count_nonzero(prior) == np.count_nonzero(truth)
    assert ((prior != 0) & (truth == 0)).sum() == n_moved and (prior * truth >= 0).all()
    assert (prior == -1).sum() == (truth == -1).sum() and not np.diag(prior).any()
    assert not np.array_equal(prior, network.misplaced_prior(0.3, 3)), "another seed"
    np.testing.assert_array_equal(network.misplaced_prior(0), truth)


def test_random_networks_have_the_proportions_of_the_published_one():
    network = GeneNetwork.random(350, random_state=100)
    graph = network.graph.to_numpy()
    regulators, out = (graph != 0).sum(0), (graph != 0).sum(1)
    assert network.is_input.sum() == 70 and ((regulators == 0) == network.is_input).all()
    assert 480 < regulators.sum() < 650 and out.max() > 20 and 70 <= (out > 0).sum() <= 110
    assert (graph > 0).sum() / regulators.sum() == pytest.approx(0.68, abs=0.06)
    assert not np.diag(graph).any()
    assert network.sha256 == GeneNetwork.random(350, random_state=100).sha256
    assert network.sha256 != GeneNetwork.random(350, random_state=101).sha256


def tables(edge=("A", "B", True, 0.5, 1.5), equation="((1 * fAct(A, 0.5, 1.5)) * 1 - 1 * B) / 1"):
    edges = pd.DataFrame([edge], columns=["from", "to", "activation", "EC50", "n"])
    return edges, pd.DataFrame({"node": ["B", "A"], "eqn": [equation, "input gene"]})


def test_tables_are_read_in_the_order_of_the_names():
    network = GeneNetwork.from_tables(*tables(), ["A_input", "B"])
    assert network.gene_names.tolist() == ["A", "B"] and network.logic == {"B": ON["A"]}
    assert network.is_input.tolist() == [True, False]


@pytest.mark.parametrize(
    ("given", "names", "message"),
    [
        (tables(), ["A", "C"], "names that do not match: B, C"),
        (tables(("A", "B", False, 0.5, 1.5)), ["A", "B"], "not those of the equations, or not once each: A -> B"),
        (tables(("A", "B", True, 0.4, 1.5)), ["A", "B"], "not those of the equations"),
        (tables(("A", "B", True, 0.5, 1.4)), ["A", "B"], "not those of the equations"),
        (tables(("B", "A", True, 0.5, 1.5)), ["A", "B"], "A -> B, B -> A"),
        ((tables()[0].drop(columns="n"), tables()[1]), ["A", "B"], r"edges: the column\(s\) \['n'\] are missing"),
        (tables(equation="A + B"), ["A", "B"], "rate equation of B: expected"),
    ],
)
def test_tables_that_do_not_go_together_are_refused(given, names, message):
    with pytest.raises(ValueError, match=message):
        GeneNetwork.from_tables(*given, names)


def test_wrong_networks_and_parameters_are_refused(network):
    with pytest.raises(ValueError, match="there are no genes of the names C"):
        GeneNetwork(["A", "B"], {"B": ON["C"]})
    with pytest.raises(ValueError, match="logic of B: a regulator acts twice"):
        GeneNetwork(["A", "B"], {"B": And(ON["A"], OFF["A"])})
    with pytest.raises(ValueError, match="noise must be finite and at least 0, got -1"):
        network.simulate(3, -1)
    with pytest.raises(ValueError, match="n must be an integer of at least 1, got 0"):
        network.simulate(0)
    with pytest.raises(ValueError, match=r"share must be in \[0, 1\], got 2"):
        network.misplaced_prior(2)
    with pytest.raises(ValueError, match="n_genes must be at least 3, got 2"):
        GeneNetwork.random(2)
    with pytest.raises(TypeError, match="random_state must be an integer, got 'a'"):
        GeneNetwork.random(20, random_state="a")
    with pytest.raises(ValueError, match=r"share_of_inputs must be in \(0, 1\)"):
        GeneNetwork.random(20, share_of_inputs=0)


def test_what_cannot_be_simulated_is_named(network):
    for times in ([0.0], 1.0):
        with pytest.raises(ValueError, match="times: expected two or more"):
            network.simulate(2, times=times)
    with pytest.raises(ValueError, match="times: must increase"):
        network.simulate(2, times=[0, 2, 1])
    with pytest.raises(ValueError, match=r"expected an EC50 in \(0, 1\) and an exponent above 0"):
        GeneNetwork.random(5, ec50=(2, 3))
    with pytest.raises(ValueError, match="trajectories: expected two samples or more, got 1"):
        network.starting_like(network.simulate(1))


def test_no_test_sample_is_one_to_learn_from():
    data = simulate_gene_dynamics(12, n_samples=4, noise=0.0, n_test=4, random_state=3)
    apart = np.abs(data.train.values[:, None, 0] - data.test.values[None, :, 0]).max(axis=2)
    assert apart.min() > 0.05
