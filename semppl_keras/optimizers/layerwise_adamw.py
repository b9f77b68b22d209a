"""AdamW whose learning rate is lower, the nearer a weight is to the images."""

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from semppl_keras.checks import check_positive, check_share
from semppl_keras.optimizers.variable_identities import VariableIdentities


@keras.saving.register_keras_serializable(package="semppl_keras")
class LayerwiseAdamW(keras.optimizers.AdamW):
    """AdamW with a learning rate for each weight, for networks that come pretrained.

    Weights of the backbone take steps that are shorter by

        backbone_rate * layer_decay ** (blocks between it and the features)

    than those of the heads, whose rate is `learning_rate` itself: the layer decay of
    BEiT's and MAE's fine-tuning (arXiv 2106.08254, 2111.06377). A block is one of
    `networks.blocks`: of a transformer an attention and its perceptron, of a
    convolutional network all layers of one resolution. The decay of a weight is scaled
    as its steps are; biases and normalisation (all of rank 0 and 1) have none.

    `compile` of a model of semppl_keras tells it the rates. In another model they are
    set by `set_rates` beforehand. They are saved with the optimiser's state.

    Args:
        learning_rate: float, schedule or callable, of the heads.
        backbone_rate: positive float, what the backbone's rate is multiplied by.
        layer_decay: float in (0, 1], the same of each block below the last one.
        weight_decay: as in `keras.optimizers.AdamW`.
        name: name of the optimiser.
        **kwargs: the other arguments of `keras.optimizers.AdamW`.

    Raises:
        ValueError: for a value out of its range.

    Example:
        >>> model = SemPPL(backbone, 10, batch_norm="inference")
        >>> model.compile(LayerwiseAdamW(3e-3, backbone_rate=0.1))
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        backbone_rate: float = 0.1,
        layer_decay: float = 1.0,
        weight_decay: float | None = 0.004,
        name: str = "layerwise_adamw",
        **kwargs: Any,
    ) -> None:
        # What is to stay as it is has no rate of 0, but is frozen.
        check_positive(backbone_rate=backbone_rate, layer_decay=layer_decay)
        check_share(layer_decay=layer_decay)
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.backbone_rate = backbone_rate
        self.layer_decay = layer_decay
        self._rates_by_variable = VariableIdentities()

    def set_rates(self, rates: Iterable[tuple[Any, float]]) -> None:
        """Tells what the learning rate of single variables is multiplied by.

        Args:
            rates: pairs of a keras.Variable and a float; 1 for all others. Calls add
                up.

        Raises:
            ValueError: if the optimiser is built already.
        """
        if self.built:
            raise ValueError(
                "`set_rates()` must be called before the optimiser is built, which "
                "compiling or the first training step does. Make a new optimiser."
            )
        self._rates_by_variable.add(rates)

    def build(self, variables: Any) -> None:
        """Creates the moments of each variable, and the record of rates."""
        if self.built:
            return
        super().build(variables)
        rates = [self._rates_by_variable.get(variable, 1.0) for variable in variables]
        # A variable, not a list: see `LARS`.
        self._rates = self.add_variable(
            shape=(len(rates),),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(rates, dtype),
            dtype="float32",
            aggregation="only_first_replica",
            name="rates",
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one variable and its moments."""
        super().update_step(gradient, variable, self._scaled(learning_rate, variable))

    def _apply_weight_decay(self, variables: Any) -> None:
        if not self.weight_decay:
            return
        for variable in variables:
            if len(variable.shape) > 1 and self._use_weight_decay(variable):
                rate = self._scaled(self.learning_rate, variable) * self.weight_decay
                kept = ops.cast(1.0 - rate, variable.dtype)
                self.assign(variable, variable * kept)

    def _scaled(self, learning_rate: Any, variable: Any) -> Any:
        index = self._get_variable_index(variable)
        return ops.cast(learning_rate, "float32") * self._rates[index]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "backbone_rate": self.backbone_rate,
            "layer_decay": self.layer_decay,
        }
