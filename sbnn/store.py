"""Results on disk: compressed pickles of plain data, read without running any code.

A file is a pickle of dicts, lists, tuples, text, numbers, bool, None and arrays of numbers, bools
or text, compressed by `lzma`; a table is a dict of its columns. ``pandas.read_pickle(path)`` reads
it without this package.
"""

import io
import lzma
import os
import pickle
import pickletools
import re
import uuid
from pathlib import Path

import numpy as np
import pandas as pd

#: End of the names of files.
ENDING = ".pickle.xz"
# What a file may become in memory: a legitimate one is rarely compressed a thousand times.
LARGEST_RATIO = 1000
LARGEST_SMALL_FILE = 2**26  # bytes, however small the compressed file is
MOST_INSTRUCTIONS = 1_000_000  # of a pickle; an array is one, whatever its size
DEEPEST = 50  # containers in containers
PLAIN_ARRAY = re.compile(r"[<|][biufU]\d+")
TABLE = {"columns", "index", "index_name"}  # keys of a dict that stands for a table

# The instructions that `write` produces. None of them calls anything but `numpy.ndarray`, refers to
# an object a second time, or gives objects that are registered in this process.
ALLOWED = frozenset(
    [
        "PROTO",
        "FRAME",
        "STOP",
        "MARK",
        "NONE",
        "NEWTRUE",
        "NEWFALSE",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG1",
        "BINFLOAT",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
        "BYTEARRAY8",
        "EMPTY_DICT",
        "SETITEM",
        "SETITEMS",
        "EMPTY_LIST",
        "APPEND",
        "APPENDS",
        "EMPTY_TUPLE",
        "TUPLE",
        "TUPLE1",
        "TUPLE2",
        "TUPLE3",
        "STACK_GLOBAL",
        "REDUCE",
    ]
)


def write(value, path):
    """Write plain data in one step.

    What was written is read back and compared before an existing file is replaced; a ValueError is
    raised if it is not the same.
    """
    content = lzma.compress(_pickled(encoded(value)))
    require_same(value, decoded(_loaded(content)))
    write_atomically(content, path)


def read(path, build):
    """Call `build` with what `write` has written; any other content is a ValueError."""
    content = Path(path).read_bytes()
    try:
        return build(decoded(_loaded(content)))
    except Exception as error:  # any error that a damaged or hostile file causes
        raise ValueError(
            f"{path} is not a record that this version can read, or it is damaged: {error}; a "
            "record of sbnn 1.0 or earlier must be computed again, or read with that version"
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


class _Pickler(pickle.Pickler):
    def reducer_override(self, value):
        """Store an array as a call of `numpy.ndarray`, which every version of NumPy knows."""
        if isinstance(value, np.ndarray):
            buffer = bytearray(value.tobytes())  # unlike bytes, it gives a writeable array
            return np.ndarray, (value.shape, value.dtype.str, buffer)
        return NotImplemented


class _DataOnly(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) == ("numpy", "ndarray"):
            return _array
        raise ValueError(f"it refers to {module}.{name}, but may hold data only")


def _pickled(value):
    file = io.BytesIO()
    pickler = _Pickler(file, protocol=5)
    pickler.fast = True  # without references to objects that were stored before
    pickler.dump(value)
    return file.getvalue()


def _array(shape, dtype, buffer):
    """Call `numpy.ndarray`, for numbers, bools and text that the buffer holds whole."""
    if not PLAIN_ARRAY.fullmatch(dtype):
        raise ValueError(f"it has an array of {dtype!r}, but may hold numbers, bools and text only")
    dtype = np.dtype(dtype)
    n_bytes = dtype.itemsize
    for size in shape:
        n_bytes *= size
    if n_bytes != len(buffer):
        raise ValueError(f"its array of shape {shape} has {len(buffer)} bytes, not {n_bytes}")
    return np.ndarray(shape, dtype, buffer)


def _loaded(content):
    content = _decompressed(content)
    for i, (instruction, _, _) in enumerate(pickletools.genops(content)):
        if instruction.name not in ALLOWED:
            raise ValueError(f"its pickle instruction {instruction.name} is not allowed in data")
        if i >= MOST_INSTRUCTIONS:
            raise ValueError("it has too many items in lists and dicts; arrays may be of any size")
    return _DataOnly(io.BytesIO(content)).load()


def _decompressed(content):
    """Decompress a single xz stream with a checksum, up to a bound."""
    most = max(LARGEST_SMALL_FILE, LARGEST_RATIO * len(content))
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ)
    data = decompressor.decompress(content, max_length=most)
    if not decompressor.eof and len(data) == most:
        raise ValueError(f"it has more than {most} bytes, {LARGEST_RATIO} times its size on disk")
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError("it is cut off, or something follows its end")
    if decompressor.check != lzma.CHECK_CRC64:
        raise ValueError("it has no checksum")
    return data


