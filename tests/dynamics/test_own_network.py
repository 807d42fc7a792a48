"""A user's own time course from the command line: tables to network, predictions and page."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pytest import approx

from sbnn import cli
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.trajectories import trajectories
from sbnn.dynamics import SparseRegulationRegressor
from sbnn.dynamics.own_tables import edges_table, held_out_rows, read_course, read_prior


@pytest.fixture
def written(tmp_path):
    """Writes a text to a file and returns its path."""

    def write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_course_becomes_a_network_with_a_page(network, samples, prior, tmp_path, capsys):
    table = samples.to_df()
    table["sample"] = samples.obs["sample"].astype(int)
    table["time"] = samples.obs["time"]
    table = table[:90]
    # one of the last samples ends earlier
    table.drop(index=table.index[-6]).to_csv(tmp_path / "course.csv", index=False)
    signs = prior.where(network.graph != 0, -prior.abs()).stack()
    edges = signs[signs != 0].rename("sign").rename_axis(["regulator", "target"])
    edges.to_csv(tmp_path / "prior.csv")
    out = tmp_path / "out"
    options = ["--prior", str(tmp_path / "prior.csv"), "--out", str(out), "--fast"]
    assert cli.main(["network", str(tmp_path / "course.csv"), *options]) == 0
    assert capsys.readouterr().out.startswith("regulation explains")
    found = pd.read_csv(out / "edges.csv")
    assert (found["prior"] != 0).sum() == len(edges)
    first = found.set_index(["regulator", "target"]).index[:15]
    assert (network.graph.stack()[first] != 0).mean() > 0.9
    page = (out / "network.html").read_text()
    for part in ("regulation explains", "AR(1) of each gene", found["target"][0]):
        assert part in page
    assert page.count("data:image/png;base64,") == 2
    predicted = pd.read_csv(out / "predictions.csv").set_index(["sample", "time"])
    measured = table.set_index(["sample", "time"]).loc[[15, 17]]
    assert predicted.index.equals(measured.index)
    errors = ((predicted - measured) ** 2).groupby("time").mean().mean(axis=1)
    assert errors[0] == approx(0, abs=1e-12)
    assert errors.max() < 0.003


def test_edges_are_those_of_the_prior_and_probable_ones_in_order(samples, prior):
    model = SparseRegulationRegressor(1).fit(samples, prior)
    table = edges_table(model, prior)
    assert table["probability"].is_monotonic_decreasing
    for _, same in table.groupby("probability"):
        assert same["score"].abs().is_monotonic_decreasing
    for row in table.sample(20, random_state=0).itertuples():
        assert row.probability == model.edge_probabilities_.loc[row.regulator, row.target]
        assert row.score == model.edge_scores_.loc[row.regulator, row.target]
        assert row.prior == prior.loc[row.regulator, row.target]
    listed = (model.edge_probabilities_ >= 0.01) | (prior != 0)
    assert len(table) == listed.to_numpy().sum()


@pytest.mark.parametrize(
    ("lengths", "held"),
    [
        ([5], [3, 4]),
        ([20], [16, 17, 18, 19]),
        ([2, 2], [2, 3]),
        ([2, 2, 3, 2, 2, 3, 2, 3, 2, 2], [19, 20, 21, 22]),
    ],
)
def test_the_last_fifth_is_held_out(lengths, held, rng):
    values = [rng.random((n, 2)) for n in lengths]
    times = [np.arange(n) for n in lengths]
    rows = held_out_rows(trajectories(values, times))
    assert np.flatnonzero(rows).tolist() == held


def test_edges_are_read_from_a_list(written):
    """Edges may be repeated, and contrary signs cancel out."""
    path = written("list.csv", "regulator,target,sign\na,b,1\nb,c,-1\na,b,1\na,c,1\na,c,-1\n")
    found = read_prior(path, ["c", "a", "b"])
    expected = pd.DataFrame(0.0, ["c", "a", "b"], ["c", "a", "b"])
    expected.loc["a", "b"] = 1
    expected.loc["b", "c"] = -1
    pd.testing.assert_frame_equal(found, expected)
    found = read_prior(written("plain.csv", "target,regulator\nb,a\n"), ["a", "b"])
    assert found.to_numpy().tolist() == [[0, 1], [0, 0]]


def test_edges_are_read_from_a_square_table_or_none(written):
    found = read_prior(written("square.csv", "gene,a,b\nb,0,-2\na,2,0\n"), ["a", "b"])
    assert found.to_numpy().tolist() == [[2, 0], [0, -2]]
    assert not read_prior(None, ["a", "b"]).to_numpy().any()


def test_a_long_table_has_its_samples_and_times(written):
    path = written("long.csv", "time,a,sample,b\n0,0.5,x,1\n2,0.25,x,0\n1,0.5,y,0\n3,0.125,y,1\n")
    course = read_course(path)
    assert course.to_df().to_dict("list") == {"a": [0.5, 0.25, 0.5, 0.125], "b": [1, 0, 0, 1]}
    assert course.obs["sample"].tolist() == ["x", "x", "y", "y"]
    assert course.obs["time"].tolist() == [0, 2, 1, 3]


def test_what_is_wrong_with_a_table_is_named(written):
    gap = written("gap.csv", "time,a,sample,b\n0,0.5,x,1\n1,0.5,x,\n2,0.25,x,0\n")
    with pytest.raises(ValueError, match="x_1"):
        read_course(gap)
    with pytest.raises(ValueError, match=r"course \(empty.csv\)"):
        read_course(written("empty.csv", ""))
    cells = written("cells.csv", "cell,a\nc1,1\n")
    with pytest.raises(ValueError, match="times: .* c2"):
        read_course(cells, written("times.csv", "cell,time\nc1,0\nc2,1\n"))


def test_cells_get_their_times_from_another_table(written):
    cells = written("cells.csv", "cell,a,b\nc1,0.5,1\nc2,0.25,0\nc3,0.1,0.2\n")
    course = read_course(cells, written("times.csv", "cell,time\nc3,0\nc1,4\n"))
    assert course.to_df().to_dict("list") == {"a": [0.1, 0.5], "b": [0.2, 1.0]}
    assert course.obs["time"].tolist() == [0, 4]
    assert course.obs["sample"].nunique() == 1
    two = written("two.csv", "cell,sample,time\nc3,y,0\nc1,x,4\nc2,x,5\n")
    with pytest.raises(ValueError, match="sample y"):
        read_course(cells, two)


def test_counts_are_normalised_and_pseudotimes_binned(tmp_path, rng):
    counts = pd.DataFrame(rng.poisson(30, (40, 3)), [f"c{i}" for i in range(40)], [*"ABC"])
    counts.to_csv(tmp_path / "cells.tsv", sep="\t")
    times = pd.DataFrame({"time": [*range(20)] * 2, "sample": ["x"] * 20 + ["y"] * 20})
    times.index = counts.index
    times.to_csv(tmp_path / "times.tsv", sep="\t")
    times["time"].rename("t").to_csv(tmp_path / "pseudo.tsv", sep="\t")
    with pytest.warns(UserWarning, match="counts"):
        data = read_course(tmp_path / "cells.tsv", tmp_path / "times.tsv")
    expected = log2p1(normalize_library_size(counts.to_numpy()))
    assert_allclose(data.X, expected)
    assert data.obs["sample"].value_counts().to_dict() == {"x": 20, "y": 20}
    with pytest.warns(UserWarning, match="counts"):
        binned = read_course(tmp_path / "cells.tsv", tmp_path / "pseudo.tsv")
    assert binned.n_obs == 20
    assert np.abs(binned.X).max() == 1
