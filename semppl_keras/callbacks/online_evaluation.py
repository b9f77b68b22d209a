"""How good the representation is, while it is being learned."""

import io
import os
import pathlib
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from semppl_keras.callbacks.projector_folder import ProjectorFolder
from semppl_keras.callbacks.scalar_logs import EventFile, event_writer_modules
from semppl_keras.checks import check_integers
from semppl_keras.evaluation import fit_probe, knn_accuracy, per_class_accuracy
from semppl_keras.evaluation.inputs import all_known, as_array, check_two_classes
from semppl_keras.evaluation.plane import principal_plane


class OnlineEvaluation(keras.callbacks.Callback):
    """Measures during `fit` what the representation is worth.

    After every `every`-th epoch and the last one, also where training is stopped
    early, it embeds both sets of images with `model.embed` and adds to the logs of
    the epoch:

    - `online_knn_accuracy`: in [0, 1], of the nearest labelled images' votes;
    - `online_linear_accuracy`: in [0, 1], of logistic regression on the labelled
      images, see `fit_probe`;
    - `online_pseudo_label_accuracy`: in [0, 1], of the model's `pseudo_label`, where
      it has this method, as `SemPPL` does;
    - `online_evaluation_seconds`: what all this cost, writing included, as wall
      time. It is part of the epoch's.

    All accuracies are those on the validation images, whose labels nothing is fitted
    to. They are NaN while a feature is not finite. Training goes on as it would
    without this callback: no weight and no random state is touched.

    The logs are passed on from callback to callback. Put this one before those that
    are to see them (`ScalarLogs`, `EarlyStopping`); `fit` itself puts the progress
    bar and `History` behind all others. An epoch without evaluation adds no entry to
    the lists of `History`, which then are shorter than that of `loss`; `history`
    below says which epochs they are of.

    With a `log_dir` each evaluation writes, at the step that is the epoch's index
    from 0 on:

    - the same numbers, and `online_pseudo_label_accuracy/<class>`, as scalars;
    - the image `online_embeddings`, the features of the validation images along
      their two principal axes, coloured by class;
    - for TensorBoard's projector the features themselves, classes, pseudo-labels and
      thumbnails: some 10 bytes per image and feature, in `projector/<epoch>`. All
      that were written are listed in `projector_config.pbtxt`. TensorBoard reads this
      list when it starts: start it again to choose among later epochs.

    A run that is resumed into the same folder supersedes what an earlier one wrote
    from its first epoch on.

    Args:
        labelled: images `(N, H, W, C)`, as `model.embed` takes them, and integer
            labels `(N,)`, not negative, of at least two classes. The time that the
            linear probe takes grows with N.
        validation: the same, `(M, H, W, C)` and `(M,)`, M at least 1.
        every: int, at least 1, epochs from one evaluation to the next.
        neighbours: int in [1, N], k of k-NN.
        log_dir: folder to write to, str or path; `tensorboard --logdir` shows it.
            None: nothing is written.
        class_names: one str per class, no two the same, label 0 first. None: the
            labels.
        max_embeddings: int, at least 1, validation images written for the projector
            and drawn. If there are more, the same random ones at each epoch.
        seed: int, draws these images and the folds of the linear probe.
        verbose: 1 prints a line per evaluation, 0 does not.

    Attributes:
        history: dict of lists with one entry per evaluation of the last `fit`:
            `epoch` (index from 0 on), what the logs hold, and
            `online_pseudo_label_accuracy/<class>` for each class that has validation
            images.

    Raises:
        ValueError: an argument has the wrong shape or is out of range; at the start
            of `fit` if the model has no `embed`, or its `embed` or `pseudo_label`
            does not fit the images or labels.
        ImportError: with a `log_dir`, if the `tensorboard` package is not installed.

    Example:
        >>> evaluation = OnlineEvaluation(
        ...     (x_labelled, y_labelled), (x_val, y_val), every=5, log_dir="run/logs"
        ... )
        >>> model.fit(images, (x_labelled, y_labelled), callbacks=[evaluation])
        >>> sum(evaluation.history["online_evaluation_seconds"])
    """

    def __init__(
        self,
        labelled: tuple[Any, Any],
        validation: tuple[Any, Any],
        *,
        every: int = 1,
        neighbours: int = 1,
        log_dir: str | os.PathLike[str] | None = None,
        class_names: Sequence[str] | None = None,
        max_embeddings: int = 1000,
        seed: int = 0,
        verbose: int = 0,
    ) -> None:
        super().__init__()
        self._labelled = _images_and_labels("labelled", labelled)
        self._validation = _images_and_labels("validation", validation)
        train_labels, labels = self._labelled[1], self._validation[1]
        check_two_classes(train_labels, "labelled")
        check_integers(
            1, every=every, max_embeddings=max_embeddings, neighbours=neighbours
        )
        if neighbours > len(train_labels):
            raise ValueError(
                f"`neighbours` must lie in [1, {len(train_labels)}], the number of "
                f"labelled images. Received: neighbours={neighbours}."
            )
        self.every = every
        self.neighbours = neighbours
        self.log_dir = None if log_dir is None else pathlib.Path(log_dir)
        self.seed = seed
        self.verbose = verbose
        self.history: dict[str, list[Any]] = {}

        num_classes = int(max(train_labels.max(), labels.max())) + 1
        self._class_names = _checked_names(class_names, num_classes)
        self._classes = np.unique(labels)
        shown = min(max_embeddings, len(labels))
        drawn = np.random.default_rng(seed).permutation(len(labels))[:shown]
        self._shown = np.sort(drawn)
        self._events: EventFile | None = None
        self._projector: ProjectorFolder | None = None
        self._first_epoch: int | None = None
        self._skipped: int | None = None
        if self.log_dir is not None:
            event_writer_modules()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # Training that ended in an error did not come to its end.
        self._close()
        self._first_epoch = self._skipped = None
        self.history = {}
        self._check_model()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._first_epoch is None:
            self._first_epoch = epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        last = epoch + 1 == (self.params or {}).get("epochs")
        if (epoch + 1) % self.every and not (last or self.model.stop_training):
            self._skipped = epoch
            return
        self._skipped = None
        values = self._evaluate(epoch)
        if logs is not None:
            logs.update(values)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        # A later callback stopped training: the logs are closed, `History` is not.
        if self._skipped is not None:
            values = self._evaluate(self._skipped)
            history = getattr(self.model, "history", None)
            if history is not None:
                for name, value in values.items():
                    history.history.setdefault(name, []).append(value)
            self._skipped = None
        self._close()

    def _check_model(self) -> None:
        name = type(self.model).__name__
        if not callable(getattr(self.model, "embed", None)):
            raise ValueError(
                "`OnlineEvaluation` needs a model with a method `embed`, such as "
                f"semppl_keras.SemPPL. Received: {name}."
            )
        num_classes = getattr(self.model, "num_classes", None)
        highest = self._classes[-1]
        if self._has_pseudo_labels and num_classes and highest >= num_classes:
            raise ValueError(
                f"`validation` must have labels in [0, {num_classes}), the classes of "
                f"the model. Received: {highest}."
            )
        # Images that do not fit are to be known before an epoch has passed.
        for images, _ in (self._labelled, self._validation):
            self.model.embed(images[:1])

    @property
    def _has_pseudo_labels(self) -> bool:
        return callable(getattr(self.model, "pseudo_label", None))

    def _evaluate(self, epoch: int) -> dict[str, float]:
        start = time.perf_counter()
        train_features = self.model.embed(self._labelled[0])
        features = self.model.embed(self._validation[0])
        pseudo_labels = None
        if self._has_pseudo_labels:
            pseudo_labels, _ = self.model.pseudo_label(self._validation[0])
        finite = np.isfinite(train_features).all() and np.isfinite(features).all()
        values, per_class = self._accuracies(
            train_features, features, pseudo_labels, finite
        )
        if self.log_dir is not None:
            events = self._event_file(self.log_dir)
            _write(events, epoch, {**values, **per_class})
            if finite:
                self._write_embeddings(epoch, features, pseudo_labels, self.log_dir)
        seconds = time.perf_counter() - start
        values["online_evaluation_seconds"] = seconds
        if self.log_dir is not None:
            events = self._event_file(self.log_dir)
            _write(events, epoch, {"online_evaluation_seconds": seconds})
        for name, value in {"epoch": epoch, **values, **per_class}.items():
            self.history.setdefault(name, []).append(value)
        if self.verbose:
            told = ", ".join(f"{name}: {value:.4f}" for name, value in values.items())
            print(f"\nEpoch {epoch + 1}: {told}")
        return values

    def _accuracies(
        self,
        train_features: np.ndarray,
        features: np.ndarray,
        pseudo_labels: np.ndarray | None,
        finite: bool,
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Dicts of floats: accuracies by name, those of the pseudo-labels by class."""
        train_labels, labels = self._labelled[1], self._validation[1]
        values = {"online_knn_accuracy": np.nan, "online_linear_accuracy": np.nan}
        if finite:
            probe = fit_probe(train_features, train_labels, seed=self.seed)
            values = {
                "online_knn_accuracy": knn_accuracy(
                    train_features, train_labels, features, labels, self.neighbours
                ),
                "online_linear_accuracy": float(probe.score(features, labels)),
            }
        if pseudo_labels is None:
            return values, {}
        name = "online_pseudo_label_accuracy"
        num_classes = int(max(pseudo_labels.max(), labels.max())) + 1
        shares = per_class_accuracy(pseudo_labels, labels, num_classes)[self._classes]
        total = np.mean(pseudo_labels == labels)
        if not finite:
            shares, total = np.full(len(shares), np.nan), np.nan
        values[name] = float(total)
        return values, {
            f"{name}/{self._name(label)}": float(share)
            for label, share in zip(self._classes, shares, strict=True)
        }

    def _write_embeddings(
        self,
        epoch: int,
        features: np.ndarray,
        pseudo_labels: np.ndarray | None,
        log_dir: pathlib.Path,
    ) -> None:
        labels, features = self._validation[1][self._shown], features[self._shown]
        events = self._event_file(log_dir)
        events.add_image(
            "online_embeddings", self._scatter_plot(features, labels), epoch
        )
        events.flush()
        metadata: dict[str, Iterable[Any]] = {
            "label": labels,
            "class": map(self._name, labels),
        }
        if pseudo_labels is not None:
            metadata["pseudo_label"] = map(self._name, pseudo_labels[self._shown])
        if self._projector is None:
            self._projector = ProjectorFolder(
                log_dir, self._validation[0][self._shown], self._first_epoch or 0
            )
        self._projector.write(epoch, features, metadata)

    def _event_file(self, log_dir: pathlib.Path) -> EventFile:
        if self._events is None:
            self._events = EventFile(log_dir, self._first_epoch or 0)
        return self._events

    def _close(self) -> None:
        if self._events is not None:
            self._events.close()
        self._events = self._projector = None

    def _name(self, label: int) -> str:
        # A pseudo-label may be of a class that no image here has.
        if label < len(self._class_names):
            return self._class_names[label]
        return str(label)

    def _scatter_plot(self, features: np.ndarray, labels: np.ndarray) -> bytes:
        """The bytes of a PNG file."""
        from matplotlib import colormaps
        from matplotlib.figure import Figure
        from matplotlib.lines import Line2D

        number = len(self._classes)
        if number <= 20:
            palette = colormaps["tab10" if number <= 10 else "tab20"](range(number))
        else:
            palette = colormaps["turbo"](np.linspace(0, 1, number))
        figure = Figure(figsize=(7, 6), dpi=100, layout="constrained")
        axes = figure.subplots()
        points = principal_plane(features)
        colors = palette[np.searchsorted(self._classes, labels)]
        axes.scatter(points[:, 0], points[:, 1], s=12, c=colors, alpha=0.8)
        axes.set(xlabel="first axis", ylabel="second axis")
        # More names than these leave no room for the points.
        if number <= 20:
            handles = [
                Line2D([], [], color=color, marker="o", linestyle="")
                for color in palette
            ]
            legend = figure.legend(
                handles, ["class"] * number, loc="outside right upper"
            )
            # As they are: matplotlib passes over labels that begin with _, and takes
            # what stands between $ for a formula.
            for text, label in zip(legend.get_texts(), self._classes, strict=True):
                text.set(text=self._name(label), parse_math=False)
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            # Names may be in a script that matplotlib's font has not.
            warnings.filterwarnings("ignore", "Glyph .* missing from")
            figure.savefig(buffer, format="png")
        return buffer.getvalue()


def _write(events: EventFile, epoch: int, scalars: Mapping[str, float]) -> None:
    for name, value in scalars.items():
        events.add_scalar(name, value, epoch)
    events.flush()


def _images_and_labels(name: str, data: Any) -> tuple[Any, np.ndarray]:
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        received = type(data).__name__
        if isinstance(data, (tuple, list)):
            received += f" of {len(data)} part(s)"
        raise ValueError(
            f"`{name}` must be a tuple (images, labels) of arrays. Received: "
            f"{received}."
        )
    images = as_array(data[0])
    if images.ndim != 4 or not len(images):
        raise ValueError(
            f"`{name}` must hold images of shape (N, H, W, C), at least one. Received: "
            f"images of shape {images.shape}."
        )
    labels = all_known(data[1], f"{name}[1]", len(images))
    return images, labels


def _checked_names(class_names: Sequence[Any] | None, num_classes: int) -> list[str]:
    if class_names is None:
        return [str(label) for label in range(num_classes)]
    names = [str(name) for name in class_names]
    if len(names) < num_classes:
        raise ValueError(
            "`class_names` must have a name for each class, at least "
            f"{num_classes}. Received: {len(names)} names."
        )
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValueError(
            "`class_names` must differ from each other. Received: more than once "
            f"{sorted(repeated)}."
        )
    return names
