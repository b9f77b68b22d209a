"""What several processes on torch refuse, and what one does without the others."""

import contextlib
import types

import distributed_training
import keras
import numpy as np
import pytest
from toys import toy_backbone, toy_model

if keras.backend.backend() == "torch":
    import torch
    from torch import distributed

    from semppl_keras.training.backends import (
        replicas,
        torch_normalisation,
        torch_processes,
        torch_sums,
    )

    @pytest.fixture
    def of_two(monkeypatch):
        """As if this were one of two processes; sets what the other one holds."""
        monkeypatch.setattr(torch_processes, "count", lambda: 2)

        def other(change):
            monkeypatch.setattr(
                torch_processes,
                "gathered",
                lambda model, values: np.array([values, change(*values)]),
            )

        return other

    @pytest.fixture
    def alone():
        """A process group of this process."""
        distributed.init_process_group(
            "gloo", store=distributed.HashStore(), rank=0, world_size=1
        )
        yield
        distributed.destroy_process_group()

    def test_processes_have_one_seed(of_two):
        of_two(lambda seed, form: (seed + 1, form))
        with pytest.raises(ValueError, match=r"same in every process.*\[2, 3\]"):
            distributed_training.go_on(distributed_training.make_semppl())

    def test_processes_have_all_of_the_data(of_two):
        of_two(lambda seed, form: (seed, form + 1))
        with pytest.raises(ValueError, match="all of the data.* of 32 and 8 images"):
            distributed_training.go_on(toy_model())

    def test_torch_compile_is_refused_in_several_processes(of_two):
        model = toy_model(compile_arguments={"optimizer": "sgd", "jit_compile": True})
        with pytest.raises(ValueError, match="jit_compile=True in 2 processes"):
            distributed_training.go_on(model)

    def test_batch_normalisation_of_one_process_is_refused():
        def model_of(normalisation):
            inputs = keras.Input((8, 8, 3))
            wrapped = keras.layers.TorchModuleWrapper(
                torch.nn.Sequential(normalisation), output_shape=(8, 8, 3)
            )
            return keras.Model(inputs, wrapped(inputs))

        with pytest.raises(ValueError, match=r"torch.nn.BatchNorm2d .*Convert it"):
            torch_normalisation.check_normalisation(model_of(torch.nn.BatchNorm2d(8)))
        torch_normalisation.check_normalisation(model_of(torch.nn.Identity()))
        torch_normalisation.check_normalisation(toy_backbone())

    def test_layers_and_optimiser_are_as_they_were_after_a_step(alone):
        model = toy_model()
        layer = model.backbone.layers[1]
        before = set(vars(layer)), set(vars(model.optimizer))
        with (
            torch_normalisation.global_normalisation(model),
            torch_sums.gradients_added_up_first(
                model.optimizer, model.trainable_variables
            ),
        ):
            assert "_moments" in vars(layer)
            assert "apply" in vars(model.optimizer)
        assert (set(vars(layer)), set(vars(model.optimizer))) == before

    def test_layers_that_draw_do_so_otherwise_in_each_process():
        def masks(index, draws=2):
            dropping = keras.layers.Dropout(0.5, seed=3)
            layers = [keras.layers.Dense(2), dropping, dropping]
            torch_processes.draw_apart(layers, index)
            return [
                dropping(np.ones((4, 8), "float32"), training=True).tolist()
                for _ in range(draws)
            ]

        first, second, third = (masks(index) for index in range(3))
        dropping = keras.layers.Dropout(0.5, seed=3)
        alone = dropping(np.ones((4, 8), "float32"), training=True).tolist()
        assert first[0] == alone
        every = [*first, *second, *third]
        assert all(every.count(mask) == 1 for mask in every)
        assert masks(2) == third

    def test_outside_of_a_step_a_process_is_by_itself(monkeypatch):
        monkeypatch.setattr(torch_processes, "count", lambda: 2)
        assert replicas.count() == 1
        with replicas.sharing_a_step():
            assert replicas.count() == 2
        assert replicas.count() == 1

    def test_sums_keep_their_places_in_whatever_buckets(alone, monkeypatch):
        values = [
            torch.full(shape, float(number), dtype=dtype)
            for number, (shape, dtype) in enumerate(
                [
                    ((2, 3), torch.float32),
                    ((), torch.float32),
                    ((4,), torch.float16),
                    ((2**23,), torch.float32),
                    ((3, 1), torch.float32),
                ]
            )
        ]
        for value, total in zip(values, torch_sums.added_up(values), strict=True):
            assert total.dtype == value.dtype
            torch.testing.assert_close(total, value)

    class Optimizer:
        """Keeps the first number of each gradient that it is given."""

        def __init__(self):
            self.given = []

        def apply(self, grads, variables=None):
            self.given.append([None if grad is None else grad[0] for grad in grads])

    def variable_of(number):
        """As large as what is sent at once."""
        return keras.Variable(np.full(2**23, number, "float32"))

    @pytest.fixture
    def sendings(alone, monkeypatch):
        """A list to which each sending adds a word."""
        events, all_reduce = [], distributed.all_reduce

        def sent(values, **options):
            events.append("sent")
            return all_reduce(values, **options)

        monkeypatch.setattr(distributed, "all_reduce", sent)
        return events

    @pytest.mark.parametrize("passes", [1, 2])
    def test_gradients_are_sent_during_the_backward_pass(sendings, passes):
        first, second = variable_of(2), variable_of(3)
        optimizer = Optimizer()
        with torch_sums.gradients_added_up_first(optimizer, [first, second]):
            for _ in range(passes):
                below = first.value * 5.0
                below.register_hook(lambda gradient: sendings.append("below"))
                (below * second.value).sum().backward()
            optimizer.apply([second.value.grad, None, first.value.grad])
        once = ["sent", "below", "sent"]
        # What a second pass has added to is sent again.
        again = ["sent", "sent"] if passes == 2 else []
        assert sendings == [*once * passes, *again]
        assert optimizer.given == [[10 * passes, None, 15 * passes]]

    def test_gradients_that_a_step_changes_in_place_are_sent_again(sendings):
        # One is sent at once, the other one waits for more.
        large, small = variable_of(2), keras.Variable(np.full(1, 3, "float32"))
        optimizer = Optimizer()
        with torch_sums.gradients_added_up_first(optimizer, [large, small]):
            (large.value.sum() * 4.0 + small.value.sum() * 8.0).backward()
            gradients = [large.value.grad, small.value.grad]
            torch.nn.utils.clip_grad_value_([large.value, small.value], 1.0)
            optimizer.apply(gradients)
        assert optimizer.given == [[1, 1]]

    def test_what_is_frozen_in_torch_has_no_gradient(sendings):
        frozen, free = variable_of(2), variable_of(3)
        frozen.value.requires_grad_(False)
        optimizer = Optimizer()
        with torch_sums.gradients_added_up_first(optimizer, [frozen, free]):
            (frozen.value * free.value).sum().backward()
            optimizer.apply([frozen.value.grad, free.value.grad])
        assert optimizer.given == [[None, 2]]
        assert sendings == ["sent"]

    @pytest.mark.parametrize("where", ["before", "within", "nowhere"])
    def test_nothing_is_sent_after_a_step_even_if_it_failed(sendings, where):
        variable, optimizer = variable_of(2), Optimizer()
        # What is computed has no gradient of its own to wait for.
        computed = types.SimpleNamespace(value=variable.value * 2.0)
        variables = [variable, computed] if where == "before" else [variable]
        with (
            contextlib.suppress(RuntimeError),
            torch_sums.gradients_added_up_first(optimizer, variables),
        ):
            assert where != "before"
            if where == "within":
                raise RuntimeError
        variable.value.sum().backward()
        assert sendings == []
        assert "apply" not in vars(optimizer)

    def test_what_is_summed_has_the_gradients_of_all(alone, monkeypatch):
        monkeypatch.setattr(
            distributed, "all_reduce", lambda values: values.mul_(torch.tensor(2.0))
        )
        values = torch.tensor([1.0, -2.0], requires_grad=True)
        weights = torch.tensor([3.0, 5.0])
        for function, value, gradient in (
            (replicas.total, [2.0, -4.0], [6.0, 10.0]),
            (replicas.shares, [[1.0, -2.0]], [6.0, 10.0]),
            (replicas.whole_loss, [2.0, -4.0], [3.0, 5.0]),
        ):
            values.grad = None
            result = function(values)
            assert result.tolist() == value
            (weights * result).sum().backward()
            assert values.grad.tolist() == gradient
