"""Training of the upper part of a backbone on features that are kept."""

import keras
import numpy as np
import pytest
from keras import ops

from semppl_keras import Distiller, FineTuner
from semppl_keras.networks import (
    ImageClassifier,
    cache_features,
    cache_gigabytes,
    copy_model,
    features_cache,
    split_backbone,
)
from semppl_keras.views import CachedViews
from tests.networks.test_trainable_part import (
    model_of,
    residual_network,
    trained_names,
    transformer,
)
from tests.toys import QUICK, one_everywhere, toy_images, toy_views, weights_of


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def some_features(count=6, views=4, width=3):
    """Of image i and view v the value 10 i + v."""
    values = 10 * np.arange(count)[:, None] + np.arange(1 + views)
    return np.broadcast_to(
        values[:, :, None, None, None], (count, 1 + views, 2, 2, width)
    ).astype("float16")


def test_each_image_has_its_own_draw_of_different_random_views():
    features = some_features(count=40)
    views = CachedViews(num_large=3)
    drawn = numpy(views(ops.convert_to_tensor(features), seed=1)["large"])
    assert drawn.shape == (40, 3, 2, 2, 3)
    assert drawn.dtype == "float32"
    numbers = drawn[..., 0, 0, 0] - 10 * np.arange(40)[:, None]
    # Not the central one, none twice, not the same ones of all images.
    assert set(numbers.ravel()) == {1, 2, 3, 4}
    assert all(len(set(row)) == 3 for row in numbers)
    assert len({tuple(row) for row in numbers}) > 10
    same = numpy(views(ops.convert_to_tensor(features), seed=1)["large"])
    np.testing.assert_array_equal(drawn, same)
    centre = numpy(views.center_view(ops.convert_to_tensor(features)))
    np.testing.assert_array_equal(centre, features[:, 0])
    again = CachedViews.from_config(views.get_config())
    assert again.num_large == 3


def test_a_square_of_some_maps_is_cut_out():
    features = np.ones((200, 3, 20, 20, 2), "float16")
    views = CachedViews(num_large=2, cutout=0.5)
    drawn = numpy(views(ops.convert_to_tensor(features), seed=3)["large"])
    # All channels alike.
    np.testing.assert_array_equal(drawn[..., 0], drawn[..., 1])
    cut = drawn[..., 0].reshape(400, 20, 20) == 0
    share = np.mean(cut.any(axis=(1, 2)))
    assert 0.4 < share < 0.6
    for one in cut[cut.any(axis=(1, 2))]:
        rows, columns = one.any(axis=1), one.any(axis=0)
        # A rectangle, of 9 positions a side unless the edge is in the way.
        np.testing.assert_array_equal(one, rows[:, None] & columns)
        for side in (rows, columns):
            length = side.sum()
            assert length == 9 or (length < 9 and (side[0] or side[-1]))
    again = CachedViews.from_config(views.get_config())
    assert again.cutout == 0.5
    # Tokens have no squares.
    tokens = ops.ones((4, 3, 5, 2))
    assert numpy(views(tokens, seed=3)["large"]).min() == 1
    with pytest.raises(ValueError, match="cutout=1.5"):
        CachedViews(cutout=1.5)


