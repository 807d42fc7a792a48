import numpy as np
import pandas as pd
import pytest
from scipy.integrate import solve_ivp

from sbnn.data.gene_network import KINDS, TIMES, GeneNetwork
from sbnn.data.rate_equations import And, Regulation
from sbnn.data.readers.gene_dynamics import read_trajectories
from sbnn.data.trajectories import as_trajectories

ON = {gene: Regulation(gene, True, 0.5, 1.5) for gene in "ABC"}
OFF = {gene: Regulation(gene, False, 0.4, 1.2) for gene in "ABC"}


def values_of(data):
    return np.stack(as_trajectories(data).values)


@pytest.fixture(scope="module")
def network():
    return GeneNetwork.random(60, random_state=3)


@pytest.mark.parametrize(
    ("n_genes", "n_edges", "n_inputs", "error"), [(350, 550, 73, 1.4e-6), (690, 1082, 97, 9.5e-7)]
)
def test_the_published_test_files_are_reproduced(real_file, n_genes, n_edges, n_inputs, error):
    folder = "grn_simulated"
    paths = [
        real_file(f"{part}_{n_genes}.csv", folder) for part in ("rate_equations", "gene_names")
    ]
    network = GeneNetwork.from_tables(*paths)
    published = read_trajectories(real_file(f"test_{n_genes}_10_samples.csv", folder), paths[1])
    assert published.var_names.tolist() == network.gene_names.tolist()
    values = values_of(published)
    assert (
        np.abs(network.solve(values[:, 0], as_trajectories(published).times[0]) - values).max()
        < error
    )
    prior = pd.read_csv(real_file(f"prior_{n_genes}_noise_0.0.csv", folder), header=None).to_numpy()
    np.testing.assert_array_equal(network.graph, prior)
    assert np.count_nonzero(prior) == n_edges and network.is_input.sum() == n_inputs


def test_the_solution_is_that_of_another_solver(network):
    start = np.random.default_rng(0).random((2, 60))
    solved = network.solve(start, TIMES)
    for sample, path in zip(start, solved, strict=True):
        other = solve_ivp(
            lambda _, x: network.rates(x), (0, 9), sample, "DOP853", TIMES, rtol=1e-11, atol=1e-12
        )
        np.testing.assert_allclose(path, other.y.T, atol=1e-7)


def test_simulation_is_seeded_and_noise_is_of_the_size_asked_for(network):
    made = [
        network.simulate(30, noise, seed) for noise, seed in ((0, 5), (0, 5), (0.05, 5), (0, 6))
    ]
    made.append(network.simulate(30, 0, 5, (0, 1)))
    assert len({data.uns["sbnn"]["sha256"] for data in made}) == 4
    clean, again, noisy, other = map(values_of, made[:4])
    np.testing.assert_array_equal(clean, again)
    assert clean.shape == (30, 5, 60) and (clean[:, 0] >= 0).all() and (clean[:, 0] <= 1).all()
    noise = noisy - clean
    assert noise.std() == pytest.approx(0.05, rel=0.03) and abs(noise.mean()) < 0.002
    assert noise[:, :, network.is_input].std() == pytest.approx(0.05, rel=0.05), (
        "of inputs too, at every time"
    )
    assert np.abs(other - clean).max() > 0.1
    np.testing.assert_allclose(other[:, 0].mean(0), clean[:, 0].mean(0), atol=0.25)


def test_samples_start_like_others(network):
    # with starts of their own
    other, again = (GeneNetwork(network.gene_names, network.logic) for _ in range(2))
    assert again.sha256 == other.sha256 != network.sha256
    samples = network.simulate(60, 0, 1)
    like, first, inputs = other.starting_like(samples), values_of(samples)[:, 0], network.is_input
    np.testing.assert_allclose(like.starts.mean[inputs], first.mean(0)[inputs])
    np.testing.assert_allclose(
        like.starts.sd[inputs], np.maximum(first.std(0, ddof=1), 0.01)[inputs]
    )
    np.testing.assert_allclose(
        like.starts.offset[~inputs], (first.mean(0) - 0.5).clip(-0.25, 0.25)[~inputs]
    )
    assert like.sha256 != other.sha256 and values_of(like.simulate(3, 0, 2)).shape == (3, 5, 60)
    assert other.starting_like(samples[:, ::-1]).sha256 == like.sha256, "genes go by name"


