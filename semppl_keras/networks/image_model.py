"""What takes images as they are: views before a backbone."""

from typing import Any

import keras

from semppl_keras.data.feed.checked_batches import check_opening, checked_inputs
from semppl_keras.data.feed.explanations import explained
from semppl_keras.data.feed.streamed_batches import for_keras
from semppl_keras.kernels import quick_inference
from semppl_keras.networks.backbone_contract import input_channels
from semppl_keras.networks.keras_file import SavedAsKerasFile


class ImageModel(SavedAsKerasFile, keras.Model):
    """A backbone with what images have to pass before it.

    Args:
        backbone: built `keras.Model` from views `(B, s, s, C)` to features `(B, F)`,
            or to feature maps, which are averaged over their positions.
        views: a `MultiCrop`; `center_view` is what the backbone gets.
    """

    def __init__(self, backbone: keras.Model, views: Any, **kwargs: Any) -> None:
        # Images stay in float32; the networks cast their inputs themselves.
        super().__init__(**{"autocast": False, **kwargs})
        self.backbone = backbone
        self.views = views

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """As `keras.Model.predict`, of images in the views' `value_range`.

        Raises:
            ValueError, TypeError: if the images do not fit, are in another range, or
                have no end and `steps` does not say how many batches are read.
        """
        channels = input_channels(self.backbone)
        with explained():
            images = checked_inputs("x", x, self.views, channels, steps=steps)
            with quick_inference(self):
                return super().predict(
                    for_keras(images, batch_size),
                    batch_size=batch_size,
                    verbose=verbose,
                    steps=steps,
                    callbacks=callbacks,
                )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """As `keras.Model.evaluate`, of images in the views' `value_range`.

        Raises:
            ValueError, TypeError: if the images do not fit, are in another range, or
                have no end and `steps` does not say how many batches are read.
        """
        channels = input_channels(self.backbone)
        check_opening("x", x, self.views, channels, to_end=True, steps=steps)
        with quick_inference(self):
            return super().evaluate(
                x,
                y,
                batch_size=batch_size,
                verbose=verbose,
                sample_weight=sample_weight,
                steps=steps,
                callbacks=callbacks,
                return_dict=return_dict,
                **kwargs,
            )

    def predict_on_batch(self, x: Any) -> Any:
        """As `keras.Model.predict_on_batch`."""
        with quick_inference(self):
            return super().predict_on_batch(x)

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.test_on_batch`."""
        with quick_inference(self):
            return super().test_on_batch(*args, **kwargs)
