"""What a `ConsistencyTrainer` hands to its parts, made by hand."""

import keras
import numpy as np
from consistency_references import softmax
from references import unit

from semppl_keras.consistency import Bank, Context, Step
from semppl_keras.training.global_batch import GlobalBatch

UNLABELLED, LABELLED, CLASSES, DIM, FEATURES, STRONG, ENTRIES = 9, 5, 4, 6, 7, 2, 16


def as_numpy(value):
    return keras.ops.convert_to_numpy(value)


class Writes:
    """Writes variables after the step, as the trainer does."""

    def __init__(self):
        self.pending = []

    def __call__(self, variable, value):
        self.pending.append((variable, value))

    def end_step(self):
        for variable, value in self.pending:
            variable.assign(value)
        self.pending = []


def inputs_of(seed, classes=CLASSES, filled=1.0):
    """Random inputs of a step, in float64."""
    rng = np.random.default_rng(seed)

    def logits(*shape):
        return 2 * rng.normal(size=shape)

    bank_labels = rng.integers(0, classes, ENTRIES)
    # Spread over the bank, as the queues of the classes are.
    bank_labels[rng.permutation(ENTRIES)[round(filled * ENTRIES) :]] = -1
    shapes = {
        "labelled": (LABELLED,),
        "weak": (UNLABELLED,),
        "strong": (UNLABELLED, STRONG),
    }
    return {
        "probabilities": np.array([softmax(z) for z in logits(UNLABELLED, classes)]),
        "labelled": np.array([softmax(z) for z in logits(LABELLED, classes)]),
        "labels": rng.integers(0, classes, LABELLED),
        "weights": (rng.random(UNLABELLED) > 0.4).astype("float64"),
        "features": {k: rng.normal(size=(*s, FEATURES)) for k, s in shapes.items()},
        "logits": {k: logits(*s, classes) for k, s in shapes.items()},
        "embeddings": {k: unit(rng.normal(size=(*s, DIM))) for k, s in shapes.items()},
        "bank": unit(rng.normal(size=(ENTRIES, DIM))),
        "bank_labels": bank_labels,
    }


def tensors(value):
    """float64 and int64 arrays as the float32 and int32 tensors of a step."""
    if isinstance(value, dict):
        return {name: tensors(part) for name, part in value.items()}
    kind = "int32" if np.issubdtype(value.dtype, np.integer) else "float32"
    return keras.ops.convert_to_tensor(value.astype(kind))


def step_of(inputs, write=None, step=0, total=8, seed=None):
    given = tensors(inputs)
    return Step(
        unlabelled=GlobalBatch(len(inputs["probabilities"])),
        labelled=GlobalBatch(len(inputs["labels"])),
        labels=given["labels"],
        labelled_probabilities=given["labelled"],
        write=write or Writes(),
        step=keras.ops.convert_to_tensor(step, "int32"),
        total_steps=keras.ops.convert_to_tensor(total, "int32"),
        seed=seed or keras.random.SeedGenerator(0),
        bank=Bank(given["bank"], given["bank_labels"]),
    )


def context_of(inputs, step):
    given = tensors(inputs)
    return Context(
        features=given["features"],
        logits=given["logits"],
        embeddings=given["embeddings"],
        predicted=given["probabilities"],
        aligned=given["probabilities"],
        targets=given["probabilities"],
        weights=given["weights"],
        step=step,
    )
