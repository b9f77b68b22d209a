"""Fine-tuning on few labels: the second step of SimCLRv2."""

import dataclasses
from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_below_one, check_integers, check_seed
from semppl_keras.classifiers.base import ClassifierTrainer
from semppl_keras.classifiers.class_weights import class_weights
from semppl_keras.classifiers.starting_point import chosen_views, make_classifier
from semppl_keras.data.checks import check_targets, check_weights
from semppl_keras.data.feed.feed import make_labelled_feed
from semppl_keras.losses.classification import cross_entropy
from semppl_keras.networks.saved_parts import made_of_parts, with_frozen
from semppl_keras.training.global_batch import GlobalBatch
from semppl_keras.training.known_arguments import known_arguments
from semppl_keras.training.random_state import draw_seeds
from semppl_keras.training.view_model import ViewModel
from semppl_keras.views import MultiCrop


@keras.saving.register_keras_serializable(package="semppl_keras")
class FineTuner(ClassifierTrainer):
    """Trains a pre-trained network and a linear classifier on it, on few labels.

    A linear layer is put where `from_layer` says, on the backbone or in the middle of
    the projection head, and the whole network is trained with softmax cross-entropy
    (SimCLRv2, Chen et al., NeurIPS 2020, arXiv 2006.10029). The weights are
    copied: the pre-trained model stays as it is.

    Example:

    ```python
    tuner = semppl_keras.FineTuner(pretrained, num_classes=10)
    tuner.compile(optimizer=keras.optimizers.Adam(1e-4))
    tuner.fit(few_images, few_labels, epochs=60)
    probabilities = tuner.predict(images)
    tuner.classifier.save("classifier.keras")  # the network alone, without optimiser
    ```

    Args:
        model: a pre-training model of semppl_keras such as `SemPPL`; a backbone, any
            built `keras.Model` from images `(B, h, w, C)` to features `(B, F)` or
            `(B, h', w', F)`; or a classifier to train on, an `ImageClassifier` (or a
            `FineTuner`, `Distiller`), which keeps its linear layer.
        num_classes: int, at least 2; labels are 0 .. num_classes - 1.
        from_layer: on what the linear layer is put. 0 or "backbone": the backbone's
            features. 1 or "hidden": what is behind the first activation of the
            projection head, as in SimCLRv2 with 1% or 10% of the labels; k: behind the
            k-th. None: 1, or 0 where there is no head.
        freeze_backbone: bool. If True, the backbone stays as it is and runs as in
            inference: what is on it is trained alone.
        label_smoothing: float in [0, 1): the share of the target that is spread evenly
            over all classes.
        views: what training sees, one large view of each image, and at which size and
            range: a `MultiCrop`, taken as it is, or the name of a recipe of
            `semppl_keras.views`, of which crop and flip are taken. None: crop and flip
            of the views that `model` was pre-trained on. (SimCLRv2 fine-tunes and
            distils without colour augmentation.)
        weight_average: float in [0, 1) or None. With it `classifier`, which predicts
            and evaluates, has the moving average of the weights that are trained, of
            this decay: 0.99 averages over some hundred steps, 0.999 over some thousand.
        seed: int or None: views, order of arrays and the linear layer follow from it.
            Drawn (and kept) where None.
        **kwargs: `trainable` ("heads", "top" or "all") and `batch_norm` ("adapt" or
            "inference"), what of the backbone is trained and how, see
            `networks.train_part`; `name`.

    Raises:
        TypeError, ValueError: if the model does not fit, or an argument is out of
            range.
    """

    takes_soft_labels = True

    def __init__(
        self,
        model: keras.Model,
        num_classes: int,
        *,
        from_layer: int | str | None = None,
        freeze_backbone: bool = False,
        label_smoothing: float = 0.0,
        views: MultiCrop | str | None = None,
        weight_average: float | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_integers(2, num_classes=num_classes)
        check_seed(seed)
        check_below_one(label_smoothing=label_smoothing)
        seed, draw_seed, layer_seed = draw_seeds(seed, 2)
        classifier = make_classifier(
            model,
            num_classes,
            from_layer=from_layer,
            views=chosen_views(views),
            seed=layer_seed,
        )
        if freeze_backbone:
            classifier.backbone.trainable = False
        super().__init__(
            classifier, draw_seed, seed, weight_average=weight_average, **kwargs
        )
        self.freeze_backbone = bool(freeze_backbone)
        self.label_smoothing = label_smoothing

    @known_arguments(hands_on_to=ViewModel.fit_feed)
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        *,
        sample_weight: Any = None,
        class_weight: Any = None,
        batch_size: int | None = None,
        steps_per_epoch: int | None = None,
        **training: Any,
    ) -> keras.callbacks.History:
        """Trains on labelled images.

        An epoch is one pass, whose last batch is filled up from the beginning. Arrays
        are shuffled, in an order that follows from the model's seed and step; datasets
        come in their own order.

        Args:
            x: images, uint8 or float in the views' `value_range`, as an array
                `(N, H, W, C)`; or (images, labels), as a pair of arrays,
                `tf.data.Dataset`, `keras.utils.PyDataset`, torch `DataLoader` or
                another iterable of batches.
            y: labels `(N,)` in [0, num_classes) or one-hot, where `x` is an array; or
                probabilities `(N, num_classes)`, floats that are at least 0 and of sum
                1 in each row, such as those of propagated labels, which the
                cross-entropy takes as they are. Metrics are computed of their likeliest
                classes. A dataset yields them in the place of labels.
            sample_weight: `(N,)`, what the loss of each image is multiplied by, where
                `x` is an array; a dataset yields (images, labels, weights). As in
                Keras the loss is the sum of the products, divided by the number of
                images and not by the sum of the weights.
            class_weight: dict of class to weight, by which the losses of its images are
                multiplied in training, 1 for a class that is not in it; "balanced" for
                weights that make all classes count alike, `N / (K n_c)` with n_c of the
                N images in class c and K classes that have any; or None. To count the
                labels of a dataset it is read once. An image with probabilities counts
                by the mean that they give of these weights, and for the n_c by its
                shares.
            batch_size: int or None. None for that of the dataset's own batches, or
                96, at most as many as there are.
            steps_per_epoch: int, how many steps an epoch has, where `x` is an array,
                whose passes then run on from one epoch to the next, or has no end, or
                none that can be told. None: one pass.
            epochs, validation_data, validation_batch_size, validation_steps,
            validation_freq, initial_epoch, initial_batch, callbacks, verbose: as in
                `SemPPL.fit`.

        Returns:
            `keras.callbacks.History`: loss, the metrics given to `compile`, on the
            random views, and both on the validation data as val_loss, val_accuracy.

        Raises:
            ValueError, TypeError: if the data does not fit; nothing is trained.
            MemoryError: if a step takes more memory than there is.
        """
        self._check_compiled("fit")
        data = self._data(x, y, sample_weight)
        spec = dataclasses.replace(self.image_spec, weighted=True)
        feed = make_labelled_feed(
            data,
            spec,
            batch_size=batch_size,
            steps_per_epoch=steps_per_epoch,
            class_weight=class_weights(class_weight, data, spec),
            seed=self.seed,
            num_replicas=self.num_replicas,
        )
        return self.fit_feed(feed, **training)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """One step on one batch: a `fit` of it alone.

        Args:
            x: images `(B, H, W, C)`.
            y: labels `(B,)`, one-hot or probabilities.
            sample_weight, class_weight: as for `fit`.
            return_dict: bool, whether the result is a dict by name.

        Returns:
            Loss and metrics, of this batch alone, as a list or a dict; the loss by
            itself where there are no metrics.

        Raises:
            ValueError, TypeError: if the data does not fit; nothing is trained.
        """
        history = self.fit(
            x,
            y,
            sample_weight=sample_weight,
            class_weight=class_weight,
            batch_size=None if x is None else len(x),
            verbose=0,
        ).history
        results = {name: values[-1] for name, values in history.items()}
        # In Keras' order.
        results = {"loss": results.pop("loss"), **results}
        if return_dict:
            return results
        return list(results.values()) if len(results) > 1 else results["loss"]

    # -- the step -------------------------------------------------------------

    def loss_parts(
        self, outputs: dict[str, Any], labels: dict[str, Any], batch: GlobalBatch
    ) -> dict[str, Any]:
        """Softmax cross-entropy with the labels, weighted where there are weights."""
        del batch
        targets = self.as_targets(labels["label"])
        share = self.label_smoothing
        targets = (1.0 - share) * targets + share / self.num_classes
        losses = cross_entropy(targets, outputs["logits"])
        if "weight" in labels:
            losses = losses * labels["weight"]
        return {"loss": ops.mean(losses)}

    def classified(
        self, outputs: dict[str, Any], labels: dict[str, Any]
    ) -> tuple[Any, Any, Any]:
        """The labels, and the probabilities of the random views."""
        probabilities = ops.softmax(outputs["logits"], axis=-1)
        return self.as_indices(labels["label"]), probabilities, labels.get("weight")

    # -- checks ---------------------------------------------------------------

    def _data(self, x: Any, y: Any, sample_weight: Any) -> Any:
        """The data as the feed takes it."""
        if y is not None:
            if not (hasattr(x, "shape") and hasattr(x, "dtype")):
                raise ValueError(
                    "`y` is for images as an array; a dataset yields (images, labels) "
                    f"itself. Received: x of type {type(x).__name__} and `y`. Of a "
                    "list of images make one array: numpy.stack(images)."
                )
            y = check_targets("y", y, self.num_classes)
            if len(x) != len(y):
                raise ValueError(
                    "`x` and `y` must be of one length. Received: "
                    f"{len(x)} images and {len(y)} labels."
                )
            if sample_weight is None:
                return x, y
            return x, y, check_weights("sample_weight", sample_weight, len(y))
        if sample_weight is not None:
            raise ValueError(
                "`sample_weight` is for images as an array and `y`; a dataset yields "
                "(images, labels, weights) itself. Received: x of type "
                f"{type(x).__name__} and `sample_weight`."
            )
        if x is None:
            raise ValueError(
                "`x` is missing. `fit` needs labelled images: fit(images, labels), or "
                "fit(dataset) of (image, label)."
            )
        if hasattr(x, "shape") and hasattr(x, "dtype"):
            raise ValueError(
                "`y` is missing. `fit` needs the label of each image: "
                "fit(images, labels)."
            )
        if hasattr(x, "__next__"):
            raise ValueError(
                "`x` must be an array or a dataset that can be read again. Received: "
                f"{type(x).__name__}, which is read once. Wrap it: "
                "keras.utils.PyDataset, tf.data.Dataset.from_generator."
            )
        return x

    # -- saving ---------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "model": keras.saving.serialize_keras_object(self.online),
            "num_classes": self.num_classes,
            "freeze_backbone": self.freeze_backbone,
            "label_smoothing": self.label_smoothing,
            "weight_average": self.weight_average,
            "seed": self.seed,
        }
        return with_frozen(config, self)

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "FineTuner":
        return made_of_parts(cls, config, ("model",), custom_objects)
