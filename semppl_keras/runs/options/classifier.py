"""What `semppl_keras.runs.finetune` and `distil` may be asked for."""

import dataclasses
from typing import Any

from semppl_keras.recipes.classifiers import DISTILLATION, LABELS, METHODS
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.options.checks import (
    AS_LABELLED,
    BALANCES,
    TRACKERS,
    Options,
    backbone,
    check_not_both,
    checked,
    flag,
    integer,
    one_of,
    option,
    output,
    path,
    positive,
    share,
)
from semppl_keras.views.settings import RECIPES

# Views of a student alone: two operations of RandAugment, or a recipe's views.
RAND_AUGMENT = "rand_augment"
STUDENT_VIEWS = (RAND_AUGMENT, *sorted(RECIPES))

# The student that goes on from what the teacher has learned.
SAME = "same"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierOptions(Options):
    """The keywords that both have."""

    run: str = checked(path)
    epochs: int | None = checked(integer(1), None)
    minutes: float | None = checked(positive, None)
    learning_rate: float | None = checked(positive, None)
    seed: int | None = checked(integer(0), None)
    out: str | None = checked(output, None)
    log: str | None = checked(one_of(TRACKERS), None)
    photos: str | None = checked(path, None)
    trust: bool = checked(flag, False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_both(self, "epochs", "minutes")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuningOptions(ClassifierOptions):
    """The keywords of `finetune`."""

    method: str = checked(one_of(METHODS), LABELS)
    from_layer: int | None = checked(integer(0), None)
    freeze_backbone: bool = checked(flag, False)
    balance: str = checked(one_of(BALANCES), AS_LABELLED)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.freeze_backbone and self.method != LABELS:
            raise RunError(
                f"--freeze-backbone is for --method {LABELS}: the others train on "
                "images that a frozen network has seen already. Received: "
                f"--freeze-backbone with --method {self.method}. Leave one of the two "
                "out."
            )


def _below_one(name: str, value: Any) -> float:
    number = share(name, value)
    if number == 1:
        raise RunError(
            f"{option(name)} must be below 1, of which no teacher is sure. Received: "
            f"{value}."
        )
    return number


def _student(name: str, value: Any) -> str:
    if value == SAME:
        return SAME
    try:
        return backbone(name, value)
    except RunError as error:
        raise RunError(f"{error} ({SAME!r} goes on from the teacher.)") from error


@dataclasses.dataclass(frozen=True, kw_only=True)
class DistillationOptions(ClassifierOptions):
    """The keywords of `distil`."""

    student: str = checked(_student, SAME)
    temperature: float = checked(positive, DISTILLATION.temperature)
    student_views: str | None = checked(one_of(STUDENT_VIEWS), None)
    min_confidence: float = checked(_below_one, 0.0)
    balance: bool = checked(flag, False)
    rounds: int = checked(integer(1), 1)
    classifier: str | None = checked(path, None)
