"""Sha256 fingerprints of data sets, by their files, parameters or bytes."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse


def fingerprint_files(files: Mapping[str, str]) -> str:
    """Fingerprint of files (name -> sha256)."""
    digest = hashlib.sha256()
    for name, of_file in sorted(files.items()):
        digest.update(f"{name} {of_file}\n".encode())
    return digest.hexdigest()


def fingerprint_of_files(files: Mapping[str, str] | None, **taken) -> str:
    """Fingerprint of files and what is `taken` from them, or ""."""
    if not files:
        return ""
    return fingerprint_parameters(taken | {"files": fingerprint_files(files)})


def fingerprint_parameters(parameters: Mapping[str, Any]) -> str:
    """Fingerprint by the canonical JSON text of parameters."""
    text = json.dumps(parameters, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value):
    return value.tolist()


def fingerprint_arrays(*arrays: np.ndarray | sparse.sparray) -> str:
    """Fingerprint by the bytes, dtypes and shapes of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        parts = [array]
        if sparse.issparse(array):
            parts = [array.data, array.indices, array.indptr]
        for part in parts:
            digest.update(f"{part.dtype.str} {part.shape}\n".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
