"""What a prior does is measured on held-out cells, by the right lists, and as it is committed."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import changed
from sklearn.base import BaseEstimator, RegressorMixin

from sbnn import cli, cross_validate, load_dataset, paper_folds
from sbnn.data.paired import as_paired
from sbnn.evaluation.stability import folds_kept, priors_table
from sbnn.results import Record, load
from sbnn.study import gene_priors
from sbnn.study.experiments import network

ROOT = Path(__file__).parents[2]


class Believer(RegressorMixin, BaseEstimator):
    """Keeps four genes, the first of its prior before others; predicts the mean and, with a prior, too much."""

    def __init__(self, gene_prior=None, prior_influence=0.5):
        self.gene_prior = gene_prior
        self.prior_influence = prior_influence

    def for_genes(self, names):
        if self.gene_prior is None:
            return self
        return Believer(np.isin(names, self.gene_prior).astype(float).tolist(), self.prior_influence)

    def fit(self, X, y):
        weights = np.ones(X.shape[1]) if self.gene_prior is None else np.array(self.gene_prior)
        self.kept_ = np.zeros(X.shape[1], bool)
        self.kept_[np.argsort(-weights, kind="stable")[:4]] = True
        self.better_ = 0 if self.gene_prior is None else self.prior_influence
        return self

    def predict(self, X):
        return np.zeros((len(X), 5)) + 10 * self.better_

    def get_support(self):
        return self.kept_


@pytest.fixture(scope="module")
def values(data):
    names = [str(name) for name in data.gene_names]
    lists = {"late": names[-6:], "early": names[:3] + names[-1:]}
    folds = {"one": paper_folds(120)[:3], "other": paper_folds(120)[3:6]}
    models = {"one": Believer(), "other": Believer()}
    return gene_priors.compare_priors(
        models, data, folds, lists, {"one": (0.0, 0.25, 0.5), "other": (0.0, 0.25)}, verbose=False
    )


@pytest.fixture
def record(values):
    return Record("gene prior", "made up", "s", [{}], 0, {}, [], values)


def test_every_list_is_compared_with_no_prior_in_the_same_folds(record, data):
    table = record.table.set_index(["model", "list", "influence", "fold"]).test_r2.sort_index()
    assert len(table) == len(record.kept) == 2 * 3 * (3 + 2)
    believer = Believer(list(data.gene_names[-6:]), 0.25)
    alone = cross_validate(believer, data, paper_folds(120)[3:6], verbose=False)
    assert table["other", "late", 0.25, 1] == alone.test_r2[1, 0]
    assert (table["one", "late", 0] == table["one", "early", 0]).all()
    means = priors_table(record)
    differences = table["one", "late", 0.5] - table["one", "late", 0]
    change, error = means.loc[("one", "late", 0.5), ["change", "SE"]]
    assert change == pytest.approx(differences.mean()) and error == pytest.approx(differences.std(ddof=1) / 3**0.5)
    assert change < means.loc[("one", "late", 0.25), "change"] < 0


def test_shares_are_of_the_kept_genes(record, data):
    means = priors_table(record)
    assert means.listed["one", "late"].tolist() == [0, 1, 1]
    assert means.listed["one", "early"].tolist() == [0.75, 1, 1]
    true = set(data.truth["genes"])
    assert means.true["one", "late", 0.25] == pytest.approx(len(true & set(data.gene_names[-6:-2])) / 4)
    assert (means.stability == 1).all()
    kept = folds_kept(record, "one", "late", 0.25)
    assert kept[kept > 0].to_dict() == {gene: 3 for gene in data.gene_names[-6:-2]}
    record.values["kept"] = record.kept.copy()
    record.kept[:3] = [[0, 1, 2, 3], [0, 1, 2, 4], [0, 5, 6, 7]]
    assert priors_table(record).stability.iloc[0] == pytest.approx((0.75 + 0.25 + 0.25) / 3), "what two folds share"


def test_lists_are_what_they_are_called(data):
    simulated = as_paired(load_dataset("simulated", verbose=False))
    lists, true = gene_priors.gene_lists(simulated), set(simulated.truth["genes"])
    assert set(lists["true genes"]) == true
    assert len(true & set(lists["half right"])) == len(lists["half right"]) / 2 == 12
    assert len(lists[gene_priors.CONTROL]) == 24 and list(lists)[-1] == gene_priors.CONTROL
    for name, title in (("mine", None), ("wrong", {"wrong": ["Sst"]})):
        with pytest.raises(ValueError, match=name):
            gene_priors.gene_lists(changed(data, name="mine"), title)


def test_lists_of_real_genes(real_scala, real_file):
    real_file("go_ion_channel_term_summary.txt")
    lists = gene_priors.gene_lists(real_scala)
    assert [len(genes) for genes in lists.values()] == [55, 20, 55]
    channels = load(ROOT / "saved_models" / "scala_ion_channels" / "cv_ridge.pickle").gene_names
    assert set(lists["ion channels"]) == set(channels) != set(lists[gene_priors.CONTROL])
    named = {word for name in real_scala.labels["type"] for word in name.replace("_", " ").split()}
    assert set(lists["type markers"]) == named & set(real_scala.gene_names) == set(gene_priors.TYPE_MARKERS)


def test_the_command_takes_a_list_and_saves_what_it_finds(tmp_path, monkeypatch, capsys, data):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gene_priors, "network", lambda data, fast, protocol: Believer())
    pd.DataFrame(data.X, data.cell_names, data.gene_names).to_csv("x.csv")
    pd.DataFrame(data.Y, data.cell_names, data.feature_names).to_csv("y.csv")
    (tmp_path / "mine.txt").write_text("gene03\ngene05\nnobody\n")
    command = ["prior", "own", "--expression", "x.csv", "--outputs", "y.csv", "--genes", "mine.txt", "--fast"]
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert "| distilled | mine | 0.250 |" in said and "| random genes |" in said
    saved = load("saved_models/own-fast/gene_prior.pickle")
    assert saved.lists["mine"] == ["gene03", "gene05"] and len(saved.lists["random genes"]) == 2
    monkeypatch.setattr(gene_priors, "compare_priors", lambda *_, **__: pytest.fail("computed again"))
    assert cli.main(command) == 0


# -- what is committed -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_committed_fits_come_back(real_scala, real_file):
    """But for last bits, and so a gene or two, which differ by processor."""
    model = gene_priors.FEW_CELLS
    real_file("go_ion_channel_term_summary.txt")
    record = load(ROOT / "saved_models" / "scala" / "gene_prior.pickle")
    assert record.sha256 == real_scala.sha256 and record.lists == gene_priors.gene_lists(real_scala)
    models, fold = {model: network(real_scala, protocol=model.partition(",")[0])}, gene_priors.folds_of(real_scala)
    lists, how = {"ion channels": record.lists["ion channels"]}, {"seed": gene_priors.SEED, "verbose": False}
    again = gene_priors.compare_priors(models, real_scala, {model: fold[model][:1]}, lists, {model: (0.25,)}, **how)
    one = record.table[["model", "list", "influence", "fold"]] == [model, "ion channels", 0.25, 0]
    [at] = np.flatnonzero(one.all(axis=1))
    assert again["table"].test_r2[0] == pytest.approx(record.table.test_r2[at], abs=0.02)
    same = set(again["gene_names"][again["kept"][0]]) & set(record.gene_names[record.kept[at]])
    assert len(same) >= 0.8 * len(record.kept[at])


def test_few_cells_are_drawn_from_the_training_cells(data):
    folds = gene_priors.folds_of(data)
    for (few, test), (train, its) in zip(folds[gene_priors.FEW_CELLS], folds[gene_priors.ALL_CELLS], strict=True):
        assert len(few) == 60 and set(few) < set(train) and (test == its).all()
        assert (np.sort(few) != np.sort(train[:60])).any(), "at random"
