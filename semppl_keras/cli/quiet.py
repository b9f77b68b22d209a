"""What backends say of themselves when they start is kept from the terminal."""

import contextlib
import faulthandler
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator

from semppl_keras.around_imports import AroundImports

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"

# Imported by Keras, some of them whichever runs the networks.
_BACKENDS = ("keras", "tensorflow", "jax", "torch")

# Lines of TensorFlow's C++ code, as it writes them before and after 2.20: what it has
# found on the machine, at the levels INFO and WARNING.
_NOISE = re.compile(
    r"[IW]\d{4} \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d [\d:.]+: [IW] "
    r"|WARNING: All log messages before absl::InitializeLog\(\)"
    # Of the same message as the line before.
    r"|To enable the following instructions: .* rebuild TensorFlow"
    # Errors by their level alone: no driver, which is as usual without a GPU; a plugin
    # that several libraries bring; another way taken for some operations.
    r"|.*failed call to cuInit: .*(?:UNKNOWN ERROR \(303\)|CUDA_ERROR_NO_DEVICE)"
    r"|.*Unable to register cu(?:DNN|FFT|BLAS) (?:factory|plug-in)"
    r"|.*oneDNN supports DT_\w+ only on platforms with AVX-512"
)


@contextlib.contextmanager
def quiet_backends() -> Iterator[None]:
    """Within it backends are imported and work without telling of themselves.

    Their messages at level ERROR are let through, and all that they write before an
    import fails.
    """
    # Read when TensorFlow loads, here or in a process that is started from here.
    given = os.environ.get(_LEVEL)
    os.environ[_LEVEL] = given or "2"
    # How often it traces its functions is no concern of a command's user.
    logger = logging.getLogger("tensorflow")
    level = logger.level
    finder = AroundImports(_BACKENDS.__contains__, without_noise)
    sys.meta_path.insert(0, finder)
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        logger.setLevel(level)
        if given is None:
            del os.environ[_LEVEL]


@contextlib.contextmanager
def without_noise() -> Iterator[None]:
    """Within it known noise does not reach stderr, from wherever it is written.

    TensorFlow's C++ code writes to the file of stderr itself, some lines before it can
    be told not to. All else that is written there comes at the end, and everything if
    there is an exception.
    """
    try:
        _flush()
        stderr = os.dup(2)
    except OSError:
        # A process without stderr: nobody is disturbed.
        yield
        return
    with open(stderr, "wb", closefd=True), tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        noise: re.Pattern[str] | None = None
        # A library that ends the process takes what it has written with it.
        tells_of_crash = not faulthandler.is_enabled()
        if tells_of_crash:
            faulthandler.enable(file=stderr)
        try:
            yield
            noise = _NOISE
        finally:
            if tells_of_crash:
                faulthandler.disable()
            _flush()
            os.dup2(stderr, 2)
            written.seek(0)
            for line in written:
                text = line.decode("utf-8", "replace")
                if noise is None or not noise.match(text):
                    os.write(2, line)


def _flush() -> None:
    """What Python has not written yet belongs before or behind."""
    for stream in (sys.stderr, sys.__stderr__):
        if stream is not None and not stream.closed:
            stream.flush()
