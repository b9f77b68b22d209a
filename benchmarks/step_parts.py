"""A training step of SemPPL, as a whole and in parts, each to be timed by itself."""

import contextlib
import dataclasses
import functools
import io
import itertools
import math
import statistics
import time

import keras
import numpy as np
from compiled import (
    BACKEND,
    Compiled,
    gradient_of_tensor,
    gradients_of_variables,
    wait,
    without_gradients,
)
from keras import ops

from semppl_keras import SemPPL, recipes, views
from semppl_keras.losses import semppl_loss
from semppl_keras.memory import knn_votes, sample_negatives, sample_semantic_positives

PARTS = {
    "views": "views",
    "online": "online network, forward and backward",
    "target": "target network, forward",
    "votes": "memory and votes",
    "loss": "loss, forward and backward",
    "optimizer": "optimiser",
    "ema": "target's moving average",
}


class Clock:
    """What is counted: seconds on the wall, or those of the processor."""

    read = staticmethod(time.perf_counter)


@dataclasses.dataclass(frozen=True)
class Job:
    """What is trained on what.

    Args:
        name: str, for the heading.
        recipe: `Recipe`, whose batch sizes count.
        image_size: int, pixels of a side of the images that the views are cut from.
        channels: int, of the images.
        num_classes: int.
    """

    name: str
    recipe: recipes.Recipe
    image_size: int
    channels: int
    num_classes: int

    @property
    def images_per_step(self):
        return self.recipe.batch_size + self.recipe.labelled_batch_size

    def make_model(self, accumulation=None, **compile_arguments):
        """The recipe's model, compiled.

        Args:
            accumulation: int or None, `gradient_accumulation_steps`.
            compile_arguments: jit_compile, steps_per_execution.
        """
        recipe = self.recipe
        model = SemPPL(
            recipe.make_backbone(self.channels),
            self.num_classes,
            seed=0,
            **recipe.model,
        )
        optimizer = recipe.make_optimizer(steps_per_epoch=1000)
        if accumulation is not None:
            config = {
                **optimizer.get_config(),
                "gradient_accumulation_steps": accumulation,
            }
            optimizer = type(optimizer).from_config(config)
        model.compile(optimizer, **compile_arguments)
        return model

    def arrays(self, steps=1):
        """Noise in place of images: unlabelled ones for some steps, labelled for one.

        Returns:
            images `(steps * B_u, h, w, C)` uint8, labelled images `(B_l, h, w, C)`
            uint8, labels `(B_l,)` int32.
        """
        rng = np.random.default_rng(0)
        shape = (self.image_size, self.image_size, self.channels)

        def noise(count):
            return rng.integers(0, 256, (count, *shape), dtype="uint8")

        labelled = self.recipe.labelled_batch_size
        labels = rng.integers(0, self.num_classes, labelled, dtype="int32")
        return noise(steps * self.recipe.batch_size), noise(labelled), labels


def digits():
    """The recipe of the main job."""
    return Job("digits", recipes.digits(), image_size=16, channels=1, num_classes=10)


def imagenet(backbone, large_size, small_size, batch_size, labelled_share=0.25):
    """The paper's settings, with another network, other sizes and another batch."""
    recipe = recipes.imagenet(batch_size=batch_size, labelled_share=labelled_share)
    sizes = {"large_size": large_size, "small_size": small_size}
    return Job(
        backbone,
        dataclasses.replace(
            recipe,
            backbone=(backbone, {}),
            model={**recipe.model, "views": views.recipe("imagenet", **sizes)},
        ),
        image_size=large_size,
        channels=3,
        num_classes=1000,
    )


