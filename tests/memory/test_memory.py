"""Votes, draws and the queue against loops in float64."""

import collections
import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import references
from toys import one_everywhere

from semppl_keras.memory import (
    LabelledMemory,
    enqueue,
    knn_votes,
    sample_negatives,
    sample_semantic_positives,
    vote_shares,
    votes,
)


def random_votes(rng, views, images, large, capacity, dim, classes, filled=1.0):
    queries = references.unit(rng.normal(size=(views, images, dim)))
    memory = references.unit(rng.normal(size=(large, capacity, dim)))
    labels = rng.integers(0, classes, capacity)
    labels[rng.random(capacity) >= filled] = -1
    return queries.astype("float32"), memory.astype("float32"), labels.astype("int32")


def as_numpy(*tensors):
    return [keras.ops.convert_to_numpy(tensor) for tensor in tensors]


@one_everywhere("k", [3, 1, 7])
@one_everywhere("views", [2, 1, 4])
@one_everywhere("filled", [0.4, 1.0])
def test_votes_equal_the_reference(k, views, filled):
    rng = np.random.default_rng(10 * k + views)
    data = random_votes(rng, views, 13, views, 40, 8, classes=5, filled=filled)
    labels, confidences = as_numpy(*knn_votes(*data, k, num_classes=5))
    expected = references.knn_votes(*data, k)
    np.testing.assert_array_equal(labels, expected[0])
    np.testing.assert_allclose(confidences, expected[1], rtol=1e-6)
    assert labels.dtype == np.int32


def test_votes_of_more_queries_than_memory_views():
    rng = np.random.default_rng(5)
    data = random_votes(rng, 1, 9, 3, 30, 6, classes=4)
    labels, confidences = as_numpy(*knn_votes(*data, 3, num_classes=4))
    expected = references.knn_votes(*data, 3)
    np.testing.assert_array_equal(labels, expected[0])
    np.testing.assert_allclose(confidences, expected[1], rtol=1e-6)


@pytest.mark.any_backend
def test_classes_that_are_missing_win_no_vote():
    rng = np.random.default_rng(3)
    queries, memory, labels = random_votes(rng, 2, 50, 2, 30, 4, classes=3)
    voted, _ = as_numpy(*knn_votes(queries, memory, labels + 4, 3, num_classes=10))
    assert set(voted) <= {4, 5, 6}


@one_everywhere(("filled", "k"), [(2, 3), (0, 1)])
def test_too_few_entries_give_no_label(filled, k):
    rng = np.random.default_rng(0)
    queries, memory, labels = random_votes(rng, 2, 4, 2, 6, 3, classes=2)
    labels[filled:] = -1
    voted, confidence = as_numpy(*knn_votes(queries, memory, labels, k, 2))
    np.testing.assert_array_equal(voted, [-1] * 4)
    np.testing.assert_array_equal(confidence, [0.0] * 4)
    shares = keras.ops.convert_to_numpy(vote_shares(queries, memory, labels, k, 2))
    np.testing.assert_array_equal(shares, np.zeros((4, 2)))


def axis_memory(cosines, labels):
    """Entries whose similarity to the query (1, 0) is given."""
    cosines = np.array(cosines)
    memory = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=-1)[None]
    return (
        np.array([[[1.0, 0.0]]], "float32"),
        memory.astype("float32"),
        np.array(labels, "int32"),
    )


def test_a_tie_of_neighbours_goes_to_the_larger_similarity():
    data = axis_memory([0.9, 0.8, 0.5, 0.75], [1, 0, 1, 0])
    label, confidence = as_numpy(*knn_votes(*data, 4, num_classes=2))
    assert label == [0]  # 0.8 + 0.75 > 0.9 + 0.5
    assert confidence == [1.0]


@pytest.mark.any_backend
def test_a_tie_in_similarity_goes_to_the_smaller_class():
    data = axis_memory([0.75, 0.75], [3, 2])
    label, _ = as_numpy(*knn_votes(*data, 2, num_classes=4))
    assert label == [2]


@pytest.mark.any_backend
def test_a_tie_of_votes_goes_to_the_larger_total():
    # Two views of the query, one of the memory: one vote each, 0.9 against 0.8.
    queries = np.array([[[1.0, 0.0]], [[0.0, 1.0]]], "float32")
    first, second = np.array([0.8, 0.6]), np.array([np.sqrt(1 - 0.81), 0.9])
    memory = np.stack([first, second])[None].astype("float32")
    labels = np.array([0, 1], "int32")
    label, confidence = as_numpy(*knn_votes(queries, memory, labels, 1, 2))
    assert label == [1]
    assert confidence == [0.5]
    shares = keras.ops.convert_to_numpy(vote_shares(queries, memory, labels, 1, 2))
    np.testing.assert_allclose(shares, [[0.5, 0.5]], atol=1e-6)
    assert shares.argmax() == 1


