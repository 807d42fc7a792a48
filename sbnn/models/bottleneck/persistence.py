"""Fitted networks as single safetensors files: arrays and JSON, so that opening one never runs code.

The header holds a checksum of the whole file, and `load_model` takes nothing on trust: a file is a model whose every
entry has the type, shape and range that a fitted model has, or it is refused.
"""

import hashlib
import json
import math
import re
import warnings
from typing import get_args

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load, save

from sbnn.models.bottleneck.gene_prior import GenePrior, spelled_out
from sbnn.models.bottleneck.network import ACTIVATIONS, BottleneckNetwork
from sbnn.models.bottleneck.parameters import check_params
from sbnn.models.bottleneck.protocols.settings import DistilledSettings
from sbnn.results import library_versions, results_path, write_atomically

FORMAT = "sbnn-model-3"
FORMAT_WITHOUT_CHECKSUM = "sbnn-model-2"
OF_GENES = ("support_", "gene_norms_", "x_mean_", "x_scale_", "x_min_", "x_max_")
OF_OUTPUTS = ("y_mean_", "y_scale_")
OPTIONAL = {"gene_network", "count_share_"}  # the latter of models of counts, but not in files of older versions
ENTRIES = {
    "format": str,
    "sha256": str,
    "params": dict,
    "versions": dict,
    "shapes": list,
    "activation": str,
    "flat_output": bool,
    "library_size": float | None,
    "output_names": list,
    "feature_names_in": list,
    "history": dict,
}
SINCE_CHECKSUM = {"sha256", "library_size"}  # entries that older files lack
DEVICES = ("cpu", "cuda", "mps", "xpu")  # torch knows others, some of which hold no numbers
MOST_THREADS = 1024
UNSET = "0" * 64  # the checksum while it is computed
CHECKSUM = re.compile(rb'(?<=\\"sha256\\": \\")[0-9a-f]{64}(?=\\")')  # in the header, JSON within a text of JSON


def save_model(model, path):
    """Write a fitted `SparseBottleneckRegressor`, see its method `save`."""
    params = model.get_params()
    if not (params["random_state"] is None or isinstance(params["random_state"], int | np.integer)):
        params["random_state"] = None  # the state of a generator is not part of a trained model
    if params["gene_prior"] is not None:
        params["gene_prior"] = spelled_out(params["gene_prior"])
    header = {
        "format": FORMAT,
        "sha256": UNSET,
        "params": params,
        "versions": library_versions(),
        "shapes": model.network_.shapes,
        "activation": model.network_.activation,
        "flat_output": model._flat_output,
        "library_size": None if (size := getattr(model, "library_size_", None)) is None else float(size),
        "output_names": list(model.output_names_),
        "feature_names_in": list(getattr(model, "feature_names_in_", [])),
        "history": model.history_.to_dict(orient="list"),
    }
    tensors = {name: torch.as_tensor(getattr(model, name)) for name in (*OF_GENES, *OF_OUTPUTS)}
    tensors["network"] = model.network_.flat
    if model._gene_network is not None:
        tensors["gene_network"] = model._gene_network.flat
    if getattr(model, "count_share_", None) is not None:
        tensors["count_share_"] = torch.as_tensor(model.count_share_)
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    _require_tensors(tensors, header["shapes"])
    content = save(tensors, {"sbnn": json.dumps(header, default=_plain)})
    write_atomically(_with_checksum(content, _checksum(content)), path)
    return results_path(path)


def load_model(cls, path):
    """Read a fitted estimator of class `cls`, see its method `load`."""
    path = results_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model at {path}")
    content = path.read_bytes()
    try:
        return _model(cls, *_parts(content))
    # The last four: what an estimator makes of parameters of any kind, and torch of a device that is not there.
    except (ValueError, MemoryError, OverflowError, TypeError, RuntimeError, AssertionError) as error:
        raise ValueError(f"{path} is not a model of sbnn that can be read here: {error}") from error


