import numpy as np
import pandas as pd
import pytest

from sbnn import load_dataset
from sbnn.data.gene_dynamics import GeneDynamics, simulate_gene_dynamics
from sbnn.data.gene_network import GeneNetwork
from sbnn.data.readers.gene_dynamics import read_breast, read_grn, read_yeast

GENES = ["A", "B", "C"]


def write_trajectories(path, values, times):
    lines = [f"{values.shape[2]},{values.shape[0]},"]
    for sample in values:
        lines += [",".join(map(str, row)) for row in sample.T] + [",".join(map(str, times))]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def parts(tmp_path, rng):
    """Two files of trajectories, names and a prior, of three genes."""
    times = [0, 1, 2, 3]
    train, test = (write_trajectories(tmp_path / f"{i}.csv", rng.random((1, 4, 3)), times) for i in range(2))
    names, prior = tmp_path / "names.csv", tmp_path / "prior.csv"
    pd.DataFrame({"gene": GENES}).to_csv(names, index=False)
    pd.DataFrame([[0, 0.5, 0], [0, 0, -0.5], [0, 0, 0]]).to_csv(prior, index=False, header=False)
    return train, test, names, prior


def test_yeast_is_read_from_its_layout(parts):
    data = read_yeast(*parts, files={"a": "12"})
    assert data.train.gene_names.tolist() == GENES and data.test.values.shape == (1, 4, 3)
    assert not np.array_equal(data.train.values, data.test.values)
    assert data.prior.loc["A", "B"] == 0.5 and data.prior.loc["B", "C"] == -0.5 and data.truth is None
    assert data.summary().startswith(
        "yeast_pramila: 3 genes, 1 samples x 4 times to learn from and 1 samples x 4 times"
    )
    assert data.files == {"a": "12"} and "2 edges in the prior, no truth" in data.summary()
    parts[3].write_text("0,1\n1,0\n")
    with pytest.raises(ValueError, match=r"expected a prior of 3 x 3 genes, got \(2, 2\)"):
        read_yeast(*parts)


def test_the_truth_of_breast_cancer_has_the_factors_that_were_seen(parts, tmp_path):
    edges = tmp_path / "edges.csv"
    pd.DataFrame({"from": ["C", "C", "X", "A"], "to": ["A", "Y", "A", "Y"]}).to_csv(edges, index=False)
    data = read_breast(*parts, edges)
    assert data.truth.index.tolist() == ["A", "C"], "A has edges, if none to these genes"
    assert data.truth.to_numpy().tolist() == [[0, 0, 0], [1, 0, 0]]
    edges.write_text("a,b\n")
    with pytest.raises(ValueError, match="expected the columns 'from' and 'to'"):
        read_breast(*parts, edges)


def test_simulated_samples_start_like_the_test_samples_and_know_no_more_of_them(tmp_path, rng):
    edges = pd.DataFrame([["A", "C", True, 0.5, 1.5]], columns=["from", "to", "activation", "EC50", "n"])
    equations = pd.DataFrame(
        {"node": GENES, "eqn": ["input gene", "input gene", "((1 * fAct(A, 0.5, 1.5)) * 1 - 1 * C) / 1"]}
    )
    paths = [tmp_path / name for name in ("edges.csv", "equations.csv", "names.csv", "test.csv", "prior.csv")]
    edges.to_csv(paths[0], index=False)
    equations.to_csv(paths[1], index=False)
    pd.DataFrame({"x": ["A_input", "B_input", "C"]}).to_csv(paths[2], index=False)
    pd.DataFrame([[0, 0, 0], [0, 0, 1], [0, 0, 0]]).to_csv(paths[4], index=False, header=False)
    values = 0.3 + 0.02 * rng.random((10, 4, 3))
    write_trajectories(paths[3], values, [0, 2, 3, 7])
    data = read_grn(*paths, n_samples=60, noise=0.01)
    assert len(data.train) == 60 and len(data.test) == 10 and data.network.graph.equals(data.truth)
    np.testing.assert_allclose(data.train.values[:, 0, :2].mean(axis=0), values[:, 0, :2].mean(axis=0), atol=0.01)
    assert data.prior.loc["B", "C"] == 1 and data.prior.loc["A", "C"] == 0, "the published one"
    own = read_grn(*paths, wrong=0.0)
    assert own.prior.loc["A", "C"] == 1 and own.sha256 != data.sha256
    values[:, 1:] = 0.9
    write_trajectories(paths[3], values, [0, 2, 3, 7])
    np.testing.assert_array_equal(read_grn(*paths, n_samples=60, noise=0.01).train.values, data.train.values)


def test_made_data_have_a_prior_that_is_partly_wrong():
    data = simulate_gene_dynamics(40, 12, wrong=0.2, n_test=3, random_state=4)
    assert len(data.train) == 12 and len(data.test) == 3 and data.n_genes == 40
    truth, prior = data.truth.to_numpy() != 0, data.prior.to_numpy() != 0
    assert (truth & ~prior).sum() == int(0.2 * truth.sum())
    np.testing.assert_allclose(data.network.solve(data.test.values[:, 0], data.test.times[0]), data.test.values)
    assert data.sha256 == simulate_gene_dynamics(40, 12, wrong=0.2, n_test=3, random_state=4).sha256
    assert (
        len(
            {data.sha256, *(simulate_gene_dynamics(40, 12, wrong=0.2, n_test=3, random_state=s).sha256 for s in (5, 6))}
        )
        == 3
    )


def test_parts_of_other_genes_are_refused():
    network = GeneNetwork.random(10, random_state=0)
    train, test = network.simulate(3, 0, 0), network.simulate(3, 0, 1)
    with pytest.raises(ValueError, match="test: expected the genes of train"):
        GeneDynamics(train, test.subset(genes=train.gene_names[::-1]), network.graph)
    with pytest.raises(ValueError, match="truth: expected the genes of train as columns"):
        GeneDynamics(train, test, network.graph, network.graph.rename(index={"gene_0": "other"}))
    with pytest.raises(ValueError, match="prior: expected shape"):
        GeneDynamics(train, test, np.zeros((3, 3)))


@pytest.mark.parametrize(
    ("name", "genes", "samples", "prior", "truth"),
    [
        ("grn_350", 350, (150, 10), 550, 550),
        ("grn_690", 690, (150, 10), 1082, 1082),
        ("yeast_pramila", 500, (1, 1), 1146, None),
        ("breast_desmedt", 500, (1, 1), None, None),
    ],
)
def test_the_published_data(name, genes, samples, prior, truth):
    try:
        data = load_dataset(name, download=False, verbose=False)
    except FileNotFoundError:
        pytest.skip(f"the data of {name} are not on this machine")
    assert data.n_genes == genes and (len(data.train), len(data.test)) == samples
    assert prior is None or np.count_nonzero(data.prior) == prior
    assert truth is None or np.count_nonzero(data.truth) == truth
    assert data.name == name and data.files
    if name == "breast_desmedt":
        assert 0 < len(data.truth) < 100 and np.count_nonzero(data.truth) > 500
