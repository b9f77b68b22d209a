"""A metric that shows a quantity as it stands, rather than its mean."""

import keras


@keras.saving.register_keras_serializable(package="semppl_keras")
class Latest(keras.metrics.Metric):
    """The last value given, for what grows over an epoch (memory, momentum)."""

    def __init__(self, name="latest", **kwargs):
        super().__init__(name=name, **kwargs)
        self.current = self.add_variable(
            (), initializer="zeros", aggregation="only_first_replica", name="value"
        )

    def update_state(self, value, sample_weight=None):
        self.current.assign(value)

    def result(self):
        return self.current * 1.0
