"""Strategies in a `ConsistencyTrainer`: they train, and what they keep is saved."""

import keras
import numpy as np
from toys import (
    QUICK,
    assert_same_weights,
    one_everywhere,
    slow_on_jax,
    toy_backbone,
    toy_images,
    toy_views,
    weights_of,
)

from semppl_keras import ConsistencyTrainer
from semppl_keras.consistency import (
    BalancedHead,
    Debiasing,
    DistributionAlignment,
    EMATeacher,
    FixedThreshold,
    InstanceSimilarity,
    MaxEntropy,
    MemorySmoothing,
    OutlierDetection,
    Propagation,
    SelfAdaptiveThreshold,
    SoftLabels,
)
from semppl_keras.memory import LabelledMemory

IMAGES, LABELS = toy_images(32)
FEW = IMAGES[:6], LABELS[:6]


def of_an_average():
    """Whatever is kept, with a teacher that is asked before the step."""
    return {
        "teacher": EMATeacher(0.9),
        "alignment": DistributionAlignment("labelled", queue=4),
        "refinement": MemorySmoothing(0.5),
        "weighting": SelfAdaptiveThreshold(0.5),
        "targets": SoftLabels(),
        "terms": [InstanceSimilarity(0.5), BalancedHead((3, 2, 1), threshold=0.3)],
    }


def of_itself():
    """The same with the teacher that is trained."""
    return {
        "alignment": Debiasing(momentum=0.5),
        "refinement": Propagation(neighbours=3),
        "weighting": FixedThreshold(0.4),
        "terms": [
            MaxEntropy(),
            OutlierDetection(projection_dim=4, threshold=0.0, warm_up=0.0),
        ],
    }


def made(parts, **changes):
    trainer = ConsistencyTrainer(
        toy_backbone(),
        3,
        views=toy_views(num_large=1, num_small=0),
        memory=LabelledMemory(1, 12, 8, 3),
        projector=keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)]),
        total_steps=8,
        seed=1,
        **{**parts(), **changes},
    )
    trainer.compile(keras.optimizers.SGD(0.05), **QUICK)
    return trainer


def fit(trainer, **epochs):
    return trainer.fit(
        IMAGES, FEW, batch_size=8, labelled_batch_size=4, verbose=0, **epochs
    ).history


@slow_on_jax
@one_everywhere("parts", [of_an_average, of_itself])
def test_what_strategies_keep_is_saved_and_training_goes_on(parts, tmp_path):
    trainer = made(parts)
    before = weights_of(trainer)
    fit(trainer, epochs=1)
    trainer.save(tmp_path / "half.keras")
    again = keras.saving.load_model(tmp_path / "half.keras")
    history = fit(trainer, epochs=2, initial_epoch=1)
    assert fit(again, epochs=2, initial_epoch=1) == history
    after = weights_of(trainer)
    assert_same_weights(after, weights_of(again))
    names = [term.name for term in trainer.terms]
    assert set(names) < set(history)
    assert all(np.isfinite(values).all() for values in history.values())
    # Heads of terms learn, and everything that is kept has moved.
    kept = [
        strategy
        for strategy in (trainer.alignment, trainer.weighting, *trainer.terms)
        if strategy.weights
    ]
    paths = {variable.path for strategy in kept for variable in strategy.variables} | {
        variable.path for variable in trainer.memory.variables
    }
    moved = {
        path.split(":", 1)[1]
        for path, value in before.items()
        if not np.array_equal(value, after[path])
    }
    assert paths <= moved


def test_a_balanced_head_predicts():
    trainer = made(of_an_average, weight_average=None)
    head = next(term.head for term in trainer.terms if term.predicts)
    head.set_weights([np.zeros((8, 3)), np.log([0.7, 0.2, 0.1])])
    trained = trainer.classifier.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(trained, np.tile([0.7, 0.2, 0.1], (32, 1)), rtol=1e-5)


def test_an_open_classifier_names_none_of_the_classes():
    trainer = made(of_itself)
    term = next(term for term in trainer.terms if hasattr(term, "open_classifier"))
    classifier = term.open_classifier(trainer.online)
    shares = classifier.predict(IMAGES, verbose=0)
    assert shares.shape == (32, 4)
    np.testing.assert_allclose(shares.sum(axis=-1), 1.0, rtol=1e-5)
    features = trainer.online.features(trainer.online.views.center_view(IMAGES))
    logits = keras.ops.convert_to_numpy(term.open_head(term.projection(features)))
    np.testing.assert_array_equal(shares.argmax(axis=-1), logits.argmax(axis=-1))
