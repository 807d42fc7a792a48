"""What a prior does is measured on held-out cells, by the right lists, and as it is committed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

from sbnn import DistilledBottleneckRegressor, cross_validate, paper_folds
from sbnn.evaluation.stability import folds_kept, priors_table
from sbnn.results import load, save
from sbnn.study import gene_priors

ROOT = Path(__file__).parents[2]


class Believer(RegressorMixin, BaseEstimator):
    """Keeps four genes, those of its prior first; predicts too much, with a prior more."""

    def __init__(self, gene_prior=None, prior_influence=0.5):
        self.gene_prior, self.prior_influence = gene_prior, prior_influence

    def for_genes(self, names, kept=None):
        if self.gene_prior is None:
            return self
        return Believer(
            np.isin(names, self.gene_prior).astype(float).tolist(), self.prior_influence
        )

    def fit(self, X, y):
        weights = np.ones(X.shape[1]) if self.gene_prior is None else np.array(self.gene_prior)
        self.kept_ = np.zeros(X.shape[1], bool)
        self.kept_[np.argsort(-weights, kind="stable")[:4]] = True
        self.better_ = 0.05 if self.gene_prior is None else self.prior_influence
        return self

    def predict(self, X):
        return np.zeros((len(X), 5)) + 10 * self.better_

    def get_support(self):
        return self.kept_


@pytest.fixture(scope="module")
def asked(data):
    names = [str(name) for name in data.gene_names]
    lists = {"late": names[-6:], "early": names[:3] + names[-1:]}
    folds = {"one": paper_folds(120)[:3], "other": paper_folds(120)[3:6]}
    influences = {"one": (0.0, 0.25, 0.5), "other": (0.0, 0.25)}
    return {"one": Believer(), "other": Believer()}, data, folds, lists, influences


@pytest.fixture(scope="module")
def known(asked, tmp_path_factory):
    return gene_priors.compare_priors(
        *asked, results=tmp_path_factory.mktemp("prior") / "gene_prior.pickle"
    )


def test_a_comparison_is_loaded_again_and_another_question_refused(
    asked, known, tmp_path, monkeypatch
):
    path = save(known, tmp_path / "gene_prior.pickle")
    monkeypatch.setattr(
        gene_priors, "cross_validate", lambda *_, **__: pytest.fail("computed again")
    )
    assert (gene_priors.compare_priors(*asked, results=path).table == known.table).all(axis=None)
    models, data, folds, lists, influences = asked
    for other in (
        (models, data, folds | {"one": folds["other"]}, lists, influences),
        (models, data, folds, lists | {"early": lists["late"]}, influences),
        (models, data, folds, lists, influences | {"other": (0.0, 0.5)}),
        (models | {"one": Believer(prior_influence=0.1)}, data, folds, lists, influences),
    ):
        with pytest.raises(ValueError, match="gene_prior.pickle holds a result that differs in"):
            gene_priors.compare_priors(*other, results=path)


def test_every_list_is_compared_with_no_prior_in_the_same_folds(known, data):
    table = known.table.set_index(["model", "list", "influence", "fold"]).test_r2.sort_index()
    assert len(table) == len(known.kept) == 2 * 3 * (3 + 2)
    believer = Believer(list(data.gene_names[-6:]), 0.25)
    alone = cross_validate(believer, data, paper_folds(120)[3:6], verbose=False)
    assert table["other", "late", 0.25, 1] == alone.test_r2[1, 0]
    assert (table["one", "late", 0] == table["one", "early", 0]).all()
    means = priors_table(known)
    differences = table["one", "late", 0.5] - table["one", "late", 0]
    change, error = means.loc[("one", "late", 0.5), ["change", "SE"]]
    assert change == pytest.approx(differences.mean()) and error == pytest.approx(
        differences.std(ddof=1) / 3**0.5
    )
    assert change < means.loc[("one", "late", 0.25), "change"] < 0


def test_shares_are_of_the_kept_genes(known, data):
    record = replace(known, values=known.values | {"kept": known.kept.copy()})
    means = priors_table(record)
    assert means.listed["one", "late"].tolist() == [0, 1, 1]
    assert means.listed["one", "early"].tolist() == [0.75, 1, 1]
    true = set(data.truth["genes"])
    assert means.true["one", "late", 0.25] == pytest.approx(
        len(true & set(data.gene_names[-6:-2])) / 4
    )
    assert (means.stability == 1).all()
    kept = folds_kept(record, "one", "late", 0.25)
    assert kept[kept > 0].to_dict() == {gene: 3 for gene in data.gene_names[-6:-2]}
    record.kept[:3] = [[0, 1, 2, 3], [0, 1, 2, 4], [0, 5, 6, 7]]
    assert priors_table(record).stability.iloc[0] == pytest.approx((0.75 + 0.25 + 0.25) / 3), (
        "what two folds share"
    )


def test_lists_are_of_measured_genes_and_few_cells_of_the_training_cells(data):
    names = [str(name) for name in data.gene_names]
    lists = gene_priors.with_control(
        {"mine": [names[5], "nobody", names[2]], "more": names[:9]}, data.gene_names
    )
    assert lists["mine"] == [names[2], names[5]] and lists["more"] == names[:9]
    assert list(lists)[-1] == gene_priors.CONTROL and len(lists[gene_priors.CONTROL]) == 2
    with pytest.raises(ValueError, match="wrong"):
        gene_priors.with_control({"wrong": ["Sst"]}, data.gene_names)
    folds, (model, n_cells) = paper_folds(data.n_cells)[:3], gene_priors.FEW
    named = {"usual": folds, model: gene_priors.with_few_cells(folds, n_cells)}
    assert gene_priors._named(named, data.n_cells) == "the first 3 of ten"
    for (few, test), (train, its) in zip(gene_priors.with_few_cells(folds, 60), folds, strict=True):
        assert (
            len(few) == 60
            and set(few) < set(train)
            and (test == its).all()
            and set(few) != set(train[:60])
        )


@pytest.mark.slow
def test_committed_fits_come_back(real_scala):
    """But for last bits, and so a gene or two, which differ by processor."""
    name, n_cells = gene_priors.FEW
    record = load(ROOT / "saved_models" / "scala" / "gene_prior.pickle")
    models = {name: DistilledBottleneckRegressor(standardize=False, device="cpu", random_state=42)}
    folds = {name: gene_priors.with_few_cells(paper_folds(real_scala.n_cells)[:1], n_cells)}
    lists = {"ion channels": record.lists["ion channels"]}
    again = gene_priors.compare_priors(
        models, real_scala, folds, lists, {name: (0.0, 0.25)}, seed=42
    )
    rows = record.table.query(
        f"model == {name!r} and list == 'ion channels' and influence in (0, 0.25) and fold == 0"
    )
    assert again.table.test_r2.to_numpy() == pytest.approx(rows.test_r2.to_numpy(), abs=0.02)
    for kept, its in zip(again.kept, record.kept[rows.index], strict=True):
        assert len(np.intersect1d(again.gene_names[kept], record.gene_names[its])) >= 0.8 * len(its)
