"""Fitted models as records: a file that `sbnn.results.load` opens, which runs no code."""

from dataclasses import asdict

import numpy as np
import torch

from sbnn.mechanism_shift.network import ShiftNetwork
from sbnn.mechanism_shift.priors import FixedMeans
from sbnn.mechanism_shift.recipe import Recipe
from sbnn.mechanism_shift.spike_slab import SpikeSlab
from sbnn.mechanism_shift.unmixing import Unmixing
from sbnn.results import Record, load, save

KIND = "sparse-shift model"
PLAIN = ("perturbations_", "control_", "median_total_", "n_features_in_", "validation_", "shift_graph_", "history_")
PARTS = ("matrix", "origin", "shifts", "probabilities", "objective", "starts", "unmoved")  # of an Unmixing


def save_model(model, path):
    """Write a fitted `SparseShiftVAE`, see its method `save`."""
    params = model.get_params() | {"recipe": asdict(model._fitted_recipe)}
    if not isinstance(params["random_state"], int | np.integer | None):
        params["random_state"] = None  # the state of a generator is not part of a fitted model
    values = {name: getattr(model, name) for name in PLAIN}
    values |= {"network": {name: value.numpy() for name, value in model.network_.state_dict().items()}}
    values |= {"means": model.prior_.means().detach().numpy()}
    values |= {"mask": model.prior_.probabilities().detach().numpy()}
    values |= {"input_mean": model._mean.numpy(), "input_sd": model._sd.numpy()}
    values["gene_names"] = getattr(model, "feature_names_in_", None)
    values["unmixing"] = None
    if model.unmixing_ is not None:
        found = model.unmixing_
        values["unmixing"] = {name: getattr(found, name) for name in PARTS}
        values["unmixing"]["mixture"] = [float(value) for value in found.mixture]
        values["unmixing"]["unseparated"] = [list(pair) for pair in found.unseparated]
    save(Record(KIND, "", "", [params], values=values), path)


def load_model(cls, path):
    """Read a model of class `cls`, see its method `load`."""
    record = load(path)
    if record.experiment != KIND:
        raise ValueError(f"{path} holds {record.experiment!r}, expected a {KIND!r}")
    params, values = dict(record.params[0]), record.values
    try:
        model = cls(**params | {"recipe": Recipe(**params["recipe"])})
        model._fitted_recipe = model.recipe
        for name in PLAIN:
            setattr(model, name, values[name])
        if values["gene_names"] is not None:
            model.feature_names_in_ = values["gene_names"]
        model._mean, model._sd = (torch.from_numpy(np.array(values[name])) for name in ("input_mean", "input_sd"))
        network = ShiftNetwork(model.n_features_in_, model.n_latent, model.recipe, torch.ones(model.n_features_in_))
        network.load_state_dict({name: torch.as_tensor(np.array(v)) for name, v in values["network"].items()})
        model.network_ = network.eval()
        prior = FixedMeans(len(model.perturbations_), model.n_latent)
        prior.table, prior.mask = (torch.from_numpy(np.array(values[name])) for name in ("means", "mask"))
        if prior.table.shape != prior.shape or prior.mask.shape != prior.shape:
            raise ValueError("its means are not those of its perturbations")
        model.prior_ = prior
        parts = values["unmixing"]
        model.unmixing_ = None
        if parts is not None:
            pairs = [tuple(pair) for pair in parts["unseparated"]]
            parts = parts | {"mixture": SpikeSlab(*parts["mixture"]), "unseparated": pairs}
            model.unmixing_ = Unmixing(**parts)
    except (IndexError, KeyError, TypeError, RuntimeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is not a whole {KIND}: {error}") from error
    return model
