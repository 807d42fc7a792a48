"""The explorer at work in a browser: mouse and controls do what numpy says they should."""

import json
import shutil
import time

import numpy as np
import pandas as pd
import pytest
from made_up import cross_validation_record, fit_record
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


@pytest.fixture
def browser(tmp_path):
    """Chromium without network; downloads go to `tmp_path`."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    arguments = "--headless=new --no-sandbox --disable-dev-shm-usage --window-size=1400,1000"
    for argument in [*arguments.split(), f"--user-data-dir={tmp_path}/user"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    where = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.execute_cdp_cmd("Page.setDownloadBehavior", where)
    yield browser
    browser.quit()


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


def compared(a, b):
    """Means, difference in SD, AUC and p-value of the rank test."""
    pooled_sd = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    difference = (a.mean() - b.mean()) / pooled_sd
    test = mannwhitneyu(a, b, method="asymptotic")
    auc = test.statistic / (len(a) * len(b))
    return [a.mean(), b.mean(), difference, auc, test.pvalue]


def test_a_reader_colours_selects_compares_and_saves_cells(browser, tmp_path):
    """Without network or errors; names stay text, and nothing is wider than a phone."""
    page = browser
    fit = fit_record()
    fit.values["cell_names"] = np.r_[HOSTILE, fit.cell_names[5:]]
    fit.labels["type"] = np.resize(TYPES, 90)
    explore(fit, cross_validation_record(fit), tmp_path / "page.html")
    page.get((tmp_path / "page.html").as_uri())
    wait(lambda: page.execute_script("return document.documentElement.dataset.ready"))
    choose(page, "color-by", "Type")
    levels = {entry["level"] for entry in page.get_log("browser")}
    assert not levels & {"WARNING", "SEVERE"}
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    sent = [m["params"]["request"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert not [request["url"] for request in sent if request["url"].startswith("http")]
    names = page.find_elements("css selector", "#legend .name")
    assert [name.text for name in names] == TYPES
    markup = "return document.images.length + document.querySelectorAll('b').length"
    assert page.execute_script(markup) == 0

    choose(page, "color-by", "Tau")
    read = "const { low, high, palette } = model('mapper');"
    read += "return [model('cells').data.color, low, high, palette];"
    colors, low, high, palette = page.execute_script(MODEL + read)
    steps = ((fit.outputs[:, 1].astype(float) - low) / (high - low) * len(palette)).astype(int)
    assert colors == [palette[step] for step in steps.clip(0, len(palette) - 1)]

    cells = [0, 1, 3, 6, 9, 12, 15]
    page.execute_script(MODEL + "model('cells').selected.indices = arguments[0]", cells)
    assert by_id(page, "status").text == "7 cells of 90 selected: 6 <b>first</b> and 1 other type."
    mask = np.isin(np.arange(90), cells)
    features = np.hstack([fit.outputs, fit.expression]).T.astype("f4").astype(float)
    names = [*fit.feature_names, *fit.kept_genes]
    wanted = pd.DataFrame([compared(values[mask], values[~mask]) for values in features], names)
    wanted[4] = false_discovery_control(wanted[4])
    wanted = wanted.sort_values(2, key=abs, ascending=False)
    rows = [row.text.split() for row in page.find_elements("css selector", "#features tbody tr")]
    assert [" ".join(row[:-5]) for row in rows] == list(wanted.index)
    found = np.array([[float(text.replace("−", "-")) for text in row[-5:]] for row in rows])
    np.testing.assert_allclose(found[:, :4], wanted[[0, 1, 2, 3]], atol=0.00501)
    np.testing.assert_allclose(found[:, 4], wanted[4], rtol=0.51, atol=0.00051)

    by_id(page, "save-csv").click()
    path = tmp_path / "made up_cells.csv"
    wait(path.exists)
    table = pd.read_csv(path)
    assert table["cell"].tolist()[:3] == [HOSTILE[0], HOSTILE[1], "'=1+1"]
    np.testing.assert_array_equal(table["unit 2"].to_numpy("f4"), fit.embedding[cells, 1])

    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
