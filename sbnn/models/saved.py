"""Fitted networks as safetensors files: arrays by name, and a header."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load, save
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sbnn.data.counts import CountNormalizer
from sbnn.determinism import reproducible
from sbnn.files import refuse_device, write_atomically
from sbnn.models.network import BottleneckNetwork
from sbnn.results import library_versions

FORMAT = "sbnn-model-7"
#: Beginning of a file: the length of the header of safetensors, and our own in it.
MODEL = rb'.{8}\{"__metadata__":\{"sbnn":'
ARRAYS = "support_", "gene_norms_", "x_mean_", "x_scale_", "x_min_", "x_max_", "y_mean_", "y_scale_"


class FileMixin(BaseEstimator):
    """A fitted network that can be written to a file."""

    _settings_class: type
    network_: BottleneckNetwork
    _gene_network: BottleneckNetwork | None  # with a head that predicts the kept genes
    history_: pd.DataFrame
    normalizer_: CountNormalizer | None
    output_names_: np.ndarray
    y_mean_: np.ndarray
    _flat_output: bool  # `fit` had outputs of shape (n,)

    @reproducible()  # whatever the default device of torch is
    def save(
        self,
        path: str | PathLike[str],
        normalizer: CountNormalizer | None = None,
        record: str | None = None,
    ) -> Path:
        """Write the model to a safetensors file (arrays and JSON, no code); return its path.

        Parameters
        ----------
        path : str or path-like
        normalizer : CountNormalizer, optional
            Fitted, for new cells; by default ``normalizer_``.
        record : str, optional
            Fingerprint of the results of the same fit.
        """
        check_is_fitted(self)
        header, tensors = self._header_and_tensors(normalizer or self.normalizer_)
        # as it is read, since a tuple is read as a list
        header = json.loads(json.dumps(header | {"record": record}, default=_to_json))
        header["sha256"] = _content_checksum(header, tensors)
        content = save(tensors, metadata={"sbnn": json.dumps(header)})
        write_atomically(content, path, beginning=MODEL)
        return Path(path)

    def _header_and_tensors(
        self, normalizer: CountNormalizer | None
    ) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Entries of the header of a file, and arrays by name."""
        sizes = [len(layer.weight) for layer in self.network_.layers]
        sizes.append(len(self.y_mean_))
        header = {
            "format": FORMAT,
            "versions": library_versions(),
            "class": type(self).__name__,
            "params": self.get_params(),
            "sizes": sizes,
            "activation": self.network_.activation,
            "flat_output": self._flat_output,
            "library_size": getattr(normalizer, "library_size_", None),
            "output_names": list(self.output_names_),
            "feature_names_in": list(getattr(self, "feature_names_in_", [])),
            "history": self.history_.to_dict(orient="list"),
        }
        # copies, as arrays of a model that joblib has mapped to memory are read-only
        tensors = {name: torch.tensor(getattr(self, name)) for name in ARRAYS}
        tensors |= _layer_tensors("network", self.network_)
        if self._gene_network is not None:
            tensors |= _layer_tensors("gene_network", self._gene_network)
        if hasattr(self, "gene_order_"):
            tensors["gene_order_"] = torch.tensor(self.gene_order_)
        if normalizer is not None:
            tensors["count_share_"] = torch.as_tensor(normalizer.count_share_)
        return header, tensors

    @classmethod
    @reproducible()
    def load(cls, path: str | Path) -> Self:
        """Read a model and its ``normalizer_``; a ValueError is raised if the file was altered."""
        header, tensors = _read_model_file(path)
        try:
            class_name = header["class"]
            if class_name != cls.__name__:
                raise ValueError(f"it holds a {class_name}; load it with sbnn.{class_name}.load")
            return cls._from_header_and_tensors(header, tensors)
        # a header of somebody who means harm can raise nearly any error in parameters or torch
        except Exception as error:
            raise ValueError(_refusal(path, error)) from error

    @classmethod
    def _from_header_and_tensors(
        cls, header: dict[str, Any], tensors: dict[str, torch.Tensor]
    ) -> Self:
        """Build the estimator of a file."""
        return _build_model(cls, header, tensors)


@reproducible()
def model_checksum(path: str | Path) -> str:
    """Verified checksum of a model file; a ValueError is raised if the file was altered."""
    header, _ = _read_model_file(path)
    return header["sha256"]


