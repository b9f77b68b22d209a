"""What a `ConsistencyTrainer` hands to its parts, made by hand."""

import keras
import numpy as np
import pytest
from consistency_references import softmax
from references import unit

from semppl_keras import consistency
from semppl_keras.consistency import Bank, Context, Refinement, Step, Targets, Term
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


# Each strategy with settings other than its own: a new one is a line here, and a test
# against its reference.
MADE = [
    ("DistributionAlignment", {"target": "labelled", "queue": 3}),
    ("DistributionAlignment", {"momentum": 0.5, "changes_targets": False}),
    ("DistributionAlignment", {"target": (3.0, 1.0, 2.0, 1.0)}),
    ("Debiasing", {"strength": 0.7, "momentum": 0.5}),
    ("MemorySmoothing", {"weight": 0.6, "temperature": 0.3}),
    ("Propagation", {"neighbours": 4, "alpha": 0.2, "temperature": 0.3}),
    ("FixedThreshold", {"threshold": 0.5}),
    ("SelfAdaptiveThreshold", {"momentum": 0.5}),
    ("RelativeThreshold", {"share": 0.8}),
    ("TruncatedGaussian", {"width": 1.5, "momentum": 0.5}),
    ("HardLabels", {"smoothing": 0.1}),
    ("SoftLabels", {"temperature": 0.4}),
    ("InstanceSimilarity", {"weight": 5.0, "temperature": 0.2}),
    ("MaxEntropy", {"weight": 0.01, "momentum": 0.5}),
    ("BalancedHead", {"class_counts": (4.0, 1.0, 2.0, 3.0), "threshold": 0.3}),
    ("OutlierDetection", {"projection_dim": 3, "threshold": 0.4, "warm_up": 0.0}),
    ("PseudoMixup", {"cutmix_probability": 0.3}),
    ("OnlineTeacher", {}),
    ("EMATeacher", {"momentum": 0.9, "statistics": "copy"}),
]
every_strategy = pytest.mark.parametrize(("name", "settings"), MADE)
# The others are asked about views, with the trainer.
OF_VIEWS = {"PseudoMixup", "OnlineTeacher", "EMATeacher"}
RULES = [(name, settings) for name, settings in MADE if name not in OF_VIEWS]
every_rule = pytest.mark.parametrize(("name", "settings"), RULES)


def make(name, settings, classes=CLASSES):
    strategy = getattr(consistency, name)(**settings)
    build(strategy, classes)
    return strategy


def build(strategy, classes=CLASSES):
    if isinstance(strategy, Term):
        strategy.build_for(classes, FEATURES, seed=3)
    else:
        strategy.build_for(classes)


def answer(strategy, inputs, writes=None, number=1):
    """What a rule says, as an array."""
    step = step_of(inputs, writes or Writes(), number)
    given = tensors(inputs)
    if isinstance(strategy, Term):
        return as_numpy(strategy.call(context_of(inputs, step)))
    if isinstance(strategy, Refinement):
        result = strategy.call(given["probabilities"], given["embeddings"], step)
    elif isinstance(strategy, Targets):
        result = strategy.call(given["probabilities"])
    else:
        result = strategy.call(given["probabilities"], step)
    return as_numpy(result)
