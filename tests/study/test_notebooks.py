"""The notebooks load every committed result, draw every committed figure, and compute anew."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import screen_rivals
from material.files import published, put
from material.notebooks import run_cells
from material.paths import NOTEBOOKS, SAVED_MODELS
from scipy.io import savemat

from sbnn import simulate_patchseq
from sbnn.data.datasets import list_datasets
from sbnn.data.readers import gouwens
from sbnn.evaluation import runs
from sbnn.store import ENDING
from sbnn.study import command, report

FIGURES = command.REPOSITORY / "figures"
# of each study one; those of types and of dynamics are run by the tests of these studies
COMMITTED = ["scala", "papalexi", "own_data/simulated"]
#: Folders of results that the notebooks of a data set read.
FOLDERS = {name: [name] for names in command.NOTEBOOKS.values() for name in names}
FOLDERS["lee_human"] += ["lee_human_shared"]
FOLDERS["grn_350"] += ["grn_690", "yeast_pramila", "breast_desmedt", "hematopoiesis"]
# which have the main models alone; `sbnn reproduce 02 citefuse` makes more
MAIN_ALONE = ["citefuse", "tcga_breast"]


def run_all(dataset, figures, like=None, **parameters):
    """Run the notebooks of a data set, or of one `like` it; names of their saved figures."""
    if list_datasets()["state"].get(dataset, "here") != "here":
        pytest.skip("the data are not on this machine")
    for number, names in command.NOTEBOOKS.items():
        for path in NOTEBOOKS.glob(f"{number}_*") if (like or dataset) in names else ():
            run_cells(path.stem, dataset=dataset, figures=str(figures), **parameters)
    return {path.stem for path in figures.glob(f"{dataset}*/*.png")}


@pytest.fixture
def taken(monkeypatch):
    """Files of results that are taken, as they were computed from the same arguments."""
    files = set()
    load = runs.load

    def note(path):
        files.add(Path(path).resolve())
        return load(path)

    monkeypatch.setattr(runs, "load", note)
    monkeypatch.setattr(runs, "save", lambda record, path: pytest.fail(f"{path}: computed again"))
    return files


def results_in(folder):
    return {*Path(SAVED_MODELS, folder).glob(f"*{ENDING}")}


@pytest.mark.slow
@pytest.mark.parametrize("dataset", COMMITTED)
def test_committed_results_are_taken_and_committed_figures_drawn(dataset, tmp_path, taken):
    """No committed result is computed again, and none is without a notebook or a benchmark."""
    drawn = run_all(dataset, tmp_path)
    assert drawn == {path.stem for path in (FIGURES / dataset).glob("*.png")}
    committed = set().union(*map(results_in, FOLDERS[dataset]))
    assert sorted(committed - taken - results_of_benchmarks()) == []


def results_of_benchmarks():
    """Committed results beside those of the notebooks."""
    of_screens = {
        SAVED_MODELS / folder / f"shift_{name}{ENDING}"
        for name, (folder, _) in screen_rivals.plan_records().items()
    }
    of_sparsity = (SAVED_MODELS / "grn_350").glob(f"dynamics_published_sparsity_*{ENDING}")
    return of_screens.union(of_sparsity)


def names_in(folder):
    """Names of results, without the ranks of linear models, which depend on the outputs."""
    return {
        re.sub(r"rank\d+", "rank", path.name.removesuffix(ENDING)) for path in results_in(folder)
    }


def test_no_folder_of_results_is_without_code():
    read = {SAVED_MODELS / folder for folders in FOLDERS.values() for folder in folders}
    folders = {path.parent for path in SAVED_MODELS.rglob(f"*{ENDING}")}
    fast = {path for path in folders if path.name.endswith("-fast")}
    assert folders - fast == read | {SAVED_MODELS / "benchmarks"}
    # other paired data have the results of those that are run, but for these of notebooks 01 and 04
    known = names_in("scala") | {"gene_selection", "noise"}
    for folder in command.NOTEBOOKS["02"]:
        assert names_in(folder) <= known
    main = {f"cv_{name}{ENDING}" for name, _ in report.MAIN.values()}
    for folder in MAIN_ALONE:
        assert {path.name for path in results_in(folder)} == main


def of_few_cells(test):
    """Ignore what quick notebooks warn of, as they have few cells, epochs and seeds."""
    dimensions = pytest.mark.filterwarnings("ignore:n_components > n_samples:UserWarning")
    numbers = pytest.mark.filterwarnings(
        "ignore:(divide by zero|invalid value) encountered:RuntimeWarning:scipy"
    )
    return numbers(dimensions(test))


@pytest.mark.slow
@of_few_cells
@pytest.mark.filterwarnings("ignore:.* of the shifts may or may not be edges:UserWarning")
@pytest.mark.filterwarnings("ignore:the one-step error of the network in held-out:UserWarning")
@pytest.mark.parametrize(
    "dataset", ["scala", "simulated", "simulated_ephys", "simulated_screen", "simulated_grn"]
)
def test_a_quick_run_computes_saves_and_shows_everything(dataset, tmp_path):
    drawn = run_all(dataset, tmp_path, saved_models=str(tmp_path), fast=True, n_jobs=1)
    assert [*(tmp_path / f"{dataset}-fast").glob("*.pickle.xz")]
    assert drawn and drawn <= {path.stem for path in FIGURES.glob("*/*.png")}


@pytest.fixture
def made_up_visual_cortex(alone, monkeypatch):
    """The two files of mouse V1 in the released layout, with 160 simulated cells."""
    # the release has a part of the genes, so that the totals of the cells differ
    data = simulate_patchseq(160, 400, 68, n_true_genes=12, random_state=0)[:, :300]
    outputs = data.obsm["outputs"].to_numpy(float)
    outputs[7, 20] = np.nan
    short_names = [*gouwens.EXCLUDED_FEATURES, *(f"feature {i}" for i in range(55))]
    long_names = [f"raw_{i}" for i in range(68)]
    texts = {
        "gene_id": data.var_names,
        "pc_name": long_names[:44],
        "feature_name": long_names[44:],
        "sample_id": data.obs_names,
        "cluster": data.obs["type"],
        "cluster_color": ["#00FF00"] * 160,
    }
    fields = {name: np.array(values, dtype=object) for name, values in texts.items()}
    fields["T_dat"] = data.X
    fields["E_pc_scaled"] = outputs[:, :44]
    fields["E_feature"] = outputs[:, 44:]
    fields["map_conf"] = fields["T_spec_id_label"] = np.arange(160)
    folder = alone / "mine" / "gouwens_2020"
    names = json.dumps(dict(zip(long_names, short_names, strict=True))).encode()
    published(monkeypatch, "E_names.json", names, folder=folder.name)
    put(folder / "E_names.json", names)
    savemat(folder / "PS_v5_beta_0-4_pc_scaled_ipfx_eqTE.mat", fields)
    monkeypatch.setenv("SBNN_DATA", str(alone / "mine"))


@pytest.mark.slow
@of_few_cells
@pytest.mark.filterwarnings("ignore:counts. expected raw counts:UserWarning")
@pytest.mark.filterwarnings("ignore:Data has no positive values:UserWarning")
@pytest.mark.usefixtures("made_up_visual_cortex")
def test_visual_cortex_runs_through_its_notebooks(tmp_path, capsys):
    how = {"saved_models": str(tmp_path), "fast": True, "n_jobs": 1}
    drawn = run_all("gouwens", tmp_path, like="scala", **how)
    assert {"figure2_r2_vs_genes", "figure3_latent_published"} <= drawn
    assert "Patch-seq: 159 cells x 300 genes -> 55 electrophys" in capsys.readouterr().out