def read_class_name(path: str | Path) -> str:
    """Name of the class of the model in a file; a ValueError is raised if the file was altered."""
    header, _ = _read_model_file(path)
    return header["class"]


def _read_model_file(path):
    """Verified header and tensors of a file."""
    refuse_device(path)
    content = Path(path).read_bytes()
    try:
        tensors = load(content)
        # a safetensors file begins with the length of its own header, which holds ours
        end = 8 + int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8:end])["__metadata__"]
        header = json.loads(metadata["sbnn"])
        if header["format"] != FORMAT:
            raise ValueError(
                f"expected the format {FORMAT}, got {header['format']}; "
                "fit the model and save it again with this version"
            )
        if header["sha256"] != _content_checksum(header, tensors):
            raise ValueError("its checksum does not match its contents")
        return header, tensors
    # invalid files can raise nearly any error in safetensors or JSON
    except Exception as error:
        raise ValueError(_refusal(path, error)) from error


def _refusal(path, error):
    return f"{path} is not an sbnn model that this version can read: {error}"


def _content_checksum(header, tensors):
    """Checksum of all other entries of the header, and of names, kinds and values of tensors."""
    entries = {name: value for name, value in header.items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps(entries).encode())
    for name in sorted(tensors):
        array = tensors[name].detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _layer_tensors(prefix, network):
    """Weights, (inputs, outputs), and biases of each layer, by name."""
    tensors = {}
    for i, layer in enumerate(network.layers):
        tensors[f"{prefix}.{i}.weight"] = layer.weight.cpu().contiguous()
        tensors[f"{prefix}.{i}.bias"] = layer.bias.cpu().contiguous()
    return tensors


def _build_model(cls, header, tensors):
    """Build a network."""
    params = header["params"]
    for parameter, value in params.items():
        if isinstance(value, list):
            params[parameter] = tuple(value)
        if isinstance(value, dict):
            params[parameter] = cls._settings_class(**value)
    model = cls(**params)
    for name in ARRAYS:
        setattr(model, name, tensors[name].numpy())
    if "gene_order_" in tensors:  # which models of an earlier version lack
        model.gene_order_ = tensors["gene_order_"].numpy()
    model.n_features_in_ = len(model.support_)
    if header["feature_names_in"]:
        model.feature_names_in_ = np.array(header["feature_names_in"], dtype=object)
    if header["output_names"]:
        model.output_names_ = np.array(header["output_names"], dtype=object)
    model._flat_output = header["flat_output"]
    model.history_ = pd.DataFrame(header["history"])

    sizes = header["sizes"]
    activation = header["activation"]
    model.network_ = _build_network("network", sizes, activation, tensors=tensors)
    model._gene_network = None
    if "gene_network.0.weight" in tensors:
        gene_sizes = [*sizes[:-1], sizes[0]]  # it predicts its genes
        model._gene_network = _build_network(
            "gene_network", gene_sizes, activation, tensors=tensors
        )

    model.normalizer_ = None
    if "count_share_" in tensors:
        normalizer = CountNormalizer()
        normalizer.library_size_ = header["library_size"]
        normalizer.count_share_ = tensors["count_share_"].numpy()
        normalizer.n_features_in_ = model.n_features_in_
        if header["feature_names_in"]:
            normalizer.feature_names_in_ = model.feature_names_in_
        model.normalizer_ = normalizer
    return model


def _build_network(prefix, sizes, activation, tensors):
    """Network with the layers in `tensors`, whose shapes must be those of `sizes`."""
    # before memory is taken for sizes that the file only claims
    for i, (n_inputs, n_outputs) in enumerate(pairwise(sizes)):
        for kind, shape in (("weight", (n_inputs, n_outputs)), ("bias", (1, n_outputs))):
            stored_shape = tuple(tensors[f"{prefix}.{i}.{kind}"].shape)
            if stored_shape != shape:
                raise ValueError(f"{kind} of layer {i} has shape {stored_shape}")
    network = BottleneckNetwork(sizes, activation, generator=torch.Generator())
    for i, layer in enumerate(network.layers):
        layer.weight.copy_(tensors[f"{prefix}.{i}.weight"])
        layer.bias.copy_(tensors[f"{prefix}.{i}.bias"])
    return network


def _to_json(value):
    """Convert settings, and NumPy numbers and arrays, to JSON types."""
    if isinstance(value, np.random.RandomState):
        return None  # instead of the state of a generator
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value.tolist()
