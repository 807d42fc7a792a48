"""The experiments of electrophysiology -> type: what is run on a data set, and where its results go.

Every function loads what is saved and computes only what is missing. Results go to
``<saved_models>/<data set>/<kind>_<model>.pickle``, where the kind is ``types`` (four classes) or ``types5``.
"""

from pathlib import Path

import numpy as np

from sbnn.data.datasets import EPHYS_TYPES, load_dataset, require_study
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.typed_cells import as_typed
from sbnn.determinism import reproducible
from sbnn.ephys_types.family_attention import TransferAttentionClassifier
from sbnn.ephys_types.models import MODELS, estimator
from sbnn.ephys_types.sparse_pca_forest import SparsePCAForest
from sbnn.ephys_types.transfer_study import run_learning_curves, run_zero_shot
from sbnn.evaluation.classification import cross_validate_classifier
from sbnn.evaluation.family_importance import N_SHUFFLES, family_importance
from sbnn.evaluation.folds import SEEDS, donor_folds, repeated_donor_folds
from sbnn.evaluation.runs import load_or_compute
from sbnn.models.maps import embed
from sbnn.results import Record, load

KINDS = {"types": "type", "types5": "type5"}  # beginning of the names of the records -> column of the labels
#: Of which models the families are asked for: two with attention, and trees.
INTERPRETED = ("bilstm", "family_attention", "lightgbm")
LABELS = ("type", "type5", "donor", "condition", "virus")  # that figures and tables need
CELLS = "types_cells"
FAMILIES = "types_families"  # beginning of the names of the records of `run_families`
ZERO_SHOT, CURVES = "transfer_zero_shot", "transfer_curves"
#: Models of which another one is a variant, and cells up to which they are worth their time.
VARIANTS, MOST_CELLS = ("sparse_pca_forest_published", "bilstm_no_attention", "bilstm_smote", "bilstm_arcface"), 2000
SIMULATED = "simulated_ephys"
N_FOLDS = 5
SEED = 0


def load_cells(name, **options):
    """Data of the study by name: mouse spikes measured from their threshold, as the human ones are.

    Parameters
    ----------
    name : str
        ``"lee_human"``, ``"gouwens_ephys"`` or ``"simulated_ephys"``.
    **options
        Of `load_dataset`.

    Returns
    -------
    AnnData of typed cells
    """
    require_study(name, EPHYS_TYPES)
    return load_dataset(name, **({"relative": True} if name == "gouwens_ephys" else {}), **options)


def load_source(name, fast=False, **options):
    """Mouse cells that a classifier of human cells may learn from, or None where `name` is of the mouse itself."""
    if name == "lee_human":
        return load_dataset("gouwens_ephys", **options)  # as released: shared features are made of these
    if name == SIMULATED:
        return simulate_ephys_types(300 if fast else 1200, species="mouse")
    return None


def kinds_of(data):
    """Kinds of types that the labels of the data tell apart: dict of kind to column."""
    return {kind: column for kind, column in KINDS.items() if column in data.obs}


def folds_of_study(data, target="type", fast=False):
    """Folds of all comparisons: five, donors kept together, three times; two of them once for a trial."""
    if fast:
        return {SEED: donor_folds(data, 2, SEED, target=target)}
    return repeated_donor_folds(data, N_FOLDS, SEEDS, target=target)


def models_for(data):
    """Names of the models that are compared: variants of one are told apart on up to `MOST_CELLS` cells only.

    Parameters
    ----------
    data : AnnData of typed cells

    Returns
    -------
    list of str
    """
    return [name for name in MODELS if data.n_obs <= MOST_CELLS or name not in VARIANTS]


def run_cross_validations(data, folder, *, fast=False, fresh=False, n_jobs=1, verbose=True, only=None):
    """Run, or load, the cross-validation of every model, for every kind of types.

    Parameters
    ----------
    data : AnnData of typed cells
    folder : str or path-like
        Where the results are and go, see `sbnn.results.results_folder`.
    fast : bool
        Few trees and steps, two folds.
    fresh : bool
        Compute anew what is saved.
    n_jobs : int
    verbose : bool
    only : iterable of str, optional
        Names of models, keys of `MODELS`; those of `models_for` by default.

    Returns
    -------
    dict of str to Record

    Raises
    ------
    ValueError
        A model that there is not.
    """
    names = models_for(data) if only is None else list(only)
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise ValueError(f"only: no such model: {', '.join(unknown)}; there are {', '.join(MODELS)}")
    records = {}
    for kind, target in kinds_of(data).items():
        folds = folds_of_study(data, target, fast)
        for name in names:
            records[f"{kind}_{name}"] = cross_validate_classifier(
                estimator(MODELS[name], fast),
                data,
                folds,
                n_jobs,
                target=target,
                results=Path(folder) / f"{kind}_{name}.pickle",
                overwrite=fresh,
                verbose=verbose,
            )
    return records


