"""A large representation into a small network, before there are labels: SimReg."""

from collections.abc import Iterable
from typing import Any

import keras
from keras import layers, ops

from semppl_keras.losses.cosine import cosine_distances
from semppl_keras.networks import check_backbone, pooled
from semppl_keras.networks.saved_parts import made_of_parts
from semppl_keras.pretraining.base import Pretraining
from semppl_keras.training.bystanders import HoldsBystanders
from semppl_keras.training.global_batch import GlobalBatch
from semppl_keras.training.random_state import draw_seeds
from semppl_keras.training.teaching import to_range
from semppl_keras.views import MultiCrop, recipe
from semppl_keras.views.variants import crop_and_flip, single_view


@keras.saving.register_keras_serializable(package="semppl_keras")
class RepresentationDistiller(HoldsBystanders, Pretraining):
    """Trains a small network to have the representation of a large one.

    SimReg (Navaneet et al., BMVC 2021, arXiv 2201.05131): of the same weak view of an
    image the student's features, through a head g, are to have the direction of the
    teacher's,

        L = mean 2 - 2 cos(g(f_S(x)), f_T(x)),

    with g of four linear layers, which take the F features to 2F, F, 2F and the size of
    the teacher's, with batch normalisation and ReLU behind the first and the third.
    After the training g has no use: `backbone` alone is what `FineTuner`,
    `ConsistencyTrainer` or `SemPPL` begin with. The teacher runs in inference mode, and
    its features are those before any head; it is not trained, and saved with this
    model, so that training can go on.

    `fit` tells regression, which is the whole loss, and `embedding_std` of g's
    directions. The authors train for 130 epochs, by SGD of rate 0.05 and weight decay
    1e-4, in batches of 256.

    Example:

    ```python
    small = semppl_keras.RepresentationDistiller(small_backbone, teacher=pretrained)
    small.compile(keras.optimizers.AdamW(1e-3))
    small.fit(images, epochs=100)
    tuner = semppl_keras.FineTuner(small, num_classes=10)
    ```

    Args:
        backbone: the student, any built `keras.Model` from images to features, see
            `SemPPL`.
        teacher: another one, or what has one: a pre-training model of semppl_keras, a
            classifier (`ImageClassifier`, `FineTuner`) or a bare backbone, of the same
            images.
        views: what both see, one large view of each image: a `MultiCrop`, taken as it
            is, or the name of a recipe of `semppl_keras.views`, of which crop and flip
            are taken. None: crop and flip of the teacher's views.
        teacher_range: pair, lowest and highest value of the views that the teacher
            takes. None: those of its own views, or the same as the student's where it
            has none.
        seed, **kwargs: as in `SemPPL`.

    Raises:
        TypeError, ValueError: if a network does not fit, or an argument is out of
            range.
    """

    def __init__(
        self,
        backbone: keras.Model,
        teacher: keras.Model,
        *,
        views: Any = None,
        teacher_range: tuple[float, float] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        own = getattr(teacher, "views", None)
        views = _chosen(views, own)
        if teacher_range is None:
            teacher_range = getattr(own, "output_range", views.output_range)
        # The first three are taken by what all objectives share.
        seed, *_, head_seed = draw_seeds(seed, 4)
        network = _network_of(teacher)
        super().__init__(
            backbone,
            views=views,
            # A head would be taken for one that `FineTuner` goes on from.
            make_heads=lambda *_, **__: [],
            metrics=("regression",),
            seed=seed,
            **kwargs,
        )
        self.teacher_range = _checked_range(teacher_range)
        size = _teacher_features(network, self.views, self.teacher_range, backbone)
        self.teacher = network
        self.regressor = _regressor(
            self.feature_dim, size, head_seed, self.dtype_policy
        )

    def bystanders(self) -> Iterable[Any]:
        """The teacher."""
        teacher = getattr(self, "teacher", None)
        return () if teacher is None else (teacher,)

    # -- the step -------------------------------------------------------------

    def make_views(self, images: tuple[Any, ...]) -> dict[str, Any]:
        """A view of each image, and the teacher's features of it.

        Args:
            images: tuple of `(B_i, H, W, C)`.

        Returns:
            dict of `view` `(B, s, s, C)` and `features` `(B, F_T)`.
        """
        views = self.draw_views(images)["large"][:, 0]
        seen = to_range(views, self.views.output_range, self.teacher_range)
        return {"view": views, "features": pooled(self.teacher(seen, training=False))}

    def call(self, inputs: Any, training: bool = False) -> Any:
        """In training views to what g makes of them, otherwise images to features.

        Args:
            inputs: in training what `make_views` gives; otherwise images
                `(B, H, W, C)`.
            training: bool.

        Returns:
            In training a dict of `online` `(1, B, F_T)`, unit vectors, and `features`
            as they came; otherwise `(B, F)`.
        """
        if not training:
            return super().call(inputs)
        features = self.online.features(inputs["view"], training=True)
        predicted = ops.cast(self.regressor(features, training=True), "float32")
        online = ops.normalize(predicted, axis=-1)[None]
        return {"online": online, "features": inputs["features"]}

    def loss_parts(
        self, outputs: dict[str, Any], labels: dict[str, Any], batch: GlobalBatch
    ) -> dict[str, Any]:
        """The mean distance; labels are not looked at."""
        del labels, batch
        distances = cosine_distances(outputs["online"][0], outputs["features"])
        loss = ops.mean(distances)
        return {"loss": loss, "regression": loss}

    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """As of every objective, and of the teacher's features."""
        shapes = super().output_shapes()
        return {**shapes, "Teacher's features": (self.regressor.output_shape[-1],)}

    # -- saving ---------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "teacher": keras.saving.serialize_keras_object(self.teacher),
            "teacher_range": self.teacher_range,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "RepresentationDistiller":
        names = ("backbone", "teacher", "views")
        return made_of_parts(cls, config, names, custom_objects)


def _chosen(views: Any, own: Any) -> MultiCrop:
    """What `views` stands for, given those of the teacher."""
    if isinstance(views, str):
        return crop_and_flip(recipe(views))
    if views is None and isinstance(own, MultiCrop):
        return crop_and_flip(own)
    if views is None:
        raise ValueError(
            "`views` must be given where `teacher` has none that images are made to: a "
            "MultiCrop, or the name of a recipe of semppl_keras.views."
        )
    if not isinstance(views, MultiCrop):
        raise TypeError(
            "`views` must be a MultiCrop or the name of a recipe of "
            f"semppl_keras.views. Received: {type(views).__name__}."
        )
    if views.background_removal > 0:
        raise ValueError(
            "`views` must not remove backgrounds, which the teacher sees as well. "
            f"Received: background_removal={views.background_removal}."
        )
    return single_view(views)


def _network_of(teacher: Any) -> keras.Model:
    """The backbone of what has one."""
    network = getattr(getattr(teacher, "classifier", teacher), "backbone", teacher)
    if not isinstance(network, keras.Model):
        raise TypeError(
            "`teacher` must be a backbone (a keras.Model from images to features), or "
            "a model of semppl_keras that has one. Received: "
            f"{type(teacher).__name__}."
        )
    return network


def _checked_range(pair: Any) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in pair)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not low < high:
        raise ValueError(
            "`teacher_range` must be the lowest and the highest value of views. "
            f"Received: teacher_range={pair!r}."
        )
    return low, high


