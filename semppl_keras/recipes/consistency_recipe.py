"""What a recipe of consistency training is: settings, and how a trainer is made."""

import dataclasses
from typing import Any

# FixMatch's lengths and batches on CIFAR: 64 labelled and seven times as many others.
CIFAR_STEPS, CIFAR_BATCH, CIFAR_RATIO = 2**20, 64, 7

# Of a training of some thousand steps on a processor.
_SHORT_BATCH, _SHORT_RATIO = 32, 3

_OPTIMIZERS = {"sgd_l2": "SGDL2", "layerwise_adamw": "LayerwiseAdamW"}


@dataclasses.dataclass(frozen=True)
class ConsistencyRecipe:
    """Settings of a consistency training, inert until `make_trainer`.

    Args:
        name: str.
        steps: int, of the whole training.
        batch_size: int, unlabelled images per step.
        labelled_batch_size: int, labelled images per step.
        trainer: arguments of `ConsistencyTrainer`; a strategy is a pair of the name of
            its class and its arguments, and `terms` a tuple of such.
        optimizer: "sgd_l2" or "layerwise_adamw", and arguments: `learning_rate`, the
            peak; `warmup`, the share of the steps in which it rises; `cosine`, the part
            of a cosine along which it falls, 7/16 in FixMatch, 0.5 to reach 0 along a
            quarter, or None for the half cosine of `optimizers.warmup_cosine`; and
            what else the optimiser takes.
    """

    name: str
    steps: int
    batch_size: int
    labelled_batch_size: int
    trainer: dict[str, Any]
    optimizer: tuple[str, dict[str, Any]]

    def make_trainer(
        self,
        start: Any,
        num_classes: int | None = None,
        *,
        views: Any = None,
        seed: int | None = None,
        **changes: Any,
    ) -> Any:
        """A `ConsistencyTrainer`, compiled with `make_optimizer`.

        Args:
            start, num_classes, views, seed: as in `ConsistencyTrainer`.
            **changes: its arguments that differ from the recipe's.
        """
        # The settings are to be had without any backend.
        from semppl_keras.classifiers import ConsistencyTrainer

        arguments = {name: _made(value) for name, value in self.trainer.items()}
        arguments = {"views": views, "seed": seed, **arguments, **changes}
        trainer = ConsistencyTrainer(start, num_classes, **arguments)
        trainer.compile(self.make_optimizer())
        return trainer

    def make_optimizer(self, steps: int | None = None) -> Any:
        """The optimiser, its learning rate falling over the steps.

        Args:
            steps: int, those of the recipe where None.
        """
        from semppl_keras import optimizers

        name, arguments = self.optimizer
        arguments = dict(arguments)
        steps = self.steps if steps is None else steps
        peak, cosine = arguments.pop("learning_rate"), arguments.pop("cosine", None)
        warmup = arguments.pop("warmup", 0.0)
        if cosine is None:
            schedule = optimizers.warmup_cosine(peak, round(warmup * steps), steps)
        else:
            schedule = optimizers.PartialCosine(peak, steps, cosine)
        return getattr(optimizers, _OPTIMIZERS[name])(schedule, **arguments)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain containers, to be written down."""
        return dataclasses.asdict(self)


def like_fixmatch(
    name: str, steps: int | None, ratio: int = CIFAR_RATIO, **trainer: Any
) -> ConsistencyRecipe:
    """A recipe with FixMatch's batches, optimiser and average on CIFAR.

    Args:
        name: str.
        steps: int, or None for the paper's.
        ratio: int, unlabelled images for each labelled one.
        **trainer: of the recipe.
    """
    labelled = CIFAR_BATCH
    if steps is not None:
        labelled, ratio = _SHORT_BATCH, min(ratio, _SHORT_RATIO)
    return ConsistencyRecipe(
        name=name,
        steps=CIFAR_STEPS if steps is None else steps,
        batch_size=ratio * labelled,
        labelled_batch_size=labelled,
        trainer={"weight_average": decay(0.999, steps), **trainer},
        optimizer=(
            "sgd_l2",
            {"learning_rate": 0.03, "l2": 5e-4, "cosine": 7 / 16},
        ),
    )


def decay(value: float, steps: int | None) -> float:
    """The decay of an average, so that it looks back over a twentieth of the steps at
    most; as it is where `steps` is None."""
    return value if steps is None else min(value, max(1 - 20 / steps, 0.5))


def _made(value: Any) -> Any:
    """A strategy of a pair of name and arguments, terms of a tuple of such."""
    from semppl_keras import consistency

    if isinstance(value, tuple):
        if isinstance(value[0], str):
            name, arguments = value
            return getattr(consistency, name)(**arguments)
        return [_made(part) for part in value]
    return value
