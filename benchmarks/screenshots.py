"""The picture of the explorer in the docs: ``python benchmarks/screenshots.py``.

Needs chromium, chromedriver and the extra `test`. Runs ``sbnn fit`` on simulated tables (three
minutes on one core); ``python benchmarks/screenshots.py FOLDER`` takes the page of a finished run.
"""

import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from sbnn import cli
from sbnn.data.simulate import simulate_tables

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
# of the window; pictures are smaller by a quarter
SIZES = {"explorer": (1400, 930)}
SELECT = """
    const { names, codes } = JSON.parse(document.getElementById("data").textContent).groups.family;
    const wanted = names.indexOf("family 4");
    const cells = Bokeh.documents.map((d) => d.get_model_by_name("cells")).find((m) => m !== null);
    cells.selected.indices = codes.flatMap((code, cell) => (code === wanted ? [cell] : []));
"""


def main(pages=None):
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(pages).resolve() if pages else fit(Path(folder))
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ):
            options.add_argument(argument)
        browser = webdriver.Chrome(
            options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
        )
        try:
            show(browser, pages, "explorer")
            ready = "return document.documentElement.dataset.ready"
            WebDriverWait(browser, 20).until(lambda _: browser.execute_script(ready))
            browser.execute_script(SELECT)
            browser.find_element("css selector", "#features button").click()
            browser.execute_async_script(
                "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))"
            )
            save(browser, "explorer")
        finally:
            browser.quit()


def fit(folder):
    """Fit simulated tables; the folder of the results."""
    simulate_tables(folder)
    os.chdir(folder)
    tables = "--expression counts.csv --outputs outputs.csv --labels labels.csv --groups donor"
    cli.main(["fit", *tables.split(), "--out", "mine"])
    return folder / "mine"


def show(browser, pages, name):
    """Open a page in a window of its size."""
    size = dict(zip(("width", "height"), SIZES[name], strict=True))
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", size | {"deviceScaleFactor": 0.75, "mobile": False}
    )
    browser.get((pages / f"{name}.html").as_uri())


def save(browser, name):
    """Save what the browser shows as a small picture."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    picture = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    # no palette: it would show gradients as bands and give similar types one colour
    picture.save(IMAGES / f"{name}.webp", quality=85, method=6)


if __name__ == "__main__":
    main(*sys.argv[1:])
