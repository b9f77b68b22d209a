import ctypes
import sys

import keras
import pytest

from semppl_keras.training.kept_memory import kept_memory
from tests.toys import toy_images, toy_model

LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
pytestmark = [
    pytest.mark.skipif(
        not hasattr(LIBC, "mallinfo2"), reason="how glibc keeps memory, which tells it"
    ),
    pytest.mark.any_backend,
]


class Counts(ctypes.Structure):
    """What mallinfo2(3) tells; `hblks` counts blocks lent by the system alone."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def is_kept():
    """Whether a large block would be a part of the heap, which stays."""
    LIBC.mallinfo2.restype = Counts
    LIBC.malloc.restype = ctypes.c_void_p
    LIBC.malloc.argtypes = [ctypes.c_size_t]
    LIBC.free.argtypes = [ctypes.c_void_p]
    before = LIBC.mallinfo2().hblks
    # Larger than any hole that earlier tests may have left in the heap; no page of it
    # is touched.
    block = LIBC.malloc(2**31)
    assert block
    after = LIBC.mallinfo2().hblks
    LIBC.free(block)
    return after == before


def test_large_blocks_are_kept_until_the_last_training_ends():
    assert not is_kept()
    with kept_memory():
        assert is_kept()
        with kept_memory():
            assert is_kept()
        assert is_kept()
    assert not is_kept()


def test_an_interrupted_training_gives_memory_back():
    with pytest.raises(KeyboardInterrupt), kept_memory():
        raise KeyboardInterrupt
    assert not is_kept()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MALLOC_MMAP_MAX_", "100"),
        ("MALLOC_TRIM_THRESHOLD_", "1000000"),
        ("GLIBC_TUNABLES", "glibc.malloc.mmap_max=100"),
    ],
)
def test_what_the_user_has_set_stands(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with kept_memory():
        assert not is_kept()


def test_fit_keeps_memory_while_it_runs():
    kept = []
    images, labels = toy_images(12)
    watching = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: kept.append(is_kept())
    )
    toy_model().fit(
        images, (images, labels), batch_size=12, callbacks=[watching], verbose=0
    )
    assert kept == [True]
    assert not is_kept()
