"""What is computed of a user's own cells: the default network beside ridge, the map, and which genes to trust."""

from pathlib import Path

from sklearn.base import clone

from sbnn.data.paired import groups_of
from sbnn.data.preselection import with_preselected
from sbnn.evaluation.crossval import cross_validate
from sbnn.evaluation.folds import grouped_folds, paper_folds
from sbnn.evaluation.full_fits import fit_full
from sbnn.evaluation.repeats import stability_selection
from sbnn.models.linear import LeaveOneOutRidge
from sbnn.results import save
from sbnn.study.experiments import SEED, cross_validations, network, run_interpretation
from sbnn.study.maps import principal_components, run_map_trust, tsne_maps

MODEL = "model.safetensors"
N_FOLDS = 10
N_PAIRS = 25  # of halves of the cells


def folds_for(data, groups=None, fast=False):
    """Ten folds of the cells, or as many as there are groups, none of which is split; the first two if `fast`."""
    if groups is None:
        folds = paper_folds(data.n_cells, min(N_FOLDS, data.n_cells // 2))
    else:
        of_cells = groups_of(data, groups)
        folds = grouped_folds(of_cells, min(N_FOLDS, len(set(of_cells))))
    return folds[: 2 if fast else None]


def compare(
    data, folder, *, preselect=None, n_genes=None, groups=None, everything=False, fast=False, fresh=False, n_jobs=1
):  # fmt: skip
    """Cross-validate, or load, the default network and ridge, and if asked for `everything` the published models."""
    model = _default(data, preselect, n_genes, fast)
    models = {"cv_ridge": (LeaveOneOutRidge(), {}), "cv_default": (model, {"n_components": [2]})}
    if everything:
        published = cross_validations(with_preselected(data, preselect)[0], fast)
        models |= {name: (published[name].estimator, published[name].param_grid) for name in ("cv_network", "cv_srrr")}
    folds = folds_for(data, groups, fast)
    how = {"n_jobs": n_jobs, "overwrite": fresh, "seed": SEED, "preselect": preselect}
    return {
        name: cross_validate(estimator, data, folds, grid, results=Path(folder) / f"{name}.pickle", **how)
        for name, (estimator, grid) in models.items()
    }


def run_own_data(data, folder, *, preselect=None, n_genes=None, groups=None, fast=False, fresh=False, n_jobs=1):
    """Compute, or load, all records of the report, by experiment; the model of all cells goes to `MODEL` in the folder.

    `preselect` genes are chosen on the training cells of every fold (None: all are given to the models), the network
    keeps `n_genes`, and cells of one of the `groups`, such as a donor, are never both trained on and tested.
    """
    folder = Path(folder)
    model = _default(data, preselect, n_genes, fast)
    how = {"preselect": preselect, "n_jobs": n_jobs}
    sizes = {"preselect": preselect, "n_genes": n_genes, "fast": fast, "fresh": fresh}
    records = compare(data, folder, groups=groups, n_jobs=n_jobs, **sizes)
    mapped = clone(model).set_params(reconstruct=True)
    saved = {"preselect": preselect, "overwrite": fresh}
    records["fit_default_2d"] = fit_full(
        mapped, data, results=folder / "fit_default_2d.pickle", model_file=folder / MODEL, seed=SEED, **saved
    )
    records["halves_default"] = stability_selection(
        model, data, 2 if fast else N_PAIRS,
        results=folder / "halves_default.pickle", overwrite=fresh, seed=SEED, **how,
    )  # fmt: skip
    records["interpretation"] = run_interpretation(data, folder, **sizes)
    records["components"] = principal_components(data, results=folder / "components.pickle", **saved)
    records["tsne"] = tsne_maps(data, results=folder / "tsne.pickle", seed=SEED, **saved)
    records["map_trust"] = run_map_trust(data, folder, **sizes)
    for name in ("fit_default_2d", "tsne"):
        _with_labels_of(data, records[name], folder / f"{name}.pickle")
    return records


def _default(data, preselect, n_genes, fast):
    """The default network with two units, for as many genes as it is given."""
    chosen, _ = with_preselected(data, preselect)
    return network(chosen, fast, n_genes, protocol="distilled", n_components=2)


def _with_labels_of(data, record, path):
    """Give a record the labels of the data: they decide no result, so that it may have been saved with others."""
    labels = data.labels[["family", "type"]]
    if not (record.labels.equals(labels) and record.colors == data.colors):
        record.values |= {"labels": labels, "colors": dict(data.colors)}
        save(record, path)
