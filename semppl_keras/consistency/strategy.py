"""What the parts of a consistency training have in common."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import keras

from semppl_keras.training.global_batch import GlobalBatch


@dataclasses.dataclass(frozen=True, eq=False)
class Bank:
    """Labelled embeddings that the teacher gave, to compare others with.

    Args:
        embeddings: `(M, D)` float32, of length 1.
        labels: `(M,)` int32, -1 for an entry that is empty still.
    """

    embeddings: Any
    labels: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """What a strategy may see of the step beside its own arguments.

    Args:
        unlabelled: `GlobalBatch` of the unlabelled images, of which `mean` and `gather`
            make what one device would compute of all replicas' images.
        labelled: The same of the labelled images.
        labels: `(B,)` int32, those of the labelled images of this replica.
        labelled_probabilities: `(B, C)` float32 of the weak views of the labelled
            images, without gradient.
        write: Function of a variable and its new value, which it has from the next
            step on: on torch a variable must not change before the backward pass, so a
            strategy goes on with the value and leaves the variable alone.
        step: int32 scalar, how many steps of this training were done before.
        total_steps: int32 scalar, of the whole training.
        seed: `keras.random.SeedGenerator` for what is drawn, through
            `unlabelled.uniform` or `labelled.uniform`, so that replicas draw alike.
        bank: `Bank` of labelled embeddings as it was before this step, of a trainer
            one of whose parts compares embeddings; None otherwise.
    """

    unlabelled: GlobalBatch
    labelled: GlobalBatch
    labels: Any
    labelled_probabilities: Any
    write: Callable[[Any, Any], None]
    step: Any
    total_steps: Any
    seed: Any = None
    bank: Bank | None = None


class Strategy(keras.layers.Layer):
    """A part of a `ConsistencyTrainer`, whose state is saved with the model.

    Computes in float32 under every policy. A subclass makes its state in `build_for`,
    which the trainer calls once, and gives `call`, which the trainer calls as it is:
    Keras' own `__call__` takes tensors alone.
    """

    def __init__(self, **kwargs: Any) -> None:
        # Keras would number them, and `fit` tells terms by their names.
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()
        super().__init__(**{"name": name, **kwargs, "dtype": "float32"})

    def build_for(self, num_classes: int) -> None:
        """Makes the state.

        Args:
            num_classes: C.
        """
        del num_classes
        self.built = True

    def state(self, name: str, shape: tuple[int, ...], initial: float) -> Any:
        """A new float32 variable that no optimiser trains."""
        return self.add_weight(
            name=name,
            shape=shape,
            dtype="float32",
            initializer=keras.initializers.Constant(initial),
            trainable=False,
        )


class Alignment(Strategy):
    """Changes what is predicted of unlabelled images, knowing how often each class is
    predicted.

    Attributes:
        changes_targets: whether the targets are made of the aligned probabilities, or
            the weights alone.
    """

    changes_targets = True

    def call(self, probabilities: Any, step: Step) -> Any:
        """Aligned probabilities.

        Args:
            probabilities: `(U, C)`, of the weak views of unlabelled images.
            step: `Step`.

        Returns:
            `(U, C)`, rows of sum 1.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `call`.")

    def margin(self, logits: Any) -> Any:
        """Logits `(U, C)` of strong views as the loss takes them."""
        return logits


class Refinement(Strategy):
    """Changes what is predicted of unlabelled images by what lies near them.

    The trainer keeps `step.bank`: it is read here, and written after it.

    Attributes:
        changes_weights: whether the weights are made of the refined probabilities, or
            the targets alone.
    """

    changes_weights = True

    def call(self, probabilities: Any, embeddings: Any, step: Step) -> Any:
        """Refined probabilities `(U, C)`.

        Args:
            probabilities: `(U, C)`, aligned.
            embeddings: dict of the unit embeddings without gradient that the teacher
                gives: `weak` `(U, D)`, and `labelled` `(B, D)`.
            step: `Step`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `call`.")


class Weighting(Strategy):
    """How much each unlabelled image counts."""

    def call(self, probabilities: Any, step: Step) -> Any:
        """Weights `(U,)` in [0, 1] of probabilities `(U, C)`."""
        raise NotImplementedError(f"{type(self).__name__} has no `call`.")


class Targets(Strategy):
    """What the strong views are to be taken for."""

    def call(self, probabilities: Any) -> Any:
        """Targets `(U, C)`, rows of sum 1, of probabilities `(U, C)`."""
        raise NotImplementedError(f"{type(self).__name__} has no `call`.")


class Mixing(Strategy):
    """Mixes the strong views of unlabelled images with one another."""

    def call(
        self, views: Any, confidences: Any, targets: Any, weights: Any, step: Step
    ) -> tuple[Any, Any, Any]:
        """Mixed views, their targets and their weights.

        Args:
            views: `(U, S, s, s, C)`, strong ones.
            confidences: `(U,)`, the largest probability of each image.
            targets: `(U, C)`.
            weights: `(U,)`.
            step: `Step`.

        Returns:
            The three, of the same shapes.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `call`.")
