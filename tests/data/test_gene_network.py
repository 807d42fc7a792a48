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
    folder = "grn_simulated"
    equations = real_file(f"rate_equations_{n_genes}.csv", folder)
    names = real_file(f"gene_names_{n_genes}.csv", folder)
    network = GeneNetwork.from_tables(equations, names)
    published = read_trajectories(real_file(f"test_{n_genes}_10_samples.csv", folder), names)
    assert published.var_names.tolist() == network.gene_names.tolist()
    values = values_of(published)
    solved = network.solve(values[:, 0], as_trajectories(published).times[0])
    assert np.abs(solved - values).max() < error
    prior = pd.read_csv(real_file(f"prior_{n_genes}_noise_0.0.csv", folder), header=None)
    np.testing.assert_array_equal(network.graph, prior)
    assert len(network.edges) == n_edges
    assert network.is_input.sum() == n_inputs


def test_edges_and_signs_are_those_of_the_logic():
    assert SMALL.is_input.tolist() == [True, True, False, False]
    edges = [(edge.regulator, gene) for edge, gene in SMALL.edges]
    assert edges == [("A", "C"), ("B", "C"), ("A", "D"), ("C", "D")]
    graph = [[0, 0, 1, 1], [0, 0, -1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    np.testing.assert_array_equal(SMALL.graph, graph)
    assert SMALL.graph.index.tolist() == SMALL.graph.columns.tolist() == list("ABCD")


@pytest.mark.parametrize("n_genes", [4, 25])
def test_rates_follow_the_logic(n_genes):
    network = SMALL if n_genes == 4 else GeneNetwork.random(n_genes, random_state=3)
    states = np.random.default_rng(0).uniform(-0.3, 1.3, (n_genes, 3, 2))
    rates = network.rates(states)
    for place in np.ndindex(3, 2):
        x = pd.Series(states[:, *place], network.gene_names)
        expected = pd.Series(0.0, x.index)
        for gene, rule in network.logic.items():
            expected[gene] = level(rule, x) - x[gene]
        np.testing.assert_allclose(rates[:, *place], expected, atol=1e-12)
    one = network.rates(states[:, 0, 0])
    np.testing.assert_array_equal(one, rates[:, 0, 0])


def test_proteins_follow_their_genes_with_a_lag(network):
    genes, proteins = np.random.default_rng(0).random((2, 60))
    rates = network.rates(np.concatenate([genes, proteins]), "lag")
    targets = network.rates(proteins) + proteins  # what the logic aims at
    expected = targets - 1.4 * genes / (genes + 0.4)
    regulated = ~network.is_input
    np.testing.assert_allclose(rates[:60][regulated], expected[regulated])
    assert not rates[:60][network.is_input].any()
    np.testing.assert_allclose(rates[60:], (genes - proteins) / 1.5)


def expit(x):
    return 1 / (1 + np.exp(-x))


def test_laws_that_add_effects_follow_their_formulas():
    network = GeneNetwork.random(25, random_state=3)
    x = pd.Series(np.random.default_rng(0).uniform(-0.2, 1.2, 25), network.gene_names)
    numbers = network._rules
    offset_of = dict(zip(network.logic, numbers.offsets, strict=True))
    sums = {kind: pd.Series(0.0, list(network.logic)) for kind in ("s", "h", "t", "size")}
    for (edge, gene), size in zip(network.edges, numbers.sizes, strict=True):
        here = max(x[edge.regulator], 0)
        half = edge.ec50**edge.exponent
        hill = here**edge.exponent / (half + here**edge.exponent) * (1 + half)
        bound = (here / edge.ec50) ** (1.5 * edge.exponent)
        helps = 8 * size if edge.activation else 0.05
        sums["s"][gene] += (4 if edge.activation else -4) * size * (here - 0.5)
        sums["h"][gene] += size * (hill if edge.activation else 1 - hill)
        sums["t"][gene] += np.log((1 + helps * bound) / (1 + bound))
        sums["size"][gene] += size
    offsets = pd.Series(offset_of)
    expected = {
        "sigmoid": expit(offsets + sums["s"]),
        "hill": sums["h"] / sums["size"],
        "thermodynamic": 1 / (1 + 2 * np.exp(-offsets - sums["t"])),
    }
    for kind, targets in expected.items():
        rates = network.rates(x.to_numpy(), kind)[~network.is_input]
        np.testing.assert_allclose(rates, targets - x[targets.index])


@pytest.mark.parametrize("kind", KINDS)
def test_regulators_and_signs_are_the_same_under_every_law(kind):
    network = GeneNetwork.random(25, random_state=3)
    n_values = 50 if kind == "lag" else 25
    state = np.random.default_rng(0).uniform(0.2, 0.8, n_values)
    slopes = []
    for step in 1e-5 * np.eye(n_values):
        change = network.rates(state + step, kind) - network.rates(state - step, kind)
        slopes.append(change / 2e-5)
    slopes = np.array(slopes)[-25:, :25]
    if kind != "lag":
        slopes += np.diag(~network.is_input)  # decay
    slopes[np.abs(slopes) < 1e-6] = 0
    np.testing.assert_array_equal(np.sign(slopes), network.graph)
    data = network.simulate(5, 0.0, 1, kind=kind)
    logic = network.simulate(5, 0.0, 1)
    assert data.X.min() > -1e-6 and data.X.max() < 1.5
    same = data.uns["sbnn"]["sha256"] == logic.uns["sbnn"]["sha256"]
    assert same == (kind == "logic")


def test_unknown_laws_and_states_are_refused(network):
    for call in (network.rates, network.simulate):
        with pytest.raises(ValueError, match="kind"):
            call(2, kind="linear")
    for kind in ("logic", "lag"):
        with pytest.raises(ValueError, match="rates"):
            network.rates([0.5] * 61, kind)


@pytest.mark.parametrize("kind", ["logic", "lag"])
def test_the_solution_is_that_of_another_solver(network, kind):
    starts = np.random.default_rng(0).random((2, 60))
    solved = network.solve(starts, TIMES, kind)
    assert solved.shape == (2, 5, 60)
    for start, path in zip(starts, solved, strict=True):
        state = np.concatenate([start, start]) if kind == "lag" else start
        other = solve_ivp(
            lambda _, x: network.rates(x, kind),
            (0, 9),
            state,
            "DOP853",
            TIMES,
            rtol=1e-11,
            atol=1e-12,
        )
        np.testing.assert_allclose(path, other.y[:60].T, atol=1e-7)


def test_starting_values_have_the_distribution_of_their_gene():
    starts = Starts.of(np.array([True, False]), [0.9, 0.5], [0.3, 0.1], [0.0, 0.25])
    np.testing.assert_array_equal(starts.mean, [0.9, np.nan])
    np.testing.assert_array_equal(starts.sd, [0.3, np.nan])
    np.testing.assert_array_equal(starts.offset, [np.nan, 0.25])
    inputs, others = starts.draw(4000, np.random.default_rng(0)).T
    assert inputs.min() > 0 and inputs.max() < 1
    # normal, truncated to [0, 1], and Beta(2, 2) + 0.25, whose excess over 1 is cut off
    assert inputs.mean() == pytest.approx(0.713, abs=0.02)
    assert others.min() > 0.25 and others.max() == 1
    assert others.mean() == pytest.approx(0.741, abs=0.01)


def test_random_starting_values_fit_into_the_unit_interval():
    is_input = np.arange(4000) < 2000
    starts = Starts.random(is_input, np.random.default_rng(0))
    mean = starts.mean[is_input]
    sd = starts.sd[is_input]
    offset = starts.offset[~is_input]
    assert mean.mean() == pytest.approx(0.5, abs=0.01)
    assert sd.min() >= 0.01 and (sd * 3 <= np.minimum(mean, 1 - mean)).all()
    assert sd.mean() == pytest.approx(0.5 * 0.41 / 3, abs=0.005)
    assert offset.min() == pytest.approx(-0.25, abs=0.005)
    assert offset.max() == pytest.approx(0.25, abs=0.005)


def test_noise_is_added_to_all_values_and_seeds_matter(network):
    clean = network.simulate(30, 0, 5)
    noisy = network.simulate(30, 0.05, 5)
    other = network.simulate(30, 0, 6)
    early = network.simulate(30, 0, 5, (0, 1))
    assert early.obs["time"].unique().tolist() == [0, 1]
    fingerprints = {made.uns["sbnn"]["sha256"] for made in (clean, noisy, other, early)}
    assert len(fingerprints) == 4
    np.testing.assert_array_equal(clean.X, network.simulate(30, 0, 5).X)
    noise = values_of(noisy) - values_of(clean)
    assert noise.shape == (30, 5, 60)
    assert noise.std() == pytest.approx(0.05, rel=0.03)
    assert noise[:, :, network.is_input].std() == pytest.approx(0.05, rel=0.05)
    assert abs(noise.mean()) < 0.002
    assert not np.allclose(noise[:, 0], noise[:, 1])
    first = values_of(clean)[:, 0]
    assert first.min() >= 0 and first.max() <= 1
    assert np.abs(values_of(other)[:, 0] - first).max() > 0.1
    assert clean.uns["sbnn"]["name"] == "simulated_random_60"


def test_samples_start_like_others(network):
    plain = GeneNetwork(network.gene_names, network.logic)
    samples = network.simulate(60, 0, 1)
    like = plain.starting_like(samples)
    first = values_of(samples)[:, 0]
    inputs = network.is_input
    sd = np.maximum(first.std(axis=0, ddof=1), 0.01)
    offset = (first.mean(axis=0) - 0.5).clip(-0.25, 0.25)
    np.testing.assert_allclose(like.starts.mean[inputs], first.mean(axis=0)[inputs])
    np.testing.assert_allclose(like.starts.sd[inputs], sd[inputs])
    np.testing.assert_allclose(like.starts.offset[~inputs], offset[~inputs])
    assert plain.starting_like(samples[:, ::-1]) == like  # genes go by name
    with pytest.raises(KeyError):
        plain.starting_like(samples[:, 1:])


def test_networks_are_equal_if_names_logic_and_starts_are(network):
    plain = GeneNetwork(network.gene_names, network.logic)
    again = GeneNetwork(network.gene_names, network.logic, name="again")
    assert plain == again and hash(plain) == hash(again)
    assert plain != network  # with starting values of its own
    assert plain != GeneNetwork([*network.gene_names, "one more"], network.logic)
    assert plain != 3


def test_random_networks_have_the_published_proportions():
    network = GeneNetwork.random(1000, random_state=1)
    assert network.gene_names[[0, 999]].tolist() == ["gene_000", "gene_999"]
    assert network.is_input.tolist() == [True] * 200 + [False] * 800
    edges = [edge for edge, _ in network.edges]
    regulators = {int(edge.regulator[5:]) for edge in edges}
    allowed = {*range(200), *range(200, 1000, 12)}
    assert regulators <= allowed and max(regulators) > 200
    assert not np.diag(network.graph).any()
    assert len(edges) == pytest.approx(1600, rel=0.05)
    assert np.mean([edge.activation for edge in edges]) == pytest.approx(0.68, abs=0.03)
    ec50 = [edge.ec50 for edge in edges]
    exponent = [edge.exponent for edge in edges]
    assert min(ec50) >= 0.4 and max(ec50) <= 0.6 and np.ptp(ec50) > 0.19
    assert min(exponent) >= 1.01 and max(exponent) <= 1.7 and np.ptp(exponent) > 0.6
    joins = [type(rule) for rule in network.logic.values() if not isinstance(rule, Regulation)]
    assert joins.count(And) == pytest.approx(len(joins) / 2, rel=0.15)
    assert GeneNetwork.random(3).is_input.sum() == 1
    assert GeneNetwork.random(60, 1) == GeneNetwork.random(60, 1) != GeneNetwork.random(60, 2)
    with pytest.raises(ValueError, match="n_genes"):
        GeneNetwork.random(2)


def test_a_misplaced_prior_moves_edges_and_keeps_signs(network):
    truth = network.graph.to_numpy()
    # of 105 edges, less than 27 when rounded
    prior = network.misplaced_prior(27 / 105, 2).to_numpy()
    new = (prior != 0) & (truth == 0)
    assert new.sum() == 27
    assert np.count_nonzero(prior) == np.count_nonzero(truth)
    assert (prior * truth >= 0).all()
    assert (prior == -1).sum() == (truth == -1).sum()
    assert not np.diag(prior).any()
    assert not np.array_equal(prior, network.misplaced_prior(27 / 105, 3))
    np.testing.assert_array_equal(network.misplaced_prior(0), truth)
    n_wrong = [(SMALL.misplaced_prior(share) != SMALL.graph).sum().sum() for share in (0.24, 0.25)]
    assert n_wrong == [0, 2]


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


@pytest.mark.parametrize(
    "logic",
    [
        f"2 * {TEXT_A}",
        f"{TEXT_A} / 2",
        f"1 - {TEXT_A} * {TEXT_C}",
        f"1 - {TEXT_B}",
        f"2 - {TEXT_A}",
        f"{TEXT_A} ** {TEXT_B}",
        f"{TEXT_A} + {TEXT_B}",
        f"{TEXT_A} + {TEXT_B} - {TEXT_A} * {TEXT_C}",
        "A",
        "fAct(A, 0.5)",
        "fAct(A, 0.5, -1.0)",
        "f(A, 1, 2)",
        ")",
    ],
)
def test_other_equations_are_refused(logic):
    with pytest.raises(ValueError, match="rate equation of G"):
        parsed(logic)


def test_an_equation_of_another_gene_is_refused():
    with pytest.raises(ValueError, match="rate equation of H"):
        parse_rate_equation(f"(({TEXT_A}) * 1 - 1 * G) / 1", "H")


def test_tables_that_do_not_go_together_are_refused(tmp_path):
    equations = tmp_path / "equations.csv"
    names = tmp_path / "names.csv"
    names.write_text("x\nA_input\nB\n")
    equations.write_text('node,eqn\nB,"((fAct(A, 0.5, 2)) * 1 - 1 * B) / 1"\nA,input gene\n')
    network = GeneNetwork.from_tables(equations, names, "mine")
    assert network.gene_names.tolist() == ["A", "B"]
    assert network.logic == {"B": A}
    assert network.name == "mine"
    wrong = {
        "'A'": "node,eqn\nC,input gene\nB,input gene\n",
        "rate equation of B": "node,eqn\nA,input gene\nB,A + B\n",
        "duplicate": "node,eqn\nA,input gene\nB,input gene\nB,input gene\n",
        "equations: ": "node,equation\nA,input gene\n",
    }
    for message, text in wrong.items():
        equations.write_text(text)
        with pytest.raises((KeyError, ValueError), match=message):
            GeneNetwork.from_tables(equations, names)


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        (C, "C"),
        (And(A, NOT_B), "B"),
        (And(A, Regulation("A", False, 0.4, 1.2)), "twice"),
        (Regulation("A", True, 1.0, 1.5), "ec50=1"),
        (Regulation("A", True, 0.0, 1.5), "ec50=0"),
        (Regulation("A", True, 0.5, 0.0), "exponent=0"),
        (Regulation("A", True, 0.5, np.inf), "exponent=inf"),
        ("A", "A"),
    ],
)
def test_wrong_logic_is_refused(rule, named):
    with pytest.raises((TypeError, ValueError), match=f"logic: .*{named}"):
        GeneNetwork(["A", "G"], {"G": rule})


