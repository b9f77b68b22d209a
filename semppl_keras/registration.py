"""Keras finds the classes of this package in saved models.

Keras imports no modules of other packages where a saved model names them: it knows
classes by the names under which they are registered, which happens when their modules
are imported. These are imported on demand, and

    import semppl_keras
    model = keras.saving.load_model("model.keras")

demands none of them. So as soon as both this package and Keras are there, in whichever
order, a stand-in is registered for each class that is not there yet, which imports it
when Keras makes an object of it. Nothing is imported while Keras is: threads that
import from both ends would wait for each other.
"""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from typing import Any

from semppl_keras.around_imports import AroundImports
from semppl_keras.tested_keras import warn_of_newer_keras

# The module of each registered class.
CLASSES = {
    "BYOL": "semppl_keras.pretraining.byol",
    "BalancedHead": "semppl_keras.consistency.balanced_head",
    "CachedViews": "semppl_keras.views.cached_views",
    "ConsistencyTrainer": "semppl_keras.classifiers.consistency_trainer",
    "Cutout": "semppl_keras.views.cutout",
    "Debiasing": "semppl_keras.consistency.debiasing",
    "Distiller": "semppl_keras.classifiers.distiller",
    "DistributionAlignment": "semppl_keras.consistency.distribution_alignment",
    "EMATeacher": "semppl_keras.consistency.ema_teacher",
    "Encoder": "semppl_keras.networks.encoder",
    "FineTuner": "semppl_keras.classifiers.fine_tuner",
    "FixedThreshold": "semppl_keras.consistency.fixed_threshold",
    "FrozenTeacher": "semppl_keras.consistency.frozen_teacher",
    "HardLabels": "semppl_keras.consistency.hard_labels",
    "ImageClassifier": "semppl_keras.networks.image_classifier",
    "ImageEmbedder": "semppl_keras.networks.image_embedder",
    "ImageLabels": "semppl_keras.memory.image_labels",
    "InstanceSimilarity": "semppl_keras.consistency.instance_similarity",
    "KernelScores": "semppl_keras.networks.kernel_head",
    "LARS": "semppl_keras.optimizers.lars",
    "LabelledMemory": "semppl_keras.memory.queue",
    "Latest": "semppl_keras.training.metrics",
    "LayerwiseAdamW": "semppl_keras.optimizers.layerwise_adamw",
    "MaxEntropy": "semppl_keras.consistency.max_entropy",
    "MemorySmoothing": "semppl_keras.consistency.memory_smoothing",
    "MemoryVotes": "semppl_keras.pretraining.memory_classifier",
    "MixStreams": "semppl_keras.backbones.selective_kernels",
    "MixedLogits": "semppl_keras.networks.two_heads",
    "MultiCrop": "semppl_keras.views.multi_crop",
    "OnlineTeacher": "semppl_keras.consistency.online_teacher",
    "OrientedGradients": "semppl_keras.backbones.gradient_layers",
    "OutlierDetection": "semppl_keras.consistency.outlier_detection",
    "PatchActivations": "semppl_keras.backbones.patch_layers",
    "Propagation": "semppl_keras.consistency.propagation",
    "PseudoMixup": "semppl_keras.consistency.pseudo_mixup",
    "QuarterCosine": "semppl_keras.optimizers.quarter_cosine",
    "RandAugment": "semppl_keras.views.rand_augment",
    "ReLICv2": "semppl_keras.pretraining.relicv2",
    "RelativeThreshold": "semppl_keras.consistency.relative_threshold",
    "RepresentationDistiller": "semppl_keras.pretraining.representation_distiller",
    "SGDL2": "semppl_keras.optimizers.sgd_l2",
    "SelfAdaptiveThreshold": "semppl_keras.consistency.self_adaptive_threshold",
    "SemPPL": "semppl_keras.pretraining.semppl",
    "SimCLR": "semppl_keras.pretraining.simclr",
    "SoftLabels": "semppl_keras.consistency.soft_labels",
    "SuNCEt": "semppl_keras.pretraining.suncet",
    "SuNCEtLoss": "semppl_keras.losses.suncet",
    "SumStreams": "semppl_keras.backbones.selective_kernels",
    "TargetEMA": "semppl_keras.training.target_ema",
    "TargetEncoder": "semppl_keras.networks.encoder",
    "TargetSchedule": "semppl_keras.training.target_ema",
    "TrainingLength": "semppl_keras.training.training_length",
    "TruncatedGaussian": "semppl_keras.consistency.truncated_gaussian",
    "WeakStrong": "semppl_keras.views.weak_strong",
}


def register_with_keras() -> None:
    """Registers the classes of this package now, or when Keras gets imported."""
    if "keras" in sys.modules:
        _register_stand_ins()
        return

    @contextlib.contextmanager
    def registering() -> Iterator[None]:
        yield
        sys.meta_path.remove(finder)
        _register_stand_ins()

    finder = AroundImports("keras".__eq__, registering)
    sys.meta_path.insert(0, finder)


def _register_stand_ins() -> None:
    # Another thread may be importing it at this moment: this waits until it is whole.
    keras = importlib.import_module("keras")
    warn_of_newer_keras(keras)
    known = keras.saving.get_custom_objects()
    for name, module in CLASSES.items():
        known.setdefault(f"{__package__}>{name}", _stand_in(name, module))


def _stand_in(name: str, module: str) -> type:
    """A class of this name that makes objects of the module's one."""

    def from_config(config: dict[str, Any], **options: Any) -> Any:
        made = getattr(importlib.import_module(module), name)
        return made.from_config(config, **options)

    return type(
        name, (), {"__module__": module, "from_config": staticmethod(from_config)}
    )
