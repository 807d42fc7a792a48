"""One hexadecimal sha256 that names a data set: by its files, by what simulated it, or by its bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse


def fingerprint_files(files: Mapping[str, str]) -> str:
    r"""Fingerprint data by the files it came from, so that it never depends on floating-point work.

    Parameters
    ----------
    files : mapping of str to str
        File name -> hexadecimal sha256 of the file.

    Returns
    -------
    str
        Hexadecimal sha256 of the sorted lines ``"<file name> <sha256>\n"``.
    """
    lines = (f"{name} {digest}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def fingerprint_parameters(parameters: Mapping[str, Any]) -> str:
    """Fingerprint data by the parameters that made it, for simulations and subsets.

    Parameters
    ----------
    parameters : mapping
        JSON-like values; numpy scalars and arrays count as the numbers they hold.

    Returns
    -------
    str
        Hexadecimal sha256 of the canonical JSON text (sorted keys, no spaces).

    Raises
    ------
    TypeError
        A value without a JSON form (a generator, a function): it would not name the data.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, np.generic | np.ndarray):
            return value.tolist()
        raise TypeError(f"a {type(value).__name__} has no canonical JSON form; pass numbers, text or lists")

    text = json.dumps(dict(parameters), sort_keys=True, separators=(",", ":"), default=plain)
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint_arrays(*arrays: np.ndarray | sparse.sparray) -> str:
    """Fingerprint data by the bytes of its arrays with their dtype and shape, for the user's own data.

    Parameters
    ----------
    *arrays : ndarray or CSR matrix
        For paired data `X` and `Y`, and the counts where there are any.

    Returns
    -------
    str
        Hexadecimal sha256.
    """
    digest = hashlib.sha256()
    parts = []
    for array in arrays:
        sparse_parts = ("data", "indices", "indptr") if sparse.issparse(array) else ()
        parts += [getattr(array, part) for part in sparse_parts] or [array]
    for array in parts:
        digest.update(f"{array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
