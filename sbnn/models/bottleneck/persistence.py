"""Fitted networks as single safetensors files: arrays and JSON, so that opening one never runs code."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from sbnn.models.bottleneck.network import BottleneckNetwork
from sbnn.results import library_versions, write_atomically

FORMAT = "sbnn-model-2"
ARRAYS = ("support_", "gene_norms_", "x_mean_", "x_scale_", "x_min_", "x_max_", "y_mean_", "y_scale_")


def save_model(model, path):
    """Write a fitted `SparseBottleneckRegressor`, see its method `save`."""
    params = model.get_params()
    if not (params["random_state"] is None or isinstance(params["random_state"], int | np.integer)):
        params["random_state"] = None  # the state of a generator is not part of a trained model
    header = {
        "format": FORMAT,
        "params": params,
        "versions": library_versions(),
        "shapes": model.network_.shapes,
        "activation": model.network_.activation,
        "flat_output": model._flat_output,
        "library_size": getattr(model, "library_size_", None),
        "output_names": list(model.output_names_),
        "feature_names_in": list(getattr(model, "feature_names_in_", [])),
        "history": model.history_.to_dict(orient="list"),
    }
    tensors = {name: torch.as_tensor(getattr(model, name)) for name in ARRAYS}
    tensors["network"] = model.network_.flat
    if model._gene_network is not None:
        tensors["gene_network"] = model._gene_network.flat
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(save(tensors, {"sbnn": json.dumps(header, default=_plain)}), path)
    return Path(path)


def load_model(cls, path):
    """Read a fitted estimator of class `cls`, see its method `load`."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model at {path}")
    content = path.read_bytes()
    try:
        tensors = load(content)
        size = int.from_bytes(content[:8], "little")
        header = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["sbnn"])
    except (SafetensorError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is not a model of sbnn, or it is truncated: {error}") from error
    if header.get("format") != FORMAT:
        raise ValueError(f"{path} has the format {header.get('format')!r}, expected {FORMAT!r}")

    model = cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in header["params"].items()})
    for name in ARRAYS:
        setattr(model, name, tensors[name].numpy())
    model.n_features_in_ = len(model.support_)
    if header["feature_names_in"]:
        model.feature_names_in_ = np.array(header["feature_names_in"], dtype=object)
    model.output_names_ = np.array(header["output_names"], dtype=object)
    model.library_size_ = header.get("library_size")
    model._flat_output = header["flat_output"]
    model.history_ = pd.DataFrame(header["history"])
    device = model._torch_device()
    model.network_ = _rebuild(header["shapes"], header["activation"], tensors["network"], device)
    model._gene_network = None
    if "gene_network" in tensors:
        shapes = [*header["shapes"][:-1], (header["shapes"][-1][0], int(model.support_.sum()))]
        model._gene_network = _rebuild(shapes, header["activation"], tensors["gene_network"], device)
    return model


def _plain(value):
    """Numpy numbers as JSON sees them."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be saved with a model")


def _rebuild(shapes, activation, flat, device):
    """Build a network of these layer shapes with these weights."""
    n_hidden = (len(shapes) - 2) // 2
    network = BottleneckNetwork(
        n_inputs=shapes[0][0],
        n_outputs=shapes[-1][1],
        n_components=shapes[n_hidden][1],
        hidden_layers=tuple(shape[1] for shape in shapes[:n_hidden]),
        activation=activation,
        generator=torch.Generator(),
    )
    network.flat.copy_(flat)
    return network.to(device)
