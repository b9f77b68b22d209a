"""What an objective of one's own may give and keep, and what is told of the rest."""

import keras
import pytest
from keras import ops
from toys import assert_same_weights, toy_backbone, toy_images, toy_views, weights_of

from semppl_keras import SemPPL
from semppl_keras.networks import projector_and_predictor
from semppl_keras.pretraining import Pretraining

IMAGES, LABELS = toy_images(12)
EAGERLY = keras.backend.backend() != "jax"


class Agreement(Pretraining):
    """Gives what it is told to."""

    def __init__(self, give):
        super().__init__(
            toy_backbone(),
            views=toy_views(),
            make_heads=projector_and_predictor(8, 4),
            metrics=("agreement",),
            seed=0,
        )
        self._give = give

    def loss_parts(self, outputs, labels, batch):
        return self._give(ops.mean(outputs["online"]))


def fit(give):
    model = Agreement(give)
    model.compile("sgd", run_eagerly=EAGERLY)
    return model.fit(IMAGES, batch_size=12, verbose=0).history


def test_numbers_are_parts_and_others_than_told_may_be_given():
    others = {"tensor": 0.0, "nothing": None, "text": "a", "dict": {"part": 0.0}}
    history = fit(lambda mean: {"loss": mean, "agreement": 0.5, **others})
    assert history["agreement"] == [0.5]
    assert not set(others) & set(history)


@pytest.mark.any_backend
@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda mean: mean, "of Agreement must give a dict"),
        (lambda mean: {"agreement": mean}, "agreement, without loss"),
        (lambda mean: {"loss": mean}, "loss, without agreement"),
        (
            lambda mean: {"loss": mean[None], "agreement": mean},
            r"as a scalar. Received: shape \(1,\)",
        ),
        (
            lambda mean: {"loss": (mean, mean), "agreement": mean},
            r"as a scalar. Received: shape \(2,\)",
        ),
    ],
)
def test_what_is_no_loss_is_told(give, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fit(give)


class Scaled(Pretraining):
    """Has an argument beside those that all objectives have, and forgets to save it."""

    def __init__(self, backbone, *, views, scale=1.0, seed=None, **kwargs):
        super().__init__(
            backbone,
            views=views,
            make_heads=projector_and_predictor(8, 4),
            seed=seed,
            **kwargs,
        )
        self.scale = scale

    def loss_parts(self, outputs, labels, batch):
        return {"loss": self.scale * ops.mean(outputs["online"])}


@pytest.mark.any_backend
def test_an_argument_that_would_be_lost_is_named_and_can_still_be_saved(
    tmp_path, monkeypatch
):
    path = tmp_path / "scaled.keras"
    make = {"backbone": toy_backbone(), "views": toy_views(), "seed": 0}
    # What loading takes for granted is lost by nobody.
    Scaled(**make).save(tmp_path / "of_defaults.keras")
    model = Scaled(**make, scale=3.0)
    with pytest.raises(UserWarning, match="none of `scale`"):  # An error in tests.
        model.save(path)
    # The training is not lost with it.
    again = Scaled(**{**make, "seed": 1}, scale=3.0)
    again.load_weights(path)
    assert_same_weights(weights_of(again), weights_of(model))
    monkeypatch.setattr(Scaled, "settings", ("scale",))
    model.save(path)
    loaded = keras.saving.load_model(path, custom_objects={"Scaled": Scaled})
    assert loaded.scale == 3.0


@keras.saving.register_keras_serializable(package="test_loss_parts")
class Flat(SemPPL):
    """SemPPL with one more part of its loss, which `fit` shows too."""

    settings = (*SemPPL.settings, "weight")

    def __init__(self, backbone, *, weight=0.1, **kwargs):
        super().__init__(backbone, **kwargs)
        self.weight = weight
        self.tell(("energy",))

    def loss_parts(self, outputs, labels, batch):
        parts = super().loss_parts(outputs, labels, batch)
        energy = ops.mean(ops.square(outputs["online"]))
        return {**parts, "loss": parts["loss"] + self.weight * energy, "energy": energy}


def test_a_subclass_tells_what_its_class_tells_and_more(tmp_path):
    data = IMAGES, (IMAGES, LABELS)
    settings = {"num_classes": 3, "views": toy_views(), "hidden_dim": 8, "seed": 0}
    settings |= {"projection_dim": 4, "num_negatives": 4}
    histories = []
    for make in (SemPPL, lambda *args, **kwargs: Flat(*args, weight=2.0, **kwargs)):
        keras.utils.set_random_seed(0)
        model = make(toy_backbone(), **settings)
        model.compile("sgd", run_eagerly=EAGERLY)
        histories.append(model.fit(*data, batch_size=12, verbose=0).history)
    usual, more = histories
    assert set(more) == {*usual, "energy"}
    added = more["loss"][0] - usual["loss"][0]
    assert added == pytest.approx(2.0 * more["energy"][0], rel=1e-3)
    model.save(tmp_path / "flat.keras")
    loaded = keras.saving.load_model(tmp_path / "flat.keras")
    assert loaded.weight == 2.0
    again = loaded.fit(*data, batch_size=12, verbose=0).history
    assert set(again) == set(more)


@pytest.mark.any_backend
def test_one_name_is_not_taken_for_its_letters():
    with pytest.raises(TypeError, match=r"`metrics` must be a tuple.*\('energy',\)"):
        Agreement(None).tell("energy")
    with pytest.raises(TypeError, match="`latest` must be a tuple of names"):
        Agreement(None).tell(latest="energy")


@pytest.mark.any_backend
def test_a_constructor_that_does_not_take_what_is_saved_is_told(tmp_path):
    class Closed(Scaled):
        def __init__(self, backbone, *, views, seed=None):
            super().__init__(backbone, views=views, seed=seed)

    model = Closed(toy_backbone(), views=toy_views())
    with pytest.raises(UserWarning, match=r"without `name`, `trainable`.*Add \*\*kw"):
        model.save(tmp_path / "closed.keras")


@pytest.mark.any_backend
def test_who_loads_an_objective_in_a_way_of_its_own_is_not_warned(tmp_path):
    class Renamed(Scaled):
        def __init__(self, network, factor):
            super().__init__(network, views=toy_views(), scale=factor, seed=0)

        @classmethod
        def from_config(cls, config, custom_objects=None):
            network = keras.saving.deserialize_keras_object(config["backbone"])
            return cls(network, config["scale"])

        def get_config(self):
            return {**super().get_config(), "scale": self.scale}

    path = tmp_path / "renamed.keras"
    Renamed(toy_backbone(), 3.0).save(path)
    loaded = keras.saving.load_model(path, custom_objects={"Renamed": Renamed})
    assert loaded.scale == 3.0


@pytest.mark.any_backend
def test_views_are_no_images_outside_of_training():
    model = Agreement(lambda mean: {"loss": mean, "agreement": mean})
    with pytest.raises(ValueError, match="a dict of view_0. Call the model with"):
        model({"view_0": IMAGES})