def run_cells(data, folder, *, fast=False, fresh=False):
    """What is known of the cells, and where they lie in sparse principal components and on a t-SNE of them; or load it.

    Parameters
    ----------
    data : AnnData of typed cells
    folder : str or path-like
    fast, fresh : bool

    Returns
    -------
    Record
        ``experiment="typed cells"``; ``values`` has ``labels`` (those of `LABELS` that there are), ``components``
        (n, components; float32), ``component_names``, ``explained`` (adjusted share of the variance of its family) and
        ``tsne`` (n, 2). The components are learned from all cells without a look at their types: a picture, not a test.
    """
    data = as_typed(data)
    # The forest is of no interest here, and cheap with one tree.
    model = SparsePCAForest(n_estimators=1, random_state=SEED)
    wanted = Record("typed cells", data.name, data.sha256, [{}], SEED)

    def compute():
        with reproducible():
            model.fit(data.X, data.y, data.families)
            components = model.transform(data.X)
            explained = np.concatenate(list(model.explained_variance_ratio_.values()))
            return {
                "labels": data.labels[[name for name in LABELS if name in data.labels]],
                "components": components.astype(np.float32),
                "component_names": [str(name) for name in model.get_feature_names_out()],
                "explained": explained,
                "tsne": embed(components, SEED).astype(np.float32),
            }

    return load_or_compute(
        wanted, compute, Path(folder) / f"{CELLS}.pickle", fresh, estimator=model, n_cells=data.n_cells
    )


def run_families(data, folder, *, fast=False, fresh=False, n_jobs=1, verbose=True):
    """Which families the models need, on the folds of the first seed; or load it.

    Parameters
    ----------
    data : AnnData of typed cells
    folder : str or path-like
    fast, fresh : bool
    n_jobs : int
    verbose : bool

    Returns
    -------
    dict of str to Record
        From `family_importance`, by model.
    """
    folds = folds_of_study(data, "type", fast)[SEED]
    return {
        name: family_importance(
            estimator(MODELS[name], fast),
            data,
            folds,
            n_jobs,
            n_shuffles=1 if fast else N_SHUFFLES,
            results=Path(folder) / f"{FAMILIES}_{name}.pickle",
            overwrite=fresh,
            seed=SEED,
            verbose=verbose,
        )
        for name in INTERPRETED
        if name in MODELS
    }


def run_transfer(data, folder, *, fast=False, fresh=False, verbose=True):
    """Transfer from mouse to these human cells, without and with human labels; or load it.

    Parameters
    ----------
    data : AnnData of typed cells
        Human cells; for others nothing is done.
    folder : str or path-like
    fast, fresh, verbose : bool

    Returns
    -------
    dict of str to Record
    """
    source = load_source(data.uns["sbnn"]["name"], fast, verbose=verbose)
    if source is None:
        return {}
    places = {name: Path(folder) / f"{name}.pickle" for name in (ZERO_SHOT, CURVES)}
    quick = TransferAttentionClassifier(n_members=1, n_steps=5)
    few = {"sizes": (50, None), "seeds": (SEED,), "draws": 1}  # of simulated cells a few points show that it runs
    few = few | {"network": quick} if fast else few if data.uns["sbnn"]["name"] == SIMULATED else {}
    seeds = {"seeds": (SEED,)} if fast else {}
    return {
        ZERO_SHOT: run_zero_shot(source, data, places[ZERO_SHOT], fresh, **seeds),
        CURVES: run_learning_curves(source, data, places[CURVES], fresh, **few),
    }


def load_records(folder):
    """Saved results of this study in a folder, all of one data set.

    Parameters
    ----------
    folder : str or path-like

    Returns
    -------
    dict of str to Record
        By experiment, in the order of `MODELS`.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If they are of different data.
    """
    folder = Path(folder)
    known = [f"{kind}_{name}" for kind in KINDS for name in MODELS]
    known += [CELLS, *(f"{FAMILIES}_{name}" for name in INTERPRETED), ZERO_SHOT, CURVES]
    records = {name: load(folder / f"{name}.pickle") for name in known if (folder / f"{name}.pickle").exists()}
    if not records:
        raise FileNotFoundError(f"no results in {folder}: run `sbnn ephys-types cv` first")
    of = {(record.dataset, record.sha256[:12]) for record in records.values()}
    if len(of) > 1:
        raise ValueError(f"the results in {folder} are of different data: {sorted(of)}; move some of them away")
    return records
