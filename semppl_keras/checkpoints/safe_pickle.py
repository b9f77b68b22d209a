"""Reads arrays out of a pickle without running what it asks to be run.

A pickle is a program: it names functions, which loading imports and calls. Here
nothing is imported. A few names stand for readers of arrays that belong to this
module; any other name becomes a class of its own that keeps what it is given and
does nothing with it.
"""

import collections
import math
import os
import pickle
import struct

import numpy as np

# The largest of the published files has some ten thousand arrays, each of some fifty
# instructions. An empty list takes one byte in the file and 56 in memory.
MOST_READS = 10_000_000

_KINDS = {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8)}


class UnsafePickle(ValueError):
    """The file asks for something that arrays and containers do not need."""


class StandIn:
    """What a pickle calls by a name that is not known here; it is never run.

    Attributes:
        name: str, the name in the pickle.
        args: tuple, what it was called with.
        items: dict, what was stored in it by key.
        state: what its attributes were to be.
    """

    name = ""

    def __new__(cls, *args, **kwargs):
        if not isinstance(cls, type):
            # A class that the pickle made, such as a named tuple's.
            return cls(*args)
        instance = super().__new__(cls)
        instance.args = args
        instance.items = {}
        instance.state = kwargs
        return instance

    def __init__(self, *args, **kwargs):
        pass

    def __setitem__(self, key, value):
        self.items[key] = value

    def __setstate__(self, state):
        self.state = state

    def __call__(self, *args):
        return type(self)(self, *args)

    def extend(self, values):
        self.args += tuple(values)

    def append(self, value):
        self.args += (value,)


def load(path):
    """The containers of a pickle file: dicts, lists, tuples, arrays, stand-ins.

    Args:
        path: path of the file.

    Returns:
        What the file holds. Arrays are read-only views of what was read.

    Raises:
        UnsafePickle: if it asks for more memory than it has bytes to fill.
        ValueError: if it is no pickle, is cut off, or holds arrays of objects.
        OSError: if it cannot be read.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        try:
            return _Unpickler(_Bounded(file, size), size).load()
        except ValueError:
            raise
        except EOFError as error:
            raise ValueError(f"it ends in the middle, after {size:,} bytes") from error
        except Exception as error:
            # Whatever a damaged program of a pickle stumbles over.
            raise ValueError(
                f"it is no pickle that can be read ({type(error).__name__}: {error})"
            ) from error


class _Bounded:
    """A file that is asked for no more than it has, and not too often."""

    def __init__(self, file, size):
        self._file = file
        self._left = size
        self._reads_left = MOST_READS

    def read(self, count):
        self._reads_left -= 1
        if self._reads_left < 0:
            raise UnsafePickle(f"it has more than {MOST_READS:,} instructions")
        if count > self._left:
            raise EOFError(f"{count} bytes announced, {self._left} left")
        self._left -= count
        return self._file.read(count)

    def readline(self):
        line = self._file.readline()
        self._left -= len(line)
        return line


# The one written in C makes room for what a file announces before it looks whether
# that is there.
class _Unpickler(pickle._Unpickler):
    dispatch = {  # noqa: RUF012
        **pickle._Unpickler.dispatch,
        pickle.FRAME[0]: lambda self: self.load_frame(),
        pickle.BYTEARRAY8[0]: lambda self: self.load_bytearray8(),
    }

    def __init__(self, file, size):
        super().__init__(file)
        # Bytes that decoding may make: a text has no more than the file.
        self._decodable = size
        self._readers = {
            "collections OrderedDict": collections.OrderedDict,
            "builtins dict": dict,
            "__builtin__ dict": dict,
            "builtins bytes": _empty_bytes,
            "__builtin__ bytes": _empty_bytes,
            "_codecs encode": self._encode,
        }
        for module in ("numpy.core", "numpy._core"):
            self._readers |= {
                f"{module}.multiarray _reconstruct": _Array,
                f"{module}.multiarray scalar": _array_of_scalar,
                f"{module}.numeric _frombuffer": _array_of_buffer,
            }
        self._readers |= {"numpy ndarray": _Array, "numpy dtype": _DType}
        self._stand_ins = {}

    def find_class(self, module, name):
        key = f"{module} {name}"
        if key in self._readers:
            return self._readers[key]
        if key not in self._stand_ins:
            self._stand_ins[key] = type("StandIn", (StandIn,), {"name": key})
        return self._stand_ins[key]

    def load_frame(self):
        # Frames only announce how much could be read at once.
        self.read(8)

    def load_bytearray8(self):
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(size)))

    def _encode(self, text, encoding="latin1"):
        """Protocol 2 writes bytes as a text."""
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise UnsafePickle(f"it encodes a text as {encoding!r}")
        self._decodable -= len(text)
        if self._decodable < 0:
            raise UnsafePickle("it decodes more bytes than it has")
        return text.encode("latin1")


def _empty_bytes(*args):
    """Protocol 2 writes them as a call without arguments."""
    if args:
        raise UnsafePickle("it asks for bytes without giving them")
    return b""


class _DType:
    """NumPy's description of a type: what it is called, then its byte order."""

    def __new__(cls, text, *args):
        instance = super().__new__(cls)
        instance.text = text
        instance.order = "<"
        return instance

    def __init__(self, *args):
        pass

    def __setstate__(self, state):
        _, self.order, *_ = state

    def resolve(self):
        if not isinstance(self.text, str):
            raise ValueError("it holds an array of a type that is not NumPy's own")
        kind, size = self.text[:1], self.text[1:]
        order = self.order if self.order in ("<", ">") else "<"
        if kind not in _KINDS or not size.isdigit() or int(size) not in _KINDS[kind]:
            raise ValueError(f"it holds an array of type {self.text!r}, not of numbers")
        return np.dtype(f"{order}{kind}{size}")


