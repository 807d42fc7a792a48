"""Fitted networks as safetensors files with a header and a checksum."""

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
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from sbnn.data.count_normalizer import CountNormalizer
from sbnn.models.bottleneck.network import BottleneckNetwork, values_of
from sbnn.models.bottleneck.settings import DistilledSettings
from sbnn.results import library_versions
from sbnn.store import write_atomically

FORMAT = "sbnn-model-6"
ARRAYS = "support_", "gene_norms_", "x_mean_", "x_scale_", "x_min_", "x_max_", "y_mean_", "y_scale_"
UNSET = "0" * 64  # stands in the header while the checksum is computed


class FileMixin:
    """A fitted network that can be written to a file."""

    def save(self, path, normalizer: CountNormalizer | None = None) -> Path:
        """Write the model to a safetensors file (arrays and JSON, no code); return its path.

        `normalizer`, by default ``normalizer_``, is a fitted `CountNormalizer` for new cells.
        """
        check_is_fitted(self)
        normalizer = normalizer or self.normalizer_
        layers = self.network_.layers
        header = {
            "format": FORMAT,
            "sha256": UNSET,
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
        networks = {"network": self.network_, "gene_network": self._gene_network}
        for name, network in networks.items():
            if network is not None:
                tensors[name] = parameters_to_vector(values_of(network.layers)).cpu()
        if normalizer is not None:
            tensors["count_share_"] = torch.as_tensor(normalizer.count_share_)
        content = save(tensors, {"sbnn": json.dumps(header, default=_plain)})
        write_atomically(_sealed(content), path)
        return Path(path)

    @classmethod
    def load(cls, path) -> Self:
        """Read a model and its ``normalizer_``; a ValueError is raised if the file was altered."""
        content = Path(path).read_bytes()
        try:
            return _model(cls, content)
        # invalid files can raise nearly any error in safetensors, JSON, parameters or torch
        except Exception as error:
            text = f"{path} is not an sbnn model that this version can read: {error}"
            raise ValueError(text) from error


def _model(cls, content):
    """Build the estimator from the bytes of a file."""
    tensors = load(content)
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8:end])["__metadata__"]["sbnn"])
    if header["format"] != FORMAT:
        raise ValueError(
            f"expected the format {FORMAT}, got {header['format']}; "
            "fit the model and save it again with this version"
        )
    if content != _sealed(content, header["sha256"]):
        raise ValueError("its checksum does not match its contents")
    name = header["class"]
    if name != cls.__name__:
        raise ValueError(f"it holds a {name}; load it with sbnn.{name}.load")
    params = header["params"]
    for name, value in params.items():
        if isinstance(value, list):
            params[name] = tuple(value)
        if isinstance(value, dict):
            params[name] = DistilledSettings(**value)
    model = cls(**params)
    for name in ARRAYS:
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


def _plain(value):
    """Convert settings, and NumPy numbers and arrays, to JSON types."""
    if isinstance(value, np.random.RandomState):
        return None  # instead of the state of a generator
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value.tolist()


def _sealed(content, old=UNSET):
    """Replace the checksum `old` by that of the file with zeros in its place."""
    blank = content.replace(old.encode(), UNSET.encode(), 1)
    return content.replace(old.encode(), hashlib.sha256(blank).hexdigest().encode(), 1)
