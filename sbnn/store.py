"""Results on disk: compressed pickles of plain data, read without running any code.

A file is a pickle of dicts, lists, tuples, text, numbers, bool, None and arrays of numbers, bools
or text, compressed by `lzma`; a table is a dict of its columns. ``pandas.read_pickle(path)`` reads
it without this package.
"""

import io
import lzma
import math
import pickle
import pickletools
import re
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from sbnn.files import refuse_device, write_atomically

#: End of the names of files.
ENDING = ".pickle.xz"
# Bytes that a file may become in memory: a legitimate one is rarely compressed a hundred times.
LARGEST_RATIO = 500
ALWAYS_ALLOWED = 2**26  # even of a file that is compressed more
BYTES_OF_TEXT = 80  # of a text in an array of objects, beside its characters
MOST_MEMORY = 2**27  # bytes that `lzma` itself needs, twice those of its highest preset
MOST_INSTRUCTIONS = 500_000  # of a pickle, about 11 for an array, whatever its size
MOST_CHARACTERS = 10_000_000  # of text that is in no array
DEEPEST = 50  # containers in containers
MOST_LEVELS = DEEPEST + 5  # of a pickle: a table is two dicts, and an array a call with a shape
PLAIN_ARRAY = re.compile(r"[<|][biufU][1-9]\d*")
MOST_AXES = 32
TABLE = {"columns", "index", "index_name"}  # keys of a dict that stands for a table
#: Beginning of a file of `write_file`: a dict that is never referred to again, unlike in others.
RECORD = rb"\x80\x05\x95.{8}\}\("

# The instructions of pickles that `write_file` produces. None of them calls anything but
# `numpy.ndarray`, refers to an object a second time, or gives objects that are registered in this
# process.
KEYS = {"NONE", "NEWTRUE", "NEWFALSE", "BININT1", "BININT2", "SHORT_BINUNICODE", "BINUNICODE"}
ADDITIONS = {"APPEND", "APPENDS", "SETITEM", "SETITEMS"}
INSTRUCTIONS = KEYS | ADDITIONS
INSTRUCTIONS |= {"PROTO", "FRAME", "STOP", "MARK", "BININT", "LONG1", "BINFLOAT", "BYTEARRAY8"}
INSTRUCTIONS |= {"EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
INSTRUCTIONS |= {"STACK_GLOBAL", "REDUCE"}

T = TypeVar("T")


def write_file(value: object, path: str | PathLike[str]) -> None:
    """Write plain data in one step.

    An existing file is replaced only after what was encoded has been decoded and compared.
    """
    content = _pickle_data(encode(value))
    compressed = lzma.compress(content)
    restored = decode(_unpickle_data(compressed))
    if _pickle_data(encode(restored)) != content:
        raise ValueError(f"{path}: a file would not give back the same data")
    write_atomically(compressed, path, beginning=RECORD)


def read_file(path: str | PathLike[str], build: Callable[[Any], T]) -> T:
    """Call `build` with what `write_file` has written; any other content is a ValueError."""
    refuse_device(path)
    content = Path(path).read_bytes()
    try:
        return build(decode(_unpickle_data(content)))
    except Exception as error:  # any error that a damaged or hostile file causes
        raise ValueError(
            f"{path} is not a record that this version can read, or it is damaged: {error}; delete "
            "this file to compute it again, or read one of sbnn 1.0 or earlier with that version"
        ) from error


class _Pickler(pickle.Pickler):
    def reducer_override(self, value):
        """Store an array as a call of `numpy.ndarray`, which every version of NumPy knows."""
        if isinstance(value, np.ndarray):
            buffer = bytearray(value.tobytes())  # unlike bytes, it gives a writeable array
            return np.ndarray, (value.shape, value.dtype.str, buffer)
        return NotImplemented


class _DataOnly(pickle.Unpickler):
    n_texts = 0  # in all arrays

    def find_class(self, module, name):
        if (module, name) == ("numpy", "ndarray"):
            return self._array
        raise ValueError(f"it refers to {module}.{name}, but may hold data only")

    def _array(self, shape, dtype, buffer):
        """Call `numpy.ndarray`, for numbers, bools and text that the buffer holds whole."""
        if not PLAIN_ARRAY.fullmatch(dtype):
            raise ValueError(
                f"it has an array of {dtype!r}, but may hold numbers, bools and text only"
            )
        if len(shape) > MOST_AXES or not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError("it has an array without a valid shape")
        kind = np.dtype(dtype)
        n_bytes = kind.itemsize * math.prod(shape)
        if n_bytes != len(buffer):
            raise ValueError(f"its array of shape {shape} has {len(buffer)} bytes, not {n_bytes}")
        if kind.kind == "U":
            self.n_texts += math.prod(shape)
        return np.ndarray(shape, kind, buffer)


def _pickle_data(value):
    file = io.BytesIO()
    pickler = _Pickler(file, protocol=5)
    pickler.fast = True  # without references to objects that were stored before
    pickler.dump(value)
    return file.getvalue()


def _unpickle_data(compressed):
    most = max(ALWAYS_ALLOWED, LARGEST_RATIO * len(compressed))
    content = _decompress(compressed, most)
    _require_plain(content)
    # of an instruction that crosses the end of its frame, the unpickler would read other bytes
    framed_anew = pickletools.optimize(content)
    unpickler = _DataOnly(io.BytesIO(framed_anew))
    value = unpickler.load()
    if unpickler.n_texts * BYTES_OF_TEXT > most:
        raise ValueError(f"its arrays have {unpickler.n_texts} texts, more than {most} bytes")
    return value


def _require_plain(content):
    """Reject a pickle that `write_file` would not produce, before any of it is executed.

    Before an unpickler could refuse them, deep containers overflow the stack of the interpreter,
    and tuples or large numbers that are chosen as keys of a dict take quadratic time. `genops`
    refuses sizes that are larger than the content.
    """
    file = io.BytesIO(content)
    stack: list[int] = []  # in place of values, their levels: 0 for keys, 1 for an empty container
    marks: list[int] = []  # heights of the stack below the items of containers
    n_characters = 0
    for i, (instruction, argument, _) in enumerate(pickletools.genops(file)):
        name, operands = instruction.name, instruction.stack_before
        if name not in INSTRUCTIONS:
            raise ValueError(f"its pickle instruction {name} is not allowed in data")
        if isinstance(argument, str):
            n_characters += len(argument)
        if i >= MOST_INSTRUCTIONS or n_characters > MOST_CHARACTERS:
            raise ValueError("it has too many items, or too much text, that are in no array")
        start = len(stack) - len(operands)
        if pickletools.markobject in operands:  # after a container, if items are added to one
            start = marks.pop() - operands.index(pickletools.markobject)
        taken = stack[start:]
        del stack[start:]
        if name in ("SETITEM", "SETITEMS") and any(taken[1::2]):
            raise ValueError("its dicts may have keys of text and whole numbers below 65,536 only")
        if name == "MARK":
            marks.append(len(stack))
        elif instruction.stack_after:
            if name in ADDITIONS:
                taken[0] -= 1  # the container has its level already
            level = 0 if name in KEYS else 1 + max(taken, default=0)
            if level > MOST_LEVELS:
                raise ValueError(f"its containers are nested more than {DEEPEST} deep")
            stack.append(level)
    if file.read(1):
        raise ValueError("something follows its end")


def _decompress(compressed, most):
    """Decompress a single xz stream with a checksum, up to a bound."""
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, MOST_MEMORY)
    content = decompressor.decompress(compressed, max_length=most)
    if not decompressor.eof and len(content) == most:
        raise ValueError(f"it has more than {most} bytes, {LARGEST_RATIO} times its size on disk")
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError("it is cut off, or something follows its end")
    if decompressor.check != lzma.CHECK_CRC64:
        raise ValueError("it has no checksum")
    return content


