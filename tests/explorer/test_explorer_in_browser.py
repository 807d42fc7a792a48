"""The explorer at work in a browser: mouse and controls do what numpy says they should."""

import json
import shutil
import time

import numpy as np
import pandas as pd
import pytest
from explorable import COLORS, fit_to_explore, folds_to_explore, with_all_genes
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


@pytest.fixture(scope="module")
def records():
    fit = fit_to_explore(names=[*HOSTILE, *(f"cell{i}" for i in range(5, 90))], types=TYPES)
    return fit, folds_to_explore(fit)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium without network; downloads go to `browser.downloads`."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not on this machine")
    options, home = webdriver.ChromeOptions(), tmp_path_factory.mktemp("browser")
    options.binary_location = chromium
    arguments = "--headless=new --no-sandbox --disable-dev-shm-usage --window-size=1400,1000"
    for argument in [*arguments.split(), f"--user-data-dir={home}/user"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.downloads = home / "downloads"
    browser.downloads.mkdir()
    where = {"behavior": "allow", "downloadPath": str(browser.downloads)}
    browser.execute_cdp_cmd("Page.setDownloadBehavior", where)
    yield browser
    browser.quit()


@pytest.fixture
def page(browser, records, tmp_path):
    """The page of the records, coloured by type."""
    explore(*records, tmp_path / "page.html")
    opened(browser, (tmp_path / "page.html").as_uri())
    choose(browser, "color-by", "Type")
    return browser


def opened(browser, address):
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # forget what was before
    browser.get(address)
    wait(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    return browser


def wait(condition):
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("nothing happened within ten seconds")


def by_id(page, name):
    return page.find_element("id", name)


def text(page, name):
    return by_id(page, name).text


def choose(page, name, option):
    from selenium.webdriver.support.ui import Select

    Select(by_id(page, name)).select_by_visible_text(option)


def numbers(cells):
    return [float(cell.split()[0].replace("−", "-")) for cell in cells]


def compared(a, b):
    """Means, difference in SD, AUC and p-value of the rank test."""
    pooled_sd = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    difference = (a.mean() - b.mean()) / pooled_sd
    test = mannwhitneyu(a, b, method="asymptotic")
    auc = test.statistic / (len(a) * len(b))
    return [a.mean(), b.mean(), difference, auc, test.pvalue]


def select(page, cells):
    page.execute_script(MODEL + "model('cells').selected.indices = arguments[0]", cells)


def selected(page):
    return sorted(page.execute_script(MODEL + "return model('cells').selected.indices"))


def rows(page, table):
    read = """
        const rows = document.querySelectorAll(arguments[0]);
        return Array.from(rows, (row) => Array.from(row.cells, (cell) => cell.innerText));
    """
    return page.execute_script(read, f"#{table} tbody tr")


def test_the_page_opens_without_network_and_without_errors_and_names_stay_text(page):
    levels = {entry["level"] for entry in page.get_log("browser")}
    assert not levels & {"WARNING", "SEVERE"}
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    sent = [m["params"]["request"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert not [request["url"] for request in sent if request["url"].startswith("http")]
    assert text(page, "legend-title") == "Type (3)"
    names = page.find_elements("css selector", "#legend .name")
    assert [name.text for name in names] == TYPES
    markup = "return document.images.length + document.querySelectorAll('b').length"
    assert page.execute_script(markup) == 0


def test_colours_are_of_types_and_then_of_numbers_on_one_robust_scale(page, records):
    fit, folds = records
    read = MODEL
    read += """
        const { low, high, palette } = model("mapper");
        return [model("cells").data.color, low, high, palette];
    """
    colors, *_ = page.execute_script(read)
    assert colors == [COLORS[i % 3] for i in range(90)]
    choose(page, "color-by", "output 1")
    measured, fitted = (a[:, 1].astype(float) for a in (fit.outputs, fit.predictions))
    held_out = []
    for (train, _), predicted in zip(folds.folds, folds.test_predictions[1], strict=True):
        held_out += (predicted[:, 1] * measured[train].std() + measured[train].mean()).tolist()
    scale = np.percentile([*measured, *fitted, *held_out], [1, 99])
    for kind, values in {"measured": measured, "predicted (fitted)": fitted}.items():
        choose(page, "kind", kind)
        colors, low, high, palette = page.execute_script(read)
        np.testing.assert_allclose([low, high], scale, atol=1e-5)
        steps = ((values - low) / (high - low) * len(palette)).clip(0, len(palette) - 1)
        assert colors == [palette[step] for step in steps.astype(int)]
    choose(page, "kind", "predicted (held out)")
    assert "Grey: 2 cells that no fold held out" in text(page, "note")
    assert f"{folds.test_feature_r2[:, 1, 1].mean():.2f}" in text(page, "note")


def test_the_legend_hides_cells(page):
    select(page, list(range(0, 90, 2)))
    by_id(page, "clear").click()
    assert selected(page) == []
    page.find_elements("css selector", "#legend input")[0].click()
    assert "30 cells hidden" in text(page, "status")
    select(page, list(range(0, 90, 3)))
    assert "30 of them hidden" in text(page, "status")
    choose(page, "color-by", "Family")
    counts = [count.text for count in page.find_elements("css selector", "#legend .count")]
    assert counts == ["60", "30"]
    assert "hidden" not in text(page, "status")


def test_counts_and_comparisons_of_the_selection_are_right(page, records):
    fit, _ = records
    cells = [0, 1, 3, 6, 9, 12, 15]
    select(page, cells)
    counts = [[TYPES[0], "6", "30", "85.7 %"], [TYPES[1], "1", "30", "14.3 %"]]
    assert rows(page, "counts") == counts
    assert text(page, "status") == "7 cells of 90 selected: 6 <b>first</b> and 1 other type."
    mask = np.isin(np.arange(90), cells)
    features = np.hstack([fit.outputs, fit.expression]).T.astype(float)
    wanted = {}
    for name, values in zip([*fit.feature_names, *fit.kept_genes], features, strict=True):
        wanted[name] = compared(values[mask], values[~mask])
    found = {name: numbers(cells) for name, *cells in rows(page, "features")}
    assert list(found) == sorted(wanted, key=lambda name: -abs(wanted[name][2]))
    rates = false_discovery_control([measures[4] for measures in wanted.values()])
    for (name, measures), rate in zip(wanted.items(), rates, strict=True):
        np.testing.assert_allclose(found[name][:4], measures[:4], atol=0.00501)
        assert found[name][4] == pytest.approx(rate, rel=0.51, abs=0.00051)
    choose(page, "rank-by", "AUC")
    ranked = [row[0] for row in rows(page, "features")]
    assert ranked == sorted(wanted, key=lambda name: -abs(wanted[name][3] - 0.5))


def test_csv_holds_the_selected_cells_or_all_of_them(page, records):
    fit, _ = records

    def saved():
        path = page.downloads / "made up_cells.csv"
        path.unlink(missing_ok=True)
        by_id(page, "save-csv").click()
        wait(path.exists)
        return pd.read_csv(path)

    table = saved()
    assert table["cell"].tolist()[:5] == [*HOSTILE[:3], "'=1+1", HOSTILE[4]]
    assert table["type"].tolist() == fit.labels["type"].tolist()
    drawn = {
        "latent 2": fit.embedding[:, 1],
        "output 2, predicted (fitted)": fit.predictions[:, 2],
        "Gene3, reconstructed": fit.predicted_expression[:, 3],
    }
    for title, values in drawn.items():
        np.testing.assert_array_equal(table[title].to_numpy("f4"), values)
    assert table["output 0, predicted (held out)"].isna().sum() == 2
    select(page, [4, 2])
    assert saved()["cell"].tolist() == [HOSTILE[2], HOSTILE[4]]


def test_any_gene_two_groups_and_another_map(browser, tmp_path):
    fit = fit_to_explore()
    data, more = with_all_genes(fit)
    explore(fit, folds_to_explore(fit), tmp_path / "all.html", data=data, **more)
    page = opened(browser, (tmp_path / "all.html").as_uri())
    by_id(page, "gene").send_keys("nothing\n")
    assert "No gene or output is called “nothing”" in text(page, "genes-note")
    by_id(page, "gene").clear()
    by_id(page, "gene").send_keys("oTHER7\n")
    assert "Other7 is not kept by the model" in text(page, "note")
    values = data.X[:, 11].astype(float)
    values = (values - values.mean()) / values.std()
    a, b = list(range(40)), list(range(35, 80))
    for button, cells in (("hold-a", a), ("hold-b", b)):
        select(page, cells)
        by_id(page, button).click()
    found = {"".join(name.split()): numbers(cells) for name, *cells in rows(page, "features")}
    assert {"Gene0trusted", "Gene1"} <= found.keys()
    expected = compared(values[:35], values[40:80])  # five cells are in both
    np.testing.assert_allclose(found["Other7"][:4], expected[:4], atol=0.00501)
    choose(page, "places", "t-SNE of all genes")
    places = page.execute_script(MODEL + "return Array.from(model('cells').data.x)")
    np.testing.assert_array_equal(places, more["tsne"].transcriptome[:, 0])
    assert "coloured by Other7" in text(page, "note")
    assert selected(page) == b
    assert "5 cells in both groups left out." in text(page, "groups-note")


def test_groups_have_rings(page, records):
    fit, _ = records
    select(page, [0, 1])
    by_id(page, "hold-a").click()
    select(page, [2])
    by_id(page, "hold-b").click()
    read = MODEL + "const { x, color } = model('rings').data; return [Array.from(x), color];"
    x, colors = page.execute_script(read)
    assert x == fit.embedding[:3, 0].tolist()
    assert colors[0] == colors[1] != colors[2]
    page.find_elements("css selector", "#legend input")[0].click()
    x, _ = page.execute_script(read)
    assert x == fit.embedding[1:3, 0].tolist(), "cell 0 is hidden"


def test_nothing_is_wider_than_a_phone(page):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        select(page, list(range(20)))
        width = "return document.documentElement.scrollWidth"
        assert page.execute_script(width) <= 390
        map_ = by_id(page, "map").size
        assert map_["height"] < 1.3 * map_["width"]
        frame = page.find_element("css selector", ".scroll:has(#features)")
        assert by_id(page, "features").size["width"] <= frame.size["width"]
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_labels_in_one_place_stand_below_each_other(page):
    page.execute_script(
        MODEL
        + """
        for (const name of ["x_range", "y_range"]) {
            const range = model("map")[name];
            range.have_updated_interactively = true; // else bokeh fits it to the data again
            range.setv({ start: -999, end: 999 });
        }
        """
    )

    def apart():
        for _ in range(2):
            by_id(page, "labels").click()
        down = page.execute_script(MODEL + "return Array.from(model('names').data.down)")
        return len(down) == 3 and min(np.diff(sorted(down))) > 12

    wait(apart)
