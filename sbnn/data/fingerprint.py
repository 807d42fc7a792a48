"""Hexadecimal sha256 fingerprints, which identify a data set by its files, its simulation parameters or its bytes."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse


def fingerprint_files(files: Mapping[str, str]) -> str:
    """Fingerprint data by the checksums of its files (name -> sha256), independently of floating-point arithmetic."""
    lines = (f"{name} {digest}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def fingerprint_parameters(parameters: Mapping[str, Any]) -> str:
    """Fingerprint simulations and subsets by the canonical JSON text of the parameters that made them."""
    text = json.dumps(
        dict(parameters),
        sort_keys=True,
        separators=(",", ":"),
        default=lambda array: array.tolist(),
    )
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint_arrays(*arrays: np.ndarray | sparse.sparray) -> str:
    """Fingerprint data by the bytes, dtypes and shapes of its arrays (for paired cells: X, Y and counts, if any)."""
    digest = hashlib.sha256()
    parts = []
    for array in arrays:
        sparse_parts = ("data", "indices", "indptr") if sparse.issparse(array) else ()
        parts += [getattr(array, part) for part in sparse_parts] or [array]
    for array in parts:
        digest.update(f"{array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
