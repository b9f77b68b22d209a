"""A memory that is taken over, against queues that are lists."""

import collections

import keras
import numpy as np
import pytest
from toys import one_everywhere

from semppl_keras.memory import LabelledMemory
from semppl_keras.memory.carrying_over import (
    carry_over,
    forget,
    oldest_first,
    remember,
)

VIEWS, DIM = 2, 3


def _filled(capacity, classes, balanced, seed):
    """A memory after some batches, and by class what a list of each would hold."""
    generator = np.random.default_rng(seed)
    memory = LabelledMemory(VIEWS, capacity, DIM, classes if balanced else None)
    lengths = [capacity // classes + (c < capacity % classes) for c in range(classes)]
    queues = [collections.deque(maxlen=length) for length in lengths]
    queue = collections.deque(maxlen=capacity)
    number = 0
    for _ in range(generator.integers(1, 6)):
        # The last class comes seldom.
        labels = generator.integers(0, classes, 4)
        labels[labels == classes - 1] *= generator.integers(0, 2)
        rows = np.arange(number, number + 4)
        number += 4
        remember(memory, _embeddings(rows), labels)
        for row, label in zip(rows, labels, strict=True):
            queues[label].append(row)
            queue.append((row, label))
    if balanced:
        return memory, [list(one) for one in queues]
    return memory, [[row for row, label in queue if label == c] for c in range(classes)]


def _embeddings(rows):
    return np.broadcast_to(
        np.asarray(rows, "float32")[None, :, None], (VIEWS, len(rows), DIM)
    )


def _held(memory):
    """By class the numbers of what is in a memory, oldest first."""
    labels = memory.stored_labels()
    order = oldest_first(labels, keras.ops.convert_to_numpy(memory.position))
    rows = keras.ops.convert_to_numpy(memory.embeddings)
    assert np.all(rows == rows[:1, :, :1])
    held = collections.defaultdict(list)
    for entry in order:
        held[int(labels[entry])].append(int(rows[0, entry, 0]))
    return held


@one_everywhere("balanced", [True, False])
@one_everywhere("seed", range(4))
def test_entries_are_in_the_order_of_their_writing(balanced, seed):
    memory, expected = _filled(10, 3, balanced, seed)
    held = _held(memory)
    assert [held[number] for number in range(3)] == expected


@one_everywhere("balanced", [True, False])
@one_everywhere("into_balanced", [True, False])
def test_what_is_known_stays_where_classes_join_and_go(balanced, into_balanced):
    source, expected = _filled(10, 3, balanced, 1)
    memory = LabelledMemory(VIEWS, 20, DIM, 4 if into_balanced else None)
    # The first class has gone, the second comes behind two that are new.
    taken = carry_over(source, memory, {1: 3, 2: 0})
    assert taken == len(expected[1]) + len(expected[2])
    held = _held(memory)
    # Of a class's own queue of five nothing has to go.
    assert {number: rows for number, rows in held.items() if rows} == {
        number: rows for number, rows in ((3, expected[1]), (0, expected[2])) if rows
    }


@pytest.mark.any_backend
def test_of_more_than_there_is_room_for_the_newest_stay():
    source = LabelledMemory(VIEWS, 12, DIM, 2)
    remember(source, _embeddings(range(12)), [0, 1] * 6)
    memory = LabelledMemory(VIEWS, 4, DIM, 2)
    assert carry_over(source, memory, {0: 0, 1: 1}) == 12
    assert _held(memory) == {0: [8, 10], 1: [9, 11]}
    forget(memory)
    assert _held(memory) == {}
    remember(memory, _embeddings([5]), [1])
    assert _held(memory) == {1: [5]}


def test_embeddings_of_another_kind_are_refused():
    source = LabelledMemory(VIEWS, 4, DIM + 1)
    with pytest.raises(ValueError, match=r"2 view\(s\) of 3 numbers.*Received: 2 of 4"):
        carry_over(source, LabelledMemory(VIEWS, 4, DIM), {0: 0})
