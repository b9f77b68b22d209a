"""What draws SVG, in a process of its own: nothing that a drawing does ends another."""

import contextlib
import importlib
import io
import os
import signal
import struct
import threading
from typing import BinaryIO
from xml.etree import ElementTree

from semppl_keras.data.images.drawing_parts import check_entities, check_parts

# Of a drawing: pixels of the longer side, seconds of the processor, bytes of its SVG.
REQUEST = struct.Struct(">IIQ")
# Whether it is drawn, and the bytes of the PNG or of the reason why not.
REPLY = struct.Struct(">?Q")

# The package draws what is within something by a call within a call, of some 40 KB
# each. So many take a tenth of the room that there is, wherever this runs; references
# within references may take more, and crash it.
MOST_DEPTH = 64
_STACK = 32 << 20

# What shows a picture that another file has, or that is no drawing.
_PICTURES = ("image", "feImage")
# Without these fonts make no difference, and reading them takes time.
_WITH_FONTS = ("text",)


def serve(most_memory: int) -> None:
    """Draws what standard input asks for until it ends.

    Args:
        most_memory: Bytes of memory that this process may take, where that can be set.
    """
    # That is for the process that asks, which then ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit("RLIMIT_AS", most_memory)
    _limit("RLIMIT_CORE", 0)
    threading.stack_size(_STACK)
    thread = threading.Thread(target=_serve)
    thread.start()
    thread.join()


def picture_of(content: bytes, side: int) -> bytes:
    """An SVG drawing as PNG.

    Args:
        content: What its file has.
        side: Pixels of the longer side.

    Returns:
        bytes.

    Raises:
        ValueError: It is no drawing, or one that cannot be drawn here.
    """
    check_entities(content)
    root = _parsed(content)
    if _local(root.tag) != "svg":
        raise ValueError("it is XML, but no SVG")
    for element in root.iter():
        if _local(element.tag) in _PICTURES and any(
            _local(name) == "href" and not value.strip().startswith("#")
            for name, value in element.attrib.items()
        ):
            raise ValueError("it is an SVG that shows another picture")
    check_parts(root)
    package = importlib.import_module("resvg_py")
    pixels = package.svg_to_bytes(
        # As what was looked through has it, entities and all written out.
        svg_string=ElementTree.tostring(root, encoding="unicode"),
        # Within a square, whatever size the drawing says that it has.
        width=side,
        height=side,
        skip_system_fonts=not any(
            _local(element.tag) in _WITH_FONTS for element in root.iter()
        ),
    )
    return bytes(pixels)


def _serve() -> None:
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    # What the package prints is no reply.
    os.dup2(2, 1)
    while head := requests.read(REQUEST.size):
        side, seconds, length = REQUEST.unpack(head)
        content = requests.read(length)
        _limit("RLIMIT_CPU", int(_spent()) + 1 + seconds)
        _reply(replies, content, side)


def _parsed(content: bytes) -> ElementTree.Element:
    depth, root = 0, None
    try:
        for event, element in ElementTree.iterparse(
            io.BytesIO(content), ("start", "end")
        ):
            root = element if root is None else root
            depth += 1 if event == "start" else -1
            if depth > MOST_DEPTH:
                raise ValueError(
                    f"it is an SVG of more than {MOST_DEPTH} parts, each within another"
                )
    except ElementTree.ParseError as error:
        raise ValueError(f"it is no SVG, as XML has it: {error}") from error
    assert root is not None  # XML without one cannot be parsed
    return root


def _local(name: object) -> str:
    """A name without its namespace."""
    return str(name).rpartition("}")[2]


def _reply(replies: BinaryIO, content: bytes, side: int) -> None:
    try:
        drawn, told = True, picture_of(content, side)
    except MemoryError:
        drawn, told = False, b"its SVG takes too much memory"
    except Exception as error:
        drawn, told = False, (str(error) or type(error).__name__).encode()
    except BaseException as error:
        # What goes wrong in Rust by accident is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        drawn, told = False, b"its SVG cannot be drawn"
    replies.write(REPLY.pack(drawn, len(told)) + told)
    replies.flush()


def _spent() -> float:
    times = os.times()
    return times.user + times.system


def _limit(name: str, most: int) -> None:
    """Lowers or raises what this process may take, where the system has such limits."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:  # Windows has none
        return
    which = getattr(resource, name)
    hardest = resource.getrlimit(which)[1]
    if hardest != resource.RLIM_INFINITY:
        most = min(most, hardest)
    # macOS knows the limit of memory, and refuses to set it.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(which, (most, hardest))
