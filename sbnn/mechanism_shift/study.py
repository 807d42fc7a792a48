"""The study of perturbation screens: its experiments, tables and figures."""

from sbnn.data.datasets import MECHANISM_SHIFT, load_dataset
from sbnn.data.screens import as_screen
from sbnn.engine import Step, Study
from sbnn.mechanism_shift.experiments import experiments
from sbnn.mechanism_shift.figures import figures
from sbnn.mechanism_shift.report import NOTE, all_tables

SIMULATED = "simulated_screen"
STUDY = Study(
    MECHANISM_SHIFT,
    steps={"run": Step("run the study of a data set", experiments)},
    tables=all_tables,
    figures=figures,
    prefix="shift_",
    note=NOTE,
    shown=("mcc", "f1", "seconds"),
    extra=("library_*", "ablation_*", "varied_*"),
    data=lambda name: name if name == SIMULATED else as_screen(load_dataset(name)),
    help="Latents of single cells that each perturbation shifts sparsely.",
)
