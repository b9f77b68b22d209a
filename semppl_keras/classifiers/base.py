"""What fine-tuning and distillation share: a classifier, trained on random views."""

from keras import ops

from semppl_keras.data.checks import ImageSpec
from semppl_keras.losses.classification import cross_entropy, log_of
from semppl_keras.networks import input_channels
from semppl_keras.training.global_batch import share_of_loss
from semppl_keras.training.known_arguments import known_arguments
from semppl_keras.training.view_model import ViewModel


class ClassifierTrainer(ViewModel):
    """Trains an `ImageClassifier` on one random view of each image.

    A subclass gives `make_views`, which ends up in `random_views`, and
    `training_loss`.

    Args:
        classifier: `ImageClassifier`; becomes this model's.
        draw_seed: int, of the views.
        seed: int, of the order of arrays; kept.
    """

    predicts_classes = True
    freezable = ("classifier",)
    has_loss_on_images = True

    def __init__(self, classifier, draw_seed, seed, **kwargs):
        super().__init__(seed, draw_seed, **kwargs)
        self.classifier = classifier
        channels = input_channels(classifier.backbone)
        self.views.check_channels(channels)
        self.image_spec = ImageSpec(
            classifier.num_classes,
            (channels,),
            self.views.min_image_size,
            self.views.value_range,
        )
        self.built = True

    @property
    def backbone(self):
        """The classifier's backbone, a `keras.Model` from views to features."""
        return self.classifier.backbone

    @property
    def views(self):
        """The `MultiCrop` that makes the views of training and of prediction."""
        return self.classifier.views

    @property
    def num_classes(self):
        """The classifier's number of classes."""
        return self.classifier.num_classes

    # -- use ------------------------------------------------------------------

    @known_arguments
    def compile(self, optimizer="adamw", metrics=("accuracy",), **options):
        """Configures training; the loss is the model's own.

        Args:
            optimizer: a Keras optimiser or its name. `LARS` leaves out the biases
                and normalisation weights of this model.
            metrics: what is computed from labels `(B,)` and probabilities
                `(B, num_classes)`.
            **options: weighted_metrics, run_eagerly, steps_per_execution (an int that
                divides the steps of an epoch), jit_compile, auto_scale_loss: as in
                `keras.Model.compile`.
        """
        super().compile(optimizer, metrics=metrics, **options)

    def export(self, filepath, format="tf_saved_model", **kwargs):
        """The classifier's, see `ImageClassifier.export`."""
        self.classifier.export(filepath, format=format, **kwargs)

    def output_shapes(self):
        """Of the backbone and of the classifier."""
        features = self.classifier.head.input_shape[-1]
        return {"Features": (features,), "Probabilities": (self.num_classes,)}

    # -- the step -------------------------------------------------------------

    def random_views(self, images):
        """One view `(B, s, s, C)` of each image of a tuple of `(B_i, H, W, C)`."""
        return self.draw_views(images)["large"][:, 0]

    def training_loss(self, views, labels, logits):
        """What is to be minimised, from the views of one batch.

        Args:
            views: what `make_views` gave.
            labels: dict, as the data gives it.
            logits: `(B, num_classes)` of `views["view"]`.

        Returns:
            A scalar.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `training_loss`.")

    def call(self, inputs, training=False):
        """In training views to logits, otherwise images to probabilities.

        Args:
            inputs: in training what `make_views` gives; otherwise images
                `(B, H, W, C)`.
            training: bool.

        Returns:
            `(B, num_classes)`: in training a dict that holds it as `logits`.
        """
        if training:
            logits = self.classifier.logits(inputs["view"], training=True)
            return {"logits": logits}
        return self.classifier(inputs)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The training loss and the backbone's own penalties; else cross-entropy."""
        if training:
            loss = self.training_loss(x, y, y_pred["logits"])
        else:
            losses = cross_entropy(
                ops.one_hot(self.as_indices(y), self.num_classes), log_of(y_pred)
            )
            if sample_weight is not None:
                losses = losses * ops.cast(sample_weight, losses.dtype)
            # A replica may have got no image of the last batch.
            count = ops.cast(ops.shape(losses)[0], losses.dtype)
            loss = ops.sum(losses) / ops.maximum(count, 1.0)
        for penalty in self.losses:
            loss = loss + ops.cast(ops.sum(penalty), loss.dtype)
        return share_of_loss(loss)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Those of the training step, or those given to `compile`."""
        if isinstance(y_pred, dict):
            metrics = self.step_metrics(x, y, y_pred["logits"])
        else:
            y = self.as_indices(y)
            self._compile_metrics.update_state(y, y_pred, sample_weight)
            metrics = [self._loss_tracker, self._compile_metrics]
        results = {}
        for metric in metrics:
            result = metric.result()
            results.update(
                result if isinstance(result, dict) else {metric.name: result}
            )
        return results
