"""What a recipe of a consistency training is, and how a trainer is made of it."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, Self

from semppl_keras.checks import check_integers

# Of how many averages a short training is long: of weights, and of statistics.
_WEIGHTS, _STATISTICS = 20, 50
_SCALED_BATCH = 32
_LARGEST_RATIO = 4
_SCALED_WARMUP = 0.05


@dataclasses.dataclass(frozen=True)
class ConsistencyRecipe:
    """Settings of a `ConsistencyTrainer`, inert until `make_trainer`.

    Args:
        name: str.
        steps: int, of the whole training.
        batch_size: int, unlabelled images per step.
        labelled_batch_size: int, labelled images per step.
        trainer: arguments of `ConsistencyTrainer`; a strategy is the name of a class
            of `semppl_keras.consistency` and its arguments, and `terms` a tuple of
            such.
        learning_rate: float, the highest.
        schedule: "quarter_cosine", see `optimizers.QuarterCosine`, or "cosine".
        warmup: float in [0, 1), the share of the steps in which the rate rises from 0;
            with "cosine" alone.
        optimizer: "sgd", with Nesterov's momentum 0.9 and `l2`, the weight of half the
            square of the kernels in the loss; or "layerwise_adamw" and its arguments.
        strong: arguments of the `views.RandAugment` of strong views.
        cutout: float, of the same, see `views.WeakStrong`.
    """

    name: str
    steps: int
    batch_size: int
    labelled_batch_size: int
    trainer: dict[str, Any]
    learning_rate: float = 0.03
    schedule: str = "quarter_cosine"
    warmup: float = 0.0
    optimizer: tuple[str, dict[str, Any]] = ("sgd", {"l2": 5e-4})
    strong: dict[str, Any] = dataclasses.field(default_factory=dict)
    cutout: float = 0.5

    def scaled(self, steps: int) -> Self:
        """The recipe for some thousand steps on a processor, or after pre-training.

        Averages are shortened with the training: over at most a 20th of it of weights,
        a 50th of statistics. The batches have 32 labelled images, and at most four
        times as many others. The learning rate rises for a 20th of the steps and then
        falls to 0 along a cosine.

        Args:
            steps: int, at least 1.
        """
        check_integers(1, steps=steps)
        ratio = min(_LARGEST_RATIO, round(self.batch_size / self.labelled_batch_size))
        labelled = min(_SCALED_BATCH, self.labelled_batch_size)
        return dataclasses.replace(
            self,
            steps=steps,
            batch_size=ratio * labelled,
            labelled_batch_size=labelled,
            trainer={
                name: _shortened(name, value, steps)
                for name, value in self.trainer.items()
            },
            schedule="cosine",
            warmup=_SCALED_WARMUP,
        )

    def with_learning_rate(self, learning_rate: float) -> Self:
        """The recipe with another peak of the learning rate."""
        return dataclasses.replace(self, learning_rate=learning_rate)

    def epochs_of(self, num_unlabelled: int) -> int:
        """Passes over so many unlabelled images that have the steps, at least."""
        size = min(self.batch_size, num_unlabelled)
        return math.ceil(self.steps / math.ceil(num_unlabelled / size))

    def make_trainer(
        self,
        start: Any,
        num_classes: int | None = None,
        *,
        views: Any = None,
        seed: int | None = None,
        **changes: Any,
    ) -> Any:
        """A `ConsistencyTrainer`, not compiled.

        Args:
            start, num_classes: as for `ConsistencyTrainer`.
            views: `views.WeakStrong`, or the weak views alone; None for those of
                `start`. With the recipe's strong views.
            seed: int or None.
            **changes: arguments of `ConsistencyTrainer` that differ.
        """
        # The settings are to be had without any backend.
        from semppl_keras.classifiers import ConsistencyTrainer
        from semppl_keras.classifiers.consistency_parts import views_of_start
        from semppl_keras.views import RandAugment, WeakStrong

        if not isinstance(views, WeakStrong):
            weak = views_of_start(start) if views is None else views
            views = WeakStrong(weak, RandAugment(**self.strong), self.cutout)
        arguments = {name: _made(value) for name, value in self.trainer.items()}
        arguments = {**arguments, "views": views, "seed": seed, **changes}
        return ConsistencyTrainer(start, num_classes, **arguments)

    def make_optimizer(self, steps: int | None = None) -> Any:
        """A Keras optimiser, its learning rate over the steps of a training.

        Args:
            steps: int, those that are made; None for the recipe's.
        """
        from semppl_keras.optimizers import (
            SGDL2,
            LayerwiseAdamW,
            QuarterCosine,
            warmup_cosine,
        )

        steps = self.steps if steps is None else steps
        rate: Any
        if self.schedule == "quarter_cosine":
            rate = QuarterCosine(self.learning_rate, steps)
        else:
            warmup = round(self.warmup * steps)
            rate = warmup_cosine(self.learning_rate, warmup, steps)
        name, arguments = self.optimizer
        if name == "layerwise_adamw":
            return LayerwiseAdamW(rate, **arguments)
        return SGDL2(rate, momentum=0.9, nesterov=True, **arguments)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain containers, to be written down."""
        return dataclasses.asdict(self)


def _shortened(name: str, value: Any, steps: int) -> Any:
    """An argument of a trainer, with averages for a training of so many steps."""
    averages = _WEIGHTS if name in ("teacher", "weight_average") else _STATISTICS
    if name == "weight_average" and value is not None:
        return _momentum(value, averages / steps)
    if _is_strategy(value) and value[1].get("momentum") is not None:
        kind, arguments = value
        momentum = _momentum(arguments["momentum"], averages / steps)
        return kind, {**arguments, "momentum": momentum}
    if name == "terms":
        return tuple(_shortened("term", term, steps) for term in value)
    return value


def _momentum(momentum: float, share: float) -> float:
    return min(momentum, max(0.5, 1.0 - share))


def _is_strategy(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)


def _made(value: Any) -> Any:
    """A strategy, or several, of their names; anything else as it is."""
    from semppl_keras import consistency

    if _is_strategy(value):
        kind, arguments = value
        return getattr(consistency, kind)(**arguments)
    if isinstance(value, Iterable) and all(map(_is_strategy, value)):
        return [_made(each) for each in value]
    return value