def test_repeated_names_are_refused():
    with pytest.raises(ValueError, match="gene_names: .*'B'"):
        GeneNetwork(["A", "B", "B"], {"B": A})
    with pytest.raises(ValueError, match="logic: .*G"):
        GeneNetwork(["A"], {"G": A})


# --- priors and data sets


def test_priors_are_matched_by_name():
    prior = pd.DataFrame([[0, 2.0], [-2.0, 0]], ["b", 1], [1, "b"])
    np.testing.assert_array_equal(prior_matrix(prior, ["1", "b"]), [[-2, 0], [0, 2]])
    part = prior.loc[["b"], ["b"]]
    np.testing.assert_array_equal(prior_matrix(part, ["1", "b"]), [[0, 0], [0, 2]])
    np.testing.assert_array_equal(prior_matrix([[1]], [3]), [[1]])
    for wrong in (
        np.zeros((3, 2)),
        [["x", 0], [0, 0]],
        prior.rename(index={"b": "z"}),
        prior.rename(columns={"b": "z"}),
        prior.rename(index={"b": 1}),
        [[0, 0.3], [0, -1]],
        [[0, np.nan], [0, 1]],
        "prior",
    ):
        with pytest.raises(ValueError, match="prior: "):
            prior_matrix(wrong, ["1", "b"])


