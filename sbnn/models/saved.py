"""Fitted networks as safetensors files: arrays by name, and a header."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load, save
from sklearn.utils.validation import check_is_fitted

from sbnn.data.counts import CountNormalizer
from sbnn.models.network import BottleneckNetwork
from sbnn.results import library_versions
from sbnn.store import write_atomically

FORMAT = "sbnn-model-7"
ARRAYS = "support_", "gene_norms_", "x_mean_", "x_scale_", "x_min_", "x_max_", "y_mean_", "y_scale_"


class FileMixin:
    """A fitted network that can be written to a file."""

    def save(
        self,
        path: str | Path,
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
        normalizer = normalizer or self.normalizer_
        layers = self.network_.layers
        header = {
            "format": FORMAT,
            "record": record,
            "versions": library_versions(),
            "class": type(self).__name__,
            "params": self.get_params(),
            "sizes": [*(len(layer.weight) for layer in layers), len(self.y_mean_)],
            "activation": self.network_.activation,
            "flat_output": self._flat_output,
            "library_size": getattr(normalizer, "library_size_", None),
            "output_names": list(self.output_names_),
            "feature_names_in": list(getattr(self, "feature_names_in_", [])),
            "history": self.history_.to_dict(orient="list"),
        }
        tensors = {name: torch.as_tensor(getattr(self, name)) for name in ARRAYS}
        tensors |= _tensors_of("network", self.network_)
        if self._gene_network is not None:
            tensors |= _tensors_of("gene_network", self._gene_network)
        if normalizer is not None:
            tensors["count_share_"] = torch.as_tensor(normalizer.count_share_)
        header = json.loads(json.dumps(header, default=_plain))
        header["sha256"] = _checksum_of(header, tensors)
        write_atomically(save(tensors, {"sbnn": json.dumps(header)}), path)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model and its ``normalizer_``; a ValueError is raised if the file was altered."""
        header, tensors = _read(path)
        try:
            return _model(cls, header, tensors)
        # a header of somebody who means harm can raise nearly any error in parameters or torch
        except Exception as error:
            raise ValueError(_refusal(path, error)) from error


def model_checksum(path: str | Path) -> str:
    """Verified checksum of a model file; a ValueError is raised if the file was altered."""
    header, _ = _read(path)
    return header["sha256"]


def _read(path):
    """Verified header and tensors of a file."""
    content = Path(path).read_bytes()
    try:
        tensors = load(content)
        end = 8 + int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8:end])["__metadata__"]
        header = json.loads(metadata["sbnn"])
        if header["format"] != FORMAT:
            raise ValueError(
                f"expected the format {FORMAT}, got {header['format']}; "
                "fit the model and save it again with this version"
            )
        if header["sha256"] != _checksum_of(header, tensors):
            raise ValueError("its checksum does not match its contents")
        return header, tensors
    # invalid files can raise nearly any error in safetensors or JSON
    except Exception as error:
        raise ValueError(_refusal(path, error)) from error


def _refusal(path, error):
    return f"{path} is not an sbnn model that this version can read: {error}"


def _checksum_of(header, tensors):
    """Checksum of the other entries of the header, and of names, kinds and values of tensors."""
    others = {name: value for name, value in header.items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps(others).encode())
    for name in sorted(tensors):
        array = tensors[name].detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _tensors_of(name, network):
    """Weights, (inputs, outputs), and biases of each layer, by name."""
    tensors = {}
    for i, layer in enumerate(network.layers):
        tensors[f"{name}.{i}.weight"] = layer.weight.cpu().contiguous()
        tensors[f"{name}.{i}.bias"] = layer.bias.cpu().contiguous()
    return tensors


def _model(cls, header, tensors):
    """Build the estimator."""
    name = header["class"]
    if name != cls.__name__:
        raise ValueError(f"it holds a {name}; load it with sbnn.{name}.load")
    params = header["params"]
    for parameter, value in params.items():
        if isinstance(value, list):
            params[parameter] = tuple(value)
        if isinstance(value, dict):
            params[parameter] = cls._settings_class(**value)
    model = cls(**params)
    for name in ARRAYS:
        setattr(model, name, tensors[name].numpy())
    for name in ("feature_names_in", "output_names"):
        if header[name]:
            setattr(model, f"{name}_", np.array(header[name], dtype=object))
    model.n_features_in_ = len(model.support_)
    model._flat_output = header["flat_output"]
    model.history_ = pd.DataFrame(header["history"])
    n_genes, *hidden, n_outputs = header["sizes"]
    activation = header["activation"]
    model.network_ = _network("network", [n_genes, *hidden, n_outputs], activation, tensors)
    model._gene_network = None
    if "gene_network.0.weight" in tensors:
        sizes = [n_genes, *hidden, n_genes]
        model._gene_network = _network("gene_network", sizes, activation, tensors)
    model.normalizer_ = None
    if "count_share_" in tensors:
        normalizer = model.normalizer_ = CountNormalizer()
        normalizer.library_size_ = header["library_size"]
        normalizer.count_share_ = tensors["count_share_"].numpy()
        normalizer.n_features_in_ = model.n_features_in_
        if header["feature_names_in"]:
            normalizer.feature_names_in_ = model.feature_names_in_
    return model


def _network(name, sizes, activation, tensors):
    """Network with the layers in `tensors`, whose shapes must be those of `sizes`."""
    network = BottleneckNetwork(sizes, activation, generator=torch.Generator())
    for i, layer in enumerate(network.layers):
        for kind, values in (("weight", layer.weight), ("bias", layer.bias)):
            stored = tensors[f"{name}.{i}.{kind}"]
            if stored.shape != values.shape:
                raise ValueError(f"{kind} of layer {i} has shape {tuple(stored.shape)}")
            values.copy_(stored)
    return network


def _plain(value):
    """Convert settings, and NumPy numbers and arrays, to JSON types."""
    if isinstance(value, np.random.RandomState):
        return None  # instead of the state of a generator
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value.tolist()