@pytest.mark.any_backend
def test_shares_have_the_label_of_the_votes_on_top():
    rng = np.random.default_rng(1)
    data = random_votes(rng, 2, 60, 2, 20, 3, classes=6)
    labels, confidences = as_numpy(*knn_votes(*data, 3, num_classes=6))
    shares = keras.ops.convert_to_numpy(vote_shares(*data, 3, num_classes=6))
    np.testing.assert_array_equal(shares.argmax(axis=1), labels)
    np.testing.assert_allclose(shares.max(axis=1), confidences, atol=2e-6)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-6)


@pytest.mark.any_backend
def test_votes_do_not_depend_on_the_order_of_images_and_entries():
    rng = np.random.default_rng(2)
    queries, memory, labels = random_votes(rng, 2, 20, 2, 30, 5, classes=4)
    images, entries = rng.permutation(20), rng.permutation(30)
    voted, _ = as_numpy(*knn_votes(queries, memory, labels, 3, 4))
    permuted, _ = as_numpy(
        *knn_votes(queries[:, images], memory[:, entries], labels[entries], 3, 4)
    )
    np.testing.assert_array_equal(permuted, voted[images])


def compilations(function):
    """The function as it is, and compiled by what its backend has."""
    if keras.backend.backend() == "jax":
        import jax

        return [function, jax.jit(function)]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        compiled = (tf.function(function, jit_compile=xla) for xla in (False, True))
        return [function, *compiled]
    return [function]


@one_everywhere(
    ("images", "capacity", "k"),
    [(13, 41, 3), (13, 40, 1), (6, 36, 4), (7, 9, 9)],
)
def test_votes_in_chunks_equal_those_at_once(images, capacity, k, monkeypatch):
    rng = np.random.default_rng(images + k)
    # Coordinates of -1, 0, 1: a few similarities, exact in float32, and many ties.
    queries = rng.integers(-1, 2, (2, images, 4)).astype("float32")
    memory = rng.integers(-1, 2, (3, capacity, 4)).astype("float32")
    labels = rng.integers(-1, 5, capacity).astype("int32")
    labels[:k] = 0
    data = [keras.ops.convert_to_tensor(array) for array in (queries, memory, labels)]
    at_once = as_numpy(*votes.pair_votes(*data, k))
    per_image = 2 * 3 * capacity * 4
    # Chunks of four images, of one, and a limit below a single image.
    for limit in (4 * per_image, per_image, 1):
        monkeypatch.setattr(votes, "SIMILARITY_BYTES", limit)
        for function in compilations(lambda *data: votes.pair_votes(*data, k)):
            for chunked, whole in zip(as_numpy(*function(*data)), at_once, strict=True):
                np.testing.assert_array_equal(chunked, whole)


@one_everywhere("k", [3, 1])
def test_votes_in_chunks_equal_the_reference(k, monkeypatch):
    rng = np.random.default_rng(k)
    data = random_votes(rng, 2, 13, 2, 45, 8, classes=5, filled=0.8)
    expected = references.knn_votes(*data, k)
    monkeypatch.setattr(votes, "SIMILARITY_BYTES", 5 * 2 * 2 * 45 * 4)
    data = [keras.ops.convert_to_tensor(array) for array in data]
    for function in compilations(lambda *data: knn_votes(*data, k, num_classes=5)):
        labels, confidences = as_numpy(*function(*data))
        np.testing.assert_array_equal(labels, expected[0])
        np.testing.assert_allclose(confidences, expected[1], rtol=1e-6)


@one_everywhere(
    ("capacity", "k"),
    [(61, 3), (1, 1), (7, 1), (7, 7), (60, 3), (200, 10), (64, 64)],
)
def test_nearest_are_those_of_a_full_sort(capacity, k):
    rng = np.random.default_rng(capacity + k)
    similarity = rng.normal(size=(9, capacity)).astype("float32")
    order = np.argsort(-similarity, axis=1)[:, :k]
    values, indices = as_numpy(
        *votes.nearest(keras.ops.convert_to_tensor(similarity), k)
    )
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(values, np.take_along_axis(similarity, order, 1))


def test_the_nearest_of_equals_are_distinct_and_the_first():
    rng = np.random.default_rng(0)
    similarity = rng.integers(0, 4, (20, 60)).astype("float32")
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :5]
    values, indices = as_numpy(
        *votes.nearest(keras.ops.convert_to_tensor(similarity), 5)
    )
    np.testing.assert_array_equal(values, np.take_along_axis(similarity, order, 1))
    np.testing.assert_array_equal(np.take_along_axis(similarity, indices, 1), values)
    assert all(len(set(row)) == 5 for row in indices.tolist())
    # torch's top_k leaves open which of the equals it takes.
    if keras.backend.backend() != "torch":
        np.testing.assert_array_equal(indices, order)


