"""The sBNN study: its steps, tables and figures, and what of its results is missing."""

from functools import partial

import pandas as pd

from sbnn.data.datasets import DATASETS, load_dataset
from sbnn.data.paired import as_paired
from sbnn.engine import Step, Study
from sbnn.evaluation.runs import unfinished
from sbnn.study import experiments, report
from sbnn.study.gallery import figures
from sbnn.study.maps import principal_components, run_map_trust, tsne_maps

#: Experiments on other genes or noise than those of the data set.
OTHER_DATA = ("gene-selection", "noise")
#: What the tables of a data set are made of, whatever else there is.
NEEDED = ("cv_default", "cv_ridge", "fit_default_2d", "halves_default", "interpretation", "map_trust")
FAST = "-fast"  # ending of folders of trials


def _fit(data, fast, n_jobs):
    planned = experiments.fits(data, fast, n_jobs) | {
        "tsne": partial(tsne_maps, data),
        "interpretation": partial(experiments.run_interpretation, data, fast=fast),
        "components": partial(principal_components, data),
        "map_trust": partial(run_map_trust, data, fast=fast),
    }
    return planned | ({"noise": partial(experiments.run_noise, fast=fast)} if data.name == "simulated" else {})


def _genes(data, fast, n_jobs):
    return {"genes_curve": partial(experiments.run_genes_curve, data, fast=fast, n_jobs=n_jobs)}


def _fit_tables(records):
    tables = report.all_tables(records)
    return {title: tables[title] for title in (report.EFFECTS, report.SAYS)}


def progress_table(folder):
    """Which results are missing, how far those have come that were interrupted, and which command goes on."""
    parts, there = unfinished(folder), {path.stem for path in folder.glob("*.pickle")}
    states = {
        name: f"{len(records)} fits finished; {_command(name, folder)} goes on" for name, records in parts.items()
    }
    if parts or there:
        missing = [name for name in NEEDED if name not in there | parts.keys()]
        states |= {name: f"not there; {_command(name, folder)} makes it" for name in missing}
    return pd.DataFrame({"state": states.values()}, pd.Index(states, name="result"))


def _command(name, folder):
    """The command that makes a result; "..." are the tables of the user, of which `sbnn fit` makes all."""
    dataset = folder.name.removesuffix(FAST)
    steps = {"cv": "cv", "apart": "cv", "genes_curve": "genes", "gene_prior": "prior"}
    step = steps.get(name) or (steps.get(name.split("_")[0], "fit") if dataset in DATASETS else "fit")
    of_user = "" if dataset in DATASETS else " ..."
    return f"`sbnn {step} {dataset}{of_user}{' --fast' if folder.name.endswith(FAST) else ''}`"


STUDY = Study(
    "sbnn",
    steps={
        "fit": Step("", _fit, _fit_tables),
        "genes": Step("", _genes, lambda records: {report.NUMBERS: report.numbers_table(records["genes_curve"])}),
    },
    tables=report.all_tables,
    figures=figures,
    note=report.note,
    data=lambda name: as_paired(load_dataset(name)),
    data_of=lambda record: None if record.experiment in OTHER_DATA else (record.dataset, record.sha256),
    overview=report.overview,
    progress=progress_table,
)
gallery, draw_all = STUDY.draw, STUDY.save_figures