def encoded(value, depth=0):
    """Convert data to what a file holds: tables to dicts, text in arrays to one dtype.

    Other objects raise a ValueError.
    """
    if depth > DEEPEST:
        raise ValueError(f"containers are nested more than {DEEPEST} deep")
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, pd.DataFrame):
        columns = {name: encoded(column.to_numpy()) for name, column in value.items()}
        index = encoded(value.index.to_numpy())
        return {"columns": columns, "index": index, "index_name": encoded(value.index.name)}
    if isinstance(value, np.ndarray):
        return encoded_array(value)
    if type(value) is dict:
        return {encoded(name): encoded(item, depth + 1) for name, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(encoded(item, depth + 1) for item in value)
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise ValueError(f"a record may hold data only, not a {kind}")


def encoded_array(array):
    """Convert an array to one of numbers, bools or text; a missing text becomes an empty one."""
    if array.dtype.kind in "OU":
        texts = _texts_of(array)
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(f"a record may hold data only, not an array of objects: {texts[:3]}")
        return np.array(texts, dtype=str).reshape(array.shape)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"a record may hold data only, not an array of {array.dtype}")
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)


def _texts_of(array):
    return ["" if pd.isna(text) else text for text in array.ravel().tolist()]


def decoded(value, depth=0):
    """Restore what `encoded` has converted; text is in arrays of objects."""
    if depth > DEEPEST:
        raise ValueError(f"its containers are nested more than {DEEPEST} deep")
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return value.astype(object)
    if isinstance(value, list | tuple):
        return type(value)(decoded(item, depth + 1) for item in value)
    if not isinstance(value, dict):
        return value
    value = {name: decoded(item, depth + 1) for name, item in value.items()}
    if value.keys() == TABLE:
        index = pd.Index(value["index"], name=value["index_name"])
        return pd.DataFrame(value["columns"], index)
    return value


def require_same(value, again, place="the record"):
    """Reject data that a file does not give back."""
    if not _same(value, again):
        kind = type(value).__name__
        raise ValueError(f"{place} has a {kind} that a file would not give back: {value!r:.100}")
    if isinstance(value, dict):
        for name, item in value.items():
            require_same(item, again[name], f"{name!r} in {place}")
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            require_same(item, again[i], f"item {i} of {place}")


def _same(value, again):
    """Whether two values are equal, apart from what containers hold."""
    if isinstance(value, pd.DataFrame):
        return _same_table(value, again)
    if isinstance(value, np.ndarray):
        return isinstance(again, np.ndarray) and _same_array(value, again)
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) is not type(again):
        return False
    if isinstance(value, dict):
        return list(value) == list(again)
    if isinstance(value, list | tuple):
        return len(value) == len(again)
    return value == again or (value != value and again != again)


def _same_array(value, again):
    if value.dtype.kind in "OU":
        return value.shape == again.shape and _texts_of(value) == _texts_of(again)
    same_dtype = value.dtype.newbyteorder("=") == again.dtype
    return same_dtype and np.array_equal(value, again, equal_nan=value.dtype.kind == "f")


def _same_table(value, again):
    """Whether index, columns and values are the same; categories may have become text."""
    if not isinstance(again, pd.DataFrame) or list(value.columns) != list(again.columns):
        return False
    axes = value.index, again.index
    if axes[0].nlevels > 1 or value.columns.name is not None or axes[0].name != axes[1].name:
        return False
    columns = [axes, *((value[name], again[name]) for name in value)]
    return all(_same_array(a.to_numpy(), b.to_numpy()) for a, b in columns)