def test_a_data_set_keeps_its_parts():
    names = ["a", "b"]
    train = trajectories([[[1, 2], [3, 4]], [[7, 8], [9, 1]]], [0, 1], names)
    test = trajectories([[[0, 1], [2, 3]]], [0, 1], names)
    prior = pd.DataFrame([[0, 2.0], [-2.0, 0]], ["b", "a"], names)
    truth = pd.DataFrame([[0, 1]], ["b"], names)
    data = gene_dynamics(train, test, prior, truth, name="mine")
    assert data.obs["sample"].tolist() == ["train_0"] * 2 + ["train_1"] * 2 + ["test_0"] * 2
    assert data.obs["split"].tolist() == ["train"] * 4 + ["test"] * 2
    assert data.obs_names.is_unique
    np.testing.assert_array_equal(data.X[:4], train.X)
    np.testing.assert_array_equal(prior_of(data).loc["a"], [-2, 0])
    assert truth_of(data).index.tolist() == ["b"]
    np.testing.assert_array_equal(truth_of(data), [[0, 1]])
    without = gene_dynamics(train, test, prior)
    assert truth_of(without) is None
    others = [
        gene_dynamics(test, train, prior, truth),
        gene_dynamics(train, test, -prior, truth),
        gene_dynamics(train, test, prior, 1 - truth),
        gene_dynamics(train, test, prior, truth.rename(index={"b": "a"})),
    ]
    fingerprints = {made.uns["sbnn"]["sha256"] for made in (data, without, *others)}
    assert len(fingerprints) == 6


def test_simulated_data_sets_have_noise_in_the_training_samples_only():
    network = GeneNetwork.random(31, random_state=1)
    data = simulate_network(31, 4, 0.2, n_test=2, random_state=1)
    assert data.obs["split"].value_counts().to_dict() == {"train": 20, "test": 10}
    np.testing.assert_array_equal(truth_of(data), network.graph)
    assert (prior_of(data) != network.graph).sum().sum() == 2 * int(0.05 * len(network.edges))
    inputs = values_of(data)[:, :, network.is_input]
    assert (inputs[4:] == inputs[4:, :1]).all()
    assert (inputs[:4] - inputs[:4, :1]).std() > 0.1
    np.testing.assert_array_equal(data.X[:20], network.simulate(4, 0.2, 1).X)
    for name, value in {"wrong": 2, "n_samples": 0, "n_test": 0}.items():
        with pytest.raises(ValueError, match=name):
            simulate_network(**{name: value})
