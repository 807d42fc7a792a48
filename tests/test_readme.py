"""README and the pages it links: links hold, tables are those of the committed results."""

import re
from functools import cache

import accuracy
import claims
import dynamics_published
import maps
import network_forest
import pandas as pd
import pytest
import readme
import weak_signals
from material.notebooks import rows_of, shown_rows
from material.paths import ROOT, SAVED_MODELS
from pages import to_markdown

from sbnn import metrics, results
from sbnn.dynamics import report as dynamics
from sbnn.ephys_types import report as types
from sbnn.evaluation.verdict import corrected_difference, paired_difference
from sbnn.plotting.reading import dataset_title
from sbnn.study import report
from sbnn.study.command import system_report

README = ROOT / "README.md"
#: Beginnings of the titles of overviews that no page has.
SHOWN_BY_NOTEBOOKS = ("Published methods", "Simulated networks of 350 genes", "One-step MSE")
PAGES = [README, ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def shown_means(name):
    """Rows of all tables that a notebook shows, without the SDs after "±"."""
    return [[text.partition(" ± ")[0] for text in row] for row in shown_rows(name) if row]


@pytest.fixture(scope="module", autouse=True)
def each_record_is_read_once():
    """Most of the time of these tests is that of reading."""
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(results, "load", cache(results.load))
        yield


def words_of(page):
    return " ".join(page.read_text().split())


def test_each_number_of_the_readme_is_one_that_its_script_prints():
    # without code, pictures, badges and addresses
    text = re.sub(r"^```.*?^```", "", README.read_text(), flags=re.M | re.S)
    text = re.sub(r"^\[?!\[.*|\]\([^)]*\)", "", text, flags=re.M)
    text = " ".join(text.split())
    for passage in map(str.split, readme.passages()):
        assert " ".join(passage) in text
        text = text.replace(" ".join(passage), "")
    assert re.findall(r"\d+\.\d+|\b\d{3,}", text) == []


@pytest.mark.parametrize(
    ("study", "page"),
    [
        ("sbnn", "results.md"),
        ("ephys_types", "ephys_types.md"),
    ],
)
def test_overviews_are_those_of_the_committed_results(study, page):
    text = (ROOT / "docs" / page).read_text()
    for title, table in system_report(study).overview(SAVED_MODELS).items():
        if not title.startswith(SHOWN_BY_NOTEBOOKS):
            assert to_markdown(table) in text


@pytest.mark.parametrize(("dataset", "kind"), [("lee_human", "types"), ("gouwens_ephys", "types5")])
def test_published_methods_of_notebook_05_are_those_of_the_committed_results(dataset, kind):
    table = types.published_comparison(types.read_types_records(SAVED_MODELS / dataset), kind)
    n_cells = len(table.columns) + 1
    shown = [row[-n_cells:][:-1] for row in shown_rows("05_ephys_types")]  # without the species
    for row in rows_of(table.drop(columns="minus donors")):
        assert row in shown


def test_edges_of_simulated_networks_of_notebook_07_are_those_of_the_committed_results():
    records = dynamics.read_dynamics_records(SAVED_MODELS / "grn_350")
    corrections = dynamics.overview_table(records).filter(regex="missing edges|wrong edges kept")
    shown = shown_rows("07_dynamics")
    for row in rows_of(corrections) + rows_of(dynamics.sparsity_table(records)):
        assert row in shown


def test_the_results_begin_with_the_stacked_prediction():
    answer = words_of(ROOT / "docs" / "results.md").partition("## Published claims")[0]
    assert readme.lowest_text() in answer


def test_the_table_of_weak_signals_is_that_of_the_committed_scores():
    table = to_markdown(weak_signals.summarise(pd.read_csv(weak_signals.SAVED)))
    assert table in (ROOT / "docs" / "results.md").read_text()


def test_the_table_of_the_guide_is_that_of_the_committed_scores():
    means = weak_signals.summarise(pd.read_csv(weak_signals.SAVED)).loc["M1"]
    rows = {n: means.loc[n, ["distilled", "ridge", "stacked"]] for n in (60, 240)}
    models = ["distilled, d=2", "ridge, all genes", "distilled + ridge, all genes"]
    overview = system_report("sbnn").overview(SAVED_MODELS)["Test R2 on every data set"]
    rows[1213] = overview.loc["scala", models].str.split().str[0]
    page = (ROOT / "docs" / "guide.md").read_text()
    for n_cells, row in rows.items():
        assert f"| {n_cells} | {' | '.join(f'{float(r2):.3f}' for r2 in row)} |" in page


@pytest.mark.parametrize(("signal", "n_cells"), [("factors", 120), ("microRNA", 240)])
def test_losses_with_weak_signals_are_those_of_the_committed_scores(signal, n_cells):
    scores = pd.read_csv(weak_signals.SAVED).query(f"signal == '{signal}' and cells == {n_cells}")
    loss = corrected_difference(scores["ridge"] - scores["distilled"], test_fraction=0)
    means = scores[["distilled", "ridge"]].mean().map("{:.3f}".format)
    row = f"{means['distilled']}.* {means['ridge']} \\| {re.escape(str(loss))}"
    assert re.search(row, (ROOT / "docs" / "results.md").read_text())


def test_the_picture_of_the_stacked_prediction_shows_the_table_of_the_results():
    subplots = readme.draw_comparison().axes
    table = system_report("sbnn").overview(SAVED_MODELS)[
        "Difference of test R2, with its 95 % interval"
    ]
    titles = {dataset_title(name): name for name in table.index}
    measured, made_up = (
        [titles[label.get_text().partition(" (")[0]] for label in subplots[at].get_yticklabels()]
        for at in (0, 3)
    )
    assert sorted(measured + made_up) == [*table.index]
    assert made_up == ["simulated"]
    for at, names in ((0, measured), (3, made_up)):
        for ax, column in zip(subplots[at : at + 3], table.columns, strict=True):
            drawn = [bar.lines[0].get_xdata()[0] for bar in ax.containers]
            printed = [float(text.split()[0]) for text in table.loc[names, column]]
            assert drawn == pytest.approx(printed, abs=6e-4)


def test_claims_on_the_page_are_those_of_the_records():
    tables = claims.claims_tables()
    page = ROOT / "docs" / "results.md"
    for table in tables.values():
        assert to_markdown(table) in page.read_text()
    assert claims.sum_up(tables) in words_of(page)


def test_tables_of_peers_are_those_of_the_committed_scores():
    page = (ROOT / "benchmarks" / "README.md").read_text()
    assert to_markdown(accuracy.page_table()) in page
    for datasets in (accuracy.DATA, accuracy.WEAK_DATA):
        assert to_markdown(accuracy.data_table(accuracy.scores_on_page(datasets))) in page


def test_the_table_of_maps_is_that_of_the_committed_scores():
    rows = pd.read_csv(maps.SAVED)
    has_map = ~rows["data"].isin(list(maps.EPHYS_LABELS))
    page = (ROOT / "benchmarks" / "README.md").read_text()
    assert to_markdown(maps.accuracy_table(rows[has_map]).fillna("")) in page


@pytest.mark.parametrize("dataset", accuracy.DATA + accuracy.WEAK_DATA)
def test_with_25_genes_no_other_method_is_better(dataset):
    """As the results say, at least one is as good, but on CiteFuse."""
    scores = accuracy.scores_of(dataset)
    found = accuracy.differences_of(scores[scores["n_genes"] == accuracy.AT], dataset)
    others = {name: found[name] for name in found if not name.startswith("sbnn_")}
    assert not any(difference.low > 0 for difference in others.values())
    is_level = any(difference.high >= 0 for difference in others.values())
    assert is_level == (dataset != "citefuse")


@pytest.mark.parametrize("dataset", accuracy.DATA + ("citefuse", "tcga_breast"))
def test_differences_are_those_of_the_committed_results(dataset):
    models = report.main_models(report.read_study_records(SAVED_MODELS / dataset))
    records, points = zip(models["distilled, d=2"], models["published, d=2"], strict=True)
    difference = paired_difference(*records, "test_r2", points)
    interval = f"{difference.mean:.3f} [{difference.low:.3f}, {difference.high:.3f}]"
    assert f"`{dataset}` {interval}" in words_of(ROOT / "docs" / "results.md")


@pytest.mark.parametrize("dataset", accuracy.OTHER_OUTPUTS)
def test_gains_on_weak_outputs_are_those_of_the_committed_scores(dataset):
    scores = accuracy.scores_of(dataset).pivot_table("r2", "fold", "model")
    words = words_of(ROOT / "docs" / "results.md")
    for model in ("stacked_distilled", accuracy.REFERENCE):
        gain = scores[model] - scores["ridge"]
        difference = corrected_difference(
            gain, metrics.test_fraction(accuracy.study_of(dataset).folds)
        )
        assert readme.format_interval(difference) in words


def test_the_table_of_edges_is_that_of_the_committed_scores():
    means, differences = network_forest.auroc_tables()
    assert to_markdown(means) in (ROOT / "docs" / "dynamics.md").read_text()
    # as the page says below it
    differences = differences.stack()
    assert differences.pop(("350 genes, 0 %", "the prior alone, no change")).startswith("+0.000")
    assert differences.str.fullmatch(r"-\S+ \[-\S+, -\S+\]").all()


def test_errors_on_real_data_of_notebook_07_are_those_of_the_committed_results():
    overview = system_report("dynamics").overview(SAVED_MODELS)
    [table] = [table for title, table in overview.items() if title.startswith("One-step MSE")]
    shown = [row for row in shown_means("07_dynamics") if len(row) == 6]
    for method, *errors in table.drop(index="the prior alone, no change").itertuples():
        # of five columns, two are of networks trained as published
        expected = [f"{error:#.3g}" for error in errors]
        assert [method, *expected] in [[row[0], row[1], row[2], row[4]] for row in shown], method


@pytest.mark.parametrize("dataset", dynamics.MEASURED_DATA)
def test_the_best_network_of_the_results_is_that_of_the_committed_results(dataset):
    """Of both trainings; the best model without a network has a smaller error."""
    records = dynamics.read_dynamics_records(SAVED_MODELS / dataset)
    trainings = [name for name in ("real", "published") if f"{name}_dash" in records]
    errors = pd.concat([dynamics.mean_scores(records, name)["relative"] for name in trainings])
    networks = errors.drop(index=dynamics.SIMPLE_METHODS).min()
    simple = errors[dynamics.SIMPLE_METHODS].min()
    row = rf"best network {networks:.3f} \| (AR\(1\) and ridge|training path) {simple:.3f} "
    assert re.search(row, (ROOT / "docs" / "results.md").read_text())
    assert simple < networks


def test_edges_of_breast_cancer_of_notebook_07_are_those_of_the_committed_scores():
    means = shown_means("07_dynamics")
    table = dynamics_published.breast_table()
    # of five columns, two are of networks trained as published; the table also has differences
    for name, auroc, _, of_shares, _ in table.itertuples():
        assert [auroc, of_shares] in [row[3:5] for row in means if row[0] == name]


def test_the_answer_about_edges_is_that_of_the_committed_scores():
    means, _ = network_forest.auroc_tables()
    forest, prior, phoenix, dash = means.loc["350 genes, 5 %"].drop("forest").map("{:.3f}".format)
    answer = f"its AUROC is {forest}, that of the prior alone {prior}, that of the best network, "
    answer += f"PHOENIX with the prior in its loss, {phoenix}, and that of DASH {dash}"
    assert answer in words_of(ROOT / "docs" / "dynamics.md")


def test_rows_that_notebooks_print_are_those_of_the_committed_results():
    columns = {}
    for name in ("breast_desmedt", "hematopoiesis"):
        records = dynamics.read_dynamics_records(SAVED_MODELS / name)
        scores = dynamics.condition_scores(records, "published")
        columns[name] = scores["relative"].groupby(level="method").mean()
    table = pd.DataFrame(columns).drop(index="prior")
    means = shown_means("07_dynamics")
    for method, row in table.map("{:.3f}".format, na_action="ignore").fillna("–").iterrows():
        name = dynamics.METHOD_LABELS[method]
        assert [*row] in [cells[3::2] for cells in means if cells[0] == name]
    rows = shown_rows("06_mechanism_shift")
    for name, records in claims.starts_on_papalexi().items():
        label = name.replace("_our", ", our").replace("_", " ")
        bounds = pd.concat([record.bounds for record in records])
        by_fold = bounds.groupby(["together", "step"], sort=False)["IWELBO"].mean()
        pathway, *_ = bounds["together"]
        of_folds = by_fold.drop(index=pathway).groupby("step", sort=False).mean()
        for means in (by_fold.loc[pathway], of_folds):
            assert [label, *means.map("{:.2f}".format)] in [row[:4] for row in rows]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_pictures_are_there(page):
    targets = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text())
    assert targets
    for target, heading in targets:
        file = page.parent / target if target else page
        assert file.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)", file.read_text(), re.M)
            links = [re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in headings]
            assert heading in links
