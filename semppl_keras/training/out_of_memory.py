"""Errors that mean that there is not enough memory, as each backend tells them."""

# TensorFlow's and torch's.
_NAMES = ("ResourceExhaustedError", "OutOfMemoryError")
# JAX's, and torch's on processors.
_TEXTS = ("RESOURCE_EXHAUSTED", "DefaultCPUAllocator", "not enough memory")


def is_out_of_memory(error):
    """Whether an exception tells that memory was asked for that is not there."""
    if isinstance(error, MemoryError) or type(error).__name__ in _NAMES:
        return True
    return isinstance(error, RuntimeError) and any(
        text in str(error) for text in _TEXTS
    )
