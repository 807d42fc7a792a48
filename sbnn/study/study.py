"""The sBNN study: its steps, tables and figures."""

from functools import partial

from sbnn.data.datasets import load_dataset
from sbnn.data.paired import as_paired
from sbnn.engine import Step, Study
from sbnn.evaluation.stability import priors_table
from sbnn.study import experiments, report
from sbnn.study.gallery import figures
from sbnn.study.gene_priors import run_gene_priors
from sbnn.study.maps import principal_components, run_map_trust, tsne_maps
from sbnn.study.progress import progress_table

#: Experiments on other genes or noise than those of the data set.
OTHER_DATA = ("gene-selection", "noise")


def _fit(data, fast, n_jobs):
    planned = experiments.fits(data, fast, n_jobs)
    planned["tsne"] = lambda path, fresh: tsne_maps(data, results=path, overwrite=fresh)
    planned |= experiments.stability(data, fast, n_jobs) | {
        "interpretation": lambda path, fresh: experiments.run_interpretation(data, path.parent, fast=fast, fresh=fresh),
        "components": lambda path, fresh: principal_components(data, results=path, overwrite=fresh),
        "map_trust": lambda path, fresh: run_map_trust(data, path.parent, fast=fast, fresh=fresh),
    }
    if data.name == "simulated":
        planned["noise"] = lambda path, fresh: experiments.run_noise(path, fast=fast, fresh=fresh)
    return planned


def _genes(data, fast, n_jobs):
    run = partial(experiments.run_genes_curve, data, fast=fast, n_jobs=n_jobs)
    return {"genes_curve": lambda path, fresh: run(path.parent, fresh=fresh)}


def _prior(data, fast, n_jobs):
    run = partial(run_gene_priors, data, fast=fast, n_jobs=n_jobs)
    return {"gene_prior": lambda path, fresh: run(path, fresh=fresh)}


def _fit_tables(records):
    tables = report.all_tables(records)
    return {title: tables[title] for title in (report.EFFECTS, report.SAYS)}


STUDY = Study(
    "sbnn",
    steps={
        "cv": Step(
            "cross-validate every model on the folds of the paper",
            experiments.cv,
            lambda records: {report.ACCURACY: report.accuracy_table(records)},
        ),
        "fit": Step("fit all cells, and say which genes to trust and what they do", _fit, _fit_tables),
        "genes": Step(
            "ask how many genes are needed: test R2 of the default network with 5 to 200 of them",
            _genes,
            lambda records: {report.NUMBERS: report.numbers_table(records["genes_curve"])},
        ),
        "prior": Step(
            "cross-validate the network with lists of genes as prior knowledge",
            _prior,
            lambda records: {
                report.PRIORS: priors_table(records["gene_prior"]).reset_index().set_index("model"),
            },
        ),
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
