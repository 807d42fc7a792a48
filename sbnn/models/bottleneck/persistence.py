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
# types of tensors other than single and double precision
TYPES = {"support_": [torch.bool], "network": [torch.float32], "gene_network": [torch.float32]}
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
    wrong = header.keys() ^ ENTRIES.keys()
    _require(not wrong, f"entries are missing or unknown: {sorted(wrong)[:20]}")
    for name, types in ENTRIES.items():
        _require(type(header[name]) in types, f"{name}: entry of the wrong type")
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
    shapes = header["shapes"]
    _check_layers(shapes)
    _check_tensors(tensors, shapes)
    n_genes = len(tensors["support_"])
    _check_header(header, n_genes)
    model = _with_params(cls, header["params"])
    for name in (*OF_GENES, *OF_OUTPUTS):
        setattr(model, name, tensors[name].numpy())
    model.n_features_in_ = n_genes
    if header["feature_names_in"]:
        model.feature_names_in_ = np.array(header["feature_names_in"], dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `fit` has already given these warnings
        model._check_params(n_genes)
        GenePrior.of(model, n_genes)
    model.output_names_ = np.array(header["output_names"], dtype=object)
    model.normalizer_ = _normalizer(model, header["library_size"], tensors)
    model._flat_output = header["flat_output"]
    model.history_ = pd.DataFrame(header["history"])
    device = model._torch_device()
    _require(device.type in DEVICES, f"device: expected one of {DEVICES}, got {device.type!r}")
    activation = header["activation"]
    model.network_ = _network(shapes, activation, tensors["network"], device)
    model._gene_network = None
    if "gene_network" in tensors:
        shapes = _head_for_genes(shapes)
        model._gene_network = _network(shapes, activation, tensors["gene_network"], device)
    return model


def _check_header(header, n_genes):
    """Reject entries that do not belong to a model of `n_genes` genes with the layers of the header."""
    outputs = header["output_names"]
    genes = header["feature_names_in"]
    n_outputs = header["shapes"][-1][1]
    _require(len(outputs) == n_outputs, f"names: expected one for each of {n_outputs} outputs")
    _require(len(genes) in (0, n_genes), f"names: expected one for each of {n_genes} genes")
    for name in (*outputs, *genes):
        _require(isinstance(name, str), "names: expected text")
    size = header["library_size"]
    if size is not None:
        _require(0 < size < np.inf, f"library_size: expected a positive number, got {size}")
    activations = sorted(ACTIVATIONS)
    _require(header["activation"] in activations, f"activation: expected one of {activations}")
    if header["flat_output"]:
        _require(n_outputs == 1, f"flat_output: expected one output, got {n_outputs}")
    for column in header["history"].values():
        for value in column:
            is_plain = isinstance(value, float | int | str | None)
            _require(is_plain, "history: expected numbers and text")


def _with_params(cls, params):
    """An estimator that is not fitted yet, with the parameters of a header."""
    params = dict(params)
    for name, value in params.items():
        if isinstance(value, list):
            params[name] = tuple(value)
    if params.get("distillation") is not None:
        params["distillation"] = DistilledSettings(**params["distillation"])
    return cls(**params)


def _normalizer(model, size, tensors):
    """The normaliser of counts of new cells, with the genes of the model, if the file has one."""
    _require(
        "count_share_" not in tensors or size is not None,
        "count_share_: expected only with a library_size",
    )
    if "count_share_" not in tensors:
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
    for inputs, outputs in shapes:
        for number in (inputs, outputs):
            is_width = type(number) is int and 0 < number < 2**31
            _require(is_width, "shapes: expected positive whole numbers")
    _require(
        len(shapes) >= 4 and len(shapes) % 2 == 0,
        f"shapes: expected four layers or more, as many in the encoder, got {len(shapes)}",
    )
    widths = [inputs for inputs, _ in shapes]
    following = [outputs for _, outputs in shapes]
    inner = widths[1:]
    _require(
        following[:-1] == inner and inner == inner[::-1],
        "shapes: expected layers that match, and a decoder that mirrors the encoder, "
        f"got {shapes[:20]}",
    )


def _head_for_genes(shapes):
    """Layer shapes of the network that reconstructs genes, given the `shapes` of the network that predicts outputs."""
    return [*shapes[:-1], (shapes[-1][0], shapes[0][0])]


def _n_weights(shapes):
    """Number of weights and biases of layers of the given shapes."""
    return sum((inputs + 1) * outputs for inputs, outputs in shapes)


def _check_tensors(tensors, shapes):
    """Reject tensors that do not belong to a model with the given layer shapes."""
    names = {*OF_GENES, *OF_OUTPUTS, "network"}
    _require(
        tensors.keys() - OPTIONAL == names,
        f"expected the tensors {sorted(names)}, got {sorted(tensors)}",
    )
    sizes = dict.fromkeys((*OF_GENES, "count_share_"), tensors["support_"].numel())
    sizes |= dict.fromkeys(OF_OUTPUTS, shapes[-1][1])
    sizes["network"] = _n_weights(shapes)
    sizes["gene_network"] = _n_weights(_head_for_genes(shapes))
    for name, tensor in tensors.items():
        types = TYPES.get(name, [torch.float32, torch.float64])
        _require(
            tensor.shape == (sizes[name],) and tensor.dtype in types,
            f"{name}: expected {sizes[name]} numbers, got {tuple(tensor.shape)} of {tensor.dtype}",
        )
        finite = ~tensor.isnan() if name in ("x_min_", "x_max_") else tensor.isfinite()
        _require(finite.all(), f"{name}: expected finite numbers")
    _check_values(tensors, shapes[0][0])


def _check_values(tensors, n_kept):
    """Reject values that no fit gives; `n_kept` is the number of genes that the network takes."""
    support = tensors["support_"]
    _require((support.view(torch.uint8) <= 1).all(), "support_: expected boolean values")
    _require(support.sum() == n_kept, f"support_: expected {n_kept} genes, got {support.sum()}")
    low = tensors["x_min_"]
    high = tensors["x_max_"]
    _require((low <= high).all(), "x_min_: expected limits below x_max_")
    _require((low < np.inf).all(), "x_min_: expected limits below infinity")
    _require((high > -np.inf).all(), "x_max_: expected limits above minus infinity")
    # A model may have scales only for the genes it uses; the scales of all other genes are 0.
    scale = tensors["x_scale_"]
    _require((scale >= 0).all(), "x_scale_: expected positive numbers")
    _require((scale[support] > 0).all(), "x_scale_: expected positive numbers")
    _require((tensors["y_scale_"] > 0).all(), "y_scale_: expected positive numbers")
    _require((tensors["gene_norms_"] >= 0).all(), "gene_norms_: expected numbers >= 0")
    shares = tensors.get("count_share_")
    if shares is not None:
        is_whole = (shares >= 0).all() and abs(shares.sum() - 1) < 1e-3
        _require(is_whole, "count_share_: expected shares >= 0 that sum to 1")


def _network(shapes, activation, flat, device):
    """Build a network with the given layer shapes and weights."""
    *hidden_layers, width = (outputs for _, outputs in shapes[: len(shapes) // 2])
    n_inputs = shapes[0][0]
    n_outputs = shapes[-1][1]
    generator = torch.Generator()
    network = BottleneckNetwork(
        n_inputs, n_outputs, width, tuple(hidden_layers), activation, generator=generator
    )
    network.flat.copy_(flat)
    return network.to(device)
