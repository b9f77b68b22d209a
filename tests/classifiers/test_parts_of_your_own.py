"""Parts of a consistency training that are not the package's: what they may be."""

import keras
import pytest
from keras import ops
from toys import slow_on_jax, toy_backbone, toy_images, toy_views

from semppl_keras import ConsistencyTrainer, Distiller
from semppl_keras.consistency import Alignment, Targets, Weighting
from semppl_keras.views import RandAugment, WeakStrong

IMAGES, LABELS = toy_images(12)
EAGERLY = keras.backend.backend() != "jax"


@keras.saving.register_keras_serializable(package="tests")
class Noise(keras.layers.Layer):
    """A layer that nothing has built, with a weight."""

    def build(self, input_shape):
        self.strength = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(0.1), trainable=False
        )

    def call(self, images, seed=None, uniform=None):
        drawn = uniform(ops.shape(images), seed=seed)
        return ops.clip(images + self.strength * drawn, 0.0, 1.0)


def answering(kind, answer):
    """A part that gives what it is told to."""

    class Part(kind):
        def call(self, probabilities, step=None):
            return answer(probabilities)

    return Part()


def trainer_of(**parts):
    views = WeakStrong(toy_views(), RandAugment(0))
    trainer = ConsistencyTrainer(
        toy_backbone(), 3, **{"views": views, "seed": 0, **parts}
    )
    trainer.compile("sgd", run_eagerly=EAGERLY)
    return trainer


def fit(trainer):
    return trainer.fit(IMAGES, (IMAGES, LABELS), batch_size=12, verbose=0).history


@slow_on_jax
def test_truths_are_weights():
    sure = answering(Weighting, lambda probabilities: probabilities[:, 0] > -1.0)
    assert fit(trainer_of(weighting=sure))["pseudo_label_share"] == [1.0]


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("name", "kind", "answer", "message"),
    [
        ("weighting", Weighting, lambda p: p[:, :1], r"\(12,\).*shape \(12, 1\)"),
        ("weighting", Weighting, lambda p: 1.0, r"\(12,\).*float"),
        ("weighting", Weighting, lambda p: None, r"\(12,\).*NoneType"),
        ("targets", Targets, lambda p: p[:, 0], r"\(12, 3\).*shape \(12,\)"),
        ("alignment", Alignment, lambda p: p[:1], r"\(12, 3\).*shape \(1, 3\)"),
    ],
)
def test_answers_of_another_shape_are_told(name, kind, answer, message):
    trainer = trainer_of(**{name: answering(kind, answer)})
    with pytest.raises(ValueError, match=f"`call` of Part must.*{message}"):
        fit(trainer)


@slow_on_jax
def test_a_layer_of_ones_own_makes_strong_views(tmp_path):
    trainer = trainer_of(views=WeakStrong(toy_views(), Noise()))
    fit(trainer)
    trainer.save(tmp_path / "trainer.keras")
    again = keras.models.load_model(tmp_path / "trainer.keras")
    assert isinstance(again.views.strong, Noise)


@pytest.mark.any_backend
def test_a_student_sees_them_as_well():
    student = Distiller(
        toy_backbone(),
        trainer_of().classifier,
        views=toy_views(),
        student_views=Noise(),
    )
    student.compile("sgd", run_eagerly=EAGERLY)
    student.fit(IMAGES, batch_size=12, verbose=0)


@pytest.mark.any_backend
def test_layers_that_draw_by_themselves_are_refused():
    for layer in (keras.layers.RandomFlip(), keras.Sequential([RandAugment()])):
        with pytest.raises(TypeError, match="`seed` and `uniform`.*Received: "):
            WeakStrong(toy_views(), layer)
