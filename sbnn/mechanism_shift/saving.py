"""Files of a `SparseShiftVAE` (safetensors with a checksum); loading them runs no code."""

from functools import partial

import numpy as np
import pandas as pd
import torch
from pandas.api.types import is_numeric_dtype

from sbnn.mechanism_shift.network import Prior, ShiftNetwork
from sbnn.mechanism_shift.recipe import Recipe
from sbnn.mechanism_shift.unmixing import SpikeSlab, Unmixing
from sbnn.models.tensor_files import load_tensors, params_of, require, write_tensors

FORMAT = "sbnn-screen-model-1"
TABLES = ("history_", "shift_graph_", "gene_effects_")


def save_model(model, path):
    """Write a fitted model to a file."""
    header = {
        "params": params_of(model),
        "n_latent_": model.n_latent_,
        "recipe_": model.recipe_,
        "weight_precision_": model.weight_precision_,
        "control_": model.control_,
        "perturbations_": list(model.perturbations_),
        "n_features_in_": model.n_features_in_,
        "feature_names_in_": list(getattr(model, "feature_names_in_", [])),
        "unmixing_": None,
        "tables": {},
    }
    tensors = {
        "validation_": torch.as_tensor(model.validation_),
        "direct_": model.direct_,
        "shares_": model.shares_,
    }
    for part in ("network_", "prior_"):
        for name, tensor in getattr(model, part).state_dict().items():
            tensors[f"{part}.{name}"] = tensor
    unmixing = model.unmixing_
    if unmixing is not None:
        header["unmixing_"] = {
            "targets": list(unmixing.shifts.index),
            "latents": list(unmixing.shifts.columns),
            "mixture": [float(value) for value in unmixing.mixture],
            "unseparated": unmixing.unseparated,
            "unmoved": unmixing.unmoved,
        }
        for name in ("matrix", "origin", "shifts", "probabilities"):
            tensors[f"unmixing_.{name}"] = torch.tensor(np.asarray(getattr(unmixing, name)))
    for name in TABLES:
        if hasattr(model, name):
            header["tables"][name] = _packed(name, getattr(model, name), tensors)
    return write_tensors(path, FORMAT, header, tensors)


def _packed(name, table, tensors):
    """Add the columns of a table to the tensors; return its columns, with the levels of text."""
    levels = {}
    for column in table:
        values = table[column]
        levels[column] = None
        if not is_numeric_dtype(values):
            values, names = pd.factorize(values)
            levels[column] = list(names)
        tensors[f"{name}.{column}"] = torch.tensor(np.asarray(values))
    return levels


def load_model(cls, path):
    """Read a fitted model of the class."""
    return load_tensors(path, FORMAT, "a model of a screen", partial(_model, cls))


def _model(cls, header, tensors):
    """Build the estimator from the header and the tensors of a file."""
    # Sums depend on where memory begins, and tensors of a file begin anywhere.
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    params = header["params"]
    params["recipe"] = _recipes(params["recipe"])
    model = cls(**params)
    model._validate_params()
    model._candidates()  # checks the numbers of latents and the recipes
    model.recipe_ = Recipe(**header["recipe_"])
    for name in ("n_latent_", "weight_precision_", "control_", "n_features_in_"):
        setattr(model, name, header[name])
    model.perturbations_ = np.array(header["perturbations_"], dtype=str)
    names = header["feature_names_in_"]
    if names:
        model.feature_names_in_ = np.array(names, dtype=object)
    n_genes, n_perturbations = model.n_features_in_, len(model.perturbations_)
    require(len(names) in (0, n_genes), f"feature_names_in_: expected {n_genes} names")
    model.validation_ = tensors["validation_"].numpy()
    model.direct_ = tensors["direct_"]
    model.shares_ = tensors["shares_"]
    shapes = [(n_perturbations, 1), (n_perturbations, n_genes)]
    require(model.direct_.shape in shapes, f"direct_: expected {n_perturbations} x {n_genes}")
    require(model.shares_.shape == shapes[1], f"shares_: expected {n_perturbations} x {n_genes}")
    with torch.device("meta"):  # without memory for weights, which those of the file replace
        model.network_ = ShiftNetwork(n_genes, model.n_latent_, model.recipe_)
        model.prior_ = Prior(n_perturbations, model.n_latent_)
        if "prior_.logits" in tensors:
            model.prior_ = model._new_prior(model.n_latent_)
    for part in ("network_", "prior_"):
        getattr(model, part).load_state_dict(_under(part, tensors), assign=True)
    model.unmixing_ = None
    if header["unmixing_"] is not None:
        model.unmixing_ = _unmixing(header["unmixing_"], _under("unmixing_", tensors))
    for name, levels in header["tables"].items():
        require(name in TABLES, f"unknown table {name[:50]}")
        setattr(model, name, _unpacked(levels, _under(name, tensors)))
    return model


def _under(part, tensors):
    """The tensors of one part by their names within it."""
    start = f"{part}."
    return {name[len(start) :]: tensors[name] for name in tensors if name.startswith(start)}


def _recipes(given):
    if isinstance(given, list):
        return [Recipe(**fields) for fields in given]
    return None if given is None else Recipe(**given)


def _unmixing(header, tensors):
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    for name in ("shifts", "probabilities"):
        arrays[name] = pd.DataFrame(arrays[name], header["targets"], header["latents"])
    mixture = SpikeSlab(*header["mixture"])
    pairs = [tuple(pair) for pair in header["unseparated"]]
    return Unmixing(**arrays, mixture=mixture, unseparated=pairs, unmoved=header["unmoved"])


def _unpacked(levels, tensors):
    """The table whose columns were packed."""
    table = {}
    for column, names in levels.items():
        values = tensors[column].numpy()
        table[column] = values if names is None else pd.Index(names).take(values)
    return pd.DataFrame(table)
