"""Data as Python's own containers, numbers, text and bytes, and back; and pickles that hold nothing else.

Nothing here can run code, and nothing trusts a file: a pickle is read by a loop over a dozen instructions none of which
imports or calls, and arrays grow only to the size that their shape and the size of the file allow.
"""

import io
import math
import pickletools
import zlib

import numpy as np
import pandas as pd

MOST_NESTED = 64  # containers inside each other; deeper ones would exhaust Python's stack
ZLIB_RATIO = 1032  # bytes that zlib can make of one: more than that from a file means that it uses a part twice

MOST_AXES = 64  # of an array of numpy
DTYPES = {"|b1", "|i1", "|u1", *(f"<{kind}{size}" for kind in "iuf" for size in (2, 4, 8))}

LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
    *("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict}
OTHERS = {
    "PROTO",
    "FRAME",
    "MARK",
    "APPEND",
    "APPENDS",
    "SETITEM",
    "SETITEMS",
    "MEMOIZE",
    "BINGET",
    "LONG_BINGET",
    "STOP",
}
ALLOWED = LITERALS | CONSTANTS.keys() | EMPTY.keys() | OTHERS
INSTRUCTIONS = {op.code.encode("latin-1"): op for op in pickletools.opcodes}


def encode(value, where, depth=0):
    """Spell a value out in Python's own types, which every version of numpy and pandas reads alike.

    Parameters
    ----------
    value : array, DataFrame, number, text, bytes or None; or list, tuple or dict of them
    where : str
        Its name, for errors.
    depth : int
        Containers around it.

    Returns
    -------
    None, bool, int, float, str, bytes, list or dict

    Raises
    ------
    TypeError
        If it is neither data nor a container of data.
    ValueError
        If it cannot be read back as it is: nested too deep, or a table with two columns of one name.
    """
    if depth > MOST_NESTED:
        raise ValueError(f"{where}: expected at most {MOST_NESTED} containers inside each other")
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) in (type(None), bool, int, float, str, bytes):  # not isinstance: a pickle names the subclass
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
    """Give back what `encode` has spelled out.

    Parameters
    ----------
    value : None, bool, int, float, str, bytes, list or dict
    size : int
        Bytes of the file it comes from. Arrays take at most 1032 times as many, the most that zlib can make of them.

    Returns
    -------
    object
        Text arrays have dtype object.

    Raises
    ------
    ValueError
        If it is not what `encode` gives.
    """
    return _Decoder(size)(value)


class _Decoder:
    def __init__(self, size):
        self.left = ZLIB_RATIO * size  # bytes that arrays may still take

    def __call__(self, value, depth=0):
        if depth > MOST_NESTED:
            raise ValueError(f"more than {MOST_NESTED} containers inside each other")
        if isinstance(value, list):
            return [self(v, depth + 1) for v in value]
        if not isinstance(value, dict):
            return value
        if value.keys() == {"__dict__"}:
            return dict(self.pair(item, depth + 1) for item in _expect(value["__dict__"], list))
        if value.keys() == {"__tuple__"}:
            return tuple(self(v, depth + 1) for v in _expect(value["__tuple__"], list))
        if value.keys() == {"__table__", "index"}:
            return self.table(value)
        return self.array(value)

    def pair(self, item, depth):
        if len(_expect(item, list)) != 2 or not _is_key(item[0]):
            raise ValueError("an entry of a dict that is not a key and a value")
        return item[0], self(item[1], depth)

    def table(self, value):
        index = self.array(value["index"])
        columns = {name: self.array(column) for name, column in _expect(value["__table__"], dict).items()}
        if index.ndim != 1 or any(column.shape != index.shape for column in columns.values()):
            raise ValueError("a table whose columns differ in length")
        return pd.DataFrame(columns, index=index)

    def array(self, value):
        keys = _expect(value, dict).keys()
        if keys == {"__text__", "shape"}:
            text = _expect(value["__text__"], list)
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


def read_pickle(content):
    """Read a pickle of dicts with text as keys, lists, numbers, text and bytes, without unpickling it.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    object
        A tree: no container is in two places, so that a walk through it takes as long as the file is large.

    Raises
    ------
    ValueError
        If it is no pickle, or truncated, or holds any other instruction. Those that could run code are among them.
    """
    stack, marks, memo = [], [], []
    try:
        for name, argument, at in _instructions(content):
            if name in LITERALS:
                stack.append(argument)
            elif name in CONSTANTS:
                stack.append(CONSTANTS[name])
            elif name in EMPTY:
                stack.append(EMPTY[name]())
            elif name == "MARK":
                marks.append(len(stack))
            elif name == "APPEND":
                _extend(stack, len(stack) - 1)
            elif name == "APPENDS":
                _extend(stack, marks.pop())
            elif name == "SETITEM":
                _update(stack, len(stack) - 2)
            elif name == "SETITEMS":
                _update(stack, marks.pop())
            elif name == "MEMOIZE":
                memo.append(stack[-1])
            elif name in ("BINGET", "LONG_BINGET"):
                if type(memo[argument]) not in (str, bytes):
                    raise ValueError(f"it uses a {type(memo[argument]).__name__} twice (byte {at})")
                stack.append(memo[argument])
    except IndexError:
        raise ValueError(f"its pickle instruction {name} (byte {at}) has nothing to work on") from None
    if len(stack) != 1 or marks or at + 1 != len(content):
        raise ValueError(f"it goes on after its end (byte {at})")
    return stack[0]


def _instructions(content):
    """Names, arguments and places of the instructions of a pickle, up to the first STOP."""
    reader, name = io.BytesIO(content), None
    while name != "STOP":
        at = reader.tell()
        instruction = INSTRUCTIONS.get(reader.read(1))
        if instruction is None:
            raise ValueError(f"it is no pickle, or truncated (byte {at})")
        name = instruction.name
        if name not in ALLOWED:
            raise ValueError(f"its pickle instruction {name} (byte {at}) could run code, or is not needed for data")
        # The lengths of frames do not matter here; a length that is used is compared with what is left of the file.
        yield name, instruction.arg and instruction.arg.reader(reader), at


def _extend(stack, start):
    items = stack[start:]
    del stack[start:]
    _expect(stack[-1], list).extend(items)


def _update(stack, start):
    items = stack[start:]
    del stack[start:]
    keys, values = items[::2], items[1::2]
    if len(keys) != len(values) or not all(type(key) is str for key in keys):
        raise ValueError("a dict whose keys are not text")
    _expect(stack[-1], dict).update(zip(keys, values, strict=True))
