"""What else a consistency training minimises."""

import dataclasses
from typing import Any

from semppl_keras.checks import check_finite
from semppl_keras.consistency.strategy import Step, Strategy


@dataclasses.dataclass(frozen=True, eq=False)
class Context:
    """What a term sees of a step, on this replica.

    Three kinds of views: `labelled`, `(B, ...)`, and `strong`, `(U, S, ...)` with S
    strong views of each image, of the network that is trained; and `weak`, `(U, ...)`,
    of whichever predicts, without gradient.

    Args:
        features: dict of these, `(..., F)` float32: the backbone's.
        logits: dict of these, `(..., C)` float32.
        embeddings: dict of these, `(..., D)` float32 of length 1, `labelled` without
            gradient; empty where no part `needs_embeddings`.
        predicted: `(U, C)`, what is predicted of the weak views.
        aligned: `(U, C)`, the same after the alignment.
        targets: `(U, C)`, what the strong views are to be taken for.
        weights: `(U,)`, how much each image counts.
        step: `Step`.
    """

    features: dict[str, Any]
    logits: dict[str, Any]
    embeddings: dict[str, Any]
    predicted: Any
    aligned: Any
    targets: Any
    weights: Any
    step: Step


class Term(Strategy):
    """A part of the loss, added with its weight; `fit` tells it by its name.

    Args:
        weight: float, what it is multiplied by in the loss.

    Raises:
        ValueError: if it is no finite number.

    Attributes:
        needs_embeddings: whether the trainer is to make embeddings, and keep the bank.
        needs_features: whether it compares the features of an image's strong views with
            those of its weak one: the teacher has to give these, and no mixing may
            change the strong views.
        predicts: whether `head`, a `keras.Model` from features `(B, F)` to logits
            `(B, C)` that `build_for` makes, predicts in place of the classifier's own.
    """

    needs_embeddings = False
    needs_features = False
    predicts = False

    def __init__(self, weight: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_finite(weight=weight)
        self.weight = weight
        self.head: Any = None

    def build_for(
        self, num_classes: int, features: int = 0, seed: int | None = None
    ) -> None:
        """Makes the state, and heads that are trained.

        Args:
            num_classes: C.
            features: F, of the backbone.
            seed: int or None, of the heads' initial weights.
        """
        del features, seed
        super().build_for(num_classes)

    def reweighted(self, weights: Any, context: Context) -> Any:
        """Weights `(U,)` with which the unlabelled images count after all.

        Args:
            weights: `(U,)`, as they were.
            context: `Context`.
        """
        del context
        return weights

    def call(self, context: Context) -> Any:
        """The term, a float32 scalar: a mean over the images of this replica."""
        raise NotImplementedError(f"{type(self).__name__} has no `call`.")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight": self.weight}
