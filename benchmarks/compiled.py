"""A function of Keras variables, run the way the backend's training step runs.

What differs between the backends in measuring parts of a step stands here and nowhere
else: compilation, gradients, and waiting for the device.
"""

import contextlib

import keras

BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "jax":
    import jax
else:
    import torch


class Compiled:
    """A function that reads and writes Keras variables, compiled.

    Args:
        function: takes and returns tensors or structures of them.
        variables: all that it reads or writes.
        jit_compile: bool, as a model's `jit_compile`.
        gradients: bool, whether it takes gradients itself; torch records the
            operations of one that does.
    """

    def __init__(self, function, variables, jit_compile, gradients=False):
        self._variables = variables
        if BACKEND == "tensorflow":
            self._function = tf.function(
                function, jit_compile=jit_compile, autograph=False
            )
        elif BACKEND == "jax":
            # A copy: the arrays are given away at each call, as in Keras' own step.
            self._values = [jax.numpy.copy(variable.value) for variable in variables]

            def stateless(values, *inputs):
                return _at(variables, values, lambda: function(*inputs))

            self._function = stateless
            if jit_compile:
                self._function = jax.jit(stateless, donate_argnums=0)
        else:
            self._function = function if gradients else torch.no_grad()(function)
            if jit_compile:
                self._function = torch.compile(self._function)

    def __call__(self, *inputs):
        """The function's result; the device may still be at it."""
        if BACKEND != "jax":
            return self._function(*inputs)
        result, self._values = self._function(self._values, *inputs)
        return result


def gradients_of_variables(loss, variables, others):
    """Gradients of `loss()`, within a function that is `Compiled`.

    Args:
        loss: function without arguments, returns a scalar.
        variables: those whose gradients are asked for.
        others: the variables that `loss` writes.

    Returns:
        list of tensors.
    """
    if BACKEND == "tensorflow":
        with tf.GradientTape() as tape:
            value = loss()
        return tape.gradient(value, [variable.value for variable in variables])
    if BACKEND == "torch":
        for variable in variables:
            variable.value.grad = None
        loss().backward()
        return [variable.value.grad for variable in variables]
    kept = [variable.value for variable in others]

    def of(values):
        result, after = _at([*variables, *others], [*values, *kept], loss)
        return result, after[len(variables) :]

    gradients, after = jax.grad(of, has_aux=True)(
        [variable.value for variable in variables]
    )
    for variable, value in zip(others, after, strict=True):
        variable.assign(value)
    return gradients


def gradient_of_tensor(loss, tensor):
    """Gradient of `loss(tensor)`, a scalar, within a function that is `Compiled`."""
    if BACKEND == "tensorflow":
        with tf.GradientTape() as tape:
            tape.watch(tensor)
            value = loss(tensor)
        return tape.gradient(value, tensor)
    if BACKEND == "torch":
        tensor = tensor.detach().requires_grad_()
        loss(tensor).backward()
        return tensor.grad
    return jax.grad(loss)(tensor)


def without_gradients():
    """A context in which torch records nothing."""
    return torch.no_grad() if BACKEND == "torch" else contextlib.nullcontext()


def wait(result):
    """Returns once the device has computed `result` (and all before it)."""
    if BACKEND == "jax":
        jax.block_until_ready(result)
    elif BACKEND == "torch" and torch.cuda.is_available():
        torch.cuda.synchronize()
    elif BACKEND == "tensorflow" and tf.config.list_physical_devices("GPU"):
        tf.test.experimental.sync_devices()


def backend_version():
    """The backend's name and version."""
    module = {"tensorflow": "tf", "jax": "jax", "torch": "torch"}[BACKEND]
    return f"{BACKEND} {globals()[module].__version__}"


def device_name():
    """What the networks run on."""
    if BACKEND == "jax":
        device = jax.devices()[0]
        return "CPU" if device.platform == "cpu" else device.device_kind
    if BACKEND == "torch" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    if BACKEND == "tensorflow" and tf.config.list_physical_devices("GPU"):
        return "GPU"
    return "CPU"


def _at(variables, values, function):
    """`function()` with JAX values in place of the variables', and those after it."""
    mapping = list(zip(variables, values, strict=True))
    with keras.StatelessScope(state_mapping=mapping) as scope:
        result = function()
    return result, [scope.get_current_value(variable) for variable in variables]
