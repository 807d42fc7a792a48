"""Fitted networks as safetensors files."""

from functools import partial

import numpy as np
import pandas as pd
import torch

from sbnn.data.count_normalizer import CountNormalizer
from sbnn.models.bottleneck.network import BottleneckNetwork
from sbnn.models.bottleneck.settings import DistilledSettings
from sbnn.models.tensor_files import load_tensors, params_of, require, write_tensors

FORMAT = "sbnn-model-5"
OF_GENES = ("support_", "gene_norms_", "x_mean_", "x_scale_", "x_min_", "x_max_")
OF_OUTPUTS = ("y_mean_", "y_scale_")


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
    model = by_name[name](**_params(header["params"]))
    for name in OF_GENES + OF_OUTPUTS:
        setattr(model, name, tensors[name].numpy())
    model.n_features_in_ = len(model.support_)
    if header["feature_names_in"]:
        model.feature_names_in_ = np.array(header["feature_names_in"], dtype=object)
    model.output_names_ = np.array(header["output_names"], dtype=object)
    model._flat_output = header["flat_output"]
    model.history_ = pd.DataFrame(header["history"])
    model.normalizer_ = None
    if "count_share_" in tensors:
        model.normalizer_ = _normalizer(model, header["library_size"], tensors["count_share_"])
    shapes = [tuple(shape) for shape in header["shapes"]]  # (inputs, outputs) of every layer
    model.network_ = _network(model, shapes, header["activation"], tensors["network"])
    model._gene_network = None
    if "gene_network" in tensors:
        gene_shapes = [*shapes[:-1], (shapes[-1][0], shapes[0][0])]
        flat = tensors["gene_network"]
        model._gene_network = _network(model, gene_shapes, header["activation"], flat)
    return model


def _params(values):
    params = {}
    for name, value in values.items():
        if name == "distillation" and value is not None:
            value = DistilledSettings(**value)
        params[name] = tuple(value) if isinstance(value, list) else value
    return params


def _normalizer(model, size, shares):
    normalizer = CountNormalizer()
    normalizer.library_size_ = size
    normalizer.count_share_ = shares.numpy()
    normalizer.n_features_in_ = model.n_features_in_
    if hasattr(model, "feature_names_in_"):
        normalizer.feature_names_in_ = model.feature_names_in_
    return normalizer


def _network(model, shapes, activation, flat):
    *hidden_layers, width = (outputs for _, outputs in shapes[: len(shapes) // 2])
    sizes = shapes[0][0], shapes[-1][1], width, hidden_layers
    network = BottleneckNetwork(*sizes, activation, generator=torch.Generator())
    network.flat.copy_(flat)
    return network.to(model._torch_device())