@pytest.mark.any_backend
def test_a_classifier_of_kept_features_teaches_itself():
    lower, upper = split_backbone(settled(residual_network()))
    images, labels = toy_images(12, size=20)
    kept = cache_features(lower, images, toy_views(num_small=0, large_size=16), 2)
    head = keras.Sequential(
        [keras.Input((upper.output_shape[-1],)), keras.layers.Dense(3)]
    )
    classifier = ImageClassifier(upper, head, CachedViews(1))
    with pytest.raises(ValueError, match='teacher_sees="image"'):
        Distiller(classifier, classifier, views=CachedViews(1))
    before = weights_of(classifier)
    student = Distiller(
        classifier,
        classifier,
        distillation_weight=0.5,
        teacher_sees="image",
        views=CachedViews(1),
        temperature=1.0,
        seed=0,
    )
    batch = ops.convert_to_tensor(kept[:5]), ops.convert_to_tensor(kept[5:8])
    made = student.make_views(batch)
    assert made["view"].shape[0] == 8
    # The central view of the unlabelled ones.
    expected = numpy(classifier(batch[0]))
    np.testing.assert_allclose(numpy(ops.exp(made["teacher"])), expected, atol=1e-5)
    student.compile(keras.optimizers.Adam(1e-2), **QUICK)
    student.fit(kept[:8], (kept[8:], labels[8:]), epochs=1, batch_size=4, verbose=0)
    for array, other in zip(before, weights_of(classifier), strict=True):
        np.testing.assert_array_equal(array, other)
    assert any(
        np.any(array != other)
        for array, other in zip(before, weights_of(student.classifier), strict=True)
    )
    again = Distiller.from_config(student.get_config())
    assert again.teacher_sees == "image"


def test_too_few_views_are_told():
    with pytest.raises(ValueError, match="at least num_large=5"):
        CachedViews(5)(ops.convert_to_tensor(some_features()))
    with pytest.raises(ValueError, match="`num_large` must be an integer"):
        CachedViews(0)


def settled(backbone):
    """A backbone whose batch normalisation has statistics of its own."""
    rng = np.random.default_rng(0)
    for layer in backbone._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights(
                [rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()]
            )
    return backbone


def test_kept_is_what_the_lower_part_gives_of_the_views():
    lower, _ = split_backbone(settled(residual_network()))
    images, _ = toy_images(7, size=20)
    views = toy_views(num_small=0, large_size=16)
    counts = []
    kept = cache_features(
        lower, images, views, 3, seed=4, progress=lambda *done: counts.append(done)
    )
    assert kept.shape == (7, 4, 2, 2, 6)
    assert kept.dtype == "float16"
    assert counts[-1] == (7, 7)
    assert cache_gigabytes(lower, views, 7, 3) == pytest.approx(kept.nbytes / 1e9)
    central = numpy(lower(views.center_view(ops.convert_to_tensor(images))))
    np.testing.assert_allclose(kept[:, 0], central, rtol=1e-3, atol=1e-3)
    assert not np.allclose(kept[:, 1], kept[:, 2], atol=0.1)
    again = cache_features(lower, images, views, 3, seed=4)
    np.testing.assert_array_equal(kept, again)