class _Array:
    """An array in the making; `finished` puts the array in its place."""

    def __new__(cls, *args):
        instance = super().__new__(cls)
        instance.value = None
        return instance

    def __init__(self, *args):
        pass

    def __setstate__(self, state):
        *_, shape, dtype, fortran, raw = state
        self.value = _checked_array(raw, dtype, shape, "F" if fortran else "C")


def _array_of_scalar(dtype, raw=b""):
    array = _Array()
    array.value = _checked_array(raw, dtype, (), "C")
    return array


def _array_of_buffer(raw, dtype, shape, order="C"):
    array = _Array()
    array.value = _checked_array(raw, dtype, shape, order)
    return array


def _checked_array(raw, dtype, shape, order):
    if not isinstance(dtype, _DType):
        raise ValueError("it holds an array without a type of numbers")
    resolved = dtype.resolve()
    if not isinstance(raw, (bytes, bytearray)):
        raise ValueError("it holds an array of objects, not of numbers")
    is_shape = isinstance(shape, tuple) and all(
        isinstance(size, int) and size >= 0 for size in shape
    )
    if not is_shape or math.prod(shape) * resolved.itemsize != len(raw):
        raise UnsafePickle(
            f"it holds an array of shape {shape} and type {dtype.text} in "
            f"{len(raw):,} bytes"
        )
    return np.frombuffer(raw, resolved).reshape(shape, order=order)


def array_of(value):
    """The NumPy array of what was read, or None if it is none.

    Raises:
        ValueError: if it is one, but not of numbers, or not of its shape.
    """
    # A jax array is pickled as the making of a NumPy array, under names that changed.
    if isinstance(value, StandIn) and value.args[:1] == (_Array,):
        _, _, state, *_ = value.args
        value = _Array()
        value.__setstate__(state)
    return value.value if isinstance(value, _Array) else None


def mapping_of(value):
    """A dict of what was read, or None if it is no mapping by any of their classes."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, StandIn):
        return None
    candidates = [value.items, *value.args]
    if isinstance(value.state, dict):
        candidates += [value.state, *value.state.values()]
    for candidate in candidates:
        if isinstance(candidate, dict) and candidate:
            return candidate
    return None
