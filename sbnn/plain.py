"""Data as Python's own containers, numbers, text and bytes, and back; and pickles that hold nothing else.

Nothing here can run code, and nothing trusts a file: arrays grow only to the size that their shape and the size of the
file allow, and no container may stand in two places, so that a walk takes as long as the file is large.
"""

import io
import math
import pickle
import pickletools
import zlib

import numpy as np
import pandas as pd

MOST_NESTED = 64  # containers inside each other; deeper ones would exhaust Python's stack
ZLIB_RATIO = 1032  # bytes that zlib can make of one: more than that from a file means that it uses a part twice
MOST_AXES = 64  # of an array of numpy
DTYPES = {"|b1", "|i1", "|u1", *(f"<{kind}{size}" for kind in "iuf" for size in (2, 4, 8))}
SCALARS = (type(None), bool, int, float, str, bytes)
# Instructions that protocol 4 needs for these; of the others some run code, and some take memory by the gigabyte.
INSTRUCTIONS = {
    *("PROTO", "FRAME", "MARK", "STOP", "MEMOIZE", "BINGET", "LONG_BINGET", "NONE", "NEWTRUE", "NEWFALSE"),
    *("EMPTY_LIST", "EMPTY_DICT", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "BININT", "BININT1", "BININT2"),
    *("LONG1", "LONG4", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
}


def encode(value, where, depth=0):
    """Spell arrays, tables, numbers, text and containers out in types that every version of numpy and pandas reads."""
    if depth > MOST_NESTED:
        raise ValueError(f"{where}: expected at most {MOST_NESTED} containers inside each other")
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) in SCALARS:  # not isinstance: a pickle names the subclass
        return value
    if isinstance(value, pd.DataFrame):
        columns = [str(column) for column in value.columns]
        if len(set(columns)) < len(columns):
            raise ValueError(f"{where}: expected a table whose columns have different names, got {columns}")
        arrays = {name: value.iloc[:, i].to_numpy() for i, name in enumerate(columns)}
        return {
            "__table__": {name: _encode_array(array, f"{where}.{name}") for name, array in arrays.items()},
            "index": _encode_array(value.index.to_numpy(), f"{where} index"),
        }
    if isinstance(value, np.ndarray):
        return _encode_array(value, where)
    if isinstance(value, dict):
        pairs = [[encode(k, where, depth + 1), encode(v, f"{where}.{k}", depth + 1)] for k, v in value.items()]
        for key, _ in pairs:
            if not _is_key(key):
                raise TypeError(f"{where}: expected keys that are text or 64-bit numbers, got {type(key).__name__}")
        return {"__dict__": pairs}
    if isinstance(value, tuple | list):
        items = [encode(v, where, depth + 1) for v in value]
        return {"__tuple__": items} if isinstance(value, tuple) else items
    raise TypeError(
        f"{where}: a {type(value).__name__} cannot be saved; give arrays, tables, numbers, text or containers"
    )


def _encode_array(array, where):
    if array.dtype.kind in "OU":  # text: a list of str is smaller than fixed-width unicode and knows no byte order
        return {"__text__": [_text(v, where) for v in array.ravel()], "shape": list(array.shape)}
    little = array.dtype.newbyteorder("<")
    if little.str not in DTYPES:
        raise TypeError(f"{where}: arrays of dtype {array.dtype} cannot be saved")
    shape, array = list(array.shape), np.ascontiguousarray(array, dtype=little)
    return {"__array__": little.str, "shape": shape, "zlib": zlib.compress(array.tobytes(), 9)}


def _text(value, where):
    if isinstance(value, str):
        return str(value)
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""  # a missing label
    raise TypeError(f"{where}: an object array may hold text only, found {type(value).__name__}")


def _is_key(key):
    """Whether this may be the key of a dict: what a file could choose so that all hashes collide may not."""
    if type(key) is int:
        return -(2**63) <= key < 2**64
    return key is None or type(key) in (bool, float, str, bytes)


def decode(value, size):
    """Give back what `encode` has spelled out; text arrays have dtype object. `size` is that of the file in bytes."""
    return _Decoder(size)(value)