def _teacher_features(
    teacher: keras.Model,
    views: MultiCrop,
    teacher_range: tuple[float, float],
    student: keras.Model,
) -> int:
    """The size of the teacher's features, once it has been tried on a view."""
    try:
        channels, size = check_backbone(
            teacher, views.sizes[:1], teacher_range, may_be_frozen=True
        )
    except ValueError as error:
        raise ValueError(f"`teacher` does not fit. {error}") from error
    if channels != student.input_shape[-1]:
        raise ValueError(
            "`teacher` and `backbone` must take images of as many channels. Received: "
            f"{channels} and {student.input_shape[-1]}."
        )
    return size


def _regressor(features: int, output: int, seed: int, dtype: Any = None) -> keras.Model:
    """g: `(B, features)` by way of 2F, F and 2F to `(B, output)`."""
    seeds = draw_seeds(seed, 4)[1:]
    sizes = (2 * features, features, 2 * features, output)
    parts: list[Any] = [layers.Input((features,))]
    for number, (size, own) in enumerate(zip(sizes, seeds, strict=True)):
        initial = keras.initializers.VarianceScaling(seed=own)
        parts.append(layers.Dense(size, kernel_initializer=initial, dtype=dtype))
        if number in (0, 2):
            parts.append(layers.BatchNormalization(momentum=0.9, dtype=dtype))
            parts.append(layers.ReLU(dtype=dtype))
    return keras.Sequential(parts, name="regressor")
