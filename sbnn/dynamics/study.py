"""The study of gene-regulatory dynamics: its experiments, tables, figures and commands."""

from functools import partial

from sbnn.dynamics.experiments import SETTINGS, run_method, run_sizes, run_sparsities
from sbnn.dynamics.figures import figures
from sbnn.dynamics.report import NOTE, all_tables
from sbnn.engine import Step, Study

HELP = """Who regulates whom, from trajectories of expression and a prior network.

  sbnn dynamics run grn_350        all methods on simulated samples with known truth; --only dash,sparse
  sbnn dynamics run yeast_pramila  the same on real data
  sbnn dynamics figures grn_350    draw all figures from what is saved
  sbnn dynamics report grn_350     print all tables
"""


def experiments(dataset, fast, n_jobs):
    """Record name -> ``call(path, fresh)``, of a data set of `SETTINGS`."""
    if dataset not in SETTINGS:
        raise ValueError(f"data set: expected one of {', '.join(SETTINGS)}, got {dataset!r}")
    setting = SETTINGS[dataset]
    planned = {
        f"{condition}_{method}": partial(run_method, dataset, condition, method, fast)
        for condition, methods in setting.runs.items()
        for method in methods
    }
    if setting.swept:
        planned["sparsities"] = partial(run_sparsities, dataset, fast)
    if dataset == "simulated_grn":
        planned["sizes"] = partial(run_sizes, fast)
    return planned


STUDY = Study(
    "dynamics",
    steps={"run": Step("run the study of a data set", experiments)},
    tables=all_tables,
    figures=figures,
    prefix="dynamics_",
    note=NOTE,
    shown=("balanced_accuracy", "auroc", "mse_ahead", "seconds"),
    help=HELP,
)
