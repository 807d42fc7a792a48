"""Save fitted networks as safetensors files with a checksum; they hold arrays and JSON, so loading runs no code."""

import dataclasses
import hashlib
import json
import warnings
from numbers import Integral

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load, save

from sbnn.data.count_normalizer import CountNormalizer
from sbnn.models.bottleneck.gene_prior import GenePrior, spelled_out
from sbnn.models.bottleneck.network import ACTIVATIONS, BottleneckNetwork
from sbnn.models.bottleneck.settings import DistilledSettings
from sbnn.results import library_versions, results_path, write_atomically

FORMAT = "sbnn-model-4"
# Files of this format, from when one class had both protocols, are still read.
FORMER_FORMAT = "sbnn-model-3"
FORMER_CLASSES = {
    "paper": "SparseBottleneckRegressor",
    "distilled": "DistilledBottleneckRegressor",
}
OF_GENES = ("support_", "gene_norms_", "x_mean_", "x_scale_", "x_min_", "x_max_")
OF_OUTPUTS = ("y_mean_", "y_scale_")
OPTIONAL = {"gene_network", "count_share_"}  # only models fitted to counts have count_share_
ENTRIES = {
    "format": (str,),
    "sha256": (str,),
    "class": (str,),
    "params": (dict,),
    "versions": (dict,),
    "shapes": (list,),
    "activation": (str,),
    "flat_output": (bool,),
    "library_size": (float, type(None)),
    "output_names": (list,),
    "feature_names_in": (list,),
    "history": (dict,),
}
DEVICES = ("cpu", "cuda", "mps", "xpu")  # torch supports other devices, some of which store no data
UNSET = "0" * 64  # placeholder for the checksum in the header


def save_model(model, path, normalizer=None):
    """Write a fitted network, and the normaliser of counts if there is one, to a file."""
    params = model.get_params()
    if not isinstance(params["random_state"], Integral | None):
        params["random_state"] = None  # the state of a generator is not part of a trained model
    if params["gene_prior"] is not None:
        params["gene_prior"] = spelled_out(params["gene_prior"])
    header = {
        "format": FORMAT,
        "sha256": UNSET,
        "class": type(model).__name__,
        "params": params,
        "versions": library_versions(),
        "shapes": model.network_.shapes,
        "activation": model.network_.activation,
        "flat_output": model._flat_output,
        "library_size": None if normalizer is None else normalizer.library_size_,
        "output_names": list(model.output_names_),
        "feature_names_in": list(getattr(model, "feature_names_in_", [])),
        "history": model.history_.to_dict(orient="list"),
    }
    tensors = {name: torch.as_tensor(getattr(model, name)) for name in (*OF_GENES, *OF_OUTPUTS)}
    tensors["network"] = model.network_.flat
    if model._gene_network is not None:
        tensors["gene_network"] = model._gene_network.flat
    if normalizer is not None:
        tensors["count_share_"] = torch.as_tensor(normalizer.count_share_)
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    _check_tensors(tensors, header["shapes"])
    content = save(tensors, {"sbnn": json.dumps(header, default=_plain)})
    path = results_path(path)
    write_atomically(_sealed(content), path, rb".{8}\{")
    return path


def _plain(value):
    """Convert NumPy numbers and settings to JSON types."""
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value.item()


def load_model(path, classes):
    """Read a fitted network of one of the given classes."""
    path = results_path(path)
    content = path.read_bytes()
    by_name = {cls.__name__: cls for cls in classes}
    try:
        header, tensors = _parts(content)
        name = header["class"]
        _require(name in by_name, f"it holds a {name[:50]}; load it with sbnn.{name[:50]}.load")
        return _model(by_name[name], header, tensors)
    # invalid files can raise nearly any error in safetensors, JSON, parameters or torch
    except Exception as error:
        raise ValueError(
            f"{path} is not an sbnn model that this version can read: {error}"
        ) from error


