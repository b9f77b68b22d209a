"""Images to features."""

from typing import Any

import keras
from keras import ops

from semppl_keras.networks.backbone_contract import pooled
from semppl_keras.networks.image_model import ImageModel
from semppl_keras.networks.saved_parts import with_parts


@keras.saving.register_keras_serializable(package="semppl_keras")
class ImageEmbedder(ImageModel):
    """A backbone behind its views: what `embed` computes.

    Args:
        backbone, views: as in `ImageModel`.
    """

    def __init__(self, backbone: keras.Model, views: Any, **kwargs: Any) -> None:
        super().__init__(backbone, views, **kwargs)
        self.built = True

    def call(self, images: Any, training: bool = False) -> Any:
        """Features `(B, F)`, float32, of images `(B, H, W, C)` of any size."""
        features = self.backbone(self.views.center_view(images), training=training)
        return ops.cast(pooled(features), "float32")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            **{
                name: keras.saving.serialize_keras_object(getattr(self, name))
                for name in ("backbone", "views")
            },
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "ImageEmbedder":
        return cls(**with_parts(config, ("backbone", "views"), custom_objects))
