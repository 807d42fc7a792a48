"""Data that every test file shares: a tiny simulated set, and real files if they are here."""

import shutil
import signal
import socket
from collections import Counter

import hypothesis
import numpy as np
import pandas as pd
import pytest
import torch
from material.cells import counts_frame, z_scores
from material.estimators import seeded
from material.files import published, put
from material.layouts import SIX_OF_MOTOR_CORTEX

from sbnn.data import datasets
from sbnn.data.datasets import find_file, load_dataset
from sbnn.data.paired import as_paired
from sbnn.data.simulate import simulate_patchseq

# One profile for all: the same examples everywhere, and no verdict on a machine that is busy.
hypothesis.settings.register_profile("sbnn", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("sbnn")

#: What a torch draws with probability one half, of 20, that recorded ends of training come from.
RECORDED_DRAWS = [2, 6, 7, 9, 10, 11, 12, 14, 15, 16, 17]


def pytest_sessionfinish(session):
    """Workers that need more than 5 s to end, as on busy CPUs, get a SIGINT from execnet."""
    if hasattr(session.config, "workerinput"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def pytest_terminal_summary(terminalreporter):
    """Name what was not run, as a run without data or a browser passes, too."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"not run: {count} tests, {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session")
def recorded_draws():
    """Skip where torch draws other random numbers than those behind recorded ends of training."""
    draws = torch.empty(20).bernoulli_(generator=seeded())
    if draws.nonzero().ravel().tolist() != RECORDED_DRAWS:
        pytest.skip("this torch draws other random numbers")


@pytest.fixture(scope="session")
def adata():
    """120 cells x 40 genes -> 5 outputs, driven by 8 genes."""
    return simulate_patchseq(120, 40, 5, n_true_genes=8, n_families=3, n_types=6, random_state=0)


@pytest.fixture(scope="session")
def data(adata):
    """The arrays of `adata`."""
    return as_paired(adata)


@pytest.fixture(scope="session", name="z_scores")
def z_scores_of_data(data):
    return z_scores(data)


@pytest.fixture(scope="session")
def counts(data):
    return counts_frame(data)


@pytest.fixture(scope="session")
def real_scala():
    """The real 1213 x 1000 -> 16 data set, or a skipped test."""
    try:
        return as_paired(load_dataset("scala", download=False, verbose=False))
    except FileNotFoundError:
        pytest.skip("the Scala data is not on this machine")


@pytest.fixture(scope="session")
def real_file():
    """Path of a published file by ``real_file(name)``; the test is skipped without it."""

    def find(name):
        try:
            return find_file(name, download=False)
        except FileNotFoundError:
            pytest.skip(f"{name} is not on this machine")

    return find


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def generator():
    return seeded()


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """No data place but an empty cache, no proxy, and no way out of this machine."""
    for name in ("SBNN_DATA", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(datasets, "DATA_FOLDER", tmp_path / "checkout" / "data")
    monkeypatch.setattr(datasets, "cache_folder", lambda: tmp_path / "cache")
    connect = socket.socket.connect

    def connect_to_loopback(self, address):
        if address[0] not in ("127.0.0.1", "localhost"):
            raise OSError(f"no network in tests, wanted {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_to_loopback)
    return tmp_path


@pytest.fixture
def small_scala(alone, monkeypatch):
    """The three Scala files in the published layout, but of six cells, in ``SBNN_DATA``."""
    rng = np.random.default_rng(0)
    cells = [f"20180918sample{i}" for i in range(6)]
    counts = pd.DataFrame(rng.integers(0, 500, (4, 6)), ["Gad1", "Sst", "Vip", "Pvalb"], cells)
    ephys = pd.DataFrame(rng.normal(size=(6, 2)), cells, ["AP width", "Tau"])
    contents = {
        "gene_counts.csv": counts.to_csv(),
        "ephys_values.csv": ephys.to_csv(),
        "mini-atlas-meta-data.csv": SIX_OF_MOTOR_CORTEX,
    }
    for name, content in contents.items():
        published(monkeypatch, name, content.encode())
        put(alone / "mine" / "tiny" / name, content.encode())
    monkeypatch.setenv("SBNN_DATA", str(alone / "mine"))
    return alone / "mine" / "tiny", counts, ephys


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of the pages of a browser, its profile and its downloads."""
    return tmp_path_factory.mktemp("explorer")


@pytest.fixture(scope="module")
def browser(folder):
    """Chromium without network."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.add_argument("--headless=new")
    options.add_argument("--no-sandbox")
    options.add_argument("--disable-dev-shm-usage")
    options.add_argument("--window-size=1400,1000")
    options.add_argument(f"--user-data-dir={folder}/user")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    downloads = {"behavior": "allow", "downloadPath": str(folder)}
    browser.execute_cdp_cmd("Page.setDownloadBehavior", downloads)
    yield browser
    browser.quit()
