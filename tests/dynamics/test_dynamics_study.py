"""The study: its records, tables, figures and commands, on networks that take seconds."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sbnn.cli import main
from sbnn.data.gene_dynamics import prior_of, truth_of
from sbnn.dynamics import GeneNetwork, experiments, report
from sbnn.dynamics.experiments import METHODS, SPARSITY, PriorAlone, run_sparsities
from sbnn.dynamics.study import STUDY

NAME = "simulated_grn"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder of all results of simulated networks."""
    place = tmp_path_factory.mktemp("dynamics") / f"{NAME}-fast"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        STUDY.run(NAME, place, fast=True, verbose=False)
    return place


@pytest.fixture(scope="module")
def records(folder):
    return STUDY.load(folder)


def test_everything_is_run_once(folder, records, capsys):
    assert {f"noise_5_{name}" for name in experiments.SETTINGS[NAME].runs["noise_5"]} | {"sizes"} == set(records)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    options = ["--fast", "--saved-models", str(folder.parent)]
    assert main(["dynamics", "run", NAME, *options]) == 0
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert "noise_5_dash: balanced_accuracy" in capsys.readouterr().out


def test_the_prior_alone_is_a_baseline_and_probabilities_rank_pairs():
    data = experiments.load(NAME, "noise_5", 0, fast=True)
    alone = experiments.score(PriorAlone(), data)
    assert alone["recall_missing"] == 0 and alone["kept_wrong"] == 1
    assert alone["sparsity"] == (prior_of(data) == 0).to_numpy().mean()
    predicted = PriorAlone().predict(data.X[:2], [0, 1, 5])
    assert predicted.shape == (2, 3, 40) and (predicted[:, 2] == data.X[:2]).all()
    sure = PriorAlone()
    sure.edge_probabilities_ = abs(truth_of(data))
    assert experiments.score(sure, data)["auroc"] == 1 > alone["auroc"]


@pytest.mark.parametrize("condition", ["noise_0", "noise_5", "noise_10"])
def test_conditions_are_those_of_their_names(condition):
    data = experiments.load(NAME, condition, 3, fast=True)
    clean = GeneNetwork.random(40, random_state=3).simulate(12, random_state=3)
    noise, wrong = experiments.CONDITIONS[condition]
    assert (data[data.obs["split"] == "train"].X - clean.X).std() == pytest.approx(noise, rel=0.1)
    truth, prior = truth_of(data) != 0, prior_of(data) != 0
    assert np.count_nonzero(truth & ~prior) == int(wrong * np.count_nonzero(truth))


def test_records_hold_what_the_figures_need(records):
    prior, dash = records["noise_5_prior"], records["noise_5_dash"]
    assert prior.test.shape == dash.predicted.shape == (10, 5, 40)
    edges, data = dash.edges, experiments.load(NAME, "noise_5", 0, fast=True)
    assert (edges["score"].abs().diff().dropna() <= 0).all() and len(edges) == dash.scores["n_edges"].iloc[0]
    truth, given = truth_of(data) != 0, prior_of(data) != 0
    for row in edges.iloc[:20].itertuples():
        assert (row.true, row.in_prior) == (truth.loc[row.regulator, row.target], given.loc[row.regulator, row.target])
    assert dash.out_degree.sum() == len(edges) and np.array_equal(prior.true_out_degree, truth.sum(axis=1))


def test_tables_hold_every_method_and_what_is_published(records):
    swept = run_sparsities(NAME, fast=True)
    assert swept.scores["sparsity"].tolist() == pytest.approx([0.98], abs=0.01)
    records = records | {"sparsities": swept}
    methods = STUDY.tables(records)[f"Methods, {report.TITLES['noise_5']}"]
    assert methods.index.tolist() == [METHODS[name] for name in experiments.SETTINGS[NAME].runs["noise_5"]]
    assert report.by_sparsity(records)["asked"].tolist() == [SPARSITY, 0.98], "with that of the comparison"
    given = [0.5, 0.7], [1e-4], [np.nan], [12.0, 14.0]
    assert [report._spread(pd.Series(values)) for values in given] == ["0.600 ± 0.141", "1.0e-04", "", "13 ± 1"]


def test_figures_of_all_that_is_there(records):
    names = [f"dynamics_{n}" for n in ("noise_5_sparsity", "corrected", "paths", "network", "out_degree", "cost")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = dict(STUDY.draw(records))
    assert list(drawn) == names == STUDY.figure_names(records)
    degrees = drawn["dynamics_out_degree"].axes[0].lines
    true = records["noise_5_prior"].true_out_degree
    assert degrees[0].get_ydata()[0] == (true >= degrees[0].get_xdata()[0]).mean()