class Step:
    """A step, its irreducible work and its parts, as functions to be timed.

    Each function takes the number of times that it is to run, and returns the seconds
    that one of them took.

    Args:
        job: `Job`.
        **compile_arguments: as for `Job.make_model`.
    """

    def __init__(self, job, **compile_arguments):
        self.job = job
        self.model = model = job.make_model(**compile_arguments)
        images, labelled, labels = job.arrays()
        self._batch = keras.tree.map_structure(
            ops.convert_to_tensor, ((images, labelled), {"label": labels})
        )
        self._labels = self._batch[1]["label"]
        self._num_unlabelled = len(images)
        views, dim = model.views, model.projection_dim
        # Noise in place of embeddings: what is done with them takes as long.
        self._online = self._unit_vectors(views.num_views, dim, seed=0)
        self._target = self._unit_vectors(views.num_large, dim, seed=1)

    def _unit_vectors(self, views, dim, seed):
        noise = keras.random.normal((views, self.job.images_per_step, dim), seed=seed)
        return noise / ops.norm(noise, axis=-1, keepdims=True)

    @functools.cached_property
    def _views(self):
        draw = self._compiled(self.model.make_views, self._random_state)
        return draw(self._batch[0])

    # -- as a whole -----------------------------------------------------------

    def full(self, count):
        """The step that `fit` runs, on a batch that is at hand."""
        model = self.model
        model.make_train_function()
        if BACKEND == "jax":
            return self._full_on_jax(count)
        if BACKEND == "tensorflow":
            import tensorflow as tf

            iterator = iter(tf.data.Dataset.from_tensors(self._batch).repeat())
        else:
            iterator = [self._batch]
            model.train()
        return seconds_each(lambda: model.train_function(iterator), count)

    def _full_on_jax(self, count):
        # As Keras' `fit` does it: the state goes from step to step and comes back
        # into the variables at the end.
        model = self.model
        groups = [
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        ]
        state = tuple([variable.value for variable in group] for group in groups)

        iterator = itertools.repeat(self._batch)

        def run():
            nonlocal state
            logs, state = model.train_function(state, iterator)
            return logs

        seconds = seconds_each(run, count)
        for group, values in zip(groups, state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        return seconds

    def fit(self, count):
        """`fit` itself, with its feed, its callbacks and its progress bar."""
        stride = self.model.steps_per_execution
        images, labelled, labels = self.job.arrays(
            (math.ceil(count / stride) + 1) * stride
        )
        timer = _StepTimer(stride)
        with contextlib.redirect_stdout(io.StringIO()):
            self.model.fit(
                images,
                (labelled, labels),
                batch_size=self.job.recipe.batch_size,
                labelled_batch_size=self.job.recipe.labelled_batch_size,
                callbacks=[timer],
                verbose=1,
            )
        return timer.seconds

    def lean(self, as_step=False):
        """The irreducible work as lean code: networks and optimiser, by Keras.

        Forward and backward of the online network over all views, forward of the
        target over the large ones, and the optimiser. The loss is the product of the
        embeddings of both, so that the backward pass waits for the target as it does
        in every objective that has one.

        Args:
            as_step: bool, whether networks and optimiser run in the operations that
                TensorFlow's step puts in the place of Keras'.
        """
        model = self.model

        def step(batch_of_views):
            target = model.target.embed_views(batch_of_views["large"], training=True)
            fixed = ops.mean(ops.stop_gradient(target), axis=0)
            gradients = self._online_gradients(batch_of_views, fixed)
            with without_gradients():
                model.optimizer.apply(gradients, model.online.trainable_variables)
            return model.optimizer.iterations.value

        function = self._compiled(
            step,
            [
                *model.online.variables,
                *model.target.variables,
                *model.optimizer.variables,
            ],
            gradients=True,
            as_step=as_step,
        )
        return repeated(function, self._views)

    def functions(self, parts=True):
        """`full` and `lean`; with `parts` also `fit`, the parts, and `queue`.

        On TensorFlow `lean_as_step`, too: the same in the operations of the step.
        """
        whole = {"full": self.full, "lean": self.lean()}
        if BACKEND == "tensorflow":
            whole["lean_as_step"] = self.lean(as_step=True)
        if not parts:
            return whole
        return {**whole, "fit": self.fit, **self.parts(), "queue": self.queue()}

    # -- in parts -------------------------------------------------------------

    def parts(self):
        """Each part by itself: a dict of functions, by the keys of `PARTS`."""
        model = self.model
        online, target = self._online, self._target
        gradients = self._compiled(
            self._online_gradients, model.online.variables, gradients=True
        )
        memory, random_state = model.memory.variables, self._random_state
        votes = self._compiled(self._votes, [*memory, *random_state])
        positives, found, _ = votes(online, target)
        optimizer = self._compiled(
            self._optimize, [*model.trainable_variables, *model.optimizer.variables]
        )
        return {
            "views": repeated(
                self._compiled(model.make_views, random_state), self._batch[0]
            ),
            "online": repeated(gradients, self._views, online),
            "target": repeated(
                self._compiled(
                    lambda large: model.target.embed_views(large, training=True),
                    model.target.variables,
                ),
                self._views["large"],
            ),
            "votes": repeated(votes, online, target),
            "loss": repeated(
                self._compiled(self._loss, random_state, gradients=True),
                online,
                target,
                positives,
                found,
            ),
            "optimizer": repeated(optimizer, gradients(self._views, online)),
            "ema": repeated(self._compiled(model.after_update, model.variables)),
        }

    def queue(self):
        """The update of the queue alone, which is a share of "memory and votes"."""
        function = self._compiled(self._enqueue, self.model.memory.variables)
        return repeated(function, self._target)

    def _compiled(self, function, variables, gradients=False, as_step=True):
        operations = getattr(self.model, "in_fewer_operations", None)
        if operations is not None and as_step:
            function = operations()(function)
        return Compiled(function, variables, self.model.jit_compile, gradients)

    @property
    def _random_state(self):
        return [self.model.seed_generator.state]

    def _online_gradients(self, batch_of_views, fixed):
        online = self.model.online

        def loss():
            embeddings = [
                online.embed_views(view, training=True)
                for view in of_one_size(batch_of_views)
            ]
            return ops.mean(ops.concatenate(embeddings, axis=0) * fixed)

        return gradients_of_variables(
            loss, online.trainable_variables, online.non_trainable_variables
        )

    def _optimize(self, gradients):
        self.model.optimizer.apply(gradients, self.model.online.trainable_variables)
        return self.model.optimizer.iterations.value

    def _enqueue(self, target):
        memory = self.model.memory
        written = memory.enqueued(target[:, self._num_unlabelled :], self._labels)
        for variable, value in zip(memory.state, written, strict=True):
            variable.assign(value)
        return written

    def _votes(self, online, target):
        """Writes the memory, votes, and draws semantic positives."""
        model = self.model
        embeddings, labels, _ = self._enqueue(target)
        pseudo_labels, confidences = knn_votes(
            online[: target.shape[0], : self._num_unlabelled],
            embeddings,
            labels,
            model.neighbours,
            model.num_classes,
        )
        entries, found = sample_semantic_positives(
            ops.concatenate([pseudo_labels, self._labels], axis=0),
            labels,
            model.num_semantic_positives,
            model.num_classes,
            model.seed_generator,
        )
        positives = ops.swapaxes(ops.take(embeddings, entries, axis=1), 0, 1)
        return positives, found, confidences

    def _loss(self, online, target, positives, found):
        """The gradient of SemPPL's loss at the embeddings."""
        model = self.model
        negatives = sample_negatives(
            target.shape[1], model.num_negatives, model.seed_generator
        )

        def loss(embeddings):
            return semppl_loss(
                embeddings,
                target,
                negatives,
                positives,
                found,
                temperature=model.temperature,
                contrastive_weight=model.contrastive_weight,
                semantic_weight=model.semantic_weight,
                invariance_weight=model.invariance_weight,
            )["loss"]

        return gradient_of_tensor(loss, online)


class _StepTimer(keras.callbacks.Callback):
    """Seconds of a step, from the end of the first execution to that of the last."""

    def __init__(self, stride):
        super().__init__()
        self._stride = stride
        self._executions = 0

    def on_train_batch_end(self, batch, logs=None):
        self._executions += 1
        last = self._executions * self._stride >= self.params["steps"]
        if self._executions == 1 or last:
            wait(logs)
        now = Clock.read()
        if self._executions == 1:
            self._start = now
        elif last:
            self.seconds = (now - self._start) / (self._executions - 1) / self._stride


def of_one_size(batch_of_views):
    """The views as the networks take them: those of one size together."""
    batches = list(batch_of_views.values())
    if len({batch.shape[2:] for batch in batches}) == 1:
        return [ops.concatenate(batches, axis=1)]
    return batches


def seconds_each(run, count):
    """Seconds of each of `count` runs, the device's work included."""
    start = Clock.read()
    for _ in range(count):
        result = run()
    wait(result)
    return (Clock.read() - start) / count


def repeated(function, *inputs):
    """A function of a count: seconds of one `function(*inputs)`."""
    return lambda count: seconds_each(lambda: function(*inputs), count)


def in_turn(functions, rounds, least_seconds=0.5):
    """Times functions in turn, so that what else a machine does falls on all of them.

    Args:
        functions: dict of functions of a count, as those of `Step`.
        rounds: int; every second one goes backwards.
        least_seconds: float, a turn repeats what is shorter.

    Returns:
        dict of lists, the seconds of one run in each round.
    """
    counts = {}
    for name, function in functions.items():
        function(1)  # Compiles.
        counts[name] = max(1, math.ceil(least_seconds / function(1)))
    seconds = {name: [] for name in functions}
    order = list(functions)
    for _ in range(rounds):
        for name in order:
            seconds[name].append(functions[name](counts[name]))
        order.reverse()
    return seconds


def medians(seconds):
    """dict of lists to dict of medians."""
    return {name: statistics.median(values) for name, values in seconds.items()}


def shares(seconds):
    """What each part takes of a step of `fit`, in percent.

    Args:
        seconds: dict of float: `fit`, `full`, and the keys of `PARTS`.

    Returns:
        dict of float, which sum to 100: the keys of `PARTS`; `host`, what `fit` adds to
        the compiled step; and `rest`, what that takes beyond its parts, each timed by
        itself: negative where they gain from running together.
    """
    of_fit = {name: seconds[name] for name in PARTS}
    of_fit["rest"] = seconds["full"] - sum(of_fit.values())
    of_fit["host"] = seconds["fit"] - seconds["full"]
    return {name: 100 * value / seconds["fit"] for name, value in of_fit.items()}


def table(seconds):
    """What `in_turn` measured of `Step.functions`, as lines of text."""
    ratios = sorted(
        full / lean for full, lean in zip(seconds["full"], seconds["lean"], strict=True)
    )
    seconds = medians(seconds)
    lines = [
        f"full step        {1e3 * seconds['full']:10.2f} ms",
        f"irreducible work {1e3 * seconds['lean']:10.2f} ms",
        f"ratio            {seconds['full'] / seconds['lean']:10.3f}, turn by turn "
        f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})",
    ]
    if "lean_as_step" in seconds:
        own = seconds["lean_as_step"]
        lines.append(
            f"irreducible work {1e3 * own:10.2f} ms in the operations of the step, "
            f"ratio {seconds['full'] / own:.3f}"
        )
    if "fit" in seconds:
        of_fit = shares(seconds)
        of_fit["sum"] = sum(of_fit.values())
        titles = {
            **PARTS,
            "rest": "rest: metrics, and what running together changes",
            "host": "host: what fit adds to the compiled step",
        }
        queue = 100 * seconds["queue"] / seconds["fit"]
        lines += [
            f"step of fit      {1e3 * seconds['fit']:10.2f} ms, of which",
            *(f"  {titles.get(n, n):50} {share:6.2f}%" for n, share in of_fit.items()),
            f"the queue alone, of memory and votes {queue:.2f}%",
        ]
    return "\n".join(lines)