@pytest.mark.any_backend
def test_what_does_not_fit_goes_to_disk_and_is_refused_beyond(monkeypatch, tmp_path):
    lower, _ = split_backbone(residual_network())
    images, _ = toy_images(4, size=16)
    views = toy_views(num_small=0, large_size=16)
    monkeypatch.setattr(features_cache, "free_memory", lambda: 100)
    kept = cache_features(lower, images, views, 1, folder=tmp_path)
    assert isinstance(kept, np.memmap)
    monkeypatch.undo()
    np.testing.assert_array_equal(kept, cache_features(lower, images, views, 1))
    monkeypatch.setattr(features_cache, "free_memory", lambda: 100)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(features_cache.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(ValueError, match=r"take 0\.00 GB: 4 images of 9 views .*at"):
        cache_features(lower, images, views, 8)


@pytest.mark.any_backend
def test_values_beyond_half_precision_are_told():
    lower, _ = split_backbone(residual_network())
    lower.get_layer("down1_norm").gamma.assign(np.full(4, 1e7))
    images, _ = toy_images(4, size=16)
    with pytest.raises(ValueError, match="half precision"):
        cache_features(lower, images, toy_views(num_small=0, large_size=16))


@one_everywhere("make", [residual_network, transformer])
def test_training_on_kept_features_is_that_of_the_upper_part(make):
    """The same views, with all else the same, move the same weights in the same way."""
    side = 8 if make is transformer else 16
    backbone = settled(make())
    images, labels = toy_images(12, size=side)

    def fitted(model, data):
        # Adam would make much of the rounding of gradients that are next to 0.
        model.compile(keras.optimizers.SGD(0.1), **QUICK)
        model.fit(data, (data[:6], labels[:6]), batch_size=12, epochs=2, verbose=0)
        return model

    # One random view of each image, which the direct way gets as its image.
    still = {"large_area": (1, 1), "aspect_ratio": (1, 1), "flip": 0, "blur": (0, 0)}
    still |= {"color_jitter": 0, "grayscale": 0, "solarize": (0, 0)}
    views = toy_views(num_small=0, large_size=side, num_large=1, **still)
    direct = model_of(
        copy_model(backbone), views, trainable="top", batch_norm="inference"
    )
    lower, upper = split_backbone(backbone)
    kept = cache_features(lower, images, views, 1).astype("float32")
    kept[:, 1] = numpy(lower(images / 255))
    cached = model_of(upper, CachedViews(1), trainable="all", batch_norm="inference")
    before = weights_of(direct)
    fitted(direct, images)
    fitted(cached, kept)
    whole = cached.on_pictures(lower, views)
    assert trained_names(whole) == trained_names(direct)
    expected, received = weights_of(direct), weights_of(whole)
    moved = 0.0
    for (path, value), other in zip(expected.items(), received.values(), strict=True):
        if "seed_generator" not in path:
            # Convolutions of other shapes are rounded in another way.
            np.testing.assert_allclose(other, value, atol=2e-3, err_msg=path)
            moved = max(moved, np.abs(value - before[path]).max())
    assert moved > 0.02
    np.testing.assert_allclose(
        whole.embed(images), direct.embed(images), rtol=2e-2, atol=2e-2
    )


@pytest.mark.any_backend
def test_a_model_on_pictures_says_what_it_said_of_kept_features(tmp_path):
    lower, upper = split_backbone(settled(residual_network()))
    images, labels = toy_images(24, size=16)
    views = toy_views(num_small=0, large_size=16)
    kept = cache_features(lower, images, views, 3)
    model = model_of(upper, CachedViews(2), target_momentum=0.5)
    model.fit(kept, (kept[:6], labels[:6]), batch_size=12, epochs=3, verbose=0)
    model.summary(print_fn=lambda line: None)
    model.save(tmp_path / "cached.keras")
    model = keras.models.load_model(tmp_path / "cached.keras")
    whole = model.on_pictures(lower, views)
    np.testing.assert_allclose(
        whole.embed(images), model.embed(kept), rtol=2e-2, atol=2e-2
    )
    # What is kept is of half precision: votes that are almost even may turn.
    same = whole.pseudo_label(images)[0] == model.pseudo_label(kept)[0]
    assert np.mean(same) > 0.8
    whole.save(tmp_path / "whole.keras")
    loaded = keras.models.load_model(tmp_path / "whole.keras")
    np.testing.assert_allclose(
        loaded.embed(images), whole.embed(images), rtol=1e-5, atol=1e-5
    )
    with pytest.raises(ValueError, match="takes pictures itself"):
        whole.on_pictures(lower, views)
    with pytest.raises(ValueError, match="must hold features that are kept"):
        model.embed(images)


@pytest.mark.any_backend
def test_fine_tuning_on_kept_features():
    lower, upper = split_backbone(settled(residual_network()))
    images, labels = toy_images(12, size=16)
    views = toy_views(num_small=0, large_size=16)
    kept = cache_features(lower, images, views, 2)
    tuner = FineTuner(upper, 3, views=CachedViews(), batch_norm="inference", seed=0)
    tuner.compile(keras.optimizers.AdamW(1e-2), **QUICK)
    tuner.fit(kept, labels, epochs=2, verbose=0)
    classifier = tuner.classifier.on_pictures(lower, views)
    np.testing.assert_allclose(
        classifier.predict(images, verbose=0), tuner.predict(kept, verbose=0), atol=1e-3
    )
