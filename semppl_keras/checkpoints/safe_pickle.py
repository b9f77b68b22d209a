"""Reads arrays out of a pickle without running what it asks to be run.

A pickle is a program: it names functions, which loading imports and calls. Here
nothing is imported. A few names stand for readers of arrays that belong to this
module; any other name becomes a class of its own that keeps what it is given and
does nothing with it. What a file makes is bounded by what it holds.
"""

import math
import os
import pickle
import struct
from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np

# The published files have some ten thousand arrays, each of some hundred reads. What
# one instruction makes can take some hundred times its byte.
MOST_READS = 2_000_000
MOST_NAMES = 1000

_KINDS = {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8)}


class UnsafePickle(ValueError):
    """The file asks for something that arrays and containers do not need."""


class StandIn:
    """What a pickle calls by a name that is not known here; it is never run.

    Attributes:
        args: tuple, what it was called with.
        items: dict, what was stored in it by key.
        state: what its attributes were to be.
    """

    args: tuple[Any, ...]
    items: dict[Any, Any]
    state: Any

    def __new__(cls: Any, *args: Any) -> Any:
        if not isinstance(cls, type):
            # A class that the pickle made.
            return cls(*args)
        instance: StandIn = super().__new__(cls)
        instance.args = args
        instance.items = {}
        instance.state = None
        return instance

    def __init__(self, *args: Any) -> None:
        pass

    def __call__(self, *args: Any) -> Any:
        return type(self)(self, *args)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, value: Any) -> None:
        """Lists of what is not known are of no use here."""


def load(path: str | os.PathLike[str]) -> Any:
    """The containers of a pickle file: dicts, lists, tuples, arrays, stand-ins.

    Args:
        path: path of the file.

    Returns:
        What the file holds.

    Raises:
        UnsafePickle: if it asks for more memory than it has bytes to fill, or for
            something that arrays and containers do not need.
        ValueError: if it is no pickle, is cut off, or holds arrays of objects.
        OSError: if it cannot be read.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        try:
            return _Unpickler(_Bounded(file, size), size).load()
        except UnsafePickle:
            raise
        except EOFError as error:
            raise ValueError(f"it ends in the middle, after {size:,} bytes") from error
        except Exception as error:
            # Whatever a damaged program stumbles over. Its message may hold what the
            # file made, whatever that is.
            raise ValueError(
                f"it is no pickle of arrays ({type(error).__name__})"
            ) from error


class _Bounded:
    """A file that is asked for no more than it has, and not too often."""

    def __init__(self, file: Any, size: int) -> None:
        self._file = file
        self._left = size
        self._reads_left = MOST_READS

    def read(self, count: int) -> bytes:
        self._reads_left -= 1
        if self._reads_left < 0:
            raise UnsafePickle(f"it has more than {MOST_READS:,} instructions")
        if count > self._left:
            raise EOFError
        self._left -= count
        return self._file.read(count)

    def readline(self) -> bytes:
        line = self._file.readline()
        self._left -= len(line)
        return line


# The one written in C makes room for what a file announces before it looks whether
# that is there.
_PythonUnpickler: Any = pickle._Unpickler


class _Unpickler(_PythonUnpickler):
    def __init__(self, file: Any, size: int) -> None:
        super().__init__(file)
        # What calls may copy: every array's bytes are once decoded and once passed on.
        self._copies_left = 3 * size + 10_000
        self._readers = {
            "collections OrderedDict": _ordered,
            "builtins dict": _ordered,
            "__builtin__ dict": _ordered,
            "builtins bytes": _empty_bytes,
            "__builtin__ bytes": _empty_bytes,
            "_codecs encode": _encoded,
            "numpy ndarray": Array,
            "numpy dtype": _DType,
        }
        for module in ("numpy.core", "numpy._core"):
            self._readers |= {
                f"{module}.multiarray _reconstruct": Array,
                f"{module}.multiarray scalar": _array_of_scalar,
                f"{module}.numeric _frombuffer": _array_of_buffer,
            }
        self._names: dict[str, type] = {}

    def find_class(self, module: str, name: str) -> Any:
        key = f"{module} {name}"
        if key in self._readers:
            return self._readers[key]
        if key not in self._names:
            if len(self._names) == MOST_NAMES:
                raise UnsafePickle(f"it has more than {MOST_NAMES:,} names")
            self._names[key] = type("StandIn", (StandIn,), {})
        return self._names[key]

    def get_extension(self, code: int) -> NoReturn:
        raise UnsafePickle("it asks for objects of the process that reads it")

    def _charge(self, *copied: Any) -> None:
        for value in copied:
            if isinstance(value, (tuple, list, dict, str, bytes, bytearray)):
                self._copies_left -= len(value) + 1
        if self._copies_left < 0:
            raise UnsafePickle("it copies more than it holds")

    def _load_reduce(self) -> None:
        self._charge(self.stack[-1], *self.stack[-1])
        self.load_reduce()

    def _load_newobj(self) -> None:
        self._charge(self.stack[-1])
        self.load_newobj()

    def _load_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, (StandIn, Array, _DType)):
            target.__setstate__(state)
        else:
            raise UnsafePickle("it gives attributes to what has none")

    def _load_setitem(self) -> None:
        _check_keys([self.stack[-2]])
        self.load_setitem()

    def _load_setitems(self) -> None:
        _check_keys(self.stack[::2])
        self.load_setitems()

    def _load_dict(self) -> None:
        _check_keys(self.stack[::2])
        self.load_dict()

    def _load_additems(self) -> None:
        _check_keys(self.stack)
        self.load_additems()

    def _load_frozenset(self) -> None:
        _check_keys(self.stack)
        self.load_frozenset()

    def _load_frame(self) -> None:
        # Frames only announce how much could be read at once.
        self.read(8)

    def _load_bytearray8(self) -> None:
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(size)))

    def _refuse(self) -> NoReturn:
        raise UnsafePickle("it makes objects in a way that arrays do not need")

    dispatch = {  # noqa: RUF012
        **_PythonUnpickler.dispatch,
        pickle.REDUCE[0]: _load_reduce,
        pickle.NEWOBJ[0]: _load_newobj,
        pickle.NEWOBJ_EX[0]: _refuse,
        pickle.BUILD[0]: _load_build,
        pickle.SETITEM[0]: _load_setitem,
        pickle.SETITEMS[0]: _load_setitems,
        pickle.DICT[0]: _load_dict,
        pickle.ADDITEMS[0]: _load_additems,
        pickle.FROZENSET[0]: _load_frozenset,
        pickle.FRAME[0]: _load_frame,
        pickle.BYTEARRAY8[0]: _load_bytearray8,
    }


def _check_keys(keys: Iterable[Any]) -> None:
    """Hashing a tuple of tuples may take for ever, or the stack."""
    if not all(isinstance(key, (str, int, bytes, float, type(None))) for key in keys):
        raise UnsafePickle("it has keys that are neither names nor numbers")


def _ordered(items: Any = ()) -> dict[Any, Any]:
    """A dict, of the pairs of which only those of plain keys are possible."""
    if isinstance(items, dict):
        return dict(items)
    pairs = [tuple(item) for item in items if isinstance(item, (tuple, list))]
    if len(pairs) != len(items) or any(len(pair) != 2 for pair in pairs):
        raise UnsafePickle("it makes a dict of something else than pairs")
    _check_keys([key for key, _ in pairs])
    return dict(pairs)


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    """Protocol 2 writes bytes as a text."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise UnsafePickle("it encodes something else than bytes")
    return text.encode("latin1")


