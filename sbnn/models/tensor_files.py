"""Safetensors files with a header and a checksum."""

import dataclasses
import hashlib
import json
from numbers import Integral
from pathlib import Path

from safetensors.torch import load, save

from sbnn.results import library_versions
from sbnn.store import write_atomically

UNSET = "0" * 64  # stands in the header while the checksum is computed


def params_of(model):
    """Parameters to store with a model, without the state of a generator."""
    params = model.get_params()
    if not isinstance(params["random_state"], Integral | None):
        params["random_state"] = None
    return params


def write_tensors(path, form, header, tensors):
    """Write tensors and a header."""
    header = {"format": form, "sha256": UNSET, "versions": library_versions(), **header}
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    content = save(tensors, {"sbnn": json.dumps(header, default=_plain)})
    path = Path(path)
    write_atomically(sealed(content), path)
    return path


def _plain(value):
    """Convert settings and NumPy numbers to JSON types."""
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value.item()


def load_tensors(path, form, what, build):
    """Build a model from the header and tensors of a file."""
    path = Path(path)
    content = path.read_bytes()
    try:
        return build(*read_tensors(content, form))
    # invalid files can raise nearly any error in safetensors, JSON, parameters or torch
    except Exception as error:
        raise ValueError(f"{path} is not {what} that this version can read: {error}") from error


def read_tensors(content, form):
    """Read the header and tensors of a file, and verify its checksum."""
    tensors = load(content)
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8:end])["__metadata__"]["sbnn"])
    got = str(header["format"])[:50]
    again = "fit the model and save it again with this version"
    require(got == form, f"expected the format {form}, got {got}; {again}")
    is_intact = content == sealed(content, header["sha256"])
    require(is_intact, "its checksum does not match its contents")
    return header, tensors


def sealed(content, old=UNSET):
    """Replace the checksum `old` by that of the file with zeros in its place."""
    blank = content.replace(old.encode(), UNSET.encode(), 1)
    return content.replace(old.encode(), hashlib.sha256(blank).hexdigest().encode(), 1)


def require(condition, message):
    """Raise a ValueError unless a condition holds."""
    if not condition:
        raise ValueError(message)
