"""What a prior does is measured on held-out cells, by the right lists, and as it is committed."""

from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData
from sklearn.base import BaseEstimator, RegressorMixin

from sbnn import DistilledBottleneckRegressor, cross_validate, paper_folds, plotting
from sbnn.evaluation.stability import folds_kept, priors_table
from sbnn.results import load
from sbnn.study import gene_priors

SAVED = Path(__file__).parents[2] / "saved_models"


class Believer(RegressorMixin, BaseEstimator):
    """Keeps the first four genes of its prior and then of all; predicts too much, by its prior."""

    def __init__(self, gene_prior=None, prior_influence=0.5):
        self.gene_prior = gene_prior
        self.prior_influence = prior_influence

    def for_genes(self, names, kept=None):
        listed = np.isin(names, self.gene_prior or []).astype(float)
        return Believer(listed.tolist(), self.prior_influence)

    def fit(self, X, y):
        self.kept_ = np.zeros(X.shape[1], bool)
        self.kept_[np.argsort(-np.array(self.gene_prior), kind="stable")[:4]] = True
        return self

    def predict(self, X):
        return np.full((len(X), 5), 0.5 + 10 * self.prior_influence)

    def get_support(self):
        return self.kept_


@pytest.fixture(scope="module")
def asked(data):
    names = data.gene_names.tolist()
    lists = {"late": names[-6:], "early": names[:3] + names[-1:]}
    folds = {"one": paper_folds(120)[:3], "other": paper_folds(120)[3:6]}
    influences = {"one": (0.0, 0.25, 0.5), "other": (0.0, 0.25)}
    return {"one": Believer(), "other": Believer()}, data, folds, lists, influences


@pytest.fixture(scope="module")
def path(asked, tmp_path_factory):
    path = tmp_path_factory.mktemp("prior") / "gene_prior.pickle"
    gene_priors.compare_priors(*asked, results=path)
    return path


@pytest.fixture
def known(path):
    return load(path)


def test_a_comparison_is_loaded_again_and_another_question_refused(asked, path, monkeypatch):
    monkeypatch.setattr(gene_priors, "cross_validate", lambda *_, **__: pytest.fail("again"))
    models, data, folds, lists, influences = asked
    gene_priors.compare_priors(*asked, results=path)
    for other in (
        (models, data, folds | {"one": folds["other"]}, lists, influences),
        (models, data, folds, lists | {"early": lists["late"]}, influences),
        (models, data, folds, lists, influences | {"other": (0.0, 0.5)}),
        (models | {"one": Believer(prior_influence=0.1)}, data, folds, lists, influences),
    ):
        with pytest.raises(ValueError, match="gene_prior.pickle holds a result that differs in"):
            gene_priors.compare_priors(*other, results=path)


def test_every_list_is_compared_with_no_prior_in_the_same_folds(asked, known):
    _, data, folds, lists, _ = asked
    table = known.table.set_index(["model", "list", "influence", "fold"])
    assert len(table) == len(known.kept) == 2 * 3 * (3 + 2)
    for influence in (0.0, 0.25):
        believer = Believer(lists["late"] if influence else None, influence)
        alone = cross_validate(believer, data, folds["other"], verbose=False)
        rows = table.loc["other", "late", influence]
        np.testing.assert_array_equal(rows["test_r2"], alone.test_r2[:, 0])
        for selected, row in zip(alone.selected[:, 0], rows.itertuples(), strict=True):
            kept = data.gene_names[selected]
            assert row.listed == np.isin(kept, lists["late"]).mean()
            assert row.true == np.isin(kept, data.truth["genes"]).mean()
        position = known.table.query(f"model == 'other' and influence == {influence}").index[0]
        assert known.gene_names[known.kept[position]].tolist() == kept.tolist()
    assert (table["test_r2"].loc["one", "late", 0] == table["test_r2"].loc["one", "early", 0]).all()


def test_the_error_of_a_change_is_corrected_for_shared_training_cells(known):
    table = known.table.set_index(["model", "list", "influence", "fold"]).test_r2
    changes = table["one", "late", 0.5] - table["one", "late", 0]
    expected = changes.std() * np.sqrt(1 / 3 + 12 / 108)
    assert priors_table(known).SE["one", "late", 0.5] == pytest.approx(expected)


