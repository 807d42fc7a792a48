"""The study of electrophysiology -> type: its experiments, tables, figures and commands.

Results go to ``<saved_models>/<data set>/<kind>_<model>.pickle``: kind ``types`` (four classes) or ``types5``.
"""

import numpy as np

from sbnn.data.datasets import EPHYS_TYPES, load_dataset
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.typed_cells import as_typed
from sbnn.determinism import reproducible
from sbnn.engine import Step, Study
from sbnn.ephys_types import models
from sbnn.ephys_types.family_attention import TransferAttentionClassifier
from sbnn.ephys_types.figures import figures
from sbnn.ephys_types.report import NOTE, all_tables, overview_table
from sbnn.ephys_types.sparse_pca_forest import SparsePCAForest
from sbnn.ephys_types.transfer_study import run_learning_curves, run_zero_shot
from sbnn.evaluation.classification import N_SHUFFLES, cross_validate_classifier, family_importance
from sbnn.evaluation.folds import SEEDS, repeated_donor_folds
from sbnn.evaluation.runs import load_or_compute
from sbnn.models.maps import embed
from sbnn.results import Record

LABELS = ("type", "type5", "donor", "condition", "virus")  # that figures and tables need
SIMULATED = "simulated_ephys"
N_FOLDS, SEED = 5, 0
HELP = """From electrophysiology to the transcriptomic type of a cell.

  sbnn ephys-types cv lee_human            cross-validate every classifier; which families of features they need
  sbnn ephys-types transfer lee_human      types of human cells from those of mouse cells, with no labels and with few
  sbnn ephys-types figures lee_human       draw all figures from what is saved
  sbnn ephys-types report lee_human        print all tables; `report all` one of all data sets
  sbnn ephys-types traces *.nwb --out t.csv  features of recordings, and t_cells.csv: what is known of each cell
"""


def load_cells(name, **options):
    """Data of the study by name: mouse spikes measured from their threshold, as the human ones are."""
    return load_dataset(name, **({"relative": True} if name == "gouwens_ephys" else {}), **options)


def load_source(name, fast=False, **options):
    """Mouse cells that a classifier of human cells may learn from, or None where `name` is of the mouse itself."""
    if name == "lee_human":
        return load_dataset("gouwens_ephys", **options)  # as released: shared features are made of these
    return simulate_ephys_types(300 if fast else 1200, species="mouse") if name == SIMULATED else None


def _cross_validations(data, fast, n_jobs):
    """Every model on the same folds for every kind of types, the cells on maps, and what families are worth."""
    planned, cells = {}, as_typed(data)
    for kind, target in models.KINDS.items():
        if target not in cells.labels:
            continue
        n_folds, seeds = (2, (SEED,)) if fast else (N_FOLDS, SEEDS)
        folds = repeated_donor_folds(cells, n_folds, seeds, target=target)
        if kind == "types":
            first = folds[SEED]
        for name in models.MODELS:
            if cells.n_cells <= models.MOST_CELLS or name not in models.VARIANTS:
                how = models.estimator(models.MODELS[name], fast), cells, folds, n_jobs
                planned[f"{kind}_{name}"] = _experiment(cross_validate_classifier, *how, target=target)
    planned[models.CELLS] = _experiment(run_cells, cells)
    for name in (name for name in models.INTERPRETED if name in models.MODELS):
        how = models.estimator(models.MODELS[name], fast), cells, first, n_jobs
        shuffles = {"n_shuffles": 1 if fast else N_SHUFFLES, "seed": SEED}
        planned[f"{models.FAMILIES}_{name}"] = _experiment(family_importance, *how, **shuffles)
    return planned


def _experiment(run, *how, **options):
    return lambda path, fresh: run(*how, **options, results=path, overwrite=fresh)


def run_cells(data, results=None, overwrite=False):
    """What is known of the cells, and where they lie in sparse principal components and on a t-SNE of them.

    The components are learned from all cells without a look at their types: a picture, not a test.
    """
    data = as_typed(data)
    model = SparsePCAForest(n_estimators=1, random_state=SEED)  # the forest is of no interest here

    def compute():
        with reproducible():
            model.fit(data.X, data.y, data.families)
            components = model.transform(data.X)
            return {
                "labels": data.labels[[name for name in LABELS if name in data.labels]],
                "components": components.astype(np.float32),
                "component_names": [str(name) for name in model.get_feature_names_out()],
                "explained": np.concatenate(list(model.explained_variance_ratio_.values())),
                "tsne": embed(components, SEED).astype(np.float32),
            }

    wanted = Record("typed cells", data.name, data.sha256, [{}], SEED)
    return load_or_compute(wanted, compute, results, overwrite, estimator=model, n_cells=data.n_cells)


def _transfer(data, fast, n_jobs):
    """From mouse to these human cells, without and with human labels."""
    name = as_typed(data).name
    source = load_source(name, fast)
    if source is None:
        raise ValueError(f"dataset: transfer goes to human cells, and {name!r} are none; take lee_human")
    few = {"sizes": (50, None), "seeds": (SEED,), "draws": 1}  # of simulated cells a few points show that it runs
    if fast:
        few["network"] = TransferAttentionClassifier(n_members=1, n_steps=5)
    seeds = {"seeds": (SEED,)} if fast else {}
    return {
        models.ZERO_SHOT: _experiment(run_zero_shot, source, data, **seeds),
        models.CURVES: _experiment(run_learning_curves, source, data, **few if fast or name == SIMULATED else {}),
    }


def _traces(commands):
    """Command that makes a table of recordings."""
    step = commands.add_parser("traces", help="features of recordings (NWB) to a table")
    step.add_argument("paths", nargs="+", help="NWB files, or folders with them")
    step.add_argument("--out", required=True, help="CSV file; what is known of each cell goes to a second one")
    step.add_argument("--cache", help="folder of finished recordings")
    step.add_argument("--jobs", type=int, default=1, help="recordings read at the same time")
    step.set_defaults(run=_write_traces)


def _write_traces(options):
    from sbnn.ephys_types.traces import read_traces, write_traces  # needs an extra

    features = read_traces(options.paths, n_jobs=options.jobs, cache=options.cache)
    print(f"{features.n_obs} cells x {features.n_vars} features")
    print(*write_traces(features, options.out), sep="\n")


STUDY = Study(
    EPHYS_TYPES,
    steps={
        "cv": Step("cross-validate every classifier; families that they need", _cross_validations, parallel=True),
        "transfer": Step("types of human cells from those of mouse cells, with no labels and with few", _transfer),
    },
    tables=all_tables,
    figures=figures,
    note=NOTE,
    data=load_cells,
    data_of=lambda record: (record.dataset, record.sha256),
    overview=lambda saved_models: {"Macro-F1 on every data set": overview_table(saved_models)},
    help=HELP,
    others=_traces,
)