@pytest.mark.slow
def test_votes_and_loss_of_the_paper_fit_into_two_gibibytes():
    """Beyond embeddings and queue, with gradients; a run takes minutes."""
    names = {
        "tensorflow": ["tensorflow graph", "tensorflow XLA"],
        "jax": ["jax jit"],
        "torch": ["torch eager"],
    }[keras.backend.backend()]
    benchmarks = pathlib.Path(__file__).parents[2] / "benchmarks"
    size = {"batch": 4096, "capacity": 81920, "dim": 256}
    for name in names:
        work = {"contender": name, "size": size, "k": 1, "kept": None}
        command = [sys.executable, benchmarks / "loss.py", "--work", json.dumps(work)]
        done = subprocess.run(
            command, input="", stdout=subprocess.PIPE, text=True, check=True
        )
        assert json.loads(done.stdout.splitlines()[-1])["MiB"] < 2048, name


@pytest.mark.parametrize("argument", ["rank", "dim", "k", "num_classes"])
def test_votes_name_what_does_not_fit(argument):
    queries, memory, labels = random_votes(
        np.random.default_rng(0), 2, 4, 2, 6, 3, classes=2
    )
    calls = {
        "rank": (queries[0], memory, labels, 1, 2),
        "dim": (queries[..., :2], memory, labels, 1, 2),
        "k": (queries, memory, labels, 7, 2),
        "num_classes": (queries, memory, labels, 1, 0),
    }
    expected = {"rank": "queries", "dim": "queries"}.get(argument, argument)
    with pytest.raises(ValueError, match=f"`{expected}`.*Received"):
        knn_votes(*calls[argument])


def test_the_queue_is_first_in_first_out_across_the_wrap_around():
    rng = np.random.default_rng(0)
    capacity, views, dim = 7, 2, 3
    memory = LabelledMemory(views, capacity, dim)
    kept = collections.deque(maxlen=capacity)
    for count in (3, 3, 0, 5, 1, 7, 9, 20, 2):
        embeddings = rng.normal(size=(views, count, dim)).astype("float32")
        labels = rng.integers(0, 5, count).astype("int32")
        kept.extend(zip(labels, np.swapaxes(embeddings, 0, 1), strict=True))
        state = memory.enqueued(embeddings, labels)
        for variable, value in zip(memory.state, state, strict=True):
            variable.assign(value)

        held, held_labels, position = as_numpy(*(v.value for v in memory.state))
        # From the oldest entry on: the one to be written next, once all are full.
        order = (position + np.arange(capacity)) % capacity
        order = order[held_labels[order] >= 0]
        assert len(order) == len(kept)
        np.testing.assert_array_equal(held_labels[order], [y for y, _ in kept])
        np.testing.assert_array_equal(
            np.swapaxes(held[:, order], 0, 1), np.array([e for _, e in kept])
        )


@one_everywhere(("capacity", "classes"), [(11, 3), (12, 4), (5, 5), (6, 1)])
def test_each_class_has_a_queue_of_its_own(capacity, classes):
    rng = np.random.default_rng(capacity)
    views, dim = 2, 3
    memory = LabelledMemory(views, capacity, dim, classes)
    lengths = [len(range(y, capacity, classes)) for y in range(classes)]
    kept = [collections.deque(maxlen=length) for length in lengths]
    functions = compilations(enqueue)
    # Class 0 is frequent: more images of a batch than it has entries, in some batches.
    share = np.array([classes, *[0.5] * (classes - 1)])
    for step, count in enumerate((3, 0, 1, 7, 2, 40, 5, 6)):
        embeddings = rng.normal(size=(views, count, dim)).astype("float32")
        labels = rng.choice(classes, count, p=share / share.sum()).astype("int32")
        for label, embedding in zip(labels, np.swapaxes(embeddings, 0, 1), strict=True):
            kept[label].append(embedding)
        new = [keras.ops.convert_to_tensor(array) for array in (embeddings, labels)]
        before = [keras.ops.convert_to_tensor(v.value) for v in memory.state]
        if step != 3:
            state = memory.enqueued(*new)
        else:
            for function in functions:
                state = function(*before, *new)
        for variable, value in zip(memory.state, state, strict=True):
            assert keras.backend.standardize_dtype(value.dtype) == variable.dtype
            variable.assign(value)

        held, held_labels, position = as_numpy(*(v.value for v in memory.state))
        for y, (queue, length) in enumerate(zip(kept, lengths, strict=True)):
            own = y + classes * ((position[y] + np.arange(length)) % length)
            # From the oldest on: the one to be written next, once all are full.
            filled = own[held_labels[own] >= 0]
            assert (held_labels[filled] == y).all()
            assert len(filled) == len(queue)
            if queue:
                np.testing.assert_array_equal(
                    np.swapaxes(held[:, filled], 0, 1), np.array(queue)
                )


