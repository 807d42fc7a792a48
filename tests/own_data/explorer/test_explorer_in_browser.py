"""The explorer at work in a browser: mouse and controls do what numpy says they should."""

import itertools
import json
import time

import numpy as np
import pandas as pd
import pytest
from material.records import cross_validation_record, fit_record
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import false_discovery_control, mannwhitneyu

from sbnn import explore

pytestmark = pytest.mark.slow

HOSTILE = [
    "</script><script>alert(1)</script>",
    '<img src=x onerror="alert(2)">',
    'a "quoted", name',
    "=1+1",
    "神経",
]
TYPES = ["<b>first</b>", "second, type", "third"]
# Where a model of the page is, by its name; the roots are bokeh's views.
MODEL = """
    const model = (name) =>
        Bokeh.documents.map((d) => d.get_model_by_name(name)).find((m) => m !== null);
"""


SELECTED = [0, 1, 3, 6, 9, 12, 15]


@pytest.fixture(scope="module")
def fit():
    """90 cells with names and types that look like HTML, of families at the same place."""
    record = fit_record()
    record.values["cell_names"] = np.r_[HOSTILE, record.cell_names[5:]]
    record.labels["type"] = np.resize(TYPES, 90)
    record.labels["family"] = np.repeat(["first", "second", "third"], 30)
    return record


@pytest.fixture
def page(browser, fit, folder):
    """The page in the browser, newly loaded."""
    path = folder / "page.html"
    explore(fit, cross_validation_record(fit), path)
    browser.get(path.as_uri())
    wait(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    return browser


@pytest.fixture
def page_with_selection(page):
    script = MODEL + "model('cells').selected.indices = arguments[0]"
    page.execute_script(script, SELECTED)
    return page


def wait(condition):
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("nothing happened within ten seconds")


def by_id(page, name):
    return page.find_element("id", name)


def choose(page, name, option):
    from selenium.webdriver.support.ui import Select

    Select(by_id(page, name)).select_by_visible_text(option)


def test_nothing_is_logged(page):
    choose(page, "color-by", "Type")
    levels = {entry["level"] for entry in page.get_log("browser")}
    assert not levels & {"WARNING", "SEVERE"}


def test_nothing_is_asked_of_the_network(page):
    urls = []
    for entry in page.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            urls.append(message["params"]["request"]["url"])
    assert urls, "the page itself"
    assert not [url for url in urls if url.startswith("http")]


def test_legend_names_types(page):
    choose(page, "color-by", "Type")
    names = page.find_elements("css selector", "#legend .name")
    assert [name.text for name in names] == TYPES


@pytest.mark.parametrize("tag", ["img", "b"])
def test_names_stay_text(page, tag):
    choose(page, "color-by", "Type")
    assert page.find_elements("css selector", tag) == []


@pytest.mark.parametrize("key", ["", "\ue007", " "], ids=["click", "Enter", "space"])
def test_the_legend_selects_a_type(page, fit, key):
    choose(page, "color-by", "Type")
    button = page.find_elements("css selector", "#legend button")[1]
    if key:
        button.send_keys(key)
    else:
        button.click()
    script = MODEL + "return model('cells').selected.indices"
    is_second = fit.labels["type"] == TYPES[1]
    assert page.execute_script(script) == np.flatnonzero(is_second).tolist()


def test_names_on_the_map_hide_no_other(page):
    choose(page, "color-by", "Family")
    script = """
        const { x, y, dx, dy, text } = model('names').data;
        const { x_scale, y_scale } = Object.values(Bokeh.index.roots ?? Bokeh.index)[0].frame;
        return text.map((_, i) => [x_scale.compute(x[i]) + dx[i], y_scale.compute(y[i]) + dy[i]]);
    """

    def are_apart():
        places = np.array(page.execute_script(MODEL + script))
        distances = [np.abs(a - b) for a, b in itertools.combinations(places, 2)]
        return len(distances) == 3 and all(down > 18 or across > 26 for across, down in distances)

    wait(are_apart)


def test_outputs_colour_cells(page, fit):
    choose(page, "color-by", "Tau")
    script = "const { low, high, palette } = model('mapper');"
    script += "return [model('cells').data.color, low, high, palette];"
    colors, low, high, palette = page.execute_script(MODEL + script)
    height = (fit.outputs[:, 1].astype(float) - low) / (high - low)
    steps = (height * len(palette)).astype(int)
    steps = steps.clip(0, len(palette) - 1)
    assert colors == [palette[step] for step in steps]


def test_selected_types_are_counted(page_with_selection):
    status = by_id(page_with_selection, "status").text
    assert status == "7 cells of 90 selected: 6 <b>first</b> and 1 other type."


def compare(a, b):
    """Means, difference in SD, AUC and p-value of the rank test."""
    variance = (a.var(ddof=1) + b.var(ddof=1)) / 2
    test = mannwhitneyu(a, b, method="asymptotic")
    n_pairs = len(a) * len(b)
    return {
        "mean": a.mean(),
        "rest": b.mean(),
        "difference": (a.mean() - b.mean()) / np.sqrt(variance),
        "auc": test.statistic / n_pairs,
        "p": test.pvalue,
    }


@pytest.fixture(scope="module")
def differences(fit):
    """Features by the size of the difference between the selected cells and the rest."""
    is_selected = np.isin(np.arange(90), SELECTED)
    features = np.hstack([fit.outputs, fit.expression]).astype("f4").astype(float)
    names = [*fit.feature_names, *fit.kept_genes]
    rows = [compare(values[is_selected], values[~is_selected]) for values in features.T]
    table = pd.DataFrame(rows, names)
    table["rate"] = false_discovery_control(table.pop("p"))
    return table.sort_values("difference", key=abs, ascending=False)


@pytest.fixture
def ranking(page_with_selection):
    """The names and the five numbers of each row of the page."""
    rows = page_with_selection.find_elements("css selector", "#features tbody tr")
    table = {}
    for row in rows:
        *name, mean, rest, difference, auc, rate = row.text.replace("−", "-").split()
        table[" ".join(name)] = [float(text) for text in (mean, rest, difference, auc, rate)]
    columns = ["mean", "rest", "difference", "auc", "rate"]
    return pd.DataFrame.from_dict(table, orient="index", columns=columns)


def test_features_are_ranked_by_difference(ranking, differences):
    assert list(ranking.index) == list(differences.index)


@pytest.mark.parametrize("column", ["mean", "rest", "difference", "auc"])
def test_ranking_has_the_numbers_of_numpy(ranking, differences, column):
    assert_allclose(ranking[column], differences[column], atol=0.00501)


def test_ranking_has_false_discovery_rates(ranking, differences):
    assert_allclose(ranking["rate"], differences["rate"], rtol=0.51, atol=0.00051)


@pytest.fixture
def saved_cells(page_with_selection, folder):
    path = folder / "made up_cells.csv"
    path.unlink(missing_ok=True)
    by_id(page_with_selection, "save-csv").click()
    wait(path.exists)
    return pd.read_csv(path)


def test_saved_names_are_no_formulas(saved_cells):
    assert saved_cells["cell"].tolist()[:3] == [HOSTILE[0], HOSTILE[1], "'=1+1"]


def test_saved_cells_have_their_units(saved_cells, fit):
    units = saved_cells["unit 2"].to_numpy("f4")
    assert_array_equal(units, fit.embedding[SELECTED, 1])


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_no_wider_than_its_screen(page_with_selection, width):
    page = page_with_selection
    choose(page, "color-by", "Tau")
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 1000}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    script = "return document.documentElement.scrollWidth"
    wait(lambda: page.execute_script(script) <= width)
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
