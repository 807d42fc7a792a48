"""Convert data to and from Python's own containers, numbers, text and bytes, and read pickles.

Reading a file never runs code. Arrays grow only to what the size of the file allows, and no
container may appear twice, so the reading time is proportional to the size of the file. Unexpected
content raises an error of Python, numpy or pandas.
"""

import io
import math
import pickle
import pickletools
import zlib

import numpy as np
import pandas as pd

# zlib expands a byte to at most this many bytes
ZLIB_RATIO = 1032
MOST_AXES = 64  # of a numpy array
_NAMES = "|b1 |i1 |u1 <i2 <i4 <i8 <u2 <u4 <u8 <f2 <f4 <f8"
DTYPES = {name: np.dtype(name) for name in _NAMES.split()}
SCALARS = (type(None), bool, int, float, str, bytes)
# Pickle instructions of these types; others may run code or take gigabytes of memory.
TEXT = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"}
GET = {"BINGET", "LONG_BINGET"}
_OTHERS = """
    PROTO FRAME MARK STOP MEMOIZE NONE NEWTRUE NEWFALSE EMPTY_LIST EMPTY_DICT APPEND APPENDS SETITEM
    SETITEMS BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT
"""
INSTRUCTIONS = TEXT | GET | set(_OTHERS.split())


def encode(value, where):
    """Convert arrays, tables, numbers, text and containers to types that every version reads."""
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) in SCALARS:  # not isinstance: the pickle of a subclass would refer to its class
        return value
    if isinstance(value, pd.DataFrame):
        return _encode_table(value, where)
    if isinstance(value, np.ndarray):
        return _encode_array(value, where)
    if isinstance(value, dict):
        return _encode_dict(value, where)
    if isinstance(value, tuple | list):
        items = [encode(item, where) for item in value]
        return {"__tuple__": items} if isinstance(value, tuple) else items
    raise TypeError(f"{where}: expected arrays, tables, numbers, text or containers, got {value!r}")


def _encode_dict(value, where):
    pairs = []
    for key, item in value.items():
        key = encode(key, where)
        if type(key) not in SCALARS:
            raise TypeError(f"{where}: expected keys that are text or numbers, got {key!r}")
        pairs.append([key, encode(item, f"{where}.{key}")])
    return {"__dict__": pairs}


def _encode_table(table, where):
    columns = {}
    for i, name in enumerate(map(str, table.columns)):
        if name in columns:
            raise ValueError(f"{where}: expected columns with different names, got {name!r} twice")
        columns[name] = _encode_array(table.iloc[:, i].to_numpy(), f"{where}.{name}")
    return {"__table__": columns, "index": _encode_array(table.index.to_numpy(), f"{where} index")}


def _encode_array(array, where):
    if array.dtype.kind in "OU":
        return _encode_text(array, where)
    little = array.dtype.newbyteorder("<")
    if little.str not in DTYPES:
        raise TypeError(f"{where}: arrays of dtype {array.dtype} cannot be saved")
    # Grouping bytes by significance saves a sixth of the compressed size.
    content = np.frombuffer(array.astype(little).tobytes(), np.uint8)
    planes = content.reshape(-1, little.itemsize).T.tobytes()
    return {
        "__array__": little.str,
        "shape": list(array.shape),
        "planes": zlib.compress(planes, 9),
    }


def _encode_text(array, where):
    """A list of str is smaller than fixed-width Unicode."""
    items = [_text(item, where) for item in array.ravel()]
    codes, kinds = pd.factorize(np.array(items, dtype=object))
    if 2 * len(kinds) > len(items):
        return {"__text__": items, "shape": list(array.shape)}
    codes = codes.reshape(array.shape).astype(np.uint16 if len(kinds) <= 2**16 else np.int64)
    return {"__text__": kinds.tolist(), "codes": _encode_array(codes, where)}


def _text(value, where):
    if isinstance(value, str):
        return str(value)
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""  # a missing label
    raise TypeError(f"{where}: an array of objects may hold text only, found {value!r}")


def decode(value, size):
    """Decode the output of `encode`; `size` is that of the file."""
    return _Decoder(size)(value)


class _Decoder:
    def __init__(self, size):
        self.left = ZLIB_RATIO * size  # bytes that arrays may still use

    def __call__(self, value):
        if type(value) in SCALARS:
            return value
        if type(value) is list:
            return [self(item) for item in value]
        if "__dict__" in value:
            return {key: self(item) for key, item in value["__dict__"]}
        if "__tuple__" in value:
            return tuple(self(item) for item in value["__tuple__"])
        if "__table__" in value:
            return self.table(value)
        if "__text__" in value:
            return self.text(value)
        return self.array(value)

    def table(self, value):
        index = self(value["index"])
        if np.ndim(index) != 1 or any(np.ndim(label) for label in index):
            raise ValueError("it contains a table whose index is not a list of labels")
        columns = {name: self(column) for name, column in value["__table__"].items()}
        # pandas would repeat a single value
        if any(column.shape != (len(index),) for column in columns.values()):
            raise ValueError("it contains a table whose columns differ in length")
        return pd.DataFrame(columns, index=index)

    def text(self, value):
        items = [_text(item, "a text") for item in value["__text__"]]
        items = np.array(items, dtype=object)
        if "codes" not in value:
            return items.reshape(value["shape"])
        codes = self.array(value["codes"])
        self.take(8 * codes.size)
        return items[codes]

    def take(self, size):
        """Reject content larger than a file of this size can hold."""
        if not 0 <= size <= self.left:
            raise ValueError("it contains more than the file can hold")
        self.left -= size

    def array(self, value):
        dtype = DTYPES[value["__array__"]]
        shape = value["shape"]
        if len(shape) > MOST_AXES:
            raise ValueError("it contains an array of too many axes")
        size = dtype.itemsize * math.prod(shape)
        self.take(size)
        # one byte more, as a limit of 0 would be none, and to detect longer arrays
        data = zlib.decompressobj().decompress(value["planes"], size + 1)
        data = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, -1).T.tobytes()
        stored = np.uint8 if dtype.kind == "b" else dtype  # any byte becomes True or False
        return np.frombuffer(data, stored).reshape(shape).astype(dtype)


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        raise ValueError(f"it refers to {module}.{name}, but may contain data only")


def read_pickle(content):
    """Read a pickle of dicts, lists, numbers, text and bytes; only the last two may repeat."""
    memo = []
    before = ""
    for instruction, argument, at in pickletools.genops(content):
        name = instruction.name
        if name not in INSTRUCTIONS or (name in GET and memo[argument] not in TEXT):
            raise ValueError(f"its pickle instruction {name} (byte {at}) is not allowed in data")
        if name == "MEMOIZE":
            memo.append(before)
        if name != "FRAME":  # a frame may come between text and MEMOIZE
            before = name
    return _PlainUnpickler(io.BytesIO(content)).load()
