"""What `semppl_keras.runs.finetune` and `distil` may be asked for."""

import dataclasses

from semppl_keras.backbones.registry import BACKBONES
from semppl_keras.recipes.classifiers import DISTILLATION
from semppl_keras.runs.options.checks import (
    Options,
    checked,
    flag,
    integer,
    one_of,
    output,
    path,
    positive,
)

# The student that goes on from what the teacher has learned.
SAME = "same"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierOptions(Options):
    """The keywords that both have."""

    run: str = checked(path)
    epochs: int | None = checked(integer(1), None)
    learning_rate: float | None = checked(positive, None)
    seed: int | None = checked(integer(0), None)
    out: str | None = checked(output, None)
    trust: bool = checked(flag, False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuningOptions(ClassifierOptions):
    """The keywords of `finetune`."""

    from_layer: int | None = checked(integer(0), None)
    freeze_backbone: bool = checked(flag, False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistillationOptions(ClassifierOptions):
    """The keywords of `distil`."""

    student: str = checked(one_of((SAME, *BACKBONES)), SAME)
    temperature: float = checked(positive, DISTILLATION.temperature)
    classifier: str | None = checked(path, None)