def _empty_bytes(*args: Any) -> bytes:
    """Protocol 2 writes them as a call without arguments."""
    if args:
        raise UnsafePickle("it asks for bytes without giving them")
    return b""


class _DType:
    """NumPy's description of a type: what it is called, then its byte order."""

    text: Any
    order: Any

    def __new__(cls, text: Any = None, *args: Any) -> Any:
        instance = super().__new__(cls)
        instance.text = text
        instance.order = "<"
        return instance

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        _, self.order, *_ = state

    def resolve(self) -> np.dtype[Any]:
        if not isinstance(self.text, str):
            raise ValueError("it holds an array of a type that is not NumPy's own")
        kind, size = self.text[:1], self.text[1:]
        order = ">" if self.order == ">" else "<"
        sizes = _KINDS.get(kind, ())
        if size not in map(str, sizes):
            raise ValueError(
                f"it holds an array of type {self.text[:10]!r}, not of numbers"
            )
        return np.dtype(f"{order}{kind}{size}")


class Array:
    """An array in the making, as NumPy pickles it; `value` is what it holds."""

    state: Any

    def __new__(cls, *args: Any) -> Any:
        instance = super().__new__(cls)
        instance.state = None
        return instance

    def __init__(self, *args: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        *_, shape, dtype, fortran, raw = state
        self.state = raw, dtype, shape, "F" if fortran else "C"

    @property
    def value(self) -> np.ndarray:
        """The array.

        Raises:
            ValueError: if it is none of numbers, or not of its shape.
        """
        if self.state is None:
            raise ValueError("it holds an array without numbers")
        raw, dtype, shape, order = self.state
        if not isinstance(dtype, _DType):
            raise ValueError("it holds an array without a type of numbers")
        resolved = dtype.resolve()
        if not isinstance(raw, (bytes, bytearray)):
            raise ValueError("it holds an array of objects, not of numbers")
        is_shape = (
            isinstance(shape, tuple)
            and len(shape) <= 16
            and all(isinstance(size, int) and 0 <= size < 2**48 for size in shape)
        )
        if not is_shape or math.prod(shape) * resolved.itemsize != len(raw):
            announced = shape if is_shape else "that is none"
            raise UnsafePickle(
                f"it holds an array of shape {announced} and type {dtype.text} in "
                f"{len(raw):,} bytes"
            )
        return np.frombuffer(raw, resolved).reshape(shape, order=order)


def _array_of_scalar(dtype: Any, raw: Any = b"") -> Array:
    array = Array()
    array.state = raw, dtype, (), "C"
    return array


def _array_of_buffer(raw: Any, dtype: Any, shape: Any, order: Any = "C") -> Array:
    array = Array()
    array.state = raw, dtype, shape, "F" if order == "F" else "C"
    return array


def array_of(value: Any) -> np.ndarray | None:
    """The NumPy array of what was read, or None if it is none.

    Raises:
        ValueError: if it is one, but not of numbers, or not of its shape.
    """
    # A jax array is pickled as the making of a NumPy array, under names that changed.
    if isinstance(value, StandIn) and len(value.args) > 2 and value.args[0] is Array:
        array = Array()
        try:
            array.__setstate__(value.args[2])
        except (TypeError, ValueError) as error:
            raise ValueError("it holds an array without numbers") from error
        value = array
    return value.value if isinstance(value, Array) else None


def mapping_of(value: Any) -> dict[Any, Any] | None:
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
