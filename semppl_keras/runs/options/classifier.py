"""What `semppl_keras.runs.finetune` and `distil` may be asked for."""

import dataclasses
from typing import Any

from semppl_keras.recipes.classifiers import DISTILLATION, LABELS, METHODS
from semppl_keras.runs.errors import RunError
from semppl_keras.runs.options.checks import (
    Options,
    backbone,
    check_not_both,
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
    minutes: float | None = checked(positive, None)
    learning_rate: float | None = checked(positive, None)
    seed: int | None = checked(integer(0), None)
    out: str | None = checked(output, None)
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.freeze_backbone and self.method != LABELS:
            raise RunError(
                f"--freeze-backbone is for --method {LABELS}: the others train on "
                "images that a frozen network has seen already. Received: "
                f"--freeze-backbone with --method {self.method}. Leave one of the two "
                "out."
            )


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
    classifier: str | None = checked(path, None)
