"""Two replicas with half of the images each are one with all of them."""

import threading

import keras
import numpy as np
import pytest
from consistency_steps import Writes, answer, as_numpy, every_rule, inputs_of, make
from toys import slow_on_jax

from semppl_keras.consistency import Term
from semppl_keras.training.backends import replicas

OWN = threading.local()


class Meeting:
    """Where replicas, a thread each, show and add up what they hold."""

    def __init__(self, count):
        self.barrier = threading.Barrier(count, timeout=60)
        self.held = [None] * count

    def shares(self, values):
        self.held[OWN.index] = values
        self.barrier.wait()
        result = keras.ops.stack(self.held)
        self.barrier.wait()
        return result

    def total(self, values):
        return keras.ops.sum(self.shares(values), axis=0)


@pytest.fixture
def in_replicas(monkeypatch):
    """A function that calls another one in two replicas, with the number of each."""
    meeting = Meeting(2)
    # A backend without replicas has the last three not.
    monkeypatch.setattr(replicas, "count", lambda: getattr(OWN, "count", 1))
    monkeypatch.setattr(replicas, "index", lambda: OWN.index, raising=False)
    monkeypatch.setattr(replicas, "shares", meeting.shares, raising=False)
    monkeypatch.setattr(replicas, "total", meeting.total, raising=False)

    def call(function):
        results, errors = [None, None], []

        def run(index):
            OWN.count, OWN.index = 2, index
            try:
                results[index] = function(index)
            except Exception as error:
                errors.append(error)
                meeting.barrier.abort()

        threads = [threading.Thread(target=run, args=(index,)) for index in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors
        return results

    return call


SHARED = ("bank", "bank_labels")


def whole(first, second):
    """The inputs of both, one after the other."""
    if isinstance(first, dict):
        return {
            name: first[name] if name in SHARED else whole(first[name], second[name])
            for name in first
        }
    return np.concatenate([first, second])


# JAX, which has no replicas of its own, would compile each operation by itself.
@slow_on_jax
@every_rule
def test_two_replicas_are_one(name, settings, in_replicas):
    alone, shared = make(name, settings), [make(name, settings) for _ in range(2)]
    for other in shared:
        other.set_weights([as_numpy(weight) for weight in alone.weights])
    writes = [Writes() for _ in range(3)]
    for number in range(3):
        parts = [inputs_of(50 + 2 * number), inputs_of(51 + 2 * number)]
        parts[1] |= {name: parts[0][name] for name in SHARED}
        expected = answer(alone, whole(*parts), writes[2], number)
        results = in_replicas(
            lambda i, parts=parts, number=number: answer(
                shared[i], parts[i], writes[i], number
            )
        )
        if isinstance(alone, Term):
            result = np.mean(results)
        else:
            result = np.concatenate(results)
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
        for each in writes:
            each.end_step()
        for other in shared:
            for own, weight in zip(other.weights, alone.weights, strict=True):
                np.testing.assert_allclose(
                    as_numpy(own), as_numpy(weight), rtol=1e-5, atol=1e-7
                )