def _parts(content):
    """Read the header and tensors of a file, and check the types of the entries in the header."""
    tensors = load(content)
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8:end])["__metadata__"]["sbnn"])
    _require(
        isinstance(header, dict) and header.get("format") in (FORMAT, FORMER_FORMAT),
        f"expected the format {FORMAT}",
    )
    if header["format"] == FORMER_FORMAT:
        header = _as_now(header, tensors)
    wrong = header.keys() ^ ENTRIES.keys() or {
        name for name in ENTRIES if type(header[name]) not in ENTRIES[name]
    }
    _require(not wrong, f"entries are missing, unknown or of the wrong type: {sorted(wrong)[:20]}")
    _require(
        content == _sealed(content, header["sha256"]), "its checksum does not match its contents"
    )
    return header, tensors


def _as_now(header, tensors):
    """Header of the present format for a file of the former format, whose parameters include the protocol."""
    params = dict(header["params"])
    protocol = params.pop("protocol")
    unused = ["distillation"]
    if protocol == "distilled":
        unused = ["group_lasso", "pretraining", "epochs", "learning_rate", "batch_size"]
        unused += ["weight_decay", "n_clusters"]
    for name in unused:
        params.pop(name, None)
    if params["n_genes"] == "auto":
        params["n_genes"] = int(tensors["support_"].sum())
    return header | {"class": FORMER_CLASSES[protocol], "params": params}


def _require(condition, message):
    if not condition:
        raise ValueError(message)


def _sealed(content, old=UNSET):
    """Replace the checksum `old` by the SHA-256 of the file, computed with zeros in place of the checksum."""
    blank = content.replace(old.encode(), UNSET.encode(), 1)
    return content.replace(old.encode(), hashlib.sha256(blank).hexdigest().encode(), 1)


