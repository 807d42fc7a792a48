"""A user's own time course from the command line: tables to network, predictions and page."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sbnn import cli
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.trajectories import trajectories
from sbnn.dynamics.own_tables import edges_table, held_out_rows, read_course, read_prior


@pytest.fixture
def written(tmp_path):
    """Writes a text to a file and returns its path."""

    def write(text):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
        path.write_text(text)
        return path

    return write


def test_a_course_becomes_a_network_with_a_page(network, samples, tmp_path, capsys):
    table = samples.to_df().assign(sample=samples.obs["sample"], time=samples.obs["time"])[:90]
    # one of the last samples ends earlier
    table.drop(index=table.index[-6]).to_csv(tmp_path / "course.csv", index=False)
    network.graph.rename_axis("gene").to_csv(tmp_path / "prior.csv")
    options = ["--prior", str(tmp_path / "prior.csv"), "--out", str(tmp_path / "out"), "--fast"]
    assert cli.main(["network", str(tmp_path / "course.csv"), *options]) == 0
    assert capsys.readouterr().out.startswith("regulation explains")
    edges = pd.read_csv(tmp_path / "out" / "edges.csv")
    assert (edges["prior"][:15] != 0).mean() > 0.9
    page = (tmp_path / "out" / "network.html").read_text()
    for part in ("regulation explains", "AR(1) of each gene", edges["target"][0]):
        assert part in page
    assert page.count("data:image/png;base64,") == 2
    predicted = pd.read_csv(tmp_path / "out" / "predictions.csv")
    measured = table[table["sample"].isin(["15", "17"])]
    assert predicted["sample"].astype(str).tolist() == measured["sample"].tolist()
    assert predicted["time"].tolist() == measured["time"].tolist()
    errors = predicted[samples.var_names].to_numpy() - measured[samples.var_names]
    assert errors[::5].abs().to_numpy().max() < 1e-6
    assert errors.to_numpy().std() < 0.05


def test_edges_are_those_of_the_prior_and_probable_ones_in_order(rng):
    names = list("abcde")
    tables = rng.integers(-2, 3, (3, 5, 5)) / [[[200]], [[1]], [[2]]]
    p, score, prior = [pd.DataFrame(table, names, names) for table in tables]
    model = SimpleNamespace(edge_probabilities_=p.abs(), edge_scores_=score)
    table = edges_table(model, prior)
    rows = []
    for one, other in itertools.product(names, names):
        row = (p.abs().loc[one, other], score.loc[one, other], prior.loc[one, other])
        if row[0] >= 0.01 or row[2]:
            rows.append((one, other, *row))
    rows.sort(key=lambda row: (-row[2], -abs(row[3])))
    assert table.to_records(index=False).tolist() == rows


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
    rows = held_out_rows(trajectories(values, list(map(np.arange, lengths))))
    assert np.flatnonzero(rows).tolist() == held


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # edges may be repeated, and contrary signs cancel out
        ("regulator,target,sign\na,b,1\nb,c,-1\na,b,1\na,c,1\na,c,-1\n", [[1, 0], [0, -1]]),
        ("target,regulator\nb,a\n", [[1, 0], [0, 0]]),
        ("gene,c,b\nb,-2,0\na,0,2\n", [[2, 0], [0, -2]]),
        (None, [[0, 0], [0, 0]]),
    ],
)
def test_edges_are_read_from_a_list_or_a_square_table_or_none(written, text, expected):
    found = read_prior(text and written(text), ["c", "a", "b"])
    assert found.loc[["a", "b"], ["b", "c"]].to_numpy().tolist() == expected
    assert not found.loc["c"].any()


def test_a_long_table_has_its_samples_and_times(written):
    path = written("time,a,sample,b\n0,0.5,x,1\n2,0.25,x,0\n1,0.5,y,0\n3,0.125,y,1\n")
    course = read_course(path)
    assert course.to_df().to_dict("list") == {"a": [0.5, 0.25, 0.5, 0.125], "b": [1, 0, 0, 1]}
    assert course.obs["sample"].tolist() == ["x", "x", "y", "y"]
    assert course.obs["time"].tolist() == [0, 2, 1, 3]
    with pytest.raises(ValueError, match=r"course \(1.csv\)"):
        read_course(written(""))


def test_cells_get_their_times_from_another_table(written):
    cells = written("cell,a,b\nc1,0.5,1\nc2,0.25,0\nc3,0.1,0.2\n")
    course = read_course(cells, written("cell,time\nc3,0\nc1,4\n"))
    assert course.to_df().to_dict("list") == {"a": [0.1, 0.5], "b": [0.2, 1.0]}
    assert course.obs["time"].tolist() == [0, 4]
    assert course.obs["sample"].nunique() == 1
    with pytest.raises(ValueError, match="sample y"):
        read_course(cells, written("cell,sample,time\nc3,y,0\nc1,x,4\nc2,x,5\n"))
    with pytest.raises(ValueError, match="times: .* c4"):
        read_course(cells, written("cell,time\nc1,0\nc4,1\n"))


@pytest.mark.parametrize("column", ["time", "lineage"])
@pytest.mark.filterwarnings("ignore:counts")
def test_counts_are_normalised_and_pseudotimes_binned(tmp_path, rng, column):
    counts = pd.DataFrame(rng.poisson(30, (40, 3)), columns=[*"ABC"]).rename("c{}".format)
    counts.to_csv(tmp_path / "cells.csv")
    pd.DataFrame({column: range(40)}, counts.index).to_csv(tmp_path / "times.csv")
    data = read_course(tmp_path / "cells.csv", tmp_path / "times.csv")
    if column == "time":
        assert_allclose(data.X, log2p1(normalize_library_size(counts.to_numpy())))
    else:
        assert data.n_obs == 25
        assert np.abs(data.X).max() == 1
