"""Errors that mean that there is not enough memory, and what to do about them."""

from typing import Any

# TensorFlow's and torch's.
_NAMES = ("ResourceExhaustedError", "OutOfMemoryError")
# JAX's, and torch's on processors.
_TEXTS = (
    "RESOURCE_EXHAUSTED",
    "Out of memory allocating",
    "DefaultCPUAllocator",
    "not enough memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception tells that memory was asked for that is not there."""
    if isinstance(error, MemoryError) or type(error).__name__ in _NAMES:
        return True
    return isinstance(error, RuntimeError) and any(
        text in str(error) for text in _TEXTS
    )


def out_of_memory(views: Any, feed: Any) -> str:
    """What is said of a step that took too much: of which views and batch sizes."""
    sizes = f"batch_size={feed.batch_size}"
    if feed.labelled_batch_size:
        sizes += f", labelled_batch_size={feed.labelled_batch_size}"
    return (
        "A step of training must fit into the memory. Received: less memory than "
        f"one takes with {sizes} and views of each image: {views.described}. Lower the "
        f"batch size first, such as to {max(1, feed.batch_size // 2)}; or the number "
        'or size of the views; or set keras.mixed_precision to "mixed_bfloat16".'
    )
