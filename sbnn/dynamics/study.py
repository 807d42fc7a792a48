"""The study of gene-regulatory dynamics: its experiments, tables, figures and commands."""

from sbnn.dynamics.experiments import experiments
from sbnn.dynamics.figures import figures
from sbnn.dynamics.report import NOTE, all_tables
from sbnn.engine import Step, Study

STUDY = Study(
    "dynamics",
    steps={"run": Step("run the study of a data set", experiments)},
    tables=all_tables,
    figures=figures,
    prefix="dynamics_",
    note=NOTE,
    shown=("balanced_accuracy", "auroc", "mse_ahead", "seconds"),
    help="""Who regulates whom, from trajectories of expression and a prior network.

  sbnn dynamics run grn_350        all methods on simulated samples with known truth; --only dash,sparse
  sbnn dynamics run yeast_pramila  the same on real data
  sbnn dynamics figures grn_350    draw all figures from what is saved
  sbnn dynamics report grn_350     print all tables
""",
)
