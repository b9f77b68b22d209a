"""Counts the multiplications and additions of a training step from its layers."""

import keras
from keras import layers


def multiply_adds(network, input_shape):
    """Of one input through the convolutions and dense layers of a network.

    Args:
        network: functional or sequential `keras.Model`, without models within it.
        input_shape: tuple of int, without the batch.

    Returns:
        int.

    Raises:
        ValueError: for a layer with a kernel that is neither Conv2D nor Dense, or a
            model within the network.
    """
    counted = []
    for layer in network.layers:
        if isinstance(layer, (layers.Conv2D, layers.Dense)):
            counted.append(layer)
        elif isinstance(layer, keras.Model) or hasattr(layer, "kernel"):
            raise ValueError(
                "`network` must have no kernels but those of Conv2D and Dense layers. "
                f"Received: {type(layer).__name__} {layer.name!r}."
            )
    outputs = keras.Model(network.inputs, [layer.output for layer in counted])
    shapes = outputs.compute_output_shape((1, *input_shape))
    total = 0
    for layer, shape in zip(counted, shapes, strict=True):
        places = 1
        for size in shape[1:-1]:
            places *= size
        # Of a kernel each weight counts once for each place.
        weights = 1
        for size in layer.kernel.shape:
            weights *= size
        total += places * weights
    return total


def step_flops(model, images_per_step):
    """Floating-point operations of a step of SemPPL: its networks, and nothing else.

    A multiplication and an addition are two. The backward pass is taken to cost twice
    the forward one, as it does but for the first layer.

    Args:
        model: `SemPPL`.
        images_per_step: int.
    """
    views = model.views
    channels = model.image_spec.channels[0]

    def embedding(encoder, size):
        total = multiply_adds(encoder.backbone, (size, size, channels))
        for head in encoder.heads:
            total += multiply_adds(head, head.input_shape[1:])
        return total

    online = views.num_large * embedding(model.online, views.large_size)
    if views.num_small:
        online += views.num_small * embedding(model.online, views.small_size)
    target = views.num_large * embedding(model.target, views.large_size)
    return 2 * images_per_step * (3 * online + target)
