"""Images to features."""

import keras
from keras import ops

from semppl_keras.data.feed.checked_batches import checked_inputs
from semppl_keras.data.feed.explanations import explained
from semppl_keras.networks.backbone_contract import input_channels, pooled
from semppl_keras.networks.keras_file import check_keras_file
from semppl_keras.networks.saved_parts import with_parts


@keras.saving.register_keras_serializable(package="semppl_keras")
class ImageEmbedder(keras.Model):
    """A backbone with what images have to pass before it: what `embed` computes.

    Args:
        backbone: built `keras.Model` from views `(B, s, s, C)` to features `(B, F)`,
            or to feature maps, which are averaged over their positions.
        views: a `MultiCrop`; `center_view` is what the backbone gets.
    """

    def __init__(self, backbone, views, **kwargs):
        # Images stay in float32; the backbone casts its input itself.
        super().__init__(**{"autocast": False, **kwargs})
        self.backbone = backbone
        self.views = views
        self.built = True

    def call(self, images, training=False):
        """Features `(B, F)`, float32, of images `(B, H, W, C)` of any size."""
        features = self.backbone(self.views.center_view(images), training=training)
        return ops.cast(pooled(features), "float32")

    def predict(self, x, *args, **kwargs):
        """As `keras.Model.predict`, of images in the views' `value_range`.

        Raises:
            ValueError, TypeError: if the images do not fit, or are in another range.
        """
        channels = input_channels(self.backbone)
        with explained():
            images = checked_inputs("x", x, self.views, channels)
            return super().predict(images, *args, **kwargs)

    def save(self, filepath, overwrite=True, **kwargs):
        """As `keras.Model.save`, to a `.keras` file.

        Raises:
            ValueError: for a HDF5 file.
        """
        check_keras_file(filepath)
        super().save(filepath, overwrite=overwrite, **kwargs)

    def get_config(self):
        return {
            **super().get_config(),
            **{
                name: keras.saving.serialize_keras_object(getattr(self, name))
                for name in ("backbone", "views")
            },
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**with_parts(config, ("backbone", "views"), custom_objects))
