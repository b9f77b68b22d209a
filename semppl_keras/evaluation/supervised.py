"""What the labelled images give without any others."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from semppl_keras.checks import check_integers, check_positive
from semppl_keras.evaluation.counting import Count, Progress
from semppl_keras.evaluation.inputs import as_images, known_rows
from semppl_keras.evaluation.pixels import PIXEL_PROBE, as_pixels
from semppl_keras.evaluation.probe import fit_probe
from semppl_keras.kernels import quick_inference

# Augmenting a few batches in one call costs little more than augmenting one.
_BATCHES_PER_DRAW = 10

# How networks are trained on labels alone, the same for any number of them. Settings
# and lengths were chosen on seeds 10 to 14 (docs/results/settings.md).
_MOMENTUM = 0.9
_WEIGHT_DECAY = 5e-4
_LABEL_SMOOTHING = 0.1
# Over a 20th of the steps, and at most 100 of them.
_AVERAGES, _LONGEST_AVERAGE = 20, 100
_LEAST_STEPS, _MOST_STEPS, _PASSES = 1000, 4000, 20


@dataclasses.dataclass(frozen=True)
class SupervisedAccuracy:
    """Test accuracies of two classifiers that saw the labelled images alone.

    Args:
        logistic_regression: In [0, 1], on pixels.
        network: In [0, 1], of a backbone trained from scratch; None if there was
            none.
    """

    logistic_regression: float
    network: float | None

    @property
    def best(self) -> float:
        """The better of the two: the baseline to beat."""
        return max(self.logistic_regression, self.network or 0.0)


def supervised_accuracy(
    x_labelled: Any,
    y_labelled: Any,
    x_test: Any,
    y_test: Any,
    *,
    make_backbone: Callable[[], Any] | None = None,
    augment: Callable[[Any], Any] | None = None,
    prepare: Callable[[Any], Any] | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    learning_rate: float = 0.05,
    seed: int = 0,
    progress: Progress | None = None,
) -> SupervisedAccuracy:
    """Measures the supervised-only baseline: labelled images, nothing else.

    Two classifiers: logistic regression on `as_pixels` (penalty by cross-validation),
    and, with `make_backbone`, a dense softmax layer on a new backbone, trained as one
    trains on labels alone: SGD with Nesterov's momentum of 0.9 along a cosine, weight
    decay of 5e-4, label smoothing of 0.1, and the moving average of the weights, over a
    20th of the steps, tested. That the maximum of the two is taken over test accuracies
    favours the baseline, which is the side to err on.

    Args:
        x_labelled: `(n, h, w, c)` in [0, 255].
        y_labelled: `(n,)` integers, at least two classes.
        x_test: `(m, h, w, c)` in the same range.
        y_test: `(m,)` integers. Images of label -1, here and above, are left out, and
            told.
        make_backbone: Returns a new `keras.Model` from images to features `(B, F)`
            or `(B, h', w', F)`. None: logistic regression alone.
        augment: Takes images `(B, h, w, c)` in [0, 255] to what the backbone is
            trained on, at random; a Keras layer or any function. Mild views, as
            `views.mild_views` gives, are what labels alone can be learned from. None:
            `prepare`.
        prepare: The same without randomness, for testing. None: divides by 255.
        steps: Training steps of the network, at least 1. None: `supervised_steps`.
        batch_size: Images per step, drawn from passes over the labelled ones.
        learning_rate: Where the cosine schedule begins, positive.
        seed: Draws the batches and the folds of the cross-validation. Initial
            weights follow Keras' own random state (`keras.utils.set_random_seed`).
        progress: Function of (what is done: str, how many, of how many).

    Returns:
        `SupervisedAccuracy`.

    Raises:
        ValueError: Shapes that do not fit each other, or a single class.

    Example:
        >>> baseline = supervised_accuracy(
        ...     data.x_labelled, data.y_labelled, data.x_test, data.y_test,
        ...     make_backbone=lambda: SmallResNet(input_shape=(16, 16, 1)),
        ...     augment=lambda images: mild(images)["large"][:, 0],
        ...     prepare=mild.center_view,
        ... )
        >>> baseline.best
    """
    x_labelled, x_test = as_images(x_labelled), as_images(x_test)
    if len(x_labelled.shape) != 4 or x_labelled.shape[1:] != x_test.shape[1:]:
        raise ValueError(
            "`x_labelled` and `x_test` must be images of one shape, (N, h, w, c). "
            f"Received: {x_labelled.shape} and {x_test.shape}."
        )
    y_labelled, x_labelled = known_rows(y_labelled, "y_labelled", x_labelled)
    y_test, x_test = known_rows(y_test, "y_test", x_test)
    if steps is None:
        steps = supervised_steps(len(x_labelled), batch_size)
    check_integers(1, steps=steps, batch_size=batch_size)
    check_positive(learning_rate=learning_rate)

    pixels = fit_probe(
        as_pixels(x_labelled),
        y_labelled,
        seed=seed,
        **PIXEL_PROBE,
    )
    logistic_regression = float(np.mean(pixels.predict(as_pixels(x_test)) == y_test))
    if make_backbone is None:
        return SupervisedAccuracy(logistic_regression, network=None)

    prepare = prepare or (lambda images: images / 255)
    classes, targets = np.unique(y_labelled, return_inverse=True)
    targets = np.eye(len(classes), dtype="float32")[targets]
    network = _with_head(make_backbone(), len(classes))
    network.compile(
        # XLA takes longer to compile this short training than it saves; JAX without it
        # runs operation by operation.
        jit_compile=keras.backend.backend() == "jax",
        optimizer=keras.optimizers.SGD(
            keras.optimizers.schedules.CosineDecay(learning_rate, steps),
            momentum=_MOMENTUM,
            nesterov=True,
            weight_decay=_WEIGHT_DECAY,
            use_ema=True,
            ema_momentum=1 - 1 / max(1, min(steps / _AVERAGES, _LONGEST_AVERAGE)),
        ),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=_LABEL_SMOOTHING
        ),
    )
    # Left to the first step, this would cost TensorFlow a second tracing of it.
    network.optimizer.build(network.trainable_variables)
    batches = _AugmentedBatches(
        x_labelled, targets, augment or prepare, steps, batch_size, seed
    )
    count = Count("steps of the network without unlabelled images", steps, progress)
    network.fit(
        batches, epochs=1, shuffle=False, verbose=0, callbacks=[_Counted(count)]
    )
    # Called as it is: compiling a predict function costs more than these few batches.
    with quick_inference(network, called=True):
        logits = np.concatenate(
            [
                keras.ops.convert_to_numpy(
                    network(_call(prepare, x_test[start : start + 256]), training=False)
                )
                for start in range(0, len(x_test), 256)
            ]
        )
    predicted = classes[np.argmax(logits, axis=1)]
    return SupervisedAccuracy(logistic_regression, float(np.mean(predicted == y_test)))


def supervised_steps(num_labelled: int, batch_size: int = 64) -> int:
    """How long a network is trained on so many labels: longer does not help.

    Args:
        num_labelled: At least 1.
        batch_size: Images per step.

    Returns:
        int, steps that are 20 passes, at least 1,000 and at most 4,000.
    """
    passes = _PASSES * num_labelled // batch_size
    return min(_MOST_STEPS, max(_LEAST_STEPS, passes))


class _Counted(keras.callbacks.Callback):
    """Counts the steps of a `fit`."""

    def __init__(self, count: Count) -> None:
        super().__init__()
        self._count = count

    # Not at the end of a batch, which Keras would wait for.
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch:
            self._count.add()

    def on_train_end(self, logs: Any = None) -> None:
        self._count.add()


class _AugmentedBatches(keras.utils.PyDataset):
    """Shuffled passes over the labelled images, each image augmented anew.

    Labels are shares of the classes, `(n, C)`.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        augment: Callable[[Any], Any],
        steps: int,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__()
        self._images, self._labels, self._augment = images, labels, augment
        self._steps, self._batch_size = steps, batch_size
        generator = np.random.default_rng(seed)
        passes = -(-steps * batch_size // len(images))
        # Whole passes and not single draws, so that every image is seen equally often.
        order = [generator.permutation(len(images)) for _ in range(passes)]
        self._order = np.concatenate(order)[: steps * batch_size]
        self._draw: int | None = None

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        draw, position = divmod(index, _BATCHES_PER_DRAW)
        size = self._batch_size
        if self._draw != draw:
            # Always the same number of images, so that a compiling backend compiles
            # the augmentation once; the last draw wraps around.
            start = draw * _BATCHES_PER_DRAW * size
            places = np.arange(start, start + _BATCHES_PER_DRAW * size)
            chosen = self._order[places % len(self._order)]
            images = _call(self._augment, self._images[chosen])
            self._draw, self._drawn = draw, (images, self._labels[chosen])
        images, labels = self._drawn
        batch = slice(position * size, (position + 1) * size)
        return images[batch], labels[batch]


def _with_head(backbone: Any, num_classes: int) -> Any:
    layers = [backbone]
    if len(backbone.output_shape) == 4:
        layers.append(keras.layers.GlobalAveragePooling2D())
    layers.append(keras.layers.Dense(num_classes, dtype="float32"))
    return keras.Sequential(layers)


def _call(function: Callable[[Any], Any], images: np.ndarray) -> np.ndarray:
    images = function(keras.ops.convert_to_tensor(images.astype("float32")))
    return keras.ops.convert_to_numpy(images)
