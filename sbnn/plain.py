"""Convert data to and from Python's built-in containers, numbers, text and bytes, and read pickles
of these.

Files are not trusted, and reading them never runs code. Arrays grow only to the size that their
shape and the size of the file allow, and no container may appear twice, so the reading time is
proportional to the size of the file. Missing or unexpected content raises an error of Python, numpy
or pandas, whichever detects it first.
"""

import io
import math
import pickle
import pickletools
import zlib

import numpy as np
import pandas as pd

# zlib expands a byte to at most this many bytes; if a file yields more, some part is used twice
ZLIB_RATIO = 1032
MOST_AXES = 64  # largest number of axes that a numpy array can have
DTYPES = {
    name: np.dtype(name)
    for name in ("|b1", "|i1", "|u1", *(f"<{k}{n}" for k in "iuf" for n in (2, 4, 8)))
}
SCALARS = (type(None), bool, int, float, str, bytes)
# Pickle instructions that protocol 4 needs for these types; some other instructions run code or
# take gigabytes of memory.
TEXT = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"}
GET = {"BINGET", "LONG_BINGET"}
INSTRUCTIONS = {
    *TEXT,
    *GET,
    "PROTO",
    "FRAME",
    "MARK",
    "STOP",
    "MEMOIZE",
    "NONE",
    "NEWTRUE",
    "NEWFALSE",
    "EMPTY_LIST",
    "EMPTY_DICT",
    "APPEND",
    "APPENDS",
    "SETITEM",
    "SETITEMS",
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "LONG4",
    "BINFLOAT",
}


def encode(value, where):
    """Convert arrays, tables, numbers, text and containers to types that every version of numpy and pandas reads."""
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) in SCALARS:  # not isinstance: the pickle of a subclass would refer to its class
        return value
    if isinstance(value, pd.DataFrame):
        names = [str(column) for column in value.columns]
        if len(set(names)) < len(names):
            raise ValueError(
                f"{where}: expected a table whose columns have different names, got {names}"
            )
        arrays = {name: value.iloc[:, i].to_numpy() for i, name in enumerate(names)}
        columns = {name: _encode_array(array, f"{where}.{name}") for name, array in arrays.items()}
        return {
            "__table__": columns,
            "index": _encode_array(value.index.to_numpy(), f"{where} index"),
        }
    if isinstance(value, np.ndarray):
        return _encode_array(value, where)
    if isinstance(value, dict):
        pairs = [
            [encode(key, where), encode(item, f"{where}.{key}")] for key, item in value.items()
        ]
        if not all(type(key) in SCALARS for key, _ in pairs):
            raise TypeError(
                f"{where}: expected keys that are text or numbers, got {list(value)[:5]}"
            )
        return {"__dict__": pairs}
    if isinstance(value, tuple | list):
        items = [encode(item, where) for item in value]
        return {"__tuple__": items} if isinstance(value, tuple) else items
    raise TypeError(
        f"{where}: expected arrays, tables, numbers, text or containers, got {type(value).__name__}"
    )


def _encode_array(array, where):
    # text: a list of str is smaller than fixed-width Unicode and has no byte order
    if array.dtype.kind in "OU":
        items, shape = [_text(item, where) for item in array.ravel()], list(array.shape)
        codes, kinds = pd.factorize(np.array(items, dtype=object))
        if 2 * len(kinds) > len(items):
            return {"__text__": items, "shape": shape}
        codes = codes.astype(np.uint16 if len(kinds) <= 2**16 else np.int64)
        return {"__text__": kinds.tolist(), "codes": _encode_array(codes.reshape(shape), where)}
    little = array.dtype.newbyteorder("<")
    if little.str not in DTYPES:
        raise TypeError(f"{where}: arrays of dtype {array.dtype} cannot be saved")
    shape, array = list(array.shape), np.ascontiguousarray(array, dtype=little)
    # Bytes are grouped by significance, which saves a sixth of the compressed size because high
    # bytes are similar.
    planes = np.frombuffer(array.tobytes(), np.uint8).reshape(-1, little.itemsize).T.tobytes()
    return {"__array__": little.str, "shape": shape, "planes": zlib.compress(planes, 9)}


def _text(value, where):
    if isinstance(value, str):
        return str(value)
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""  # a missing label
    raise TypeError(
        f"{where}: an array of objects may hold text only, found {type(value).__name__}"
    )


def decode(value, size):
    """Decode the output of `encode`; text arrays have dtype object. `size` is the size of the file in bytes."""
    return _Decoder(size)(value)


class _Decoder:
    def __init__(self, size):
        self.left = ZLIB_RATIO * size  # number of bytes that arrays may still use

    def __call__(self, value):
        if type(value) in SCALARS:
            return value
        if type(value) is list:
            return [self(item) for item in value]
        if "__dict__" in value:
            return {key: self(item) for key, item in value["__dict__"]}
        if "__tuple__" in value:
            return tuple(self(item) for item in value["__tuple__"])
        return self.table(value) if "__table__" in value else self.decoded(value)

    def table(self, value):
        index = self.decoded(value["index"])
        columns = {name: self.decoded(column) for name, column in value["__table__"].items()}
        # pandas would repeat a single value
        if any(column.shape != (len(index),) for column in columns.values()):
            raise ValueError("it contains a table whose columns differ in length")
        return pd.DataFrame(columns, index=index)

    def decoded(self, value):
        if "codes" in value:
            codes = self.decoded(value["codes"])
            self.left -= 8 * codes.size
            if self.left < 0:
                raise ValueError("it contains more text than the file can hold")
            return np.array([_text(item, "a text") for item in value["__text__"]], object)[codes]
        if "__text__" in value:
            return np.array([_text(item, "a text") for item in value["__text__"]], object).reshape(
                value["shape"]
            )
        dtype, shape = DTYPES[value["__array__"]], value["shape"]
        if (
            len(shape) > MOST_AXES
            or not 0 <= (size := dtype.itemsize * math.prod(shape)) <= self.left
        ):
            raise ValueError(
                f"an array of shape {shape[:MOST_AXES]} is more than the file can hold"
            )
        self.left -= size
        # One byte more than expected is allowed: a limit of 0 would mean no limit, and a longer
        # array must be detected.
        data = zlib.decompressobj().decompress(
            value["planes" if "planes" in value else "zlib"], size + 1
        )
        if "planes" in value:
            data = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, -1).T.tobytes()
        stored = np.uint8 if dtype.kind == "b" else dtype  # any byte becomes True or False
        return np.frombuffer(data, stored).reshape(shape).astype(dtype)


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        raise ValueError(f"it refers to {module}.{name}, but may contain data only")


def read_pickle(content):
    """Read a pickle of dicts, lists, numbers, text and bytes; only text and bytes may occur more than once."""
    memo, before = [], ""
    for instruction, argument, at in pickletools.genops(content):
        name = instruction.name
        if name not in INSTRUCTIONS or (name in GET and memo[argument] not in TEXT):
            raise ValueError(f"its pickle instruction {name} (byte {at}) is not allowed in data")
        if name == "MEMOIZE":
            memo.append(before)
        if name != "FRAME":  # a frame may come between text and MEMOIZE
            before = name
    return _PlainUnpickler(io.BytesIO(content)).load()