def test_changes_of_accuracy_are_drawn_by_model_and_list(known):
    table = priors_table(known)
    axes = plotting.prior_changes(known).axes
    assert [ax.get_title() for ax in axes] == ["one", "other"]
    for ax in axes:
        for container in ax.containers:
            expected = table.loc[ax.get_title(), container.get_label()]
            drawn = container.lines[0].get_xydata()[:, 1]
            np.testing.assert_allclose(drawn, expected["change"])


def test_shares_and_the_genes_that_come_and_go_are_drawn(known):
    _, listed, _, late, early = plotting.prior_effects(known).axes
    table = priors_table(known)
    for line, title in zip(listed.lines, known.lists, strict=True):
        np.testing.assert_allclose(line.get_ydata(), table.loc["one", title].listed)
    for ax, title in ((late, "late"), (early, "early")):
        before = folds_kept(known, "one", title, 0)
        change = folds_kept(known, "one", title, 0.25) - before
        names = [text.get_text() for text in ax.texts]
        assert {*names} == {*change.index[change != 0]}
        widths = [bar.get_width() for bar in ax.patches]
        assert widths == change[names].tolist()
        pale = [bar.get_facecolor()[0] == 0.75 for bar in ax.patches]
        assert pale == [name not in known.lists[title] for name in names]


def test_expression_of_lists_is_drawn_as_means_over_their_genes():
    adata = AnnData(np.array([[1.0, 3.0, 9.0], [2.0, 6.0, 9.0], [0.0, 0.0, 9.0]]))
    ax = plotting.listed_expression(adata, {"a": ["0", "1"], "b": ["2"]}).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a (2)", "b (1)"]
    medians = [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1]
    assert 2.0 in medians


def test_lists_are_of_measured_genes_with_as_many_random_genes():
    names = np.array([f"g{i}" for i in range(300)])
    lists = {"mine": ["g5", "nobody", "g2"], "more": names[:9]}
    found = gene_priors.with_control(lists, names)
    assert (found["mine"], found["more"]) == (["g2", "g5"], names[:9].tolist())
    assert list(found)[-1] == gene_priors.CONTROL
    first = found[gene_priors.CONTROL]
    assert len(first) == len(set(first) & set(names)) == 2
    assert gene_priors.with_control(lists, names, seed=1)[gene_priors.CONTROL] != first
    with pytest.raises(ValueError, match="wrong"):
        gene_priors.with_control({"wrong": ["Sst"]}, names)


def test_few_cells_are_drawn_from_the_training_cells(data):
    folds = paper_folds(data.n_cells)[:3]
    name, n_cells = gene_priors.FEW
    few = gene_priors.with_few_cells(folds, n_cells)
    assert gene_priors._named({"usual": folds, name: few}, data.n_cells) == "the first 3 of ten"
    others = [gene_priors._named({name: other}, data.n_cells) for other in (folds, few[::-1])]
    assert len({*others, "the first 3 of ten"}) == 3
    for (drawn, test), (train, same_test) in zip(few, folds, strict=True):
        assert len(drawn) == 60
        assert set(drawn) < set(train)
        assert set(drawn) != set(train[:60])
        np.testing.assert_array_equal(test, same_test)


@pytest.mark.slow
def test_committed_fits_come_back(real_scala):
    """But for last bits, and so a gene or two, which differ by processor."""
    name, n_cells = gene_priors.FEW
    record = load(SAVED / "scala" / "gene_prior.pickle")
    models = {name: DistilledBottleneckRegressor(standardize=False, device="cpu", random_state=42)}
    folds = {name: gene_priors.with_few_cells(paper_folds(real_scala.n_cells)[:1], n_cells)}
    lists = {"ion channels": record.lists["ion channels"]}
    influences = {name: (0.0, 0.25)}
    again = gene_priors.compare_priors(models, real_scala, folds, lists, influences, seed=42)
    rows = record.table.query(
        f"model == {name!r} and list == 'ion channels' and influence in (0, 0.25) and fold == 0"
    )
    np.testing.assert_allclose(again.table["test_r2"], rows["test_r2"], atol=0.02)
    for kept, stored in zip(again.kept, record.kept[rows.index], strict=True):
        common = np.intersect1d(again.gene_names[kept], record.gene_names[stored])
        assert len(common) >= 0.8 * len(stored)
