"""The training step on TensorFlow."""

import keras


class ViewTrainer(keras.Model):
    """A model whose step makes views, trains on them, and updates afterwards.

    A subclass gives `make_views(images)`, `compute_loss`, in which it writes state
    through `write_state`, and `after_update()`.
    """

    def train_step(self, data):
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        logs = super().train_step((self.make_views(images), labels))
        self.after_update()
        return logs

    def write_state(self, variable, value):
        """Sets a variable from within `compute_loss`."""
        variable.assign(value)