def _parts(content):
    """Header and tensors of a file, the header with entries of the right type."""
    try:
        tensors = load(content)
        header = json.loads(json.loads(content[slice(*_header_range(content))])["__metadata__"]["sbnn"])
    except Exception as error:  # safetensors and JSON raise nearly anything on garbage
        raise ValueError(f"it has no tensors or no header, or is truncated: {error}") from error
    known = (FORMAT, FORMAT_WITHOUT_CHECKSUM)
    if not isinstance(header, dict) or header.get("format") not in known:
        found = header.get("format") if isinstance(header, dict) else None
        raise ValueError(f"it has the format {str(found)[:40]!r}, expected one of {known}")
    entries = ENTRIES.keys() - (SINCE_CHECKSUM if header["format"] == FORMAT_WITHOUT_CHECKSUM else set())
    wrong = sorted(header.keys() ^ entries)
    wrong = wrong or [
        name for name in entries if type(header[name]) not in (get_args(ENTRIES[name]) or [ENTRIES[name]])
    ]
    if wrong:
        raise ValueError(f"its header lacks these entries, should not have them, or has another type: {wrong[:20]}")
    if "sha256" in header and header["sha256"] != _checksum(content):
        raise ValueError("it is altered, its checksum is not that of its content")
    return header, tensors


def _header_range(content):
    """Bytes of a safetensors file in which its header is."""
    return 8, min(8 + int.from_bytes(content[:8], "little"), len(content))


def _with_checksum(content, checksum):
    """A file with another checksum in its header."""
    found = CHECKSUM.search(content, *_header_range(content))
    if found is None:
        raise ValueError("its header has no checksum")
    return content[: found.start()] + checksum.encode() + content[found.end() :]


def _checksum(content):
    """SHA-256 of a file, with zeros where it says it; str."""
    return hashlib.sha256(_with_checksum(content, UNSET)).hexdigest()