def test_a_misplaced_prior_moves_edges_and_keeps_signs(network):
    truth = network.graph.to_numpy()
    # of 105 edges, less than 27 when rounded
    prior = network.misplaced_prior(27 / 105, 2).to_numpy()
    assert np.count_nonzero(prior) == np.count_nonzero(truth)
    assert ((prior != 0) & (truth == 0)).sum() == 27 and (prior * truth >= 0).all()
    assert (prior == -1).sum() == (truth == -1).sum() and not np.diag(prior).any()
    assert not np.array_equal(prior, network.misplaced_prior(0.3, 3)), "another seed"
    np.testing.assert_array_equal(network.misplaced_prior(0), truth)


def test_random_networks_are_those_of_committed_records():
    assert GeneNetwork.random(350, random_state=100).sha256.startswith("5ebf5feef4e8071b")


def test_tables_that_do_not_go_together_are_refused(tmp_path):
    equations, names = tmp_path / "equations.csv", tmp_path / "names.csv"
    names.write_text("x\nA_input\nB\n")
    table = {"A": "input gene", "B": "((1 * fAct(A, 0.5, 1.5)) * 1 - 1 * B) / 1"}
    wrong = (
        ({"C": table["A"], "B": table["B"]}, "'A'"),
        (table | {"B": "A + B"}, "rate equation of B"),
    )
    for given, message in ((table, None), *wrong):
        pd.Series(given, name="eqn").to_csv(equations, index_label="node")
        if message is None:
            network = GeneNetwork.from_tables(equations, names)
            assert network.gene_names.tolist() == ["A", "B"] and network.logic == {"B": ON["A"]}
            continue
        with pytest.raises((KeyError, ValueError), match=message):
            GeneNetwork.from_tables(equations, names)


def test_wrong_networks_are_refused():
    with pytest.raises(ValueError, match="gene_names: .* 'B'"):
        GeneNetwork(["A", "B", "B"], {"B": ON["A"]})
    wrong = {
        "C$": ON["C"],
        "twice": And(ON["A"], OFF["A"]),
        "ec50=1": Regulation("A", True, 1.0, 1.5),
    }
    for told, rule in (wrong | {"exponent=0": Regulation("A", True, 0.5, 0.0)}).items():
        with pytest.raises(ValueError, match=f"logic: .*{told}"):
            GeneNetwork(["A", "B"], {"B": rule})


@pytest.mark.parametrize("kind", KINDS)
def test_regulators_and_signs_are_the_same_under_every_law(kind):
    network = GeneNetwork.random(25, random_state=3)
    state = np.random.default_rng(0).uniform(0.2, 0.8, 50 if kind == "lag" else 25)
    changed = [
        network.rates(state + step, kind) - network.rates(state - step, kind)
        for step in 1e-5 * np.eye(len(state))
    ]
    slopes = np.array(changed)[-25:, :25] / 2e-5
    if kind != "lag":
        slopes += np.diag(~network.is_input)  # decay
    np.testing.assert_array_equal(
        np.sign(np.where(np.abs(slopes) > 1e-6, slopes, 0)), network.graph
    )
    assert (slopes[:, network.is_input] == 0).all()
    data, logic = (network.simulate(5, 0.0, 1, kind=of) for of in (kind, "logic"))
    assert data.X.min() > -1e-6 and data.X.max() < 1.5
    assert (data.uns["sbnn"]["sha256"] == logic.uns["sbnn"]["sha256"]) == (kind == "logic")
    with pytest.raises(ValueError, match="kind"):
        network.simulate(2, kind="linear")