def _model(cls, header, tensors):
    """Build the estimator from the header and the tensors of a file."""
    shapes, names, genes = header["shapes"], header["output_names"], header["feature_names_in"]
    _check_layers(shapes)
    _check_tensors(tensors, shapes)
    n_genes, n_outputs, size = len(tensors["support_"]), shapes[-1][1], header["library_size"]
    _require(
        len(names) == n_outputs and len(genes) in (0, n_genes),
        "names: expected one per gene and output",
    )
    _require(all(isinstance(name, str) for name in (*names, *genes)), "names: expected text")
    _require(
        size is None or 0 < size < np.inf, f"library_size: expected a positive number, got {size}"
    )
    _require(
        "count_share_" not in tensors or size is not None,
        "count_share_: expected only with a library_size",
    )
    _require(
        header["activation"] in ACTIVATIONS, f"activation: expected one of {sorted(ACTIVATIONS)}"
    )
    _require(
        not header["flat_output"] or n_outputs == 1,
        f"flat_output: expected one output, got {n_outputs}",
    )

    params = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in header["params"].items()
    }
    if params.get("distillation") is not None:
        params["distillation"] = DistilledSettings(**params["distillation"])
    model = cls(**params)
    for name in (*OF_GENES, *OF_OUTPUTS):
        setattr(model, name, tensors[name].numpy())
    model.n_features_in_ = n_genes
    if genes:
        model.feature_names_in_ = np.array(genes, dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `fit` has already given these warnings
        model._check_params(n_genes)
        GenePrior.of(model, n_genes)
    model.output_names_ = np.array(names, dtype=object)
    model.normalizer_ = _normalizer(model, size, tensors)
    model._flat_output = header["flat_output"]
    fine = all(
        isinstance(value, float | int | str | None)
        for row in header["history"].values()
        for value in row
    )
    _require(fine, "history: expected numbers and text")
    model.history_ = pd.DataFrame(header["history"])
    device = model._torch_device()
    _require(device.type in DEVICES, f"device: expected one of {DEVICES}, got {device.type!r}")
    model.network_, model._gene_network = (
        _network(shapes, header["activation"], tensors["network"], device),
        None,
    )
    if "gene_network" in tensors:
        shapes = _head_for_genes(shapes)
        model._gene_network = _network(
            shapes, header["activation"], tensors["gene_network"], device
        )
    return model


def _normalizer(model, size, tensors):
    """The normaliser of counts of new cells, with the genes of the model, if the file has one."""
    if size is None or "count_share_" not in tensors:
        return None
    normalizer = CountNormalizer()
    normalizer.library_size_ = size
    normalizer.count_share_ = tensors["count_share_"].numpy()
    normalizer.n_features_in_ = model.n_features_in_
    if hasattr(model, "feature_names_in_"):
        normalizer.feature_names_in_ = model.feature_names_in_
    return normalizer


def _check_layers(shapes):
    """Reject shapes that cannot be the layers of a network whose decoder mirrors its encoder."""
    numbers = [n for layer in shapes for n in layer]
    _require(
        all(type(n) is int and 0 < n < 2**31 for n in numbers),
        "shapes: expected positive whole numbers",
    )
    widths = [shapes[0][0], *(outputs for _, outputs in shapes)]
    inner = widths[1:-1]
    fits = len(shapes) >= 4 and len(shapes) % 2 == 0 and inner == inner[::-1]
    fits = fits and [inputs for inputs, _ in shapes] == widths[:-1]
    _require(
        fits,
        f"shapes: expected layers that match, and a decoder that mirrors the encoder, got {widths[:20]}",
    )


def _head_for_genes(shapes):
    """Layer shapes of the network that reconstructs genes, given the `shapes` of the network that predicts outputs."""
    return [*shapes[:-1], (shapes[-1][0], shapes[0][0])]


def _check_tensors(tensors, shapes):
    """Reject tensors that do not belong to a model with the given layer shapes."""
    names = {*OF_GENES, *OF_OUTPUTS, "network"}
    _require(
        tensors.keys() - OPTIONAL == names,
        f"expected the tensors {sorted(names)}, got {sorted(tensors)}",
    )
    sizes = dict.fromkeys((*OF_GENES, "count_share_"), tensors["support_"].numel())
    sizes |= dict.fromkeys(OF_OUTPUTS, shapes[-1][1])
    for name, layers in (("network", shapes), ("gene_network", _head_for_genes(shapes))):
        sizes[name] = sum((inputs + 1) * outputs for inputs, outputs in layers)
    types = {"support_": [torch.bool], "network": [torch.float32], "gene_network": [torch.float32]}
    for name, tensor in tensors.items():
        fits = tensor.shape == (sizes[name],) and tensor.dtype in types.get(
            name, [torch.float32, torch.float64]
        )
        _require(
            fits,
            f"{name}: expected {sizes[name]} numbers, got {tuple(tensor.shape)} of {tensor.dtype}",
        )
        finite = ~tensor.isnan() if name in ("x_min_", "x_max_") else tensor.isfinite()
        _require(finite.all(), f"{name}: expected finite numbers")
    support, x_scale, low, high = (
        tensors[name] for name in ("support_", "x_scale_", "x_min_", "x_max_")
    )
    _require((support.view(torch.uint8) <= 1).all(), "support_: expected boolean values")
    _require(
        support.sum() == shapes[0][0],
        f"support_: expected {shapes[0][0]} genes, got {support.sum()}",
    )
    _require(
        ((low <= high) & (low < np.inf) & (high > -np.inf)).all(),
        "x_min_: expected limits below x_max_",
    )
    # A model fitted to a stream has scales only for the genes it uses; the scales of all other
    # genes are 0.
    _require(
        (x_scale >= 0).all() and (x_scale[support] > 0).all(), "x_scale_: expected positive numbers"
    )
    _require((tensors["y_scale_"] > 0).all(), "y_scale_: expected positive numbers")
    _require((tensors["gene_norms_"] >= 0).all(), "gene_norms_: expected numbers >= 0")
    shares = tensors.get("count_share_")
    fine = shares is None or ((shares >= 0).all() and abs(shares.sum() - 1) < 1e-3)
    _require(fine, "count_share_: expected shares >= 0 that sum to 1")


def _network(shapes, activation, flat, device):
    """Build a network with the given layer shapes and weights."""
    *hidden_layers, width = (outputs for _, outputs in shapes[: len(shapes) // 2])
    sizes = shapes[0][0], shapes[-1][1], width, tuple(hidden_layers)
    network = BottleneckNetwork(*sizes, activation, generator=torch.Generator())
    network.flat.copy_(flat)
    return network.to(device)
