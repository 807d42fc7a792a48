"""The study: its records, tables, figures and commands, on networks that take seconds."""

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sbnn.cli import main
from sbnn.data.datasets import load_dataset
from sbnn.data.gene_dynamics import prior_of, truth_of
from sbnn.dynamics import GeneNetwork, PhoenixRegressor, experiments, report, study
from sbnn.dynamics.accuracy import edge_accuracy, path_errors
from sbnn.dynamics.figures.gallery import figure_names, gallery
from sbnn.dynamics.methods import METHODS, SPARSITY, PriorAlone
from sbnn.results import Record

NAME = study.SIMULATED


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder of all results of simulated networks."""
    place = tmp_path_factory.mktemp("dynamics") / NAME
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.run(NAME, place, fast=True, verbose=False)
    return place


@pytest.fixture(scope="module")
def records(folder):
    return study.load_records(folder)


def test_everything_is_run_once(folder, records, capsys):
    assert {f"noise_5_{name}" for name in experiments.SETTINGS[NAME].runs["noise_5"]} | {"sizes"} == set(records)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    study.run(NAME, folder, fast=True)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert "noise_5 dash: balanced_accuracy" in capsys.readouterr().out


def test_scores_are_those_of_the_method_on_the_data_of_the_seed(records):
    stored = records["noise_5_dash"].scores.iloc[0]
    data = load_dataset(
        NAME, verbose=False, n_genes=experiments.TRIAL_GENES, **experiments.TRIAL, noise=0.025, wrong=0.05,
        random_state=int(stored["seed"]),
    )  # fmt: skip
    model = experiments.make(NAME, "noise_5", "dash", int(stored["seed"]), fast=True)
    model.fit(data[data.obs["split"] == "train"], prior_of(data))
    expected = edge_accuracy(model.edge_scores_, truth_of(data), prior_of(data))
    expected |= path_errors(model, experiments.held_out(data))
    assert {name: stored[name] for name in expected} == expected
    assert stored["sparsity"] == model.sparsity_


def test_pairs_are_ranked_by_the_probabilities_of_a_method_that_has_them():
    data = experiments.load(NAME, "noise_5", 0, fast=True)

    class Sure(PriorAlone):
        def fit(self, trajectories, prior):
            self.edge_probabilities_ = abs(truth_of(data))
            return super().fit(trajectories, prior)

    assert experiments.score(Sure(), data)["auroc"] == 1 > experiments.score(PriorAlone(), data)["auroc"]


def test_results_are_known_by_the_data_of_all_seeds(monkeypatch):
    parts, seen = [("noise_5", 0), ("noise_5", 1)], []
    for last in "ab":
        about = [SimpleNamespace(uns={"sbnn": {"sha256": sha256}}) for sha256 in ("same", last)]
        monkeypatch.setattr(experiments, "load", lambda name, c, seed, fast, about=about: about[seed])
        seen.append(experiments._wanted("methods", NAME, parts, True).sha256)
    assert seen[0] != seen[1]


@pytest.mark.parametrize("condition", [c for c, given in experiments.CONDITIONS.items() if given])
def test_conditions_are_those_of_their_names(condition):
    data = experiments.load(NAME, condition, 3, fast=True)
    clean = GeneNetwork.random(experiments.TRIAL_GENES, random_state=3).simulate(12, random_state=3)
    noise, wrong = experiments.CONDITIONS[condition]
    assert (data[data.obs["split"] == "train"].X - clean.X).std() == pytest.approx(noise, rel=0.1)
    truth, prior = truth_of(data) != 0, prior_of(data) != 0
    assert np.count_nonzero(truth & ~prior) == int(wrong * np.count_nonzero(truth))


def test_methods_get_the_published_settings_of_their_data():
    made = experiments.make("grn_350", "noise_5", "dash", 7)
    assert isinstance(made, PhoenixRegressor) and made.random_state == 7 and made.sparsity == SPARSITY
    assert made.n_hidden == 40 and made.influence == (0.5, 0.05)
    assert experiments.make("grn_350", "noise_0", "dash", 0).influence == (0.05, 0.01)
    assert experiments.make("yeast_pramila", "real", "phoenix", 0).recipe.data_weight == 0.8
    assert experiments.make("yeast_pramila", "real", "none", 0).recipe.data_weight == 1
    assert experiments.make("breast_desmedt", "real", "imp", 0).n_hidden == 300
    for name in METHODS:
        method = getattr(experiments.make("grn_350", "noise_5", name, 0), "pruning", None)
        assert method == {"prior": None, "sparse": None, "phoenix": "none"}.get(name, name)


def test_records_hold_what_the_figures_need(records):
    prior, dash = records["noise_5_prior"], records["noise_5_dash"]
    assert prior.test.shape == dash.predicted.shape == (10, 5, experiments.TRIAL_GENES)
    assert np.array_equal(prior.test[:, 0], dash.predicted[:, 0])  # both start alike
    edges = dash.edges
    assert (edges["score"].abs().diff().dropna() <= 0).all() and len(edges) == dash.scores["n_edges"].iloc[0]
    data = experiments.load(NAME, "noise_5", 0, fast=True)
    for row in edges.iloc[:20].itertuples():
        assert row.true == (truth_of(data).loc[row.regulator, row.target] != 0)
        assert row.in_prior == (prior_of(data).loc[row.regulator, row.target] != 0)
    assert dash.out_degree.sum() == len(edges)
    assert np.array_equal(prior.true_out_degree, np.count_nonzero(truth_of(data), axis=1))


def test_results_of_other_seeds_or_networks_are_not_loaded(folder):
    path = folder / "dynamics_noise_5_prior.pickle"
    with pytest.raises(ValueError, match="another .*seeds"):
        experiments.run_method(NAME, "noise_5", "prior", path, fast=True, seeds=(5,))
    with pytest.raises(ValueError, match="give another path"):
        experiments.run_method(NAME, "noise_5", "dash", path, fast=True)
    with pytest.raises(ValueError, match="another .*data"):
        experiments.run_method(NAME, "noise_5", "prior", path, seeds=(0,))


def test_sparsities_are_those_asked_for():
    for sparsity in (0.5, 0.9):
        record = experiments.run_sparsities(NAME, fast=True, methods=("imp",), sparsities=(sparsity,))
        assert record.scores["sparsity"].tolist() == pytest.approx([sparsity], abs=0.01)


def test_tables_hold_every_method_and_say_what_is_published(records):
    tables = report.all_tables(records)
    methods = tables[f"Methods, {report.TITLES['noise_5']}"]
    run = experiments.SETTINGS[NAME].runs["noise_5"]
    assert methods.index.tolist() == [METHODS[name].label for name in run]
    assert methods.loc["DASH", "BA"] == f"{records['noise_5_dash'].scores['balanced_accuracy'].iloc[0]:.3f}"
    assert tables["Cost by number of genes"].index.tolist() == [20, 20, 40, 40]
    assert all(len(published) == 2 for published in report.PUBLISHED.values()) and report.PUBLISHED["dash"] == (
        0.946,
        0.906,
    )


def test_the_sparsity_of_the_comparison_is_one_of_those_swept(records):
    swept = experiments.run_sparsities(NAME, fast=True)
    scores = report.by_sparsity(records | {"sparsities": swept})
    assert scores["asked"].tolist() == [SPARSITY, 0.98]
    assert scores["balanced_accuracy"].iloc[0] == records["noise_5_dash"].scores["balanced_accuracy"].iloc[0]


def test_differences_are_paired_by_seed():
    def record(seeds, accuracies):
        scores = pd.DataFrame({"seed": seeds, "balanced_accuracy": accuracies})
        return Record("dynamics methods", NAME, "", [{}], values={"scores": scores})

    # Rows go together by seed, not by place.
    records = {"noise_5_dash": record([0, 1, 2], [0.3, 0.6, 0.5]), "noise_5_sparse": record([2, 1, 0], [0.6, 0.7, 0.4])}
    table = report.differences_table(records, "noise_5")
    assert table.loc["SparseRegulation less DASH", "BA"] == "+0.1 [+0.1, +0.1]"


def test_spreads_are_written_with_the_digits_they_need():
    given = [0.5, 0.7], [1e-4], [np.nan], [12.0, 14.0]
    assert [report._spread(pd.Series(values)) for values in given] == ["0.600 ± 0.141", "1.0e-04", "", "13 ± 1"]


def test_figures_of_all_that_is_there(records):
    names = figure_names(records)
    assert names == [
        "dynamics_noise_5_sparsity", "dynamics_corrected", "dynamics_paths", "dynamics_network", "dynamics_out_degree",
        "dynamics_cost",
    ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = dict(gallery(records))
    assert list(figures) == names
    shown = figures["dynamics_noise_5_sparsity"].axes[0]
    assert "published" not in {line.get_label() for line in shown.lines}  # that is of another network
    degrees = figures["dynamics_out_degree"].axes[0].lines
    true = records["noise_5_prior"].true_out_degree
    assert degrees[0].get_ydata()[0] == (true >= degrees[0].get_xdata()[0]).mean()


def test_commands(tmp_path, capsys):
    options = ["--fast", "--saved-models", str(tmp_path / "saved")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main(["dynamics", "run", NAME, "--only", "prior,imp,dash,sparse", *options]) == 0
    assert "DASH" in capsys.readouterr().out
    assert main(["dynamics", "report", NAME, *options]) == 0 and "the prior alone" in capsys.readouterr().out
    assert main(["dynamics", "figures", NAME, "--figures", str(tmp_path / "figures"), *options]) == 0
    assert (tmp_path / "figures" / f"{NAME}-fast" / "dynamics_corrected.png").exists()
    assert main(["dynamics", "run", NAME, "--only", "dahs", *options]) == 1
    assert "unknown methods dahs" in capsys.readouterr().err
    assert main(["dynamics", "run", "papalexi", *options]) == 1


def test_commands_name_what_is_not_there(tmp_path, capsys):
    options = ["--fast", "--saved-models", str(tmp_path)]
    for command in ("report", "figures"):
        assert main(["dynamics", command, NAME, *options]) == 1
        assert f"no results in {tmp_path / NAME}-fast: run `sbnn dynamics run` first" in capsys.readouterr().err
    assert main(["dynamics", "run", "grn_349", *options]) == 1
    assert "data set: expected one of grn_350, " in capsys.readouterr().err
    assert main(["dynamics", "run", "grn_690", "--only", "imp", *options]) == 1
    assert "only: imp is not run on 'grn_690'; there are prior, dash, sparse" in capsys.readouterr().err
