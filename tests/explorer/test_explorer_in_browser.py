"""The explorer at work in a browser: mouse and controls do what numpy says they should."""

import csv
import json
import shutil
import time

import numpy as np
import pytest
from explorable import COLORS, fit_to_explore, folds_to_explore, with_all_genes
from scipy.stats import mannwhitneyu

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


@pytest.fixture(scope="module")
def address(records, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    explore(*records, path)
    return path.as_uri()


@pytest.fixture
def page(browser, address):
    """The page of the records, anew, coloured by type."""
    choose(opened(browser, address), "color-by", "Type")
    return browser


def opened(browser, address):
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # forget what was before
    browser.get(address)
    wait(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    return browser


def wait(condition):
    for _ in range(200):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("nothing happened within ten seconds")


def by_id(page, name):
    return page.find_element("id", name)


def text(page, name):
    return by_id(page, name).text


def choose(page, name, option):
    from selenium.webdriver.support.ui import Select

    Select(by_id(page, name)).select_by_visible_text(option)


def search(page, query):
    by_id(page, "query").clear()
    by_id(page, "query").send_keys(query)
    by_id(page, "query").submit()
    return text(page, "status")


def numbers(cells):
    return [float(cell.split()[0].replace("−", "-")) for cell in cells]


def compared(a, b):
    """Means, difference in SD and AUC."""
    difference = (a.mean() - b.mean()) / np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    return [a.mean(), b.mean(), difference, mannwhitneyu(a, b).statistic / (len(a) * len(b))]


def selected(page):
    return sorted(page.execute_script(MODEL + "return model('cells').selected.indices"))


def pixels(page):
    """Places of the cells on the screen."""
    read = """
        const view = Bokeh.index.get_by_id(model("map").id);
        const { left, top } = view.canvas_view.events_el.getBoundingClientRect();
        const { x, y } = model("cells").data;
        const { x_scale, y_scale } = view.frame;
        return Array.from(x, (_, i) => [left + x_scale.compute(x[i]), top + y_scale.compute(y[i])]);
    """
    return np.array(page.execute_script(MODEL + read))


def drag(page, corners, shift=False):
    """Draw a polygon on the screen with the mouse."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.keys import Keys

    if shift:
        ActionChains(page).key_down(Keys.SHIFT).perform()
    actions = ActionBuilder(page, duration=20)
    corners = np.round(corners).astype(int).tolist()
    actions.pointer_action.move_to_location(*corners[0]).pointer_down()
    for corner in corners[1:]:
        actions.pointer_action.move_to_location(*corner)
    actions.pointer_action.pointer_up()
    actions.perform()
    if shift:
        ActionChains(page).key_up(Keys.SHIFT).perform()


def around(points, margin=6):
    """Corners of the smallest box around points."""
    (left, top), (right, bottom) = points.min(0) - margin, points.max(0) + margin
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def inside(points, box):
    return np.flatnonzero(((points > box.min(0)) & (points < box.max(0))).all(1)).tolist()


def rows(page, table):
    read = """
        const rows = document.querySelectorAll(arguments[0]);
        return Array.from(rows, (row) => Array.from(row.cells, (cell) => cell.innerText));
    """
    return page.execute_script(read, f"#{table} tbody tr")


def downloaded(page, button, name):
    path = page.downloads / name
    path.unlink(missing_ok=True)
    by_id(page, button).click()
    wait(path.exists)
    return path


def test_the_page_opens_without_network_and_without_errors_and_names_stay_text(browser, address):
    page = opened(browser, address)
    assert [
        entry for entry in page.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")
    ] == []
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    asked = {
        request["request"]["url"] for request in sent if request["documentURL"] == page.current_url
    }
    assert page.current_url in asked and all(
        url.startswith(("file:", "data:", "blob:")) for url in asked
    )
    assert text(page, "legend-title") == "Family (2)" and text(page, "verdict").startswith(
        "Test R2 "
    )
    assert page.execute_script(MODEL + "return model('names').data.text") == ["even", "odd"]
    choose(page, "color-by", "Type")
    names = page.execute_script(
        "return Array.from(document.querySelectorAll('#legend .name'), (e) => e.textContent)"
    )
    assert names == TYPES
    assert text(page, "legend-title") == "Type (3)"
    for name in HOSTILE[:2]:
        assert search(page, name).startswith("1 cell found")
    assert (
        page.execute_script("return document.images.length + document.querySelectorAll('b').length")
        == 0
    )


def test_colours_are_of_types_and_then_of_numbers_on_one_robust_scale(page, records):
    fit, folds = records
    read = MODEL
    read += """
        const view = Bokeh.index.get_by_id(model("map").id);
        const dots = Array.from(view.renderer_views.values()).find((v) => v.model.name === "dots");
        const { low, high, palette } = model("mapper");
        const drawn = Array.from(dots.glyph.fill_color);
        return [model("cells").data.color, drawn, low, high, palette, model("bar").visible];
    """
    colors, drawn, *_, bar = page.execute_script(read)
    assert colors == [COLORS[i % 3] for i in range(90)] and not bar
    assert drawn == [int(color[1:] + "ff", 16) for color in colors]

    def expected(values, low, high, palette):
        steps = np.clip(np.floor((values - low) / (high - low) * len(palette)), 0, len(palette) - 1)
        return [palette[int(step)] for step in steps]

    choose(page, "color-by", "output 1")
    measured, fitted = (a[:, 1].astype(float) for a in (fit.outputs, fit.predictions))
    *_, low, high, palette, bar = page.execute_script(read)
    assert bar and "measured" in text(page, "note")
    for kind, values in (("measured", measured), ("predicted (fitted)", fitted)):
        choose(page, "kind", kind)
        colors, drawn, *scale, _ = page.execute_script(read)
        assert scale == [low, high, palette], "what is measured and predicted is compared by eye"
        assert colors == expected(values, low, high, palette)
        assert drawn == [int(color[1:] + "ff", 16) for color in colors]
        assert f"{((values < low) | (values > high)).sum()} cells beyond" in text(page, "note")
    held_out = np.concatenate(
        [
            p[:, 1] * measured[train].std() + measured[train].mean()
            for (train, _), p in zip(folds.folds, folds.test_predictions[1], strict=True)
        ]
    )
    np.testing.assert_allclose(
        [low, high], np.percentile([*measured, *fitted, *held_out], [1, 99]), atol=1e-5
    )

    choose(page, "kind", "residual (fitted)")
    colors, _, low, high, palette, _ = page.execute_script(read)
    assert low == -high and colors == expected((measured - fitted).astype("f4"), low, high, palette)
    choose(page, "kind", "predicted (held out)")
    assert "Grey: 2 cells that no fold held out" in text(page, "note")
    assert f"{folds.test_feature_r2[:, 1, 1].mean():.2f}" in text(page, "note")
    choose(page, "color-by", "Gene2")
    assert text(page, "kind").split("\n") == ["measured", "reconstructed"]


def test_search_selects_and_the_legend_hides_cells(page):
    assert search(page, "CELL8").startswith("1 cell found") and selected(page) == [8], (
        "its whole name, not cell80 too"
    )
    assert search(page, "SECOND, t").startswith("30 cells found") and selected(page) == list(
        range(1, 90, 3)
    )
    assert search(page, "no such cell").startswith("Nothing found") and len(selected(page)) == 30
    by_id(page, "clear").click()
    assert selected(page) == []
    counts = lambda: [count.text for count in page.find_elements("css selector", "#legend .count")]  # noqa: E731
    assert counts() == ["30", "30", "30"]
    page.find_elements("css selector", "#legend input")[0].click()
    assert "30 cells hidden" in text(page, "status")
    assert "30 of them hidden" in search(page, "even"), "families are found too"
    choose(page, "color-by", "Family")
    assert counts() == ["60", "30"] and "hidden" not in text(page, "status")
    assert all(page.execute_script(MODEL + "return model('cells') && model('shown').booleans"))


def test_lasso_and_box_select_what_is_inside_and_shift_adds(page):
    points = pixels(page)
    first, second = (around(points[i::3]) for i in (0, 1))
    drag(page, first)
    wanted = inside(points, first)
    assert len(wanted) >= 30 and selected(page) == wanted
    page.find_element("css selector", "input[value=box]").click()
    drag(page, second[[0, 2]], shift=True)
    assert selected(page) == sorted({*wanted, *inside(points, second)})
    drag(page, second[[0, 2]])
    assert selected(page) == inside(points, second)
    hide = page.find_elements("css selector", "#legend input")[1]
    hide.click()
    assert "of them hidden" in text(page, "status")
    drag(page, second[[0, 2]])
    assert not set(selected(page)) & set(range(1, 90, 3)), "what is hidden cannot be drawn around"
    places = [
        page.execute_script(MODEL + f"return Array.from(model('cells').data.{a})") for a in "xy"
    ]
    x, y = np.ptp(points, 0) / np.ptp(places, 1)
    assert x == pytest.approx(y, rel=0.01), "a unit is as long along both axes"


def test_counts_and_comparisons_of_the_selection_are_right(page, records):
    fit, _ = records
    page.execute_script(MODEL + "model('cells').selected.indices = [0, 1, 3, 6, 9, 12, 15]")
    assert rows(page, "counts") == [
        [TYPES[0], "6", "30", "85.7 %"],
        [TYPES[1], "1", "30", "14.3 %"],
    ]
    assert text(page, "status") == "7 cells of 90 selected: 6 <b>first</b> and 1 other type."
    mask = np.isin(np.arange(90), [0, 1, 3, 6, 9, 12, 15])
    wanted = {}
    features = np.hstack([fit.outputs, fit.expression]).T
    for name, values in zip([*fit.feature_names, *fit.kept_genes], features, strict=True):
        wanted[name] = compared(values[mask].astype(float), values[~mask].astype(float))
    found = {name: numbers(cells) for name, *cells in rows(page, "features")}
    assert list(found) == sorted(wanted, key=lambda name: -abs(wanted[name][2]))
    for name, measures in found.items():
        np.testing.assert_allclose(measures, wanted[name], atol=0.00501)
    choose(page, "rank-by", "AUC")
    assert [row[0] for row in rows(page, "features")] == sorted(
        wanted, key=lambda name: -abs(wanted[name][3] - 0.5)
    )

    page.find_element("css selector", "#features button[data-feature='2']").click()
    by_id(page, "color-feature").click()
    assert "coloured by output 2" in text(page, "note")


def test_csv_holds_the_selected_cells_or_all_of_them(page, records):
    fit, _ = records
    name = "made up_cells.csv"
    with open(downloaded(page, "save-csv", name), newline="", encoding="utf-8") as handle:
        titles, *table = csv.reader(handle)
    assert len(table) == 90 and all(len(row) == len(titles) for row in table)
    assert titles[:5] == ["cell", "type", "family", "latent 1", "latent 2"]
    assert [row[0] for row in table[:5]] == [*HOSTILE[:3], "'=1+1", HOSTILE[4]]
    assert [row[1] for row in table] == fit.labels["type"].tolist()
    columns = {title: [row[i] for row in table] for i, title in enumerate(titles)}
    np.testing.assert_array_equal(np.array(columns["latent 2"], "f4"), fit.embedding[:, 1])
    np.testing.assert_array_equal(
        np.array(columns["output 2, predicted (fitted)"], "f4"), fit.predictions[:, 2]
    )
    np.testing.assert_array_equal(
        np.array(columns["Gene3, reconstructed"], "f4"), fit.predicted_expression[:, 3]
    )
    assert columns["output 0, predicted (held out)"].count("") == 2
    page.execute_script(MODEL + "model('cells').selected.indices = [4, 2]")
    with open(downloaded(page, "save-csv", name), newline="", encoding="utf-8") as handle:
        assert [row[0] for row in csv.reader(handle)] == ["cell", HOSTILE[2], HOSTILE[4]]


def test_any_gene_two_groups_and_another_map_and_a_link_to_them(browser, tmp_path):
    fit = fit_to_explore()
    data, more = with_all_genes(fit)
    explore(fit, folds_to_explore(fit), tmp_path / "all.html", data=data, **more)
    page = opened(browser, (tmp_path / "all.html").as_uri())
    by_id(page, "gene").send_keys("nothing\n")
    assert "No gene or output is called “nothing”. The file holds 34 genes" in text(
        page, "genes-note"
    )
    by_id(page, "gene").clear()
    by_id(page, "gene").send_keys("oTHER7\n")
    assert "Other7 is not kept by the model" in text(page, "note")
    values = data.X[:, 11].astype(float)
    values = (values - values.mean()) / values.std()
    shown = numbers(page.execute_script(MODEL + "return model('cells').data.value"))
    np.testing.assert_allclose(shown, values, atol=0.03)
    a, b = list(range(40)), list(range(35, 80))
    for button, cells in (("hold-a", a), ("hold-b", b)):
        page.execute_script(MODEL + "model('cells').selected.indices = arguments[0]", cells)
        by_id(page, button).click()
    found = {"".join(name.split()): numbers(cells) for name, *cells in rows(page, "features")}
    assert len(found) == 37 and "Gene0trusted" in found and "Gene1" in found
    expected = compared(values[:35], values[40:80])  # five cells are in both
    np.testing.assert_allclose(found["Other7"], expected, atol=0.03)
    choose(page, "places", "t-SNE of all genes")
    wait(lambda: "map=1" in page.current_url)
    link = page.current_url
    page.get("about:blank")
    opened(page, link)
    places = page.execute_script(MODEL + "return Array.from(model('cells').data.x)")
    np.testing.assert_array_equal(places, more["tsne"].transcriptome[:, 0])
    assert "coloured by Other7" in text(page, "note") and selected(page) == b
    assert (
        text(page, "groups-note")
        == "A: 40 cells, B: 45 cells; compared below. 5 cells in both groups left out."
    )
