"""Fitted networks as safetensors files."""

from functools import partial

import numpy as np
import pandas as pd
import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from sbnn.data.count_normalizer import CountNormalizer
from sbnn.models.bottleneck.network import BottleneckNetwork, values_of
from sbnn.models.bottleneck.settings import DistilledSettings
from sbnn.models.tensor_files import load_tensors, params_of, require, write_tensors

FORMAT = "sbnn-model-6"
OF_GENES = ("support_", "gene_norms_", "x_mean_", "x_scale_", "x_min_", "x_max_")
OF_OUTPUTS = ("y_mean_", "y_scale_")


def save_model(model, path, normalizer=None):
    """Write a fitted network, and the normaliser of counts if there is one."""
    weights = [layer.weight for layer in model.network_.layers]
    header = {
        "class": type(model).__name__,
        "params": params_of(model),
        "sizes": [*map(len, weights), len(model.y_mean_)],
        "activation": model.network_.activation,
        "flat_output": model._flat_output,
        "library_size": None,
        "output_names": list(model.output_names_),
        "feature_names_in": list(getattr(model, "feature_names_in_", [])),
        "history": model.history_.to_dict(orient="list"),
    }
    tensors = {name: torch.as_tensor(getattr(model, name)) for name in OF_GENES + OF_OUTPUTS}
    tensors["network"] = parameters_to_vector(values_of(model.network_.layers))
    if model._gene_network is not None:
        tensors["gene_network"] = parameters_to_vector(values_of(model._gene_network.layers))
    if normalizer is not None:
        header["library_size"] = normalizer.library_size_
        tensors["count_share_"] = torch.as_tensor(normalizer.count_share_)
    return write_tensors(path, FORMAT, header, tensors)


def load_model(cls, path):
    """Read a fitted network of the class."""
    return load_tensors(path, FORMAT, "an sbnn model", partial(_model, cls))


def _model(cls, header, tensors):
    """Build the estimator from the header and the tensors of a file."""
    name = header["class"][:50]
    require(name == cls.__name__, f"it holds a {name}; load it with sbnn.{name}.load")
    params = header["params"]
    for name, value in params.items():
        if isinstance(value, list):
            params[name] = tuple(value)
        if isinstance(value, dict):
            params[name] = DistilledSettings(**value)
    model = cls(**params)
    for name in OF_GENES + OF_OUTPUTS:
        setattr(model, name, tensors[name].numpy())
    for name in ("feature_names_in", "output_names"):
        if header[name]:
            setattr(model, f"{name}_", np.array(header[name], dtype=object))
    model.n_features_in_ = len(model.support_)
    model._flat_output = header["flat_output"]
    model.history_ = pd.DataFrame(header["history"])
    n_genes, *_, n_outputs = header["sizes"]
    model.network_ = _network(header, n_outputs, tensors["network"])
    model._gene_network = None
    if "gene_network" in tensors:
        model._gene_network = _network(header, n_genes, tensors["gene_network"])
    model.normalizer_ = None
    if "count_share_" in tensors:
        normalizer = model.normalizer_ = CountNormalizer()
        normalizer.library_size_ = header["library_size"]
        normalizer.count_share_ = tensors["count_share_"].numpy()
        normalizer.n_features_in_ = model.n_features_in_
        if header["feature_names_in"]:
            normalizer.feature_names_in_ = model.feature_names_in_
    return model


def _network(header, n_outputs, flat):
    sizes = [*header["sizes"][:-1], n_outputs]
    network = BottleneckNetwork(sizes, header["activation"], generator=torch.Generator())
    vector_to_parameters(flat, values_of(network.layers))
    return network
