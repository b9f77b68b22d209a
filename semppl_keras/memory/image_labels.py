"""What is known of each image of a training, image by image."""

from typing import Any

import keras
import numpy as np
from keras import ops

from semppl_keras.checks import check_integers

# The label of an image that has none.
_NONE = -1


@keras.saving.register_keras_serializable(package="semppl_keras")
class ImageLabels(keras.layers.Layer):
    """A pseudo-label of each image and its share, by the image's number.

    Non-trainable variables, saved with the model: what an interrupted training goes on
    with. They are set from outside the step, which only reads them; under
    tf.distribute every replica has a copy.

    Args:
        num_images: int, N; 0 for none as yet.

    Attributes:
        labels: `(N,)` int32, -1 where there is none yet.
        shares: `(N,)` float32 in [0, 1], how sure each is.
    """

    labels: Any
    shares: Any

    def __init__(self, num_images: int = 0, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.num_images = 0
        self.built = True
        if num_images:
            self.make_room(num_images)

    def make_room(self, num_images: int) -> None:
        """Keeps no labels, of so many images.

        Args:
            num_images: int, at least 1.
        """
        check_integers(1, num_images=num_images)
        if num_images == self.num_images:
            self.labels.assign(np.full(num_images, _NONE, "int32"))
            self.shares.assign(np.zeros(num_images, "float32"))
            return
        if self.num_images:
            del self.labels, self.shares

        def state(name: str, dtype: str, initializer: Any) -> Any:
            return self.add_weight(
                name=name,
                shape=(num_images,),
                dtype=dtype,
                initializer=initializer,
                trainable=False,
            )

        self.labels = state("labels", "int32", keras.initializers.Constant(_NONE))
        self.shares = state("shares", "float32", "zeros")
        self.num_images = num_images

    def assign(self, shares: np.ndarray) -> None:
        """Keeps of each image the class with the largest share.

        Args:
            shares: `(N, num_classes)`.
        """
        self.labels.assign(shares.argmax(axis=1).astype("int32"))
        self.shares.assign(shares.max(axis=1).astype("float32"))

    def over(self, numbers: Any, labels: Any, shares: Any) -> tuple[Any, Any]:
        """The labels of images, in place of others where there are any.

        Args:
            numbers: `(B,)` int, which images.
            labels, shares: `(B,)` int32 and float32, what else is said of them.

        Returns:
            labels `(B,)` int32 and shares `(B,)` float32.
        """
        own = ops.take(self.labels.value, numbers, axis=0)
        there = own > _NONE
        own_shares = ops.take(self.shares.value, numbers, axis=0)
        return ops.where(there, own, labels), ops.where(there, own_shares, shares)

    def get_config(self) -> dict[str, Any]:
        """How many they are; the labels are weights."""
        return {**super().get_config(), "num_images": self.num_images}