def encode(value: Any, depth: int = 0) -> Any:
    """Convert data to what a file holds: tables to dicts, text in arrays to one dtype.

    Anything that `decode` would not give back is a ValueError.
    """
    if depth > DEEPEST:
        raise ValueError(f"containers are nested more than {DEEPEST} deep")
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or type(plain) in (bool, int, float, str):
        return plain
    if isinstance(plain, pd.DataFrame):
        return _encode_table(plain)
    if type(plain) is np.ndarray:  # not a masked array, whose mask would be lost
        return _encode_array(plain)
    if type(plain) is dict:
        items = {encode(name): encode(item, depth + 1) for name, item in plain.items()}
        if items.keys() == TABLE:
            raise ValueError(f"a file would not give back a dict with the keys {list(plain)}")
        return items
    if type(plain) in (list, tuple):
        return type(plain)(encode(item, depth + 1) for item in plain)
    kind = f"{type(plain).__module__}.{type(plain).__qualname__}"
    raise ValueError(f"a record may hold data only, not a {kind}")


def _encode_table(table):
    """Convert a table to a dict of its columns; categories become text."""
    if table.index.nlevels > 1 or table.columns.nlevels > 1 or table.columns.name is not None:
        raise ValueError(
            "a file would not give back a table with an index or columns of several levels, or "
            "with a name above its columns; use reset_index() and rename_axis(columns=None)"
        )
    if not table.columns.is_unique:
        raise ValueError(f"a table has columns of the same name: {list(table.columns)}")
    return {
        "columns": {encode(name): encode(column.to_numpy()) for name, column in table.items()},
        "index": encode(table.index.to_numpy()),
        "index_name": encode(table.index.name),
    }


def _encode_array(array):
    """Convert an array to one of numbers, bools or text; a missing text becomes an empty one."""
    if array.dtype.kind in "biuf":
        little_endian = array.dtype.newbyteorder("<")
        contiguous = np.ascontiguousarray(array, little_endian)
        return contiguous.reshape(array.shape)  # 0 axes became 1
    if array.dtype.kind not in "OU":
        raise ValueError(f"a record may hold data only, not an array of {array.dtype}")
    texts = ["" if pd.isna(text) else text for text in array.ravel().tolist()]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"a record may hold data only, not an array of objects: {texts[:3]}")
    encoded = np.array(texts, dtype=str)
    if encoded.tolist() != texts:  # NumPy drops characters 0 at the end
        raise ValueError("a file would not give back text that ends with a character 0")
    return encoded.reshape(array.shape)


def decode(value: Any) -> Any:
    """Restore what `encode` has converted; text is in arrays of objects."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return value.astype(object)
    if isinstance(value, list | tuple):
        return type(value)(decode(item) for item in value)
    if value is None or isinstance(value, bool | int | float | str | np.ndarray):
        return value
    if not isinstance(value, dict):
        raise ValueError(f"it may hold data only, not a {type(value).__name__}")
    entries = {name: decode(item) for name, item in value.items()}
    if entries.keys() != TABLE:
        return entries
    columns, index = entries["columns"], entries["index"]
    arrays = [index, *columns.values()]
    if not all(isinstance(array, np.ndarray) and array.shape == index.shape for array in arrays):
        raise ValueError("it has a table whose index and columns are no arrays of the same length")
    return pd.DataFrame(columns, pd.Index(index, name=entries["index_name"]))