def test_a_memory_needs_an_entry_for_each_class():
    with pytest.raises(ValueError, match="capacity=3, num_classes=4"):
        LabelledMemory(1, 3, 2, 4)
    again = LabelledMemory.from_config(LabelledMemory(1, 3, 2, 2).get_config())
    assert again.num_classes == 2


@pytest.mark.any_backend
def test_all_entries_as_neighbours_leave_it_to_the_similarity():
    # Two classes of four entries each: eight neighbours are a tie of four and four.
    rng = np.random.default_rng(4)
    queries, memory, _ = random_votes(rng, 1, 30, 1, 8, 3, classes=2)
    labels = np.tile(np.arange(2, dtype="int32"), 4)
    voted, _ = as_numpy(*knn_votes(queries, memory, labels, 8, num_classes=2))
    similarity = queries[0] @ memory[0].T
    totals = [similarity[:, labels == y].sum(axis=1) for y in (0, 1)]
    np.testing.assert_array_equal(voted, np.argmax(totals, axis=0))
    assert set(voted) == {0, 1}


def test_enqueue_leaves_its_arguments_alone():
    memory = np.zeros((1, 4, 2), "float32")
    labels = np.full(4, -1, "int32")
    tensors = [keras.ops.convert_to_tensor(a) for a in (memory, labels)]
    new = np.ones((1, 2, 2), "float32"), np.array([1, 0], "int32")
    enqueue(*tensors, keras.ops.convert_to_tensor(3, "int32"), *new)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(tensors[0]), memory)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(tensors[1]), labels)


@one_everywhere(("batch", "count"), [(12, 5), (2, 1), (11, 10), (40, 10)])
def test_negatives_are_distinct_others(batch, count):
    seed = keras.random.SeedGenerator(0)
    for _ in range(20):
        (drawn,) = as_numpy(sample_negatives(batch, count, seed))
        assert drawn.shape == (batch, count)
        assert drawn.min() >= 0
        assert drawn.max() < batch
        assert (drawn != np.arange(batch)[:, None]).all()
        assert all(len(set(row)) == count for row in drawn.tolist())


def test_negatives_are_uniform():
    seed = keras.random.SeedGenerator(1)
    batch, count, rounds = 8, 3, 600
    times = np.zeros((batch, batch))
    for _ in range(rounds):
        (drawn,) = as_numpy(sample_negatives(batch, count, seed))
        for image, row in enumerate(drawn):
            times[image, row] += 1
    expected = rounds * count / (batch - 1)
    others = times[~np.eye(batch, dtype=bool)]
    # Binomial: four standard deviations over 56 cells, and a chi-squared mean.
    deviation = np.sqrt(expected * (1 - count / (batch - 1)))
    assert np.abs(others - expected).max() < 4.5 * deviation
    assert np.var(others) < 1.6 * deviation**2


def test_a_batch_too_small_for_its_negatives_is_refused():
    with pytest.raises(ValueError, match="num_negatives.*10.*batch of 10"):
        sample_negatives(10, 10, 0)


def test_semantic_positives_have_the_label_of_the_image():
    memory_labels = np.array([2, -1, 0, 2, 4, 0, -1, 2], "int32")
    image_labels = np.array([0, 1, 2, -1, 4, 2], "int32")
    seed = keras.random.SeedGenerator(0)
    seen = collections.defaultdict(collections.Counter)
    for _ in range(200):
        entries, found = as_numpy(
            *sample_semantic_positives(image_labels, memory_labels, 3, 5, seed)
        )
        assert entries.shape == (3, 6)
        np.testing.assert_array_equal(found, [True, False, True, False, True, True])
        for image in np.flatnonzero(found):
            drawn = entries[:, image]
            assert (memory_labels[drawn] == image_labels[image]).all()
            seen[image].update(drawn.tolist())
    assert set(seen[0]) == {2, 5}
    assert set(seen[2]) == {0, 3, 7}
    # 600 draws over three entries: 200 each, standard deviation 11.5.
    assert all(abs(times - 200) < 52 for times in seen[2].values())


def test_an_empty_memory_has_no_semantic_positives():
    entries, found = as_numpy(
        *sample_semantic_positives(
            np.array([0, 1], "int32"), np.full(4, -1, "int32"), 2, 3, 0
        )
    )
    assert not found.any()
    assert ((entries >= 0) & (entries < 4)).all()