class _Decoder:
    def __init__(self, size):
        self.left = ZLIB_RATIO * size  # bytes that arrays may still take
        self.seen = set()

    def __call__(self, value, depth=0):
        if depth > MOST_NESTED:
            raise ValueError(f"more than {MOST_NESTED} containers inside each other")
        if type(value) in SCALARS:
            return value
        if type(value) is list:
            return [self(v, depth + 1) for v in self.once(value, list)]
        self.once(value, dict)
        if value.keys() == {"__dict__"}:
            return dict(self.pair(item, depth + 1) for item in self.once(value["__dict__"], list))
        if value.keys() == {"__tuple__"}:
            return tuple(self(v, depth + 1) for v in self.once(value["__tuple__"], list))
        if value.keys() == {"__table__", "index"}:
            return self.table(value)
        return self.array(value)

    def once(self, value, kind):
        """A container that stands in this place alone: shared ones could multiply beyond all bounds."""
        if id(_expect(value, kind)) in self.seen:
            raise ValueError(f"a {kind.__name__} in two places")
        self.seen.add(id(value))
        return value

    def pair(self, item, depth):
        if len(_expect(item, list)) != 2 or not _is_key(item[0]):
            raise ValueError("an entry of a dict that is not a key and a value")
        return item[0], self(item[1], depth)

    def table(self, value):
        index = self.array(value["index"])
        columns = {
            _expect(name, str): self.array(column) for name, column in self.once(value["__table__"], dict).items()
        }
        if index.ndim != 1 or any(column.shape != index.shape for column in columns.values()):
            raise ValueError("a table whose columns differ in length")
        return pd.DataFrame(columns, index=index)

    def array(self, value):
        keys = _expect(value, dict).keys()
        if keys == {"__text__", "shape"}:
            text = self.once(value["__text__"], list)
            if not all(type(item) is str for item in text):
                raise ValueError("an array of text with something else in it")
            return _shaped(np.array(text, dtype=object), value["shape"])
        if keys != {"__array__", "shape", "zlib"}:
            raise ValueError(f"an unknown entry with the keys {sorted(keys)}")
        if _expect(value["__array__"], str) not in DTYPES:
            raise ValueError(f"an array of the unknown dtype {value['__array__'][:20]!r}")
        dtype = np.dtype(value["__array__"])
        data = self.unpack(_expect(value["zlib"], bytes), dtype.itemsize * _n_values(value["shape"]))
        if dtype.kind == "b" and data.translate(None, b"\0\1"):
            raise ValueError("an array of truth values that are neither 0 nor 1")
        return _shaped(np.frombuffer(bytearray(data), dtype=dtype), value["shape"])

    def unpack(self, packed, size):
        """Decompress to exactly so many bytes, never to more."""
        self.left -= size
        if self.left < 0:
            raise ValueError(f"an array of {size} bytes, more than the file can hold")
        stream = zlib.decompressobj()
        try:
            data = stream.decompress(packed, size + 1)  # one more, to reach the end of the stream; 0 means no limit
        except zlib.error as error:
            raise ValueError(f"a damaged array: {error}") from None
        if len(data) != size or not stream.eof or stream.unused_data:
            raise ValueError(f"an array that is not {size} bytes long, as its shape says")
        return data


def _expect(value, kind):
    if type(value) is not kind:
        raise ValueError(f"a {type(value).__name__} in place of a {kind.__name__}")
    return value


def _n_values(shape):
    if len(_expect(shape, list)) > MOST_AXES or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        raise ValueError(f"an array whose shape is not a list of at most {MOST_AXES} whole numbers")
    return math.prod(shape)


def _shaped(flat, shape):
    if len(flat) != _n_values(shape):
        raise ValueError(f"an array of {len(flat)} values whose shape is another")
    return flat.reshape(shape)


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        raise ValueError(f"it names {module}.{name}, and only data are read")


def read_pickle(content):
    """Read a pickle of dicts, lists, numbers, text and bytes; anything else is a ValueError before it is read."""
    try:
        for instruction, _, at in pickletools.genops(content):
            if instruction.name not in INSTRUCTIONS:
                raise ValueError(f"its pickle instruction {instruction.name} (byte {at}) is not needed for data")
        if at + 1 != len(content):
            raise ValueError(f"it goes on after its end (byte {at})")
        return _PlainUnpickler(io.BytesIO(content)).load()
    except (pickle.UnpicklingError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"it is no pickle of data, or damaged: {error}") from None
