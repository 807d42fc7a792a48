"""Fitted networks as safetensors files."""

from functools import partial

import numpy as np
import pandas as pd
import torch

from sbnn.data.count_normalizer import CountNormalizer
from sbnn.models.bottleneck.network import ACTIVATIONS, BottleneckNetwork, n_values
from sbnn.models.bottleneck.settings import DistilledSettings
from sbnn.models.tensor_files import load_tensors, params_of, require, write_tensors

FORMAT = "sbnn-model-4"
OF_GENES = ("support_", "gene_norms_", "x_mean_", "x_scale_", "x_min_", "x_max_")
OF_OUTPUTS = ("y_mean_", "y_scale_")
# parameters of the training in files of version 1.0, without effect on a fitted network
FORMER_PARAMS = ("gene_prior", "prior_influence")


def save_model(model, path, normalizer=None):
    """Write a fitted network, and the normaliser of counts if there is one."""
    header = {
        "class": type(model).__name__,
        "params": params_of(model),
        "shapes": model.network_.shapes,
        "activation": model.network_.activation,
        "flat_output": model._flat_output,
        "library_size": None if normalizer is None else normalizer.library_size_,
        "output_names": list(model.output_names_),
        "feature_names_in": list(getattr(model, "feature_names_in_", [])),
        "history": model.history_.to_dict(orient="list"),
    }
    tensors = {name: torch.as_tensor(getattr(model, name)) for name in OF_GENES + OF_OUTPUTS}
    tensors["network"] = model.network_.flat
    if model._gene_network is not None:
        tensors["gene_network"] = model._gene_network.flat
    if normalizer is not None:
        tensors["count_share_"] = torch.as_tensor(normalizer.count_share_)
    return write_tensors(path, FORMAT, header, tensors)


def load_model(path, classes):
    """Read a fitted network of one of the given classes."""
    return load_tensors(path, FORMAT, "an sbnn model", partial(_model, classes))


def _model(classes, header, tensors):
    name = header["class"]
    by_name = {cls.__name__: cls for cls in classes}
    require(name in by_name, f"it holds a {name[:50]}; load it with sbnn.{name[:50]}.load")
    model = by_name[name](**_params(header))
    shapes = [tuple(shape) for shape in header["shapes"]]  # (inputs, outputs) of every layer
    n_kept, _ = shapes[0]
    n_last_units, n_outputs = shapes[-1]
    n_genes = len(tensors["support_"])
    model._check_params(n_genes)
    _set_genes_and_outputs(model, header, tensors, n_genes, n_outputs)
    require(model.support_.sum() == n_kept, f"support_: expected {n_kept} genes")
    model.history_ = pd.DataFrame(header["history"])
    model.normalizer_ = None
    if "count_share_" in tensors:
        shares = _vector(tensors, "count_share_", n_genes)
        model.normalizer_ = _normalizer(model, header["library_size"], shares)
    device = model._torch_device()
    activation = header["activation"]
    model.network_ = _network(shapes, activation, tensors["network"]).to(device)
    model._gene_network = None
    if "gene_network" in tensors:
        gene_shapes = [*shapes[:-1], (n_last_units, n_kept)]
        gene_network = _network(gene_shapes, activation, tensors["gene_network"])
        model._gene_network = gene_network.to(device)
    return model


def _params(header):
    params = {}
    for name, value in header["params"].items():
        if name in FORMER_PARAMS:
            continue
        if isinstance(value, list):
            value = tuple(value)
        elif name == "distillation" and value is not None:
            value = {key: tuple(v) if isinstance(v, list) else v for key, v in value.items()}
            value = DistilledSettings(**value)
        params[name] = value
    return params


def _set_genes_and_outputs(model, header, tensors, n_genes, n_outputs):
    for name in OF_GENES:
        setattr(model, name, _vector(tensors, name, n_genes))
    for name in OF_OUTPUTS:
        setattr(model, name, _vector(tensors, name, n_outputs))
    model.n_features_in_ = n_genes
    if header["feature_names_in"]:
        model.feature_names_in_ = _names(header, "feature_names_in", n_genes)
    model.output_names_ = _names(header, "output_names", n_outputs)
    model._flat_output = header["flat_output"]
    require(n_outputs == 1 or not model._flat_output, "flat_output: expected one output")


def _vector(tensors, name, size):
    values = tensors[name].numpy()
    require(values.shape == (size,), f"{name}: expected {size} values, got {values.shape}")
    return values


def _names(header, entry, size):
    names = header[entry]
    require(len(names) == size, f"{entry}: expected {size} names, got {len(names)}")
    return np.array(names, dtype=object)


def _normalizer(model, size, shares):
    normalizer = CountNormalizer()
    normalizer.library_size_ = size
    normalizer.count_share_ = shares
    normalizer.n_features_in_ = model.n_features_in_
    if hasattr(model, "feature_names_in_"):
        normalizer.feature_names_in_ = model.feature_names_in_
    return normalizer


def _network(shapes, activation, flat):
    require(activation in ACTIVATIONS, f"activation: expected one of {list(ACTIVATIONS)}")
    size = sum(map(n_values, shapes))
    require(flat.shape == (size,), f"network: expected {size} weights, got {len(flat)}")
    *hidden_layers, width = (outputs for _, outputs in shapes[: len(shapes) // 2])
    generator = torch.Generator()
    network = BottleneckNetwork(
        shapes[0][0], shapes[-1][1], width, hidden_layers, activation, generator=generator
    )
    require(network.shapes == shapes, "shapes: expected a decoder that mirrors the encoder")
    network.flat.copy_(flat)
    return network
