"""A user's own time course from the command line: tables to network, predictions and page."""

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sbnn import cli
from sbnn.data.trajectories import trajectories
from sbnn.dynamics import SparseRegulationRegressor, own_tables, read_course
from sbnn.dynamics.own_tables import edges_table, held_out_rows


def test_a_course_becomes_a_network_with_a_page(network, samples, tmp_path, capsys):
    table = samples.to_df().assign(sample=samples.obs["sample"], time=samples.obs["time"])[:90]
    # one of the last samples ends earlier
    table.drop(index=table.index[-6]).to_csv(tmp_path / "course.csv", index=False)
    network.graph.rename_axis("gene").to_csv(tmp_path / "prior.csv")
    options = ["--prior", str(tmp_path / "prior.csv"), "--out", str(tmp_path / "out"), "--fast"]
    assert cli.main(["network", str(tmp_path / "course.csv"), *options]) == 0
    printed = capsys.readouterr()
    assert printed.out.count("regulation explains") == 1
    assert "a row per sample and time" in printed.out
    assert "this takes about" in printed.err and "--genes" not in printed.err
    assert "passes over all genes: " in printed.err
    verdict = (tmp_path / "out" / "verdict.txt").read_text()
    assert verdict in printed.out
    assert "held-out samples support the network" in verdict
    edges = pd.read_csv(tmp_path / "out" / "edges.csv")
    assert (edges["prior"][:15] != 0).mean() > 0.9
    is_edge = edges["score"] != 0
    assert edges["supported"].tolist() == np.where(is_edge, "yes", "no").tolist()
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
    assert_allclose(predicted["mse"], (errors.to_numpy() ** 2).mean(axis=1), atol=1e-8)
    later = predicted[predicted["time"] > 0]
    assert later["mse"].mean() < later["mse_ar1"].mean() < later["mse_no_change"].mean()
    assert (predicted["supported"] == "yes").all()


def test_edges_and_predictions_of_noise_are_marked_as_not_supported(rng, tmp_path):
    course = trajectories(rng.random((8, 5, 3)), range(5), list("abc"), name="noise")
    course.write_h5ad(tmp_path / "course.h5ad")  # a course may be saved before it is studied
    prior = pd.DataFrame(np.eye(3, k=1), list("abc"), list("abc"))
    verdict = own_tables.study(read_course(tmp_path / "course.h5ad"), prior, tmp_path, 1)
    assert "explains nothing" in verdict
    for name in ("edges.csv", "predictions.csv"):
        assert (pd.read_csv(tmp_path / name)["supported"] == "no").all()
    assert "probability (not supported)" in (tmp_path / "network.html").read_text()


@pytest.mark.parametrize(("explains", "error"), [(True, 0.1), (True, 0.25), (False, 0.1)])
def test_held_out_samples_must_confirm_the_verdict(explains, error):
    errors = {"sparse": error, "prior": 0.3, "ar1": 0.2}
    supported = own_tables.is_supported(SimpleNamespace(explains_=explains), errors)
    assert supported == (explains and error < 0.2)


def test_the_genes_that_vary_most_over_time_are_kept(rng):
    values = rng.random((2, 6, 4)) * [0.1, 1, 0.01, 0.5]
    values[1, :, 2] += 100  # differs between samples, but hardly over time
    course = trajectories(values, range(6), list("abcd"))
    kept = own_tables.most_varying(course, 2)
    assert kept.var_names.tolist() == ["b", "d"]
    assert "2 genes of 4" in kept.uns["sbnn"]["notes"][-1]
    assert own_tables.most_varying(course, 4) is course


def test_a_long_study_names_options(monkeypatch, rng, tmp_path, capsys):
    monkeypatch.setattr(SparseRegulationRegressor, "expected_seconds", lambda *_: 3000)
    course = trajectories(rng.random((5, 4, 2)), range(4), list("ab"))
    own_tables.study(course, pd.DataFrame(0.0, list("ab"), list("ab")), tmp_path, 1)
    printed = capsys.readouterr().err
    assert all(part in printed for part in ("90 minutes", "--genes", "--fast"))


def test_edges_are_those_of_the_prior_and_probable_ones_in_order(rng):
    names = list("abcde")
    tables = rng.integers(-2, 3, (3, 5, 5)) / [[[200]], [[1]], [[2]]]
    p, score, prior = [pd.DataFrame(table, names, names) for table in tables]
    model = SimpleNamespace(edge_probabilities_=p.abs(), edge_scores_=score)
    table = edges_table(model, prior, True)
    rows = []
    for one, other in itertools.product(names, names):
        row = (p.abs().loc[one, other], score.loc[one, other], prior.loc[one, other])
        if row[0] >= 0.01 or row[2]:
            rows.append((one, other, *row, "yes" if row[1] else "no"))
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