def _model(cls, header, tensors):
    """Build the estimator from the parts of a file."""
    shapes = header["shapes"]
    _require_layers(shapes)
    _require_tensors(tensors, shapes)
    n_genes, n_outputs = len(tensors["support_"]), shapes[-1][1]
    for name, lengths in (("output_names", {n_outputs}), ("feature_names_in", {0, n_genes})):
        _require(
            len(header[name]) in lengths and all(isinstance(text, str) for text in header[name]),
            f"{name}: expected a name for each",
        )
    size = header.get("library_size")
    _require(size is None or 0 < size < np.inf, f"library_size: expected counts per cell, got {size}")
    _require("count_share_" not in tensors or size is not None, "count_share_: it has no library_size")
    _require(header["activation"] in ACTIVATIONS, f"activation: expected one of {sorted(ACTIVATIONS)}")
    _require(not header["flat_output"] or n_outputs == 1, f"flat_output: there are {n_outputs} outputs")

    model = _estimator(cls, header["params"], n_genes)
    for name in (*OF_GENES, *OF_OUTPUTS):
        setattr(model, name, tensors[name].numpy())
    model.n_features_in_ = n_genes
    if header["feature_names_in"]:
        model.feature_names_in_ = np.array(header["feature_names_in"], dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        GenePrior.of(model, n_genes)
    model.output_names_ = np.array(header["output_names"], dtype=object)
    model.library_size_ = header.get("library_size")
    model.count_share_ = tensors["count_share_"].numpy() if "count_share_" in tensors else None
    model._flat_output = header["flat_output"]
    model.history_ = _history(header["history"])
    device = model._torch_device()
    _require(device.type in DEVICES, f"device: expected one of {DEVICES}, got {device.type!r}")
    model.network_ = _network(shapes, header["activation"], tensors["network"], device)
    model._gene_network = None
    if "gene_network" in tensors:
        shapes = _head_for_genes(shapes)
        model._gene_network = _network(shapes, header["activation"], tensors["gene_network"], device)
    return model


def _require(condition, message):
    if not condition:
        raise ValueError(message)


def _require_layers(shapes):
    """Check that these are shapes of the layers of a network whose decoder mirrors its encoder."""
    pairs = all(isinstance(shape, list) and len(shape) == 2 for shape in shapes)
    _require(
        pairs and len(shapes) >= 4 and all(type(n) is int and 0 < n < 2**31 for shape in shapes for n in shape),
        "shapes: expected (inputs, outputs) of four layers or more",
    )
    widths = [shapes[0][0], *(shape[1] for shape in shapes)]
    inner = widths[1:-1]
    _require(
        inner == inner[::-1] and len(inner) % 2 and [shape[0] for shape in shapes] == widths[:-1],
        f"shapes: expected layers that fit together, the decoder mirroring the encoder, got widths {widths[:20]}",
    )


def _head_for_genes(shapes):
    """Shapes of the layers of the network that reconstructs the genes of a network."""
    return [*shapes[:-1], (shapes[-1][0], shapes[0][0])]


def _require_tensors(tensors, shapes):
    """Check shape, type and range of every tensor of a model whose layers have these shapes."""
    names = {*OF_GENES, *OF_OUTPUTS, "network"}
    _require(tensors.keys() - OPTIONAL == names, f"expected the tensors {sorted(names)}, got {sorted(tensors)}")
    n_genes, n_outputs = tensors["support_"].numel(), shapes[-1][1]
    sizes = dict.fromkeys((*OF_GENES, "count_share_"), n_genes) | dict.fromkeys(OF_OUTPUTS, n_outputs)
    sizes |= {"network": _n_weights(shapes), "gene_network": _n_weights(_head_for_genes(shapes))}
    for name in ("network", *sorted(tensors.keys() - {"network"})):  # the file has them in any order
        tensor = tensors[name]
        types = {"support_": (torch.bool,), "network": (torch.float32,), "gene_network": (torch.float32,)}
        types = types.get(name, (torch.float32, torch.float64))
        _require(
            tensor.shape == (sizes[name],) and tensor.dtype in types,
            f"{name}: expected {sizes[name]} numbers of {types}, got {tuple(tensor.shape)} of {tensor.dtype}",
        )
        if name in ("x_min_", "x_max_"):
            _require(not tensor.isnan().any(), f"{name}: expected numbers, got NaN")
        elif name != "support_":
            _require(tensor.isfinite().all(), f"{name}: expected finite numbers")
    support, x_scale = tensors["support_"], tensors["x_scale_"]
    _require((support.view(torch.uint8) <= 1).all(), "support_: expected truth values")
    _require(support.sum() == shapes[0][0], f"support_: expected {shapes[0][0]} genes, got {support.sum()}")
    _require((tensors["gene_norms_"] >= 0).all(), "gene_norms_: expected numbers >= 0")
    if "count_share_" in tensors:
        shares = tensors["count_share_"]
        _require((shares >= 0).all() and abs(shares.sum() - 1) < 1e-3, "count_share_: expected shares that add up to 1")
    low, high = tensors["x_min_"], tensors["x_max_"]
    _require(((low <= high) & (low < math.inf) & (high > -math.inf)).all(), "x_min_: expected limits below x_max_")
    # A model that was fitted to a stream knows the scales of its own genes only; the others are 0.
    _require((x_scale >= 0).all() and (x_scale[support] > 0).all(), "x_scale_: expected positive numbers")
    _require((tensors["y_scale_"] > 0).all(), "y_scale_: expected positive numbers")


def _n_weights(shapes):
    """Weights and biases of layers."""
    return sum((inputs + 1) * outputs for inputs, outputs in shapes)


def _estimator(cls, params, n_genes):
    """An estimator with parameters that could have been fitted to so many genes."""
    unknown = sorted(params.keys() - set(cls().get_params()))
    _require(not unknown, f"params: {unknown[:20]} are unknown to {cls.__name__}")
    params = {name: tuple(value) if isinstance(value, list) else value for name, value in params.items()}
    if params.get("distillation") is not None:
        params["distillation"] = DistilledSettings.from_dict(params["distillation"])
    model = cls(**params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what `fit` has warned of
        check_params(model, np.empty((0, n_genes)))
    _require(model.n_threads <= MOST_THREADS, f"n_threads: expected at most {MOST_THREADS}, got {model.n_threads}")
    return model


def _history(columns):
    """Table of the training, from lists of one length."""
    lists = all(isinstance(column, list) for column in columns.values())
    _require(lists and len(set(map(len, columns.values()))) <= 1, "history: expected lists of one length")
    plain = all(
        value is None or isinstance(value, float | int | str) for column in columns.values() for value in column
    )
    _require(plain, "history: expected numbers and text")
    return pd.DataFrame(columns)


def _plain(value):
    """Numpy numbers and settings as JSON sees them."""
    if isinstance(value, DistilledSettings):
        return value.to_dict()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} cannot be saved with a model")


def _network(shapes, activation, flat, device):
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
