"""The picture of the explorer in the docs: ``python benchmarks/explorer_screenshot.py``.

Needs chromium and chromedriver, the extra `test`, and the committed results of M1; writes ``docs/images/explorer.png``.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from sbnn import explore, results

ROOT = Path(__file__).resolve().parents[1]
SIZE = (1400, 912)


def main(out=ROOT / "docs" / "images" / "explorer.png"):
    saved = ROOT / "saved_models" / "scala"
    fit, folds = (results.load(saved / f"{name}.pickle") for name in ("fit_default_2d", "cv_default"))
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        with tempfile.TemporaryDirectory() as folder:
            explore(fit, folds, Path(folder) / "page.html")
            size = {"width": SIZE[0], "height": SIZE[1], "deviceScaleFactor": 1, "mobile": False}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            browser.get((Path(folder) / "page.html").as_uri())
            ready = "return document.documentElement.dataset.ready"
            WebDriverWait(browser, 20).until(lambda _: browser.execute_script(ready))
            browser.find_element("id", "query").send_keys("Sst")
            browser.find_element("id", "query").submit()
            browser.find_element("css selector", "#features button").click()
            browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
            picture = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    finally:
        browser.quit()
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    picture.save(out, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
