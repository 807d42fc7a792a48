"""Data on disk: pickles of arrays and Python's own containers, read without running any code.

A file is a pickle of built-in types, followed by its SHA-256 checksum. `pickle.load` ignores the
checksum; `read` verifies it and accepts no instruction that could call anything.
"""

import hashlib
import io
import os
import pickle
import pickletools
import uuid
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

DIGEST = 32  # bytes of a SHA-256 checksum
# Unlike classes, which `find_class` refuses, these may give objects registered in this process.
REGISTERED = {"EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID"}


def write(value, path):
    """Write arrays, tables, numbers, text and containers of these, in one step."""
    content = pickle.dumps(encoded(value), protocol=4)
    _loaded(content)  # a ValueError, before anything is written, if it holds other objects
    write_atomically(content + hashlib.sha256(content).digest(), path)


def read(path, build):
    """Call `build` with what `write` has written; any other content is a ValueError."""
    whole = Path(path).read_bytes()
    content = whole[:-DIGEST]
    try:
        if hashlib.sha256(content).digest() != whole[-DIGEST:]:
            raise ValueError("its checksum does not match its content")
        return build(decoded(_loaded(content)))
    except Exception as error:  # any error that a damaged or hostile file causes
        raise ValueError(
            f"{path} is not a record that this version can read, or it is damaged: {error}; a "
            "record of sbnn 1.0 or earlier must be computed again, or read with sbnn 1.0"
        ) from error


def write_atomically(content, path):
    """Write bytes such that the file is either unchanged or complete."""
    path = Path(path).resolve()  # the file, not a link to it, is replaced
    path.parent.mkdir(parents=True, exist_ok=True)
    # another process may write the same file at the same time; the later one wins
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        why = f"cannot write {path}: {error.strerror}; an existing file is left unchanged"
        raise type(error)(error.errno, why) from error
    finally:
        temporary.unlink(missing_ok=True)


class _DataOnly(pickle.Unpickler):
    def find_class(self, module, name):
        raise ValueError(f"it refers to {module}.{name}, but may hold data only")


def _loaded(content):
    for instruction, _, _ in pickletools.genops(content):
        if instruction.name in REGISTERED:
            raise ValueError(f"its pickle instruction {instruction.name} is not allowed in data")
    return _DataOnly(io.BytesIO(content)).load()


def encoded(value):
    """Convert arrays and tables to containers, numbers, text and bytes."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, pd.DataFrame):
        columns = {str(name): encoded(column.to_numpy()) for name, column in value.items()}
        return {"__table__": columns, "index": encoded(value.index.to_numpy())}
    if isinstance(value, np.ndarray):
        return encoded_array(value)
    if isinstance(value, dict):
        return {encoded(name): encoded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(encoded(item) for item in value)
    return value


def encoded_array(array):
    """Convert an array: text to a list, numbers to compressed bytes."""
    if array.dtype.kind in "OU":
        # a missing label is empty; of equal texts, the pickle holds one
        known = {}
        texts = ["" if pd.isna(text) else text for text in array.ravel().tolist()]
        return {"__text__": [known.setdefault(text, text) for text in texts], "shape": array.shape}
    array = array.astype(array.dtype.newbyteorder("<"))
    # Grouping bytes by significance saves a sixth of the compressed size.
    content = np.frombuffer(array.tobytes(), np.uint8)
    planes = content.reshape(-1, array.itemsize).T.tobytes()
    return {"__array__": array.dtype.str, "shape": array.shape, "planes": zlib.compress(planes, 9)}


def decoded(value):
    """Restore what `encoded` has converted."""
    if isinstance(value, list | tuple):
        return type(value)(decoded(item) for item in value)
    if not isinstance(value, dict):
        return value
    if "__table__" in value:
        return pd.DataFrame(decoded(value["__table__"]), decoded(value["index"]))
    if "__text__" in value:
        return np.array(value["__text__"], dtype=object).reshape(value["shape"])
    if "__array__" in value:
        dtype = np.dtype(value["__array__"])
        planes = np.frombuffer(zlib.decompress(value["planes"]), np.uint8)
        content = planes.reshape(dtype.itemsize, -1).T.tobytes()
        return np.frombuffer(content, dtype).reshape(value["shape"]).copy()
    return {name: decoded(item) for name, item in value.items()}
